r"""The surrogate gradient of a loss, layer by layer from the last to the first.

Samples do not depend on each other, and neither do steps within a layer, once its neurons have been
gone through. So a batch is divided into parts, always the same whatever the number of threads; each
goes from the last segment of its record to the first, and hands the gradient of the membranes on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import each
from toolchain.chips.speck.outputs import channel_step
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.speck.training.layer import BackwardLayer
from toolchain.chips.speck.training.parameters import CoreParameters
from toolchain.chips.speck.training.tape import SpeckTape
from toolchain.chips.training import SurrogateSlope

__all__ = ["INPUT", "BackwardPass"]

INPUT = "input"
"""Name of the gradient of the input."""

PARTS = 8
"""Parts of a batch; each has its own sums."""
VALUES = 2**19
"""Gradients of neurons of one part of a segment that are computed together."""


@dataclass(slots=True, kw_only=True, eq=False)
class Sums:
    """Gradients of one layer, summed over samples and steps, float64.

    Attributes:
        weight: of the weights of the core, as ``kernels.of_weights`` adds them.
        bias: (outputs,).
        threshold: of the threshold.
    """

    weight: Array
    bias: Array
    threshold: float = 0.0

    def add(self, other: Sums) -> None:
        """Add the sums of other samples."""
        self.weight += other.weight
        self.bias += other.bias
        self.threshold += other.threshold


class BackwardPass:
    """One backward pass along a tape.

    Args:
        program: the program; its own integers are not used.
        layers: parameters of each core.
        tape: of the forward pass.
        outer: gradient of the values of layers, (batch, time, *shape).
        slope: surrogate; None for the ramp.
        of_input: whether the gradient of the input is wanted.
    """

    def __init__(
        self,
        program: SpeckProgram,
        layers: tuple[CoreParameters, ...],
        tape: SpeckTape,
        outer: Mapping[str, Array],
        slope: SurrogateSlope | None,
        *,
        of_input: bool,
    ) -> None:
        self._program, self._tape = program, tape
        self._layers = [BackwardLayer(program, one, tape.integers, slope) for one in layers]
        self._outer = {name: np.asarray(values, np.float32) for name, values in outer.items()}
        self._steps = {layer.core.name: channel_step(program, layer.core.name) for layer in layers}
        self._input: Array | None = None
        if of_input:
            channels, height, width = program.input_map
            self._input = np.zeros((tape.batch, tape.steps, height, width, channels), np.float32)

    def run(self, wanted: Collection[str]) -> dict[str, Array]:
        """Return the gradients of the parameters in ``wanted``, and of the input; float32."""
        number = min(PARTS, self._tape.batch)
        batch = self._tape.batch
        parts = [range(batch * i // number, batch * (i + 1) // number) for i in range(number)]
        total = self._no_sums()
        for sums in each(self._part, parts, self._tape.threads):
            for name, part in sums.items():
                total[name].add(part)
        found: dict[str, Array] = {}
        with np.errstate(over="ignore"):  # the caller checks for infinities
            for one in self._layers:
                _add_parameters(one.layer, total[one.layer.core.name], found)
        result = {name: found[name] for name in wanted}
        if self._input is not None:
            result[INPUT] = _before_sensor(
                self._program.sensor, self._program.input_shape, self._input
            )
        return result

    def _no_sums(self) -> dict[str, Sums]:
        return {
            one.layer.core.name: Sums(
                weight=np.zeros(one.shape), bias=np.zeros(one.layer.core.output_shape[0])
            )
            for one in self._layers
        }

    # ---- one part of the samples ----

    def _part(self, part: range) -> dict[str, Sums]:
        """Return the sums of some samples."""
        total = self._no_sums()
        neurons = sum(one.neurons for one in self._layers)
        longest = max((stop - start for start, stop in self._tape.segments), default=0)
        together = max(1, min(len(part), VALUES // max(1, longest * neurons)))
        for first in range(part.start, part.stop, together):
            samples = range(first, min(first + together, part.stop))
            carried = {
                one.layer.core.name: np.zeros((2, len(samples), one.neurons), np.float32)
                for one in self._layers
            }
            for number in reversed(range(len(self._tape.segments))):
                self._segment(number, samples, carried, total)
            for name, (_, of_threshold) in carried.items():
                total[name].threshold += float(of_threshold.sum(dtype=np.float64))
        return total

    def _segment(
        self, number: int, samples: range, carried: Mapping[str, Array], total: Mapping[str, Sums]
    ) -> None:
        """Add the sums of one segment; ``carried`` is the gradient of each layer's membranes."""
        assert self._tape.read is not None
        record = self._tape.read(number, samples)
        start, stop = self._tape.segments[number]
        inner: dict[str | None, Array] = {}
        if self._input is not None:
            of_input = self._input[samples.start : samples.stop, start:stop]
            inner[None] = np.zeros((len(samples), of_input[0].size), np.float32)
        for one in reversed(self._layers):
            layer, name = one.layer, one.layer.core.name
            delta = self._received(layer, inner.pop(name, None), samples, start, stop)
            by_sign = one.scan(record, delta, carried[name], stop - start)
            if layer.bias is not None:
                channels = layer.core.output_shape[0]
                total[name].bias += delta.reshape(-1, channels).sum(0, dtype=np.float64)
            total[name].weight += one.add_inputs(record, by_sign, inner, stop - start)
        if self._input is not None:
            of_input += inner[None].reshape(of_input.shape)

    def _received(
        self, layer: CoreParameters, inner: Array | None, samples: range, start: int, stop: int
    ) -> Array:
        """Return the gradient of the spikes of a layer, (samples, steps * neurons)."""
        name, (channels, height, width) = layer.core.name, layer.core.output_shape
        steps = stop - start
        size = steps * channels * height * width
        total = np.zeros((len(samples), size), np.float32) if inner is None else inner
        if name in self._outer:
            outer = self._outer[name][samples.start : samples.stop, start:stop]
            maps = total.reshape(len(samples), steps, height, width, channels)
            maps[..., :: self._steps[name]] += np.moveaxis(outer, 2, -1)
        return total


def _before_sensor(sensor: SpeckSensor | None, shape: tuple[int, int, int], behind: Array) -> Array:
    """Return the gradient of the input, (batch, time, channels, y, x), before the sensor."""
    if sensor is None:
        return np.ascontiguousarray(np.moveaxis(behind, -1, 2))
    kept, channel, y, x = sensor.addresses(*np.indices(shape))
    found = np.zeros((*behind.shape[:2], *shape), np.float32)
    found[:, :, kept] = behind[:, :, y[kept], x[kept], channel[kept]]
    return found


def _add_parameters(layer: CoreParameters, sums: Sums, found: dict[str, Array]) -> None:
    """Add the gradients of the parameters of a layer."""
    outputs, inputs, height, width = layer.core.weight.shape
    by_kernel = sums.weight.reshape(inputs, height, width, outputs)[:, :, ::-1]
    of_core = by_kernel.transpose(3, 0, 1, 2)
    found[layer.weight.name] = layer.weight_gradient(of_core).astype(np.float32)
    if layer.bias is not None:
        found[layer.bias.name] = sums.bias[:: layer.step].astype(np.float32)
    found[layer.threshold.name] = np.array(sums.threshold, np.float32)
