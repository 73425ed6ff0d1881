"""Activity of a Speck program: from a simulation, from its recording, or from assumed rates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.simulate.recording import SpeckRecording
from toolchain.chips.speck.simulate.run import simulate
from toolchain.ir.fan_out import conv_fan_out
from toolchain.runs import Activity, LayerActivity
from toolchain.runs.activity import spikes_per_step, step_length
from toolchain.runs.spikes import InputSpikes

__all__ = ["activity", "activity_at", "of_run"]


def activity(program: SpeckProgram, spikes: InputSpikes) -> Activity:
    """Simulate a raster (batch, time, channels, height, width) or events and return the activity.

    Raises:
        ValueError: a program without dt, or spikes that do not fit the program.
    """
    step_length(program.dt)
    return of_run(program, simulate(program, spikes))


def of_run(program: SpeckProgram, run: SpeckRecording) -> Activity:
    """Return the activity that a simulation counted.

    Raises:
        ValueError: a program without dt.
    """
    steps = max(1, run.input_counts.size * run.steps)
    input_spikes = float(run.input_counts.sum()) / steps
    layer_spikes = {
        core.name: float(np.sum(run.spike_counts[core.name])) / steps for core in program.cores
    }
    synops = {core.name: float(np.sum(run.synops[core.name])) / steps for core in program.cores}
    return _activity(program, input_spikes, layer_spikes, synops, run.steps)


def activity_at(program: SpeckProgram, rates: Mapping[str, float], steps: int) -> Activity:
    """Return the activity at assumed mean rates, spread evenly over each map.

    Args:
        program: the program on the chip.
        rates: spike/s of each neuron, by layer name and input name; every one is needed.
        steps: timesteps of one inference.

    Raises:
        ValueError: rates that are missing, unknown, negative or not numbers, or a program without
            dt.
    """
    entry = program.input_name
    sizes = {core.name: int(np.prod(core.output_shape)) for core in program.cores}
    per_neuron = spikes_per_step(rates, [entry, *sizes], program.dt)
    input_spikes = per_neuron[entry] * int(np.prod(program.input_shape))
    layer_spikes = {name: per_neuron[name] * size for name, size in sizes.items()}
    synops = {
        core.name: _expected_synops(program, core, input_spikes, layer_spikes)
        for core in program.cores
    }
    return _activity(program, input_spikes, layer_spikes, synops, steps)


def _activity(
    program: SpeckProgram,
    input_spikes: float,
    layer_spikes: Mapping[str, float],
    synops: Mapping[str, float],
    steps: int,
) -> Activity:
    """Return the activity for mean spikes and synops a step: of the input, and by layer."""
    first = LayerActivity(
        name=program.input_name,
        neurons=int(np.prod(program.input_shape)),
        spikes_per_step=input_spikes,
    )
    layers = (
        LayerActivity(
            name=core.name,
            neurons=int(np.prod(core.output_shape)),
            spikes_per_step=layer_spikes[core.name],
            synops_per_step=synops[core.name],
            updates_per_step=synops[core.name] + _leaks(core),
            leak_updates_per_step=_leaks(core),
        )
        for core in program.cores
    )
    return Activity(layers=(first, *layers), steps=steps, dt=step_length(program.dt))


def _leaks(core: SpeckCore) -> float:
    """Return the number of membranes that one tick of the slow clock changes; one tick a step."""
    return 0.0 if core.bias is None else float(np.prod(core.output_shape))


def _expected_synops(
    program: SpeckProgram, core: SpeckCore, input_spikes: float, layer_spikes: Mapping[str, float]
) -> float:
    """Return the mean fan-out of the sources times their spikes."""
    fan_out = float(
        conv_fan_out(core.input_shape, core.weight.shape, core.stride, core.padding).sum()
    )
    found = 0.0
    for source, target in program.sources(core.name):
        spikes, shape, window = input_spikes, program.input_shape, target.pooling**2
        if source is not None:
            spikes, shape = layer_spikes[source.name], source.output_shape
        elif program.sensor is not None:
            shape = (program.input_map[0], *shape[1:])
            window *= int(np.prod(program.sensor.pooling))
        # each cell of the pooled map is a window of cells of the source
        part = shape[0] / core.input_shape[0]  # channels of the core that this source reaches
        found += spikes * fan_out * part * window / (shape[1] * shape[2])
    return found
