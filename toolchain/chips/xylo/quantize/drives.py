"""Weights that restore the drive of each neuron where the chip has other decays, by least squares.

A decay that no bit shift gives changes the membrane of a neuron in a way that depends on the spikes
that arrive. On the spikes of the trained network both membranes are sums over what each weight
contributes, so that the weights and the bias with which the chip's is closest to the trained one
follow from linear equations. What matters is whether a neuron spikes: steps in which its membrane
is close to the threshold have the most weight. The trained weights, scaled for the new decays, are
what each solution is drawn to; weights that are 0 stay 0.

Each neuron has the choice between several solutions. They are computed on each half of the samples
and simulated on the other half; where none has spikes closer to the trained ones, the scaled
weights are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.quantize import measure
from toolchain.chips.xylo.quantize.decays import (
    FINE,
    RAIL,
    ChipDecays,
    candidates,
    combined,
    decay_groups,
)
from toolchain.chips.xylo.quantize.measure import PopulationTrace
from toolchain.chips.xylo.quantize.membranes import (
    bias_response,
    grouped,
    membranes,
    reset_response,
    responses,
)
from toolchain.chips.xylo.quantize.populations import FloatPopulation

__all__ = ["fit_drives"]

WIDTHS = (0.25, 1.0)
"""Distances from the threshold, in thresholds, at which a step has a quarter of its weight."""
RIDGES = (1e-3, 1e-1)
"""Pull to the scaled weights, relative to the mean power of an input."""
RIDGE = 1e-2
"""That while decays are compared."""
SCREENED = 64
"""Samples on which decays are compared."""
NEAREST, SPREAD = 1500, 500
"""Steps of a half that are used: the closest to the threshold, and some spread over the rest."""
DOUBT = 0.02
"""Least gain, as a fraction of a neuron's spikes, to prefer fitted weights."""
MOST_BIAS = 0.3
"""Largest change of the resting membrane by a fitted bias, in thresholds."""
MOST_WORK = 5e9
"""Neurons times the cube of their weights, at most."""
MOST_VALUES = 2e8
"""Inputs times steps times different decays, at most; fewer samples are used beyond."""


def fit_drives(
    population: FloatPopulation,
    trace: PopulationTrace,
    decays: ChipDecays,
    *,
    top: int,
    biases: bool,
) -> tuple[FloatPopulation, ChipDecays]:
    """Return the population with weights that are fitted to the chip's decays, and the decays.

    The decays are those that were chosen, or the ones whose membranes are closest once weights are
    fitted. Both are returned unchanged if there are fewer than two samples or too many weights.

    Args:
        population: the population.
        trace: what it receives, and its own spikes.
        decays: the decays that were chosen.
        top: largest decay of the chip.
        biases: whether the chip has biases.
    """
    inputs = sum(len(spikes) for spikes in trace.spikes) * population.alpha_syn.shape[1]
    groups = len(grouped(decays.dash_mem, decays.dash_syn)[0])
    samples, steps = trace.own.shape[1:]
    samples = min(samples, int(MOST_VALUES / (inputs * steps * groups)))
    if samples < 2 or population.neurons * inputs**3 > MOST_WORK:
        return population, decays
    trace = trace.part(samples)
    wanted = membranes(population, trace)
    best = _fitted(population, trace, wanted, decays, biases=biases)
    closest = _closest(population, trace, wanted, decays, top, biases=biases)
    if not _equal(closest, decays):
        other = _fitted(population, trace, wanted, closest, biases=biases)
        best = _better(best, other, *decay_groups(population))
    sources = tuple(
        replace(source, weight=weight)
        for source, weight in zip(population.sources, best.weights, strict=True)
    )
    return replace(population, sources=sources), best.decays


def _equal(one: ChipDecays, other: ChipDecays) -> bool:
    return np.array_equal(one.dash_mem, other.dash_mem) and np.array_equal(
        one.dash_syn, other.dash_syn
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """Fitted weights of each source (neurons, synapses, pre neurons), with their decays.

    ``score``: (neurons,) distance of the spikes on samples that were not used.
    """

    weights: list[Array]
    decays: ChipDecays
    score: Array


def _better(one: _Fit, other: _Fit, group: Array, number: int) -> _Fit:
    """Return the better one for each of ``number`` groups of neurons."""
    scores = np.zeros((2, number))
    for score, fit in zip(scores, (one, other), strict=True):
        np.add.at(score, group, fit.score)
    take = (scores[1] < scores[0])[group]
    return _Fit(
        weights=[
            np.where(take[:, None, None], two, first)
            for first, two in zip(one.weights, other.weights, strict=True)
        ],
        decays=combined(one.decays, other.decays, take),
        score=np.where(take, other.score, one.score),
    )


def _fitted(
    population: FloatPopulation,
    trace: PopulationTrace,
    wanted: Array,
    decays: ChipDecays,
    *,
    biases: bool,
) -> _Fit:
    """Return the best solution of each neuron."""
    start = _start(population, decays)
    halves = [np.flatnonzero(np.arange(wanted.shape[1]) % 2 == half) for half in (0, 1)]
    best, doubt = start.copy(), DOUBT * trace.wanted.sum(axis=(1, 2))
    least = _distance(population, trace, decays, start)[0] - doubt
    solutions = _solutions(population, trace, wanted, decays, start, halves, biases=biases)
    for on_all, *on_halves in solutions:
        found = np.zeros(population.neurons)
        for other, solution in zip(reversed(halves), on_halves, strict=True):
            found += _distance(population, trace.of(other), decays, solution)[0]
        better = found < least
        least = np.where(better, found, least)
        best[better] = on_all[better]
    _, peaks = _distance(population, trace, decays, best)
    weights, bias = _unpacked(population, decays, best)
    fitted = replace(decays, rows=np.ones_like(decays.rows), bias=bias, peaks=peaks)
    return _Fit(weights=weights, decays=fitted, score=least)


def _closest(
    population: FloatPopulation,
    trace: PopulationTrace,
    wanted: Array,
    decays: ChipDecays,
    top: int,
    *,
    biases: bool,
) -> ChipDecays:
    """Return the decays with which the fitted membranes are closest to the trained ones."""
    some = slice(SCREENED)
    trace, wanted = trace.of(some), wanted[:, some]
    group, number = decay_groups(population)
    least, best = np.full(number, np.inf), decays
    for tried in candidates(population, top):
        left = np.zeros(number)
        start = _start(population, tried)
        np.add.at(left, group, _left(population, trace, wanted, tried, start, biases=biases))
        best = combined(best, tried, (left < least)[group])
        least = np.minimum(left, least)
    return best


# ---- the unknowns of a neuron: its weights by synapse and source, and its bias, in thresholds ----


def _start(population: FloatPopulation, decays: ChipDecays) -> Array:
    """Return the scaled weights and the biases, (neurons, unknowns)."""
    columns = [
        source.weight[:, synapse] * decays.rows[:, synapse, None]
        for synapse in range(population.alpha_syn.shape[1])
        for source in population.sources
    ]
    return np.column_stack([*columns, decays.bias]) / decays.threshold[:, None]


def _unpacked(
    population: FloatPopulation, decays: ChipDecays, unknowns: Array
) -> tuple[list[Array], Array]:
    """Return the weights of each source, (neurons, synapses, pre neurons), and the biases."""
    values = unknowns * decays.threshold[:, None]
    parts = values[:, :-1].reshape(population.neurons, population.alpha_syn.shape[1], -1)
    ends = np.cumsum([source.weight.shape[2] for source in population.sources])
    return np.split(parts, ends[:-1], axis=2), values[:, -1]


def _distance(
    population: FloatPopulation, trace: PopulationTrace, decays: ChipDecays, unknowns: Array
) -> tuple[Array, Array]:
    """Simulate fine integers; return the distance of each neuron's spikes, and its peaks."""
    weights, bias = _unpacked(population, decays, unknowns)
    fine = FINE / population.threshold
    integers = {
        source.name: np.rint(weight * fine[:, None, None])
        for source, weight in zip(population.sources, weights, strict=True)
    }
    found = measure.respond(
        population,
        trace,
        measure.drive(population, trace, integers),
        (decays.dash_mem, decays.dash_syn),
        np.rint(decays.threshold * fine)[:, None],
        np.rint(bias * fine)[:, None],
        RAIL,
    )
    return found.distance[:, 0], found.peaks / fine


# ---- least squares ----


def _solutions(
    population: FloatPopulation,
    trace: PopulationTrace,
    wanted: Array,
    decays: ChipDecays,
    start: Array,
    halves: list[Array],
    *,
    biases: bool,
) -> Array:
    """Return the unknowns on all samples and on each half, for each width and ridge.

    Of shape (widths times ridges, 3, neurons, unknowns).
    """
    free = start != 0
    free[:, -1] = biases
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


def _left(
    population: FloatPopulation,
    trace: PopulationTrace,
    wanted: Array,
    decays: ChipDecays,
    start: Array,
    *,
    biases: bool,
) -> Array:
    """Return the mean square that is left of each neuron's distance, (neurons,)."""
    free = start != 0
    free[:, -1] = biases
    found = np.zeros(population.neurons)
    for own, _, inputs, targets in _equations(trace, wanted, decays):
        flat = inputs.reshape(len(inputs), -1)
        for neuron, target in zip(own, targets, strict=True):
            away = np.abs(wanted[neuron].ravel() - 1)
            steps, share = _steps(away, NEAREST // 2, SPREAD // 2)
            weight = share / (1 + (away[steps] / WIDTHS[0]) ** 2) ** 2
            chosen = flat[:, steps]
            missing = target.ravel()[steps] - start[neuron] @ chosen
            weighted = chosen * weight
            change = _solution(weighted @ chosen.T, weighted @ missing, free[neuron], RIDGE)
            found[neuron] = weight @ (missing - change @ chosen) ** 2 / weight.sum()
    return found


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
        weighted = chosen * (share / (1 + (away[steps] / width) ** 2) ** 2)
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
