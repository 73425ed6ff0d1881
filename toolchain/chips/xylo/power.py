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
from math import prod

import numpy as np

from toolchain.chips.xylo.cycles import cycles_per_step
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate.run import simulate
from toolchain.estimate import (
    Activity,
    Estimate,
    Figure,
    LayerActivity,
    check_rates,
    weakest,
)
from toolchain.hardware import Rail, XyloChip
from toolchain.ir import Array

__all__ = ["activity", "activity_at", "estimate"]

NOT_PRICED = (
    "state recording and read-out over the debug bus",
    "the sensor front end while it listens",
    "pads driven by output spikes",
)


def activity(program: XyloProgram, spikes: Array) -> Activity:
    """Counts of a simulated run on ``spikes`` (batch, time, *features)."""
    given = np.asarray(spikes)
    given = given.reshape(*given.shape[:2], prod(given.shape[2:]))
    run = simulate(program, given, record=True)
    assert run.hidden_spikes is not None
    fired = {"hidden": np.asarray(run.hidden_spikes), "output": np.asarray(run.spikes)}
    layers = [_counted(program.input_name, given, 0.0)]
    per_step = {"input": _mean(given), "hidden": _mean(fired["hidden"])}
    for p in program.populations:
        own = fired[p.role][..., p.start : p.stop]
        layers.append(_counted(p.name, own, _synops(program, p, per_step)))
    return Activity(layers=tuple(layers), steps=given.shape[1], dt=_dt(program))


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
            readings were made, or else its default.

    Raises:
        ValueError: a clock that the chip does not have.
    """
    clock = _clock(chip, clock_hz)
    typical = _cycles(program, chip, counted)
    worst = cycles_per_step(program, chip, input_active=1.0, hidden_active=1.0)
    return Estimate(
        chip=chip.name,
        clock_hz=clock,
        activity=counted,
        idle={name: _idle(rail, chip, clock) for name, rail in chip.power.rails.items()},
        dynamic=_dynamic(chip, typical / counted.dt, clock),
        latency=_latency(program, counted.dt, typical / clock, worst / clock),
        load=Figure(
            low=typical / (clock * counted.dt),
            nominal=typical / (clock * counted.dt),
            high=worst / (clock * counted.dt),
            unit="fraction",
            basis="derived",
            source="the cycle model",
        ),
        not_priced=NOT_PRICED + ((chip.power.note,) if chip.power.note else ()),
    )


def _clock(chip: XyloChip, clock_hz: float | None) -> float:
    """The main clock, Hz, within the chip's range."""
    if clock_hz is None:
        return (chip.clock.low_power_clock or chip.clock.main_clock).to("Hz")
    if not 0 < clock_hz < np.inf:
        raise ValueError(f"clock_hz must be > 0 Hz, got {clock_hz}")
    least, most = chip.clock.min_clock, chip.clock.max_clock
    below = least is not None and clock_hz < least.to("Hz")
    above = most is not None and clock_hz > most.to("Hz")
    if below or above:
        end = least if below else most
        assert end is not None
        raise ValueError(
            f"clock_hz {clock_hz:g} Hz is {'below' if below else 'above'} the {end.value:g} "
            f"{end.unit} of {chip.name} ({chip.cite(end)})"
        )
    return clock_hz


def _latency(program: XyloProgram, dt: float, typical: float, worst: float) -> Figure | None:
    """A timestep for each hidden layer passed, then one step's work, s; None if there is no way."""
    hops = _hops(program)
    if hops is None:
        return None
    return Figure(
        low=(hops * dt + typical) * 1e3,
        nominal=(hops * dt + typical) * 1e3,
        high=(hops * dt + worst) * 1e3,
        unit="ms",
        basis="derived",
        source="one timestep for each hidden layer passed, and the cycle model",
    )


def _hops(program: XyloProgram) -> int | None:
    """Hidden neurons in a row on the shortest way from the input to an output.

    A spike reaches aliases within the timestep, and all other neurons in the next one.
    """
    joined = np.asarray(program.weights_rec.any(axis=2))
    reading = program.weights_out.any(axis=1)
    reached = np.zeros(program.hidden, bool)
    found = program.weights_in.any(axis=(0, 2))
    for hops in range(1, program.hidden + 1):
        reached |= found
        for source, targets in enumerate(program.aliases):
            reached[list(targets)] |= reached[source]
        if np.any(reached & reading):
            return hops
        found = joined[reached].any(axis=0)
    return None


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
    flat = spikes.reshape(-1, spikes.shape[-1])
    return np.asarray(flat.sum(axis=0) / max(1, len(flat)))


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
    return LayerActivity(
        name=name,
        neurons=neurons,
        spikes_per_step=per_step * neurons,
        active=min(1.0, per_step),
        synops_per_step=synops,
    )
