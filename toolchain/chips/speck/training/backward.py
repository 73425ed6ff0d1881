r"""The surrogate gradient of a loss, layer by layer from the last to the first.

With spikes :math:`n_t`, the membrane :math:`V_t` at the end of a step, threshold :math:`\theta`,
the membrane before firing :math:`v_t = V_t + n_t\theta`, slope :math:`g(v_t)` and the gradient
:math:`e_t` of the spikes:

.. math::
    r_t &= \partial L / \partial v_{t+1}, \quad
        0 \text{ where } n_t = 0 \text{ and } V_t \text{ is at the floor} \\
    \partial L / \partial v_t &= r_t + (e_t - r_t \theta)\, g(v_t) \\
    \partial L / \partial \theta &= -\textstyle\sum (e_t - r_t\theta)\, g(v_t)\, v_t / \theta
        + r_t n_t

A neuron that returns to zero has no :math:`r_t` where it fires, and no :math:`r_t\theta` and
:math:`r_t n_t`; what its membrane had above :math:`n_t\theta` is not recorded. Inputs and biases
are added to the membrane, so that :math:`\partial L / \partial v_t` is their gradient as well.

The clamp to 16 bits is passed as if it were not there. In event timing a step has many events, and
the same equations with the spikes of the step and the membrane at its end are an approximation. A
membrane that an event takes to the floor forgets what it was before, though it may be far above the
floor at the end of the step; and what it lost there were negative inputs. The record shows both:

.. math::
    l_t = V_t - (V_{t-1} + b + \textstyle\sum w x - n_t\theta), \quad
    s_t = 1 - \min\bigl(1,\ l_t / \textstyle\sum |\min(w, 0)|\, x\bigr)

So :math:`\partial L / \partial v_t` is not handed on to :math:`V_{t-1}` where :math:`l_t > 0`, and
is :math:`s_t` times as large for inputs through negative weights (their mean for weights of 0).

Samples do not depend on each other, and neither do steps within a layer, once its neurons have been
gone through. So a batch is divided into parts, always the same whatever the number of threads; each
goes from the last segment of its record to the first, and hands the gradient of the membranes on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import each
from toolchain.chips.speck.outputs import channel_step
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.speck.training import kernels
from toolchain.chips.speck.training.connections import Connection, connections
from toolchain.chips.speck.training.parameters import CoreParameters
from toolchain.chips.speck.training.tape import Segment, SpeckTape
from toolchain.chips.training import Slope

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
        slope: Slope | None,
        *,
        of_input: bool,
    ) -> None:
        self._program, self._layers, self._tape, self._slope = program, layers, tape, slope
        self._outer = {name: np.asarray(values, np.float32) for name, values in outer.items()}
        self._steps = {layer.core.name: channel_step(program, layer.core.name) for layer in layers}
        self._connections: dict[str, dict[int, list[Connection]]] = {}
        self._chosen: dict[str, dict[int, Array]] = {}
        for layer in layers:
            found = connections(program, layer, tape.integers)
            self._connections[layer.core.name] = {
                sign: [replace(c, weight=_of_sign(c.weight, sign)) for c in found]
                for sign in (0, 1, -1)
            }
            # a weight of 0 may become one of either sign
            sign_of = np.sign(self._arranged(layer))
            self._chosen[layer.core.name] = {0: np.ones_like(sign_of)} | {
                sign: (1 + sign * sign_of) / 2 for sign in (1, -1)
            }
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
            for name, one in sums.items():
                total[name].add(one)
        found: dict[str, Array] = {}
        with np.errstate(over="ignore"):  # the caller checks for infinities
            for layer in self._layers:
                self._parameters(layer, total[layer.core.name], found)
        result = {name: found[name] for name in wanted}
        if self._input is not None:
            result[INPUT] = _before_sensor(
                self._program.sensor, self._program.input_shape, self._input
            )
        return result

    def _no_sums(self) -> dict[str, Sums]:
        return {
            layer.core.name: Sums(
                weight=np.zeros(self._found_shape(layer)),
                bias=np.zeros(layer.core.output_shape[0]),
            )
            for layer in self._layers
        }

    def _parameters(self, layer: CoreParameters, sums: Sums, found: dict[str, Array]) -> None:
        """Add the gradients of the parameters of a layer."""
        outputs, inputs, height, width = layer.core.weight.shape
        by_kernel = sums.weight.reshape(inputs, height, width, outputs)[:, :, ::-1]
        of_core = by_kernel.transpose(3, 0, 1, 2)
        found[layer.weight.name] = layer.weight_gradient(of_core).astype(np.float32)
        if layer.bias is not None:
            found[layer.bias.name] = sums.bias[:: layer.step].astype(np.float32)
        found[layer.threshold.name] = np.array(sums.threshold, np.float32)

    def _found_shape(self, layer: CoreParameters) -> tuple[int, int, int]:
        outputs, inputs, height, width = layer.core.weight.shape
        return inputs, height, width * outputs

    # ---- one part of the samples ----

    def _part(self, part: range) -> dict[str, Sums]:
        """Return the sums of some samples."""
        total = self._no_sums()
        neurons = sum(math.prod(layer.core.output_shape) for layer in self._layers)
        longest = max((stop - start for start, stop in self._tape.segments), default=0)
        together = max(1, min(len(part), VALUES // max(1, longest * neurons)))
        for first in range(part.start, part.stop, together):
            samples = range(first, min(first + together, part.stop))
            carried = {
                layer.core.name: np.zeros(
                    (2, len(samples), math.prod(layer.core.output_shape)), np.float32
                )
                for layer in self._layers
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
        for layer in reversed(self._layers):
            name = layer.core.name
            delta = self._received(layer, inner.pop(name, None), samples, start, stop)
            by_sign = self._scan(layer, record, delta, carried[name], stop - start)
            channels = layer.core.output_shape[0]
            if layer.bias is not None:
                total[name].bias += delta.reshape(-1, channels).sum(0, dtype=np.float64)
            for sign, inputs in by_sign:
                found = np.zeros(self._found_shape(layer), np.float32)
                for connection in self._connections[name][sign]:
                    _add_weights(connection, record, inputs, found, stop - start)
                    if connection.source is not None or self._input is not None:
                        _send_back(connection, inputs, inner, stop - start)
                total[name].weight += found * self._chosen[name][sign]
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

    def _scan(
        self, layer: CoreParameters, record: Segment, outer: Array, sums: Array, steps: int
    ) -> list[tuple[int, Array]]:
        """Replace the gradient of the spikes of a layer by that of its membranes.

        Returns:
            The gradient of inputs by the sign of their weights; sign 0 is that of all.
        """
        core, places = layer.core, record.places
        threshold = self._tape.integers[layer.threshold.name].astype(np.float32)
        spikes_at, v_mem_at = (p[core.name].start for p in (places.spikes, places.v_mem))
        size = outer.shape[1]
        slope = drive = np.zeros((len(outer), 0), np.float32)
        start, share = np.zeros((len(outer), 0), np.int16), None
        if self._slope is not None or record.start:
            n = record.spikes[:, spikes_at : spikes_at + size].astype(np.float32)
            v = record.v_mem[:, v_mem_at : v_mem_at + size].astype(np.float32)
        if self._slope is not None:
            at = v + n * threshold
            slope = np.ascontiguousarray(self._slope(at, threshold), np.float32).reshape(at.shape)
        if record.start:
            start = record.start[core.name]
            positive, negative = (self._drive(layer, record, v.shape, steps, s) for s in (1, -1))
            drive = positive + negative
            before = np.concatenate([start, v[:, : -start.shape[1]]], 1, dtype=np.float32)
            lost = np.maximum(v - before - drive + n * threshold, 0)
            share = 1 - np.minimum(1, lost / np.minimum(negative, -np.float32(1e-6)) * -1)
        floor = max(core.threshold_low, -32768)
        rule = np.array([threshold, floor, not core.return_to_zero], np.float32)
        spikes, v_mem = record.spikes, record.v_mem
        kernels.scan(
            steps, spikes, v_mem, spikes_at, v_mem_at, start, drive, slope, outer, sums, rule
        )
        return [(0, outer)] if share is None else [(1, outer), (-1, outer * share)]

    def _drive(
        self, layer: CoreParameters, record: Segment, shape: tuple[int, ...], steps: int, sign: int
    ) -> Array:
        """Return the summed inputs of one sign in each step, (samples, steps * neurons)."""
        bias = _of_sign(layer.biases(self._tape.integers), sign)
        drive = np.zeros(shape, np.float32)
        drive.reshape(-1, bias.size)[:] = bias
        weight = _of_sign(self._arranged(layer), sign)
        for connection in self._connections[layer.core.name][sign]:
            _add_weights(connection, record, drive, weight, steps, forward=True)
        return drive

    def _arranged(self, layer: CoreParameters) -> Array:
        """Return the weights of a core, float32, as ``kernels.of_weights`` reads them."""
        weight = layer.weights(self._tape.integers)[..., ::-1].transpose(1, 2, 3, 0)
        return np.ascontiguousarray(weight.reshape(self._found_shape(layer)), np.float32)


def _of_sign(values: Array, sign: int) -> Array:
    """Return the values of one sign, 0 in place of others; all for sign 0."""
    return values if sign == 0 else np.where(values * sign > 0, values, 0).astype(values.dtype)


def _add_weights(
    connection: Connection,
    record: Segment,
    inputs: Array,
    weights: Array,
    steps: int,
    *,
    forward: bool = False,
) -> None:
    """Add the gradient of the weights between a core and one of its sources.

    ``forward`` adds to the inputs of the core instead what these weights contribute.
    """
    mine, rows, columns = weights[connection.channels], connection.rows, connection.columns
    g = connection.geometry
    if connection.source is None:
        for sample, events in enumerate(record.events):
            kernels.of_events(events, inputs[sample], rows, columns, mine, forward, g)
        return
    pooled = np.zeros(g.source_channels, np.int32)
    at = record.places.spikes[connection.source].start
    spikes = record.spikes
    kernels.of_weights(steps, spikes, at, inputs, pooled, rows, columns, mine, forward, g)


def _send_back(
    connection: Connection, delta: Array, inner: dict[str | None, Array], steps: int
) -> None:
    """Add the gradient of the spikes of one source of a core."""
    g = connection.geometry
    size = steps * g.source_height * g.source_width * g.source_channels
    if connection.source not in inner:
        inner[connection.source] = np.zeros((len(delta), size), np.float32)
    scratch = np.empty((g.height + 2 * g.pad_y) * (g.width + 2 * g.pad_x) * g.source_channels, "f4")
    some, sums = np.empty(g.outputs + 1, np.int64), np.empty(connection.weight.shape[1], "f4")
    found = inner[connection.source]
    kernels.of_sources(steps, delta, connection.weight, scratch, some, sums, found, g)


def _before_sensor(sensor: SpeckSensor | None, shape: tuple[int, int, int], behind: Array) -> Array:
    """Return the gradient of the input, (batch, time, channels, y, x), before the sensor."""
    if sensor is None:
        return np.ascontiguousarray(np.moveaxis(behind, -1, 2))
    kept, channel, y, x = sensor.addresses(*np.indices(shape))
    found = np.zeros((*behind.shape[:2], *shape), np.float32)
    found[:, :, kept] = behind[:, :, y[kept], x[kept], channel[kept]]
    return found
