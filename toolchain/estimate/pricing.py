r"""Products of counts and prices: each product of the power model as a separate term.

.. math:: P_{rail} = P_{static} + k_{mode} f_{clk} + \sum_{action} E_{action} \cdot rate

A term has the name of its constant, so that a calibration can relate readings to constants. The
mode of a chip changes its draw more than spikes do: if no mode is given, the nominal value is that
of the default mode and the range spans all measured modes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf, isclose
from typing import Literal, TypeAlias

from toolchain.estimate.figure import Figure, total, weakest
from toolchain.hardware import Price, Rail, SpecBase

__all__ = ["Counts", "NotPriced", "Term", "check_modes", "price", "saved_by_clock"]

Counts: TypeAlias = Mapping[str, Mapping[str, float]]
"""Number of actions a second, by action and layer; actions as in ``power.ACTIONS`` of the chip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One product of the power model.

    Attributes:
        constant: its name, ``rails.digital.static``; see ``toolchain.hardware.power``.
        rail: rail that supplies it.
        kind: drawn by an idle chip, or added by activity.
        layer: layer with the activity; empty for idle terms.
        times: factor of the constant, µW a unit of the constant; None if the term is not a
            product: an idle draw at another clock than that of its reading.
        power: the product, µW.

    >>> from toolchain import load_chip
    >>> counts = {"cycle": {"network": 1e6}}
    >>> terms, _ = price(load_chip("xylo_a2"), clock_hz=6.25e6, modes={}, counts=counts)
    >>> isinstance(terms[-1], Term), terms[-1].kind, terms[-1].rail, terms[-1].times
    (True, 'dynamic', 'snn_core', 1.0)
    """

    constant: str
    rail: str
    kind: Literal["idle", "dynamic"]
    layer: str
    times: float | None
    power: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPriced:
    """A cost that is not in the figures, since it has no price.

    Attributes:
        what: an action, or a sentence.
        per_second: number of actions, in ``unit`` a second; None if not counted.
        unit: counting unit of the action.

    >>> print(NotPriced(what="leak_update", per_second=1200, unit="neuron"))
    leak_update: 1200 neuron/s
    """

    what: str
    per_second: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        """Return ``leak_update: 1200 neuron/s``."""
        counted = self.per_second is not None
        return f"{self.what}: {self.per_second:.4g} {self.unit}/s" if counted else self.what


def check_modes(chip: SpecBase, modes: Mapping[str, str]) -> None:
    """Check that the chip's power model has these modes.

    Raises:
        ValueError: an unknown switch or setting; the message lists the valid ones.
    """
    if not isinstance(modes, Mapping):
        raise ValueError(f"modes must be a setting by switch, got {modes!r}")
    switches = chip.power.switches
    for switch, setting in modes.items():
        if switch not in switches:
            known = ", ".join(switches) or "none"
            raise ValueError(f"{chip.name} has no switch {switch!r}; there are: {known}")
        if setting not in switches[switch]:
            known = ", ".join(switches[switch])
            raise ValueError(f"{switch} of {chip.name} must be one of {known}, got {setting!r}")


def price(
    chip: SpecBase, *, clock_hz: float | None, modes: Mapping[str, str], counts: Counts
) -> tuple[tuple[Term, ...], tuple[NotPriced, ...]]:
    """Return every term of the power model, and the actions that have no price.

    Args:
        chip: specification with the prices.
        clock_hz: main clock, Hz; None on a chip without one.
        modes: setting by switch, of those that are known; see ``chip.power.switches``.
        counts: number of actions a second, by action and layer.

    Raises:
        ValueError: unknown modes or actions, counts or a clock that are negative or not numbers.

    >>> from toolchain import load_chip
    >>> counts = {"synop": {"conv": 1e6}, "output_event": {"conv": 40.0}}
    >>> terms, missing = price(load_chip("speck2f"), clock_hz=None, modes={}, counts=counts)
    >>> for term in terms[-2:]:
    ...     print(term.rail, term.layer, term.power)
    ram conv 3.6 to 334.8 µW (assumed)
    logic conv 6.4 to 595.2 µW (assumed)
    >>> print(*missing)
    output_event: 40 spike/s
    """
    check_modes(chip, modes)
    if clock_hz is not None and not 0 <= clock_hz < inf:
        raise ValueError(f"clock_hz must be a number >= 0 Hz, got {clock_hz}")
    terms = [
        term
        for name, rail in chip.power.rails.items()
        for term in _idle(chip, name, rail, clock_hz, modes.get(rail.switch))
    ]
    missing = []
    for action, by_layer in counts.items():
        if action not in chip.power.ACTIONS:
            raise ValueError(f"{chip.name} has no action {action!r}")
        for layer, often in by_layer.items():
            if not 0 <= often < inf:
                raise ValueError(f"{action} of {layer!r} must be >= 0 a second, got {often}")
        if action in chip.power.actions:
            terms += _dynamic(chip, action, by_layer)
        elif any(by_layer.values()):
            unit = chip.power.ACTIONS[action]
            often = sum(by_layer.values())
            missing.append(NotPriced(what=action, per_second=often, unit=unit))
    return tuple(terms), tuple(missing)


def _idle(
    chip: SpecBase, name: str, rail: Rail, clock_hz: float | None, mode: str | None
) -> Iterable[Term]:
    for draw in ("static", "clock_slope", "idle"):
        place_and_figure = _in_modes(chip, rail, draw, mode)
        if place_and_figure is None:
            continue
        place, figure = place_and_figure
        factor = (clock_hz or 0.0) / 1e6 if draw == "clock_slope" else 1.0
        times: float | None = factor
        power = figure.times(factor, "µW")
        if draw == "idle" and not _as_read(rail, clock_hz):
            times, power = None, _elsewhere(rail, power, clock_hz or 0.0)
        yield Term(
            constant=f"rails.{name}.{place}",
            rail=name,
            kind="idle",
            layer="",
            times=times,
            power=power,
        )


def _in_modes(chip: SpecBase, rail: Rail, draw: str, mode: str | None) -> tuple[str, Figure] | None:
    """Return path and price of a draw; without a mode the range spans all measured modes."""
    unit = "µW/MHz" if draw == "clock_slope" else "µW"
    first, *others = [mode] if mode is not None or not rail.modes else rail.modes
    place, price = rail.price(draw, first)
    if price is None:
        return None
    figure = _figure(chip, price, unit)
    for other in others:
        there, measured = rail.price(draw, other)
        if there == place or measured is None or measured.basis == "assumed":
            continue
        figure = _spanning(figure, _figure(chip, measured, unit))
    return place, figure


def _figure(chip: SpecBase, price: Price, unit: str) -> Figure:
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


def _dynamic(chip: SpecBase, action: str, by_layer: Mapping[str, float]) -> Iterable[Term]:
    cost = chip.power.actions[action]
    energy = _figure(chip, cost.energy, f"pJ/{chip.power.ACTIONS[action]}")
    basis = weakest([energy.basis, *(part.basis for part in cost.share.values())])
    nominal = None if basis == "assumed" else energy.nominal
    energy = replace(energy, basis=basis, nominal=nominal)
    for rail, part in cost.payers.items():
        for layer, often in by_layer.items():
            times = part * often * 1e-6  # pJ/s are 1e-6 µW
            yield Term(
                constant=f"actions.{action}.energy",
                rail=rail,
                kind="dynamic",
                layer=layer,
                times=times,
                power=energy.times(times, "µW"),
            )


def saved_by_clock(
    chip: SpecBase, *, clock_hz: float, slower_hz: float, modes: Mapping[str, str]
) -> Figure:
    """Return the power that a slower main clock saves on all rails, µW; dynamic power stays.

    If the clock's part of an idle draw is not known, the range is from nothing to all of the draw
    in proportion to the clock.

    >>> from toolchain import load_chip
    >>> modes = {"configuration": "mapped", "microphone": "off"}
    >>> chip = load_chip("xylo_a3")
    >>> print(saved_by_clock(chip, clock_hz=12.5e6, slower_hz=6.25e6, modes=modes))
    203.2 µW (186.6 to 210.1, derived)
    """
    saved = []
    for rail in chip.power.rails.values():
        slope = _in_modes(chip, rail, "clock_slope", modes.get(rail.switch))
        if slope is not None:
            saved.append(slope[1].times((clock_hz - slower_hz) / 1e6, "µW"))
        elif rail.idle_clock is not None and rail.idle is not None:
            most = _figure(chip, rail.idle, "µW").high * max(
                1.0, clock_hz / rail.idle_clock.to("Hz")
            )
            saved.append(
                Figure(
                    low=0.0,
                    nominal=None,
                    high=most * (1 - slower_hz / clock_hz),
                    unit="µW",
                    basis="assumed",
                    source=chip.cite(rail.idle),
                )
            )
    return total(saved, "µW")
