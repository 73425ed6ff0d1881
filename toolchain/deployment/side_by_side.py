"""The trained network, its integers and the chip on the same spikes, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import numpy as np

from toolchain.arrays import Array, has_masked
from toolchain.chips.contract import SessionSettings, Timing
from toolchain.chips.load import family_of
from toolchain.deployment.chip_input import chip_input
from toolchain.deployment.inputs import counts_of, some_steps
from toolchain.deployment.session import Session, run_once
from toolchain.deployment.store import Parts
from toolchain.ir import Membrane
from toolchain.runs import InputSpikes
from toolchain.runs.bounded import (
    MOST_VALUES,
    aligned_parts,
    even_parts,
    samples_at_once,
    values_of,
)
from toolchain.runs.ceiling import MOST_SAMPLES, MOST_WORK
from toolchain.runs.comparison_tally import RunPiece
from toolchain.runs.interpret import GraphRun, Place
from toolchain.runs.spikes import are_events
from toolchain.runs.train_tally import QUANTIZED, REFERENCE

__all__ = ["SideBySide"]

MOST_STEPS = 1_000_000
"""Steps of events from which they are refused, as a raster of them is: times since 1970, taken for
times since the start, would run for ever.
"""
RUNS = 4
"""Runs whose spikes are in memory at once: trained, quantized, and the chip in two timings."""


class SideBySide:
    """Runs of one deployment on the same spikes.

    Args:
        parts: the deployment.
        spikes: as for ``Deployment.simulate``.

    Attributes:
        given: the spikes as the chip takes them.
        samples, steps: size of the whole run.

    Raises:
        ValueError: spikes of another shape, without a timestep, or that the chip does not take.
    """

    def __init__(self, parts: Parts, spikes: InputSpikes) -> None:
        self._parts, self._family = parts, family_of(parts.on_chip.chip)
        self._sessions = "session" in self._family.CAPABILITIES
        takes = self._sessions and "event" in self._family.TIMINGS
        length = _microseconds(parts.graph.dt)
        events = _event_arrays(spikes, length) if takes and length else None
        self._source: _Counts | _Events
        if events is None:
            counts = counts_of(self._family, parts.graph, spikes, "spikes")
            counts = some_steps(counts, "spikes")
            self.given = chip_input(parts, spikes if are_events(spikes) else counts)
            self._source = _Counts(counts, self.given)
        else:
            self.given = spikes
            self._source = _Events(parts, events, length)
        self.samples, self.steps = self._source.samples, self._source.steps

    def pieces(self) -> Iterator[tuple[int, int, dict[str, RunPiece]]]:
        """Yield first sample, first step, and the piece of every run by its name.

        Raises:
            ValueError: events that the chip does not take.
        """
        parts = self._parts
        neurons = sum(prod(node.shape) for node in parts.quantized.of(Membrane).values())
        most = MOST_VALUES // max(1, RUNS * neurons)
        together = samples_at_once(parts.graph) if self._sessions else most // self.steps
        for samples in even_parts(self.samples, together):
            size = samples.stop - samples.start
            place = Place(samples=samples, batch=self.samples, steps=self.steps)
            trained = GraphRun(parts.graph, size, place)
            quantized = GraphRun(parts.quantized, size, place)
            chips = {timing: self._chip(size, timing) for timing in self._family.TIMINGS}
            length = most // size if self._sessions else self.steps
            for steps in aligned_parts(self.steps, length):
                counts, given = self._source.piece(samples, steps)
                runs = {
                    REFERENCE: _graph_piece(trained, counts),
                    QUANTIZED: _graph_piece(quantized, counts),
                }
                many = steps.stop - steps.start if are_events(given) else None
                yield (
                    samples.start,
                    steps.start,
                    runs | {timing: run(given, many) for timing, run in chips.items()},
                )

    def excerpt(self) -> Array:
        """Return counts (batch, time, *features) of some samples and of the first timesteps."""
        steps = slice(0, max(1, min(self.steps, MOST_WORK // values_of(self._parts.graph))))
        counts, _ = self._source.piece(slice(0, MOST_SAMPLES), steps)
        return counts

    def _chip(self, batch: int, timing: Timing) -> Callable[[InputSpikes, int | None], RunPiece]:
        """Return what runs the chip on the next piece."""
        parts = self._parts
        if not self._sessions:

            def run_whole(spikes: InputSpikes, steps: int | None) -> RunPiece:
                del steps
                return RunPiece.of(
                    run_once(parts, spikes, record=True, timing=timing, state=None, steps=None)
                )

            return run_whole
        record = dict.fromkeys(parts.on_chip.placement(), ("spikes",))
        settings = SessionSettings(batch=batch, timing=timing, record=record)
        session = Session(parts, settings)

        def run(spikes: InputSpikes, steps: int | None) -> RunPiece:
            recording = session.run(spikes, steps=steps)
            kept = {n: np.asarray(each["spikes"]) for n, each in recording.recorded.items()}
            return RunPiece.of(recording, kept)

        return run


def _graph_piece(run: GraphRun, counts: Array) -> RunPiece:
    shape = run.graph.shape(run.graph.input)
    outputs, spikes = run.run(counts.reshape(*counts.shape[:2], *shape))
    return RunPiece(outputs=outputs, spikes=spikes)


class _Counts:
    """Counts (batch, time, *features), and the same or event arrays for the chip."""

    def __init__(self, counts: Array, given: InputSpikes) -> None:
        self._counts, self._given = counts, given
        self.samples, self.steps = counts.shape[:2]

    def piece(self, samples: slice, steps: slice) -> tuple[Array, InputSpikes]:
        """Return counts for the graphs, and spikes for the chip."""
        counts = self._counts[samples, steps]
        if isinstance(self._given, np.ndarray) and not are_events(self._given):
            return counts, self._given[samples, steps]
        given = self._given[samples] if isinstance(self._given, list | tuple) else self._given
        return counts, given


class _Events:
    """Event arrays in order of time, of which counts are built piece by piece.

    ``length``: of a timestep, µs.
    """

    def __init__(self, parts: Parts, events: list[Array], length: int) -> None:
        self._graph, self._family = parts.graph, family_of(parts.on_chip.chip)
        self._events, self._length = events, length
        self.samples, self.steps = len(events), _last(events) // length + 1

    def piece(self, samples: slice, steps: slice) -> tuple[Array, InputSpikes]:
        """Return counts for the graphs, and the events for the chip."""
        limits = [steps.start * self._length, steps.stop * self._length]
        given = [each[slice(*np.searchsorted(each["t"], limits))] for each in self._events[samples]]
        shape = self._graph.shape(self._graph.input)
        counts = np.zeros((len(given), steps.stop - steps.start, *shape), np.int32)
        if any(map(len, given)):
            moved = [each.copy() for each in given]
            for each in moved:
                each["t"] -= limits[0]
            try:
                found = self._family.counts(moved, shape, 1e-6 * self._length)
            except ValueError:
                # its message has places and times from the start on
                counts_of(self._family, self._graph, self._events, "spikes")
                raise
            counts[:, : found.shape[1]] = found.reshape(*found.shape[:2], *shape)
        return counts, given


def _event_arrays(spikes: InputSpikes, length: int) -> list[Array] | None:
    """Return event arrays that can be cut into pieces; None for all others, refused ones too."""
    given = spikes if isinstance(spikes, list | tuple) else [spikes]
    events = [each for each in given if isinstance(each, np.ndarray)]
    if len(events) < len(given) or not all(map(_can_be_cut, events)):
        return None
    if not any(map(len, events)) or _last(events) // length >= MOST_STEPS:
        return None
    return events


def _last(events: list[Array]) -> int:
    """Return the time of the last event, µs."""
    return max(int(each["t"][-1]) for each in events if each.size)


def _microseconds(dt: float | None) -> int:
    """Return the length of a step in µs; 0 if it is unknown or not a whole number of them."""
    exact = (dt or 0.0) * 1e6
    return round(exact) if abs(exact - round(exact)) < 1e-6 else 0


def _can_be_cut(events: Array) -> bool:
    """Return whether these are events with whole times >= 0 in ascending order."""
    if events.ndim != 1 or "t" not in (events.dtype.names or ()) or has_masked(events):
        return False
    times = events["t"]
    if times.dtype.kind not in "iu":
        return False
    return not times.size or bool(times[0] >= 0 and np.all(times[1:] >= times[:-1]))
