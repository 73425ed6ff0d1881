"""Session: a deployment that is simulated piece by piece."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Record, SessionSettings, Timing
from toolchain.chips.load import family_of
from toolchain.deployment.chip_input import chip_input, samples_of
from toolchain.deployment.named import NamedRecordings
from toolchain.deployment.packets import whole_steps
from toolchain.deployment.state_files import read_state, write_state
from toolchain.deployment.store import Parts
from toolchain.report import Described, Sheet, Text, plain, plural, short
from toolchain.runs import ChipState, InputSpikes, Recording
from toolchain.runs.spikes import are_events

__all__ = ["Session", "run_once"]

_sessions: weakref.WeakSet[Session] = weakref.WeakSet()
"""All sessions of this process."""


class Session(Described):
    """Simulation of a deployment whose state is kept between calls; see ``Deployment.session``.

    Pieces of any length, empty ones too, together equal one whole run, bit for bit. A call that
    raises an error, or is interrupted, changes nothing. Threads may call one session: the calls run
    one after the other. A pickled or copied session continues from its state, and so does one in a
    forked process.

    >>> import numpy as np
    >>> from toolchain import deploy
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> lif = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    >>> graph = Graph.chain(
    ...     {
    ...         "input": Input(shape=(4,)),
    ...         "fc1": Linear(weight=np.eye(3, 4)),
    ...         "lif1": Neuron(shape=(3,), **lif),
    ...         "fc2": Linear(weight=np.eye(2, 3)),
    ...         "lif2": Neuron(shape=(2,), **lif),
    ...         "output": Output(),
    ...     },
    ...     dt=1e-3,
    ... )
    >>> d = deploy(graph, "xylo_a2")
    >>> spikes = np.ones((1, 20, 4), int)
    >>> session = d.session()
    >>> pieces = [session.run(spikes[:, :7]), session.run(spikes[:, 7:])]
    >>> both = np.concatenate([piece.spikes for piece in pieces], axis=1)
    >>> bool((both == d.simulate(spikes).spikes).all()), session.steps, session.time
    (True, 20, 0.02)
    >>> print(session)
    session of Xylo Audio 2: clocked, 1 sample, 20 steps of 1 ms
    """

    def __init__(self, parts: Parts, settings: SessionSettings) -> None:
        """Start at the initial state; call ``Deployment.session`` instead.

        Raises:
            ValueError: the family does not support sessions, or invalid settings.
        """
        self._parts, self._settings = parts, settings
        self._named = NamedRecordings(parts, settings.record)
        own = SessionSettings(
            batch=settings.batch,
            timing=settings.timing,
            record=self._named.record,
            options=settings.options,
            threads=settings.threads,
            outputs=self._named.places,
        )
        self._chip = parts.on_chip.session(own)
        self._lock = threading.Lock()
        _sessions.add(self)
        self._shape = parts.quantized.shape(parts.quantized.input)
        self._shapes = {parts.graph.shape(parts.graph.input), self._shape}

    @property
    def settings(self) -> SessionSettings:
        """Batch, timing, record, options and threads, as given."""
        return self._settings

    @property
    def steps(self) -> int:
        """Number of steps simulated since the start or the last reset."""
        return self._chip.steps

    @property
    def time(self) -> float | None:
        """Simulated time since the start or the last reset, s; None without dt."""
        return None if self.dt is None else self.steps * self.dt

    @property
    def dt(self) -> float | None:
        """Length of a step, s; None if unknown."""
        return self._parts.graph.dt

    def run(self, spikes: InputSpikes, *, steps: int | None = None) -> Recording:
        """Simulate more steps.

        Args:
            spikes: counts (batch, time, *input shape), of any length. Or event arrays, one a
                sample, on chips that take them; ``t`` is the time since the start of the session
                or its last reset, µs. A piece of events ends with a step: an event before the end
                of the last piece is refused. ``stream`` takes events that are cut anywhere.
            steps: number of steps, for event arrays; by default up to the last event, and 0
                without events.

        Returns:
            A Recording as of ``Deployment.simulate``, without its ``state``; ``first`` is the
            number of its first step.

        Raises:
            ValueError: invalid spikes, another number of samples, or events out of place.
        """
        with self._lock:
            if steps is None and self._is_plain(spikes):
                counts = spikes
                if counts.shape[2:] != self._shape:
                    counts = counts.reshape(*counts.shape[:2], *self._shape)
                try:
                    return self._named.recording(self._chip.run(counts))
                except ValueError:
                    chip_input(self._parts, spikes)  # its message is in the user's terms
                    raise
            given = chip_input(self._parts, spikes)
            found = samples_of(given)
            if found != self._settings.batch:
                raise ValueError(
                    f"spikes must have {plural(self._settings.batch, 'sample')}, the batch of this "
                    f"session, got {found}"
                )
            return self._named.recording(self._chip.run(given, steps))

    def _is_plain(self, spikes: InputSpikes) -> TypeGuard[Array]:
        """Return whether ``spikes`` are whole numbers in the expected shape: the fast path."""
        return (
            type(spikes) is np.ndarray
            and spikes.dtype.kind in "biu"
            and spikes.ndim > 1
            and spikes.shape[2:] in self._shapes
            and len(spikes) == self._settings.batch
        )

    def stream(self, pieces: Iterable[InputSpikes]) -> Iterator[Recording]:
        """Simulate pieces one after the other, such as those of a generator.

        Args:
            pieces: spikes as for ``run``. Event arrays may be cut anywhere, also within a step:
                the events of a step are held back until a later event or the end of ``pieces``.

        Yields:
            The recording of each piece; of events, of the steps that are complete.

        >>> import numpy as np
        >>> from toolchain import deploy
        >>> from toolchain.ir import Conv2d, Graph, Input, Neuron, Output
        >>> graph = Graph.chain(
        ...     {
        ...         "input": Input(shape=(1, 4, 4)),
        ...         "conv": Conv2d(weight=np.ones((2, 1, 3, 3))),
        ...         "if": Neuron(shape=(2, 2, 2), v_threshold=1.0),
        ...         "output": Output(),
        ...     },
        ...     dt=1e-3,
        ... )
        >>> session = deploy(graph, "speck2f").session()
        >>> event = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")]
        >>> def packets():
        ...     for t in (200, 900, 2500):
        ...         yield np.array([(1, 1, t, 0)], event)
        >>> [run.spikes.shape[1] for run in session.stream(packets())], session.steps
        ([0, 0, 2, 1], 3)
        """
        for spikes, steps in whole_steps(pieces, self):
            yield self.run(spikes, steps=steps)

    def reset(self) -> None:
        """Return to the initial state and to step 0."""
        with self._lock:
            self._chip.reset()

    @property
    def state(self) -> ChipState:
        """State after the last step: a copy, for ``restore`` and ``Deployment.simulate``."""
        with self._lock:
            return self._state()

    def _state(self) -> ChipState:
        return ChipState(**self._origin(), steps=self._chip.steps, arrays=self._chip.state())

    def _origin(self) -> dict[str, str]:
        """Return what a state must have in common with this session."""
        on_chip = self._parts.on_chip
        return {
            "chip": on_chip.chip.name,
            "timing": self._settings.timing,
            "program": on_chip.digest(),
        }

    def restore(self, state: ChipState) -> None:
        """Continue from a state of this deployment, with its number of steps.

        Raises:
            ValueError: a state of another chip, program, timing or batch; nothing is changed.
        """
        _check_state(state, self._origin(), self._settings.batch)
        with self._lock:
            self._chip.restore(state.arrays, state.steps)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the state to ``folder`` and return its path; an older state is replaced.

        Raises:
            ArtifactError: ``folder`` contains anything else, or cannot be written.
        """
        return write_state(self.state, folder)

    def load(self, folder: str | os.PathLike[str]) -> None:
        """Continue from the state that ``save`` wrote to ``folder``.

        Raises:
            ArtifactError: it is missing or damaged.
            ValueError: see ``restore``.
        """
        self.restore(read_state(folder))

    def sheet(self) -> Sheet:
        """Describe chip, timing, number of samples and steps."""
        each = "" if self.dt is None else f" of {short(1e3 * self.dt, 6)} ms"
        batch = plural(self._settings.batch, "sample")
        line = f"{self._settings.timing}, {batch}, {plural(self.steps, 'step')}{each}"
        return Sheet((Text((f"session of {self._parts.on_chip.chip.title}: {line}",)),))

    def as_dict(self) -> dict[str, Any]:
        """Return the settings, the steps and the time as plain data."""
        return {
            "chip": self._parts.on_chip.chip.name,
            "timing": self._settings.timing,
            "batch": self._settings.batch,
            "record": plain(self._named.asked),
            "steps": self.steps,
            "time": plain(self.time),
        }

    def __repr__(self) -> str:
        """Return chip, timing, number of samples and steps."""
        name, settings = self._parts.on_chip.chip.name, self._settings
        return (
            f"Session(chip={name!r}, timing={settings.timing!r}, batch={settings.batch}, "
            f"steps={self.steps})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle the deployment and the state; tables and buffers are made anew."""
        return _continued, (self._parts, self._settings, self.state)


def _unlock() -> None:
    """Unlock all sessions in a forked child process, which has no threads of its parent.

    A call that one of them was in changes nothing here, as one that is interrupted.
    """
    for session in _sessions:
        session._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def _continued(parts: Parts, settings: SessionSettings, state: ChipState) -> Session:
    session = Session(parts, settings)
    session.restore(state)
    return session


def _check_state(state: Any, origin: Mapping[str, str], batch: int) -> None:
    """Check that a state has this origin and number of samples."""
    if not isinstance(state, ChipState):
        raise ValueError(f"state must be a ChipState, got {type(state).__name__}")
    for name, own in origin.items():
        if getattr(state, name) != own:
            raise ValueError(
                f"the state is one of {name} {getattr(state, name)}, this is {name} {own}"
            )
    if type(state.steps) is not int or state.steps < 0:
        raise ValueError(f"the state has {state.steps!r} steps, need an integer >= 0")
    if state.samples != batch:
        raise ValueError(
            f"the state has {plural(state.samples, 'sample')}, need {batch}, one for each of the "
            "spikes"
        )


def run_once(
    parts: Parts,
    spikes: InputSpikes,
    *,
    record: Record,
    timing: Timing,
    state: ChipState | None,
    steps: int | None,
) -> Recording:
    """Simulate ``spikes`` from ``state``, or from the initial one; see ``Deployment.simulate``.

    Raises:
        ValueError: invalid arguments, or ones that the chip's family does not have.
    """
    family, on_chip = family_of(parts.on_chip.chip), parts.on_chip
    if "session" not in family.CAPABILITIES:
        if state is not None or steps is not None:
            raise ValueError(
                f"{on_chip.chip.name}: its family does not support sessions, nor state= and steps= "
                "of simulate"
            )
        named, given = NamedRecordings(parts, record), chip_input(parts, spikes)
        return named.recording(on_chip.simulate(given, record=named.record, timing=timing))
    if type(spikes) is not np.ndarray or are_events(spikes):
        spikes = chip_input(parts, spikes)
    if steps is None and are_events(spikes) and not any(map(len, _streams(spikes))):
        raise ValueError("spikes have no events: give steps=... to simulate them")
    settings = SessionSettings(batch=samples_of(spikes), timing=timing, record=record)
    session = Session(parts, settings)
    if state is not None:
        session.restore(state)
    recording = session.run(spikes, steps=steps)
    # nobody else has the recording yet; a copy of it would cost as much as a step
    object.__setattr__(recording, "state", session.state)
    return recording


def _streams(events: InputSpikes) -> list[Array]:
    return list(events) if isinstance(events, list | tuple) else [np.asarray(events)]
