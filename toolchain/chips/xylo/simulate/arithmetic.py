"""Arithmetic of the Xylo core on vectors: 32 neurons of a sample, or one neuron of 32 samples.

All values are 16-bit lanes, or numbers for all lanes. Sums with limits come with a count of the
additions that a limit cut.
"""

from __future__ import annotations

from typing import Any

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.cache import paste
from toolchain.chips.compiled.fused import Lanes, fused

__all__ = ["add_times", "fire_again", "fire_more", "near_limit", "update"]

LOW, HIGH = -32768, 32767


@fused(results=8)
def update(
    first: Lanes,
    second: Lanes,
    v: Lanes,
    dash_syn: Lanes,
    dash_syn_2: Lanes,
    dash_mem: Lanes,
    bias: Lanes,
    threshold: Lanes,
    two: Lanes | None,
    first_core: Lanes | None,
) -> tuple[Lanes, ...]:
    """Decay and integrate, and fire once where the threshold is reached.

    Args:
        first: currents of the first synapse.
        second: currents of the second one; not used where ``two`` is None.
        v: membranes.
        dash_syn, dash_syn_2, dash_mem: decays, 0..15.
        bias: added each step; not used where ``first_core`` is given.
        threshold: of the membranes.
        two: None for one synapse.
        first_core: None for core v2.

    Returns:
        Both currents, the membranes before and after the spike, the number of spikes, -1 in the
        lanes that fire again, a value that is not 0 where a state changed, the number of cut
        additions.
    """
    lost = _leak(first, dash_syn)
    first, moved = first - lost, lost
    if two is not None:
        lost = _leak(second, dash_syn_2)
        second, moved = second - lost, moved | lost
    currents = (first,) if two is None else (first, second)
    if first_core is not None:
        v, cut = _sum_wide(v - _leak(v, dash_mem), *currents)
    else:
        # wraps at -32768 with dash 0, as the core does
        leaked = -_leak(v, dash_mem)
        change, cut = _sum(leaked, first) if two is None else _sum_wide(leaked, *currents)
        change, again = _sum(change, bias)
        v, last = _sum(v, change)
        moved, cut = moved | change, cut + again + last
    over = v >= threshold
    left = v - (threshold & over)
    return first, second, v, left, -over, over & (left >= threshold), moved, cut


@paste
def fire_more(v: Any, threshold: Any, number: Any, over: Any, cap: int) -> tuple[Any, Any]:
    """Fire on in the lanes ``over``, up to ``cap`` spikes; return membranes and spikes."""
    for _ in range(1, cap):
        if lanes.nonzero(over) == 0:
            break
        v, number, over = fire_again(v, threshold, number, over)
    return v, number


@fused(results=3)
def fire_again(
    v: Lanes, threshold: Lanes, number: Lanes, over: Lanes
) -> tuple[Lanes, Lanes, Lanes]:
    """Fire once more in the lanes ``over``; return membranes, spikes and lanes that fire again.

    A membrane that was once below its threshold fires no more in this step.
    """
    left = v - (threshold & over)
    return left, number - over, over & (left >= threshold)


@fused(results=2)
def add_times(state: Lanes, weight: Lanes, times: Lanes) -> tuple[Lanes, Lanes]:
    """Return ``state + times * weight`` saturated, and 1 where a limit cut it.

    Repeated saturating additions of a weight end at the same value, because all have the same sign.
    """
    return _limited(state.widen() + weight.widen() * times.widen())


@fused(results=1)
def near_limit(state: Lanes, distance: Lanes) -> Lanes:
    """Return -1 in the lanes that additions of ``distance`` in total could move past a limit."""
    return (state > -distance + HIGH) | (distance + LOW > state)


def _leak(state: Lanes, dash: Lanes) -> Lanes:
    """Return ``state >> dash``, but 1 where that is 0 and the state is above 0.

    The shift rounds down, so that no state below 0 shifts to 0.
    """
    lost = state >> dash
    return lost - ((lost == 0) & (state > 0))


def _sum(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """Return ``a + b`` limited to 16 bits, and 1 where a limit cut it."""
    total = a.saturating_add(b)
    return total, -(total != a + b)


def _sum_wide(first: Lanes, *others: Lanes) -> tuple[Lanes, Lanes]:
    """Return a sum limited once, and 1 where a limit cut it."""
    total = first.widen()
    for other in others:
        total = total + other.widen()
    return _limited(total)


def _limited(wide: Lanes) -> tuple[Lanes, Lanes]:
    """Return 32-bit sums limited to 16 bits, and 1 where a limit cut them."""
    total = wide.clip(LOW, HIGH)
    return total.narrow(), -(total != wide).narrow()
