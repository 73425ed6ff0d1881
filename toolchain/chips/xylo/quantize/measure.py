"""Response of a population to given spikes, and its distance from the trained response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import each, parts
from toolchain.chips.xylo.quantize.populations import FloatPopulation

__all__ = [
    "WINDOWS",
    "PopulationTrace",
    "Response",
    "count_distance",
    "drive",
    "respond",
    "window_counts",
]

MOST = 2**28
"""Largest magnitude in a search; far beyond a word of the chip, and sums of it fit 32 bits."""
ONE_THREAD = 2**18
"""Most multiplications of a product that OpenBLAS computes on one thread, as measured."""
FEWEST_COLUMNS = 8
"""Fewest columns of a part of a product."""
WINDOWS = 10
"""Number of windows in a sample; spikes are compared by window and as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PopulationTrace:
    """Spikes that one population receives, and the spikes that it should fire.

    Attributes:
        spikes: for each incoming projection, float32 (pre neurons, samples, time), delayed as in
            the graph.
        own: (neurons, samples, time) spikes of the trained network.
        wanted: int32 (neurons, samples, windows), the same counted in windows.
        window: timesteps in a window.
    """

    spikes: tuple[Array, ...]
    own: Array
    wanted: Array
    window: int

    def part(self, samples: int) -> PopulationTrace:
        """Return the first ``samples`` samples."""
        return self.of(slice(samples))

    def of(self, samples: slice | Array) -> PopulationTrace:
        """Return some samples."""
        return PopulationTrace(
            spikes=tuple(np.ascontiguousarray(s[:, samples]) for s in self.spikes),
            own=self.own[:, samples],
            wanted=self.wanted[:, samples],
            window=self.window,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Response:
    """Distance from the wanted spikes, (neurons, tries), and peaks (neurons,) of all states.

    The distance is that of ``count_distance``.
    """

    distance: Array
    peaks: Array


def drive(
    population: FloatPopulation, trace: PopulationTrace, weights: Mapping[str, Array]
) -> Array:
    """Return the input of integer weights, int32 (neurons, synapses, samples, time)."""
    samples, steps = trace.spikes[0].shape[1:]
    rows = population.neurons * population.alpha_syn.shape[1]
    total = np.zeros((rows, samples * steps), np.float32)
    for source, spikes in zip(population.sources, trace.spikes, strict=True):
        # float32 is exact up to 2**24; no state of the chip holds as much
        weight = np.clip(weights[source.name].reshape(rows, -1), -MOST, MOST).astype(np.float32)
        total += _product(weight, spikes.reshape(len(spikes), -1))
    shape = (population.neurons, population.alpha_syn.shape[1], samples, steps)
    return np.clip(total, -MOST, MOST).astype(np.int32).reshape(shape)


def _product(weight: Array, spikes: Array) -> Array:
    """Return ``weight @ spikes``, in parts so small that BLAS starts no threads for them.

    Threads would wait for each other longer than the product takes. Large products use them.
    """
    columns = ONE_THREAD // weight.size if weight.size else 0
    if columns < FEWEST_COLUMNS:
        return np.asarray(weight @ spikes)
    product = np.empty((len(weight), spikes.shape[1]), np.float32)
    for start in range(0, spikes.shape[1], columns):
        part = slice(start, start + columns)
        np.matmul(weight, spikes[:, part], out=product[:, part])
    return product


def respond(
    population: FloatPopulation,
    trace: PopulationTrace,
    arriving: Array,
    dashes: tuple[Array, Array],
    threshold: Array,
    bias: Array,
    rail: int,
) -> Response:
    """Simulate the neurons with several thresholds and biases.

    Args:
        population: the population.
        trace: its samples.
        arriving: see ``drive``.
        dashes: of the membranes (neurons,) and of the synapses (neurons, synapses).
        threshold: whole numbers, (neurons, tries) or a shape that broadcasts to it.
        bias: the same.
        rail: largest state.
    """
    # numba takes a third of a second to import; other quantizers and chips need none of it
    from toolchain.chips.xylo.quantize import kernel

    threshold, bias = np.broadcast_arrays(threshold, np.clip(bias, -MOST, MOST))
    _, synapses, samples, steps = arriving.shape
    distance, peaks = np.zeros(threshold.shape), np.zeros(population.neurons, np.int32)
    dash_mem, dash_syn, thresholds, biases = (
        np.ascontiguousarray(each, np.int32) for each in (*dashes, threshold, bias)
    )
    wanted = np.ascontiguousarray(trace.wanted, np.int32)

    def run(neurons: range) -> None:
        kernel.respond(
            neurons.start,
            neurons.stop,
            arriving,
            dash_syn,
            dash_mem,
            thresholds,
            biases,
            population.cap,
            rail,
            trace.window,
            wanted,
            kernel.Scratch.of(synapses, threshold.shape[1], samples, wanted.shape[2]),
            distance,
            peaks,
        )

    work = samples * steps * threshold.shape[1]
    each(run, parts(population.neurons, work, None), None)
    return Response(distance=distance, peaks=peaks)


def count_distance(wanted: Array, counts: Array) -> Array:
    """Return missing and surplus spikes (neurons, tries), in samples and at half weight in windows.

    Args:
        wanted: (neurons, samples, windows).
        counts: (neurons, tries, samples, windows).
    """
    missing = counts - wanted[:, None]
    whole = np.abs(missing.sum(axis=3)).sum(axis=2)
    return np.asarray(whole + 0.5 * np.abs(missing).sum(axis=(2, 3)))


def window_counts(spikes: Array, window: int) -> Array:
    """Return ``(neurons, samples, time)`` as counts, int32 (neurons, samples, windows)."""
    starts = np.arange(0, spikes.shape[2], window)
    # a network without cap may spike more often than a word holds; a chip never does
    counts = np.minimum(np.add.reduceat(spikes, starts, axis=2, dtype=np.float64), MOST)
    return np.asarray(counts.astype(np.int32))
