"""Draw of an idle chip, and what of it is in readings of a running one.

If no mode is given, the nominal value is that of the default mode and the range spans all measured
modes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isclose

from toolchain.estimate.figure import Figure, weakest
from toolchain.estimate.terms import Term
from toolchain.hardware import Price, Rail, SpecBase
from toolchain.hardware.power import DRAWS
from toolchain.hardware.quantity import Scope

__all__ = ["added_parts", "figure_of", "idle_terms", "in_modes", "smallest_slope"]


@dataclass(frozen=True, slots=True)
class _Draw:
    """One draw of a rail: its path below the rail, its price and the scope of that."""

    place: str
    figure: Figure
    scope: Scope


def idle_terms(
    chip: SpecBase, name: str, clock_hz: float | None, mode: str | None
) -> Iterable[Term]:
    """Yield the terms of the rail ``name`` that do not depend on activity.

    Args:
        chip: specification with the prices.
        name: of the rail.
        clock_hz: main clock, Hz; None on a chip without one.
        mode: setting of the rail's switch; None if it is not given.

    >>> from toolchain import load_chip
    >>> for term in idle_terms(load_chip("xylo_a3"), "digital", 12.5e6, "monitored"):
    ...     print(term.constant, term.scope, term.power)
    rails.digital.static idle 141 µW (141 to 152.1, measured)
    rails.digital.modes.monitored.clock_slope all_in 447 µW (447 to 497.5, derived)
    """
    rail = chip.power.rails[name]
    for draw in DRAWS:
        found = in_modes(chip, rail, draw, mode)
        if found is None:
            continue
        factor = (clock_hz or 0.0) / 1e6 if draw == "clock_slope" else 1.0
        times: float | None = factor
        power = found.figure.times(factor, "µW")
        if draw == "idle" and not _as_read(rail, clock_hz):
            times, power = None, _elsewhere(rail, power, clock_hz or 0.0)
        yield Term(
            constant=f"rails.{name}.{found.place}",
            rail=name,
            kind="idle",
            layer="",
            times=times,
            power=power,
            scope=found.scope,
        )


def in_modes(chip: SpecBase, rail: Rail, draw: str, mode: str | None) -> _Draw | None:
    """Return one of ``DRAWS``; without a mode its range spans all measured modes."""
    unit = "µW/MHz" if draw == "clock_slope" else "µW"
    first, *others = _settings(rail, draw, mode)
    place, price = rail.price(draw, first)
    if price is None:
        return None
    figure = figure_of(chip, price, unit)
    for other in others:
        there, measured = rail.price(draw, other)
        if there != place and measured is not None:
            figure = _spanning(figure, figure_of(chip, measured, unit))
    return _Draw(place, figure, price.scope)


def _settings(rail: Rail, draw: str, mode: str | None) -> list[str | None]:
    """Return the settings that a draw may have, the default first, without those never measured."""
    if mode is not None or not rail.modes:
        return [mode]
    first, *others = rail.modes
    read = [(other, rail.price(draw, other)[1]) for other in others]
    return [first, *(other for other, price in read if price is None or price.basis != "assumed")]


def smallest_slope(rail: Rail) -> float:
    """Return the smallest clock slope of an idle chip in any mode, µW/MHz; 0 if none was read."""
    slopes = [rail.price("clock_slope", mode)[1] for mode in (None, *rail.modes)]
    idle = [s.range("µW/MHz")[0] for s in slopes if s is not None and s.scope == "idle"]
    return min(idle, default=0.0)


def added_parts(
    chip: SpecBase, name: str, clock_hz: float | None, mode: str | None, least_uw: float
) -> tuple[float, float]:
    """Return the parts of the low and the nominal power of activity that are added to idle terms.

    Both are 1, unless a reading of the rail holds activity already (scope ``all_in``). If several
    modes are possible, the lower end of the sum is that of the mode that draws least.

    Args:
        chip: specification with the prices.
        name: of the rail.
        clock_hz: main clock, Hz; None on a chip without one.
        mode: setting of the rail's switch; None if it is not given.
        least_uw: lower end of what all activity on this rail draws, µW.

    >>> from toolchain import load_chip
    >>> added_parts(load_chip("xylo_a3"), "digital", 12.5e6, "monitored", 7.0)
    (0.0, 0.0)
    >>> added_parts(load_chip("xylo_a3"), "digital", 12.5e6, None, 7.0)
    (1.0, 1.0)
    """
    rail = chip.power.rails[name]
    possible = [_settings(rail, draw, mode) for draw in DRAWS]
    settings = [each for each in possible[0] if all(each in others for others in possible)]
    full = {each: _holds_activity(rail, each) for each in settings}
    if not any(full.values()):
        return 1.0, 1.0
    if full[settings[0]]:
        return 0.0, 0.0
    ends = [
        sum(term.power.low for term in idle_terms(chip, name, clock_hz, each))
        + (0.0 if full[each] else least_uw)
        for each in settings
    ]
    idle = sum(term.power.low for term in idle_terms(chip, name, clock_hz, mode))
    part = (min(ends) - idle) / least_uw if least_uw else 1.0
    return min(1.0, max(0.0, part)), 1.0


def _holds_activity(rail: Rail, mode: str | None) -> bool:
    prices = [rail.price(draw, mode)[1] for draw in DRAWS]
    return any(price is not None and price.scope == "all_in" for price in prices)


def figure_of(chip: SpecBase, price: Price, unit: str) -> Figure:
    """Return a price as a figure, with its citation."""
    return Figure.of(price, unit, chip.cite(price))


def _spanning(figure: Figure, other: Figure) -> Figure:
    """Return the figure with its range widened to that of another."""
    sources = dict.fromkeys([*figure.source.split("; "), *other.source.split("; ")])
    return Figure(
        low=min(figure.low, other.low),
        nominal=figure.nominal,
        high=max(figure.high, other.high),
        unit=figure.unit,
        basis=weakest([figure.basis, other.basis]),
        source="; ".join(sources),
    )


def _as_read(rail: Rail, clock_hz: float | None) -> bool:
    """Return whether the clock is that of the reading of the idle draw."""
    if rail.idle_clock is None or clock_hz is None:
        return True
    return isclose(rail.idle_clock.to("Hz"), clock_hz, rel_tol=1e-5)


def _elsewhere(rail: Rail, read: Figure, clock_hz: float) -> Figure:
    """Return an idle draw at another clock: from no part of it clocked to all of it."""
    assert rail.idle_clock is not None
    ends = sorted([1.0, clock_hz / rail.idle_clock.to("Hz")])
    return Figure(
        low=read.low * ends[0],
        nominal=None,
        high=read.high * ends[1],
        unit="µW",
        basis=weakest([read.basis, "assumed"]),
        source=f"{read.source}, read at {rail.idle_clock.value:g} {rail.idle_clock.unit} only",
    )
