"""Agreement of two runs in their spike counts, with a confidence interval."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.report import Brief, plural, share
from toolchain.runs.tally import sum_over_time

__all__ = [
    "LEAST_AGREEMENT",
    "UNTOLD",
    "Agreement",
    "AgreementTally",
    "Interval",
    "agreement_of",
    "agreement_text",
    "wilson",
]

Interval: TypeAlias = tuple[float, float] | None
"""Lower and upper end of an agreement, 0..1; None if too few spikes tell it."""

UNTOLD = "cannot tell"
"""Text in place of an agreement that too few spikes tell."""
LEAST_AGREEMENT = 0.9
"""Smallest agreement of the output counts without a warning."""
FEWEST_SPIKES = 20
"""With fewer spikes an agreement tells nothing: of 19 equal spikes up to 17 % could differ."""
FEWEST_SAMPLES = 5
"""With fewer samples, the neurons of each sample are the independent parts."""
NORMAL = 1.96
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""Quantiles of Student's t distribution for 95 %, with 1 to 10 degrees of freedom."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Agreement(Brief):
    """Agreement of output spike counts, 0..1, with its interval of 95 % confidence.

    Attributes:
        value: see ``toolchain.runs.recording.count_agreement``.
        interval: lower and upper end; None if there are fewer than 20 spikes.
        spikes: the larger count of each neuron in each sample, added.

    >>> print(Agreement(value=0.931, interval=(0.91, 0.948), spikes=2000))
    93.1 % (91.0 to 94.8)
    >>> print(Agreement(value=1.0, interval=None, spikes=3))
    cannot tell (3 spikes)
    """

    value: float
    interval: Interval
    spikes: int

    def __str__(self) -> str:
        """Return the share with its interval, or that there are too few spikes."""
        if self.interval is None:
            return f"{UNTOLD} ({plural(self.spikes, 'spike')})"
        return agreement_text(self.value, self.interval)


def agreement_text(value: float, interval: Interval) -> str:
    """Return an agreement with its interval; ``cannot tell`` without one.

    >>> agreement_text(0.931, (0.91, 0.948)), agreement_text(1.0, None)
    ('93.1 % (91.0 to 94.8)', 'cannot tell')
    """
    if interval is None:
        return UNTOLD
    low, high = (f"{100 * end:.1f}" for end in interval)
    return f"{share(value)} ({low} to {high})"


def agreement_of(wanted: Array, got: Array) -> Agreement:
    r"""Return the agreement of two sets of spike trains, with its interval.

    Of the ``spikes`` of both, the agreement ``p`` is the part that they share: a proportion, whose
    interval is Wilson's. Spikes of one sample are not independent, so their number is divided by
    the design effect: the variance of ``p`` over samples, as that of a ratio, over that of
    independent spikes. It is also reduced for few samples as ``(1.96 / t)**2`` with Student's t.
    With fewer than 5 samples, each neuron of each sample counts as one.

    Args:
        wanted: spikes, (batch, time, *features).
        got: spikes to compare, of the same shape.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22:209 (interval); Cochran 1977, Sampling Techniques,
    eq. 6.13 (variance of a ratio); Korn and Graubard 1998, Survey Methodology 24:193 (design
    effect and Student's t in the number of cases).

    >>> rng = np.random.default_rng(0)
    >>> spikes = rng.poisson(0.3, (20, 50, 4))
    >>> print(agreement_of(spikes, spikes), agreement_of(spikes, spikes[::-1]), sep=", ")
    100.0 % (99.6 to 100.0), 71.4 % (67.3 to 75.2)
    >>> print(agreement_of(spikes[:1, :5], spikes[:1, :5]))
    cannot tell (6 spikes)
    """
    tally = AgreementTally()
    tally.add(*(sum_over_time(spikes).reshape(len(spikes), -1) for spikes in (wanted, got)))
    return tally.agreement()


class AgreementTally:
    """Agreement of counts that arrive some samples at a time.

    >>> tally = AgreementTally()
    >>> for counts in ([[10, 20]], [[12, 8]]):
    ...     tally.add(np.array(counts), np.array([[10, 10]]))
    >>> round(tally.agreement().value, 2)
    0.73
    """

    def __init__(self) -> None:
        """Start without any samples."""
        self._apart = 0.0
        self._by_sample: list[tuple[Array, Array]] = []
        self._by_neuron: list[tuple[Array, Array]] = []
        self._samples = 0

    def add(self, wanted: Array, got: Array) -> None:
        """Add the counts (samples, neurons) of some samples."""
        larger, equal = np.maximum(wanted, got), np.minimum(wanted, got)
        self._apart += float(np.abs(wanted - got).sum())
        self._by_sample.append((larger.sum(axis=1), equal.sum(axis=1)))
        if self._samples < FEWEST_SAMPLES:
            self._by_neuron.append((larger.ravel(), equal.ravel()))
        self._samples += len(larger)

    def agreement(self) -> Agreement:
        """Return the agreement of all samples that were added."""
        few = self._samples < FEWEST_SAMPLES
        parts = self._by_neuron if few else self._by_sample
        larger, equal = (
            np.concatenate([pair[k] for pair in parts] or [np.zeros(0)]).astype(np.float64)
            for k in (0, 1)
        )
        spikes = float(larger.sum())
        value = 1.0 - self._apart / spikes if spikes else 1.0
        interval = _interval(value, larger, equal) if spikes >= FEWEST_SPIKES else None
        return Agreement(value=value, interval=interval, spikes=round(spikes))


def _interval(value: float, larger: Array, equal: Array) -> tuple[float, float]:
    """Return the interval of ``value``, the sum of ``equal`` over that of ``larger``."""
    parts, spikes = larger.size, float(larger.sum())
    residual = float(((equal - value * larger) ** 2).sum())
    variance = residual * parts / max(1, parts - 1) / spikes**2
    independent = value * (1 - value) / spikes
    effect = max(1.0, variance / independent) if independent > 0 else 1.0
    cases = spikes / effect * (NORMAL / _student(parts - 1)) ** 2
    return wilson(value, cases)


def _student(freedom: int) -> float:
    if freedom <= len(STUDENT):
        return STUDENT[max(freedom, 1) - 1]
    return NORMAL + 2.5 / freedom  # within 0.01 of the quantile


def wilson(value: float, cases: float) -> tuple[float, float]:
    """Return Wilson's interval of 95 % confidence of a proportion 0..1 of ``cases``.

    >>> [round(end, 3) for end in wilson(0.9, 100)]
    [0.826, 0.945]
    """
    square = NORMAL**2 / cases
    middle = (value + square / 2) / (1 + square)
    reach = NORMAL / (1 + square) * sqrt(value * (1 - value) / cases + square / (4 * cases))
    return max(0.0, min(value, middle - reach)), min(1.0, max(value, middle + reach))
