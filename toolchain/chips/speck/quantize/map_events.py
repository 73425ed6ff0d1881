"""Events of a map in the order in which the quantizer's compiled loops read them."""

from __future__ import annotations

from itertools import chain
from math import prod

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.chips.speck.quantize.operands import MapEvents, MapGeometry, Scratch
from toolchain.ir import Conv2d

__all__ = ["geometry_of", "map_events", "scratch"]


def map_events(counts: Array) -> MapEvents:
    """Return the events of counts (steps, channels, y, x), of any integer type.

    >>> counts = np.zeros((1, 2, 1, 3), np.uint8)
    >>> counts[0, 1, 0, 2] = 7
    >>> events = map_events(counts)
    >>> events.starts.tolist(), events.keys.tolist(), events.counts.tolist()
    ([0, 0, 0, 1], [5], [7])
    """
    steps, channels, height, width = counts.shape
    flat = np.ascontiguousarray(counts.transpose(0, 2, 3, 1)).reshape(-1)
    found = np.flatnonzero(flat)
    starts = np.zeros(steps * height * width + 1, np.int64)
    np.cumsum(np.bincount(found // channels, minlength=len(starts) - 1), out=starts[1:])
    return MapEvents(starts, found % (width * channels), flat[found].astype(np.int64))


def geometry_of(conv: Conv2d, shape: Shape) -> MapGeometry:
    """Return the sizes of a group of a convolution on counts (steps, channels, y, x)."""
    steps, _, height, width = shape
    channels = conv.weight.shape[1]
    sizes = (
        (steps, channels, height, width),
        conv.output_shape((channels * conv.groups, height, width))[1:],
        conv.weight.shape[2:],
        conv.stride,
        conv.padding,
        conv.dilation,
    )
    return MapGeometry._make(chain.from_iterable(sizes))


def scratch(conv: Conv2d, size: int) -> Scratch:
    """Return what a run with ``size`` lanes overwrites."""
    taps = prod(conv.weight.shape[1:]) + 1  # one for a constant
    return Scratch(
        membranes=np.zeros(size, np.int16),
        fired=np.zeros(size, np.int32),
        rows=np.zeros(taps, np.int64),
        amounts=np.zeros(taps, np.int64),
        wide=np.zeros(0, np.int64),
    )
