"""Accuracy of a classification, with its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.report import Brief, plural, share
from toolchain.runs.agreement import wilson

__all__ = ["Accuracy", "accuracy_of"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Accuracy(Brief):
    """Share of samples whose class is right, with its interval of 95 % confidence (Wilson).

    Attributes:
        right: samples whose class is right.
        samples: all of them, at least one.

    >>> print(Accuracy(right=90, samples=100))
    90.0 % (82.6 to 94.5) of 100 samples
    """

    right: int
    samples: int

    @property
    def value(self) -> float:
        """The share, 0..1."""
        return self.right / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end of the interval, 0..1."""
        return wilson(self.value, self.samples)

    def __str__(self) -> str:
        """Return the share with its interval and the number of samples."""
        low, high = (f"{100 * end:.1f}" for end in self.interval)
        return f"{share(self.value)} ({low} to {high}) of {plural(self.samples, 'sample')}"


def accuracy_of(scores: Array, labels: Array) -> Accuracy:
    """Return how often the highest score is that of the label; of equal scores the first counts.

    Args:
        scores: (samples, classes), such as spike counts.
        labels: integers, (samples,).

    >>> accuracy_of(np.array([[3, 1], [0, 2], [1, 1]]), np.array([0, 1, 1])).value
    0.6666666666666666
    """
    right = int((np.argmax(scores, axis=1) == labels).sum())
    return Accuracy(right=right, samples=len(labels))
