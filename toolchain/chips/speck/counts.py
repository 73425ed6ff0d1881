"""How busy a Speck program is: from a simulation, from one that was recorded, or from rates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.simulate.recording import SpeckRecording
from toolchain.chips.speck.simulate.run import simulate
from toolchain.estimate import Activity, LayerActivity, check_rates
from toolchain.ir.fan_out import conv_fan_out
from toolchain.spikes import Spikes

__all__ = ["INPUT", "activity", "activity_at", "of_run"]

INPUT = "input"


def activity(program: SpeckProgram, spikes: Spikes) -> Activity:
    """Counts of a run on a raster (batch, time, channels, height, width) or on events.

    Raises:
        ValueError: a program without dt, or no such spikes.
    """
    _dt(program)
    return of_run(program, simulate(program, spikes))


def of_run(program: SpeckProgram, run: SpeckRecording) -> Activity:
    """Counts of a run: the simulation made them on its way.

    Raises:
        ValueError: a program without dt.
    """
    steps = max(1, run.input_counts.size * run.steps)
    totals = {INPUT: float(run.input_counts.sum())}
    totals |= {core.name: float(np.sum(run.spike_counts[core.name])) for core in program.cores}
    synops = {core.name: float(np.sum(run.synops[core.name])) for core in program.cores}
    return _activity(program, totals, synops, steps, run.steps, INPUT)


def activity_at(program: SpeckProgram, rates: Mapping[str, float], steps: int) -> Activity:
    """Counts for assumed mean rates, spread evenly over each map.

    Args:
        program: what is loaded.
        rates: spike/s of each neuron, by layer name; the input's, under ``input`` or any other
            name that is no layer, is needed too.
        steps: timesteps of one inference.

    Raises:
        ValueError: rates that are missing, unknown or no numbers >= 0, or a program without dt.
    """
    dt = _dt(program)
    entry = _input_name(program, rates)
    sizes = {entry: int(np.prod(program.input_shape))}
    sizes |= {core.name: int(np.prod(core.output_shape)) for core in program.cores}
    check_rates(rates, sizes)
    per_step = {name: rates[name] * dt * size for name, size in sizes.items()}
    synops = {core.name: _expected_synops(program, core, per_step, entry) for core in program.cores}
    return _activity(program, per_step, synops, 1, steps, entry)


def _activity(
    program: SpeckProgram,
    totals: Mapping[str, float],
    synops: Mapping[str, float],
    counted: int,
    steps: int,
    entry: str,
) -> Activity:
    """Spikes and synops of ``counted`` steps, by layer, as means of one."""
    dt = _dt(program)
    first = LayerActivity(
        name=entry,
        neurons=int(np.prod(program.input_shape)),
        spikes_per_step=totals[entry] / counted,
        active=None,
        synops_per_step=0.0,
    )
    layers = (
        LayerActivity(
            name=core.name,
            neurons=int(np.prod(core.output_shape)),
            spikes_per_step=totals[core.name] / counted,
            active=None,
            synops_per_step=synops[core.name] / counted,
            updates_per_step=synops[core.name] / counted + _leaks(core),
            leak_updates_per_step=_leaks(core),
        )
        for core in program.cores
    )
    return Activity(layers=(first, *layers), steps=steps, dt=dt)


def _leaks(core: SpeckCore) -> float:
    """Membranes that a tick of the slow clock changes; one tick a step."""
    return 0.0 if core.bias is None else float(np.prod(core.output_shape))


def _input_name(program: SpeckProgram, rates: Mapping[str, float]) -> str:
    """The one name in ``rates`` that is no layer: the program does not keep the input's."""
    others = [name for name in rates if name not in {core.name for core in program.cores}]
    return others[0] if len(others) == 1 else INPUT


def _expected_synops(
    program: SpeckProgram, core: SpeckCore, per_step: Mapping[str, float], entry: str
) -> float:
    """Mean fan-out of the sources times their spikes."""
    fan_out = float(
        conv_fan_out(core.input_shape, core.weight.shape, core.stride, core.padding).sum()
    )
    found = 0.0
    for source, target in program.sources(core.name):
        name, shape, window = entry, program.input_shape, target.pooling**2
        if source is not None:
            name, shape = source.name, source.output_shape
        elif program.sensor is not None:
            shape = (program.input_map[0], *shape[1:])
            window *= int(np.prod(program.sensor.pooling))
        # each cell of the pooled map stands for a window of cells of the source
        part = shape[0] / core.input_shape[0]  # channels of the core that this source reaches
        found += per_step[name] * fan_out * part * window / (shape[1] * shape[2])
    return found


def _dt(program: SpeckProgram) -> float:
    if program.dt is None:
        raise ValueError("an estimate needs the length of a timestep: deploy with dt=... in s")
    return program.dt
