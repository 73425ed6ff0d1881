"""Least squares of a neuron's membrane on the chip's decays: what its weights and bias should be.

Spikes are those of the trained network, its own too, so that the equations are linear. A step
counts the more the closer the trained membrane is to the threshold: there it matters for spikes.
All is in thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.quantize.decays import ChipDecays
from toolchain.chips.xylo.quantize.measure import PopulationTrace
from toolchain.chips.xylo.quantize.membranes import (
    bias_response,
    grouped,
    reset_response,
    responses,
)

__all__ = ["remainders", "solutions"]

WIDTHS = (0.25, 1.0)
"""Distances from the threshold, in thresholds, at which a step has a quarter of its weight."""
RIDGES = (1e-3, 1e-1)
"""Pull to the scaled weights, relative to the mean power of an input."""
RIDGE = 1e-2
"""That for ``remainders``."""
NEAREST, SPREAD = 1500, 500
"""Steps of a half that are used: the closest to the threshold, and some spread over the rest."""
MOST_BIAS = 0.3
"""Largest change of the resting membrane by a fitted bias, in thresholds."""


def solutions(
    trace: PopulationTrace,
    wanted: Array,
    decays: ChipDecays,
    start: Array,
    halves: list[Array],
    *,
    biases: bool,
) -> Array:
    """Return the unknowns on all samples and on each half, for each width and ridge.

    Args:
        trace: what a population receives, and its own spikes.
        wanted: (neurons, samples, time) trained membranes before resets.
        decays: the chip's.
        start: (neurons, unknowns) weights by synapse and source, and bias, to which solutions are
            drawn; those that are 0 stay 0, except the bias.
        halves: samples of each half.
        biases: whether biases may change.

    Returns:
        An array (widths times ridges, 3, neurons, unknowns).
    """
    free = _free(start, biases)
    moved = np.zeros((len(WIDTHS) * len(RIDGES), 3, *start.shape))
    for own, mem, inputs, targets in _equations(trace, wanted, decays):
        on_halves = [inputs[:, half].reshape(len(inputs), -1) for half in halves]
        for neuron, target in zip(own, targets, strict=True):
            sums = [
                _sums(some, target[half].ravel(), wanted[neuron, half].ravel(), start[neuron])
                for some, half in zip(on_halves, halves, strict=True)
            ]
            moved[:, :, neuron] = _solved(sums, free[neuron])
        bound = MOST_BIAS * (1 - mem)
        moved[:, :, own, -1] = moved[:, :, own, -1].clip(-bound, bound)
    return start + moved


def remainders(
    trace: PopulationTrace, wanted: Array, decays: ChipDecays, start: Array, *, biases: bool
) -> Array:
    """Return the mean square by which each membrane differs once it is fitted, (neurons,).

    Args:
        trace, wanted, decays, start, biases: as for ``solutions``.
    """
    free = _free(start, biases)
    found = np.zeros(len(start))
    for own, _, inputs, targets in _equations(trace, wanted, decays):
        flat = inputs.reshape(len(inputs), -1)
        for neuron, target in zip(own, targets, strict=True):
            away = np.abs(wanted[neuron].ravel() - 1)
            steps, share = _steps(away, NEAREST // 2, SPREAD // 2)
            weight = share * _weight(away[steps], WIDTHS[0])
            chosen = flat[:, steps]
            missing = target.ravel()[steps] - start[neuron] @ chosen
            weighted = chosen * weight
            change = _solution(weighted @ chosen.T, weighted @ missing, free[neuron], RIDGE)
            found[neuron] = weight @ (missing - change @ chosen) ** 2 / weight.sum()
    return found


def _free(start: Array, biases: bool) -> Array:
    """Return which unknowns may change."""
    free = start != 0
    free[:, -1] = biases
    return np.asarray(free)


def _weight(away: Array, width: float) -> Array:
    """Return the weight of steps by how far the membrane is from the threshold."""
    return np.asarray(1 / (1 + (away / width) ** 2) ** 2)


def _equations(
    trace: PopulationTrace, wanted: Array, decays: ChipDecays
) -> Iterator[tuple[Array, float, Array, Array]]:
    """Yield neurons of equal decays, that of the membrane, and what their equations share.

    The last two are the responses to each input and to a bias, (unknowns, samples, time), and for
    each neuron what they should add up to, (neurons, samples, time).
    """
    kept = 1 - 2.0 ** -np.column_stack([decays.dash_mem, decays.dash_syn])
    rows, group = grouped(kept[:, 0], kept[:, 1:])
    for n, (mem, *synapses) in enumerate(rows):
        constant = np.broadcast_to(bias_response(wanted.shape[2], mem), wanted.shape[1:])
        each = [responses(spikes, mem, syn) for syn in synapses for spikes in trace.spikes]
        own = np.flatnonzero(group == n)
        # all is in thresholds, so that a spike takes away 1
        targets = wanted[own] + reset_response(trace.own[own], mem)
        yield own, mem, np.concatenate([*each, constant[None]]), targets


def _sums(inputs: Array, target: Array, wanted: Array, start: Array) -> list[tuple[Array, Array]]:
    """Return the normal equations of a neuron for each width, of some steps.

    Args:
        inputs: (unknowns, steps) responses.
        target: (steps,) what they should add up to.
        wanted: (steps,) membrane, in thresholds.
        start: (unknowns,) from where the solution is counted.
    """
    away = np.abs(wanted - 1)
    steps, share = _steps(away, NEAREST, SPREAD)
    chosen = inputs[:, steps]
    missing = target[steps] - start @ chosen
    found = []
    for width in WIDTHS:
        weighted = chosen * (share * _weight(away[steps], width))
        found.append((weighted @ chosen.T, weighted @ missing))
    return found


def _steps(away: Array, nearest: int, spread: int) -> tuple[Array, Array]:
    """Return the steps that are used, and how many each of them stands for."""
    if away.size <= nearest + spread:
        return np.arange(away.size), np.ones(away.size)
    near = np.zeros(away.size, bool)
    near[np.argpartition(away, nearest)[:nearest]] = True
    far = np.flatnonzero(~near)
    some = far[np.linspace(0, far.size - 1, spread).astype(int)]
    share = np.repeat([1.0, far.size / spread], [nearest, spread])
    return np.concatenate([np.flatnonzero(near), some]), share


def _solved(sums: list[list[tuple[Array, Array]]], free: Array) -> Array:
    """Return the changes of a neuron's unknowns, (widths times ridges, 3, unknowns)."""
    changes = []
    first, second = sums
    for one, other in zip(first, second, strict=True):
        both = one[0] + other[0], one[1] + other[1]
        for ridge in RIDGES:
            found = [_solution(*each, free, ridge) for each in (both, one, other)]
            changes.append(found)
    return np.array(changes)


def _solution(matrix: Array, side: Array, free: Array, ridge: float) -> Array:
    """Return the change with the least squares; 0 where ``free`` is not set or nothing arrives."""
    power = matrix.diagonal()
    free = free & (power > 0)
    change = np.zeros(len(side))
    if not free.any():
        return change
    pull = np.full(len(side), power[:-1][free[:-1]].mean() if free[:-1].any() else 0.0)
    pull[-1] = power[-1]
    system = (matrix + np.diag(ridge * pull))[np.ix_(free, free)]
    change[free] = np.linalg.solve(system, side[free])
    return change
