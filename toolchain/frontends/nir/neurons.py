"""A NIR primitive with a state over time as a node of the IR, under one reading of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.frontends.nir.dialects import Dialect
from toolchain.frontends.nir.nodes import NirNode
from toolchain.frontends.nir.steps import snapped
from toolchain.ir import MembraneReadout, Neuron, Node
from toolchain.ir.neuron import ResetWhen

__all__ = ["NEURONS", "Reading", "fields_of", "neuron"]

NEURONS = ("CubaLI", "CubaLIF", "I", "IF", "LI", "LIF", "Threshold")
"""Primitives that become a Neuron or a MembraneReadout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a NIR file leaves open, settled.

    Attributes:
        dialect: what a step of each primitive computes.
        dt: length of a step, s; None where nothing depends on it.
        reset: ``subtract`` or ``value`` (to v_reset), with ``-late`` for one step later and
            ``-corrected`` for snnTorch's ``reset_delay=False``.
        said: how each was settled, for the graph's provenance.
    """

    dialect: Dialect
    dt: float | None
    reset: str
    said: Mapping[str, str] = field(default_factory=dict)


def fields_of(node: NirNode) -> dict[str, Array]:
    """The numbers of a node in float64; an absent ``w_in`` is 1."""
    usual = {"w_in": np.ones(())} if node.type in ("CubaLIF", "CubaLI") else {}
    given = {key: np.asarray(value, dtype=np.float64) for key, value in node.fields.items()}
    return {**usual, **given}


def neuron(node: NirNode, shape: Shape, reading: Reading, *, looped: bool = False) -> Node:
    """The Neuron or MembraneReadout of ``node``, whose layer has that shape.

    Args:
        node: one of ``NEURONS``.
        shape: of what it receives and gives.
        reading: how the file is read.
        looped: whether its own spikes return to it.

    Raises:
        ValueError: it has no meaning in the dialect, or its fields do not fit.
    """
    fields = {key: _fitted(key, value, shape) for key, value in fields_of(node).items()}
    for complaint in reading.dialect.complaints(node.type, fields, reading.dt):
        raise ValueError(f"in dialect {reading.dialect.name!r}: {complaint}")
    if node.type == "Threshold":
        return _threshold(fields, shape)
    given = {**_dynamics(node.type, fields, reading), **_start(fields, reading)}
    given |= {k: _one_if_all_same(value) for k, value in given.items() if k != "alpha_syn"}
    if "v_threshold" not in fields:
        return MembraneReadout(shape=shape, **given)
    spikes = _spikes(fields, reading)
    return Neuron(shape=shape, **given, **spikes, **_reset(node.type, fields, reading, looped))


def _fitted(name: str, value: Array, shape: Shape) -> Array:
    """One number, or one for each neuron of ``shape``."""
    if value.size == 1:
        return value.reshape(())
    fits = value.ndim == len(shape) and all(
        has in (1, wanted) for has, wanted in zip(value.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} has shape {value.shape}, the layer {shape}")
    return value


def _one_if_all_same(value: Any) -> Any:
    """The number that all neurons share."""
    if not isinstance(value, np.ndarray) or not value.size:
        return value
    return value if np.any(value != value.flat[0]) else value.flat[0]


def _threshold(fields: Mapping[str, Array], shape: Shape) -> Neuron:
    return Neuron(
        shape=shape,
        alpha_mem=np.zeros(()),
        v_threshold=_one_if_all_same(fields["threshold"]),
        compare="gt",
        max_spikes=1,
        reset="none",
    )


def _dynamics(kind: str, fields: Mapping[str, Array], reading: Reading) -> dict[str, Any]:
    dialect, dt = reading.dialect, np.nan if reading.dt is None else reading.dt
    if kind in ("I", "IF"):
        one = dialect.integrates == "one"
        return {"gain": np.ones(()) if one else snapped(fields["r"] * dt)}
    adds_first = dialect.order == "add_decay"
    if kind in ("LI", "LIF"):
        alpha, gain = dialect.leaky(fields["tau"], fields["r"], dt)
        return {"alpha_mem": alpha, "gain": alpha * gain if adds_first else gain}
    alpha, gain = dialect.leaky(fields["tau_mem"], fields["r"], dt)
    alpha_syn, gain_syn = dialect.leaky(fields["tau_syn"], fields["w_in"], dt)
    return {
        "alpha_mem": alpha,
        "alpha_syn": np.asarray(_one_if_all_same(alpha_syn))[..., None],
        "syn_order": dialect.order,
        "gain": gain * gain_syn,
    }


def _start(fields: Mapping[str, Array], reading: Reading) -> dict[str, Array]:
    given = {"v_leak": fields["v_leak"]} if "v_leak" in fields else {}
    start = reading.dialect.starts_at
    return {**given, "v_init": fields[start]} if start and start in fields else given


def _spikes(fields: Mapping[str, Array], reading: Reading) -> dict[str, Any]:
    dialect, threshold = reading.dialect, _one_if_all_same(fields["v_threshold"])
    floor = {"v_min": -threshold} if dialect.floored and "v_leak" not in fields else {}
    return {
        "v_threshold": threshold,
        "compare": dialect.compare,
        "max_spikes": dialect.max_spikes,
        **floor,
    }


def _reset(
    kind: str, fields: Mapping[str, Array], reading: Reading, looped: bool
) -> dict[str, Any]:
    target = fields.get("v_reset", np.zeros(()))
    how, _, late = reading.reset.partition("-")
    when: ResetWhen = "next_corrected" if late == "corrected" else "next_undecayed"
    if (how == "subtract" or late) and np.any(target):
        raise ValueError(
            f"v_reset is {target.flat[0]:g}, which reset={reading.reset!r} has no use for"
        )
    if how == "subtract":
        return {"reset": "subtract", "reset_when": when if late else "same"}
    # snnTorch's plain Leaky loses only its membrane, its other neurons the step's input, too
    when = "next_erase_all" if kind == "CubaLIF" or looped else when
    target = _one_if_all_same(target)
    return {"reset": "value", "v_reset": target, "reset_when": when if late else "same"}
