"""Learning rates: of each kind of parameter, and over the course of a training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real

from toolchain.chips.training import Parameter, ParameterKind

__all__ = ["RATES", "Rates", "course", "rates_of", "step_sizes"]

Rates = Mapping[ParameterKind, float]

RATES: Rates = {"weight": 0.01, "threshold": 0.004, "bias": 0.004}
"""Learning rates that train without destroying; ten times as much does not."""
LEVELS = 127
"""Largest level of a network without trained weights, in the units of its biases."""
WARM_UP = 20
"""Most steps until the full rate."""


def rates_of(lr: float | Rates | None) -> Rates:
    """Return the learning rate of each kind of parameter.

    Args:
        lr: one for all kinds, by kind, or None for the default of each.

    Raises:
        ValueError: an unknown kind, or a rate that is negative or not finite.

    >>> rates_of({"weight": 0.01})["weight"], rates_of(0.002)["bias"]
    (0.01, 0.002)
    """
    found = dict(RATES)
    if isinstance(lr, Mapping):
        if unknown := sorted({*lr} - {*RATES}):
            raise ValueError(f"lr has {unknown[0]!r}; its kinds are {', '.join(RATES)}")
        found |= lr
    elif lr is not None:
        found = dict.fromkeys(RATES, lr)
    for kind, rate in found.items():
        if not _is_number(rate) or not math.isfinite(rate) or rate < 0:
            raise ValueError(f"lr of {kind} must be a finite number >= 0, got {rate!r}")
    return found


def _is_number(rate: object) -> bool:
    return isinstance(rate, Real) and not isinstance(rate, bool)


def step_sizes(parameters: Iterable[Parameter], rates: Rates) -> dict[str, float]:
    """Return how far an optimizer step moves each parameter, by name.

    Weights move by a part of their largest level: what is a small step of 8 bit is not one of 3.
    Biases, whose range is far wider, move like the weights. Thresholds move in proportion to
    themselves, so that their step has no unit.

    >>> fc = Parameter(
    ...     node="fc", field="weight", kind="weight", shape=(2, 2), step=1, low=-7, high=7
    ... )
    >>> step_sizes([fc], rates_of(0.01))
    {'fc.weight': 0.07}
    """
    found = list(parameters)
    largest = max((each.high for each in found if each.kind == "weight"), default=LEVELS)
    return {
        each.name: rates[each.kind]
        * {"weight": each.high, "bias": min(each.high, largest), "threshold": 1}[each.kind]
        for each in found
    }


def course(step: int, total: int) -> float:
    """Return the part of the learning rate at a step: a linear warm-up, then a cosine to 0.

    >>> [round(course(step, 100), 2) for step in (0, 9, 54, 99)]
    [0.1, 1.0, 0.5, 0.0]
    """
    warm = min(WARM_UP, max(1, total // 10))
    if step < warm:
        return (step + 1) / warm
    return 0.5 + 0.5 * math.cos(math.pi * (step + 1 - warm) / max(1, total - warm))
