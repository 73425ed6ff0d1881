"""Properties that all files of a framework have; files without them are not read as its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.frontends.nir.steps import SNAP

__all__ = [
    "LEAKY",
    "NORSE_EXPORT_SHORT",
    "NORSE_REQUIREMENTS",
    "NORSE_SHORT",
    "NOT_SHORT",
    "FieldArrays",
    "Requirement",
    "full_gain",
    "is_decay",
    "near",
    "no_leak",
    "tau_of",
    "unit_gain",
]

FieldArrays: TypeAlias = Mapping[str, Array]
FieldCheck: TypeAlias = Callable[[FieldArrays, float], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A property of all files of a framework; other values are refused with ``message``."""

    kinds: tuple[str, ...]
    is_met: FieldCheck
    message: str


LEAKY = ("LIF", "LI", "CubaLIF", "CubaLI")
CUBA = ("CubaLIF", "CubaLI")


def near(a: Array | float, b: Array | float) -> bool:
    """Return True if all values are equal within float32 rounding."""
    return bool(np.allclose(a, b, rtol=SNAP, atol=0))


def tau_of(fields: FieldArrays) -> Array:
    """Return the time constants of the membrane, s."""
    return fields["tau"] if "tau" in fields else fields["tau_mem"]


def _is_zero(fields: FieldArrays, name: str) -> bool:
    return name not in fields or not np.any(fields[name])


def _shortest(fields: FieldArrays) -> float:
    return float(min(fields[n].min() for n in ("tau", "tau_mem", "tau_syn") if n in fields))


def unit_gain(kinds: tuple[str, ...], framework: str) -> Requirement:
    """Require gains of 1."""
    return Requirement(
        kinds=kinds,
        is_met=lambda f, _: near(f["r"], 1) and near(f.get("w_in", np.ones(())), 1),
        message=f"r is not 1; {framework} supports only 1",
    )


def no_leak(kinds: tuple[str, ...], framework: str, reason: str = "") -> Requirement:
    """Require a ``v_leak`` of 0."""
    return Requirement(
        kinds=kinds,
        is_met=lambda f, _: _is_zero(f, "v_leak"),
        message=f"v_leak is not 0, which {framework} does not support{reason}",
    )


def full_gain(kinds: tuple[str, ...], framework: str) -> Requirement:
    """Require gains that are time constants over dt."""
    return Requirement(
        kinds=kinds,
        is_met=lambda f, dt: near(f["r"], tau_of(f) / dt) and near(f["w_in"], f["tau_syn"] / dt),
        message=f"r and w_in are not tau_mem / dt and tau_syn / dt at dt = {{dt:g}} s, "
        f"as {framework} exports them",
    )


def is_decay(fields: FieldArrays, dt: float) -> bool:
    """Return True if r is the decay factor of one step of ``dt``, s."""
    return bool(np.allclose(fields["r"], 1 - dt / tau_of(fields), rtol=0, atol=SNAP))


NOT_SHORT = Requirement(
    kinds=LEAKY,
    is_met=lambda f, dt: _shortest(f) >= dt,
    message="a time constant is shorter than dt = {dt:g} s, but Euler's rule needs at least dt",
)
NORSE_SHORT = Requirement(
    kinds=LEAKY,
    is_met=lambda f, dt: not dt * dt <= _shortest(f) < dt,
    message="a time constant is shorter than dt = {dt:g} s. Norse 1.1.0 multiplies the time "
    "constants that it exports by dt; use dialect='norse-export', which divides them by dt",
)
NORSE_EXPORT_SHORT = Requirement(
    kinds=LEAKY,
    is_met=lambda f, dt: _shortest(f) >= dt * dt,
    message="a time constant divided by dt = {dt:g} s is shorter than dt; the file was not "
    "exported by Norse with this dt, or dialect='norse' is meant",
)
NORSE_REQUIREMENTS = (
    unit_gain(("LIF", "IF"), "Norse"),
    no_leak(CUBA, "Norse", ": its synaptic current would decay to v_leak as well"),
)
