"""Vector arithmetic of the Xylo core: saturating 16-bit sums, leak and firing of 32 neurons.

Vectors are those of :mod:`toolchain.chips.compiled.lanes`, int16. Sums with limits come as a pair:
the sum, and -1 in the lanes where a limit cut it, else 0.
"""

from __future__ import annotations

from typing import Any

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import inline

__all__ = ["add", "add_times", "change_v2", "fire", "integrate_v1", "leak"]


@inline
def add(a: Any, b: Any) -> tuple[Any, Any]:
    """Return ``a + b``, saturated."""
    total = lanes.add_saturating(a, b)
    return total, lanes.not_equal(total, lanes.add(a, b))


@inline
def _limited(wide: Any) -> tuple[Any, Any]:
    """Saturate a 32-bit sum to 16 bits."""
    total = lanes.maximum(lanes.minimum(wide, 32767), -32768)
    return lanes.narrow(total), lanes.narrow(lanes.not_equal(total, wide))


@inline
def add_times(a: Any, b: Any, times: int) -> tuple[Any, Any]:
    """Return ``a + times * b``, saturated; ``times`` has at most 16 bits.

    Repeated saturating additions of ``b`` end at the same value, because all have the same sign.
    """
    return _limited(lanes.add(lanes.widen(a), lanes.multiply(lanes.widen(b), times)))


@inline
def _add_three(a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    """Return ``a + b + c``, saturated once."""
    return _limited(lanes.add(lanes.add(lanes.widen(a), lanes.widen(b)), lanes.widen(c)))


@inline
def leak(state: Any, dash: Any) -> Any:
    """Return ``state >> dash``, but 1 where that is 0 and the state is above 0; dash in 0..15.

    The shift rounds down, so that no state below 0 shifts to 0.
    """
    lost = lanes.shift_right(state, dash)
    return lanes.subtract(lost, lanes.both(lanes.equal(lost, 0), lanes.greater(state, 0)))


@inline
def integrate_v1(v: Any, lost: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """Return the membrane of core v1 after leak and all currents at once."""
    return _add_three(lanes.subtract(v, lost), first, second)


@inline
def change_v2(lost: Any, first: Any, second: Any, two: bool) -> tuple[Any, Any]:
    """Return the change of the membrane of core v2 before the bias."""
    # wraps at -32768 with dash 0, as the core does
    negative = lanes.subtract(lanes.zeros(lost), lost)
    if two:
        return _add_three(negative, first, second)
    return add(negative, first)


@inline
def fire(v: Any, threshold: Any, over: Any, cap: int) -> tuple[Any, Any]:
    """Return membranes after reset and spike counts, for the lanes ``over`` threshold."""
    number = lanes.zeros(v)
    for _ in range(cap):
        number = lanes.subtract(number, over)
        v = lanes.subtract(v, lanes.both(threshold, over))
        # a membrane that was once below its threshold fires no more in this step
        over = lanes.both(over, lanes.at_least(v, threshold))
        if lanes.nonzero(over) == 0:
            break
    return v, number
