"""Spike trains of several runs, compared piece by piece: counts, decisions, first difference."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from toolchain.arrays import Array
from toolchain.runs.agreement import Agreement, AgreementTally
from toolchain.runs.tally import sum_over_time

__all__ = ["CLOCKED", "QUANTIZED", "REFERENCE", "Difference", "TrainTally"]

REFERENCE, QUANTIZED, CLOCKED = "reference", "quantized", "clocked"


class Difference(NamedTuple):
    """First difference of two runs: the earliest step, of the first sample and neuron in it."""

    step: int
    sample: int
    neuron: int
    quantized: float
    clocked: float


class TrainTally:
    """Sums over the trains of one layer, or of the outputs, in several runs on the same spikes.

    The reference and the quantized graph are on time, the others later by a lag. Steps without a
    counterpart are left out.

    Args:
        runs: their names.
        steps: timesteps of a whole train.
        lag: timesteps by which the chip is later; or of each neuron, (neurons,).

    >>> tally = TrainTally(("reference", "quantized", "clocked"), steps=3, lag=1)
    >>> graph, chip = np.array([[[1], [0], [2]]]), np.array([[[0], [1], [1]]])
    >>> for step in range(3):  # piece by piece
    ...     at = (slice(None), slice(step, step + 1))
    ...     both = {"reference": graph[at], "quantized": graph[at]}
    ...     tally.add(both | {"clocked": chip[at]}, first_sample=0, first_step=step)
    >>> tally.spikes(), tally.difference
    ({'reference': 1, 'quantized': 1, 'clocked': 2}, Difference(step=1, sample=0, neuron=0, \
quantized=0.0, clocked=1.0))
    """

    def __init__(self, runs: Collection[str], steps: int, lag: int | Array) -> None:
        """Start without any trains."""
        lags = np.ravel(lag)
        self._early, late = min(0, int(lags.min(initial=0))), max(0, int(lags.max(initial=0)))
        self._kept = max(0, steps - late + self._early)
        same = lags.size < 2 or bool(np.all(lags == lags[0]))
        self._lags: list[tuple[int, Array | slice]] = [(int(n), lags == n) for n in np.unique(lags)]
        if same:
            self._lags = [(int(lags[0]) if lags.size else 0, slice(None))]
        self._agreement = {run: AgreementTally() for run in runs if run != REFERENCE}
        self._spikes = dict.fromkeys(runs, 0.0)
        self._equal: dict[str, list[Array]] = {run: [] for run in self._agreement}
        self._sample, self._counts = 0, dict[str, Array]()
        self._pending: dict[str, Array] = {}
        self._aligned = 0
        self.difference: Difference | None = None

    def add(self, trains: Mapping[str, Array], first_sample: int, first_step: int) -> None:
        """Add a piece of the trains (batch, time, neurons) of every run.

        Pieces of the same samples follow each other in the order of time.
        """
        if first_step == 0:
            self.finish()
            self._sample, self._pending, self._aligned = first_sample, {}, 0
        for run, train in trains.items():
            counts = self._counted(run, train, first_step)
            self._counts[run] = self._counts[run] + counts if run in self._counts else counts
        if len(self._lags) == 1 and QUANTIZED in trains:
            self._compare(trains, first_step)

    def _window(self, lag: int, train: Array, first_step: int) -> Array:
        """Return the steps of a piece that have a counterpart."""
        start = lag - self._early - first_step
        return train[:, max(0, start) : max(0, start + self._kept)]

    def _counted(self, run: str, train: Array, first_step: int) -> Array:
        if run in (REFERENCE, QUANTIZED) or len(self._lags) == 1:
            lag = 0 if run in (REFERENCE, QUANTIZED) else self._lags[0][0]
            return sum_over_time(self._window(lag, train, first_step))
        counts = sum_over_time(train[:, :0])
        for lag, neurons in self._lags:
            counts[:, neurons] = sum_over_time(self._window(lag, train, first_step)[..., neurons])
        return counts

    def _compare(self, trains: Mapping[str, Array], first_step: int) -> None:
        """Look for the first difference, as far as both runs have come."""
        for run, lag in ((QUANTIZED, 0), (CLOCKED, self._lags[0][0])):
            new = self._window(lag, trains[run], first_step)
            old = self._pending.get(run)
            self._pending[run] = (
                new if old is None or not old.size else np.concatenate([old, new], 1)
            )
        wanted, got = self._pending[QUANTIZED], self._pending[CLOCKED]
        steps = min(wanted.shape[1], got.shape[1])
        differs = np.any(wanted[:, :steps] != got[:, :steps], axis=(0, 2))
        if differs.any():
            at = int(differs.argmax())
            sample, neuron = map(int, np.argwhere(wanted[:, at] != got[:, at])[0])
            found = Difference(
                self._aligned + at - self._early,
                self._sample + sample,
                neuron,
                float(wanted[sample, at, neuron]),
                float(got[sample, at, neuron]),
            )
            self.difference = min(self.difference or found, found, key=lambda each: each[:2])
        self._aligned += steps
        # copies, so that no whole piece is kept
        self._pending = {run: x[:, steps:].copy() for run, x in self._pending.items()}

    def finish(self) -> None:
        """Add the counts of the samples so far to the sums."""
        counts, self._counts = self._counts, {}
        for run, each in counts.items():
            self._spikes[run] += float(each.sum())
            if run != REFERENCE:
                self._agreement[run].add(counts[REFERENCE], each)
                if each.shape[1]:
                    self._equal[run].append(_most(each) == _most(counts[REFERENCE]))

    def spikes(self) -> dict[str, int]:
        """Return the number of spikes by run."""
        self.finish()
        return {run: round(number) for run, number in self._spikes.items()}

    def agreement(self) -> dict[str, Agreement]:
        """Return the agreement of the counts with the reference's, by run."""
        self.finish()
        return {run: tally.agreement() for run, tally in self._agreement.items()}

    def equal_decisions(self) -> dict[str, Array]:
        """Return by run whether the most active neuron of each sample is the reference's."""
        self.finish()
        return {run: np.concatenate(parts) for run, parts in self._equal.items() if parts}


def _most(counts: Array) -> Array:
    return np.asarray(counts.argmax(axis=1))
