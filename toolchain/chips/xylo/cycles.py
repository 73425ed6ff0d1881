"""Clock cycles of one timestep, by program and activity, and the main clock that they need.

Several spikes of one channel or neuron in one step cost as much as one. Nothing about the accuracy
of this model on silicon is published.

Source: Rockpool documentation, Xylo cycle model (facts restated); golden values 757, 562 and 555
cycles and 0.18 and 0.07 MHz of the documentation's networks are in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate.raster import as_counts
from toolchain.chips.xylo.simulate.recording import XyloRecording
from toolchain.chips.xylo.spec import XyloChip
from toolchain.runs import Activity

__all__ = [
    "SuggestedClock",
    "cycles_by_layer",
    "cycles_per_step",
    "least_dt_s",
    "measured_cycles",
    "reachable_clock",
    "second_synapse_operations",
    "suggested_clock",
    "worst_case_cycles",
]

MARGIN = 0.2
"""Margin that the documentation adds to the worst case when it suggests a clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedClock:
    """Main clock for real time.

    Attributes:
        needed_hz: the slowest clock that finishes each step in time, Hz.
        reachable_hz: the slowest clock that the chip's divider gives and that is not below
            ``needed_hz``, Hz; None where the divider is unknown or even the fastest clock is too
            slow. The largest division is unknown.
    """

    needed_hz: float
    reachable_hz: float | None


def cycles_per_step(
    program: XyloProgram, chip: XyloChip, *, input_active: float, hidden_active: float
) -> float:
    """Return the mean clock cycles of a timestep, cycle.

    Args:
        program: the program.
        chip: decides how many hidden neurons the input and output stages process: all of them where
            every neuron is within reach (Audio 2), else those with a connection.
        input_active: fraction of channels with at least one spike in a step, 0..1.
        hidden_active: the same of hidden neurons.
    """
    return float(_cycles(program, chip, input_active, hidden_active, hidden_active))


def worst_case_cycles(program: XyloProgram, chip: XyloChip) -> float:
    """Return the cycles of a timestep in which every channel and hidden neuron spikes, cycle."""
    return cycles_per_step(program, chip, input_active=1.0, hidden_active=1.0)


def measured_cycles(
    program: XyloProgram, chip: XyloChip, raster: npt.ArrayLike, recording: XyloRecording
) -> npt.NDArray[np.float64]:
    """Return the clock cycles of each timestep of a recorded run, ``(B, T)``, cycle.

    Spikes of hidden neurons are delivered in the step after the one in which they were fired; those
    pending when the recording starts are not in it and count as none.

    Args:
        program: the program.
        chip: as for :func:`cycles_per_step`.
        raster: the input of the run, ``(T, Nin)`` or ``(B, T, Nin)`` counts.
        recording: the result of ``simulate(..., record=True)`` for it.

    Raises:
        ValueError: a recording without hidden spikes, or of another raster.

    >>> from toolchain import load_chip
    >>> from toolchain.chips.xylo import XyloProgram, measured_cycles, simulate
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50, dt=1e-3,
    ... )
    >>> raster = [[0], [1], [0]]
    >>> recording = simulate(program, raster, record=True)
    >>> measured_cycles(program, load_chip("xylo_a2"), raster, recording).tolist()
    [[57.0, 70.0, 81.0]]
    """
    counts = as_counts(program, raster)
    fired = recording.hidden_spikes
    if fired is None:
        raise ValueError("the recording has no hidden spikes: simulate with record=True")
    wanted = (*counts.shape[:2], program.hidden)
    if fired.shape != wanted:
        raise ValueError(
            f"the raster needs hidden spikes of shape {wanted}, the recording has {fired.shape}"
        )
    firing = (fired > 0).mean(axis=2)
    arriving = np.zeros_like(firing)
    arriving[:, 1:] = firing[:, :-1]
    cycles = _cycles(program, chip, (counts > 0).mean(axis=2), arriving, firing)
    return np.asarray(cycles, np.float64)


def second_synapse_operations(
    program: XyloProgram, chip: XyloChip, *, input_active: float, hidden_active: float
) -> float | None:
    """Return the mean operations on second synapses in a timestep.

    They run in parallel and take no cycles. None on chips where not every hidden neuron is within
    reach (all but Audio 2 and Xylo 1): nothing is published about them. 0 where the
    program has one synapse.
    """
    if not _all_within_reach(chip):
        return None
    if program.synapses == 1:
        return 0.0
    hidden, fan_out = program.hidden, _mean_fan_out(program)
    walked = 1.5 * input_active * program.inputs * hidden
    return float(walked + 5 * fan_out * hidden_active * hidden + hidden)


def suggested_clock(
    program: XyloProgram, chip: XyloChip, dt: float | None = None, margin: float = MARGIN
) -> SuggestedClock:
    """Return the slowest main clock at which the worst case still fits a timestep.

    Args:
        program: the program.
        chip: its divider, and see :func:`cycles_per_step`.
        dt: duration of a timestep, s; that of the program unless given.
        margin: added to the worst case, as a fraction of it.

    Raises:
        ValueError: no ``dt`` here nor in the program, or numbers out of range.

    >>> from toolchain import load_chip
    >>> from toolchain.chips.xylo import XyloProgram, suggested_clock
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50, dt=1e-3,
    ... )
    >>> clock = suggested_clock(program, load_chip("xylo_a2"))
    >>> f"{clock.needed_hz:,.0f} Hz"
    '105,600 Hz'
    """
    seconds = program.dt if dt is None else dt
    if seconds is None:
        raise ValueError("a clock needs the duration of a timestep: the program has none, give dt")
    if not 0 < seconds < np.inf:
        raise ValueError(f"dt must be > 0 s, got {seconds}")
    needed = _with_margin(program, chip, margin) / seconds
    return SuggestedClock(needed_hz=needed, reachable_hz=_divided(chip, needed))


def least_dt_s(
    program: XyloProgram, chip: XyloChip, *, clock_hz: float, margin: float = MARGIN
) -> float:
    """Return the shortest timestep that a main clock keeps in real time in the worst case, s.

    Args:
        program: the program.
        chip: see :func:`cycles_per_step`.
        clock_hz: main clock, Hz.
        margin: added to the worst case, as a fraction of it.

    Raises:
        ValueError: a clock that the chip does not have, or a negative margin.

    >>> from toolchain import load_chip
    >>> from toolchain.chips.xylo import XyloProgram, least_dt_s
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> f"{1e6 * least_dt_s(program, load_chip('xylo_a2'), clock_hz=50e6):.2f} us"
    '2.11 us'
    """
    clock = chip.check_clock(clock_hz)
    if not chip.clock.makes(clock):
        raise ValueError(f"{chip.name} has no main clock of {clock:g} Hz")
    return _with_margin(program, chip, margin) / clock


def _with_margin(program: XyloProgram, chip: XyloChip, margin: float) -> float:
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin must be a fraction >= 0, got {margin}")
    return worst_case_cycles(program, chip) * (1 + margin)


def reachable_clock(chip: XyloChip, needed_hz: float) -> float | None:
    """Return the slowest main clock not below ``needed_hz`` that the chip is known to have, Hz.

    Where the divider is unknown, only clocks at which power was measured are considered. The
    largest division is unknown.
    """
    if chip.clock.divided_clock is not None:
        return _divided(chip, needed_hz) if needed_hz else None
    named = [chip.clock.main_clock, chip.clock.low_power_clock]
    known = [clock.to("Hz") for clock in named if clock is not None]
    return min((clock for clock in known if clock >= needed_hz), default=None)


def _divided(chip: XyloChip, needed_hz: float) -> float | None:
    """Return the slowest clock ``divided_clock / (2 (w + 1))`` not below ``needed_hz``."""
    if chip.clock.divided_clock is None:
        return None
    half = chip.clock.divided_clock.to("Hz") / 2
    if chip.clock.min_clock is not None:
        needed_hz = max(needed_hz, chip.clock.min_clock.to("Hz"))
    # rounding in the last bit must not exclude a clock that is exactly enough
    dividers = int(np.floor(half / needed_hz * (1 + 1e-12)))
    if dividers < 1 or not chip.clock.makes(half / dividers):
        return None
    return half / dividers


def cycles_by_layer(program: XyloProgram, chip: XyloChip, counted: Activity) -> dict[str, float]:
    """Return the mean clock cycles of a timestep by layer, the input included, cycle.

    They add up to those of ``cycles_per_step``, whose formula has a mean hidden neuron only: the
    cycles of hidden spikes are divided by each layer's spikes and connections, and those of the
    readout are the outputs'.

    Args:
        program: the program.
        chip: as for :func:`cycles_per_step`.
        counted: with the active fraction of every layer.
    """
    first, *rest = counted.layers
    roles = {p.name: p for p in program.populations}
    hidden = [layer for layer in rest if roles[layer.name].role == "hidden"]
    outputs = [layer for layer in rest if roles[layer.name].role == "output"]
    busy = sum((layer.active or 0.0) * layer.neurons for layer in hidden) / program.hidden
    stages = _stages(program, chip, first.active or 0.0, busy, busy)
    joined = np.count_nonzero(program.weights_rec[..., 0], axis=1)
    sent = {
        layer.name: (layer.active or 0.0)
        * float(joined[roles[layer.name].start : roles[layer.name].stop].mean())
        * layer.neurons
        for layer in hidden
    }
    neurons = {layer.name: float(layer.neurons) for layer in hidden}
    reads = {layer.name: float(layer.neurons) for layer in outputs}
    found = {first.name: float(stages.input)}
    parts = (
        (stages.spikes, sent if any(sent.values()) else neurons),
        (stages.update, neurons),
        (stages.readout, reads),
    )
    for cycles, weights in parts:
        whole = sum(weights.values())
        for name, weight in weights.items():
            found[name] = found.get(name, 0.0) + float(cycles) * weight / whole
    return {layer.name: found[layer.name] for layer in counted.layers}


class _Stages(NamedTuple):
    """Cycles of a timestep: input, delivery of hidden spikes, hidden neurons, outputs."""

    input: Any
    spikes: Any
    update: Any
    readout: Any


def _cycles(program: XyloProgram, chip: XyloChip, incoming: Any, arriving: Any, firing: Any) -> Any:
    """Return cycles for the fractions of spiking channels, arriving spikes and firing neurons.

    Numbers or arrays of one shape.
    """
    stages = _stages(program, chip, incoming, arriving, firing)
    return stages.input + stages.spikes + stages.readout + stages.update


def _stages(
    program: XyloProgram, chip: XyloChip, incoming: Any, arriving: Any, firing: Any
) -> _Stages:
    hidden, outputs = program.hidden, program.outputs
    everywhere = _all_within_reach(chip)
    reached = hidden if everywhere else int(program.weights_in.any(axis=(0, 2)).sum())
    reading = hidden if everywhere else int(program.weights_out.any(axis=1).sum())
    aliased = np.array([len(targets) for targets in program.aliases])
    source = float((aliased > 0).mean())
    target = float(aliased.sum() / hidden)
    update = (
        19
        + 2 * np.maximum(firing, target * source)
        + 3 * np.maximum(firing * target, target * source)
        + firing
        + np.maximum(firing, target) * source
    )
    return _Stages(
        input=program.inputs * (3.5 * incoming * reached + 1),
        spikes=hidden * 7 * _mean_fan_out(program) * arriving,
        update=hidden * (3 + update),
        readout=reading * arriving * (1 + 8 * outputs) + 12 * outputs,
    )


def _all_within_reach(chip: XyloChip) -> bool:
    return chip.limits.input_expansion.value >= chip.limits.hidden_neurons.value


def _mean_fan_out(program: XyloProgram) -> float:
    """Return the mean number of recurrent connections of first synapses a hidden neuron."""
    return float(np.count_nonzero(program.weights_rec[..., 0], axis=1).mean())
