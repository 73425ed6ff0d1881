r"""Joint rounding of weights, so that the summed input of a neuron has the least error.

Rounding each weight to its nearest integer is best where inputs are independent and have mean 0.
But spikes are counts, which add up until a neuron fires. The relevant error is that of the sums
within a window of time,

.. math:: \bigl\langle (\textstyle\sum_j e_j n_j)^2 \bigr\rangle = e^T M e, \quad
    M_{jk} = \langle n_j n_k \rangle

with :math:`e_j` the error of weight j and :math:`n_j` the spikes of its input within a window.
Rounding a weight the other way costs little by itself and compensates the errors of others that
are active in the same windows.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from toolchain.arrays import Array
from toolchain.chips.speck.quantize.map_events import geometry_of, map_events, scratch
from toolchain.ir import Conv2d

__all__ = ["MOST_TAPS", "moments", "round_jointly"]

WINDOWS = 16
"""Number of windows of a sample. A choice: on the N-MNIST network 4 to 80 windows of a sample gave
nearly the same agreement, single steps and whole samples a lower one."""
RIDGE = 0.05
"""Relative increase of the diagonal of ``M``: other data have other moments."""
MOST_TAPS = 1024
"""Largest kernel (inputs times its area) whose moments are computed; larger ones are rounded
weight by weight."""
FEW = 0.2
"""Mean part of a kernel's inputs that differ from 0 up to which these alone are multiplied."""
SWEEPS = 4
"""Number of passes over the weights; most layers converge after two."""


def moments(conv: Conv2d, arriving: Array) -> Array:
    """Return ``M`` of the module for each group, (groups, taps, taps).

    Taps are in the order of a kernel, the bias last.

    Args:
        conv: the layer; its weights are not used.
        arriving: spikes (batch, time, channels, y, x).
    """
    taps = prod(conv.weight.shape[1:]) + (conv.bias is not None)
    # sums of whole numbers: exact in any order
    dense, sparse = np.zeros((2, conv.groups, taps, taps))
    length = max(1, -(-arriving.shape[1] // WINDOWS))
    starts = range(0, arriving.shape[1], length)
    for sample in arriving:
        for start in starts:
            window = sample[start : start + length]
            counts = np.split(window.sum(axis=0, dtype=np.int64), conv.groups)
            for group, own in enumerate(counts):
                if _few(conv, own):
                    _add_products(conv, own, len(window), sparse[group])
                    continue
                seen = _tap_inputs(conv, own, len(window))
                dense[group] += seen.T @ seen
    total = dense + _in_kernel_order(conv, sparse)
    tap = np.arange(taps)
    total[:, tap, tap] *= 1 + RIDGE
    return np.asarray(total)


def _few(conv: Conv2d, counts: Array) -> bool:
    """Return whether so few counts differ from 0 that products of these alone are faster."""
    seen = np.count_nonzero(counts) * prod(conv.weight.shape[2:])
    return bool(seen < FEW * prod(counts.shape[1:]) * prod(conv.weight.shape[1:]))


def _add_products(conv: Conv2d, counts: Array, steps: int, products: Array) -> None:
    """Add the products of the counts of pairs of taps over all positions, up to the diagonal."""
    from toolchain.chips.speck.quantize import kernel

    geometry = geometry_of(conv, (1, *counts.shape))
    constant = 0 if conv.bias is None else steps
    kernel.add_products(map_events(counts[None]), geometry, constant, scratch(conv, 0), products)


def _in_kernel_order(conv: Conv2d, products: Array) -> Array:
    """Return whole matrices of taps [channel][y][x] for those of [y][x][channel]."""
    whole = products + np.tril(products, -1).swapaxes(1, 2)
    channels, *sides = conv.weight.shape[1:]
    order = np.arange(products.shape[1])
    taps = channels * prod(sides)
    order[:taps] = order[:taps].reshape(*sides, channels).transpose(2, 0, 1).ravel()
    return np.asarray(whole[:, order[:, None], order])


def _tap_inputs(conv: Conv2d, counts: Array, steps: int) -> Array:
    """Return the factor of each tap of a group at each position, (positions, taps), float64."""
    (py, px), (sy, sx), (dy, dx) = conv.padding, conv.stride, conv.dilation
    padded = np.pad(counts.astype(np.float64), [(0, 0), (py, py), (px, px)])
    span = tuple(d * (k - 1) + 1 for d, k in zip((dy, dx), conv.weight.shape[2:], strict=True))
    views = sliding_window_view(padded, span, axis=(1, 2))[:, ::sy, ::sx, ::dy, ::dx]
    seen = views.transpose(1, 2, 0, 3, 4).reshape(-1, int(np.prod(conv.weight.shape[1:])))
    if conv.bias is None:
        return seen
    return np.append(seen, np.full((len(seen), 1), float(steps)), axis=1)


def round_jointly(
    conv: Conv2d, scale: float, m: Array, *, weight: int, bias: int
) -> tuple[Array, Array | None]:
    """Round weights and biases of ``conv`` times ``scale``, each to one of its two neighbours.

    Args:
        conv: the float layer.
        scale: integer steps a unit.
        m: its ``moments``.
        weight, bias: largest magnitudes of the words; larger values are clipped.
    """
    wanted = scale * conv.weight.reshape(len(conv.weight), -1)
    top = np.full(m.shape[-1], weight)
    if conv.bias is not None:
        wanted = np.append(wanted, scale * conv.bias[:, None], axis=1)
        top[-1] = bias
    rounded = np.clip(np.rint(wanted), -top, top)
    groups = zip(np.split(rounded, conv.groups), np.split(wanted, conv.groups), m, strict=True)
    for own, target, moment in groups:  # views: _descend changes each group of rows in place
        _descend(own, target, top, moment)
    rounded = rounded.astype(np.int64)
    if conv.bias is None:
        return rounded.reshape(conv.weight.shape), None
    return rounded[:, :-1].reshape(conv.weight.shape), rounded[:, -1]


def _descend(rounded: Array, wanted: Array, top: Array, m: Array) -> None:
    """Change entries of ``rounded`` by one while the squared error of their row decreases."""
    # numba takes a third of a second to import; a refusal needs none of it
    from toolchain.chips.speck.quantize import kernel

    error, own = rounded - wanted, np.diag(m).copy()
    order = np.argsort(-own, kind="stable")
    kernel.descend(
        rounded, error, error @ m, own, top.astype(float), m, order[own[order] > 0], SWEEPS
    )
