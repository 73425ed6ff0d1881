"""Conversion of stateful NIR primitives to IR nodes, for one interpretation of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.frontends.nir.dialects import Dialect
from toolchain.frontends.nir.nodes import NirNode
from toolchain.frontends.nir.steps import snap_to_one
from toolchain.ir import MembraneReadout, Neuron, Node
from toolchain.ir.neuron import ResetWhen

__all__ = ["NEURONS", "Reading", "fields_of", "neuron"]

NEURONS = ("CubaLI", "CubaLIF", "I", "IF", "LI", "LIF", "Threshold")
"""Primitives that become a Neuron or a MembraneReadout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The interpretation of what a NIR file leaves open.

    Attributes:
        dialect: the update rule of each primitive.
        dt: length of a timestep, s; None if nothing depends on it.
        unit: the dt that the file's time constants are relative to, s, where that is not ``dt``.
        reset: ``subtract`` or ``value`` (to v_reset), with ``-late`` for one step later and
            ``-corrected`` for snnTorch's ``reset_delay=False``.
        provenance: how each was chosen, for the graph's provenance.
    """

    dialect: Dialect
    dt: float | None
    reset: str
    unit: float | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def step(self) -> float | None:
        """The dt that the update rules use, s; None if nothing depends on it."""
        unit = self.dialect.unit if self.unit is None else self.unit
        return self.dt if unit is None else unit


def fields_of(node: NirNode) -> dict[str, Array]:
    """Return the numbers of a node as float64; a missing ``w_in`` is 1."""
    defaults = {"w_in": np.ones(())} if node.type in ("CubaLIF", "CubaLI") else {}
    parameters = {key: np.asarray(value, dtype=np.float64) for key, value in node.fields.items()}
    return {**defaults, **parameters}


def neuron(node: NirNode, shape: Shape, reading: Reading, *, recurrent: bool = False) -> Node:
    """Convert ``node`` to a Neuron or MembraneReadout of ``shape``.

    Args:
        node: one of ``NEURONS``.
        shape: shape of its input and output.
        reading: the interpretation of the file.
        recurrent: whether its own spikes return to it.

    Raises:
        ValueError: the dialect does not support it, or its fields do not match the shape.
    """
    fields = {key: _match_shape(key, value, shape) for key, value in fields_of(node).items()}
    for complaint in reading.dialect.errors(node.type, fields, reading.step):
        raise ValueError(f"in dialect {reading.dialect.name!r}: {complaint}")
    if node.type == "Threshold":
        return _threshold(fields, shape)
    parameters = {**_dynamics(node.type, fields, reading), **_start(fields, reading)}
    parameters |= {k: _collapse(value) for k, value in parameters.items() if k != "alpha_syn"}
    if "v_threshold" not in fields:
        return MembraneReadout(shape=shape, **parameters)
    spikes = _spikes(fields, reading)
    return Neuron(
        shape=shape, **parameters, **spikes, **_reset(node.type, fields, reading, recurrent)
    )


def _match_shape(name: str, value: Array, shape: Shape) -> Array:
    """Return one number, or one for each neuron of ``shape``."""
    if value.size == 1:
        return value.reshape(())
    fits = value.ndim == len(shape) and all(
        has in (1, wanted) for has, wanted in zip(value.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} has shape {value.shape}, the layer has {shape}")
    return value


def _collapse(value: Any) -> Any:
    """Return the number that all neurons share, else the array."""
    if not isinstance(value, np.ndarray) or not value.size:
        return value
    return value if np.any(value != value.flat[0]) else value.flat[0]


def _threshold(fields: Mapping[str, Array], shape: Shape) -> Neuron:
    return Neuron(
        shape=shape,
        alpha_mem=np.zeros(()),
        v_threshold=_collapse(fields["threshold"]),
        compare="gt",
        max_spikes=1,
        reset="none",
    )


def _dynamics(kind: str, fields: Mapping[str, Array], reading: Reading) -> dict[str, Any]:
    dialect, dt = reading.dialect, np.nan if reading.step is None else reading.step
    if kind in ("I", "IF"):
        one = dialect.integrates == "one"
        return {"gain": np.ones(()) if one else snap_to_one(fields["r"] * dt)}
    adds_first = dialect.order == "add_decay"
    if kind in ("LI", "LIF"):
        alpha, gain = dialect.leaky(fields["tau"], fields["r"], dt)
        return {"alpha_mem": alpha, "gain": alpha * gain if adds_first else gain}
    alpha, gain = dialect.leaky(fields["tau_mem"], fields["r"], dt)
    alpha_syn, gain_syn = dialect.leaky(fields["tau_syn"], fields["w_in"], dt)
    return {
        "alpha_mem": alpha,
        "alpha_syn": np.asarray(_collapse(alpha_syn))[..., None],
        "syn_order": dialect.order,
        "gain": gain * gain_syn,
    }


def _start(fields: Mapping[str, Array], reading: Reading) -> dict[str, Array]:
    parameters = {"v_leak": fields["v_leak"]} if "v_leak" in fields else {}
    start = reading.dialect.starts_at
    return {**parameters, "v_init": fields[start]} if start and start in fields else parameters


def _spikes(fields: Mapping[str, Array], reading: Reading) -> dict[str, Any]:
    dialect, threshold = reading.dialect, _collapse(fields["v_threshold"])
    floor = {"v_min": -threshold} if dialect.floored and "v_leak" not in fields else {}
    return {
        "v_threshold": threshold,
        "compare": dialect.compare,
        "max_spikes": dialect.max_spikes,
        **floor,
    }


def _reset(
    kind: str, fields: Mapping[str, Array], reading: Reading, recurrent: bool
) -> dict[str, Any]:
    target = fields.get("v_reset", np.zeros(()))
    action, _, timing = reading.reset.partition("-")
    timing = timing or ("late" if kind in reading.dialect.undecayed else "")
    reset_when: ResetWhen = "next_corrected" if timing == "corrected" else "next_undecayed"
    if (action == "subtract" or timing) and np.any(target):
        raise ValueError(
            f"v_reset is {target.flat[0]:g}, but reset={reading.reset!r} does not use it"
        )
    if action == "subtract":
        return {"reset": "subtract", "reset_when": reset_when if timing else "same"}
    # in snnTorch, Leaky clears only its membrane, the other neurons also the input of that step
    reset_when = "next_erase_all" if kind == "CubaLIF" or recurrent else reset_when
    target = _collapse(target)
    return {"reset": "value", "v_reset": target, "reset_when": reset_when if timing else "same"}
