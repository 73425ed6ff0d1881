"""Base class of the sessions that families implement by a stream of their program."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Generic, Protocol, TypeVar

from toolchain.arrays import Array
from toolchain.chips.contract import SessionSettings

__all__ = ["StreamSession", "check_names"]


class Stream(Protocol):
    """A program that is simulated piece by piece."""

    @property
    def steps(self) -> int:
        """Number of steps since the start or the last reset."""
        ...

    def reset(self) -> None:
        """Return to the initial state and to step 0."""
        ...


S = TypeVar("S", bound=Stream)


class StreamSession(Generic[S]):
    """Base class of a ``ChipSession`` that leaves the steps to a stream of the family."""

    def __init__(self, stream: S, settings: SessionSettings) -> None:
        """Take the stream, at its initial state."""
        self._stream = stream
        self._places = settings.outputs
        self._everything = settings.record is True

    @property
    def steps(self) -> int:
        """Implement ``ChipSession.steps``."""
        return self._stream.steps

    def reset(self) -> None:
        """Implement ``ChipSession.reset``."""
        self._stream.reset()

    def _by_output(self, spikes: Array) -> dict[str, Array]:
        """Return the spikes (batch, steps, outputs) of each output of the network."""
        return {name: spikes[:, :, place] for name, place in self._places.items()}


def check_names(state: Mapping[str, Array], names: Collection[str]) -> None:
    """Check that a state has these arrays; ValueError."""
    if state.keys() != {*names}:
        raise ValueError(f"a state has {', '.join(sorted(names))}, got {', '.join(state)}")
