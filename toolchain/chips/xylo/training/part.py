"""Backward pass of some samples: one piece of timesteps after the other, layer by layer.

All samples of the part are computed together. Within a piece, a layer that does not influence
itself is computed over all timesteps at once; layers that do, in every timestep.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.training import Slope
from toolchain.chips.xylo.lower.blocks import Block
from toolchain.chips.xylo.training.forward import XyloTape
from toolchain.chips.xylo.training.record import STEPS, Trace
from toolchain.chips.xylo.training.structure import Structure
from toolchain.chips.xylo.training.track import Track

__all__ = ["Part"]


class Part:
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
        slope: Slope | None,
        wanted: Collection[str],
    ) -> None:
        self._structure, self._tape, self._samples = structure, tape, samples
        self._slope, self._wanted = slope, wanted
        self._weights = {
            name: tape.integers[name].astype(np.float32)
            for name in {f"{block.projection.name}.weight" for block in structure.blocks}
        }
        self._sums = {
            name: np.zeros(self._weights[name].shape) for name in wanted if name in self._weights
        }

    def run(self, outer: Mapping[str, Array], entry: Array | None) -> dict[str, Array]:
        """Return the gradients of the wanted parameters, float64, one value a neuron.

        Args:
            outer: derivatives with respect to the values of layers, (batch, time, neurons).
            entry: (batch, time, inputs), where those of the input are written, or None.
        """
        structure, tape = self._structure, self._tape
        assert tape.record is not None
        steps = tape.counts.shape[1]
        size = min(STEPS, steps), len(self._samples)
        targets = {layer.target for layer in structure.layers.values()}
        self._tracks = {
            name: Track(layer, tape.integers.get(f"{name}.v_threshold"), *size, name in targets)
            for name, layer in structure.layers.items()
        }
        for trace in tape.record.backward(self._samples):
            for start in reversed(range(trace.first, trace.stop, STEPS)):
                self._piece(trace, range(start, min(trace.stop, start + STEPS)), outer, entry)
        found = dict(self._sums)
        for name, track in self._tracks.items():
            found |= track.sums(name, self._wanted)
        return found

    def _piece(
        self, trace: Trace, steps: range, outer: Mapping[str, Array], entry: Array | None
    ) -> None:
        here = slice(self._samples.start, self._samples.stop), slice(steps.start, steps.stop)
        for name, track in self._tracks.items():
            given = outer[name][here] if name in outer else None
            track.load(trace, self._samples, steps, given)
        for name, track in self._tracks.items():
            sources = [t for t in self._tracks.values() if t.layer.target == name]
            track.prepare(sources, self._slope)
        for group in self._structure.groups:
            self._group(group, len(steps))
        self._add(here, entry)

    def _group(self, group: tuple[str, ...], steps: int) -> None:
        """Compute layers that influence each other."""
        inside: dict[str, list[Block]] = {}
        for name in group:
            track = self._tracks[name]
            inside[name] = []
            for block in self._structure.blocks:
                if block.projection.pre != name:
                    continue
                if block.projection.post in group:
                    inside[name].append(block)
                else:
                    post = self._tracks[block.projection.post]
                    track.receive(post, self._weight(block), 0, steps)
        together = len(group) > 1 or any(inside.values())
        spans = [(t, t + 1) for t in reversed(range(steps))] if together else [(0, steps)]
        for first, stop in spans:
            for name in group:
                track = self._tracks[name]
                for block in inside[name]:
                    post = self._tracks[block.projection.post]
                    track.receive(post, self._weight(block), first, stop)
                if track.layer.target is not None:
                    track.pass_back(self._tracks[track.layer.target], first, stop)
                track.compute(first, stop)

    def _weight(self, block: Block) -> Array:
        return self._weights[f"{block.projection.name}.weight"]

    def _add(self, here: tuple[slice, slice], entry: Array | None) -> None:
        """Add the gradients of the weights, and write those of the input."""
        counts = None
        for block in self._structure.blocks:
            name = f"{block.projection.name}.weight"
            post = self._tracks[block.projection.post]
            if block.projection.pre in self._tracks:
                if name in self._sums:
                    sent = self._tracks[block.projection.pre].sent()
                    self._sums[name] += post.arriving_rows(1).T @ sent
                continue
            rows = post.arriving_rows(0)
            if counts is None:
                part = self._tape.counts[here].transpose(1, 0, 2)
                counts = np.ascontiguousarray(part, np.float32)
            if name in self._sums:
                self._sums[name] += rows.T @ counts.reshape(len(rows), -1)
            if entry is not None:
                found = (rows @ self._weights[name]).reshape(counts.shape)
                entry[here] += found.transpose(1, 0, 2)
