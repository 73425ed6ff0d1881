"""Contract between the toolchain and a chip family.

``deploy`` and the verbs of ``Deployment`` use these protocols and know no family. A family is a
class that implements ``Family``; it is constructed for one chip by ``Family.on`` and gives, for
each network, an ``OnChip``: the program bound to that chip. Chip and program are bound before
anything is asked of them, so no signature here names a type that only a family knows.

A family registers through the entry point group ``snn_toolchain.families`` (see
``toolchain.chips.plugins``) and is tested by ``toolchain.chips.conformance``.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias

from toolchain.arrays import Array, Shape
from toolchain.diagnostics import Diagnostic
from toolchain.estimate import Estimate
from toolchain.fidelity.ledger import Changes, Effect
from toolchain.hardware import SpecBase
from toolchain.ir import Graph
from toolchain.runs import Activity, OrderSpread, Recording, Spikes

__all__ = ["Capability", "Family", "OnChip", "Options", "Resource", "Session", "Timing"]

Timing: TypeAlias = Literal["clocked", "event"]
"""``clocked``: all events of a timestep at once; ``event``: one event after the other."""

Capability: TypeAlias = Literal["session", "training", "sensors"]
"""What a family may have beyond the contract; the conformance kit checks what is declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings that only one family knows; a family derives its own fields from this class."""


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


class Session(Protocol):
    """A simulation whose state is kept between calls."""

    def simulate(self, spikes: Spikes) -> Recording:
        """Continue with ``spikes`` (batch, time, *features) from the current state."""
        ...

    def reset(self) -> None:
        """Return to the state after loading."""
        ...


class OnChip(Protocol):
    """A program on a chip: what is simulated is what is loaded.

    Simulation, estimate, resources and configuration all read the same frozen program.
    """

    @property
    def chip(self) -> SpecBase:
        """Specification of the chip that the program is for."""
        ...

    @property
    def program(self) -> object:
        """The family's own frozen integer program."""
        ...

    def check(self) -> tuple[Diagnostic, ...]:
        """Return every finding about the program, in rule order."""
        ...

    def place(self, options: Options) -> tuple[Self, tuple[Diagnostic, ...]]:
        """Return the program with its places on the chip, or the findings why there are none.

        Raises:
            ValueError: ``options`` name a layer or a place that does not exist.
        """
        ...

    def placement(self) -> Mapping[str, str]:
        """Return the places of each layer as text, by the user's layer names."""
        ...

    def resources(self) -> tuple[Resource, ...]:
        """Return what each layer uses of each resource, with its limit."""
        ...

    def simulate(self, spikes: Spikes, *, record: bool = False, timing: Timing) -> Recording:
        """Run the program from its initial state, bit for bit as the chip does.

        Args:
            spikes: counts (batch, time, *input shape), or event arrays where ``"event"`` is one of
                the family's timings.
            record: keep spikes and states of every layer, and count saturations.
            timing: one of the family's ``TIMINGS``.

        Raises:
            ValueError: input that is not as described, or another timing.
        """
        ...

    def order_spread(self, spikes: Spikes, options: Options) -> OrderSpread | None:
        """Return the effect of the order of simultaneous events; None unless ``options`` ask."""
        del spikes, options
        return None

    def session(self) -> Session:
        """Start a simulation whose state is kept between calls; capability ``session``."""
        raise ValueError(f"{self.chip.name}: its family has no sessions")

    def activity(self, spikes: Spikes) -> Activity:
        """Count spikes and synaptic operations on ``spikes``, as ``simulate`` takes them.

        Raises:
            ValueError: the program has no dt.
        """
        ...

    def activity_at(self, rates: Mapping[str, float], steps: int) -> Activity:
        """Compute the counts of assumed mean rates, spike/s a neuron, by layer and input name."""
        ...

    def cost(
        self,
        activity: Activity,
        clock_hz: float | None,
        modes: Mapping[str, str],
        chip: SpecBase | None = None,
    ) -> Estimate:
        """Price ``activity`` with the constants of the chip, or of ``chip``: the same with others.

        Args:
            activity: counts of this program.
            clock_hz: main clock, Hz; None for the usual one, or on a chip without one.
            modes: setting by switch, see ``chip.power.switches``.
            chip: the same chip with constants of an overlay.
        """
        ...

    def config(self) -> Mapping[str, Any]:
        """Return the configuration that the vendor's tools load, as plain JSON-able data."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """Return the configuration as files, by name."""
        text = json.dumps(self.config(), indent=1, sort_keys=True, allow_nan=False)
        return {"config.json": text.encode()}

    def live_config(self) -> Any:
        """Return the configuration as an object of the vendor's library.

        Raises:
            VendorError: the library is absent, or there is none for the chip.
        """
        raise ValueError(f"{self.chip.name}: its family has no vendor library")

    def pack(self) -> tuple[Mapping[str, Array], Mapping[str, Any]]:
        """Return the program as arrays and JSON-able metadata, for ``Family.unpack``."""
        ...


class Family(Protocol):
    """A chip family on one of its chips.

    Attributes:
        NAME: the family's name in chip files.
        TITLE: the family's name for people.
        SPEC: model of its chip files.
        OPTIONS: class of its options.
        QUANTIZERS: names that ``quantize`` takes, the default first.
        TIMINGS: timings that ``simulate`` takes, the default first. A family with ``"event"``
            takes event arrays and implements ``counts``.
        APPROXIMATIONS: names that ``approximate`` takes, in the order in which it applies them;
            ``toolchain.chips.allow`` says what each means.
        DIFFERENCES: rules whose findings name something that the chip does differently from the
            network; they become entries of the ledger.
        CAPABILITIES: what the family has beyond the contract.
    """

    NAME: ClassVar[str]
    TITLE: ClassVar[str]
    SPEC: ClassVar[type[SpecBase]]
    OPTIONS: ClassVar[type[Options]] = Options
    QUANTIZERS: ClassVar[tuple[str, ...]]
    TIMINGS: ClassVar[tuple[Timing, ...]] = ("clocked",)
    APPROXIMATIONS: ClassVar[tuple[str, ...]] = ()
    DIFFERENCES: ClassVar[tuple[str, ...]] = ()
    CAPABILITIES: ClassVar[frozenset[Capability]] = frozenset()

    @classmethod
    @abstractmethod
    def on(cls, chip: SpecBase) -> Self:
        """Return the family for ``chip``.

        Raises:
            ValueError: a chip of another family.
        """
        ...

    @property
    @abstractmethod
    def chip(self) -> SpecBase:
        """Specification of the chip."""
        ...

    @abstractmethod
    def shape(self, graph: Graph) -> Graph:
        """Rewrite a float graph into the family's layers, exactly."""
        ...

    def approximate(
        self, graph: Graph, allow: Collection[str]
    ) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """Apply the approximations named in ``allow``, and report what each changed.

        What is not named is left for ``check_graph`` to refuse.

        Raises:
            ValueError: an unknown name; the message lists the valid ones.
        """
        del allow
        return graph, ()

    @abstractmethod
    def check_graph(self, graph: Graph) -> tuple[Diagnostic, ...]:
        """Return every finding about the shaped float graph, in rule order."""
        ...

    @abstractmethod
    def can_lower(self, graph: Graph) -> bool:
        """Return whether ``lower`` can read the shaped graph, whether or not it fits."""
        ...

    @abstractmethod
    def quantize(
        self, graph: Graph, calibration: Array | None, method: str
    ) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """Return the shaped graph in integers, and the findings about its scales.

        Args:
            graph: shaped float graph.
            calibration: spikes (batch, time, *features), or None.
            method: one of ``QUANTIZERS``.
        """
        ...

    def decay_note(self, trained: float, held: float) -> str:
        """Describe how the chip holds a decay factor, ``held`` in place of ``trained``.

        The words follow the change of the time constant in the ledger and in its warning.
        """
        del trained, held
        return ""

    @abstractmethod
    def lower(self, graph: Graph, options: Options) -> OnChip:
        """Return the program of a quantized graph, set up as ``options`` say."""
        ...

    def conditions(
        self, graph: Graph, quantized: Graph, effects: Mapping[str, Effect] | None
    ) -> Changes:
        """Return what the chip does differently from any network, by layer, for the ledger.

        Args:
            graph: what the quantizer was given.
            quantized: what it returned.
            effects: what calibration samples did, by layer; None without. With them, each
                condition on data is checked and its margin given.
        """
        del graph, quantized, effects
        return {}

    @abstractmethod
    def lags(self, graph: Graph) -> Mapping[str, int]:
        """Return by how many timesteps each layer is later on the chip than in the graph."""
        ...

    def lag(self, graph: Graph) -> int:
        """Return by how many timesteps the chip's output is later than the graph's."""
        lags = self.lags(graph)
        return max((lags[name] for name in graph.outputs), default=0)

    def counts(self, events: Spikes, shape: Shape, dt: float) -> Array:
        """Return event arrays as counts (batch, time, *shape) in steps of ``dt`` s.

        Raises:
            ValueError: a family whose chips take no events, or the first event at fault.
        """
        del events, shape, dt
        raise ValueError(f"{self.chip.name} takes no event arrays")

    @abstractmethod
    def unpack(self, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> OnChip:
        """Return the program that ``OnChip.pack`` took apart.

        Raises:
            ValueError: data of no program of this family.
        """
        ...
