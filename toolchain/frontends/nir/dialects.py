r"""What one timestep of a NIR neuron computes: a row for each framework that writes or reads NIR.

NIR states differential equations and no timestep, so each framework makes another step of them.
A row of this table inverts one framework's exporter; where its exporter and importer disagree, the
row refuses what cannot be told apart. With x the input, i the synaptic current and v the membrane:

======================  =====================================================================
euler                   Euler's rule, the synapse before the membrane:
                        i += dt/tau_syn (w_in x - i), v += dt/tau_mem (v_leak - v + r i);
                        IF: v += dt r x
exact                   each equation solved over the step with its input held:
                        a = exp(-dt/tau), i = a i + w_in (1 - a) x, v likewise; IF: v += dt r x
sinabs                  tau counts steps: v = exp(-1/tau) v + x;
                        IF: v += x, never below -v_threshold
rockpool                a = exp(-dt/tau): i = a_syn (i + x), v = a v + i; r only tells dt;
                        LI: i = a (i + x)
snntorch, spikingjelly  euler, with r = tau/dt and w_in = tau_syn/dt, so that gains are 1
norse                   euler; IF: v += x
norse-export            norse, of files that Norse 1.1.0 wrote: its exporter multiplies tau by dt
======================  =====================================================================

Layers without a state over time mean the same in every dialect and are taken in all of them.

Sources: NIR documentation; sinabs 3.1.3, rockpool 3.1.0, snnTorch 1.0.0, Norse 1.1.0 and
SpikingJelly 2.0.0 as observed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.frontends.nir.steps import (
    SNAP,
    euler,
    exact,
    in_steps,
    norse_export,
    rockpool,
    step_of_gain,
)

__all__ = ["DIALECTS", "DYNAMIC", "Dialect"]

FieldArrays: TypeAlias = Mapping[str, Array]
StepRule: TypeAlias = Callable[[Array, Array, float], tuple[Array, Array]]
FieldCheck: TypeAlias = Callable[[FieldArrays, float], bool]
ResetName: TypeAlias = str

DYNAMIC = ("CubaLI", "CubaLIF", "Delay", "I", "IF", "LI", "LIF", "Threshold")
"""Primitives whose meaning depends on the dialect or on dt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What a framework's files always say; another value is refused in these ``words``."""

    kinds: tuple[str, ...]
    is_met: FieldCheck
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way of reading NIR.

    Attributes:
        name: what users call it.
        title: who writes or reads like this.
        leaky: the step of ``tau v' = -v + r x``.
        integrates: the gain of ``v' = r x``: ``dt`` for r dt, ``one`` for 1.
        order: whether the synapse adds before it decays.
        compare: fires above the threshold (``gt``) or at it, too (``ge``).
        max_spikes: most spikes a step, or None.
        reset: the reset of every network of that framework, or None where the file has to say.
        resets: the resets it can have.
        floored: whether IF neurons stop at ``-v_threshold``.
        starts_at: the field that v starts at, or None for 0.
        needs_dt: whether its neurons cannot be read without dt.
        dt: the dt of all its files, s, or None.
        refused: primitives that it has no meaning for, with the reason.
        demands: what its files always say.
        loses: what its exporter leaves out of files.
    """

    name: str
    title: str
    leaky: StepRule
    integrates: Literal["dt", "one"] = "dt"
    order: Literal["add_decay", "decay_add"] = "decay_add"
    compare: Literal["ge", "gt"] = "gt"
    max_spikes: int | None = 1
    reset: ResetName | None = None
    resets: tuple[ResetName, ...] = ("subtract", "value")
    floored: bool = False
    starts_at: Literal["v_leak", "v_reset"] | None = None
    needs_dt: bool = True
    dt: float | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    loses: str = ""

    def errors(self, kind: str, fields: FieldArrays, dt: float | None) -> Iterator[str]:
        """Why a node of that type and these fields cannot be read; nothing where it can."""
        if kind in self.refused:
            yield f"{kind}: {self.refused[kind]}"
            return
        for requirement in self.requirements:
            if kind in requirement.kinds and not requirement.is_met(
                fields, 0.0 if dt is None else dt
            ):
                yield requirement.message.format(dt=dt)


# ---- what is always so ----

_LEAKY = ("LIF", "LI", "CubaLIF", "CubaLI")
_CUBA = ("CubaLIF", "CubaLI")


def _near(a: Array | float, b: Array | float) -> bool:
    return bool(np.allclose(a, b, rtol=SNAP, atol=0))


def _tau(fields: FieldArrays) -> Array:
    return fields["tau"] if "tau" in fields else fields["tau_mem"]


def _zero(fields: FieldArrays, name: str) -> bool:
    return name not in fields or not np.any(fields[name])


def _shortest(fields: FieldArrays) -> float:
    return float(min(fields[n].min() for n in ("tau", "tau_mem", "tau_syn") if n in fields))


def _unit_gain(kinds: tuple[str, ...], framework: str) -> Requirement:
    return Requirement(
        kinds=kinds,
        is_met=lambda f, _: _near(f["r"], 1) and _near(f.get("w_in", np.ones(())), 1),
        message=f"r is not 1; {framework} writes 1 and reads nothing else",
    )


def _no_leak(kinds: tuple[str, ...], framework: str) -> Requirement:
    return Requirement(
        kinds=kinds,
        is_met=lambda f, _: _zero(f, "v_leak"),
        message=f"v_leak is not 0, which {framework} has no word for",
    )


def _full_gain(kinds: tuple[str, ...], framework: str) -> Requirement:
    return Requirement(
        kinds=kinds,
        is_met=lambda f, dt: _near(f["r"], _tau(f) / dt) and _near(f["w_in"], f["tau_syn"] / dt),
        message=f"r and w_in are not tau_mem / dt and tau_syn / dt at dt = {{dt:g}} s, "
        f"as {framework} writes them",
    )


_NOT_SHORT = Requirement(
    kinds=_LEAKY,
    is_met=lambda f, dt: _shortest(f) >= dt,
    message="a time constant is shorter than dt = {dt:g} s, for which Euler's rule has no step",
)
_NORSE_SHORT = Requirement(
    kinds=_LEAKY,
    is_met=lambda f, dt: not dt * dt <= _shortest(f) < dt,
    message="a time constant is shorter than dt = {dt:g} s. Norse 1.1.0 multiplies the time "
    "constants that it exports by dt; dialect='norse-export' divides them by dt again",
)
_NORSE_EXPORT_SHORT = Requirement(
    kinds=_LEAKY,
    is_met=lambda f, dt: _shortest(f) >= dt * dt,
    message="a time constant divided by dt = {dt:g} s is shorter than dt; the file was not "
    "exported by Norse with this dt, or dialect='norse' is meant",
)
_NORSE_REQUIREMENTS = (
    _unit_gain(("LIF", "IF"), "Norse"),
    _no_leak(_CUBA, "Norse's synapse, which would leak to v_leak, too,"),
)

_SKIPPED = "{} leaves it out when it reads NIR, without a word"
_UNKNOWN = "{} cannot read it"
_NO_IF = "snnTorch 1.0.0 reads it as a neuron that keeps 0.9 of v a step; take dialect='euler'"


def _refusals(message: str, framework: str, *kinds: str) -> dict[str, str]:
    return dict.fromkeys(kinds, message.format(framework))


def _by_name(*rows: Dialect) -> dict[str, Dialect]:
    return {row.name: row for row in rows}


_NORSE = _refusals(_SKIPPED, "Norse", "CubaLI", "Delay", "I", "LI", "Threshold")

DIALECTS: Mapping[str, Dialect] = _by_name(
    Dialect(name="euler", title="Euler's rule", leaky=euler, requirements=(_NOT_SHORT,)),
    Dialect(name="exact", title="the equations solved over each step", leaky=exact),
    Dialect(
        name="sinabs",
        title="as sinabs writes and reads, time constants in steps",
        leaky=in_steps,
        integrates="one",
        compare="ge",
        max_spikes=None,
        reset="subtract",
        floored=True,
        loses="tau_syn, norm_input, min_v_mem, spike_fn, reset_fn",
        needs_dt=False,
        refused=_refusals(_SKIPPED, "sinabs", "CubaLI", "CubaLIF", "Delay", "I", "Threshold"),
        requirements=(
            _unit_gain(("IF", "LIF", "LI"), "sinabs"),
            _no_leak(("LIF", "LI"), "sinabs"),
        ),
    ),
    Dialect(
        name="rockpool",
        title="as rockpool writes",
        leaky=rockpool,
        order="add_decay",
        compare="ge",
        max_spikes=65536,
        reset="subtract",
        resets=("subtract",),
        loses="w_rec, bias, max_spikes_per_dt",
        refused={
            "LIF": "rockpool writes it and fails when it reads it again; train with LIFTorch, "
            "which is a CubaLIF, or take dialect='exact'",
            **_refusals(_UNKNOWN, "rockpool", "CubaLI", "Delay", "I", "IF", "Threshold"),
        },
        requirements=(
            _no_leak(("CubaLIF", "LI"), "rockpool"),
            Requirement(
                kinds=("CubaLIF",),
                is_met=lambda f, _: _near(f["w_in"], 1),
                message="w_in is not 1, as rockpool writes it",
            ),
            Requirement(
                kinds=("CubaLIF", "LI"),
                is_met=lambda f, dt: bool(
                    np.allclose(step_of_gain(_tau(f), f["r"]), dt, rtol=1e-4, atol=0)
                ),
                message="r is not tau exp(-dt / tau) / dt at dt = {dt:g} s, as rockpool writes it",
            ),
        ),
    ),
    Dialect(
        name="snntorch",
        title="as snnTorch writes and reads",
        dt=1e-4,
        leaky=euler,
        resets=("subtract", "value", "subtract-late", "value-late", "subtract-corrected"),
        loses="reset_mechanism, reset_delay, graded_spikes_factor",
        refused={"IF": _NO_IF}
        | _refusals(_UNKNOWN, "snnTorch", "CubaLI", "Delay", "I", "LI", "Threshold"),
        requirements=(_NOT_SHORT, _no_leak(_LEAKY, "snnTorch")),
    ),
    Dialect(
        name="norse",
        title="as Norse reads",
        leaky=euler,
        integrates="one",
        reset="value",
        starts_at="v_leak",
        loses="v_reset, reset_method",
        refused=_NORSE,
        requirements=(_NORSE_SHORT, _NOT_SHORT, *_NORSE_REQUIREMENTS),
    ),
    Dialect(
        name="norse-export",
        title="as Norse 1.1.0 writes, time constants multiplied by dt",
        leaky=norse_export,
        integrates="one",
        reset="value",
        starts_at="v_leak",
        loses="v_reset, reset_method",
        refused=_NORSE,
        requirements=(_NORSE_EXPORT_SHORT, *_NORSE_REQUIREMENTS),
    ),
    Dialect(
        name="spikingjelly",
        title="as SpikingJelly writes and reads",
        leaky=euler,
        compare="ge",
        reset="value",
        resets=("value",),
        starts_at="v_reset",
        refused=_refusals(_UNKNOWN, "SpikingJelly", "CubaLI", "Delay", "I", "LI", "Threshold"),
        requirements=(
            _NOT_SHORT,
            _full_gain(("CubaLIF",), "SpikingJelly"),
            Requirement(
                kinds=("LIF",),
                is_met=lambda f, dt: _near(f["r"], 1) or _near(f["r"], _tau(f) / dt),
                message="r is neither 1 nor tau / dt at dt = {dt:g} s, as SpikingJelly writes it",
            ),
            Requirement(
                kinds=("IF",),
                is_met=lambda f, dt: _near(f["r"] * dt, 1),
                message="r is not 1 / dt at dt = {dt:g} s, as SpikingJelly writes it",
            ),
            Requirement(
                kinds=("LIF", "CubaLIF"),
                is_met=lambda f, _: _near(f["v_leak"], f.get("v_reset", np.zeros(()))),
                message="v_leak is not v_reset, as SpikingJelly has it",
            ),
        ),
    ),
)
"""Every dialect by its name."""
