"""Collection of input spikes of any form: arrays, lists of recordings, data loaders, generators.

Recordings of different length are not padded: they are grouped by length, so that no step that a
recording does not have enters a state, a rate or an agreement. A loader or a generator is read
once, and no further than ``MOST_BYTES`` of counts; a note states what was not read.

No framework is imported: a tensor is recognized by its methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.ir import Graph
from toolchain.report import count, plural
from toolchain.runs.spikes import as_array, expected, fitted, plain_axes

__all__ = ["MOST_BYTES", "Collected", "collect"]

MOST_BYTES = 2**25
"""Most bytes of counts that are kept of a loader or a generator: 32 MiB, 33 million counts of one
byte. Arrays and lists are in memory already and have no bound.
"""

_NARROWER = (np.uint8, np.uint16)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collected:
    """Input spikes as counts, one array for each length of a recording.

    Attributes:
        groups: each (batch, time, *features), in the order of their first recording.
        given: shapes of the arrays as given, without duplicates.
        notes: which part of the given data was taken, as sentences; empty if all of it.
        complete: False if a loader or a generator was not read to its end.

    >>> from toolchain.ir import Graph, Input, Output
    >>> graph = Graph.chain({"input": Input(shape=(2,)), "output": Output()})
    >>> short, long = np.zeros((20, 2), int), np.zeros((30, 2), int)  # (time, features)
    >>> spikes = collect(graph, [short, long, short], "calibration")
    >>> [group.shape for group in spikes.groups]
    [(2, 20, 2), (1, 30, 2)]
    >>> spikes.excerpt().shape
    (3, 20, 2)
    """

    groups: tuple[Array, ...]
    given: tuple[Shape, ...]
    notes: tuple[str, ...] = ()
    complete: bool = True

    @property
    def samples(self) -> int:
        """Number of recordings."""
        return sum(len(group) for group in self.groups)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of timesteps that occur, ascending."""
        return tuple(sorted(group.shape[1] for group in self.groups))

    def excerpt(self) -> Array:
        """Return the recordings in one array, cut to one length and without padding.

        Of all lengths the one that keeps most timesteps is taken; shorter recordings are left out.
        """
        if len(self.groups) == 1:
            return self.groups[0]

        def kept(steps: int) -> int:
            return steps * sum(len(g) for g in self.groups if g.shape[1] >= steps)

        steps = max(self.lengths, key=kept)
        return np.concatenate([g[:, :steps] for g in self.groups if g.shape[1] >= steps])

    def reshaped(self, features: Shape) -> tuple[Array, ...]:
        """Return the groups with the axes of another input of the same size."""
        return tuple(group.reshape(*group.shape[:2], *features) for group in self.groups)

    def sizes(self) -> str:
        """Return number and length of the recordings as text.

        >>> counts = np.zeros((2, 20, 3))
        >>> Collected(groups=(counts, counts[:1, :9]), given=()).sizes()
        '3 samples of 9 to 20 timesteps'
        """
        lengths = self.lengths
        span = f"{count(lengths[0])} to " if len(lengths) > 1 else ""
        return f"{plural(self.samples, 'sample')} of {span}{plural(lengths[-1], 'timestep')}"


def collect(
    graph: Graph, given: Any, what: str, *, most: int = MOST_BYTES, kind: str | None = None
) -> Collected:
    """Collect input spikes of any form as counts.

    Args:
        graph: network whose input shape the counts get.
        given: one array or tensor (batch, time, *features); or a list, tuple, loader, data set or
            generator of recordings (time, *features), of arrays (batch, time, *features), or of
            pairs of one of these with anything else, such as a label.
        what: name of the argument, for messages.
        kind: type of the data, for messages, if ``given`` is only an iterator over it.
        most: bytes of counts that are kept of a loader, a data set or a generator.

    Raises:
        ValueError: the message begins with ``what`` and names the element at fault.
    """
    if isinstance(given, Collected):
        return given
    wanted = graph.shape(graph.input)
    if _is_numbers(given):
        counts = fitted(graph, given, what)
        return Collected(groups=(counts,), given=(tuple(np.shape(given)),))
    if isinstance(given, Mapping):
        raise ValueError(f"{what} must be spikes, got a {_mapping(given)}; give one of its arrays")
    if isinstance(given, str | bytes) or not _is_iterable(given):
        raise ValueError(
            f"{what} must be an array {expected(wanted)}, or a list, a data loader or a generator "
            f"of recordings, got {_described(given)}"
        )
    if isinstance(given, list | tuple) and given and not any(map(_contains_arrays, given)):
        nested = _nested(given, what)
        if nested is not None:
            return Collected(groups=(fitted(graph, nested, what),), given=(nested.shape,))
    reader = _Reader(wanted=wanted, what=what)
    reader.read(_elements(given), None if isinstance(given, list | tuple | np.ndarray) else most)
    return reader.collected(kind or type(given).__name__, _length(given))


class _Reader:
    """Reads the elements of a list or loader one after the other."""

    def __init__(self, wanted: Shape, what: str) -> None:
        self.wanted, self.what = wanted, what
        self.batches: list[Array] = []
        self.given: dict[Shape, None] = {}
        self.elements = self.bytes = 0
        self.pairs = self.stopped = False

    def read(self, elements: Iterator[Any], most: int | None) -> None:
        """Keep the counts of the elements, in all up to ``most`` bytes, but at least one."""
        for element in elements:
            where = f"element {self.elements} of {self.what}"
            batches = [self._batch(array, where) for array in self._arrays(element, where)]
            size = sum(batch.nbytes for batch in batches)
            if most is not None and self.elements and self.bytes + size > most:
                self.stopped = True
                return
            self.elements, self.bytes = self.elements + 1, self.bytes + size
            self.batches += batches

    def _arrays(self, element: Any, where: str) -> list[Any]:
        """Return the recordings or batches of an element: itself, or the first of a pair."""
        if _is_array(element):
            return [element]
        if isinstance(element, Mapping):
            raise ValueError(
                f"{where} must be spikes, got a {_mapping(element)}; give the spikes alone, as in "
                f"(each[{next(iter(element), 'spikes')!r}] for each in data)"
            )
        if not isinstance(element, list | tuple) or not element:
            raise ValueError(f"{where} must be {self._wanted()}, got {_described(element)}")
        if not _contains_arrays(element):
            return [element]  # nested lists of numbers
        first = element[0]
        if not _is_array(first):  # [(x, y), (x, y)] or, the other way round, ((x, x), (y, y))
            self.pairs = True
            return [each[0] for each in element] if all(map(self._is_pair, element)) else [*first]
        if plain_axes(np.shape(first)) == plain_axes(self.wanted) and self._leading(first) is None:
            return [element]  # a list of timesteps
        self.pairs = self.pairs or len(element) > 1
        return [first]

    def _is_pair(self, element: Any) -> bool:
        """Return whether an element is a recording together with something that is none."""
        if not isinstance(element, list | tuple) or len(element) < 2:
            return False
        return self._leading(element[0]) is not None and self._leading(element[1]) is None

    def _wanted(self) -> str:
        alone = expected(self.wanted, batch=False)
        return f"an array {expected(self.wanted)} or a single recording {alone}"

    def _batch(self, given: Any, where: str) -> Array:
        array = as_array(given, where)
        leading = self._leading(array)
        if leading is None:
            pair = self.batches and self.elements == 1 and array.ndim < 1 + len(self.wanted)
            raise ValueError(
                f"{where} must be {self._wanted()}, got shape {array.shape}"
                + (f"; if these are labels, give {self.what}[0] alone" if pair else "")
            )
        start = array.shape[:2] if leading == 2 else (1, array.shape[0])
        self.given.setdefault((*start, *array.shape[leading:]))
        return _narrowed(array.reshape(*start, *self.wanted))

    def _leading(self, array: Any) -> int | None:
        """Return the number of axes before the features: 1 of a recording, 2 of a batch.

        None if the shape is that of neither.
        """
        shape, plain = tuple(getattr(array, "shape", ())), plain_axes(self.wanted)
        exact = [n for n in (1, 2) if len(shape) >= n and shape[n:] == self.wanted]
        loose = [n for n in (1, 2) if len(shape) >= n and plain_axes(shape[n:]) == plain]
        return next(iter(exact + loose), None)

    def collected(self, kind: str, total: int | None) -> Collected:
        """Return the recordings grouped by length."""
        if not self.batches:
            raise ValueError(f"{self.what} contains no recording: {kind} is empty")
        by_length: dict[int, list[Array]] = {}
        for batch in self.batches:
            by_length.setdefault(batch.shape[1], []).append(batch)
        return Collected(
            groups=tuple(map(_joined, by_length.values())),
            given=tuple(self.given),
            notes=tuple(self._notes(kind, total)),
            complete=not self.stopped,
        )

    def _notes(self, kind: str, total: int | None) -> Iterator[str]:
        if self.pairs:
            yield f"each element of {self.what} ({kind}) is a tuple, of which the first was taken"
        if self.stopped:
            of = "" if total is None else f" of {count(total)}"
            yield (
                f"the first {plural(self.elements, 'element')}{of} of {self.what} ({kind}) were "
                f"read, {self.bytes / 2**20:.3g} MiB of counts; the rest was left out, since at "
                f"most {MOST_BYTES // 2**20} MiB are kept"
            )


def _joined(batches: list[Array]) -> Array:
    return batches[0] if len(batches) == 1 else np.concatenate(batches)


def _narrowed(counts: Array) -> Array:
    """Return counts in the narrowest type that holds them exactly; others unchanged."""
    if counts.dtype == bool or not counts.size or counts.dtype.kind not in "iuf":
        return counts
    low, high = counts.min(), counts.max()
    for kind in _NARROWER:
        inside = low >= 0 and high <= np.iinfo(kind).max
        if inside and (counts.dtype.kind != "f" or bool((np.trunc(counts) == counts).all())):
            return counts.astype(kind)
    return counts.astype(np.float64, copy=False) if counts.dtype.kind == "f" else counts


def _nested(given: Iterable[Any], what: str) -> Array | None:
    """Return nested lists of numbers as one array; None if their lengths differ."""
    try:
        return as_array(given, what)
    except ValueError:
        return None


def _elements(given: Any) -> Iterator[Any]:
    """Yield the elements of ``given``; of a data set without iterator, those by its indices."""
    if hasattr(type(given), "__iter__"):
        return iter(given)
    return (given[n] for n in range(len(given)))


def _is_iterable(given: Any) -> bool:
    kind = type(given)
    return hasattr(kind, "__iter__") or (hasattr(kind, "__getitem__") and hasattr(kind, "__len__"))


def _is_array(given: Any) -> bool:
    """Return whether ``given`` is an array or a tensor with at least one axis."""
    known = hasattr(given, "__array__") or hasattr(given, "toarray")
    return known and len(getattr(given, "shape", ())) > 0


def _is_numbers(given: Any) -> bool:
    """Return whether ``given`` is one array: a tensor, a table, or an array not of objects."""
    if isinstance(given, np.ndarray):
        return given.dtype != object or given.ndim != 1
    return hasattr(given, "__array__") or hasattr(given, "toarray")


def _contains_arrays(given: Any) -> bool:
    """Return whether an array stands anywhere in nested lists; only first elements are opened."""
    while isinstance(given, list | tuple) and given:
        given = given[0]
    return _is_array(given)


def _length(given: Any) -> int | None:
    try:
        return len(given)
    except TypeError:
        return None


def _mapping(given: Mapping[Any, Any]) -> str:
    keys = ", ".join(map(repr, list(given)[:6]))
    return f"{type(given).__name__} {f'with keys {keys}' if keys else 'without keys'}"


def _described(given: Any) -> str:
    text = f" {given!r:.40}" if isinstance(given, str | bytes | int | float | None) else ""
    return f"{type(given).__name__}{text}"
