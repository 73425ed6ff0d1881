"""Nodes that move, copy or omit features, from the index of the source of each.

A source index is an array with the shape of the features afterwards; each entry is the position,
in C order, of the feature that it comes from, or ``ZERO``.
"""

from __future__ import annotations

from itertools import permutations
from math import prod

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks.adapter import UnsupportedError
from toolchain.ir import Conv2d, ConvTranspose2d, Flatten, Linear, Node, Pad, Permute, Reshape

__all__ = ["LARGEST_MATRIX", "ZERO", "check_size", "feature_moves", "is_reshape", "reshaped"]

ZERO = -1
LARGEST_MATRIX = 2**24
"""Entries of the largest dense matrix that stands for an operation without a node of its own."""


def feature_moves(index: Array, features: Shape) -> list[Node]:
    """Return the nodes that give ``features`` the order of a source index; none if it is the same.

    Raises:
        UnsupportedError: only a matrix that is too large does.
    """
    wanted = index.shape
    if not wanted:
        raise UnsupportedError("leaves no axis of features; keep one, such as with keepdim=True")
    source = np.arange(prod(features)).reshape(features)
    return (
        _boxed(index, source)
        or _permuted(index, source)
        or _sampled(index, features)
        or _matrix(index, features)
    )


def is_reshape(index: Array, features: Shape) -> bool:
    """Return True if every feature is there once, in the same order."""
    return index.size == prod(features) and bool((index.ravel() == np.arange(index.size)).all())


def reshaped(features: Shape, wanted: Shape) -> list[Node]:
    """Return the node from axes ``features`` to ``wanted``; none if they are the same."""
    if features == wanted:
        return []
    return [Flatten() if len(wanted) == 1 else Reshape(shape=wanted)]


def check_size(outputs: int, inputs: int) -> None:
    """Check the size of a dense matrix.

    Raises:
        UnsupportedError: it has more than LARGEST_MATRIX entries.
    """
    if outputs * inputs > LARGEST_MATRIX:
        raise UnsupportedError(
            f"needs a matrix of {outputs} x {inputs}, more than {LARGEST_MATRIX} entries; use "
            "convolutions, pools or nn.Linear on fewer features"
        )


def _box(positions: Array) -> tuple[slice, ...]:
    """Return the smallest box that holds ``positions``, (axes, number)."""
    return tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in positions)


def _boxed(index: Array, source: Array) -> list[Node]:
    """Return a crop, a reshape and zero padding; none if the index is something else."""
    used = np.asarray(np.nonzero(index != ZERO))
    if not used.size:
        return []
    out = _box(used)
    inner = _box(np.asarray(np.unravel_index(index[tuple(used)], source.shape)))
    part, kept = index[out], source[inner]
    if part.size != kept.size or (part.ravel() != kept.ravel()).any():
        return []
    nodes = [
        *_pad([(-s.start, s.stop - n) for s, n in zip(inner, source.shape, strict=True)]),
        *reshaped(kept.shape, part.shape),
        *_pad([(s.start, n - s.stop) for s, n in zip(out, index.shape, strict=True)]),
    ]
    return nodes or [Reshape(shape=index.shape)]


def _pad(ends: list[tuple[int, int]]) -> list[Node]:
    before, after = zip(*ends, strict=True)
    return [Pad(before=before, after=after)] if any(before) or any(after) else []


def _permuted(index: Array, source: Array) -> list[Node]:
    """Return a permutation of axes and a reshape; none if the index is something else."""
    if index.size != source.size or source.ndim > 4:
        return []
    for axes in permutations(range(source.ndim)):
        moved = source.transpose(axes)
        if (moved.ravel() == index.ravel()).all():
            return [Permute(axes=axes), *reshaped(moved.shape, index.shape)]
    return []


def _sampled(index: Array, features: Shape) -> list[Node]:
    """Return a selection of channels, of every n-th row and column, or copies of each.

    None if the index is something else.
    """
    if len(features) != 3 or index.ndim != 3 or (index == ZERO).any():
        return []
    channels, rows, columns = (
        np.unravel_index(line, features)[axis]
        for axis, line in enumerate((index[:, 0, 0], index[0, :, 0], index[0, 0, :]))
    )
    grid = np.ravel_multi_index(np.ix_(channels, rows, columns), features)
    if (grid != index).any():
        return []
    steps = [_step(line) for line in (rows, columns)]
    copies = [_copies(line, n) for line, n in zip((rows, columns), features[1:], strict=True)]
    weight = np.zeros((len(channels), features[0], 1, 1))
    weight[np.arange(len(channels)), channels] = 1
    if all(steps):
        ends = [
            _ends(line, step, n)
            for line, step, n in zip((rows, columns), steps, features[1:], strict=True)
        ]
        return [*_pad([(0, 0), *ends]), Conv2d(weight=weight, stride=(steps[0], steps[1]))]
    if all(copies):
        spread = weight.transpose(1, 0, 2, 3) * np.ones((copies[0], copies[1]))
        return [ConvTranspose2d(weight=spread, stride=(copies[0], copies[1]))]
    return []


def _ends(line: Array, step: int, size: int) -> tuple[int, int]:
    """Return the crop after which every ``step``-th position from the first is in ``line``."""
    first = int(line[0])
    reached = (size - first - 1) // step + 1
    return -first, 0 if reached == len(line) else int(line[-1]) + 1 - size


def _step(line: Array) -> int:
    """Return the distance of evenly spaced positions, or 0."""
    if len(line) == 1:
        return 1
    step = int(line[1] - line[0])
    return step if step > 0 and (np.diff(line) == step).all() else 0


def _copies(line: Array, size: int) -> int:
    """Return the number of times that every position is repeated in turn, or 0."""
    times, rest = divmod(len(line), size)
    return times if not rest and (line == np.repeat(np.arange(size), times)).all() else 0


def _matrix(index: Array, features: Shape) -> list[Node]:
    """Return the matrix of a selection, between reshapes."""
    check_size(index.size, prod(features))
    used = np.flatnonzero(index.ravel() != ZERO)
    weight = np.zeros((index.size, prod(features)))
    weight[used, index.ravel()[used]] = 1
    flat = (index.size,)
    return [
        *reshaped(features, (prod(features),)),
        Linear(weight=weight),
        *reshaped(flat, index.shape),
    ]
