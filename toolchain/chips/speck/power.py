r"""Power, latency and load of a Speck program.

.. math:: P_{rail} = P_{idle} + s_{rail} E_{synop} \cdot synops/s

No energy of a synaptic operation was ever published for these chips. The specification holds an
assumed range with its derivation, and the estimate stays a range.

Source: the chip's file for each constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.simulate.run import simulate
from toolchain.estimate import (
    Activity,
    Estimate,
    Figure,
    LayerActivity,
    check_rates,
    total,
    weakest,
)
from toolchain.hardware import Quantity, SpeckChip
from toolchain.ir import Array
from toolchain.ir.fan_out import conv_fan_out

__all__ = ["INPUT", "activity", "activity_at", "estimate"]

INPUT = "input"
NOT_PRICED = (
    "leak (bias) ticks of the slow clock",
    "events through the pads and the pixel array",
    "read-out and monitoring",
)


def activity(program: SpeckProgram, spikes: Array) -> Activity:
    """Counts of a simulated run on a raster (batch, time, channels, height, width) or events."""
    run = simulate(program, spikes)
    steps = max(1, run.input_counts.size * run.steps)
    layers = [
        LayerActivity(
            name=INPUT,
            neurons=int(np.prod(program.input_shape)),
            spikes_per_step=float(run.input_counts.sum() / steps),
            active=None,
            synops_per_step=0.0,
        )
    ]
    layers += [
        LayerActivity(
            name=core.name,
            neurons=int(np.prod(core.output_shape)),
            spikes_per_step=float(np.sum(run.spike_counts[core.name]) / steps),
            active=None,
            synops_per_step=float(np.sum(run.synops[core.name]) / steps),
        )
        for core in program.cores
    ]
    return Activity(layers=tuple(layers), steps=run.steps, dt=_dt(program))


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
    synops = {entry: 0.0} | {
        core.name: _expected_synops(program, core, per_step, entry) for core in program.cores
    }
    layers = tuple(
        LayerActivity(
            name=name,
            neurons=sizes[name],
            spikes_per_step=per_step[name],
            active=None,
            synops_per_step=synops[name],
        )
        for name in sizes
    )
    return Activity(layers=layers, steps=steps, dt=dt)


def estimate(
    program: SpeckProgram, chip: SpeckChip, counted: Activity, clock_hz: float | None
) -> Estimate:
    """Counts times the chip's costs. ``clock_hz`` has to be None: the cores have no clock."""
    if clock_hz is not None:
        raise ValueError(f"{chip.name} is asynchronous and has no main clock; leave clock_hz out")
    idle = {
        name: Figure.of(quantity, "µW", chip.cite(quantity))
        for name, rail in chip.power.rails.items()
        if (quantity := rail.idle or rail.static) is not None
    }
    return Estimate(
        chip=chip.name,
        clock_hz=None,
        activity=counted,
        idle=idle,
        dynamic=_dynamic(chip, counted.synops_per_step / counted.dt),
        latency=_latency(program, chip),
        load=_load(chip, counted),
        not_priced=NOT_PRICED + ((chip.power.note,) if chip.power.note else ()),
    )


def _dynamic(chip: SpeckChip, synops_per_second: float) -> dict[str, Figure]:
    energy = chip.power.energy_per_synop
    if energy is None:
        return {}
    price = Figure.of(energy, "pJ/synop", chip.cite(energy))
    return {
        rail: replace(
            price.times(share.to("fraction") * synops_per_second * 1e-6, "µW"),
            basis=weakest([energy.basis, share.basis]),
        )
        for rail, share in chip.power.synop_share.items()
    }


def _latency(program: SpeckProgram, chip: SpeckChip) -> Figure | None:
    """One event through an idle chip, along the longest way: of each core, once."""
    if chip.timing is None:
        return None

    def part(quantity: Quantity, times: int) -> Figure:
        return Figure.of(quantity, "µs", chip.cite(quantity)).times(times * 1e-3, "ms")

    first, following = chip.timing.first_layer, chip.timing.next_layer
    return total([part(first, 1), part(following, _depth(program) - 1)], "ms")


def _depth(program: SpeckProgram) -> int:
    """Cores on the longest way from the input to an output."""
    depth: dict[str, int] = {}
    for core in program.cores:
        before = [0 if s is None else depth[s.name] for s, _ in program.sources(core.name)]
        depth[core.name] = 1 + max(before)
    return max(depth[name] for name in program.outputs)


def _load(chip: SpeckChip, counted: Activity) -> Figure | None:
    """The busiest core against what a core can do; None where no limit is known."""
    limit = chip.limits.synop_rate
    if limit is None:
        return None
    busiest = max(layer.synops_per_step for layer in counted.layers) / counted.dt
    share = busiest / limit.to("synop/s")
    return Figure(
        low=share,
        nominal=share,
        high=share,
        unit="fraction",
        basis=limit.basis,
        source=chip.cite(limit),
    )


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
