"""Counts times costs: power, energy, latency and load, each figure with its range and basis.

Counts come from a program and its spikes (``runs.Activity``), prices from the chip's specification;
only ``pricing`` combines them. A figure whose price was never measured has a range and no nominal
value. A figure without any data is ``unknown``, never 0, and every sum that contains it has no
upper limit. The basis of an estimate is the weakest
of all its parts, and it lists the costs without a price. ``calibrate`` fits prices to a user's
power readings.

``BASES`` are the kinds of evidence, the strongest first; ``Counts`` is the type of action counts,
and ``AS_USUAL`` the empty mapping of modes, with which an estimate spans all measured modes:

>>> from toolchain import load_chip
>>> from toolchain.estimate import AS_USUAL, BASES, Counts, price
>>> BASES
('published', 'measured', 'derived', 'assumed', 'unknown')
>>> counts: Counts = {"cycle": {"network": 1e6}}  # a second, by layer
>>> terms, _ = price(load_chip("xylo_a2"), clock_hz=6.25e6, modes=AS_USUAL, counts=counts)
>>> print(terms[-1].constant, terms[-1].power)
actions.cycle.energy 16 µW (8 to 27, derived)
"""

from toolchain.estimate.assemble import AS_USUAL, assemble, border_events, check_layers
from toolchain.estimate.calibrate import Measurement, calibrate
from toolchain.estimate.calibration import Calibration, Fitted, Residual
from toolchain.estimate.costs import LayerCost, Pace
from toolchain.estimate.figure import BASES, Figure, total, unknown, weakest
from toolchain.estimate.pricing import price, saved_by_clock
from toolchain.estimate.result import Estimate
from toolchain.estimate.suggest import Suggestion, dominating_layers, slower_clock
from toolchain.estimate.terms import Counts, NotPriced, Term

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
