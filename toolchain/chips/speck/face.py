"""Speck's answers to ``toolchain.chips.family``: each a line into the room that does the work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from toolchain.chips.family import OrderSpread, Resource
from toolchain.chips.speck import approximations, readout
from toolchain.chips.speck.conditions import DIFFERENCES, conditions
from toolchain.chips.speck.counts import activity, activity_at, of_run
from toolchain.chips.speck.emit.addresses import to_raster
from toolchain.chips.speck.emit.tree import configuration
from toolchain.chips.speck.lower import place as placing
from toolchain.chips.speck.lower.integers import lower
from toolchain.chips.speck.power import estimate as cost
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.quantize import QUANTIZERS
from toolchain.chips.speck.quantize import quantize as to_integers
from toolchain.chips.speck.readout import flat_outputs, own_channels
from toolchain.chips.speck.rules.cores import event_order
from toolchain.chips.speck.rules.graph import check_graph, topology_is_sound
from toolchain.chips.speck.rules.pins import advised_pins
from toolchain.chips.speck.rules.program import check, with_hints
from toolchain.chips.speck.simulate.order import order_sensitivity
from toolchain.chips.speck.simulate.run import simulate as run
from toolchain.diagnostics import Diagnostic
from toolchain.hardware import SpeckChip
from toolchain.ir import Array, Graph, Neuron, Shape
from toolchain.passes import fold_sensor_pool, linear_to_conv
from toolchain.recording import LayerRecord, Recording
from toolchain.spikes import Spikes

__all__ = [
    "APPROXIMATIONS",
    "DIFFERENCES",
    "QUANTIZERS",
    "TIMINGS",
    "TITLE",
    "activity",
    "activity_at",
    "approximate",
    "can_lower",
    "check",
    "check_graph",
    "conditions",
    "cost",
    "counts",
    "emit",
    "lag",
    "lags",
    "lower",
    "order_spread",
    "pack",
    "place",
    "placement",
    "quantize",
    "resources",
    "shape",
    "simulate",
    "unpack",
    "with_readout",
]

TIMINGS = ("clocked", "event")
TITLE = "Speck"
APPROXIMATIONS = tuple(approximations.APPROXIMATIONS)

can_lower = topology_is_sound


def shape(graph: Graph) -> Graph:
    """Every dense layer as a convolution, and what pools the sensor's events inside it."""
    return fold_sensor_pool(linear_to_conv(graph))


def approximate(
    graph: Graph, chip: SpeckChip, allow: Collection[str]
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Rewrites accepted by name; see ``approximations``."""
    return approximations.approximate(graph, chip, allow)


def quantize(
    graph: Graph, chip: SpeckChip, calibration: Array | None, method: str = "auto"
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Integers by the method named; see ``toolchain.chips.speck.quantize``."""
    return to_integers(graph, chip, calibration, method)


def with_readout(program: SpeckProgram, settings: Mapping[str, Any]) -> SpeckProgram:
    """The output layer spread over the channels that the readout block hears."""
    return readout.with_readout(program, **settings)


def place(
    program: SpeckProgram, chip: SpeckChip, by_hand: Mapping[str, int] | None = None
) -> tuple[SpeckProgram, tuple[Diagnostic, ...]]:
    """A core for each layer; what the rules say of a layer is not said again.

    ``by_hand``: hardware id by name of the layer; the other layers are placed around these.
    """
    placement = placing.place(program, chip, cores=by_hand)
    if placement.cores is not None:
        placed = program.placed(placement.cores)
        return placed, tuple(event_order(placed, chip))
    if by_hand:
        return program, advised_pins(placement.findings, program, chip, by_hand)
    told = {core.name for core in program.cores if placing.fits_no_memory(core, chip)}
    too_many = len(program.cores) if len(program.cores) > len(chip.cores) else None
    findings = tuple(f for f in placement.findings if f.where not in told and f.need != too_many)
    return program, with_hints(findings, program, chip)


def placement(program: SpeckProgram) -> dict[str, str]:
    """Layer to core, ``core 3``."""
    return {core.name: f"core {core.core}" for core in program.cores}


def resources(program: SpeckProgram, chip: SpeckChip) -> tuple[Resource, ...]:
    """The three memories of each layer against those of its core."""
    rows = []
    for core in program.cores:
        spec = next(s for s in chip.cores if s.id == core.core)
        for what, used, limit in (
            ("kernel memory", core.kernel_words, spec.kernel_memory),
            ("neuron memory", core.neuron_words, spec.neuron_memory),
            ("bias memory", core.bias_words, spec.bias_memory),
        ):
            rows.append(
                Resource(
                    layer=core.name,
                    place=f"core {core.core}",
                    resource=what,
                    used=used,
                    limit=int(limit.value),
                    unit="word",
                )
            )
    return tuple(rows)


def lag(graph: Graph) -> int:
    """None: events pass all layers within the timestep."""
    del graph
    return 0


def lags(graph: Graph) -> dict[str, int]:
    """None for any layer."""
    return dict.fromkeys(graph.of(Neuron), 0)


def simulate(
    program: SpeckProgram,
    spikes: Spikes,
    *,
    record: bool,
    timing: Literal["clocked", "event"],
) -> Recording:
    """The integer cores on (batch, time, channels, height, width) counts, or on event arrays.

    Several outputs lie side by side in ``spikes``; ``readout_table`` tells whose is which.
    """
    result = run(program, spikes, record=record, timing=timing)
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


def counts(events: Spikes, shape: Shape, dt: float) -> Array:
    """Event arrays as a raster of counts."""
    channels, height, width = (*shape, 1, 1)[:3]
    return to_raster(events, (channels, height, width), dt)


def order_spread(program: SpeckProgram, spikes: Spikes, permutations: int) -> OrderSpread:
    """See ``order_sensitivity``; of several outputs the one that decides least reliably counts."""
    found = order_sensitivity(program, spikes, permutations=permutations)
    totals = {name: layer.sum(axis=1) for name, layer in found.layers.items()}
    wide = [name for name in program.outputs if found.outputs[name][0, 0].size > 1]
    return OrderSpread(
        orders=permutations + 1,
        fewest={name: int(total.min()) for name, total in totals.items()},
        most={name: int(total.max()) for name, total in totals.items()},
        decisions=min((float(found.decisions(name).mean()) for name in wide), default=None),
    )


def emit(program: SpeckProgram, chip: SpeckChip) -> dict[str, Any]:
    """The vendor's attribute tree."""
    return configuration(program, chip)


def pack(program: SpeckProgram) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and metadata."""
    return program.to_arrays()


def unpack(arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> SpeckProgram:
    """The program of ``pack``."""
    return SpeckProgram.from_arrays(arrays, metadata)
