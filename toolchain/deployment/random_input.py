"""Activity of a network on a chip under random input of a given rate, without recorded spikes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from toolchain.arrays import Array, has_masked
from toolchain.chips.contract import Family
from toolchain.ir import Graph
from toolchain.report import count, plural, short
from toolchain.runs import Activity
from toolchain.runs.activity import mean_activity, step_length

__all__ = ["activity_under"]

SAMPLES = 8
MOST_AT_ONCE = 2**27
"""Counts that one sample may have: 1 GiB."""
AT_ONCE = 2**22
"""Counts that are drawn and simulated at a time, if one sample has no more."""


def activity_under(
    run: Callable[[Array], Activity],
    family: Family,
    graph: Graph,
    rate: Any,
    steps: Any,
    seed: Any,
) -> tuple[Activity, str]:
    """Simulate Poisson input and return its mean activity, with a sentence on what was simulated.

    Args:
        run: simulates counts (batch, time, *input shape) on the chip and returns their activity.
        family: of the chip, for its limit of input spikes.
        graph: the network, for the shape of its input and the length of a timestep.
        rate: spike/s of a channel: one number, one of each channel (the first axis of the input),
            or one of each input of the network.
        steps: timesteps of one sample.
        seed: of the random numbers; the same seed gives the same spikes.

    Raises:
        ValueError: rates of another shape, that are no numbers >= 0, or that exceed what the chip
            takes in a step; no steps, or no dt.
    """
    shape, dt = graph.shape(graph.input), step_length(graph.dt)
    for name, number, least in (("steps", steps, 1), ("seed", seed, 0)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
            raise ValueError(f"{name} must be a whole number >= {least}, got {number!r}")
    if (most_steps := MOST_AT_ONCE // prod(shape)) < steps:
        raise ValueError(f"steps must be at most {most_steps} of {prod(shape)} inputs, got {steps}")
    means = _rates(rate, shape) * dt
    limit = family.input_limit()
    most = None if limit is None else int(limit.value)
    if most is not None and means.max(initial=0.0) > most:
        raise ValueError(
            f"input_rate {means.max() / dt:g} Hz is {means.max():g} spikes in a step of {dt:g} s, "
            f"{family.chip.name} takes at most {most}: give at most {most / dt:g} Hz, or deploy "
            "with a shorter timestep"
        )
    parts, cut, drawn = [], 0, 0
    for counts in _drawn(means, shape, int(steps), int(seed)):
        if most is not None:
            cut += int((counts > most).sum())
            np.minimum(counts, most, out=counts)
        drawn += counts.size
        parts.append((run(counts), len(counts)))
    found = mean_activity(parts)
    assert found is not None
    text = (
        f"simulated: Poisson input of {_described(means / dt)} Hz a channel, "
        f"{plural(SAMPLES, 'sample')}, seed {seed}"
    )
    if cut:
        text += f"; {count(cut)} of {count(drawn)} counts cut to {most} spikes a step"
    return found, text


def _rates(rate: Any, shape: tuple[int, ...]) -> Array:
    """Return the rate of each input, in the shape of the input."""
    try:
        given = np.asarray(rate, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        given = np.array(np.nan)
    if (
        isinstance(rate, str | bytes | bool)
        or has_masked(rate)
        or not np.all((given >= 0) & (given < np.inf))
    ):
        raise ValueError(f"input_rate must be spike/s of a channel, numbers >= 0, got {rate!r:.80}")
    if given.shape == shape[:1]:
        given = given.reshape(-1, *(1 for _ in shape[1:]))
    if given.ndim and given.shape != shape and given.shape != (shape[0], *(1 for _ in shape[1:])):
        raise ValueError(
            f"input_rate must be one number, {plural(shape[0], 'number')} or have the shape "
            f"{shape} of the input, got shape {np.shape(rate)}"
        )
    return np.asarray(np.broadcast_to(given, shape))


def _drawn(means: Array, shape: tuple[int, ...], steps: int, seed: int) -> Iterator[Array]:
    """Yield all samples, (batch, steps, *shape), as many at a time as memory allows."""
    rng = np.random.default_rng(seed)
    at_once = max(1, min(SAMPLES, AT_ONCE // max(1, steps * prod(shape))))
    for first in range(0, SAMPLES, at_once):
        yield rng.poisson(means, (min(at_once, SAMPLES - first), steps, *shape))


def _described(rates: Array) -> str:
    low, high = float(rates.min()), float(rates.max())
    return short(low, 4) if low == high else f"{short(low, 4)} to {short(high, 4)}"
