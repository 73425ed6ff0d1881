"""Suggestions to draw less power: data, each with a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from toolchain.estimate.costs import LayerCost
from toolchain.estimate.figure import Figure
from toolchain.estimate.pricing import saved_by_clock
from toolchain.hardware import SpecBase
from toolchain.report import Brief

__all__ = ["Suggestion", "dominating_layers", "slower_clock"]

MOST = 0.5
"""Layers are listed until they make up this part of the dynamic power."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Suggestion(Brief):
    """One way to reduce the power, or to keep up.

    Attributes:
        about: another clock, or layers whose activity dominates.
        text: the suggestion as a sentence.
        clock_hz: the clock, Hz; None for layers.
        saves: power, µW; for layers an upper bound. None if it costs power instead.
        layers: the user's own names.

    >>> print(Suggestion(about="clock", text="a main clock of 6.25 MHz", clock_hz=6.25e6))
    a main clock of 6.25 MHz
    """

    about: Literal["clock", "layers"]
    text: str
    clock_hz: float | None = None
    saves: Figure | None = None
    layers: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return its text."""
        return self.text

    def as_dict(self) -> dict[str, Any]:
        """Return the suggestion as plain data."""
        return {**asdict(self), "saves": None if self.saves is None else self.saves.as_dict()}


def slower_clock(
    chip: SpecBase,
    *,
    clock_hz: float,
    modes: Mapping[str, str],
    wanted_hz: float,
    available_hz: float | None,
    what: str,
) -> Suggestion | None:
    """Suggest the slowest clock that keeps up, or None if that is ``clock_hz``.

    Args:
        chip: specification with the prices.
        clock_hz: main clock now, Hz.
        modes: setting by switch, of those that are known.
        wanted_hz: the slowest clock that does the work, margin included, Hz.
        available_hz: the slowest clock of the chip not below it, Hz; None if none is known.
        what: the work, ``"the worst case"``.

    >>> from toolchain import load_chip
    >>> modes = {"configuration": "mapped", "microphone": "off"}
    >>> clocks = dict(clock_hz=12.5e6, wanted_hz=1.6e6, available_hz=6.25e6)
    >>> print(slower_clock(load_chip("xylo_a3"), modes=modes, what="the worst case", **clocks))
    the worst case needs 1.6 MHz: a main clock of 6.25 MHz saves 203.2 µW (186.6 to 210.1, derived)
    """
    need = f"{what} needs {wanted_hz / 1e6:.4g} MHz"
    if wanted_hz > clock_hz:
        known = "" if available_hz is None else f", {available_hz / 1e6:.4g} MHz can be set"
        text = f"{need}, more than is set{known}"
        return Suggestion(about="clock", text=text, clock_hz=available_hz)
    if available_hz is None or available_hz >= clock_hz:
        return None
    saves = saved_by_clock(chip, clock_hz=clock_hz, slower_hz=available_hz, modes=modes)
    text = f"{need}: a main clock of {available_hz / 1e6:.4g} MHz saves {saves}"
    return Suggestion(about="clock", text=text, clock_hz=available_hz, saves=saves)


def dominating_layers(
    layers: Iterable[LayerCost], *, power: Figure, idle: Figure
) -> Suggestion | None:
    """Suggest the layers with most of the dynamic power; None if that has no price.

    Args:
        layers: of a program.
        power: total draw of the chip.
        idle: idle part of it.

    >>> work = dict(place="core 0", spikes_per_second=500.0, synops_per_second=2e4)
    >>> power = Figure(low=5, nominal=8, high=12, unit="µW", basis="derived")
    >>> conv = LayerCost(name="conv", **work, dynamic_power=power, dynamic_share=0.9)
    >>> idle = Figure(low=2, nominal=3, high=4, unit="µW", basis="measured")
    >>> print(dominating_layers([conv], power=idle + power, idle=idle))
    90 % of the dynamic power is conv: 8 µW (5 to 12, derived)
    """
    ranked = sorted(
        (layer for layer in layers if layer.dynamic_share),
        key=lambda layer: -(layer.dynamic_share or 0.0),
    )
    dominating, part = [], 0.0
    for layer in ranked:
        dominating.append(layer)
        part += layer.dynamic_share or 0.0
        if part >= MOST:
            break
    if not dominating:
        return None
    saves = dominating[0].dynamic_power
    for layer in dominating[1:]:
        saves += layer.dynamic_power
    names = ", ".join(layer.name for layer in dominating)
    most = saves.high / (idle.low + saves.high)
    text = f"{100 * part:.0f} % of the dynamic power is {names}: {saves}"
    if power.high and most < MOST:
        text += f", at most {100 * most:.2g} % of the total; the rest is idle draw or other layers"
    return Suggestion(
        about="layers", text=text, saves=saves, layers=tuple(layer.name for layer in dominating)
    )
