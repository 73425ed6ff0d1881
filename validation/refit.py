"""Chips with constants fitted to selected readings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from toolchain.chips.load import load_chip
from toolchain.chips.xylo.spec import XyloChip
from toolchain.estimate import Measurement, calibrate
from toolchain.hardware import Overlay, Price, Source, write_overlay

__all__ = ["as_read", "energy_of_a_cycle", "laid_over", "refitted"]

HERE = "validation"


def refitted(chip: XyloChip, taken: list[Measurement], *constants: str) -> XyloChip:
    """Fit ``constants`` of the chip, and no others, to the readings ``taken``."""
    found = calibrate(chip, taken, constants=constants)
    return laid_over(chip, found.overlay(title="published readings"))


def as_read(unit: str, read: Mapping[str, float]) -> Overlay:
    """Return an overlay of constants that are one reading each, without a fit."""
    return _overlay(unit, {name: (value, value, value) for name, value in read.items()}, "idle")


def energy_of_a_cycle(least: float, most: float) -> Overlay:
    """Return an overlay of the energy of a cycle, pJ: two ends and their geometric mean."""
    middle = (least * most) ** 0.5
    ends = {"actions.cycle.energy": (least, middle, most)}
    return _overlay("pJ/cycle", ends, "incremental")


def _overlay(unit: str, ends: Mapping[str, tuple[float, float, float]], scope: str) -> Overlay:
    prices = {
        name: Price.model_validate(
            {
                "low": low,
                "value": value,
                "high": high,
                "unit": unit,
                "source": HERE,
                "basis": "derived",
                "scope": scope,
                "conditions": "For the validation table alone.",
            }
        )
        for name, (low, value, high) in ends.items()
    }
    sources = {HERE: Source(title="published readings", url="")}
    return Overlay(chip="any", sources=sources, constants=prices)


def laid_over(chip: XyloChip, *overlays: Overlay) -> XyloChip:
    """Return the chip with the constants of all overlays."""
    merged = Overlay(
        chip=chip.name,
        sources={key: source for each in overlays for key, source in each.sources.items()},
        constants={name: price for each in overlays for name, price in each.constants.items()},
    )
    with TemporaryDirectory() as folder:
        path = write_overlay(merged, Path(folder) / "refitted.yaml")
        found = load_chip(chip.name, overlay=path)
    assert isinstance(found, XyloChip)
    return found
