"""Rows of the table about Speck: idle draws, and the few readings with activity.

The energy of a synop is derived from one reading (V19), which is therefore no evidence. No other
reading states its number of synops: their estimates span all numbers that are possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt

from toolchain.chips.load import load_chip
from toolchain.chips.speck.spec import SpeckChip
from toolchain.estimate import Counts, Figure, price, total
from validation import networks
from validation.lines import SHIPPED, Line, line
from validation.readings import measurements

__all__ = ["rows"]

CHIP = "speck2f"
BOARDS = {"2025": "speck_2025", "2023": "speck_2023", "of LENS": "speck_lens"}
"""Boards whose idle draws are in the chip file."""
KIT = "speck_kit"
CORE_RAILS = ("ram", "logic")


def rows() -> Iterator[Line]:
    """Yield all lines about Speck."""
    yield from v12()
    yield from v13()
    yield from v14_by_spikes()
    yield from v14_by_synops()
    yield from v16()
    yield from v19()


def v12() -> Iterator[Line]:
    """Yield idle draws: the chip file against each board, and each board against the others."""
    rails = {name: _power((name,), {}) for name in _chip().power.rails}
    for board in BOARDS:
        yield from _board(board, rails, SHIPPED)
    for board in BOARDS:
        others = [other for other in BOARDS if other != board]
        fitted_on = f"V12, boards {' and '.join(others)}"
        for each in _board(board, {rail: _between(others, rail) for rail in rails}, fitted_on):
            yield replace(each, kind="N")
    for each in _board("of V19", rails, "", KIT):
        yield replace(each, kind="N")


def _board(board: str, rails: dict[str, Figure], fitted_on: str, name: str = "") -> Iterator[Line]:
    """Yield each rail of one board, and the sum of all rails."""
    reading = measurements().readings[name or BOARDS[board]]
    read = reading.to("µW")
    for rail, figure in rails.items():
        what = f"board {board}, {rail}"
        yield line("V12", CHIP, what, read[rail], reading.grade, figure, figure.nominal, fitted_on)
    whole, what = total(rails.values(), "µW"), f"board {board}, all rails"
    measured = sum(read.values())
    yield line("V12 total", CHIP, what, measured, reading.grade, whole, whole.nominal, fitted_on)


def _between(boards: list[str], rail: str) -> Figure:
    """Return the range of a rail on other boards, with the geometric mean as in the chip file."""
    read = [measurements().readings[BOARDS[board]].to("µW")[rail] for board in boards]
    low, high = min(read), max(read)
    return Figure(low=low, nominal=sqrt(low * high), high=high, unit="µW", basis="derived")


def v13() -> Iterator[Line]:
    """Yield the division of the dynamic power between RAM and logic, and the power of the trace."""
    readings = measurements().readings
    quiet, mean = readings["speck_lens"].to("µW"), readings["lens_mean"].to("µW")
    added = {rail: mean[rail] - quiet[rail] for rail in CORE_RAILS}
    low, share, high = _chip().power.actions["synop"].parts["ram"]
    figure = Figure(low=low, nominal=share, high=high, unit="of all", basis="derived")
    measured = added["ram"] / sum(added.values())
    yield line(
        "V13", CHIP, "share of RAM in what activity adds", measured, "D", figure, None, SHIPPED
    )
    most = networks.LENS_CORES * readings["core_limit"].only
    for what, rails, power in (
        ("mean of the trace, core rails", CORE_RAILS, sum(mean[rail] for rail in CORE_RAILS)),
        ("largest sample, all rails", tuple(mean), readings["lens_largest"].to("µW")["all rails"]),
    ):
        figure = _between_synops(rails, 0.0, most)
        idle = _power(rails, {}).nominal
        yield line("V13 power", CHIP, what, power, "A", figure, idle, "")


def v14_by_spikes() -> Iterator[Line]:
    """Yield a price per spike, fitted to the three vanilla networks, on the other three.

    The estimator does not work like this: the rows show the accuracy of spike counts alone.
    """
    readings = measurements().readings
    rest = readings["yao_rest"].to("µW")["rest"]
    power, spikes = readings["yao_power"].to("µW"), readings["yao_spikes"].values
    fit = [name for name in power if name.endswith("vanilla")]
    each = sum(spikes[n] * (power[n] - rest) for n in fit) / sum(spikes[n] ** 2 for n in fit)
    prices = [(power[name] - rest) / spikes[name] for name in fit]
    for name in power:
        if name not in fit:
            figure = Figure(
                low=rest + min(prices) * spikes[name],
                nominal=rest + each * spikes[name],
                high=rest + max(prices) * spikes[name],
                unit="µW",
                basis="derived",
            )
            fitted_on = "V14, the three vanilla networks"
            what = f"{name}, a price a spike"
            yield line("V14", CHIP, what, power[name], "A", figure, rest, fitted_on)


def v14_by_synops() -> Iterator[Line]:
    """Yield those six networks with the energy of a synop, for each meaning of the spike count."""
    readings = measurements().readings
    power = readings["yao_power"].to("µW")
    idle = _power(CORE_RAILS, {}).nominal
    fewest, most = networks.yao_fan_out()
    for meaning, seconds in (("window", readings["yao_window"].only), ("second", 1.0)):
        for name, spikes in readings["yao_spikes"].values.items():
            each = spikes / seconds
            figure = _between_synops(CORE_RAILS, each * fewest, each * most)
            what = f"{name}, if spikes are of a {meaning}"
            yield line("V14", CHIP, what, power[name], "A", figure, idle, "", "N")


def v16() -> Iterator[Line]:
    """Yield the idle energy of the core rails over the time of an inference."""
    readings = measurements().readings
    figure = _power(CORE_RAILS, {}).times(readings["richter_time"].only, "µJ")
    for name, energy in readings["richter_energy"].to("µJ").items():
        what = f"{name}, core rails idle for 300 ms"
        yield line("V16", CHIP, what, energy, "B", figure, figure.nominal, "")


def v19() -> Iterator[Line]:
    """Yield the running network that the energy of a synop is derived from."""
    readings = measurements().readings
    read, synops = readings["speck_kit_active"].to("µW"), readings["speck_kit_synops"].only
    for rail in ("io", *CORE_RAILS):
        figure = _power((rail,), {"synop": {"network": synops}})
        idle, used = _power((rail,), {}).nominal, SHIPPED if rail in CORE_RAILS else ""
        yield line("V19", CHIP, f"running, {rail}", read[rail], "A", figure, idle, used)


def _between_synops(rails: tuple[str, ...], fewest: float, most: float) -> Figure:
    """Return the power of rails at a number of synops a second of which only ends are known."""
    ends = [_power(rails, {"synop": {"network": often}}) for often in (fewest, most)]
    return replace(ends[0], high=ends[1].high, nominal=None)


def _chip() -> SpeckChip:
    chip = load_chip(CHIP)
    assert isinstance(chip, SpeckChip)
    return chip


def _power(rails: tuple[str, ...], counts: Counts) -> Figure:
    """Return the power of the given rails, µW."""
    terms, _ = price(_chip(), clock_hz=None, modes={}, counts=counts)
    alone = len(rails) == 1
    figures = [term.on_rail if alone else term.power for term in terms if term.rail in rails]
    return total(figures, "µW")
