"""Contract between the toolchain and a chip family.

``deploy`` and the methods of ``Deployment`` use these protocols only. A family is a class that
implements ``Family``; ``Family.on`` constructs it for one chip, and ``Family.lower`` returns an
``OnChip``: one network's program bound to that chip. Chip and program are attributes, so no
signature here needs a type of a single family.

A family registers through the entry point group ``snn_toolchain.families`` (see
``toolchain.chips.plugins``) and is tested by ``toolchain.chips.conformance``.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.chips.graph_edits import GraphEdit
from toolchain.chips.training import TrainableProgram
from toolchain.diagnostics import Diagnostic
from toolchain.estimate import Estimate
from toolchain.fidelity.ledger import Changes, Effect
from toolchain.hardware import Quantity, SpecBase
from toolchain.ir import Graph
from toolchain.runs import Activity, InputSpikes, OrderSpread, Recording
from toolchain.runs.ceiling import WeightRounding

__all__ = [
    "Capability",
    "ChipSession",
    "Family",
    "OnChip",
    "Options",
    "ProgramFile",
    "Record",
    "Resource",
    "SessionSettings",
    "Timing",
]

Timing: TypeAlias = Literal["clocked", "event"]
"""Order of processing. ``clocked``: all events of a timestep at once; ``event``: one by one."""

Record: TypeAlias = bool | Mapping[str, Collection[str]]
"""Recorded of each step besides the outputs: nothing, everything (True), or by layer what is
named, ``{"conv2": ("spikes",)}``.
"""

Capability: TypeAlias = Literal["session", "training", "sensors"]
"""Optional feature of a family; the conformance tests check those that it declares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Base class of the settings of one family, for ``deploy(..., options=...)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFile:
    """A file that a family reads as a finished program.

    Attributes:
        title: what the file is, with its article.
        chip: name of its chip.
        any_chip: True if the file does not state its chip, and ``chip`` is the family's default.
    """

    title: str
    chip: str
    any_chip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Use of one chip resource by one layer.

    Attributes:
        layer: the user's layer name, or ``"network"``.
        place: core or neuron ids, as text.
        resource: name of the resource, such as ``"neurons"``.
        used, limit: amounts, in ``unit``.
        unit: unit of both amounts.
        shared: True if all layers share the limit, so that their amounts add up.
    """

    layer: str
    place: str
    resource: str
    used: int
    limit: int
    unit: str
    shared: bool = False


class ChipSession(Protocol):
    """Simulation of a batch of samples in pieces, whose state is kept between calls.

    Pieces of any length together equal one whole run, bit for bit. After a ``ValueError`` or an
    interrupt the state is that before the call.
    """

    @property
    def steps(self) -> int:
        """Number of steps simulated since the start or the last reset."""
        ...

    def run(self, spikes: InputSpikes, steps: int | None = None) -> Recording:
        """Simulate more steps.

        Args:
            spikes: counts (batch, time, *input shape), or event arrays if ``"event"`` is one of
                the family's timings, with times since step 0.
            steps: number of steps, for event arrays; by default up to the last event.

        Raises:
            ValueError: invalid input.
        """
        ...

    def reset(self) -> None:
        """Return to the initial state and to step 0."""
        ...

    def state(self) -> Mapping[str, Array]:
        """Return copies of the arrays of the state, batch first."""
        ...

    def restore(self, state: Mapping[str, Array], steps: int) -> None:
        """Continue from the arrays of ``state``, after so many steps.

        Raises:
            ValueError: the arrays are not a state of this program and batch; nothing is changed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Settings of a session.

    Attributes:
        batch: number of samples, >= 0.
        timing: one of the family's ``TIMINGS``.
        record: what is kept of each step; the names are those of layers of the program, and of the
            family's ``RECORDS``.
        options: options of the family's simulation; None for the defaults.
        threads: samples simulated at a time; None for the number of processors.
        outputs: place of each output of the network in the last axis of ``Recording.spikes``. A
            session may fill ``Recording.outputs`` with it, which saves a copy of the recording.
    """

    batch: int = 1
    timing: Timing = "clocked"
    record: Record = False
    options: Options | None = None
    threads: int | None = None
    outputs: Mapping[str, slice] = field(default_factory=dict)


class OnChip(Protocol):
    """A program bound to a chip.

    Simulation, estimate, resources and configuration all use the same frozen program.
    """

    @property
    def chip(self) -> SpecBase:
        """Specification of the program's chip."""
        ...

    @property
    def program(self) -> object:
        """Frozen integer program, of a type of the family."""
        ...

    def check(self) -> tuple[Diagnostic, ...]:
        """Return every finding about the program, in rule order."""
        ...

    def network(self) -> Graph:
        """Return the network that the program computes, a Graph of its integers.

        Raises:
            ValueError: the family cannot, or no network computes what the program does.
        """
        raise ValueError(f"{self.chip.name}: its family has no network of a finished program")

    def place(self, options: Options) -> tuple[Self, tuple[Diagnostic, ...]]:
        """Return the program with each layer assigned to cores or neurons, and the findings.

        Without a valid placement the findings contain the errors.

        Raises:
            ValueError: ``options`` name a layer or a place that does not exist.
        """
        ...

    def options(self) -> Options | None:
        """Return options with which ``lower`` and ``place`` give this program again.

        ``Deployment.load`` lowers the quantized graph with them and compares the programs. None if
        they do not follow from the program; it is then not compared.
        """
        return None

    def unplaced(self) -> object | None:
        """Return the program without the name of its chip and the places of its layers.

        Two programs that are equal in this are simulated alike, on any chips. None, the default,
        is equal to no other.
        """
        return None

    def placement(self) -> Mapping[str, str]:
        """Return core or neuron ids of each layer as text, by the user's layer names."""
        ...

    def resources(self) -> tuple[Resource, ...]:
        """Return the use of each resource by each layer, with the limits."""
        ...

    def simulate(self, spikes: InputSpikes, *, record: Record = False, timing: Timing) -> Recording:
        """Simulate the program from its initial state, bit-exact with the chip.

        Args:
            spikes: counts (batch, time, *input shape), or event arrays if ``"event"`` is one of
                the family's timings.
            record: True records spikes and states of every layer, and counts saturations; names by
                layer are for families with sessions.
            timing: one of the family's ``TIMINGS``.

        Raises:
            ValueError: invalid input or timing.
        """
        ...

    def order_spread(self, spikes: InputSpikes, options: Options) -> OrderSpread | None:
        """Return the effect of the order of simultaneous events; None unless requested."""
        del spikes, options
        return None

    def session(self, settings: SessionSettings) -> ChipSession:
        """Start a simulation that keeps its state between calls (capability ``session``).

        Raises:
            ValueError: the family does not support sessions, or invalid settings.
        """
        del settings
        raise ValueError(f"{self.chip.name}: its family does not support sessions")

    def trainable(self, quantized: Graph) -> TrainableProgram:
        """Return the program with integers that change (capability ``training``).

        Args:
            quantized: the graph that the program was lowered from.

        Raises:
            ValueError: the family does not support training, or this program.
        """
        del quantized
        raise ValueError(f"{self.chip.name}: its family does not support training")

    def activity(self, spikes: InputSpikes) -> Activity:
        """Count spikes and synaptic operations for ``spikes``; see ``simulate``.

        Raises:
            ValueError: the program has no dt.
        """
        ...

    def activity_at(self, rates: Mapping[str, float], steps: int) -> Activity:
        """Compute the counts for mean rates, spike/s per neuron, by layer and input name."""
        ...

    def cost(
        self,
        activity: Activity,
        clock_hz: float | None,
        modes: Mapping[str, str],
        chip: SpecBase | None = None,
    ) -> Estimate:
        """Estimate power, energy and latency of ``activity``.

        Args:
            activity: counts of this program.
            clock_hz: main clock, Hz; None for the default, or for a chip without one.
            modes: setting of each switch, see ``chip.power.switches``.
            chip: the same chip with the constants of an overlay; None for the chip's own.
        """
        ...

    def config(self) -> Mapping[str, Any]:
        """Return the configuration for the vendor's tools, as JSON-compatible data."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """Return the configuration files as bytes, by file name."""
        text = json.dumps(self.config(), indent=1, sort_keys=True, allow_nan=False)
        return {"config.json": text.encode()}

    def live_config(self) -> Any:
        """Return the configuration as an object of the vendor's library.

        Raises:
            VendorError: the library is not installed or does not support the chip.
            ValueError: there is no vendor library for the family.
        """
        raise ValueError(f"{self.chip.name}: its family has no vendor library")

    def pack(self) -> tuple[Mapping[str, Array], Mapping[str, Any]]:
        """Return the program as arrays and JSON-compatible metadata, for ``Family.unpack``."""
        ...

    def digest(self) -> str:
        """Return a digest of chip and program, which a state of the simulation names."""
        arrays, metadata = self.pack()
        digest = hashlib.sha256(self.chip.name.encode())
        digest.update(json.dumps(metadata, sort_keys=True).encode())
        for name, array in sorted(arrays.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


class Family(Protocol):
    """A chip family bound to one of its chips.

    Attributes:
        NAME: the family's name in chip files.
        TITLE: the family's name in messages.
        SPEC: model of its chip files.
        OPTIONS: class of its options.
        QUANTIZERS: valid values of ``method`` in ``quantize``, the default first.
        TIMINGS: valid values of ``timing`` in ``simulate``, the default first. A family with
            ``"event"`` takes event arrays and implements ``counts``.
        APPROXIMATIONS: valid names of ``allow`` in ``approximate``, in the order in which they are
            applied; ``toolchain.chips.allow.NAMES`` has their meanings.
        DIFFERENCES: rules whose findings describe a difference between chip and network; they
            become entries of the ledger.
        CAPABILITIES: optional features of the family.
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
        """Return the family bound to ``chip``.

        Raises:
            ValueError: a chip of another family.
        """
        ...

    @classmethod
    def warm(cls) -> None:
        """Run everything that the family compiles once, on a small input of each kind.

        ``toolchain.warm`` calls it. A family without compiled functions does nothing.
        """
        del cls

    @property
    @abstractmethod
    def chip(self) -> SpecBase:
        """Specification of the chip."""
        ...

    def configured(self, graph: Graph, options: Options) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """Return the network that ``options`` ask for, and findings on what differs from ``graph``.

        The trained network that the chip is compared with is this one.

        Raises:
            ValueError: options that this network cannot have.
        """
        del options
        return graph, ()

    @classmethod
    def recognizes(cls, document: Mapping[str, Any]) -> ProgramFile | None:
        """Return what a JSON file is, if ``from_document`` reads it; None for other files."""
        del document
        return None

    def from_document(
        self, document: Mapping[str, Any], dt: float | None
    ) -> tuple[OnChip, Mapping[str, str]]:
        """Return the finished program of a file that ``recognizes`` knows, and notes on it.

        Args:
            document: parsed JSON, from outside.
            dt: length of a timestep, s, for a file that states none.

        Raises:
            ValueError: invalid values, with every fault, or a program of another chip.
        """
        del document, dt
        raise ValueError(f"{self.chip.name}: its family reads no files of programs")

    @abstractmethod
    def shape(self, graph: Graph) -> Graph:
        """Rewrite a float graph into the family's layers without changing its results."""
        ...

    def approximate(
        self, graph: Graph, allow: Collection[str]
    ) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """Apply the approximations named in ``allow`` and return their findings.

        Anything else that the chip does not support is left for ``check_graph`` to report.

        Raises:
            ValueError: unknown name (the message lists the valid ones).
        """
        del allow
        return graph, ()

    @abstractmethod
    def check_graph(self, graph: Graph) -> tuple[Diagnostic, ...]:
        """Return every finding about the float graph after ``shape``, in rule order."""
        ...

    def edits(self, graph: Graph, finding: Diagnostic) -> Iterator[GraphEdit]:
        """Yield edits of the float graph against an error, the smallest change first.

        They are not tried; ``toolchain.chips.fitting`` does that. Nothing by default.

        Args:
            graph: float graph after ``shape``, in which the error was found.
            finding: error of ``check_graph``, ``OnChip.check`` or ``OnChip.place``.
        """
        del graph, finding
        yield from ()

    @abstractmethod
    def can_lower(self, graph: Graph) -> bool:
        """Return True if ``lower`` accepts the graph, even if it does not fit the chip."""
        ...

    def unfit(
        self, graph: Graph, method: str, options: Options, *, calibrated: bool
    ) -> Graph | None:
        """Return integers of the weights alone if the chip refuses the network in any case.

        Shapes and counts decide, before ``quantize`` searches; the rules then find all errors in
        these integers, at least one. None if the network may fit, and by default.

        Args:
            graph: float graph after ``shape`` that ``can_lower`` accepts.
            method: one of ``QUANTIZERS``.
            options: options of the family.
            calibrated: True if there are calibration spikes, on which integers can be searched
                that differ from these.

        Raises:
            ValueError: as by ``lower`` and ``OnChip.place``.
        """
        del graph, method, options, calibrated
        return None

    @abstractmethod
    def quantize(
        self, graph: Graph, calibration: Array | None, method: str
    ) -> tuple[Graph, tuple[Diagnostic, ...]]:
        """Return the graph with integer parameters, and the findings about its scales.

        Args:
            graph: float graph after ``shape`` for which ``unfit`` returns None.
            calibration: spikes (batch, time, *features), or None.
            method: one of ``QUANTIZERS``.
        """
        ...

    def decay_note(self, trained: float, stored: float) -> str:
        """Describe the chip's representation of a decay factor per timestep.

        The text is appended to the change of the time constant in the ledger and in its warning.

        Args:
            trained: decay factor as trained, 0..1.
            stored: decay factor on the chip.
        """
        del trained, stored
        return ""

    @abstractmethod
    def lower(self, graph: Graph, options: Options) -> OnChip:
        """Return the program of a quantized graph, with the settings of ``options``."""
        ...

    def conditions(
        self, graph: Graph, quantized: Graph, effects: Mapping[str, Effect] | None
    ) -> Changes:
        """Return the differences between chip and network that depend on no rewrite, by layer.

        They become entries of the ledger.

        Args:
            graph: float graph before quantization.
            quantized: integer graph after it.
            effects: saturations and peaks of each layer on the calibration samples; None without
                calibration. With them, each condition on data is checked and its margin given.
        """
        del graph, quantized, effects
        return {}

    @abstractmethod
    def lags(self, graph: Graph) -> Mapping[str, int]:
        """Return the delay of each layer on the chip relative to the graph, in timesteps."""
        ...

    def lag(self, graph: Graph) -> int:
        """Return the delay of the chip's output relative to the graph, in timesteps."""
        lags = self.lags(graph)
        return max((lags[name] for name in graph.outputs), default=0)

    def rounding(self) -> WeightRounding | None:
        """Return how the chip rounds weights; None if it is not known."""
        return None

    def input_limit(self) -> Quantity | None:
        """Return the most spikes of one channel in one timestep; None if the chip has no limit."""
        return None

    def counts(self, events: InputSpikes, shape: Shape, dt: float) -> Array:
        """Convert event arrays to counts (batch, time, *shape) in timesteps of ``dt`` s.

        Raises:
            ValueError: the family takes no events, or an event is invalid (the first is named).
        """
        del events, shape, dt
        raise ValueError(f"{self.chip.name} accepts no event arrays")

    @abstractmethod
    def unpack(self, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> OnChip:
        """Return the program from the result of ``OnChip.pack``.

        Raises:
            ValueError: the data is not a program of this family.
        """
        ...
