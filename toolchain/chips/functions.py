"""Base classes for a chip family that is written as plain functions.

Such a family lists its functions, whose arguments are a program and a chip, in a ``Functions``
table and derives its class from ``FamilyOf``. This is optional: any class that implements the
contract is a family.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from toolchain.arrays import Array, Shape, freeze
from toolchain.chips.contract import (
    ChipSession,
    Family,
    OnChip,
    Options,
    Record,
    Resource,
    SessionSettings,
    Timing,
)
from toolchain.chips.graph_edits import GraphEdit
from toolchain.chips.once import once
from toolchain.chips.training import TrainableProgram
from toolchain.diagnostics import Diagnostic
from toolchain.estimate import Estimate
from toolchain.fidelity.ledger import Changes, Effect
from toolchain.hardware import Quantity, SpecBase
from toolchain.ir import Graph
from toolchain.runs import Activity, InputSpikes, OrderSpread, Recording
from toolchain.runs.ceiling import WeightRounding
from toolchain.runs.spikes import are_events

__all__ = ["Bound", "FamilyOf", "Functions", "own_chip"]

P = TypeVar("P")
"""The family's program."""
C = TypeVar("C", bound=SpecBase)
"""The family's chip specification."""
Effects = Mapping[str, Effect] | None
Packed = tuple[Mapping[str, Array], Mapping[str, Any]]
Diagnostics = tuple[Diagnostic, ...]
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Functions(Generic[P, C]):
    """Functions of a family, named as in the contract, with program and chip as arguments.

    A family with ``session`` needs no ``simulate``: a run is a session of one piece.
    """

    shape: Callable[[Graph], Graph]
    approximate: Callable[[Graph, C, Collection[str]], tuple[Graph, Diagnostics]]
    check_graph: Callable[[Graph, C], Diagnostics]
    can_lower: Callable[[Graph, C], bool]
    quantize: Callable[[Graph, C, Array | None, str], tuple[Graph, Diagnostics]]
    lower: Callable[[Graph, C, Options], P]
    conditions: Callable[[Graph, Graph, C, Effects], Changes]
    lag: Callable[[Graph], int]
    lags: Callable[[Graph], Mapping[str, int]]
    check: Callable[[P, C], Diagnostics]
    place: Callable[[P, C, Options], tuple[P, Diagnostics]]
    placement: Callable[[P], Mapping[str, str]]
    resources: Callable[[P, C], tuple[Resource, ...]]
    activity: Callable[[P, InputSpikes], Activity]
    activity_at: Callable[[P, Mapping[str, float], int], Activity]
    cost: Callable[[P, C, Activity, float | None, Mapping[str, str]], Estimate]
    config: Callable[[P, C], Mapping[str, Any]]
    pack: Callable[[P], Packed]
    unpack: Callable[[Mapping[str, Array], Mapping[str, Any]], P]
    live_config: Callable[[Mapping[str, Any], C], Any] | None = None
    order_spread: Callable[[P, InputSpikes, Options], OrderSpread | None] | None = None
    simulate: Callable[[P, InputSpikes, bool, Timing], Recording] | None = None
    session: Callable[[P, SessionSettings], ChipSession] | None = None
    trainable: Callable[[P, C, Graph], TrainableProgram] | None = None
    counts: Callable[[InputSpikes, Shape, float], Array] | None = None
    decay_note: Callable[[float, float], str] | None = None
    input_limit: Callable[[C], Quantity] | None = None
    rounding: Callable[[C], WeightRounding] | None = None
    configured: Callable[[Graph, Options], tuple[Graph, Diagnostics]] | None = None
    options: Callable[[P], Options] | None = None
    unplaced: Callable[[P], P] | None = None
    unfit: Callable[[Graph, C, str, Options, bool], Graph | None] | None = None
    edits: Callable[[Graph, C, Diagnostic], Iterator[GraphEdit]] | None = None
    network: Callable[[P], Graph] | None = None
    from_document: Callable[[Document, C, float | None], tuple[P, Mapping[str, str]]] | None = None


def own_chip(chip: SpecBase, kind: type[C], title: str) -> C:
    """Return ``chip`` if it is an instance of ``kind``, the chip class of a family.

    Raises:
        ValueError: a chip of another family.
    """
    if not isinstance(chip, kind):
        raise ValueError(f"{chip.name} is a {chip.family} chip, need a chip of {title}")
    return chip


class Bound(OnChip, Generic[P, C]):
    """A program bound to its chip, implemented by the ``Functions`` of the family."""

    def __init__(self, program: P, family: FamilyOf[P, C]) -> None:
        """Bind ``program`` to the chip of ``family``, and make its arrays read-only."""
        freeze(program)
        self._program, self._family = program, family
        self._digest: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle the program, whose arrays are read-only in the copy too."""
        return type(self), (self._program, self._family)

    def __repr__(self) -> str:
        """Return the name of the chip."""
        return f"Bound({self.chip.name!r})"

    @property
    def program(self) -> P:
        """Program, of a type of the family."""
        return self._program

    @property
    def chip(self) -> C:
        """Specification of the chip."""
        return self._family.chip

    @property
    def _do(self) -> Functions[P, C]:
        return self._family.functions()

    def check(self) -> Diagnostics:
        """Implement ``OnChip.check``."""
        return self._do.check(self.program, self.chip)

    def network(self) -> Graph:
        """Implement ``OnChip.network``."""
        build = self._do.network
        return super().network() if build is None else build(self.program)

    def place(self, options: Options) -> tuple[Bound[P, C], Diagnostics]:
        """Implement ``OnChip.place``."""
        program, findings = self._do.place(self.program, self.chip, options)
        return Bound(program, self._family), findings

    def options(self) -> Options | None:
        """Implement ``OnChip.options``; a family without options of its own has the defaults."""
        if self._do.options is not None:
            return self._do.options(self.program)
        return Options() if self._family.OPTIONS is Options else None

    def unplaced(self) -> P | None:
        """Implement ``OnChip.unplaced``."""
        stripped = self._do.unplaced
        return None if stripped is None else stripped(self.program)

    def placement(self) -> Mapping[str, str]:
        """Implement ``OnChip.placement``."""
        return self._do.placement(self.program)

    def resources(self) -> tuple[Resource, ...]:
        """Implement ``OnChip.resources``."""
        return self._do.resources(self.program, self.chip)

    def simulate(self, spikes: InputSpikes, *, record: Record = False, timing: Timing) -> Recording:
        """Implement ``OnChip.simulate``."""
        self._check_timing(timing)
        simulate = self._do.simulate
        if simulate is None:
            batch = len(spikes) if isinstance(spikes, list | tuple) or not are_events(spikes) else 1
            settings = SessionSettings(batch=batch, timing=timing, record=record)
            return self.session(settings).run(spikes)
        if not isinstance(record, bool):
            raise ValueError(
                f"{self.chip.name}: its family records everything or nothing; "
                "record must be True or False"
            )
        return simulate(self.program, spikes, record, timing)

    def _check_timing(self, timing: Timing) -> None:
        timings = self._family.TIMINGS
        if timing not in timings:
            raise ValueError(
                f"timing for {self.chip.name} must be {' or '.join(timings)}, got {timing!r}"
            )

    def order_spread(self, spikes: InputSpikes, options: Options) -> OrderSpread | None:
        """Implement ``OnChip.order_spread``."""
        measure = self._do.order_spread
        return None if measure is None else measure(self.program, spikes, options)

    def session(self, settings: SessionSettings) -> ChipSession:
        """Implement ``OnChip.session``."""
        start = self._do.session
        if start is None:
            return super().session(settings)
        self._check_timing(settings.timing)
        if type(settings.batch) is not int or settings.batch < 0:
            raise ValueError(f"batch must be an integer >= 0, got {settings.batch!r}")
        return start(self.program, settings)

    def trainable(self, quantized: Graph) -> TrainableProgram:
        """Implement ``OnChip.trainable``."""
        start = self._do.trainable
        if start is None:
            return super().trainable(quantized)
        return start(self.program, self.chip, quantized)

    def activity(self, spikes: InputSpikes) -> Activity:
        """Implement ``OnChip.activity``."""
        return self._do.activity(self.program, spikes)

    def activity_at(self, rates: Mapping[str, float], steps: int) -> Activity:
        """Implement ``OnChip.activity_at``."""
        return self._do.activity_at(self.program, rates, steps)

    def cost(
        self,
        activity: Activity,
        clock_hz: float | None,
        modes: Mapping[str, str],
        chip: SpecBase | None = None,
    ) -> Estimate:
        """Implement ``OnChip.cost``."""
        priced = self._family if chip is None else self._family.on(chip)
        return self._do.cost(self.program, priced.chip, activity, clock_hz, modes)

    def config(self) -> Mapping[str, Any]:
        """Implement ``OnChip.config``."""
        return self._do.config(self.program, self.chip)

    def live_config(self) -> Any:
        """Implement ``OnChip.live_config``."""
        configure = self._do.live_config
        if configure is None:
            raise ValueError(f"{self.chip.name}: its family has no vendor library")
        return configure(self.config(), self.chip)

    def pack(self) -> Packed:
        """Implement ``OnChip.pack``."""
        return self._do.pack(self.program)

    def digest(self) -> str:
        """Implement ``OnChip.digest``; computed once."""
        self._digest = self._digest or super().digest()
        return self._digest


class FamilyOf(Family, Generic[P, C]):
    """Base class of a family that is implemented by the table ``functions``."""

    OPTIONS: ClassVar[type[Options]] = Options

    def __init__(self, chip: C) -> None:
        """Bind the family to ``chip``; call ``on`` instead, which checks the chip's family."""
        self._chip = chip

    def __repr__(self) -> str:
        """Return the names of family and chip."""
        return f"{type(self).__name__}({self.chip.name!r})"

    @property
    def chip(self) -> C:
        """Specification of the chip."""
        return self._chip

    @abstractmethod
    def functions(self) -> Functions[P, C]:
        """Return the table of the family's functions."""

    def configured(self, graph: Graph, options: Options) -> tuple[Graph, Diagnostics]:
        """Implement ``Family.configured``."""
        configure = self.functions().configured
        return (graph, ()) if configure is None else configure(graph, options)

    def from_document(
        self, document: Mapping[str, Any], dt: float | None
    ) -> tuple[OnChip, Mapping[str, str]]:
        """Implement ``Family.from_document``."""
        read = self.functions().from_document
        if read is None:
            return super().from_document(document, dt)
        program, notes = read(document, self.chip, dt)
        return Bound(program, self), notes

    def shape(self, graph: Graph) -> Graph:
        """Implement ``Family.shape``."""
        return once(partial(self.functions().shape, graph), "shape", self.NAME, graph)

    def approximate(self, graph: Graph, allow: Collection[str]) -> tuple[Graph, Diagnostics]:
        """Implement ``Family.approximate``."""
        return self.functions().approximate(graph, self.chip, allow)

    def check_graph(self, graph: Graph) -> Diagnostics:
        """Implement ``Family.check_graph``."""
        return self.functions().check_graph(graph, self.chip)

    def edits(self, graph: Graph, finding: Diagnostic) -> Iterator[GraphEdit]:
        """Implement ``Family.edits``."""
        propose = self.functions().edits
        return iter(()) if propose is None else propose(graph, self.chip, finding)

    def can_lower(self, graph: Graph) -> bool:
        """Implement ``Family.can_lower``."""
        return self.functions().can_lower(graph, self.chip)

    def unfit(
        self, graph: Graph, method: str, options: Options, *, calibrated: bool
    ) -> Graph | None:
        """Implement ``Family.unfit``."""
        draft = self.functions().unfit
        return None if draft is None else draft(graph, self.chip, method, options, calibrated)

    def quantize(
        self, graph: Graph, calibration: Array | None, method: str
    ) -> tuple[Graph, Diagnostics]:
        """Implement ``Family.quantize``."""
        return self.functions().quantize(graph, self.chip, calibration, method)

    def decay_note(self, trained: float, stored: float) -> str:
        """Implement ``Family.decay_note``."""
        describe = self.functions().decay_note
        return "" if describe is None else describe(trained, stored)

    def lower(self, graph: Graph, options: Options) -> Bound[P, C]:
        """Implement ``Family.lower``."""
        return Bound(self.functions().lower(graph, self.chip, options), self)

    def conditions(self, graph: Graph, quantized: Graph, effects: Effects) -> Changes:
        """Implement ``Family.conditions``."""
        return self.functions().conditions(graph, quantized, self.chip, effects)

    def lags(self, graph: Graph) -> Mapping[str, int]:
        """Implement ``Family.lags``."""
        return self.functions().lags(graph)

    def lag(self, graph: Graph) -> int:
        """Implement ``Family.lag``."""
        return self.functions().lag(graph)

    def input_limit(self) -> Quantity | None:
        """Implement ``Family.input_limit``."""
        limit = self.functions().input_limit
        return None if limit is None else limit(self.chip)

    def rounding(self) -> WeightRounding | None:
        """Implement ``Family.rounding``."""
        find = self.functions().rounding
        return None if find is None else find(self.chip)

    def counts(self, events: InputSpikes, shape: Shape, dt: float) -> Array:
        """Implement ``Family.counts``."""
        count = self.functions().counts
        if count is None:
            raise ValueError(f"{self.chip.name} accepts no event arrays")
        return count(events, shape, dt)

    def unpack(self, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> Bound[P, C]:
        """Implement ``Family.unpack``."""
        return Bound(self.functions().unpack(arrays, metadata), self)
