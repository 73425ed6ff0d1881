"""Rules on single registers of a Xylo program, and on the duration of a step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.rules.each import At, each
from toolchain.chips.rules.findings import Findings, Rule, error, info, some, warning
from toolchain.chips.xylo.cycles import cycles_per_step
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.spec import XyloChip
from toolchain.report import count

__all__ = ["REAL_TIME", "VALUES", "shifts_of"]

AtValues: TypeAlias = At[XyloProgram, XyloChip, Array]
"""Case of a rule on the values of one field in the neurons of one layer."""

CAPS = {
    "max_input_spikes": ("input_spikes", "an input channel"),
    "max_hidden_spikes": ("hidden_spikes", "a hidden neuron"),
    "max_output_spikes": ("output_spikes", "an output neuron"),
}
FIELDS = ("weights_in", "weights_rec", "weights_out", "threshold", "threshold_out")
DECAYS = ("dash_mem", "dash_syn", "dash_syn_2", "dash_mem_out", "dash_syn_out")


def _by_population(field: str, program: XyloProgram) -> Iterator[tuple[str, Array]]:
    for population in program.populations:
        values = getattr(program, field + ("_out" if population.role == "output" else ""))
        yield population.name, values[population.start : population.stop]


@each(partial(_by_population, "threshold"))
def thresholds(at: AtValues) -> Findings:
    """Check that thresholds are at least 1; at 0 a neuron fires as often as it may, every step."""
    values, lowest = at.item, at.item.min()
    if lowest < 1:
        low = some(int((values < 1).sum()), len(values), "neuron")
        message = f"threshold {lowest} in {low} fires every step, {at.chip.name} needs at least 1"
        yield at.finding(message, float(lowest), at.chip.limits.threshold_width, limit=1)


@each(partial(_by_population, "bias"))
def biases(at: AtValues) -> Findings:
    """Check that biases fit their field."""
    values, width = at.item, at.chip.limits.bias_width
    biased = int(np.count_nonzero(values))
    if width is None and biased:
        message = f"{some(biased, len(values), 'neuron')} with a bias, {at.chip.name} has none"
        yield at.finding(message, biased, limit=0)
    elif width is not None and (need := _signed_bits(values)) > width.value:
        message = f"biases of {_span(values)} need {need} bit, {at.chip.name} has {width.value}"
        yield at.finding(message, need, width)


def weight_shifts(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that weight shifts fit their field."""
    width = chip.limits.weight_shift_width
    top = 2 ** int(width.value) - 1
    for where, name in shifts_of(program).items():
        need = getattr(program, name)
        if need > top:
            message = f"{name} is {need}, {chip.name} has 0 to {top}"
            yield error("weight_shifts", where, message, need, width, chip, limit=top)


def shifts_of(program: XyloProgram) -> dict[str, str]:
    """Return the name of each weight shift, by the layers whose weights it shifts."""
    output = ", ".join(p.name for p in program.populations if p.role == "output")
    return {
        program.input_name: "weight_shift_in",
        "network": "weight_shift_rec",
        output: "weight_shift_out",
    }


def widths(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that weights, thresholds and decays fit a chip with narrower fields."""
    limits = chip.limits
    signed = [
        (name, limits.weight_width if "weights" in name else limits.threshold_width)
        for name in FIELDS
    ]
    needs = [(name, _signed_bits(getattr(program, name)), width) for name, width in signed]
    needs += [(n, int(getattr(program, n).max()).bit_length(), limits.dash_width) for n in DECAYS]
    for name, need, width in needs:
        if need > width.value:
            values = _span(getattr(program, name))
            message = f"{name} of {values} needs {need} bit, {chip.name} has {width.value}"
            yield error("widths", "network", message, need, width, chip)


def same_core(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that the program has the chip's core and its spikes per step."""
    if program.core != chip.integer_core:
        message = f"is a program for core {program.core}, {chip.name} has core {chip.integer_core}"
        yield error("same_core", "network", message)
    for name, (limit, who) in CAPS.items():
        quantity, need = getattr(chip.limits, limit), getattr(program, name)
        if need != quantity.value:
            message = f"{name} is {need}, {who} of {chip.name} carries {quantity.value} per step"
            yield error("same_core", "network", message, need, quantity, chip)


def decays(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that no current is cleared every step: with dash 0 it never reaches the membrane.

    A current without weights may have any dash. A membrane with dash 0 has no memory, which is what
    a decay factor of 0 means, and is noted.
    """
    fed = (program.weights_in != 0).any(axis=0) | (program.weights_rec != 0).any(axis=0)
    receives = {
        "dash_mem": np.ones(program.hidden, bool),
        "dash_syn": fed[:, 0],
        "dash_syn_2": fed[:, 1] if program.synapses > 1 else np.zeros(program.hidden, bool),
        "dash_mem_out": np.ones(program.outputs, bool),
        "dash_syn_out": program.weights_out.any(axis=0),
    }
    width = chip.limits.dash_width
    for p in program.populations:
        for report, kind, what in (
            (
                warning,
                "syn",
                "the current every step before it reaches the membrane: no input has an effect",
            ),
            (info, "mem", "the membrane every step, which then contains only that step's current"),
        ):
            messages = []
            for name in (n for n in DECAYS if n.endswith("_out") == (p.role == "output")):
                cleared = (receives[name] & (getattr(program, name) == 0))[p.start : p.stop]
                if kind in name and cleared.any():
                    where = some(int(cleared.sum()), len(cleared), "neuron")
                    messages.append(f"{name} 0 in {where} clears {what}")
            if messages:
                yield report("decays", p.name, "; ".join(messages), 0, width, chip, limit=1)


def real_time(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that the work of a timestep ends before the next begins, even if everything spikes.

    ``Estimate.load`` is the same figure for the given data.
    """
    if program.dt is None:
        return
    clock = chip.clock.main_clock
    need = cycles_per_step(program, chip, input_active=1.0, hidden_active=1.0)
    limit = clock.to("Hz") * program.dt
    if need > limit:
        yield warning(
            "real_time",
            "network",
            f"needs {count(round(need))} cycles per step if every neuron spikes, "
            f"{clock.value:g} {clock.unit} and dt {program.dt:g} s give {count(round(limit))}; "
            "see estimate() for the load of your data",
            need,
            clock,
            chip,
            limit=limit,
        )


def real_time_step(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check the timestep where the sensor's interface sets it in real time."""
    step = chip.clock.real_time_step
    if program.dt is None or step is None or np.isclose(program.dt, step.to("s"), rtol=1e-6):
        return
    yield warning(
        "real_time_step",
        "network",
        f"dt is {program.dt * 1e3:g} ms, in real time {chip.name} steps every {step.value:g} "
        f"{step.unit}: this program runs in accelerated time only",
        program.dt,
        step,
        chip,
        limit=step.to("s"),
    )


def _span(values: Array) -> str:
    """Return the range of values as text, ``-3 to 300``."""
    low, high = int(values.min()), int(values.max())
    return f"{low} to {high}" if low < high else f"{low}"


def _signed_bits(values: Array) -> int:
    """Return the width of the smallest signed word for all values: 8 for -128 and for 127."""
    low, high = int(values.min()), int(values.max())
    return 1 + max((v if v >= 0 else -1 - v).bit_length() for v in (low, high))


VALUES: tuple[Rule[XyloProgram, XyloChip], ...] = (
    thresholds,
    biases,
    weight_shifts,
    widths,
    same_core,
    decays,
)
REAL_TIME: tuple[Rule[XyloProgram, XyloChip], ...] = (real_time, real_time_step)
