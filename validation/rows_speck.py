"""Rows of the table about Speck: idle draws, and the few readings with activity.

No reading states its number of synops. Rows that need it are not computed; rows based on spike
counts are labelled as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt

from toolchain.chips.load import load_chip
from toolchain.chips.speck.spec import SpeckChip
from toolchain.estimate import Counts, Figure, price, total
from validation.lines import SHIPPED, Line, line
from validation.readings import measurements

__all__ = ["rows"]

CHIP = "speck2f"
BOARDS = {"2025": "speck_2025", "2023": "speck_2023", "of LENS": "speck_lens"}
CORE_RAILS = ("ram", "logic")


def rows() -> Iterator[Line]:
    """Yield all lines about Speck."""
    yield from v12()
    yield from v13()
    yield from v14_by_spikes()
    yield from v14_by_range()
    yield from v16()


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


def _board(board: str, rails: dict[str, Figure], fitted_on: str) -> Iterator[Line]:
    """Yield each rail of one board, and the sum of all rails."""
    reading = measurements().readings[BOARDS[board]]
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
    """Yield the division of the dynamic power between RAM and logic."""
    quiet = measurements().readings["speck_lens"].to("µW")
    mean = measurements().readings["lens_mean"].to("µW")
    added = {rail: mean[rail] - quiet[rail] for rail in CORE_RAILS}
    share = _chip().power.actions["synop"].payers["ram"]
    figure = Figure(low=share, nominal=share, high=share, unit="of all", basis="derived")
    measured = added["ram"] / sum(added.values())
    yield line(
        "V13", CHIP, "share of RAM in what activity adds", measured, "D", figure, None, SHIPPED
    )


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


def v14_by_range() -> Iterator[Line]:
    """Yield the range of the estimate of those six networks with the chip file's constants."""
    readings = measurements().readings
    power, seconds = readings["yao_power"].to("µW"), readings["yao_window"].only
    idle = _power(CORE_RAILS, {}).nominal
    most = 32 * 3 * 3  # synapses that a spike of this network reaches, fewer at stride 2
    for name, spikes in readings["yao_spikes"].values.items():
        ends = [
            _power(CORE_RAILS, {"synop": {"network": spikes * reach / seconds}})
            for reach in (most / 4, most)
        ]
        figure = replace(ends[0], high=ends[1].high)
        what = f"{name}, energy of a synop as on file"
        yield line("V14", CHIP, what, power[name], "A", figure, idle, SHIPPED, "N")


def v16() -> Iterator[Line]:
    """Yield the idle energy of the core rails over the time of an inference."""
    readings = measurements().readings
    figure = _power(CORE_RAILS, {}).times(readings["richter_time"].only, "µJ")
    for name, energy in readings["richter_energy"].to("µJ").items():
        what = f"{name}, core rails idle for 300 ms"
        yield line("V16", CHIP, what, energy, "B", figure, figure.nominal, "")


def _chip() -> SpeckChip:
    chip = load_chip(CHIP)
    assert isinstance(chip, SpeckChip)
    return chip


def _power(rails: tuple[str, ...], counts: Counts) -> Figure:
    """Return the power of the given rails, µW."""
    terms, _ = price(_chip(), clock_hz=None, modes={}, counts=counts)
    return total([term.power for term in terms if term.rail in rails], "µW")
