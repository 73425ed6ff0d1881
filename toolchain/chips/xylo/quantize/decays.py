"""Decays that the chip can store, chosen by their effect on the spikes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import product

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.dashes import CLOSE, dashes, neighbors
from toolchain.chips.xylo.quantize import measure
from toolchain.chips.xylo.quantize.measure import PopulationTrace
from toolchain.chips.xylo.quantize.populations import FloatPopulation

__all__ = [
    "ChipDecays",
    "candidates",
    "choose_decays",
    "combined",
    "decay_groups",
    "differs",
    "response",
]

FINE = 2**16
"""Integer steps of a threshold while decays are chosen: too many for rounding to matter."""
RAIL = 2**29
"""Largest state while decays are chosen: a few thousand thresholds."""
GAINS = 2.0 ** np.linspace(-0.6, 0.6, 25)
"""Factors on thresholds that are tried with decays other than the trained ones."""
DOUBT = 0.01
"""Least gain of a doubled threshold, as a fraction of a neuron's spikes, to be preferred."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChipDecays:
    """One population with the chip's decays, in floats and not yet scaled.

    Attributes:
        dash_mem: int (neurons,).
        dash_syn: int (neurons, synapses).
        rows: (neurons, synapses) factor on the weights.
        threshold, bias: (neurons,).
        peaks: (neurons,) largest magnitude of any of its states.
    """

    dash_mem: Array
    dash_syn: Array
    rows: Array
    threshold: Array
    bias: Array
    peaks: Array


def choose_decays(population: FloatPopulation, trace: PopulationTrace, top: int) -> ChipDecays:
    """Choose the decays, up to ``top``, whose spikes differ least from the trained ones.

    Each decay that is not an exact bit shift is tried with the next smaller and the next larger
    shift, in all combinations of membrane and synapses: one that is too slow can compensate one
    that is too fast. Neurons with the same decays choose together. A slower state accumulates more;
    the weights compensate that by the size of the response to one spike, a constant bias by its
    steady state, and the rest is a factor on the threshold, found on the data.
    """
    group, groups = decay_groups(population)
    scale = (FINE / population.threshold)[:, None, None]
    arriving = measure.drive(
        population, trace, {s.name: np.rint(s.weight * scale) for s in population.sources}
    )
    least = np.full(groups, np.inf)
    best: ChipDecays | None = None
    for tried in candidates(population, top):
        factors, scores, peaks = _scored(population, trace, arriving, tried, group, groups)
        gain = factors[group]
        tried = replace(
            tried, threshold=tried.threshold * gain, bias=tried.bias * gain, peaks=peaks
        )
        best = tried if best is None else combined(best, tried, (scores < least)[group])
        least = np.minimum(scores, least)
    assert best is not None
    return best


def decay_groups(population: FloatPopulation) -> tuple[Array, int]:
    """Return the index of each neuron's group of equal decays, and the number of groups."""
    decays = np.column_stack([population.alpha_mem, population.alpha_syn])
    _, group = np.unique(decays, axis=0, return_inverse=True)
    return group.reshape(-1), int(group.max()) + 1


def candidates(population: FloatPopulation, top: int) -> Iterator[ChipDecays]:
    """Yield the neighboring shifts in all combinations of columns, weights compensated."""
    trained = np.column_stack([population.alpha_mem, population.alpha_syn])
    exact = np.abs(dashes(trained) - np.rint(dashes(trained))) < CLOSE
    membranes = neighbors(trained[:, :1], top, membrane=True)
    currents = neighbors(trained[:, 1:], top, membrane=False)
    low, high = (np.concatenate(pair, axis=1) for pair in zip(membranes, currents, strict=True))
    for up in product(
        *([False, True] if open_ else [False] for open_ in (low != high).any(axis=0))
    ):
        dash = np.where(up, high, low)
        kept = 1 - 2.0**-dash
        rows = _ratio(response(trained[:, :1], trained[:, 1:]), response(kept[:, :1], kept[:, 1:]))
        settles = _ratio(1 - kept[:, 0], 1 - trained[:, 0])
        yield ChipDecays(
            dash_mem=dash[:, 0],
            dash_syn=dash[:, 1:],
            rows=np.where(exact[:, :1] & exact[:, 1:], 1.0, rows),
            threshold=population.threshold,
            bias=population.bias * np.where(exact[:, 0], 1.0, settles),
            peaks=np.zeros(population.neurons),
        )


def response(mem: Array, syn: Array) -> Array:
    r"""Return the root of the summed squares of the membrane's response to one spike.

    It is 0 where the response never ends.

    .. math:: \sum_t \Big(\sum_{k \le t} a^{t-k} b^{k+1}\Big)^2
              = \frac{b^2 (1 + a b)}{(1 - a^2)(1 - b^2)(1 - a b)}

    with a for the membrane and b for the synapse.
    """
    a, b = mem, syn
    rest = (1 - a**2) * (1 - b**2) * (1 - a * b)
    return np.asarray(np.sqrt(_ratio(b**2 * (1 + a * b), rest) * (rest > 0)))


def _ratio(above: Array, below: Array) -> Array:
    """Return ``above / below``; 1 where either is 0, which the rules refuse."""
    fine = (above > 0) & (below > 0)
    return np.divide(above, below, out=np.ones(np.shape(fine)), where=fine)


def _scored(
    population: FloatPopulation,
    trace: PopulationTrace,
    arriving: Array,
    tried: ChipDecays,
    group: Array,
    groups: int,
) -> tuple[Array, Array, Array]:
    """Return each group's best factor on its thresholds and its score, and each neuron's peak."""
    factors = GAINS if differs(population, tried) else np.ones(1)
    fine = FINE / population.threshold
    to_integers = (arriving * tried.rows[:, :, None, None]).astype(np.int32)
    found = measure.respond(
        population,
        trace,
        to_integers,
        (tried.dash_mem, tried.dash_syn),
        np.rint(FINE * factors)[None].repeat(population.neurons, axis=0),
        np.rint((tried.bias * fine)[:, None] * factors),
        RAIL,
    )
    spikes = trace.wanted.sum(axis=(1, 2))
    doubt = (0.5 + DOUBT * spikes)[:, None] * np.abs(np.log2(factors))
    scores = np.zeros((groups, len(factors)))
    np.add.at(scores, group, found.distance + doubt)
    return factors[scores.argmin(axis=1)], scores.min(axis=1), found.peaks / fine


def differs(population: FloatPopulation, tried: ChipDecays) -> bool:
    """Return whether any decay differs from the trained one."""
    mem = np.abs(dashes(population.alpha_mem) - tried.dash_mem)
    syn = np.abs(dashes(population.alpha_syn) - tried.dash_syn)
    return bool(np.any(mem >= CLOSE) or np.any(syn >= CLOSE))


def combined(one: ChipDecays, other: ChipDecays, take: Array) -> ChipDecays:
    """Return the values of ``other`` for the neurons in ``take``, else those of ``one``."""
    chosen = {}
    for f in fields(ChipDecays):
        a, b = getattr(one, f.name), getattr(other, f.name)
        chosen[f.name] = np.where(take.reshape(-1, *(1,) * (a.ndim - 1)), b, a)
    return ChipDecays(**chosen)
