"""Compiled descent of joint rounding; see ``joint``."""

from __future__ import annotations

from toolchain.arrays import Array
from toolchain.chips.compiled.cache import compiled_bare

__all__ = ["descend"]

INLINED = "8b099864e389"
"""Digest of the other files that are compiled into this one; see ``cache``."""


@compiled_bare
def descend(
    rounded: Array,
    error: Array,
    slope: Array,
    own: Array,
    top: Array,
    m: Array,
    order: Array,
    sweeps: int,
) -> None:
    """Change entries of ``rounded`` by one while the squared error of their row decreases.

    Rows are independent of each other. All arrays are float64 but for ``order``, and contiguous;
    the first three are changed.

    Args:
        rounded: (rows, taps), whole numbers.
        error: (rows, taps), ``rounded`` minus the wanted values.
        slope: (rows, taps), ``error @ m``.
        own: (taps,), diagonal of ``m``.
        top: (taps,), largest magnitudes.
        m: (taps, taps).
        order: int64, the taps to try, in this order.
        sweeps: number of passes over the taps.
    """
    taps = m.shape[0]
    for r in range(rounded.shape[0]):
        for _ in range(sweeps):
            moved = False
            for j in order:
                move = -1.0 if slope[r, j] > 0 else 1.0
                if (
                    2 * move * slope[r, j] + own[j] < -1e-9 * own[j]
                    and abs(error[r, j] + move) < 1
                    and abs(rounded[r, j] + move) <= top[j]
                ):
                    rounded[r, j] += move
                    error[r, j] += move
                    for k in range(taps):
                        slope[r, k] += move * m[j, k]
                    moved = True
            if not moved:
                break
