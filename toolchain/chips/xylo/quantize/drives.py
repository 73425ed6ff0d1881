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
from toolchain.chips.xylo.quantize.least_squares import remainders, solutions
from toolchain.chips.xylo.quantize.measure import PopulationTrace
from toolchain.chips.xylo.quantize.membranes import grouped, membranes
from toolchain.chips.xylo.quantize.populations import FloatPopulation

__all__ = ["fit_drives"]

SCREENED = 64
"""Samples on which decays are compared."""
DOUBT = 0.02
"""Least gain, as a fraction of a neuron's spikes, to prefer fitted weights."""
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
    fitted. Both are returned unchanged if there are fewer than two samples or too many weights, or
    if one weight stands for several projections.

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
    names = {source.name for source in population.sources}
    shared = len(names) < len(population.sources)
    if shared or samples < 2 or population.neurons * inputs**3 > MOST_WORK:
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
    tried = solutions(trace, wanted, decays, start, halves, biases=biases)
    for on_all, *on_halves in tried:
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
        np.add.at(left, group, remainders(trace, wanted, tried, start, biases=biases))
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
