"""State of one layer over time: synapse, membrane, spikes and reset, in float64.

Steps without an effect are left out: a leak of none, a gain of 1. Spikes are few, so that counts
and resets are computed of the neurons that fire where a reset changes no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.ir.neuron import Membrane, MembraneReadout, Neuron

__all__ = ["MembraneState"]


class MembraneState:
    """The state of one layer in a run over a batch, advanced by :meth:`run`.

    Attributes:
        v: membranes after the last step, (batch, *shape).
        i: currents after the last step, (batch, *shape, synapses); zeros (batch, *shape, 1)
            without a synapse.

    >>> state = MembraneState(Neuron(shape=(2,), v_threshold=1.0), batch=1)
    >>> state.run(np.array([[[0.5, 2.5]]])).tolist(), state.v.tolist()
    ([[[0.0, 2.0]]], [[0.5, 0.5]])
    """

    def __init__(self, node: Membrane, batch: int) -> None:
        """Start from the initial state."""
        self.node = node
        shape = (batch, *node.shape)
        self.v = np.zeros(shape) + node.v_init
        self.i = np.zeros((*shape, max(1, node.synapses)))
        self._fired = np.zeros(shape)
        self._rests = bool(np.any(node.v_leak != 0))
        self._leaks = self._rests or bool(np.any(node.alpha_mem != 1))
        self._scales = bool(np.any(node.gain != 1))
        self._few = _FewSpikes(node, batch) if _resets_spikes_alone(node) else None
        # a membrane without leak or erasure is never -0.0, so that adding 0.0 has no effect
        erased = isinstance(node, Neuron) and self._few is None
        self._biased = self._leaks or erased or bool(np.any(node.bias != 0))

    def run(self, x: Array, arrays: Mapping[str, Array] | None = None) -> Array:
        """Run more timesteps.

        Args:
            x: inputs (batch, time, *features).
            arrays: arrays (batch, time, *shape) that are filled, by field of ``LayerRecord``.

        Returns:
            Outputs (batch, time, *shape).
        """
        batch, time = x.shape[:2]
        out = np.zeros((batch, time, *self.node.shape))
        arrays = arrays or {}
        for t in range(time):
            self._step(x[:, t], out[:, t])
            if "v_mem" in arrays:
                arrays["v_mem"][:, t] = self.v
            for n, name in enumerate(("i_syn", "i_syn_2")):
                if name in arrays:
                    arrays[name][:, t] = self.i[..., n]
        if "spikes" in arrays:
            arrays["spikes"][...] = out
        return out

    def _step(self, x: Array, out: Array) -> None:
        """Advance by one step, and write its outputs into ``out``, which is zero."""
        node = self.node
        self._integrate(self._current(x))
        if self._few is not None:
            self._few.fire(self.v, out)
        elif isinstance(node, Neuron):
            out[...] = self._fire(node)
        else:
            out[...] = self.v * (node.v_scale if isinstance(node, MembraneReadout) else 1)
        if isinstance(node, Neuron) and node.v_min is not None:
            np.maximum(self.v, node.v_min, out=self.v)

    def _current(self, x: Array) -> Array:
        node = self.node
        if node.alpha_syn is None:
            return x
        x = x.reshape(self.i.shape)
        if node.syn_order == "add_decay":
            self.i += x
            self.i *= node.alpha_syn
        else:
            self.i *= node.alpha_syn
            self.i += x
        return self.i[..., 0] if node.synapses == 1 else np.asarray(self.i.sum(axis=-1))

    def _integrate(self, current: Array) -> None:
        node, v = self.node, self.v
        drive = node.gain * current if self._scales else current
        drive = drive + node.bias if self._biased else drive
        if self._rests:
            v -= node.v_leak
        if self._leaks:
            v *= node.alpha_mem
        if self._rests:
            v += node.v_leak
        if not isinstance(node, Neuron) or node.reset_when == "same" or node.reset == "none":
            v += drive
        elif node.reset == "subtract":
            v += drive
            v -= self._fired * _amount(node)
        elif node.reset_when == "next_undecayed":
            v *= 1 - self._fired
            v += drive
        else:
            v += drive
            v *= 1 - self._fired

    def _fire(self, node: Neuron) -> Array:
        n = _spike_count(node, self.v)
        self._fired, last = n, self._fired
        if node.reset_when == "same":
            self.v = _reset(node, self.v, n)
        elif node.reset_when == "next_corrected":
            self.v += (last - n) * _amount(node)
            self._fired = _spike_count(node, self.v)
        return np.asarray(n * node.spike_scale)


# ---- spikes of all neurons ----


def _amount(node: Neuron) -> Array:
    amount = node.v_threshold if node.reset_amount is None else node.reset_amount
    # a neuron with an infinite threshold never spikes, and 0 times infinity is no number
    return amount if np.isfinite(amount).all() else np.where(np.isinf(amount), 0.0, amount)


def _spike_count(node: Neuron, v: Array) -> Array:
    fires = v >= node.v_threshold if node.compare == "ge" else v > node.v_threshold
    return np.where(fires, _counts(node, v, node.v_threshold), 0.0)


def _counts(node: Neuron, v: Array, threshold: Array) -> Array | float:
    """Return the spikes of neurons that fire."""
    if node.max_spikes == 1:
        return 1.0
    # floor(v / threshold), at least one where it fires: 1.0 exactly at the threshold
    n = np.maximum(np.floor(v / threshold), 1.0)
    return n if node.max_spikes is None else np.minimum(n, node.max_spikes)


def _reset(node: Neuron, v: Array, n: Array) -> Array:
    if node.reset == "subtract":
        return np.asarray(v - n * _amount(node))
    if node.reset == "value":
        return np.where(n > 0, node.v_reset, v)
    if node.reset == "additive":
        return np.asarray(v * (n == 0) + node.v_reset)
    return v


# ---- spikes of the neurons that fire ----


def _resets_spikes_alone(node: Membrane) -> bool:
    """Return whether neurons that do not fire keep their membrane, and have 0.0 as output."""
    if not isinstance(node, Neuron) or node.reset == "additive":
        return False
    at_once = node.reset_when == "same" or node.reset == "none"
    return at_once and bool(np.isfinite(node.spike_scale).all() and np.all(node.spike_scale > 0))


class _FewSpikes:
    """Spikes and resets of the neurons that fire, with the same results as those of all."""

    def __init__(self, node: Membrane, batch: int) -> None:
        assert isinstance(node, Neuron)
        self.node, self.neurons = node, prod(node.shape)
        self.fires = np.zeros((batch, *node.shape), bool)
        self.threshold, self.amount, self.v_reset, self.scale = (
            value if value.ndim == 0 else np.broadcast_to(value, node.shape).ravel()
            for value in (node.v_threshold, _amount(node), node.v_reset, node.spike_scale)
        )

    def fire(self, v: Array, out: Array) -> None:
        """Reset the membranes ``v`` and write the outputs into ``out``, both (batch, *shape)."""
        node = self.node
        above = np.greater_equal if node.compare == "ge" else np.greater
        places = np.flatnonzero(above(v, node.v_threshold, out=self.fires))
        if not places.size:
            return
        sample, neuron = np.divmod(places, self.neurons)
        membranes = v.reshape(-1)
        fired = membranes[places]
        n = _counts(node, fired, _of(self.threshold, neuron))
        if node.reset == "subtract":
            membranes[places] = fired - n * _of(self.amount, neuron)
        elif node.reset == "value":
            membranes[places] = _of(self.v_reset, neuron)
        out.reshape(len(v), self.neurons)[sample, neuron] = n * _of(self.scale, neuron)


def _of(value: Array, neurons: Array) -> Array:
    """Return the value of each of some neurons; one number for all unchanged."""
    return value[neurons] if value.ndim else value
