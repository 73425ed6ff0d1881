"""Linear least squares with intervals; constants that cannot be determined are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from toolchain.arrays import Array

__all__ = ["Fit", "least_squares", "refuse_negative"]

COLLINEAR = 1e-8
"""Singular values below this part of the largest mean that constants cannot be separated."""

T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t, two-sided 95 %, for 1 to 30 degrees of freedom; beyond, the last is a bound."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Result of a fit.

    Attributes:
        values: of the constants.
        covariance: of the constants, (constants, constants).
        quantile: half the width of a 95 % interval, in standard deviations.
    """

    values: Array
    covariance: Array
    quantile: float

    @property
    def half(self) -> Array:
        """Half the width of the 95 % interval of each constant."""
        return np.asarray(self.quantile * np.sqrt(np.diag(self.covariance)))


def least_squares(matrix: Array, rest: Array, names: Sequence[str]) -> Fit:
    """Return the constants ``names`` with which ``matrix`` times them is closest to ``rest``.

    Raises:
        ValueError: constants that do not affect any reading, or cannot be separated.
    """
    scale = np.linalg.norm(matrix, axis=0)
    if empty := [name for name, size in zip(names, scale, strict=True) if not size]:
        raise ValueError(f"no reading depends on {', '.join(empty)}")
    _, sizes, directions = np.linalg.svd(matrix / scale, full_matrices=False)
    if sizes[-1] < COLLINEAR * sizes[0]:
        weak = np.abs(directions[sizes < COLLINEAR * sizes[0]]).max(axis=0) > 0.01
        alike = [name for name, part in zip(names, weak, strict=True) if part]
        raise ValueError(
            f"the readings cannot separate {', '.join(alike)}: vary the clock or the activity"
        )
    scaled, *_ = np.linalg.lstsq(matrix / scale, rest, rcond=None)
    values = scaled / scale
    left = rest - matrix @ values
    freedom = len(rest) - len(names)
    inverse = (directions.T / sizes**2) @ directions
    covariance = float(left @ left) / freedom * inverse / np.outer(scale, scale)
    return Fit(values, covariance, T_95[min(freedom, len(T_95)) - 1])


def refuse_negative(names: Sequence[str], values: Array, half: Array) -> None:
    """Check that no price is below 0.

    Raises:
        ValueError: prices below 0, each by name.
    """
    wrong = [
        f"{name} = {value:.4g} ± {width:.2g}"
        for name, value, width in zip(names, values, half, strict=True)
        if not (value >= 0 and isfinite(width))
    ]
    if wrong:
        raise ValueError(
            f"fitted prices are below 0: {', '.join(wrong)}; the readings are of several states, "
            "or too few to separate these constants"
        )
