"""Result of a comparison of chips: one row each, with its decisive error or tightest resource."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any, Literal, TypeAlias

from toolchain.chips.contract import Resource
from toolchain.diagnostics import Diagnostic
from toolchain.estimate import Figure
from toolchain.report import (
    Bars,
    Brief,
    Column,
    Described,
    Sheet,
    Table,
    Text,
    count,
    plain,
    plural,
    short,
    spread,
)
from toolchain.runs.agreement import Interval, agreement_text

__all__ = ["ChipComparison", "ChipRow", "CountedOn", "most_telling", "tightest"]

CountedOn: TypeAlias = Literal["held-out spikes", "calibration spikes"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ChipRow(Brief):
    """Result of one chip: whether the network fits, and its agreement, power and latency.

    Attributes:
        chip, title, family: its names.
        blocker: the most telling of the errors for which it refuses the network, see
            ``most_telling``; None where the network fits. Everything below is None then, and
            ``took`` is empty.
        other_errors: how many errors there are beside it.
        tightest: the resource of which the largest part is used; see ``tightest``.
        agreement: of the outputs' spike counts (or states) with the float network's, 0..1, the lag
            undone; None, as all that follows, where there were no spikes.
        interval: of the agreement, with 95 % confidence, see ``toolchain.runs.agreement``; None
            where too few spikes tell it.
        clock_hz: main clock that the figures below hold for, Hz; None on a chip without one.
        power: idle and dynamic, all rails, µW. Of a chip without constants it is unknown, never 0.
        energy_per_inference: µJ/inference.
        latency: from an input spike to the output spike it causes, ms; None where nothing is known.
        keeps_up: whether the counted work is done in real time; None where no limit is known.
        always_keeps_up: whether the most work there can be is; None where that is not known.
        took: the approximations of ``allow`` that changed something.
        left_out: those of ``allow`` that its family does not know.
        warnings: findings of that severity, of the deployment to this chip.

    >>> ChipRow(chip="xylo_a2", title="Xylo Audio 2", family="xylo", agreement=0.94).fits
    True
    """

    chip: str
    title: str
    family: str
    blocker: Diagnostic | None = None
    other_errors: int = 0
    tightest: Resource | None = None
    agreement: float | None = None
    interval: Interval = None
    clock_hz: float | None = None
    power: Figure | None = None
    energy_per_inference: Figure | None = None
    latency: Figure | None = None
    keeps_up: bool | None = None
    always_keeps_up: bool | None = None
    took: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def fits(self) -> bool:
        """True if the chip takes the network."""
        return self.blocker is None

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data, which JSON can hold."""
        apart = ("blocker", "warnings")
        own = {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name not in apart}
        blocker = None if self.blocker is None else self.blocker.as_dict()
        warnings = [finding.as_dict() for finding in self.warnings]
        return {**own, "fits": self.fits, "blocker": blocker, "warnings": warnings}


FIGURES = ("power", "energy_per_inference", "latency")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ChipComparison(Described):
    """Comparison of one network on several chips.

    Attributes:
        rows: a chip each, in the order asked for.
        counted_on: spikes on which agreement, power, energy and pace were measured; None without.
            Held-out spikes that are all samples of the calibration are ``"calibration spikes"``.
        calibration_samples: number of held-out samples that are in the calibration too.
        samples, steps: of these spikes; ``steps`` are one inference. 0 if there were none.
        dt: length of a timestep, s.
        allow: the approximations that were accepted, on the chips whose family knows them.

    >>> row = ChipRow(chip="xylo_a2", title="Xylo Audio 2", family="xylo")
    >>> result = ChipComparison(
    ...     rows=(row,), counted_on=None, samples=0, steps=0, dt=1e-3, allow=()
    ... )
    >>> result.fitting, result["xylo_a2"].title
    (('xylo_a2',), 'Xylo Audio 2')
    """

    rows: tuple[ChipRow, ...]
    counted_on: CountedOn | None
    samples: int
    steps: int
    dt: float
    allow: tuple[str, ...]
    calibration_samples: int = 0

    def __getitem__(self, chip: str) -> ChipRow:
        """Return the row of a chip; KeyError lists the chips."""
        for row in self.rows:
            if row.chip == chip:
                return row
        raise KeyError(f"no chip {chip!r}; there are {', '.join(row.chip for row in self.rows)}")

    @property
    def fitting(self) -> tuple[str, ...]:
        """Names of the chips that the network fits."""
        return tuple(row.chip for row in self.rows if row.fits)

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data, which JSON can hold."""
        own = ("counted_on", "calibration_samples", "samples", "steps", "dt", "allow")
        return {
            **{name: plain(getattr(self, name)) for name in own},
            "rows": [row.as_dict() for row in self.rows],
        }

    def sheet(self) -> Sheet:
        """Describe the chips that the network fits, with agreement, power and latency of each."""
        title = f"the network fits {len(self.fitting)} of {plural(len(self.rows), 'chip')}"
        fit = Table(
            columns=(
                Column("chip", wraps=False),
                Column("fits", wraps=False),
                Column("tightest resource, or first error"),
            ),
            rows=tuple(
                (row.chip, "yes" if row.fits else "no", _tightest(row) or _refusal(row))
                for row in self.rows
            ),
            indented=False,
        )
        remarks = Text((*_clocks(self), *_allowed(self), *_left_open(self), *_warned(self)))
        if self.counted_on is None or not self.fitting:
            return Sheet((fit, remarks), title)
        return Sheet((fit, _measured(self), remarks), title, _powers(self))

    def __repr__(self) -> str:
        """Return the names of the chips that the network fits, and how many were tried."""
        return f"ChipComparison(fitting={self.fitting}, chips={len(self.rows)}, dt={self.dt:g})"


# ---- cells and lines of the sheet ----


def _tightest(row: ChipRow) -> str:
    most = row.tightest
    if most is None:
        return ""
    where = f"{most.layer} ({most.place})" if most.place else most.layer
    part = 100 * most.used / most.limit
    return f"{part:.3g} % of {most.resource}, {where}: {count(most.used)} of {count(most.limit)}"


def _refusal(row: ChipRow) -> str:
    if row.blocker is None:
        return ""
    error = row.blocker
    others = f"; {plural(row.other_errors, 'more error')}" if row.other_errors else ""
    return f"{error.where}: {error.message} [{error.rule}]{others}"


def _measured(result: ChipComparison) -> Table:
    numbers = ("agree", "power, µW", "µJ/inference", "latency, ms")
    return Table(
        title=f"on {result.counted_on}: {plural(result.samples, 'sample')} of "
        f"{count(result.steps)} steps of {1e3 * result.dt:g} ms",
        columns=(
            Column("chip", wraps=False),
            *(Column(heading, "right") for heading in numbers),
            Column("basis"),
            Column("keeps up"),
        ),
        rows=tuple((row.chip, *_on_spikes(row)) for row in result.rows if row.fits),
        indented=False,
    )


def _powers(result: ChipComparison) -> tuple[Bars, ...]:
    """Return the nominal power of each chip as a chart; empty where none is known."""
    known = {
        row.chip: row.power.nominal
        for row in result.rows
        if row.power is not None and row.power.nominal
    }
    most = max(known.values(), default=0.0)
    bars = tuple((chip, power / most, f"{short(power)} µW") for chip, power in known.items())
    return (Bars(title="power, nominal", bars=bars),) if bars else ()


def _on_spikes(row: ChipRow) -> Iterator[str]:
    assert row.agreement is not None
    assert row.power is not None
    yield agreement_text(row.agreement, row.interval)
    for figure in (row.power, row.energy_per_inference, row.latency):
        if figure is None:
            yield "unknown"
        else:
            yield spread(figure.low, figure.nominal, figure.high)
    yield row.power.basis
    on_average = "on average" if row.always_keeps_up is False else "yes"
    yield {True: on_average, False: "no", None: "unknown"}[row.keeps_up]


def _clocks(result: ChipComparison) -> Iterator[str]:
    at: dict[float, list[str]] = {}
    for row in result.rows:
        if row.clock_hz is not None:
            at.setdefault(row.clock_hz, []).append(row.chip)
    for clock, chips in at.items():
        yield f"main clock {clock / 1e6:g} MHz: {', '.join(chips)}"


def _allowed(result: ChipComparison) -> Iterator[str]:
    for name in result.allow:
        took = ", ".join(row.chip for row in result.rows if name in row.took)
        change = f"changes the network on {took}" if took else "changes it on no chip that takes it"
        without = dict.fromkeys(row.family for row in result.rows if name in row.left_out)
        known = f"; left out on {' and '.join(without)}, where there is none" if without else ""
        yield f"allow {name}: {change}{known}"


def _left_open(result: ChipComparison) -> Iterator[str]:
    if result.calibration_samples:
        known, of = count(result.calibration_samples), plural(result.samples, "sample")
        yield f"{known} of {of} are calibration samples, on which agreement is higher"
    if result.counted_on is None:
        yield "no spikes were given: agreement, power, energy and latency were not computed"


def _warned(result: ChipComparison) -> Iterator[str]:
    for row in result.rows:
        if row.warnings:
            rules = dict.fromkeys(finding.rule for finding in row.warnings)
            yield f"warnings, {row.chip}: {', '.join(rules)}"


# ---- choice of what a row names ----


def most_telling(errors: Sequence[Diagnostic]) -> Diagnostic:
    """Return the error that explains best why a chip refuses a network.

    An error without a hint comes before one with a hint; an error about a missing feature before
    one about a number; then the one furthest beyond its limit; then the first.

    >>> from toolchain.diagnostics import Diagnostic, Severity
    >>> error = {"severity": Severity.ERROR, "where": "fc", "message": "too large"}
    >>> errors = [
    ...     Diagnostic(rule="fan_out", need=70, limit=64, **error),
    ...     Diagnostic(rule="hidden_neurons", need=4000, limit=1000, **error),
    ... ]
    >>> most_telling(errors).rule
    'hidden_neurons'
    """
    furthest = sorted(errors, key=_excess, reverse=True)
    if len(furthest) == 1:
        return furthest[0]  # without trying its remedies
    return next((error for error in furthest if not error.advice), furthest[0])


def _excess(error: Diagnostic) -> float:
    """Return need over limit, or limit over need; infinite for an error without numbers."""
    if error.need is None or error.limit is None:
        return inf
    ends = sorted(map(abs, (error.need, error.limit)))
    return ends[1] / ends[0] if ends[0] else inf


def tightest(resources: Sequence[Resource]) -> Resource | None:
    """Return the resource with the largest used part, the first of several; None without limits.

    Layers that share a limit are added up; the row is the network's.

    >>> from toolchain.chips.contract import Resource
    >>> rows = [
    ...     Resource(layer=name, place="core", resource="neurons", used=n, limit=100, unit="neuron")
    ...     for name, n in (("lif1", 40), ("lif2", 75))
    ... ]
    >>> tightest(rows).layer
    'lif2'
    """
    together: dict[tuple[str, str], Resource] = {}
    for row in resources:
        key = ("" if row.shared else row.layer, row.resource)
        before = together.get(key)
        if before is not None:
            row = replace(row, layer="network", place="", used=before.used + row.used)
        together[key] = row
    limited = [row for row in together.values() if row.limit]
    return max(limited, key=lambda row: row.used / row.limit, default=None)
