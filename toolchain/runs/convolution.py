"""Two-dimensional convolutions over any number of timesteps, in float64 and in bounded memory.

Sums that :mod:`.exact` proves exact are computed from the pixels that are not zero: one product of
all channels of a pixel with the weights of each tap, added where the tap leads. All others are
products of windows with weights, whose order of addition is that of the library of linear algebra.
Both give the same bits wherever the proof holds.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import gcd, prod
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from toolchain.arrays import Array, Shape
from toolchain.ir import Conv2d
from toolchain.runs.bounded import ALIGNED, MOST_VALUES, aligned_parts
from toolchain.runs.exact import ExactSums

__all__ = ["convolve", "windows_of"]

AddProducts: TypeAlias = Callable[[int, int, Array], None]
"""Adds products (pixels, outputs) to the sums, so many rows and columns from each pixel."""

LEAST = 2**16
"""Products of windows and weights from which pixels are looked at: fewer cost less than that."""
AT_ONCE = 2**18
"""Values of one part of the sums: 2 MB, which the caches hold."""
DENSE = 0.3
"""Share of pixels that are not zero, above which all are multiplied."""


def convolve(node: Conv2d, x: Array, silence: tuple[int, int] = (0, 0)) -> Array:
    """Return the convolution of ``x`` (batch, time, channels, height, width).

    Args:
        node: the convolution.
        x: inputs.
        silence: numbers of frames (timesteps of a sample) that are silent, before and behind those
            of ``x``. They are left out of the result, but give each sum the place in the order of
            additions that it has in the product of more frames.
    """
    batch, time, _, *size = x.shape
    frames = x.reshape(batch * time, *x.shape[2:])
    height, width = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(
            size, node.padding, node.dilation, node.weight.shape[2:], node.stride, strict=True
        )
    )
    channels = len(node.weight) // node.groups
    y = np.empty((len(frames), len(node.weight), height, width))
    inputs = np.split(frames, node.groups, axis=1)
    for n, (part, weight) in enumerate(
        zip(inputs, np.split(node.weight, node.groups), strict=True)
    ):
        _sums(node, part, weight, y[:, n * channels : (n + 1) * channels], silence)
    if node.bias is not None:
        y += node.bias[:, None, None]
    return y.reshape(batch, time, *y.shape[1:])


def _sums(node: Conv2d, x: Array, weight: Array, y: Array, silence: tuple[int, int]) -> None:
    """Compute the sums of one group of channels into ``y`` (frames, outputs, height, width)."""
    taps = prod(weight.shape[1:])
    # a single weight is no sum
    if taps == 1 or y.size * taps < LEAST or not _by_pixels(node, x, weight, y):
        _by_windows(node, x, weight, y, silence)


# ---- sums in the order of the library ----


def windows_of(x: Array, kernel: Shape, stride: Shape, dilation: Shape = (1, 1)) -> Array:
    """Return a view (..., out_y, out_x, kernel_y, kernel_x) of maps (..., y, x)."""
    span = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    views = sliding_window_view(x, span, axis=(-2, -1))
    return views[..., :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def _by_windows(node: Conv2d, x: Array, weight: Array, y: Array, silence: tuple[int, int]) -> None:
    (py, px), (before, behind) = node.padding, silence
    rows = prod(y.shape[2:])
    if rows % ALIGNED == 0:
        before = behind = 0
    most = MOST_VALUES // max(1, prod(weight.shape[1:]) * rows)
    frames = before + len(x) + behind
    for at in aligned_parts(frames, most, ALIGNED // gcd(ALIGNED, rows)):
        first, stop = max(at.start - before, 0), min(at.stop - before, len(x))
        if stop <= first:
            continue
        ends = first + before - at.start, at.stop - before - stop
        padded = np.pad(x[first:stop], [ends, (0, 0), (py, py), (px, px)])
        windows = windows_of(padded, weight.shape[2:], node.stride, node.dilation)
        sums = np.einsum("bcyxkl,ockl->boyx", windows, weight, optimize=True)
        y[first:stop] = sums[ends[0] : ends[0] + stop - first]


# ---- exact sums in the order of the pixels ----


def _by_pixels(node: Conv2d, x: Array, weight: Array, y: Array) -> bool:
    """Compute exact sums; return False if they are not proven exact."""
    scatter = _Scatter(node, weight, x.shape[2:], y.shape[2:])
    size = max(1, AT_ONCE // max(1, scatter.size))
    for start in range(0, len(x), size):
        at = slice(start, start + size)
        sums = scatter.sums(x[at])
        if sums is None:
            return False
        y[at] = sums
    return True


class _Scatter:
    """Sums of one group of channels, from the pixels of maps to the sums that they are part of.

    The sums have a margin, so that each tap leads every pixel into the map or its margin, and all
    pixels of one class (row and column modulo the stride) by the same distance.
    """

    def __init__(self, node: Conv2d, weight: Array, maps: Shape, sums: Shape) -> None:
        self.stride, self.maps, self.sums_shape = node.stride, maps, sums
        self.outputs = len(weight)
        self.taps = [
            [
                (k, (rest + p - d * k) // s, rest)
                for rest, k in product(range(s), range(size))
                if (rest + p - d * k) % s == 0
            ]
            for size, s, p, d in zip(
                weight.shape[2:], node.stride, node.padding, node.dilation, strict=True
            )
        ]
        self.margin = [max(0, -min((off for _, off, _ in taps), default=0)) for taps in self.taps]
        self.padded = [
            max(n, (size - 1) // s + 1 + max((off for _, off, _ in taps), default=0)) + margin
            for n, size, s, taps, margin in zip(
                sums, maps, node.stride, self.taps, self.margin, strict=True
            )
        ]
        self.taps = [
            [(k, off + margin, rest) for k, off, rest in taps]
            for taps, margin in zip(self.taps, self.margin, strict=True)
        ]
        self.size = prod(self.padded) * self.outputs
        self.exact = ExactSums(weight)
        self.weights = np.ascontiguousarray(weight.transpose(2, 3, 1, 0))

    def sums(self, x: Array) -> Array | None:
        """Return the sums (frames, outputs, height, width) of maps (frames, channels, y, x).

        None if they are not proven exact.
        """
        active = (x != 0).any(axis=1)
        padded = np.zeros((len(x), *self.padded, self.outputs))
        dense = np.count_nonzero(active) > DENSE * active.size
        for rest_y, rest_x in product(*map(range, self.stride)):
            own = (..., slice(rest_y, None, self.stride[0]), slice(rest_x, None, self.stride[1]))
            values, add = (_all if dense else _active)(padded, x[own], active[own])
            if not self.exact.proven_for(values):
                return None
            for (k, y, own_y), (m, left, own_x) in product(*self.taps):
                if (own_y, own_x) == (rest_y, rest_x):
                    add(y, left, values @ self.weights[k, m])
        top, left = self.margin
        height, width = self.sums_shape
        return padded[:, top : top + height, left : left + width].transpose(0, 3, 1, 2)


def _all(padded: Array, x: Array, active: Array) -> tuple[Array, AddProducts]:
    """Return the channels of every pixel (pixels, channels), and what adds products to sums."""
    frames, height, width = active.shape
    values = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).reshape(-1, x.shape[1])

    def add(top: int, left: int, products: Array) -> None:
        maps = products.reshape(frames, height, width, products.shape[1])
        padded[:, top : top + height, left : left + width] += maps

    return values, add


def _active(padded: Array, x: Array, active: Array) -> tuple[Array, AddProducts]:
    """Do the same for the pixels that are not zero."""
    height, width = active.shape[1:]
    frames, places = np.divmod(np.flatnonzero(active), height * width)
    rows, columns = np.divmod(places, width)
    first = (frames * padded.shape[1] + rows) * padded.shape[2] + columns
    flat = padded.reshape(-1, padded.shape[3])
    # numpy moves whole rows faster as single items
    items = flat.view(np.dtype((np.void, flat.itemsize * flat.shape[1])))[:, 0]

    def add(top: int, left: int, products: Array) -> None:
        at = first + (top * padded.shape[2] + left)
        # one tap leads no two pixels to the same sum
        products += flat.take(at, axis=0)
        items[at] = products.view(items.dtype)[:, 0]

    return x.transpose(0, 2, 3, 1)[frames, rows, columns], add
