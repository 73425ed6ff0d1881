"""Runs of a Speck program as the recordings that every family returns."""

from __future__ import annotations

from toolchain.chips.contract import Options, Timing
from toolchain.chips.speck.counts import of_run
from toolchain.chips.speck.options import speck_options
from toolchain.chips.speck.outputs import flat_outputs, own_channels
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.order import order_sensitivity
from toolchain.chips.speck.simulate.run import simulate
from toolchain.runs import InputSpikes, LayerRecord, OrderSpread, Recording

__all__ = ["order_spread", "record_run"]


def record_run(
    program: SpeckProgram,
    spikes: InputSpikes,
    record: bool,
    timing: Timing,
) -> Recording:
    """Run the integer cores on counts (batch, time, channels, height, width), or on event arrays.

    Several outputs are concatenated in ``spikes``; ``readout_table`` lists them.
    """
    result = simulate(program, spikes, record=record, timing=timing)
    return Recording(
        spikes=flat_outputs(program, result.outputs),
        layers={
            name: LayerRecord(
                spikes=own_channels(program, name, layer.spikes),
                v_mem=own_channels(program, name, layer.v_mem),
            )
            for name, layer in result.layers.items()
        },
        saturations=dict(result.saturations),
        dt=program.dt,
        activity=of_run(program, result) if record and program.dt is not None else None,
    )


def order_spread(
    program: SpeckProgram, spikes: InputSpikes, options: Options
) -> OrderSpread | None:
    """Run event timing with simultaneous events in several orders; see ``order_sensitivity``.

    Of several outputs, the least reliable decision counts. None without permutations.
    """
    permutations = speck_options(options).permutations
    if not permutations:
        return None
    found = order_sensitivity(program, spikes, permutations=permutations)
    totals = {name: layer.sum(axis=1) for name, layer in found.layers.items()}
    wide = [name for name in program.outputs if found.outputs[name][0, 0].size > 1]
    return OrderSpread(
        orders=permutations + 1,
        fewest={name: int(total.min()) for name, total in totals.items()},
        most={name: int(total.max()) for name, total in totals.items()},
        decisions=min((float(found.decisions(name).mean()) for name in wide), default=None),
    )
