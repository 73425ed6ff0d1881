"""Packets of events that are cut anywhere, regrouped into whole steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from toolchain.arrays import Array, has_masked
from toolchain.runs.spikes import InputSpikes, are_events

__all__ = ["whole_steps"]


class _Clock(Protocol):
    """A session: the steps and the length of a step."""

    @property
    def steps(self) -> int: ...

    @property
    def dt(self) -> float | None: ...


def whole_steps(
    pieces: Iterable[InputSpikes], clock: _Clock
) -> Iterator[tuple[InputSpikes, int | None]]:
    """Yield counts as they are, and events up to the last complete step with the number of steps.

    The events of an incomplete step are kept until a later event, or the end.

    Raises:
        ValueError: another number of event arrays than before, or counts between events.
    """
    pending: list[Array] = []
    for piece in pieces:
        if not are_events(piece):
            if any(map(len, pending)):
                raise ValueError("counts follow events of a step that is not complete")
            yield piece, None
            continue
        streams = list(piece) if isinstance(piece, list | tuple) else [piece]
        if not all(map(_have_times, streams)):
            yield piece, None  # to be refused, by a message about the piece
            continue
        if pending and len(pending) != len(streams):
            raise ValueError(f"a piece has {len(streams)} event arrays, the last {len(pending)}")
        if pending:
            pairs = zip(pending, streams, strict=True)
            streams = [np.concatenate(pair) if len(pair[0]) else pair[1] for pair in pairs]
        end, length = clock.steps, round(1e6 * (clock.dt or 0))
        if any(map(len, streams)) and length:
            last = max(int(stream["t"][-1]) for stream in streams if len(stream))
            end = max(end, last // length)
        cuts = [int(np.searchsorted(stream["t"], end * length)) for stream in streams]
        pending = [stream[cut:] for stream, cut in zip(streams, cuts, strict=True)]
        complete = [stream[:cut] for stream, cut in zip(streams, cuts, strict=True)]
        yield complete, end - clock.steps
    if any(map(len, pending)):
        yield pending, 1


def _have_times(stream: Any) -> bool:
    """Return whether events can be cut by time; all that a chip takes can be."""
    if not isinstance(stream, np.ndarray) or stream.ndim != 1 or has_masked(stream):
        return False
    if "t" not in (stream.dtype.names or ()) or stream.dtype["t"].kind not in "biuf":
        return False
    return not stream.size or bool(np.isfinite(stream["t"][-1]))
