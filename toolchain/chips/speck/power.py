r"""Power, latency and pace of a Speck program.

.. math:: P_{rail} = P_{idle} + s_{rail} E_{synop} \cdot synops/s

The vendor publishes no energy of a synaptic operation. That of the chip file is derived from one
reading of one board; its range is wide until a calibration narrows it. The energy includes the
update of the neuron. Leak ticks and events are counted and have no energy.

Source: the chip's file for each constant.
"""

from __future__ import annotations

from collections.abc import Mapping

from toolchain.chips.speck.counts import activity, activity_at
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.spec import SpeckChip
from toolchain.estimate import (
    AS_USUAL,
    Counts,
    Estimate,
    Figure,
    Pace,
    assemble,
    border_events,
    check_layers,
    total,
)
from toolchain.hardware import Quantity
from toolchain.runs import Activity

__all__ = ["activity", "activity_at", "estimate"]

NOT_PRICED = ("read-out and monitoring",)


def estimate(
    program: SpeckProgram,
    chip: SpeckChip,
    counted: Activity,
    clock_hz: float | None,
    modes: Mapping[str, str] = AS_USUAL,
) -> Estimate:
    """Multiply the counted actions by the chip's costs.

    Args:
        program: the program on the chip.
        chip: specification with the costs.
        counted: activity of the program.
        clock_hz: must be None: the cores have no clock.
        modes: ``{"dvs": "off"}`` for pixels powered down; by default they are on.

    Raises:
        ValueError: a clock, unknown modes, pixels powered down whose events the program uses, or
            counts of another program.
    """
    if clock_hz is not None:
        chip.check_clock(clock_hz)  # the cores have none
    pixels = program.sensor is not None and program.sensor.pixel_array
    if pixels and modes.get("dvs") == "off":
        raise ValueError("the program uses the events of the chip's own pixels: dvs must be on")
    # earlier versions called every input ``input``
    check_layers(counted.layers[1:], (core.name for core in program.cores))
    return assemble(
        chip,
        counted,
        _per_step(program, counted, pixels),
        step_s=counted.dt,
        clock_hz=None,
        modes=modes,
        places={
            core.name: "" if core.core is None else f"core {core.core}" for core in program.cores
        },
        latency=_latency(program, chip),
        pace=_pace(chip, counted),
        not_priced=NOT_PRICED,
    )


def _per_step(program: SpeckProgram, counted: Activity, pixels: bool) -> Counts:
    """Return the actions a step by layer."""
    rest = counted.layers[1:]
    read = [core.name for core in program.cores if core.monitor]
    return {
        "synop": {layer.name: layer.synops_per_step for layer in rest},
        "leak_update": {layer.name: layer.leak_updates_per_step for layer in rest},
        **border_events(counted, read, "dvs_event" if pixels else "input_event"),
    }


def _latency(program: SpeckProgram, chip: SpeckChip) -> Figure | None:
    """Return the latency of one event through an idle chip along the longest path."""
    if chip.timing is None:
        return None

    def part(quantity: Quantity, times: int) -> Figure:
        return Figure.of(quantity, "µs", chip.cite(quantity)).times(times * 1e-3, "ms")

    first, following = chip.timing.first_layer, chip.timing.next_layer
    return total([part(first, 1), part(following, _depth(program) - 1)], "ms")


def _depth(program: SpeckProgram) -> int:
    """Return the number of cores on the longest path from the input to an output."""
    depth: dict[str, int] = {}
    for core in program.cores:
        before = [0 if s is None else depth[s.name] for s, _ in program.sources(core.name)]
        depth[core.name] = 1 + max(before)
    return max(depth[name] for name in program.outputs)


def _pace(chip: SpeckChip, counted: Activity) -> tuple[Pace, ...]:
    """Compare each core with the limit of a core; empty where no limit is known."""
    limit = chip.limits.synop_rate
    if limit is None:
        return ()
    return tuple(
        Pace(
            where=layer.name,
            typical=layer.synops_per_step / counted.dt,
            worst=None,
            limit=limit.to("synop/s"),
            unit="synop/s",
            margin=0.0,
            basis=limit.basis,
            source=chip.cite(limit),
        )
        for layer in counted.layers[1:]
    )
