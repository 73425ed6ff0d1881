"""Xylo's implementation of the family contract; each method delegates to one module."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Family, OnChip, Options, Resource, Timing
from toolchain.chips.xylo import approximations
from toolchain.chips.xylo.conditions import DIFFERENCES, conditions
from toolchain.chips.xylo.counts import activity, activity_at
from toolchain.chips.xylo.emit.tree import configuration
from toolchain.chips.xylo.live.boards import to_samna
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.maps import without_maps
from toolchain.chips.xylo.power import estimate
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.quantize import QUANTIZERS, quantize
from toolchain.chips.xylo.recording import record_run
from toolchain.chips.xylo.resources import placement, resources
from toolchain.chips.xylo.rules.graph import check_graph, topology_is_sound
from toolchain.chips.xylo.rules.neurons import neuron_bias
from toolchain.chips.xylo.rules.program import check
from toolchain.chips.xylo.spec import XyloChip
from toolchain.chips.xylo.store import from_arrays, to_arrays
from toolchain.diagnostics import Diagnostic
from toolchain.estimate import Estimate
from toolchain.fidelity.ledger import Changes, Effect
from toolchain.hardware import SpecBase
from toolchain.ir import Graph
from toolchain.passes import carry_bias, fold_gain
from toolchain.runs import Activity, Recording, Spikes

__all__ = ["Xylo", "XyloOnChip"]


@dataclass(frozen=True, slots=True)
class XyloOnChip(OnChip):
    """A Xylo program on a Xylo chip."""

    program: XyloProgram
    chip: XyloChip

    def check(self) -> tuple[Diagnostic, ...]:
        """Apply every rule on programs."""
        return check(self.program, self.chip)

    def place(self, options: Options) -> tuple[XyloOnChip, tuple[Diagnostic, ...]]:
        """Return the program as it is: ids are allocated when a graph is lowered."""
        del options
        return self, ()

    def placement(self) -> Mapping[str, str]:
        """Return neuron ids by layer."""
        return placement(self.program)

    def resources(self) -> tuple[Resource, ...]:
        """Return channels, neurons and recurrent entries of each layer."""
        return resources(self.program, self.chip)

    def simulate(self, spikes: Spikes, *, record: bool = False, timing: Timing) -> Recording:
        """Run the integer core, which is clocked."""
        if timing != "clocked":
            raise ValueError(f"{self.chip.name} is clocked; it has no timing={timing!r}")
        return record_run(self.program, np.asarray(spikes), record=record)

    def activity(self, spikes: Spikes) -> Activity:
        """Count spikes and synaptic operations."""
        return activity(self.program, np.asarray(spikes))

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
        """Price counts by the cycle model and the chip's rails."""
        priced = self.chip if chip is None else Xylo.on(chip).chip
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
class Xylo(Family):
    """The Xylo family on one of its chips."""

    NAME: ClassVar[str] = "xylo"
    TITLE: ClassVar[str] = "Xylo"
    SPEC: ClassVar[type[SpecBase]] = XyloChip
    QUANTIZERS: ClassVar[tuple[str, ...]] = QUANTIZERS
    APPROXIMATIONS: ClassVar[tuple[str, ...]] = tuple(approximations.APPROXIMATIONS)
    DIFFERENCES: ClassVar[tuple[str, ...]] = DIFFERENCES

    chip: XyloChip

    @classmethod
    def on(cls, chip: SpecBase) -> Xylo:
        """Return the family for a Xylo chip."""
        if not isinstance(chip, XyloChip):
            raise ValueError(f"{chip.name} is a {chip.family} chip, this is for {cls.TITLE}")
        return cls(chip)

    def shape(self, graph: Graph) -> Graph:
        """Return dense layers of neurons, without maps, with biases on neurons alone."""
        return carry_bias(fold_gain(without_maps(graph)))

    def approximate(
        self, graph: Graph, allow: Collection[str]
    ) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """Apply the rewrites of ``approximations``."""
        return approximations.approximate(graph, self.chip, allow)

    def check_graph(self, graph: Graph) -> tuple[Diagnostic, ...]:
        """Apply every rule on graphs."""
        return check_graph(graph, self.chip)

    def can_lower(self, graph: Graph) -> bool:
        """Return whether layers are joined soundly and no bias is left that the core lacks."""
        return topology_is_sound(graph, self.chip) and not any(neuron_bias(graph, self.chip))

    def quantize(
        self, graph: Graph, calibration: Array | None, method: str
    ) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """Find integers by one of ``QUANTIZERS``."""
        return quantize(graph, self.chip, calibration, method)

    def lower(self, graph: Graph, options: Options) -> XyloOnChip:
        """Allocate neurons and fill the registers."""
        del options
        return XyloOnChip(lower(graph, self.chip), self.chip)

    def conditions(
        self, graph: Graph, quantized: Graph, effects: Mapping[str, Effect] | None
    ) -> Changes:
        """Return caps, word widths, arithmetic and lags."""
        return conditions(graph, quantized, self.chip, effects)

    def lags(self, graph: Graph) -> Mapping[str, int]:
        """Return one timestep for each hop between layers."""
        return read_layers(graph).lags()

    def lag(self, graph: Graph) -> int:
        """Return the lag of the output, what the graph delays there taken off."""
        return read_layers(graph).lag()

    def unpack(self, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> XyloOnChip:
        """Return the program that ``pack`` took apart."""
        return XyloOnChip(from_arrays(arrays, metadata), self.chip)
