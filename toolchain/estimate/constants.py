"""Constants of a chip's power model by name, as ``toolchain.hardware.power`` spells them."""

from __future__ import annotations

from toolchain.estimate.division import column
from toolchain.estimate.figure import Figure
from toolchain.hardware import Price, Quantity, SpecBase
from toolchain.hardware.power import DRAWS

__all__ = ["on_file", "read_at_work", "unit_of"]


def _draws(chip: SpecBase) -> dict[str, Price]:
    """Return the draws of all rails in all modes, by name of the constant."""
    found = {}
    for name, rail in chip.power.rails.items():
        for mode in (None, *rail.modes):
            for draw in DRAWS:
                place, price = rail.price(draw, mode)
                if price is not None:
                    found[f"rails.{name}.{place}"] = price
    return found


def read_at_work(chip: SpecBase) -> set[str]:
    """Return the names of draws that were read while a network ran."""
    return {name for name, price in _draws(chip).items() if price.scope == "all_in"}


def on_file(chip: SpecBase) -> dict[str, Figure]:
    """Return every constant of the chip's power model."""
    prices: dict[str, Price | Quantity] = {**_draws(chip)}
    for name, action in chip.power.actions.items():
        prices[f"actions.{name}.energy"] = action.energy
        prices |= {column(name, rail): part for rail, part in action.share.items()}
    return {name: Figure.of(p, unit_of(chip, name), chip.cite(p)) for name, p in prices.items()}


def unit_of(chip: SpecBase, name: str) -> str:
    """Return the unit of a constant in the terms of the power model."""
    kind, thing, *_ = name.split(".")
    if ".share." in name:
        return "fraction"
    if kind == "actions":
        return f"pJ/{chip.power.ACTIONS[thing]}"
    return "µW/MHz" if name.endswith("clock_slope") else "µW"
