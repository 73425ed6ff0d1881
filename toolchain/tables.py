"""Results as tables for a terminal: plain text, no colour needed to read them."""

from __future__ import annotations

import io
from functools import singledispatch
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from toolchain.deploy import Deployment
from toolchain.diagnostics import count
from toolchain.estimate import Estimate

__all__ = ["render", "table"]


def render(result: Any, width: int = 100) -> str:
    """``result`` as text of at most ``width`` columns."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
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
    return Group(rows, *(Text(str(finding)) for finding in result.diagnostics))


@table.register
def _estimate(result: Estimate) -> RenderableType:
    clock = "" if result.clock_hz is None else f", {result.clock_hz / 1e6:g} MHz"
    title = f"{result.chip}{clock}, {result.activity.steps} steps of {result.activity.dt:g} s"
    figures = Table(title=title, title_justify="left", box=None)
    figures.add_column("figure")
    figures.add_column("estimate")
    for rail, figure in result.power_by_rail.items():
        figures.add_row(f"power, rail {rail}", str(figure))
    figures.add_row("power, idle", str(result.idle_power))
    figures.add_row("power, dynamic", str(result.dynamic_power))
    figures.add_row("power", str(result.power))
    figures.add_row("energy per inference", str(result.energy_per_inference))
    figures.add_row("  of it dynamic", str(result.dynamic_energy_per_inference))
    if result.latency is not None:
        figures.add_row("latency", str(result.latency))
    if result.load is not None:
        figures.add_row("load", str(result.load))
    synops = f"{result.activity.synops_per_step:.4g} per step, {result.synops_per_second:.4g} per s"
    figures.add_row("synops", f"{synops}, {result.synops_per_inference:.4g} per inference")
    for line in result.not_priced:
        figures.add_row("not priced", line)
    return Group(figures, _layers(result))


def _layers(result: Estimate) -> Table:
    rows = Table(box=None)
    rows.add_column("layer")
    for heading in ("neurons", "spikes/step", "active", "synops/step"):
        rows.add_column(heading, justify="right")
    for layer in result.activity.layers:
        rows.add_row(
            layer.name,
            count(layer.neurons),
            f"{layer.spikes_per_step:.4g}",
            "" if layer.active is None else f"{100 * layer.active:.2f} %",
            f"{layer.synops_per_step:.4g}",
        )
    return rows
