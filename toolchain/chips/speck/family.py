"""Speck's implementation of the family contract; each method delegates to one module."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from toolchain.arrays import Array, Shape
from toolchain.chips.contract import Family, OnChip, Options, Resource, Timing
from toolchain.chips.speck import approximations
from toolchain.chips.speck.conditions import DIFFERENCES, conditions
from toolchain.chips.speck.counts import activity, activity_at
from toolchain.chips.speck.emit.addresses import to_raster
from toolchain.chips.speck.emit.tree import configuration
from toolchain.chips.speck.live.boards import to_samna
from toolchain.chips.speck.lower.integers import lower
from toolchain.chips.speck.options import SpeckOptions
from toolchain.chips.speck.outputs import with_readout
from toolchain.chips.speck.power import estimate
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.quantize import QUANTIZERS, quantize
from toolchain.chips.speck.recording import order_spread, record_run
from toolchain.chips.speck.resources import place, placement, resources
from toolchain.chips.speck.rules.graph import check_graph, topology_is_sound
from toolchain.chips.speck.rules.program import check
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.speck.store import from_arrays, to_arrays
from toolchain.diagnostics import Diagnostic
from toolchain.estimate import Estimate
from toolchain.fidelity.ledger import Changes, Effect
from toolchain.hardware import SpecBase
from toolchain.ir import Graph, Neuron
from toolchain.passes import fold_sensor_pool, linear_to_conv
from toolchain.runs import Activity, OrderSpread, Recording, Spikes

__all__ = ["Speck", "SpeckOnChip"]


@dataclass(frozen=True, slots=True)
class SpeckOnChip(OnChip):
    """A Speck program on a Speck chip."""

    program: SpeckProgram
    chip: SpeckChip

    def check(self) -> tuple[Diagnostic, ...]:
        """Apply every rule on programs."""
        return check(self.program, self.chip)

    def place(self, options: Options) -> tuple[SpeckOnChip, tuple[Diagnostic, ...]]:
        """Find a core for each layer, around those that ``options`` name."""
        program, findings = place(self.program, self.chip, _own(options).placement)
        return SpeckOnChip(program, self.chip), findings

    def placement(self) -> Mapping[str, str]:
        """Return the core of each layer."""
        return placement(self.program)

    def resources(self) -> tuple[Resource, ...]:
        """Return the three memories of each layer."""
        return resources(self.program, self.chip)

    def simulate(self, spikes: Spikes, *, record: bool = False, timing: Timing) -> Recording:
        """Run the integer cores on counts or event arrays."""
        return record_run(self.program, spikes, record=record, timing=timing)

    def order_spread(self, spikes: Spikes, options: Options) -> OrderSpread | None:
        """Run event timing in as many random orders as ``options`` say."""
        permutations = _own(options).permutations
        return order_spread(self.program, spikes, permutations) if permutations else None

    def activity(self, spikes: Spikes) -> Activity:
        """Count spikes and synaptic operations."""
        return activity(self.program, spikes)

    def activity_at(self, rates: Mapping[str, float], steps: int) -> Activity:
        """Compute the counts of mean rates."""
        return activity_at(self.program, rates, steps)

    def cost(
        self,
        activity: Activity,
        clock_hz: float | None,
        modes: Mapping[str, str],
        chip: SpecBase | None = None,
    ) -> Estimate:
        """Price counts by synaptic operations and the chip's rails."""
        priced = self.chip if chip is None else Speck.on(chip).chip
        return estimate(self.program, priced, activity, clock_hz, modes)

    def config(self) -> Mapping[str, Any]:
        """Return the vendor's attribute tree."""
        return configuration(self.program, self.chip)

    def live_config(self) -> Any:
        """Return the vendor's configuration object."""
        return to_samna(self.config(), self.chip)

    def pack(self) -> tuple[Mapping[str, Array], Mapping[str, Any]]:
        """Return the program as arrays and metadata."""
        return to_arrays(self.program)


@dataclass(frozen=True, slots=True)
class Speck(Family):
    """The Speck family on one of its chips."""

    NAME: ClassVar[str] = "speck"
    TITLE: ClassVar[str] = "Speck"
    SPEC: ClassVar[type[SpecBase]] = SpeckChip
    OPTIONS: ClassVar[type[Options]] = SpeckOptions
    QUANTIZERS: ClassVar[tuple[str, ...]] = QUANTIZERS
    TIMINGS: ClassVar[tuple[Timing, ...]] = ("clocked", "event")
    APPROXIMATIONS: ClassVar[tuple[str, ...]] = tuple(approximations.APPROXIMATIONS)
    DIFFERENCES: ClassVar[tuple[str, ...]] = DIFFERENCES

    chip: SpeckChip

    @classmethod
    def on(cls, chip: SpecBase) -> Speck:
        """Return the family for a Speck chip."""
        if not isinstance(chip, SpeckChip):
            raise ValueError(f"{chip.name} is a {chip.family} chip, this is for {cls.TITLE}")
        return cls(chip)

    def shape(self, graph: Graph) -> Graph:
        """Return every dense layer as a convolution, with sensor pools inside the sensor."""
        return fold_sensor_pool(linear_to_conv(graph))

    def approximate(
        self, graph: Graph, allow: Collection[str]
    ) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """Apply the rewrites of ``approximations``."""
        return approximations.approximate(graph, self.chip, allow)

    def check_graph(self, graph: Graph) -> tuple[Diagnostic, ...]:
        """Apply every rule on graphs."""
        return check_graph(graph, self.chip)

    def can_lower(self, graph: Graph) -> bool:
        """Return whether the graph can be read as cores that send spikes to each other."""
        return topology_is_sound(graph, self.chip)

    def quantize(
        self, graph: Graph, calibration: Array | None, method: str
    ) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """Find integers by one of ``QUANTIZERS``."""
        return quantize(graph, self.chip, calibration, method)

    def lower(self, graph: Graph, options: Options) -> SpeckOnChip:
        """Return the cores and connections, with the readout block set as ``options`` say."""
        program, readout = lower(graph, self.chip), _own(options).readout
        program = program if readout is None else with_readout(program, **readout)
        return SpeckOnChip(program, self.chip)

    def conditions(
        self, graph: Graph, quantized: Graph, effects: Mapping[str, Effect] | None
    ) -> Changes:
        """Return word widths, timing of events and the slow clock."""
        return conditions(graph, quantized, self.chip, effects)

    def lags(self, graph: Graph) -> Mapping[str, int]:
        """Return 0 for each layer: events pass all layers within the timestep."""
        return dict.fromkeys(graph.of(Neuron), 0)

    def counts(self, events: Spikes, shape: Shape, dt: float) -> Array:
        """Return event arrays as a raster of counts."""
        channels, height, width = (*shape, 1, 1)[:3]
        return to_raster(events, (channels, height, width), dt)

    def unpack(self, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> SpeckOnChip:
        """Return the program that ``pack`` took apart."""
        return SpeckOnChip(from_arrays(arrays, metadata), self.chip)


def _own(options: Options) -> SpeckOptions:
    """Return options of this family; those of the contract set nothing."""
    if type(options) is Options:
        return SpeckOptions()
    if not isinstance(options, SpeckOptions):
        raise ValueError(f"Speck takes SpeckOptions, got {type(options).__name__}")
    return options
