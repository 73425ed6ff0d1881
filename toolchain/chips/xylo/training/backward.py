"""Surrogate gradients of a recorded pass, backward in time.

With ``n`` spikes, ``v`` the membrane before firing, ``V`` after it, ``i`` the current, ``k`` the
factors that membrane and current keep over a step, ``g`` the slope of the spikes and ``d x`` the
derivative of the loss with respect to ``x``::

    d n[t] = outer[t] + W' d in[t + 1]          (a hidden spike arrives one step later)
    d V[t] = k_mem d v[t + 1]
    d v[t] = d V[t] + (d n[t] - threshold d V[t]) g[t]
    d in[t] = k_syn (d v[t] + d in[t + 1])      (input decays once before it acts)

The rounding of the decays and the limits of the states are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import each
from toolchain.chips.training import Slope
from toolchain.chips.xylo.lower.blocks import Block
from toolchain.chips.xylo.training.forward import Trace, XyloTape
from toolchain.chips.xylo.training.structure import Layer, Structure
from toolchain.ir import Neuron

__all__ = ["gradients"]

SAMPLES = 32
"""Samples that are computed together."""
STEPS = 32
"""Timesteps whose gradients of the weights are computed together."""


def gradients(
    structure: Structure,
    tape: XyloTape,
    outer: Mapping[str, Array],
    wanted: Collection[str],
    slope: Slope | None,
    of_input: bool,
) -> dict[str, Array]:
    """Return the gradients of the parameters ``wanted``; see ``TrainableProgram``.

    Raises:
        ValueError: a tape of a pass without gradients, or derivatives of another shape.
    """
    if tape.trace is None:
        raise ValueError("the tape is of a pass without gradient=True")
    batch, steps, inputs = tape.counts.shape
    found: dict[str, Array] = {}
    if of_input:
        found["input"] = np.zeros((batch, steps, inputs), np.float32)
    given = {name: _given(structure.layers[name], tape, outer[name]) for name in outer}
    parts = [range(i, min(batch, i + SAMPLES)) for i in range(0, batch, SAMPLES)]

    def run(samples: range) -> _Pass:
        with np.errstate(all="ignore"):
            return _Pass(structure, tape, given, samples, slope, wanted, found.get("input"))

    sums = [part.sums for part in each(run, parts, tape.threads)]
    with np.errstate(all="ignore"):
        for name in wanted:
            found[name] = _total(structure, tape, name, [part[name] for part in sums])
    if of_input:
        shape = structure.graph.shape(structure.graph.input)
        found["input"] = found["input"].reshape(batch, steps, *shape)
    return found


def _given(layer: Layer, tape: XyloTape, outer: Array) -> Array:
    shape = (*tape.counts.shape[:2], *layer.shape)
    if outer.shape != shape:
        raise ValueError(f"outer of {layer.name} must have shape {shape}, got {outer.shape}")
    return np.asarray(outer, np.float32).reshape(*shape[:2], layer.neurons)


def _total(structure: Structure, tape: XyloTape, name: str, parts: list[Array]) -> Array:
    """Return the sum of the parts in the shape of a parameter."""
    shape = tape.integers[name].shape
    total = np.zeros(shape)
    for part in parts:
        total += _summed_to(part, shape)
    return total.astype(np.float32)


def _summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Return the gradient of an array of ``shape`` that was broadcast to that of ``gradient``."""
    extra = gradient.ndim - len(shape)
    summed = gradient.sum(axis=tuple(range(extra)))
    wide = tuple(i for i, size in enumerate(shape) if size == 1 and summed.shape[i] != 1)
    return np.asarray(summed.sum(axis=wide, keepdims=True))


class _Pass:
    """The backward pass of some samples."""

    def __init__(
        self,
        structure: Structure,
        tape: XyloTape,
        outer: Mapping[str, Array],
        samples: range,
        slope: Slope | None,
        wanted: Collection[str],
        of_input: Array | None,
    ) -> None:
        assert tape.trace is not None
        self._structure, self._outer, self._slope = structure, outer, slope
        self._samples, self._wanted, self._of_input = samples, wanted, of_input
        self._counts, self._integers = tape.counts, tape.integers
        self._weights = {
            name: value.astype(np.float32)
            for name, value in tape.integers.items()
            if name.endswith(".weight")
        }
        self.sums = {name: np.zeros(tape.integers[name].shape) for name in wanted}
        for name, layer in structure.layers.items():
            for field in ("v_threshold", "bias"):
                if f"{name}.{field}" in wanted:
                    self.sums[f"{name}.{field}"] = np.zeros(layer.shape)
        states = {
            name: (layer.neurons, layer.keep_syn.size) for name, layer in structure.layers.items()
        }
        size = len(samples)
        self._membranes = {n: np.zeros((size, s), np.float32) for n, (s, _) in states.items()}
        self._arriving = {n: np.zeros((size, s), np.float32) for n, (_, s) in states.items()}
        steps = tape.counts.shape[1]
        for start in reversed(range(0, steps, STEPS)):
            self._segment(tape.trace, range(start, min(steps, start + STEPS)))

    def _segment(self, trace: Trace, steps: range) -> None:
        size = len(steps), len(self._samples)
        arriving: dict[str, Array] = {}
        for name, layer in self._structure.layers.items():
            arriving[name] = np.zeros((size[0] + 1, size[1], layer.keep_syn.size), np.float32)
            arriving[name][-1] = self._arriving[name]
        spikes = {
            name: self._cut(trace.spikes(layer), steps)
            for name, layer in self._structure.layers.items()
        }
        for t in reversed(range(len(steps))):
            totals: dict[str, Array] = {}
            for group in self._structure.groups:
                for name in group:
                    self._step(trace, steps, t, name, arriving, spikes, totals)
        for name, each_arriving in arriving.items():
            self._arriving[name] = each_arriving[0].copy()
        self._add_weights(steps, arriving, spikes)

    def _cut(self, recorded: Array, steps: range) -> Array:
        """Return (steps, samples, neurons) float32."""
        part = recorded[
            self._samples.start : self._samples.stop, steps.start : steps.stop
        ].transpose(1, 0, 2)
        return np.ascontiguousarray(part, np.float32)

    def _step(
        self,
        trace: Trace,
        steps: range,
        t: int,
        name: str,
        arriving: Mapping[str, Array],
        spikes: Mapping[str, Array],
        totals: dict[str, Array],
    ) -> None:
        layer = self._structure.layers[name]
        total = np.zeros((len(self._samples), layer.neurons), np.float32)
        for block in self._structure.blocks:
            if block.projection.pre == name:
                weight = self._weights[f"{block.projection.name}.weight"]
                total += arriving[block.projection.post][t + 1] @ weight
        if layer.target is not None:
            cap = self._structure.layers[layer.target].cap
            total += totals[layer.target] * (spikes[layer.target][t] < cap)
        totals[name] = total
        outer = 0.0
        here = slice(self._samples.start, self._samples.stop), steps[t]
        if name in self._outer:
            outer = self._outer[name][here]
        received = self._received(name, spikes, t)
        own = spikes[name][t] - received
        threshold = self._threshold(name)
        before = trace.membranes(layer)[here].astype(np.float32)
        if layer.fires:
            before = before + own * threshold
        relative = before / threshold
        d_reset = self._membranes[name]
        if not layer.fires:
            slope = np.zeros_like(before)
            d_own = total
            d_reset = d_reset + outer
        else:
            d_own = total + outer
            if self._slope is None:
                slope = np.clip(relative, 0, 1) / threshold
            else:
                slope = np.asarray(self._slope(before, np.broadcast_to(threshold, before.shape)))
            slope = np.where(relative > layer.cap - received + 1.5, 0, slope)
        answer = (d_own - d_reset * threshold) * slope
        d_before = d_reset + answer
        keep = layer.keep_syn
        later = arriving[name][t + 1].reshape(-1, *keep.shape)
        arriving[name][t] = (keep * (d_before[..., None] + later)).reshape(len(self._samples), -1)
        self._membranes[name] = layer.keep_mem * d_before
        if f"{name}.v_threshold" in self.sums:
            change = -(answer * relative + d_reset * own).sum(axis=0, dtype=np.float64)
            self.sums[f"{name}.v_threshold"] += change.reshape(layer.shape)
        if f"{name}.bias" in self.sums:
            change = d_before.sum(axis=0, dtype=np.float64)
            self.sums[f"{name}.bias"] += change.reshape(layer.shape)

    def _threshold(self, name: str) -> Array:
        layer = self._structure.layers[name]
        if not isinstance(self._structure.graph[name], Neuron):
            return np.float32(32767) * np.ones(layer.neurons, np.float32)
        value = np.broadcast_to(self._integers[f"{name}.v_threshold"], layer.shape)
        return value.ravel().astype(np.float32)

    def _received(self, name: str, spikes: Mapping[str, Array], t: int) -> Array:
        found = np.zeros_like(spikes[name][t])
        for source, layer in self._structure.layers.items():
            if layer.target == name:
                found += spikes[source][t]
        return np.minimum(found, self._structure.layers[name].cap)

    def _add_weights(
        self, steps: range, arriving: Mapping[str, Array], spikes: Mapping[str, Array]
    ) -> None:
        counts = self._cut(self._counts, steps)
        for block in self._structure.blocks:
            rows, from_input = self._rows(block, arriving)
            name = f"{block.projection.name}.weight"
            if name in self.sums:
                sent = counts if from_input else spikes[block.projection.pre]
                self.sums[name] += rows.T @ sent.reshape(len(rows), -1)
            if from_input and self._of_input is not None:
                found = (rows @ self._weights[name]).reshape(counts.shape).transpose(1, 0, 2)
                here = slice(self._samples.start, self._samples.stop)
                self._of_input[here, steps.start : steps.stop] += found

    def _rows(self, block: Block, arriving: Mapping[str, Array]) -> tuple[Array, bool]:
        """Return what each spike of a connection changes, and whether it comes from the input.

        An input arrives in its own step.
        """
        part = arriving[block.projection.post]
        from_input = block.projection.pre not in self._structure.layers
        part = part[:-1] if from_input else part[1:]
        return part.reshape(-1, part.shape[2]), from_input
