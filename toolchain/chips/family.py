"""What a chip family offers, and which module offers it.

``deploy`` knows this face and no family. Each family is a room under ``toolchain/chips`` whose
``face`` module holds these functions; it is imported when a chip of the family is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, TypeAlias, TypeGuard, cast

from toolchain.diagnostics import Diagnostic
from toolchain.estimate import Activity, Estimate
from toolchain.ir import Array, Graph, Shape
from toolchain.ledger import Changes, Effect
from toolchain.recording import Recording
from toolchain.spikes import Spikes

__all__ = [
    "EventFamily",
    "Family",
    "OrderSpread",
    "Program",
    "Resource",
    "Timing",
    "load_family",
    "takes_events",
]

FAMILIES = {"xylo": "toolchain.chips.xylo.face", "speck": "toolchain.chips.speck.face"}

Program: TypeAlias = Any
"""The family's own frozen integer program; only its family looks inside."""

ChipOf: TypeAlias = Any
"""The family's own chip specification."""


Timing: TypeAlias = Literal["clocked", "event"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """How much of one resource a layer takes.

    Attributes:
        layer: the user's own name, or ``"network"``.
        place: core or neuron ids, as text.
        resource: what is used.
        used, limit: in ``unit``.
        unit: of both.
        shared: whether all layers share the limit, so that what they use adds up.
    """

    layer: str
    place: str
    resource: str
    used: int
    limit: int
    unit: str
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSpread:
    """What the order of simultaneous events does to a run, all samples together.

    Attributes:
        orders: how many were tried, the one given among them.
        fewest, most: spikes of each layer over these orders.
        decisions: share of the orders in which the most active output is that of the order given,
            0..1; None where there is a single output.
    """

    orders: int
    fewest: Mapping[str, int]
    most: Mapping[str, int]
    decisions: float | None


class Family(Protocol):
    """The face of a chip family.

    Attributes:
        TITLE: the family's name, for people.
        QUANTIZERS: names that ``quantize`` takes, the default first.
        TIMINGS: timings that ``simulate`` takes, the default first. One with ``"event"`` is an
            ``EventFamily``.
        APPROXIMATIONS: names that ``approximate`` takes, in the order in which it takes them;
            what each means is in ``toolchain.chips.allow``.
        DIFFERENCES: rules whose findings tell of something that the network does not do; they
            are entered in the ledger.
    """

    TITLE: str
    QUANTIZERS: tuple[str, ...]
    TIMINGS: tuple[Timing, ...]
    APPROXIMATIONS: tuple[str, ...]
    DIFFERENCES: tuple[str, ...]

    def shape(self, graph: Graph) -> Graph:
        """The float graph rewritten into the family's layers, exactly."""

    def approximate(
        self, graph: Graph, chip: ChipOf, allow: Collection[str]
    ) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """The shaped graph with the approximations named in ``allow``, and what each changed.

        ValueError lists the names that there are. What is not named is left for
        ``check_graph`` to refuse.
        """

    def check_graph(self, graph: Graph, chip: ChipOf) -> tuple[Diagnostic, ...]:
        """Every finding about what the shaped float graph asks for."""

    def conditions(
        self,
        graph: Graph,
        quantized: Graph,
        chip: ChipOf,
        effects: Mapping[str, Effect] | None,
    ) -> Changes:
        """What the chip does otherwise than any network, by layer, for the ledger.

        ``graph`` is what the quantizer was given and ``quantized`` what it gave; ``effects`` is
        what calibration samples did, by layer, None without: each condition on data is then
        checked, and its margin told.
        """

    def can_lower(self, graph: Graph, chip: ChipOf) -> bool:
        """Whether ``lower`` makes sense of the shaped graph, fitting or not."""

    def quantize(
        self, graph: Graph, chip: ChipOf, calibration: Array | None, method: str
    ) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """The shaped graph in integers, and what limits each scale.

        ``calibration`` spikes are (batch, time, *features); ``method`` is one of QUANTIZERS.
        """

    def lower(self, graph: Graph, chip: ChipOf) -> Program:
        """The program of a quantized graph."""

    def check(self, program: Program, chip: ChipOf) -> tuple[Diagnostic, ...]:
        """Every finding about the program."""

    def with_readout(self, program: Program, settings: Mapping[str, Any]) -> Program:
        """The program read out by the chip itself; ValueError from a family that cannot."""

    def place(
        self, program: Program, chip: ChipOf, by_hand: Mapping[str, int] | None = None
    ) -> tuple[Program, tuple[Diagnostic, ...]]:
        """The program with its places on the chip, or the findings why there are none.

        ``by_hand``: core ids by layer, for layers that are to be there; ValueError from a family
        that has no such choice.
        """

    def placement(self, program: Program) -> dict[str, str]:
        """The user's layer names to core or neuron ids."""

    def resources(self, program: Program, chip: ChipOf) -> tuple[Resource, ...]:
        """What each layer uses of each resource."""

    def lag(self, graph: Graph) -> int:
        """Timesteps by which the chip's output is later than the graph's."""

    def lags(self, graph: Graph) -> Mapping[str, int]:
        """The same of each layer; negative where the chip is earlier."""

    def simulate(
        self,
        program: Program,
        spikes: Spikes,
        *,
        record: bool,
        timing: Timing,
    ) -> Recording:
        """Run the program on spikes, bit for bit as the chip."""

    def activity(self, program: Program, spikes: Spikes) -> Activity:
        """Counts on the spikes given."""

    def activity_at(self, program: Program, rates: Mapping[str, float], steps: int) -> Activity:
        """Counts for assumed mean rates, spike/s a neuron, by layer and input name."""

    def cost(
        self,
        program: Program,
        chip: ChipOf,
        activity: Activity,
        clock_hz: float | None,
        modes: Mapping[str, str],
    ) -> Estimate:
        """Counts times the chip's costs, in the modes of ``chip.power.switches`` that are said."""

    def emit(self, program: Program, chip: ChipOf) -> dict[str, Any]:
        """The vendor's attribute tree as plain data."""

    def to_samna(self, config: Mapping[str, Any], chip: ChipOf) -> Any:
        """``config`` in the vendor's live object; VendorError where its library is absent."""

    def pack(self, program: Program) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and JSON-able metadata that ``unpack`` takes."""

    def unpack(self, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> Program:
        """The program that ``pack`` took apart; ValueError where it is none."""


class EventFamily(Family, Protocol):
    """A family whose chips take events one by one."""

    def counts(self, events: Spikes, shape: Shape, dt: float) -> Array:
        """Event arrays as counts (batch, time, *shape) in steps of ``dt`` s, up to the last event.

        ValueError names the first event at fault.
        """

    def order_spread(self, program: Program, spikes: Spikes, permutations: int) -> OrderSpread:
        """Event timing with simultaneous events as given, and in so many random orders."""


def load_family(name: str) -> Family:
    """The face of family ``name``."""
    return cast(Family, import_module(FAMILIES[name]))


def takes_events(family: Family) -> TypeGuard[EventFamily]:
    """Whether its chips take events one by one."""
    return "event" in family.TIMINGS
