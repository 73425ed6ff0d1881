"""Activity of a Xylo program: from a simulation, from a recorded run, or from mean rates."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate.recording import XyloRecording
from toolchain.chips.xylo.simulate.run import simulate
from toolchain.chips.xylo.spec import XyloChip
from toolchain.hardware import Quantity
from toolchain.runs import Activity, InputSpikes, LayerActivity
from toolchain.runs.activity import spikes_per_step, step_length
from toolchain.runs.spikes import plain_array
from toolchain.runs.tally import active_of_each, spikes_of_each

__all__ = ["activity", "activity_at", "input_limit", "of_run"]


def activity(program: XyloProgram, spikes: InputSpikes) -> Activity:
    """Simulate the program on ``spikes`` (batch, time, *features) and count its activity.

    Raises:
        ValueError: a program without dt, or invalid spikes.
    """
    step_length(program.dt)
    given = plain_array(spikes, "spikes")
    given = given.reshape(*given.shape[:2], prod(given.shape[2:]))
    return of_run(program, given, simulate(program, given, record=True))


def of_run(program: XyloProgram, spikes: Array, run: XyloRecording) -> Activity:
    """Count the activity of a recorded run; cheap, since hidden spikes were counted with it.

    Args:
        program: the program.
        spikes: its input, (batch, time, channels).
        run: the result of ``simulate(..., record=True)`` for it.

    Raises:
        ValueError: a program without dt.
    """
    assert run.hidden_totals is not None
    steps = max(1, prod(spikes.shape[:2]))
    fired, busy = run.hidden_totals.sum(axis=0)
    per_step = {
        "input": spikes_of_each(spikes) / steps,
        "hidden": fired / steps,
        "output": spikes_of_each(run.spikes) / steps,
    }
    active = {
        "input": active_of_each(spikes) / steps,
        "hidden": busy / steps,
        "output": active_of_each(run.spikes) / steps,
    }
    ids = {p.name: (p.role, slice(p.start, p.stop)) for p in program.populations}
    places = {program.input_name: ("input", slice(None)), **ids}
    spiking = {
        name: (float(per_step[role][own].sum()), float(active[role][own].mean()))
        for name, (role, own) in places.items()
    }
    return _activity(program, spiking, per_step, spikes.shape[1])


def activity_at(program: XyloProgram, rates: Mapping[str, float], steps: int) -> Activity:
    """Return the activity for assumed mean rates.

    Args:
        program: the program.
        rates: spike/s of each neuron, by layer name and input name; every one is needed.
        steps: timesteps of one inference.

    A neuron is assumed to spike at most once in a step, which overestimates how often it is active.

    Raises:
        ValueError: rates that are missing, unknown, negative or not numbers, or a program without
            dt.
    """
    sizes = _sizes(program)
    means = spikes_per_step(rates, sizes, program.dt)
    per_step = {
        "input": np.full(program.inputs, means[program.input_name]),
        "hidden": np.zeros(program.hidden),
    }
    for p in program.populations:
        if p.role == "hidden":
            per_step["hidden"][p.start : p.stop] = means[p.name]
    for source, targets in enumerate(program.aliases):
        per_step["hidden"][list(targets)] += per_step["hidden"][source]
    spiking = {name: (mean * sizes[name], mean) for name, mean in means.items()}
    return _activity(program, spiking, per_step, steps)


def _activity(
    program: XyloProgram,
    spiking: Mapping[str, tuple[float, float]],
    per_step: Mapping[str, Array],
    steps: int,
) -> Activity:
    """Return the activity from mean spikes and the fraction of active neurons a step, by layer.

    ``per_step`` has the mean spikes of each channel and hidden neuron, for their synops.
    """
    synops = {p.name: _synops(program, p, per_step) for p in program.populations}
    layers = (
        LayerActivity(
            name=name,
            neurons=size,
            spikes_per_step=spiking[name][0],
            active=min(1.0, spiking[name][1]),
            synops_per_step=synops.get(name, 0.0),
            updates_per_step=float(size) if name in synops else 0.0,
        )
        for name, size in _sizes(program).items()
    )
    return Activity(layers=tuple(layers), steps=steps, dt=step_length(program.dt))


def input_limit(chip: XyloChip) -> Quantity:
    """Return the most spikes of one input channel in one timestep."""
    return chip.limits.input_spikes


def _sizes(program: XyloProgram) -> dict[str, int]:
    """Return the channels of the input and the neurons of each layer, by name."""
    neurons = {p.name: p.stop - p.start for p in program.populations}
    return {program.input_name: program.inputs, **neurons}


def _synops(program: XyloProgram, p: Population, per_step: Mapping[str, Array]) -> float:
    """Return the non-zero weights that a mean step's spikes pass into a population."""
    ids = slice(p.start, p.stop)
    if p.role == "output":
        return float(per_step["hidden"] @ np.count_nonzero(program.weights_out[:, ids], axis=1))
    weights = (("input", program.weights_in), ("hidden", program.weights_rec))
    return sum(
        float(per_step[source] @ np.count_nonzero(matrix[:, ids], axis=(1, 2)))
        for source, matrix in weights
    )
