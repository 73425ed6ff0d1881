"""Comparison of the trained network with its quantized and simulated forms, layer by layer.

The runs of one comparison, each on the same spikes, are

- ``reference``: the trained network in floats;
- ``quantized``: the same with the chip's integers, in arithmetic without limits;
- ``clocked``: the chip, all events of a timestep at once;
- ``event``: the chip, one event at a time, where it works that way.

The difference between the first two runs is the quantization error; between the next two, the
effect of 16-bit states and of the chip's arithmetic; between the last two, the effect of handling
events one by one. The chip's lag is removed for each layer; steps without a counterpart are left
out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from toolchain.report import (
    Brief,
    Column,
    Described,
    Sheet,
    Table,
    Text,
    count,
    plain,
    plural,
    share,
    times,
)
from toolchain.report.named import entry_named
from toolchain.runs.agreement import LEAST_AGREEMENT, UNTOLD, Interval, agreement_text
from toolchain.runs.ceiling import Ceiling
from toolchain.runs.order import OrderSpread
from toolchain.runs.states import StateComparison
from toolchain.runs.train_tally import QUANTIZED

__all__ = ["Comparison", "Departure", "LayerComparison"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LayerComparison(Brief):
    """Spikes of one layer, all samples together.

    Attributes:
        name: the user's own name.
        neurons: how many.
        lag: timesteps by which the chip is later; already removed here.
        spikes: by run, see ``toolchain.runs.compare``.
        agreement: of each neuron's spike counts with the reference's, 0..1, by run; see
            ``toolchain.runs.recording.count_agreement``.
        intervals: of these, with 95 % confidence, see ``toolchain.runs.agreement``; None where
            too few spikes tell it.
        differs_at: the first timestep in which the clocked chip does not spike as the quantized
            graph does, on the graph's time; None if there is none.
    """

    name: str
    neurons: int
    lag: int
    spikes: Mapping[str, int]
    agreement: Mapping[str, float]
    intervals: Mapping[str, Interval]
    differs_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """The first spike that the clocked chip has and the quantized graph has not, or the reverse.

    Attributes:
        layer: the user's own name; of several in this timestep the first on the way.
        step: timestep, on the graph's time.
        sample: of the batch.
        neuron: its index on the chip, (channel, y, x) or (number,).
        quantized, clocked: spikes of that neuron in that step.
    """

    layer: str
    step: int
    sample: int
    neuron: tuple[int, ...]
    quantized: int
    clocked: int

    def __str__(self) -> str:
        """Return ``if2, step 3: neuron (0, 4, 1) of sample 0 spikes once, in the ...``."""
        return (
            f"{self.layer}, step {self.step}: neuron {self.neuron} of sample {self.sample} spikes "
            f"{times(self.clocked)}, in the quantized graph {times(self.quantized)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Comparison(Described):
    """All runs on the same spikes; see ``toolchain.runs.compare`` for their names.

    Attributes:
        chip: its title.
        samples, steps: of the spikes.
        layers: every neuron layer, in order.
        agreement: of the outputs' spike counts with the reference's, 0..1, by run; of states that
            are read out see ``toolchain.runs.states.state_agreement``.
        intervals: of agreements of counts, with 95 % confidence, see ``toolchain.runs.agreement``;
            None where too few spikes tell it. Empty if states are read out.
        decisions: share of the samples in which the most active output is the reference's, 0..1,
            by run; the lowest of equally active ones counts. Empty where there is a single output
            neuron.
        departure: first difference between clocked chip and quantized graph; None without any.
        saturations: how often a state was clamped, by run and layer; layers without are left out.
        orders: effect of the order of simultaneous events; None if not requested.
        states: comparison of the outputs' states with the reference's, by run; empty where spikes
            are read.
        ceiling: agreement of the outputs' spike counts that rounding of the weights alone would
            leave; None if it is not known, see ``toolchain.runs.ceiling``.
    """

    chip: str
    samples: int
    steps: int
    layers: tuple[LayerComparison, ...]
    agreement: Mapping[str, float]
    intervals: Mapping[str, Interval]
    decisions: Mapping[str, float]
    departure: Departure | None
    saturations: Mapping[str, Mapping[str, int]]
    orders: OrderSpread | None
    states: Mapping[str, StateComparison] = field(default_factory=dict)
    ceiling: Ceiling | None = None

    def __getitem__(self, name: str) -> LayerComparison:
        """Return the layer of that name; KeyError lists the names."""
        return entry_named(name, ((each.name, each) for each in self.layers))

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data, which JSON can hold."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}

    def sheet(self) -> Sheet:
        """Describe the spikes and agreement of each layer, the outputs and the departure."""
        runs = self.layers[0].spikes if self.layers else ()
        headings = ("neurons", *(RUNS[run] for run in runs), "chip differs")
        table = Table(
            columns=(Column("layer"), *(Column(heading, "right") for heading in headings)),
            rows=tuple(map(_row, self.layers)),
        )
        title = (
            f"{self.chip}, {plural(self.samples, 'sample')} of {count(self.steps)} steps: spikes, "
            "and agreement of their counts with the trained network"
        )
        return Sheet((table, Text(tuple(_remarks(self)))), title)

    def __repr__(self) -> str:
        """Return chip, size and agreement of the outputs."""
        parts = ", ".join(
            f"{run}={(share(part) if self.states or self.intervals[run] else UNTOLD)!r}"
            for run, part in self.agreement.items()
        )
        return (
            f"Comparison(chip={self.chip!r}, samples={self.samples}, steps={self.steps}, {parts})"
        )


# ---- rows and lines of the sheet ----

RUNS = {
    "reference": "trained",
    "quantized": "quantized",
    "clocked": "chip",
    "event": "event by event",
}
"""Names of the runs in the table."""


def _row(layer: LayerComparison) -> tuple[str, ...]:
    step = "" if layer.differs_at is None else f"step {layer.differs_at}"
    return layer.name, count(layer.neurons), *_spikes(layer), step


def _spikes(layer: LayerComparison) -> Iterator[str]:
    for run, spikes in layer.spikes.items():
        part = layer.agreement.get(run)
        text = share(part) if part is not None and layer.intervals[run] else UNTOLD
        yield count(spikes) if part is None else f"{count(spikes)} ({text})"


def _remarks(result: Comparison) -> Iterator[str]:
    for run, compared in result.states.items():
        yield f"output states, {RUNS[run]}: {compared}"
    if not result.states:
        ceiling = "" if result.ceiling is None else f", {result.ceiling.text}"
        yield f"output counts agree: {_agreements(result)}{ceiling}"
        yield from _low(result)
    if result.decisions and (result.states or any(result.intervals.values())):
        yield f"decisions equal to the trained network's: {_shares(result.decisions)}"
    if result.departure is None:
        yield "the chip's spikes equal those of the quantized graph"
    else:
        yield f"the chip's spikes first differ from the quantized graph in {result.departure}"
    for run, clamped in result.saturations.items():
        states = ", ".join(f"{name} {count(number)}" for name, number in clamped.items())
        yield f"states saturated, {RUNS[run]}: {states}"
    if result.orders is not None:
        yield from _orders(result.orders)


def _low(result: Comparison) -> Iterator[str]:
    """Yield a warning for each run of the chip that agrees too little."""
    for run, part in result.agreement.items():
        if run != QUANTIZED and result.intervals[run] and part < LEAST_AGREEMENT:
            yield f"warning: {RUNS[run]}, agreement below {100 * LEAST_AGREEMENT:.0f} %"


def _agreements(result: Comparison) -> str:
    return ", ".join(
        f"{RUNS[run]} {agreement_text(part, result.intervals[run])}"
        for run, part in result.agreement.items()
    )


def _shares(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{RUNS[run]} {share(part)}" for run, part in parts.items())


def _orders(found: OrderSpread) -> Iterator[str]:
    spans = (
        f"{name} {count(found.fewest[name])} to {count(found.most[name])}" for name in found.fewest
    )
    yield f"spikes over {count(found.orders)} orders of simultaneous events: {', '.join(spans)}"
    if found.decisions is not None:
        yield f"decisions equal to those in the given order: {share(found.decisions)}"
