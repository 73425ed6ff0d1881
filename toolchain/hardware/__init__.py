"""Chips as data: one YAML file a revision, each number with unit, source and basis.

``load_chip("xylo")`` gives the typed view of a file; ``hardware_specs/README.md`` says how to add
one.
"""

from toolchain.hardware.chip import Erratum, Source
from toolchain.hardware.load import Chip, list_chips, load_chip
from toolchain.hardware.overlay import Overlay, read_overlay, write_overlay
from toolchain.hardware.power import ActionPrice, Rail, RailMode, SpeckPower, XyloPower
from toolchain.hardware.quantity import Choice, Price, Quantity
from toolchain.hardware.speck import SpeckChip, SpeckCoreSpec, SpeckLimits, SpeckTiming
from toolchain.hardware.xylo import XyloChip, XyloClock, XyloLimits, XyloMemory

__all__ = [
    "ActionPrice",
    "Chip",
    "Choice",
    "Erratum",
    "Overlay",
    "Price",
    "Quantity",
    "Rail",
    "RailMode",
    "Source",
    "SpeckChip",
    "SpeckCoreSpec",
    "SpeckLimits",
    "SpeckPower",
    "SpeckTiming",
    "XyloChip",
    "XyloClock",
    "XyloLimits",
    "XyloMemory",
    "XyloPower",
    "list_chips",
    "load_chip",
    "read_overlay",
    "write_overlay",
]
