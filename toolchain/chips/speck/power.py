r"""Power, latency and load of a Speck program.

.. math:: P_{rail} = P_{idle} + s_{rail} E_{synop} \cdot synops/s

No energy of a synaptic operation was ever published for these chips. The specification holds an
assumed range with its derivation, and the estimate stays a range.

Source: the chip's file for each constant.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.simulate import simulate
from toolchain.estimate import Activity, Estimate, Figure, LayerActivity, total
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
    """Counts of a simulated run on ``spikes`` (batch, time, channels, height, width)."""
    run = simulate(program, spikes)
    steps = max(1, spikes.shape[0] * spikes.shape[1])
    layers = [
        LayerActivity(
            name=INPUT,
            neurons=int(np.prod(program.input_shape)),
            spikes_per_step=float(np.sum(spikes) / steps),
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
    return Activity(layers=tuple(layers), steps=spikes.shape[1], dt=_dt(program))


def activity_at(program: SpeckProgram, rates: Mapping[str, float], steps: int) -> Activity:
    """Counts for assumed mean rates, spread evenly over each map.

    Args:
        program: what is loaded.
        rates: spike/s of each neuron, by layer name and for ``input``; every one is needed.
        steps: timesteps of one inference.
    """
    dt = _dt(program)
    sizes = {INPUT: int(np.prod(program.input_shape))}
    sizes |= {core.name: int(np.prod(core.output_shape)) for core in program.cores}
    per_step = {name: rates[name] * dt * size for name, size in sizes.items()}
    for name, spikes in per_step.items():
        if not 0 <= spikes < np.inf:
            raise ValueError(f"rate of {name!r} must be a number of spikes per second >= 0")
    synops = {INPUT: 0.0} | {
        core.name: _expected_synops(program, core, per_step) for core in program.cores
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
        rail: price.times(share.to("fraction") * synops_per_second * 1e-6, "µW")
        for rail, share in chip.power.synop_share.items()
    }


def _latency(program: SpeckProgram, chip: SpeckChip) -> Figure | None:
    """One event through an idle chip, layer after layer."""
    if chip.timing is None:
        return None

    def part(quantity: Quantity, times: int) -> Figure:
        return Figure.of(quantity, "µs", chip.cite(quantity)).times(times * 1e-3, "ms")

    parts = [part(chip.timing.first_layer, 1)]
    parts.append(part(chip.timing.next_layer, len(program.cores) - 1))
    return total(parts, "ms")


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


def _expected_synops(
    program: SpeckProgram, core: SpeckCore, per_step: Mapping[str, float]
) -> float:
    """Mean fan-out of the sources times their spikes."""
    fan_out = float(
        conv_fan_out(core.input_shape, core.weight.shape, core.stride, core.padding).sum()
    )
    found = 0.0
    for source, target in program.sources(core.name):
        name, shape = (
            (INPUT, program.input_shape) if source is None else (source.name, source.output_shape)
        )
        # each cell of the pooled map stands for pooling**2 cells of the source
        found += per_step[name] * fan_out * target.pooling**2 / (shape[1] * shape[2])
    return found


def _dt(program: SpeckProgram) -> float:
    if program.dt is None:
        raise ValueError("an estimate needs the length of a timestep: deploy with dt=... in s")
    return program.dt
