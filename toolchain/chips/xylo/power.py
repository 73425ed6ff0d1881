r"""Power, latency and load of a Xylo program.

.. math:: P = P_{static} + k_{mode} f + E_{cycle} \min(cycles/s, f)

At real loads these chips are dominated by their idle power, which grows with the clock. Where the
static part is known separately, the idle power is computed for any clock. Where only one
measurement exists, another clock gives the range between "nothing depends on the clock" and
"everything does", and its basis is "assumed".

Source: the chip's file for each constant; ``cycles.py`` for the cycles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.chips.xylo.counts import activity, activity_at
from toolchain.chips.xylo.cycles import (
    MARGIN,
    cycles_by_layer,
    reachable_clock,
    second_synapse_operations,
    worst_case_cycles,
)
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.spec import XyloChip
from toolchain.estimate import (
    AS_USUAL,
    Counts,
    Estimate,
    Figure,
    Pace,
    Suggestion,
    assemble,
    border_events,
    check_layers,
    slower_clock,
)
from toolchain.runs import Activity

__all__ = ["activity", "activity_at", "estimate"]

NOT_PRICED = (
    "state recording and read-out over the debug bus",
    "the sensor front end while it is active",
    "pads driven by output spikes",
)


def estimate(
    program: XyloProgram,
    chip: XyloChip,
    counted: Activity,
    clock_hz: float | None,
    modes: Mapping[str, str] = AS_USUAL,
) -> Estimate:
    """Estimate power, latency and load: counts times the chip's costs.

    Args:
        program: the program.
        chip: gives the costs.
        counted: its activity.
        clock_hz: main clock, Hz; None selects the chip's low-power clock, at which most of its
            power was measured, or else its default.
        modes: setting of the chip's switches; see ``chip.power.switches``.

    Raises:
        ValueError: a clock that the chip does not have, unknown modes, or counts of another
            program.
    """
    usual = chip.clock.low_power_clock or chip.clock.main_clock
    clock = usual.to("Hz") if clock_hz is None else chip.check_clock(clock_hz)
    check_layers(counted.layers, [program.input_name, *(p.name for p in program.populations)])
    cycles = cycles_by_layer(program, chip, counted)
    typical, worst = sum(cycles.values()), worst_case_cycles(program, chip)
    found = assemble(
        chip,
        counted,
        {"cycle": cycles, **_actions(program, chip, counted)},
        # a chip that is too slow does the same work in a longer time
        step_s=max(counted.dt, typical / clock),
        clock_hz=clock,
        modes=modes,
        places={p.name: f"{p.role} {p.start}..{p.stop - 1}" for p in program.populations},
        latency=_latency(program, counted.dt, typical / clock, worst / clock),
        pace=(
            Pace(
                where="network",
                typical=typical / counted.dt,
                worst=worst / counted.dt,
                limit=clock,
                unit="cycle/s",
                margin=MARGIN,
                basis="derived",
                source="the cycle model",
            ),
        ),
        not_priced=NOT_PRICED,
    )
    clocks = _clocks(chip, clock, modes, typical / counted.dt, worst / counted.dt)
    return replace(found, clock_suggestions=clocks)


def _actions(program: XyloProgram, chip: XyloChip, counted: Activity) -> Counts:
    """Return actions a step by layer, except clock cycles."""
    roles = {p.name: p.role for p in program.populations}
    found = border_events(counted, [name for name, role in roles.items() if role == "output"])
    hidden = [layer for layer in counted.layers[1:] if roles[layer.name] == "hidden"]
    busy = sum((layer.active or 0.0) * layer.neurons for layer in hidden) / program.hidden
    second = second_synapse_operations(
        program, chip, input_active=counted.layers[0].active or 0.0, hidden_active=busy
    )
    if second:
        found["second_synapse"] = {
            layer.name: second * layer.neurons / program.hidden for layer in hidden
        }
    return found


def _clocks(
    chip: XyloChip, clock: float, modes: Mapping[str, str], typical: float, worst: float
) -> tuple[Suggestion, ...]:
    """Return slower clocks: one for the worst case, one for the counted activity."""
    work = {"the worst case": worst, "the counted activity": typical}
    found = (
        slower_clock(
            chip,
            clock_hz=clock,
            modes=modes,
            wanted_hz=cycles * (1 + MARGIN),
            available_hz=reachable_clock(chip, cycles * (1 + MARGIN)),
            what=f"{what}, with {100 * MARGIN:.0f} % margin,",
        )
        for what, cycles in work.items()
    )
    return tuple(suggestion for suggestion in found if suggestion is not None)


def _latency(program: XyloProgram, dt: float, typical: float, worst: float) -> Figure | None:
    """Return one timestep for each hidden layer passed and one step's work; None without a path."""
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
    """Return the number of hidden neurons on the shortest path from the input to an output.

    A spike reaches aliases within the timestep, and all other neurons in the next one.
    """
    joined = np.asarray(program.weights_rec.any(axis=2))
    reading = program.weights_out.any(axis=1)
    reached = np.zeros(program.hidden, bool)
    found = program.weights_in.any(axis=(0, 2))
    aliases = [(source, list(targets)) for source, targets in enumerate(program.aliases) if targets]
    for hops in range(1, program.hidden + 1):
        reached |= found
        for source, targets in aliases:
            reached[targets] |= reached[source]
        if np.any(reached & reading):
            return hops
        found = joined[reached].any(axis=0)
    return None
