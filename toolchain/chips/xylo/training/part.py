"""Backward pass of some samples: one piece of timesteps after the other, layer by layer.

All samples of the part are computed together. Within a piece, a layer is computed over all
timesteps at once, unless it influences itself through other layers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.training import SurrogateSlope
from toolchain.chips.xylo.lower.blocks import Block
from toolchain.chips.xylo.training.forward import XyloTape
from toolchain.chips.xylo.training.layer import LayerPass, padded
from toolchain.chips.xylo.training.record import STEPS, RecordedSteps
from toolchain.chips.xylo.training.structure import Structure, TrainedLayer

__all__ = ["PartPass"]


class PartPass:
    """The gradients of some samples of a batch.

    Args:
        structure: the program.
        tape: the recorded pass.
        samples: the samples.
        slope: surrogate, None for the ramp.
        wanted: names of parameters.
    """

    def __init__(
        self,
        structure: Structure,
        tape: XyloTape,
        samples: range,
        slope: SurrogateSlope | None,
        wanted: Collection[str],
    ) -> None:
        self._structure, self._tape, self._samples = structure, tape, samples
        self._slope, self._wanted = slope, wanted
        self._weights = [self._padded(block) for block in structure.blocks]
        self._sums: dict[str, Array] = {
            name: np.zeros(tape.integers[name].shape) for name in wanted if _is_weight(name)
        }
        steps = min(STEPS, tape.counts.shape[1])
        targets = {layer.target for layer in structure.layers.values()}
        self._passes = {
            name: LayerPass(
                layer,
                tape.integers.get(f"{name}.v_threshold"),
                steps,
                len(samples),
                is_target=name in targets,
                recurrent=self._own_weights(name),
            )
            for name, layer in structure.layers.items()
        }

    def run(self, outer: Mapping[str, Array], entry: Array | None) -> dict[str, Array]:
        """Return the gradients of the wanted parameters, float64, one value a neuron.

        Args:
            outer: derivatives with respect to the values of layers, (batch, time, neurons).
            entry: (batch, time, inputs), where those of the input are written, or None.
        """
        assert self._tape.record is not None
        for trace in self._tape.record.backward(self._samples):
            for start in reversed(range(trace.first, trace.stop, STEPS)):
                self._piece(trace, range(start, min(trace.stop, start + STEPS)), outer, entry)
        found = dict(self._sums)
        for name, one in self._passes.items():
            found |= one.sums(name, self._wanted)
        return found

    def _padded(self, block: Block) -> Array:
        """Return the weight of a block, (width * synapses, sources), both with padding."""
        layer = self._structure.layers[block.projection.post]
        weight = self._tape.integers[f"{block.projection.name}.weight"]
        synapses = layer.keep_syn.shape[1]
        rows, sources = padded(layer.neurons) * synapses, padded(weight.shape[1])
        found = np.zeros((rows, sources), np.float32)
        found[: len(weight), : weight.shape[1]] = weight
        return found

    def _own_weights(self, name: str) -> Array:
        """Return the sum of a layer's connections to itself."""
        found = np.zeros((0, 0), np.float32)
        for block, weight in zip(self._structure.blocks, self._weights, strict=True):
            if block.projection.pre == block.projection.post == name:
                found = found + weight if found.size else weight
        return found

    def _piece(
        self, trace: RecordedSteps, steps: range, outer: Mapping[str, Array], entry: Array | None
    ) -> None:
        here = slice(self._samples.start, self._samples.stop), slice(steps.start, steps.stop)
        for name, one in self._passes.items():
            given = outer[name][here] if name in outer else None
            one.load(trace, self._samples, steps, given)
        for name, one in self._passes.items():
            sources = [t for t in self._passes.values() if t.layer.target == name]
            one.prepare(sources, self._slope)
        for group in self._structure.groups:
            self._group(group, len(steps))
        self._add(trace, steps)
        if entry is not None:
            self._write(entry[here])

    def _group(self, group: tuple[str, ...], steps: int) -> None:
        """Compute layers that influence each other."""
        for name in group:
            for post, weight in self._fed(name):
                if post.layer.name not in group:
                    self._passes[name].receive(post, weight, 0, steps)
        spans = [(t, t + 1) for t in reversed(range(steps))] if len(group) > 1 else [(0, steps)]
        for first, stop in spans:
            for name in group:
                one = self._passes[name]
                for post, weight in self._fed(name):
                    if post.layer.name in group:
                        one.receive(post, weight, first, stop)
                if one.layer.target is not None:
                    one.pass_back(self._passes[one.layer.target], first, stop)
                one.compute(first, stop)

    def _fed(self, name: str) -> Iterator[tuple[LayerPass, Array]]:
        """Yield the other layers that a layer feeds, with the weights."""
        for block, weight in zip(self._structure.blocks, self._weights, strict=True):
            if block.projection.pre == name != block.projection.post:
                yield self._passes[block.projection.post], weight

    def _add(self, trace: RecordedSteps, steps: range) -> None:
        """Add the gradients of the weights."""
        for block in self._structure.blocks:
            name = f"{block.projection.name}.weight"
            if name not in self._sums:
                continue
            post = self._passes[block.projection.post]
            pre = self._structure.layers.get(block.projection.pre)
            rows = self._sums[name].shape[0]
            self._sums[name] += self._products(trace, steps, pre, post)[:, :rows].T

    def _products(
        self, trace: RecordedSteps, steps: range, pre: TrainedLayer | None, post: LayerPass
    ) -> Array:
        """Return the sum of products of spikes and of what each changes, (sources, width)."""
        # numba takes a third of a second to import
        from toolchain.chips.xylo.training import kernel

        sample, step, neuron = self._samples.start, steps.start, 0
        if pre is None:
            # an input arrives in its own step; its counts fit seven bits
            recorded, arriving = self._tape.counts.view(np.int8), post.arriving(0)
            sources = recorded.shape[2]
        else:
            recorded, arriving = trace.of(pre)[0], post.arriving(1)
            sample, step = sample - trace.sample, step - trace.first
            neuron, sources = pre.place.start, pre.neurons
        total = np.zeros((sources, arriving.shape[2]), np.float32)
        places = np.empty(sources, np.int64)
        kernel.accumulate(arriving, recorded, sample, step, neuron, total, places)
        return total

    def _write(self, entry: Array) -> None:
        """Write the derivatives with respect to the input, (samples, steps, inputs)."""
        # numba takes a third of a second to import
        from toolchain.chips.xylo.training import kernel

        total = np.zeros((*entry.shape[1::-1], padded(entry.shape[2])), np.float32)
        for block, weight in zip(self._structure.blocks, self._weights, strict=True):
            if block.projection.pre not in self._passes:
                post = self._passes[block.projection.post]
                kernel.multiply(post.arriving(0), weight, total)
        entry[:] = total[..., : entry.shape[2]].transpose(1, 0, 2)


def _is_weight(name: str) -> bool:
    return name.endswith(".weight")
