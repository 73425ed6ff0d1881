"""What would draw less: data with a sentence for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from toolchain.estimate.costs import LayerCost
from toolchain.estimate.figure import Figure
from toolchain.estimate.pricing import saved_by_clock
from toolchain.hardware import SpecBase

__all__ = ["Suggestion", "dominating_layers", "slower_clock"]

MOST = 0.5
"""Layers are named until they make up this part of the dynamic power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One thing to do.

    Attributes:
        about: another clock, or layers to make quieter.
        text: for people.
        clock_hz: the clock, Hz; None of layers.
        saves: power, µW; at most this much, of layers. None where it costs power instead.
        layers: the user's own names.
    """

    about: Literal["clock", "layers"]
    text: str
    clock_hz: float | None = None
    saves: Figure | None = None
    layers: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Its text."""
        return self.text

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {**asdict(self), "saves": None if self.saves is None else self.saves.as_dict()}


def slower_clock(
    chip: SpecBase,
    *,
    clock_hz: float,
    modes: Mapping[str, str],
    wanted_hz: float,
    made_hz: float | None,
    what: str,
) -> Suggestion | None:
    """The slowest clock that still keeps up, where it is another than ``clock_hz``.

    Args:
        chip: gives the prices.
        clock_hz: main clock now, Hz.
        modes: as said.
        wanted_hz: the slowest that does the work, margin included.
        made_hz: the slowest not below it that the chip is known to make; None if there is none.
        what: the work, ``"the worst case"``.
    """
    need = f"{what} needs {wanted_hz / 1e6:.4g} MHz"
    if wanted_hz > clock_hz:
        known = "" if made_hz is None else f", {made_hz / 1e6:.4g} MHz can be set"
        return Suggestion(about="clock", text=f"{need}, more than is set{known}", clock_hz=made_hz)
    if made_hz is None or made_hz >= clock_hz:
        return None
    saves = saved_by_clock(chip, clock_hz=clock_hz, slower_hz=made_hz, modes=modes)
    text = f"{need}: a main clock of {made_hz / 1e6:.4g} MHz saves {saves}"
    return Suggestion(about="clock", text=text, clock_hz=made_hz, saves=saves)


def dominating_layers(
    layers: Iterable[LayerCost], *, power: Figure, idle: Figure
) -> Suggestion | None:
    """The fewest layers that make up most of what activity adds; None where that has no price.

    Args:
        layers: of a program.
        power: all that the chip draws.
        idle: the part of it with nothing to do.
    """
    ranked = sorted(
        (layer for layer in layers if layer.dynamic_share),
        key=lambda layer: -(layer.dynamic_share or 0.0),
    )
    found, part = [], 0.0
    for layer in ranked:
        found.append(layer)
        part += layer.dynamic_share or 0.0
        if part >= MOST:
            break
    if not found:
        return None
    saves = found[0].dynamic_power
    for layer in found[1:]:
        saves += layer.dynamic_power
    names = ", ".join(layer.name for layer in found)
    most = saves.high / (idle.low + saves.high)
    text = f"{100 * part:.0f} % of the dynamic power is {names}: {saves}"
    if power.high and most < MOST:
        text += f", at most {100 * most:.2g} % of all; the rest is idle draw or other layers"
    return Suggestion(
        about="layers", text=text, saves=saves, layers=tuple(layer.name for layer in found)
    )
