"""Nodes with a state over time: the spiking neuron and the non-spiking readout.

One neuron model covers those of all frameworks: their differences (order of decay and addition,
comparison, reset) are fields here and never assumptions. Constants are per timestep, because a
trained network computes with the decay factor and not with the time constant; :func:`decay` and
:func:`time_constant` convert one into the other if dt is known.

Recurrence is not a field: it is an edge of delay 1 in the Graph.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import prod
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array, Shape, places
from toolchain.ir.nodes import Node

__all__ = [
    "Membrane",
    "MembraneReadout",
    "Neuron",
    "ResetWhen",
    "decay",
    "membrane_of",
    "time_constant",
]

ResetWhen: TypeAlias = Literal["same", "next_undecayed", "next_erase_all", "next_corrected"]


def _zero() -> Array:
    return np.zeros(())


def _one() -> Array:
    return np.ones(())


def decay(tau: Array | float, dt: float) -> Array:
    """Return ``exp(-dt / tau)``, the factor a state keeps over one step; both in s.

    >>> float(decay(tau=20e-3, dt=1e-3).round(4))
    0.9512
    """
    return np.asarray(np.exp(-dt / np.asarray(tau, dtype=np.float64)))


def time_constant(alpha: npt.ArrayLike, dt: float) -> Array:
    """Return the ``tau`` of a decay factor, s: the inverse of :func:`decay`; inf if alpha is 1.

    >>> time_constant([0.9, 1.0], dt=1e-3).round(5).tolist()
    [0.00949, inf]
    """
    with np.errstate(divide="ignore"):
        return np.asarray(dt / np.abs(np.log(np.asarray(alpha, dtype=np.float64))))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Membrane(Node):
    """A leaky membrane behind an optional synapse: the base of Neuron and MembraneReadout.

    Attributes:
        shape: shape of the layer; every field is a scalar or broadcasts to it.
        alpha_mem: factor the membrane keeps over a step, 0..1; 1 integrates without leak.
        alpha_syn: factor each synaptic current keeps over a step, shape (..., synapses) where
            the part before the last axis broadcasts to ``shape``; None means no synapse. With
            several synapses the input has ``neurons * synapses`` features, the synapse being the
            last axis.
        syn_order: ``add_decay``: ``i = alpha (i + x)``; ``decay_add``: ``i = alpha i + x``.
        gain: factor on the current.
        v_leak: potential the membrane decays to.
        bias: constant added to the membrane every step.
        v_init: potential at the start.

    >>> from toolchain.ir import Graph, Input, MembraneReadout, Neuron, Output
    >>> leaky = dict(shape=(2,), alpha_mem=0.9, alpha_syn=[0.5])
    >>> nodes = {"input": Input(shape=(2,)), "lif": Neuron(v_threshold=1.0, **leaky)}
    >>> graph = Graph.chain({**nodes, "readout": MembraneReadout(**leaky), "output": Output()})
    >>> [(name, node.synapses) for name, node in graph.of(Membrane).items()]
    [('lif', 1), ('readout', 1)]
    """

    shape: Shape
    alpha_mem: Array = field(default_factory=_one)
    alpha_syn: Array | None = None
    syn_order: Literal["add_decay", "decay_add"] = "add_decay"
    gain: Array = field(default_factory=_one)
    v_leak: Array = field(default_factory=_zero)
    bias: Array = field(default_factory=_zero)
    v_init: Array = field(default_factory=_zero)
    ARRAYS: ClassVar[tuple[str, ...]] = (
        "alpha_mem",
        "alpha_syn",
        "gain",
        "v_leak",
        "bias",
        "v_init",
    )
    STATEFUL: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        Node.__post_init__(self)
        for name in self.ARRAYS:
            value = getattr(self, name)
            if value is None:
                continue
            if name == "alpha_syn" and not value.ndim:
                raise ValueError(
                    f"{type(self).__name__}.{name} needs an axis of synapses, got one number"
                )
            shape = value.shape[:-1] if name == "alpha_syn" else value.shape
            if np.broadcast_shapes(shape, self.shape) != self.shape:
                raise ValueError(
                    f"{type(self).__name__}.{name} has shape {value.shape}, "
                    f"which does not broadcast to {self.shape}"
                )
        for name in ("alpha_mem", "alpha_syn"):
            value = getattr(self, name)
            if value is not None:
                self._check(name, value, (value < 0) | (value > 1), "in 0..1")

    def _check(self, name: str, value: Array, wrong: Array, need: str) -> None:
        """Check that no entry of a field is wrong.

        Raises:
            ValueError: the message has the first wrong value, and the neurons unless it is all.
        """
        if not wrong.any():
            return
        at = "" if wrong.all() else places(wrong)
        raise ValueError(
            f"{type(self).__name__}.{name} must be {need}, got {value[wrong].flat[0]:g}"
            + (f" at neuron {at}" if at else "")
        )

    @property
    def synapses(self) -> int:
        """Number of synaptic currents per neuron; 0 if the input acts on the membrane directly."""
        return 0 if self.alpha_syn is None else int(self.alpha_syn.shape[-1])

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``shape``; with several synapses the input is ``(neurons * synapses,)``."""
        wanted = (prod(self.shape) * self.synapses,) if self.synapses > 1 else self.shape
        if input_shape != wanted:
            raise ValueError(f"{type(self).__name__} takes shape {wanted}, got {input_shape}")
        return self.shape


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Neuron(Membrane):
    """A spiking neuron.

    Per step, with ``i`` the summed synaptic currents (or the input itself)::

        v = v_leak + alpha_mem (v - v_leak) + gain i + bias
        n = number of spikes, from v against v_threshold
        v = reset of v
        v = max(v, v_min)
        output = spike_scale * n

    Attributes:
        v_threshold: firing threshold.
        compare: fires when ``v >= v_threshold`` (``ge``) or only above it (``gt``).
        max_spikes: largest number of spikes per step; None means as many as thresholds fit into v.
        reset: ``subtract`` subtracts ``n * reset_amount``; ``value`` sets v to ``v_reset``;
            ``additive`` is ``v (n == 0) + v_reset``, for every neuron and every step (sinabs);
            ``none`` does not change v.
        reset_amount: amount that one spike subtracts; None means ``v_threshold``.
        v_reset: potential after a ``value`` reset.
        reset_when: ``same`` step; ``next_undecayed``: subtracted in the next step, un-decayed,
            or for ``value`` from the membrane only (snnTorch Leaky); ``next_erase_all``: the next
            step's whole value, input included, is erased (snnTorch Synaptic, ``zero``);
            ``next_corrected``: as ``next_undecayed`` for the comparison, after which the spike of
            this step is subtracted instead of the last one (snnTorch, ``reset_delay=False``); a
            membrane that is still above its threshold counts as a spike in the next step.
        v_min: floor applied after the reset, or None.
        spike_scale: value of one spike in the output.

    Source: sinabs, rockpool, snnTorch, Norse and SpikingJelly as observed; NIR for the names.

    >>> import numpy as np
    >>> from toolchain.ir import Graph, Input, Output
    >>> from toolchain.runs.interpret import interpret
    >>> lif = Neuron(shape=(1,), alpha_mem=0.5, v_threshold=1.0, max_spikes=1)
    >>> graph = Graph.chain({"input": Input(shape=(1,)), "lif": lif, "output": Output()})
    >>> interpret(graph, np.array([[[1], [0], [2], [0]]])).spikes.ravel().tolist()
    [1.0, 0.0, 1.0, 0.0]
    """

    v_threshold: Array
    compare: Literal["ge", "gt"] = "ge"
    max_spikes: int | None = None
    reset: Literal["subtract", "value", "additive", "none"] = "subtract"
    reset_amount: Array | None = None
    v_reset: Array = field(default_factory=_zero)
    reset_when: ResetWhen = "same"
    v_min: Array | None = None
    spike_scale: Array = field(default_factory=_one)
    ARRAYS: ClassVar[tuple[str, ...]] = (
        *Membrane.ARRAYS,
        "v_threshold",
        "reset_amount",
        "v_reset",
        "v_min",
        "spike_scale",
    )

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        Membrane.__post_init__(self)
        self._check("v_threshold", self.v_threshold, self.v_threshold <= 0, "> 0")
        cap = self.max_spikes
        if cap is not None and (
            isinstance(cap, bool) or not isinstance(cap, int | np.integer) or cap < 1
        ):
            raise ValueError(f"Neuron.max_spikes must be a whole number >= 1 or None, got {cap!r}")
        if self.reset_when == "next_corrected" and self.reset != "subtract":
            raise ValueError("Neuron.reset_when 'next_corrected' needs reset 'subtract'")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class MembraneReadout(Membrane):
    """A membrane that never spikes; its output is ``v_scale v`` after the step's update.

    Attributes:
        v_scale: value of one unit of v in the output; of integers, in the unit of the floats.

    >>> import numpy as np
    >>> from toolchain.ir import Graph, Input, Output
    >>> from toolchain.runs.interpret import interpret
    >>> readout = MembraneReadout(shape=(1,), alpha_mem=0.5)
    >>> graph = Graph.chain({"input": Input(shape=(1,)), "readout": readout, "output": Output()})
    >>> interpret(graph, np.array([[[1], [0], [2]]])).spikes.ravel().tolist()
    [1.0, 0.5, 2.25]
    """

    v_scale: Array = field(default_factory=_one)
    ARRAYS: ClassVar[tuple[str, ...]] = (*Membrane.ARRAYS, "v_scale")


def membrane_of(node: Node) -> MembraneReadout:
    """Return the membrane of a neuron as a readout, which is never reset.

    >>> lif = Neuron(shape=(2,), alpha_mem=0.9, v_threshold=1.0)
    >>> membrane_of(lif).alpha_mem.item()
    0.9
    """
    own = {f.name for f in fields(MembraneReadout)}
    return MembraneReadout(**{k: v for k, v in node.parameters().items() if k in own})
