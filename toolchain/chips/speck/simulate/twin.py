"""Reference implementation of the clocked simulation, slow and plain, for tests.

Dense convolutions, one step and one core after the other, in 64-bit integers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.simulate.raster import squeeze_map
from toolchain.chips.speck.simulate.recording import SpeckLayerRecord, SpeckRecording

__all__ = ["simulate_densely"]


def simulate_densely(
    program: SpeckProgram, raster: Array, *, state: Mapping[str, Array] | None = None
) -> SpeckRecording:
    """Simulate a raster (batch, steps, channels, y, x); record every layer."""
    sent = raster.sum((1, 2, 3, 4), dtype=np.int64)
    if program.sensor is not None:
        raster = program.sensor.of_raster(raster)
    batch, steps = raster.shape[:2]
    membranes = {core.name: _start(core, batch, state or {}) for core in program.cores}
    spikes = {n: np.zeros((batch, steps, *v.shape[1:]), np.int32) for n, v in membranes.items()}
    v_mem = {n: np.zeros((batch, steps, *v.shape[1:]), np.int16) for n, v in membranes.items()}
    saturations = dict.fromkeys(membranes, 0)
    synops = {name: np.zeros(batch, np.int64) for name in membranes}
    for step in range(steps):
        for core in program.cores:
            arriving = _arriving(program, core, raster[:, step], step, spikes)
            ones = np.ones_like(core.weight)
            synops[core.name] += _convolve(core, ones, arriving).sum((1, 2, 3))
            total = membranes[core.name] + _convolve(core, core.weight, arriving)
            if core.bias is not None:
                total += core.bias[:, None, None]
            v = np.clip(total, -32768, 32767)
            saturations[core.name] += int((v != total).sum())
            fired = np.where(v >= core.threshold_high, v // core.threshold_high, 0)
            rest = (
                np.where(fired > 0, 0, v)
                if core.return_to_zero
                else v - fired * core.threshold_high
            )
            membranes[core.name] = np.maximum(rest, core.threshold_low)
            spikes[core.name][:, step] = fired
            v_mem[core.name][:, step] = membranes[core.name]
    return SpeckRecording(
        outputs={name: squeeze_map(spikes[name]) for name in program.outputs},
        state={name: value.astype(np.int16) for name, value in membranes.items()},
        saturations=saturations,
        synops=synops,
        spike_counts={n: s.sum((1, 2, 3, 4), dtype=np.int64) for n, s in spikes.items()},
        input_counts=sent,
        steps=steps,
        events={},
        layers={n: SpeckLayerRecord(spikes=spikes[n], v_mem=v_mem[n]) for n in membranes},
    )


def _start(core: SpeckCore, batch: int, state: Mapping[str, Array]) -> Array:
    start = state.get(core.name, 0 if core.initial is None else core.initial)
    return np.zeros((batch, *core.output_shape), np.int64) + start


def _arriving(
    program: SpeckProgram, core: SpeckCore, raster: Array, step: int, spikes: Mapping[str, Array]
) -> Array:
    """Return the counts (batch, channels, y, x) that a core receives from all its sources."""
    total = np.zeros((len(raster), *core.input_shape), np.int64)
    for source, target in program.sources(core.name):
        sent = raster if source is None else spikes[source.name][:, step]
        pooled = _sum_pool(sent, target.pooling)
        total[:, target.feature_shift : target.feature_shift + pooled.shape[1]] += pooled
    return total


def _sum_pool(counts: Array, side: int) -> Array:
    batch, channels, height, width = counts.shape
    height, width = height // side, width // side
    full = counts[:, :, : height * side, : width * side].astype(np.int64)
    windows: Array = full.reshape(batch, channels, height, side, width, side)
    return np.asarray(windows.sum((3, 5)))


def _convolve(core: SpeckCore, weight: Array, counts: Array) -> Array:
    """Convolve counts to (batch, outputs, y, x), one kernel position after the other."""
    pad_y, pad_x = core.padding
    step_y, step_x = core.stride
    _, height, width = core.output_shape
    padded = np.pad(counts, ((0, 0), (0, 0), (pad_y, pad_y), (pad_x, pad_x)))
    total = np.zeros((len(counts), *core.output_shape), np.int64)
    for y in range(weight.shape[2]):
        for x in range(weight.shape[3]):
            seen = padded[:, :, y : y + step_y * height : step_y, x : x + step_x * width : step_x]
            total += np.einsum("fc,bchw->bfhw", weight[:, :, y, x].astype(np.int64), seen)
    return total
