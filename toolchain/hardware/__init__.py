"""Chips as data: the fields of every chip file, each number with unit, source and basis.

A family derives the model of its files from ``SpecBase``; ``toolchain.chips.load`` reads them.
"""

from toolchain.hardware.chip import Erratum, Source, SpecBase
from toolchain.hardware.overlay import Overlay, read_overlay, write_overlay
from toolchain.hardware.power import ActionPrice, Power, Rail, RailMode
from toolchain.hardware.quantity import AllowedValues, Price, Quantity

__all__ = [
    "ActionPrice",
    "AllowedValues",
    "Erratum",
    "Overlay",
    "Power",
    "Price",
    "Quantity",
    "Rail",
    "RailMode",
    "Source",
    "SpecBase",
    "read_overlay",
    "write_overlay",
]
