"""Results as tables for a terminal: plain text, no colour needed to read them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import singledispatch
from math import isinf
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from toolchain.across_chips import ChipComparison, ChipRow
from toolchain.deployment import Deployment
from toolchain.diagnostics import count
from toolchain.estimate import Estimate, Figure
from toolchain.fidelity.ledger import Change, Effect, Entry, Fidelity, Ledger, percent, shown
from toolchain.runs.compare import Comparison, LayerComparison
from toolchain.runs.order import OrderSpread

__all__ = ["render", "table"]


def render(result: Any, width: int = 100) -> str:
    """``result`` as text of at most ``width`` columns."""
    # names are the user's own: "[red]" is a name and ":x:" no picture
    # without force_jupyter=False a notebook shows the table and the file stays empty
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system=None,
        markup=False,
        emoji=False,
        force_jupyter=False,
    )
    console.print(table(result))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


@singledispatch
def table(result: Any) -> RenderableType:
    """``result`` as something rich can print."""
    raise TypeError(f"no table for a {type(result).__name__}")


@table.register
def _deployment(result: Deployment) -> RenderableType:
    rows = Table(title=f"{result.chip.title}: fits", title_justify="left", box=None)
    for heading in ("layer", "place", "resource"):
        rows.add_column(heading)
    for heading in ("used", "limit", "share"):
        rows.add_column(heading, justify="right")
    last = ""
    for row in result.resources():
        first = (row.layer, row.place) if row.layer != last else ("", "")
        share = f"{100 * row.used / row.limit:.1f} %" if row.limit else ""
        rows.add_row(*first, row.resource, count(row.used), count(row.limit), share)
        last = row.layer
    findings = (Text(str(finding)) for finding in result.diagnostics)
    return Group(rows, _entries(result.ledger), *_origin(result.ledger), *findings)


@table.register
def _ledger(result: Ledger) -> RenderableType:
    return Group(_entries(result, whole=True), *_origin(result))


def _entries(result: Ledger, *, whole: bool = False) -> Table:
    """A line a layer, or one for each of its changes and one for its effect."""
    on = ""
    if result.samples is not None:
        on = f", {count(result.samples)} sample{'s' * (result.samples != 1)} of "
        on += f"{count(result.steps or 0)} steps"
    rows = Table(title=f"fidelity on {result.chip}{on}", title_justify="left", box=None)
    for heading in ("layer", "fidelity"):
        rows.add_column(heading, no_wrap=True)
    rows.add_column("changes")
    measured = result.samples is not None and not whole
    for heading in ("trained", "chip", "agree") if measured else ():
        rows.add_column(heading, justify="right", no_wrap=True)
    for entry in result.entries:
        cells = [*_lines(entry)] if whole else [Text(", ".join(_short(entry)))]
        beside = _effect(entry.effect) if measured else ()
        rows.add_row(entry.layer, entry.fidelity.value, *cells[:1], *beside)
        for cell in cells[1:]:
            rows.add_row("", "", cell)
    return rows


def _lines(entry: Entry) -> Iterator[Text]:
    yield from map(_text, entry.changes)
    if entry.effect is not None and entry.kind != "Input":
        trained, chip, agreement = _effect(entry.effect)
        yield Text(f"spikes: {trained} as trained, {chip} on the chip; counts agree to {agreement}")


def _text(change: Change) -> Text:
    return Text(f"{change}" if change.fidelity is Fidelity.EXACT else f"{change} [{_mark(change)}]")


def _mark(change: Change) -> str:
    return change.fidelity.value.replace("_", " ")


def _short(entry: Entry) -> Iterator[str]:
    """The changes of the layer's own fidelity, in few words: the others are no worse."""
    for change in entry.changes:
        if change.fidelity is not entry.fidelity:
            continue
        told = change.what
        if change.error is not None and change.fidelity is not Fidelity.EXACT:
            told += f" {percent(change.error)}"
        elif change.after is not None and change.fidelity is not Fidelity.UNSUPPORTED:
            told += f" {shown(change.after)}"
        yield told


def _effect(effect: Effect | None) -> tuple[str, ...]:
    if effect is None:
        return ()
    return count(effect.trained), count(effect.chip), f"{100 * effect.agreement:.1f} %"


def _origin(result: Ledger) -> Iterator[Text]:
    """Where the network came from, one fact a line."""
    for name, value in result.provenance.items():
        yield Text(f"{name}: {value}")


@table.register
def _estimate(result: Estimate) -> RenderableType:
    clock = "" if result.clock_hz is None else f", {result.clock_hz / 1e6:g} MHz"
    title = f"{result.chip}{clock}, {result.activity.steps} steps of {result.activity.dt:g} s"
    figures = Table(title=title, title_justify="left", box=None)
    figures.add_column("figure")
    figures.add_column("estimate")
    for name, text in (*_powers(result), *_energies(result), *_speeds(result)):
        figures.add_row(name, text)
    for item in result.not_priced:
        figures.add_row("not priced", str(item))
    for suggestion in result.suggestions:
        figures.add_row("suggestion", str(suggestion))
    return Group(figures, _layers(result))


def _powers(result: Estimate) -> Iterator[tuple[str, str]]:
    for switch, setting in result.modes.items():
        yield switch, setting or "not said; every mode that was measured"
    for rail, figure in result.power_by_rail.items():
        yield f"power, rail {rail}", str(figure)
    yield "power, idle", str(result.idle_power)
    yield "power, dynamic", str(result.dynamic_power)
    yield "power", str(result.power)
    yield "weakest basis", result.basis


def _energies(result: Estimate) -> Iterator[tuple[str, str]]:
    yield "energy per step", str(result.energy_per_step)
    yield "energy per second of input", str(result.energy_per_second_of_input)
    yield "energy per inference", str(result.energy_per_inference)
    yield "  of it dynamic", str(result.dynamic_energy_per_inference)


def _speeds(result: Estimate) -> Iterator[tuple[str, str]]:
    if result.latency is not None:
        yield "latency", str(result.latency)
    if result.duty_cycle is not None:
        yield "load", str(result.load)
        yield "duty cycle", str(result.duty_cycle)
        yield "keeps up", _keeps_up(result)
    synops = f"{result.activity.synops_per_step:.4g} per step, {result.synops_per_second:.4g} per s"
    yield "synops", f"{synops}, {result.synops_per_inference:.4g} per inference"


def _keeps_up(result: Estimate) -> str:
    slow = [pace.where for pace in result.pace if not pace.keeps_up]
    if slow:
        return f"no: {', '.join(slow)}; the power is that of a core which never rests"
    worst = {True: "in the worst case too", False: "not in the worst case", None: "worst unknown"}
    margin = max(pace.margin for pace in result.pace)
    spare = f", {100 * margin:.0f} % to spare" if margin else ""
    return f"yes{spare}; {worst[result.always_keeps_up]}"


def _layers(result: Estimate) -> Table:
    rows = Table(box=None)
    rows.add_column("layer")
    headings = ("neurons", "spikes/step", "active", "synops/step", "dynamic power", "share")
    for heading in headings:
        rows.add_column(heading, justify="right")
    for layer, cost in zip(result.activity.layers, result.layers, strict=True):
        rows.add_row(
            layer.name,
            count(layer.neurons),
            f"{layer.spikes_per_step:.4g}",
            "" if layer.active is None else f"{100 * layer.active:.2f} %",
            f"{layer.synops_per_step:.4g}",
            str(cost.dynamic_power) if cost.dynamic_share else "",
            f"{100 * cost.dynamic_share:.1f} %" if cost.dynamic_share else "",
        )
    return rows


RUNS = {
    "reference": "trained",
    "quantized": "quantized",
    "clocked": "chip",
    "event": "event by event",
}
"""What the runs of a comparison are called in tables."""


@table.register
def _comparison(result: Comparison) -> RenderableType:
    title = (
        f"{result.chip}, {count(result.samples)} sample{'s' * (result.samples != 1)} of "
        f"{count(result.steps)} steps: spikes, and how far their counts agree with the trained ones"
    )
    rows = Table(box=None)
    rows.add_column("layer")
    runs = list(result.layers[0].spikes) if result.layers else []
    for heading in ("neurons", *(RUNS[run] for run in runs), "chip differs"):
        rows.add_column(heading, justify="right")
    for layer in result.layers:
        step = "" if layer.differs_at is None else f"step {layer.differs_at}"
        rows.add_row(layer.name, count(layer.neurons), *_spikes(layer), step)
    outputs = (f"{RUNS[run]} {100 * part:.1f} %" for run, part in result.agreement.items())
    lines = [f"output counts agree: {', '.join(outputs)}"]
    if result.decisions:
        same = (f"{RUNS[run]} {100 * part:.1f} %" for run, part in result.decisions.items())
        lines.append(f"decisions are the trained network's: {', '.join(same)}")
    return Group(Text(title), rows, *(Text(line) for line in (*lines, *_remarks(result))))


def _spikes(layer: LayerComparison) -> Iterator[str]:
    for run, spikes in layer.spikes.items():
        part = layer.agreement.get(run)
        yield count(spikes) + ("" if part is None else f" ({100 * part:.1f} %)")


def _remarks(result: Comparison) -> Iterator[str]:
    if result.departure is None:
        yield "the chip spikes as the quantized graph does"
    else:
        yield f"the chip leaves the quantized graph in {result.departure}"
    for run, clamped in result.saturations.items():
        states = ", ".join(f"{name} {count(number)}" for name, number in clamped.items())
        yield f"states clamped, {RUNS[run]}: {states}"
    if result.orders is not None:
        yield from _orders(result.orders)


def _orders(found: OrderSpread) -> Iterator[str]:
    spans = (
        f"{name} {count(found.fewest[name])} to {count(found.most[name])}" for name in found.fewest
    )
    yield f"spikes over {count(found.orders)} orders of simultaneous events: {', '.join(spans)}"
    if found.decisions is not None:
        yield f"decisions as in the order given: {100 * found.decisions:.1f} %"


# ---- several chips ----


@table.register
def _across_chips(result: ChipComparison) -> RenderableType:
    rows = Table(title=f"{len(result.fitting)} of {len(result.rows)} chips take the network")
    rows.title_justify, rows.box, rows.pad_edge = "left", None, False
    rows.add_column("chip", no_wrap=True)
    rows.add_column("fits", no_wrap=True)
    rows.add_column("tightest resource, or what is in the way")
    for row in result.rows:
        rows.add_row(row.chip, "yes" if row.fits else "no", Text(_tightest(row) or _refusal(row)))
    told = (Text(line) for line in (*_clocks(result), *_allowed(result), *_left_open(result)))
    measured = result.counted_on is not None and result.fitting
    return Group(rows, *([_measured(result)] if measured else []), *told)


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
    others = f"; {row.other_errors} more error{'s' * (row.other_errors != 1)}"
    return f"{error.where}: {error.message} [{error.rule}]{others if row.other_errors else ''}"


def _measured(result: ChipComparison) -> Table:
    title = (
        f"on {result.counted_on}: {count(result.samples)} sample{'s' * (result.samples != 1)} of "
        f"{count(result.steps)} steps of {1e3 * result.dt:g} ms"
    )
    rows = Table(title=title, title_justify="left", box=None, pad_edge=False)
    rows.add_column("chip", no_wrap=True)
    for heading in ("agree", "power, µW", "µJ/inference", "latency, ms"):
        rows.add_column(heading, justify="right", no_wrap=True)
    for heading in ("basis", "keeps up"):
        rows.add_column(heading)
    for row in result.rows:
        if row.fits:
            rows.add_row(row.chip, *_on_spikes(row))
    return rows


def _on_spikes(row: ChipRow) -> Iterator[str]:
    assert row.agreement is not None
    assert row.power is not None
    yield f"{100 * row.agreement:.1f} %"
    for figure in (row.power, row.energy_per_inference, row.latency):
        yield _spread(figure)
    yield row.power.basis
    on_average = "on average" if row.always_keeps_up is False else "yes"
    yield {True: on_average, False: "no", None: "unknown"}[row.keeps_up]


def _spread(figure: Figure | None) -> str:
    """``444 (372 to 496)``, ``2.76 (to 8.23)``; of a range without nominal value ``372 to 496``."""
    if figure is None or (isinf(figure.high) and not figure.low):
        return "unknown"
    if isinf(figure.high):
        return f"at least {_digits(figure.low)}"
    span = f"{_digits(figure.low)} to {_digits(figure.high)}"
    if figure.nominal is None:
        return span
    nominal = _digits(figure.nominal)
    if figure.low == figure.nominal:
        return nominal if figure.low == figure.high else f"{nominal} (to {_digits(figure.high)})"
    return f"{nominal} ({span})"


def _digits(number: float) -> str:
    """Three digits that count, no exponent: ``31 200``, ``0.00203``."""
    return f"{float(f'{number:.3g}'):,.12g}".replace(",", " ")


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
        told = f"changes the network on {took}" if took else "changes it on no chip that takes it"
        without = dict.fromkeys(row.family for row in result.rows if name in row.left_out)
        known = f"; left out on {' and '.join(without)}, where there is none" if without else ""
        yield f"allow {name}: {told}{known}"


def _left_open(result: ChipComparison) -> Iterator[str]:
    if result.counted_on is None:
        yield "no spikes were given: agreement, power, energy and latency are left open"
