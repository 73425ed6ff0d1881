r"""Products of counts and prices: each product of the power model as a separate term.

.. math:: P_{rail} = P_{static} + k_{mode} f_{clk} + \sum_{action} E_{action} \cdot rate

A term has the name of its constant, so that a calibration can relate readings to constants. The
mode of a chip changes its draw more than spikes do: if no mode is given, the nominal value is that
of the default mode and the range spans all measured modes.

A constant of scope ``all_in`` was read while a network ran, so it contains the activity of that
network, and how much is not known. Activity on its rail adds nothing to the nominal value and to
the lower end. The upper end is that of a reading without any activity: there it is added in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import inf

from toolchain.estimate.figure import Figure, total, weakest
from toolchain.estimate.idle import added_parts, figure_of, idle_terms, in_modes, smallest_slope
from toolchain.estimate.terms import Counts, NotPriced, Term
from toolchain.hardware import Rail, SpecBase

__all__ = ["check_modes", "energy_of", "price", "saved_by_clock"]


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
    ram conv 70.89 µW (31.41 to 119.5, derived)
    logic conv 184.1 µW (81.59 to 310.5, derived)
    >>> print(*missing)
    output_event: 40 spike/s
    """
    check_modes(chip, modes)
    if clock_hz is not None and not 0 <= clock_hz < inf:
        raise ValueError(f"clock_hz must be a number >= 0 Hz, got {clock_hz}")
    terms = [
        term
        for name, rail in chip.power.rails.items()
        for term in idle_terms(chip, name, clock_hz, modes.get(rail.switch))
    ]
    dynamic: list[Term] = []
    missing = []
    for action, by_layer in counts.items():
        if action not in chip.power.ACTIONS:
            raise ValueError(f"{chip.name} has no action {action!r}")
        for layer, often in by_layer.items():
            if not 0 <= often < inf:
                raise ValueError(f"{action} of {layer!r} must be >= 0 a second, got {often}")
        if action in chip.power.actions:
            dynamic += _dynamic(chip, action, by_layer)
        elif any(by_layer.values()):
            unit = chip.power.ACTIONS[action]
            often = sum(by_layer.values())
            missing.append(NotPriced(what=action, per_second=often, unit=unit))
    return (*terms, *_once(chip, dynamic, clock_hz, modes)), tuple(missing)


def _once(
    chip: SpecBase, terms: Iterable[Term], clock_hz: float | None, modes: Mapping[str, str]
) -> Iterable[Term]:
    """Yield terms of activity without the part that is in the idle terms of their rail already."""
    least: dict[str, float] = {}
    for term in terms:
        least[term.rail] = least.get(term.rail, 0.0) + term.on_rail.low
    parts = {
        rail: added_parts(chip, rail, clock_hz, modes.get(chip.power.rails[rail].switch), added)
        for rail, added in least.items()
    }
    for term in terms:
        low, nominal = parts[term.rail]
        power = term.power
        read = None if power.nominal is None else power.nominal * nominal
        yield replace(term, power=replace(power, low=power.low * low, nominal=read))


def _dynamic(chip: SpecBase, action: str, by_layer: Mapping[str, float]) -> Iterable[Term]:
    energy = energy_of(chip, action)
    for rail, (low, part, high) in chip.power.actions[action].parts.items():
        for layer, often in by_layer.items():
            times = part * often * 1e-6  # pJ/s are 1e-6 µW
            yield Term(
                constant=f"actions.{action}.energy",
                rail=rail,
                kind="dynamic",
                layer=layer,
                times=times,
                power=energy.times(times, "µW"),
                split=(low / part, high / part) if part else (1.0, 1.0),
            )


def energy_of(chip: SpecBase, action: str) -> Figure:
    """Return the energy of an action, pJ; its basis is also that of its division among rails.

    >>> from toolchain import load_chip
    >>> print(energy_of(load_chip("speck2f"), "synop"))
    255 pJ/synop (113 to 430, derived)
    """
    cost = chip.power.actions[action]
    energy = figure_of(chip, cost.energy, f"pJ/{chip.power.ACTIONS[action]}")
    basis = weakest([energy.basis, *(part.basis for part in cost.share.values())])
    return replace(energy, basis=basis, nominal=None if basis == "assumed" else energy.nominal)


def saved_by_clock(
    chip: SpecBase, *, clock_hz: float, slower_hz: float, modes: Mapping[str, str]
) -> Figure:
    """Return the power that a slower main clock saves on all rails, µW; dynamic power stays.

    If the clock's part of an idle draw is not known, the range is from nothing to all of the draw
    in proportion to the clock. A slope of scope ``all_in`` contains activity, which a slower clock
    does not save: its range starts at the smallest slope of an idle chip on that rail.

    >>> from toolchain import load_chip
    >>> modes = {"configuration": "mapped", "microphone": "off"}
    >>> chip = load_chip("xylo_a3")
    >>> print(saved_by_clock(chip, clock_hz=12.5e6, slower_hz=6.25e6, modes=modes))
    203.2 µW (186.6 to 210.1, derived)
    """
    saved = [
        _saved(chip, rail, clock_hz, slower_hz, modes.get(rail.switch))
        for rail in chip.power.rails.values()
    ]
    return total([figure for figure in saved if figure is not None], "µW")


def _saved(
    chip: SpecBase, rail: Rail, clock_hz: float, slower_hz: float, mode: str | None
) -> Figure | None:
    """Return the power that a slower clock saves on one rail, µW; None without a clocked draw."""
    found = in_modes(chip, rail, "clock_slope", mode)
    if found is not None:
        slope = found.figure
        if found.scope == "all_in":  # which part of it is activity, and stays, is not known
            low = min(slope.low, smallest_slope(rail))
            slope = replace(slope, low=low, nominal=None, basis=weakest([slope.basis, "assumed"]))
        return slope.times((clock_hz - slower_hz) / 1e6, "µW")
    if rail.idle_clock is None or rail.idle is None:
        return None
    most = figure_of(chip, rail.idle, "µW").high * max(1.0, clock_hz / rail.idle_clock.to("Hz"))
    return Figure(
        low=0.0,
        nominal=None,
        high=most * (1 - slower_hz / clock_hz),
        unit="µW",
        basis="assumed",
        source=chip.cite(rail.idle),
    )
