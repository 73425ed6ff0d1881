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
the same equations with the spikes of the step and the membrane at its end are an approximation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.outputs import channel_step
from toolchain.chips.speck.program import Destination, SpeckCore
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.speck.training.convolution import Convolution
from toolchain.chips.speck.training.parameters import CoreParameters
from toolchain.chips.speck.training.scan import NeuronRule, scan
from toolchain.chips.speck.training.tape import SpeckTape
from toolchain.chips.training import Slope

__all__ = ["INPUT", "gradients"]

INPUT = "input"
"""Name of the gradient of the input."""


def gradients(
    layers: tuple[CoreParameters, ...],
    tape: SpeckTape,
    outer: Mapping[str, Array],
    wanted: Collection[str],
    slope: Slope | None,
    *,
    of_input: bool,
) -> dict[str, Array]:
    """Return the gradients of the parameters in ``wanted``, and of the input; float32.

    Args:
        layers: parameters of each core.
        tape: of the forward pass, with a record.
        outer: gradient of the values of layers, (batch, time, *shape).
        wanted: names of parameters.
        slope: surrogate; None for the ramp.
        of_input: True adds the gradient of the input.

    Raises:
        ValueError: a gradient that is not finite.
    """
    program, counts = tape.program, tape.counts
    assert counts is not None
    found: dict[str, Array] = {}
    inner: dict[str | None, Array] = {}
    if of_input:
        inner[None] = np.zeros(counts.shape, np.float32)
    for layer in reversed(layers):
        core, name = program[layer.core.name], layer.core.name
        record = tape.layers[name]
        received = inner.pop(name, None)
        if name in outer:
            received = _added(received, outer[name], record.spikes, channel_step(program, name))
        if received is None:
            found |= {p.name: np.zeros(p.shape, np.float32) for p in layer.parameters()}
            continue
        rule = NeuronRule(core.threshold_high, max(core.threshold_low, -32768), core.return_to_zero)
        delta, of_threshold = scan(rule, record.spikes, record.v_mem, received, slope)
        if not np.isfinite(delta).all():
            raise ValueError(f"{name}: its gradient is not finite; use a surrogate that is bounded")
        found[layer.threshold.name] = np.array(of_threshold, np.float32)
        if layer.bias is not None:
            of_bias = delta.sum((0, 1, 2, 3), dtype=np.float64).astype(np.float32)
            found[layer.bias.name] = of_bias[:: layer.step]
        maps, convolution = delta.reshape(-1, *delta.shape[2:]), _convolution(core)
        if layer.weight.name in wanted:
            arriving = _arriving(tape, core).reshape(-1, *_map(core.input_shape))
            of_core = convolution.weight_gradient(arriving, maps)
            found[layer.weight.name] = layer.weight_gradient(of_core)
        sources = [s for s, _ in program.sources(name) if s is not None or of_input]
        if sources:
            back = convolution.input_gradient(maps, core.weight.astype(np.float32))
            _send_back(tape, core, back.reshape(*delta.shape[:2], *back.shape[1:]), inner)
    if of_input:
        found[INPUT] = _before_sensor(program.sensor, program.input_shape, inner[None])
    return {name: found[name] for name in (*wanted, *([INPUT] if of_input else []))}


def _convolution(core: SpeckCore) -> Convolution:
    height, width = core.weight.shape[2:]
    return Convolution(
        input_shape=core.input_shape,
        output_shape=core.output_shape,
        kernel=(height, width),
        stride=core.stride,
        padding=core.padding,
    )


def _map(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return (y, x, channels) of (channels, y, x)."""
    return (*shape[1:], shape[0])


def _added(inner: Array | None, outer: Array, like: Array, step: int) -> Array:
    """Return the gradient of the spikes of a core: from later cores and from outside."""
    total = np.zeros(like.shape, np.float32) if inner is None else inner
    total[..., ::step] += np.moveaxis(np.asarray(outer, np.float32), 2, -1)
    return total


def _sent(tape: SpeckTape, core: SpeckCore) -> Iterator[tuple[str | None, Array, Destination]]:
    """Yield the sources of a core: name, its spikes and the connection."""
    assert tape.counts is not None
    for source, target in tape.program.sources(core.name):
        name = None if source is None else source.name
        yield name, tape.counts if name is None else tape.layers[name].spikes, target


def _arriving(tape: SpeckTape, core: SpeckCore) -> Array:
    """Return the counts (batch, time, y, x, channels) that a core receives, float32."""
    channels, height, width = core.input_shape
    total: Array | None = None
    for _, spikes, target in _sent(tape, core):
        if total is None:
            total = np.zeros((*spikes.shape[:2], height, width, channels), np.float32)
        first, side = target.feature_shift, target.pooling
        part = total[..., first : first + spikes.shape[-1]]
        for y in range(side):
            for x in range(side):
                part += spikes[:, :, y : side * height : side, x : side * width : side]
    assert total is not None
    return total


def _send_back(
    tape: SpeckTape, core: SpeckCore, back: Array, inner: dict[str | None, Array]
) -> None:
    """Add the gradient of what a core receives to that of the spikes of its sources."""
    _, height, width = core.input_shape
    for name, spikes, target in _sent(tape, core):
        if name is None and None not in inner:
            continue
        total = inner.setdefault(name, np.zeros(spikes.shape, np.float32))
        first, side = target.feature_shift, target.pooling
        for y in range(side):
            for x in range(side):
                part = total[:, :, y : side * height : side, x : side * width : side]
                part += back[..., first : first + spikes.shape[-1]]


def _before_sensor(
    sensor: SpeckSensor | None, shape: tuple[int, int, int], behind: Array
) -> Array:
    """Return the gradient of the input (batch, time, channels, y, x) from that behind the sensor."""
    if sensor is None:
        return np.ascontiguousarray(np.moveaxis(behind, -1, 2))
    places = np.indices(shape)
    kept, channel, y, x = sensor.addresses(*places)
    found = np.zeros((*behind.shape[:2], *shape), np.float32)
    found[:, :, kept] = behind[:, :, y[kept], x[kept], channel[kept]]
    return found
