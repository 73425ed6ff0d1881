"""Counts times costs: power, energy, latency and pace, each figure with its range and basis.

Counts come from a program and its spikes (``runs.Activity``), prices from the chip's specification;
they meet in ``pricing`` and nowhere else. A figure whose price nobody measured has a range and no
nominal value: it is not collapsed to one number. A figure about which nothing is known is
``unknown``, never 0, and so is every upper end of what it is a part of. The estimate carries the
weakest basis of all that went into it, and lists what it could not price. ``calibrate`` fits
prices to readings of one's own.
"""

from toolchain.estimate.assemble import AS_USUAL, assemble, border_events, check_layers
from toolchain.estimate.calibrate import Measurement, calibrate
from toolchain.estimate.calibration import Calibration, Fitted, Residual
from toolchain.estimate.costs import LayerCost, Pace
from toolchain.estimate.figure import BASES, Figure, total, unknown, weakest
from toolchain.estimate.pricing import Counts, NotPriced, Term, price, saved_by_clock
from toolchain.estimate.result import Estimate
from toolchain.estimate.suggest import Suggestion, dominating_layers, slower_clock

__all__ = [
    "AS_USUAL",
    "BASES",
    "Calibration",
    "Counts",
    "Estimate",
    "Figure",
    "Fitted",
    "LayerCost",
    "Measurement",
    "NotPriced",
    "Pace",
    "Residual",
    "Suggestion",
    "Term",
    "assemble",
    "border_events",
    "calibrate",
    "check_layers",
    "dominating_layers",
    "price",
    "saved_by_clock",
    "slower_clock",
    "total",
    "unknown",
    "weakest",
]
