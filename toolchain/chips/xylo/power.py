r"""Power, latency and load of a Xylo program.

.. math:: P = P_{idle}(f) + E_{cycle} \min(cycles/s, f)

At real loads these chips are dominated by what they draw idle, which grows with the clock. Where
the static part is known apart from the clocked one, the idle draw is computed for any clock. Where
only one reading exists, another clock gives the range between "nothing depends on the clock" and
"everything does", and is called assumed.

Source: the chip's file for each constant; ``cycles.py`` for the cycles.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolchain.chips.xylo.cycles import cycles_per_step
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate import simulate
from toolchain.estimate import Activity, Estimate, Figure, LayerActivity, weakest
from toolchain.hardware import Rail, XyloChip
from toolchain.ir import Array

__all__ = ["activity", "activity_at", "estimate"]

NOT_PRICED = (
    "state recording and read-out over the debug bus",
    "the sensor front end while it listens",
    "pads driven by output spikes",
)


def activity(program: XyloProgram, spikes: Array) -> Activity:
    """Counts of a simulated run on ``spikes`` (batch, time, inputs)."""
    run = simulate(program, spikes, record=True)
    assert run.hidden_spikes is not None
    fired = {"hidden": np.asarray(run.hidden_spikes), "output": np.asarray(run.spikes)}
    layers = [_counted(program.input_name, np.asarray(spikes), 0.0)]
    per_step = {"input": _mean(np.asarray(spikes)), "hidden": _mean(fired["hidden"])}
    for p in program.populations:
        own = fired[p.role][..., p.start : p.stop]
        layers.append(_counted(p.name, own, _synops(program, p, per_step)))
    return Activity(layers=tuple(layers), steps=spikes.shape[1], dt=_dt(program))


def activity_at(program: XyloProgram, rates: Mapping[str, float], steps: int) -> Activity:
    """Counts for assumed mean rates.

    Args:
        program: what is loaded.
        rates: spike/s of each neuron, by layer name and input name; every one is needed.
        steps: timesteps of one inference.

    A neuron is taken to spike at most once in a step, which overestimates how often it is active.
    """
    dt = _dt(program)
    per_step = {
        "input": np.full(program.inputs, rates[program.input_name] * dt),
        "hidden": np.zeros(program.hidden),
    }
    for p in program.populations:
        if p.role == "hidden":
            per_step["hidden"][p.start : p.stop] = rates[p.name] * dt
    layers = [_assumed(program.input_name, program.inputs, rates[program.input_name] * dt, 0.0)]
    layers += [
        _assumed(p.name, p.stop - p.start, rates[p.name] * dt, _synops(program, p, per_step))
        for p in program.populations
    ]
    return Activity(layers=tuple(layers), steps=steps, dt=dt)


def estimate(
    program: XyloProgram, chip: XyloChip, counted: Activity, clock_hz: float | None
) -> Estimate:
    """Counts times the chip's costs.

    Args:
        program: what is loaded.
        chip: gives the costs.
        counted: how busy it is.
        clock_hz: main clock, Hz; None takes the chip's low-power clock, at which most of its
            readings were made.
    """
    clock = chip.clock.low_power_clock.to("Hz") if clock_hz is None else clock_hz
    typical = _cycles(program, chip, counted)
    worst = cycles_per_step(program, chip, input_active=1.0, hidden_active=1.0)
    hops = max(1, len(program.populations) - 1)
    source = chip.cite(chip.clock.low_power_clock)
    return Estimate(
        chip=chip.name,
        clock_hz=clock,
        activity=counted,
        idle={name: _idle(rail, chip, clock) for name, rail in chip.power.rails.items()},
        dynamic=_dynamic(chip, typical / counted.dt, clock),
        latency=Figure(
            low=(hops * counted.dt + typical / clock) * 1e3,
            nominal=(hops * counted.dt + typical / clock) * 1e3,
            high=(hops * counted.dt + worst / clock) * 1e3,
            unit="ms",
            basis="derived",
            source="one timestep for each layer passed, and the cycle model",
        ),
        load=Figure(
            low=typical / (clock * counted.dt),
            nominal=typical / (clock * counted.dt),
            high=worst / (clock * counted.dt),
            unit="fraction",
            basis="derived",
            source=f"the cycle model; {source}",
        ),
        not_priced=NOT_PRICED + ((chip.power.note,) if chip.power.note else ()),
    )


def _idle(rail: Rail, chip: XyloChip, clock: float) -> Figure:
    if rail.static is not None:
        static = Figure.of(rail.static, "µW", chip.cite(rail.static))
        if rail.clock_slope is None:
            return static
        slope = Figure.of(rail.clock_slope, "µW/MHz", chip.cite(rail.clock_slope))
        return static + slope.times(clock / 1e6, "µW")
    assert rail.idle is not None
    known = Figure.of(rail.idle, "µW", chip.cite(rail.idle))
    if rail.idle_clock is None or np.isclose(rail.idle_clock.to("Hz"), clock):
        return known
    ends = sorted([1.0, clock / rail.idle_clock.to("Hz")])
    return Figure(
        low=known.low * ends[0],
        nominal=None,
        high=known.high * ends[1],
        unit="µW",
        basis=weakest([known.basis, "assumed"]),
        source=f"{known.source}, read at {rail.idle_clock.value:g} {rail.idle_clock.unit} only",
    )


def _dynamic(chip: XyloChip, cycles_per_second: float, clock: float) -> dict[str, Figure]:
    energy = chip.power.energy_per_cycle
    core = [name for name, rail in chip.power.rails.items() if rail.role == "core"]
    if energy is None or not core:
        return {}
    price = Figure.of(energy, "pJ", chip.cite(energy))
    return {core[0]: price.times(min(cycles_per_second, clock) * 1e-6, "µW")}


def _cycles(program: XyloProgram, chip: XyloChip, counted: Activity) -> float:
    """Mean cycles a step of what was counted."""
    first, *rest = counted.layers
    hidden = {p.name for p in program.populations if p.role == "hidden"}
    busy = sum((layer.active or 0.0) * layer.neurons for layer in rest if layer.name in hidden)
    return cycles_per_step(
        program, chip, input_active=first.active or 0.0, hidden_active=busy / program.hidden
    )


def _dt(program: XyloProgram) -> float:
    if program.dt is None:
        raise ValueError("an estimate needs the length of a timestep: deploy with dt=... in s")
    return program.dt


def _mean(spikes: Array) -> Array:
    """Spikes of each neuron in a mean step."""
    return (
        np.asarray(spikes.reshape(-1, spikes.shape[-1]).mean(axis=0))
        if spikes.size
        else (np.zeros(spikes.shape[-1]))
    )


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


def _counted(name: str, spikes: Array, synops: float) -> LayerActivity:
    flat = spikes.reshape(-1, spikes.shape[-1])
    return LayerActivity(
        name=name,
        neurons=spikes.shape[-1],
        spikes_per_step=float(flat.sum() / max(1, len(flat))),
        active=float((flat > 0).mean()) if flat.size else 0.0,
        synops_per_step=synops,
    )


def _assumed(name: str, neurons: int, per_step: float, synops: float) -> LayerActivity:
    if not 0 <= per_step < np.inf:
        raise ValueError(f"rate of {name!r} must be a number of spikes per second >= 0")
    return LayerActivity(
        name=name,
        neurons=neurons,
        spikes_per_step=per_step * neurons,
        active=min(1.0, per_step),
        synops_per_step=synops,
    )
