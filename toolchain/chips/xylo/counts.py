"""How busy a Xylo program is: from a simulation, from one that was recorded, or from rates."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate.run import XyloRecording, simulate
from toolchain.runs import Activity, LayerActivity
from toolchain.runs.activity import check_rates
from toolchain.runs.tally import active_of_each, spikes_of_each

__all__ = ["activity", "activity_at", "of_run"]


def activity(program: XyloProgram, spikes: Array) -> Activity:
    """Counts of a run on ``spikes`` (batch, time, *features), simulated for that.

    Raises:
        ValueError: a program without dt, or no such spikes.
    """
    _dt(program)
    given = np.asarray(spikes)
    given = given.reshape(*given.shape[:2], prod(given.shape[2:]))
    return of_run(program, given, simulate(program, given, record=True))


def of_run(program: XyloProgram, spikes: Array, run: XyloRecording) -> Activity:
    """Counts of a run that was recorded, at next to no cost: hidden spikes were counted with it.

    Args:
        program: what is loaded.
        spikes: its input, (batch, time, channels).
        run: what ``simulate(..., record=True)`` gave for it.

    Raises:
        ValueError: a program without dt.
    """
    dt = _dt(program)
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
    entry = LayerActivity(
        name=program.input_name,
        neurons=program.inputs,
        spikes_per_step=float(per_step["input"].sum()),
        active=min(1.0, float(active["input"].mean())),
        synops_per_step=0.0,
    )
    layers = (
        LayerActivity(
            name=p.name,
            neurons=p.stop - p.start,
            spikes_per_step=float(per_step[p.role][p.start : p.stop].sum()),
            active=min(1.0, float(active[p.role][p.start : p.stop].mean())),
            synops_per_step=_synops(program, p, per_step),
            updates_per_step=float(p.stop - p.start),
        )
        for p in program.populations
    )
    return Activity(layers=(entry, *layers), steps=spikes.shape[1], dt=dt)


def activity_at(program: XyloProgram, rates: Mapping[str, float], steps: int) -> Activity:
    """Counts for assumed mean rates.

    Args:
        program: what is loaded.
        rates: spike/s of each neuron, by layer name and input name; every one is needed.
        steps: timesteps of one inference.

    A neuron is taken to spike at most once in a step, which overestimates how often it is active.

    Raises:
        ValueError: rates that are missing, unknown or no numbers >= 0, or a program without dt.
    """
    dt = _dt(program)
    check_rates(rates, [program.input_name, *(p.name for p in program.populations)])
    per_step = {
        "input": np.full(program.inputs, rates[program.input_name] * dt),
        "hidden": np.zeros(program.hidden),
    }
    for p in program.populations:
        if p.role == "hidden":
            per_step["hidden"][p.start : p.stop] = rates[p.name] * dt
    for source, targets in enumerate(program.aliases):
        per_step["hidden"][list(targets)] += per_step["hidden"][source]
    fired = {name: rate * dt for name, rate in rates.items()}
    entry = LayerActivity(
        name=program.input_name,
        neurons=program.inputs,
        spikes_per_step=fired[program.input_name] * program.inputs,
        active=min(1.0, fired[program.input_name]),
        synops_per_step=0.0,
    )
    layers = (
        LayerActivity(
            name=p.name,
            neurons=p.stop - p.start,
            spikes_per_step=fired[p.name] * (p.stop - p.start),
            active=min(1.0, fired[p.name]),
            synops_per_step=_synops(program, p, per_step),
            updates_per_step=float(p.stop - p.start),
        )
        for p in program.populations
    )
    return Activity(layers=(entry, *layers), steps=steps, dt=dt)


def _dt(program: XyloProgram) -> float:
    if program.dt is None:
        raise ValueError("an estimate needs the length of a timestep: deploy with dt=... in s")
    return program.dt


def _synops(program: XyloProgram, p: Population, per_step: Mapping[str, Array]) -> float:
    """Non-zero weights that a mean step's spikes pass on their way to a population."""
    ids = slice(p.start, p.stop)
    if p.role == "output":
        return float(per_step["hidden"] @ np.count_nonzero(program.weights_out[:, ids], axis=1))
    weights = (("input", program.weights_in), ("hidden", program.weights_rec))
    return sum(
        float(per_step[source] @ np.count_nonzero(matrix[:, ids], axis=(1, 2)))
        for source, matrix in weights
    )
