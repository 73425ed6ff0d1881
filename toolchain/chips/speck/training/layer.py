r"""The backward pass of one layer: the surrogate gradient of its neurons and of their inputs.

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
Without a negative input :math:`s_t` is 0 where :math:`l_t > 0`, else 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.training import kernels
from toolchain.chips.speck.training.connections import CoreConnection, connections
from toolchain.chips.speck.training.parameters import CoreParameters
from toolchain.chips.speck.training.scan import scan
from toolchain.chips.speck.training.tape import Segment
from toolchain.chips.training import SurrogateSlope

__all__ = ["BackwardLayer"]


class BackwardLayer:
    """A layer of a backward pass.

    Args:
        program: the program; its own integers are not used.
        layer: parameters of the layer.
        integers: values of all parameters.
        slope: surrogate; None for the ramp.

    Attributes:
        layer: as given.
        neurons: number of neurons of the layer.
        shape: of the gradient of weights: (inputs, kernel y, kernel x reversed * outputs).
    """

    def __init__(
        self,
        program: SpeckProgram,
        layer: CoreParameters,
        integers: Mapping[str, Array],
        slope: SurrogateSlope | None,
    ) -> None:
        self.layer, self._slope = layer, slope
        self.neurons = math.prod(layer.core.output_shape)
        outputs, inputs, height, width = layer.core.weight.shape
        self.shape = (inputs, height, width * outputs)
        self._threshold = integers[layer.threshold.name].astype(np.float32)
        self._bias = layer.biases(integers)
        weight = layer.weights(integers)[..., ::-1].transpose(1, 2, 3, 0)
        self._weight = np.ascontiguousarray(weight.reshape(self.shape), np.float32)
        found = connections(program, layer, integers)
        self._connections = {
            sign: [replace(c, weight=_of_sign(c.weight, sign)) for c in found]
            for sign in (0, 1, -1)
        }

    def scan(
        self, record: Segment, outer: Array, sums: Array, steps: int
    ) -> list[tuple[int, Array]]:
        """Replace the gradient of the spikes of the layer by that of its membranes.

        Args:
            record: of the segment.
            outer: gradient of the spikes, (samples, steps * neurons).
            sums: see ``scan``; handed on from the later segments.
            steps: of the segment.

        Returns:
            The gradient of inputs by the sign of their weights; sign 0 is that of all.
        """
        core, places = self.layer.core, record.places
        threshold = self._threshold
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
            positive, negative = (self._drive(record, v.shape, steps, s) for s in (1, -1))
            drive = positive + negative
            before = np.concatenate([start, v[:, : -start.shape[1]]], 1, dtype=np.float32)
            lost = np.maximum(v - before - drive + n * threshold, 0)
            # lost without a negative input, the membrane starts below its floor: one more negative
            # input would be lost too, so that the share is 0
            share = 1 - np.minimum(1, lost / np.minimum(negative, -np.float32(1e-6)) * -1)
        floor = max(core.threshold_low, -32768)
        rule = np.array([threshold, floor, not core.return_to_zero], np.float32)
        spikes, v_mem = record.spikes, record.v_mem
        scan(steps, spikes, v_mem, spikes_at, v_mem_at, start, drive, slope, outer, sums, rule)
        return [(0, outer)] if share is None else [(1, outer), (-1, outer * share)]

    def _drive(self, record: Segment, shape: tuple[int, ...], steps: int, sign: int) -> Array:
        """Return the summed inputs of one sign in each step, (samples, steps * neurons)."""
        bias = _of_sign(self._bias, sign)
        drive = np.zeros(shape, np.float32)
        drive.reshape(-1, bias.size)[:] = bias
        weight = _of_sign(self._weight, sign)
        for connection in self._connections[sign]:
            _add_weights(connection, record, drive, weight, steps, forward=True)
        return drive

    def add_inputs(
        self,
        record: Segment,
        by_sign: list[tuple[int, Array]],
        inner: dict[str | None, Array],
        steps: int,
    ) -> Array:
        """Return the gradient of the weights, and add that of the spikes of the sources.

        Args:
            record: of the segment.
            by_sign: result of ``scan``.
            inner: gradient of the spikes of each source; that of the input if it is there.
            steps: of the segment.
        """
        total = np.zeros(self.shape, np.float32)
        for sign, inputs in by_sign:
            found = np.zeros(self.shape, np.float32)
            for connection in self._connections[sign]:
                _add_weights(connection, record, inputs, found, steps)
                if connection.source is not None or None in inner:
                    _send_back(connection, inputs, inner, steps)
            # a weight of 0 may become one of either sign
            chosen = (1 + sign * np.sign(self._weight)) / 2 if sign else np.float32(1)
            total += found * chosen
        return total


def _of_sign(values: Array, sign: int) -> Array:
    """Return the values of one sign, 0 in place of others; all for sign 0."""
    return values if sign == 0 else np.where(values * sign > 0, values, 0).astype(values.dtype)


def _add_weights(
    connection: CoreConnection,
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
    connection: CoreConnection, delta: Array, inner: dict[str | None, Array], steps: int
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
