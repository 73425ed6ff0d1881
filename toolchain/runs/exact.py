"""Proof that sums of products are exact in float64, so that any order of the terms gives the same.

A float64 has 53 bits. If all products are multiples of a power of two, and no sum of their
magnitudes reaches 2**53 of it, then every partial sum is a number that float64 holds: nothing is
rounded, whatever the order. So it is for weights of float32 with spike counts, unless the weights
of one layer differ too much in magnitude.
"""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array

__all__ = ["ExactSums", "lowest_bit"]

BITS = 52
"""One less than those of a float64, for the rounding of the bound itself."""
SMALLEST = -1000
"""Smallest exponent that is proven: well above the smallest number that float64 holds."""


def lowest_bit(values: Array) -> int | None:
    """Return the largest ``n`` with all values multiples of 2**n; None if one is not finite.

    Zeros are multiples of all; of zeros alone it is 0.

    >>> lowest_bit(np.array([0.0, 0.75, -6.0])), lowest_bit(np.array([np.inf]))
    (-2, None)
    """
    if not np.isfinite(values).all():
        return None
    values = values[values != 0]
    if not values.size:
        return 0
    fractions, exponents = np.frexp(np.asarray(values, np.float64))
    digits = np.ldexp(fractions, 53).astype(np.int64)
    lowest = np.frexp((digits & -digits).astype(np.float64))[1] - 1
    return int((exponents - 53 + lowest).min())


class ExactSums:
    """Bounds of sums over products with fixed weights.

    Args:
        weights: (outputs, ...); each output is a sum over the other axes.

    >>> sums = ExactSums(np.float64(np.float32([[0.1, 0.7]])))
    >>> sums.proven_for(np.array([1.0, 3.0])), sums.proven_for(np.array([1.0, 1e9]))
    (True, False)
    >>> ExactSums(np.array([[0.1, 0.7]])).proven_for(np.array([1.0, 3.0]))
    False
    """

    def __init__(self, weights: Array) -> None:
        """Find the lowest bit and the largest sum of the weights."""
        self._lowest = lowest_bit(weights)
        sums = np.abs(weights).reshape(len(weights), -1).sum(axis=1)
        self._largest = float(sums.max(initial=0.0))

    def proven_for(self, x: Array) -> bool:
        """Return whether the sums are exact in any order for inputs of the values in ``x``."""
        whole = bool((np.rint(x) == x).all())
        lowest = 0 if whole else lowest_bit(x)
        if self._lowest is None or lowest is None:
            return False
        largest = self._largest * max(float(x.max(initial=0.0)), -float(x.min(initial=0.0)))
        lowest += self._lowest
        return lowest > SMALLEST and largest < 2.0 ** (BITS + lowest)
