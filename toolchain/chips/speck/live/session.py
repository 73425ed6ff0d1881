"""A session with a board: find it, load a program, send events, read spikes and power.

Needs the vendor's library. It was written from the manual, sinabs' documentation and published
programs for these boards, and not tested with the library itself: compare the first run on a board
with :func:`toolchain.chips.speck.simulate`.

Source: Speck Dev Kit Datasheet, sec. 3.2; sinabs documentation, "Power monitoring" and "Leak
neuron"; samna documentation (device controller, Speck models).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.speck.emit.addresses import SPIKES, from_board, to_board
from toolchain.chips.speck.emit.extras import Extras
from toolchain.chips.speck.emit.tree import configuration, slow_clock_hz
from toolchain.chips.speck.live.boards import BOARDS, find_boards
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.events import EventArrays
from toolchain.chips.synsense.boards import Board
from toolchain.chips.synsense.session import PAUSE_S, BoardRun, OpenBoard, power_at_rest
from toolchain.chips.synsense.vendor import part
from toolchain.diagnostics import VendorError

__all__ = ["RAILS", "Board", "LiveRun", "find_boards", "read_power", "run"]

RAILS = ("io", "ram", "logic", "pixel_digital", "pixel_analog")
"""Names of the board's power channels, in order, as in the chip's specification.

Source: Speck Dev Kit Datasheet tab. 7; sinabs documentation, "Power monitoring".
"""

CHANNELS = dict(enumerate(RAILS))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveRun(BoardRun):
    """Output of a run on a board.

    Attributes:
        spikes: by name of each monitored layer, an event array ``x, y, t, p``; t in µs on the
            board's clock, which is set to 0 before the first event is sent.
        pins: states of the readout's pins, int64 (n, 2) of class and time in µs.
        values: words of the readout, int64 (n,); ``simulate.readout.unpack_word`` decodes one.

    >>> from toolchain.chips.speck.simulate.readout import unpack_word
    >>> answer = LiveRun(board="Speck2fDevKit:0", spikes={}, power_w=None,
    ...                  pins=np.array([[2, 1500]]), values=np.array([0x120003]))
    >>> unpack_word(answer.values[0])
    ReadoutWord(valid=True, index=2, payload=3)
    """

    spikes: Mapping[str, Array]
    pins: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]


def run(
    program: SpeckProgram,
    events: Array,
    *,
    board: str | None = None,
    quiet_s: float = 0.5,
    timeout_s: float = 30.0,
    power_hz: float | None = None,
    extras: Extras | None = None,
    samna: Any = None,
) -> LiveRun:
    """Run ``program`` on a board with ``events``, from the configured initial membranes.

    Biases and the readout need a slow clock: the board's is set to one tick in ``dt`` of the
    program and runs freely, so ticks and events are not synchronized as in a simulation.

    Args:
        program: a placed program; its chip decides which boards are suitable.
        events: input ``x, y, t, p``, t in µs from 0 on; see ``addresses.to_events`` for rasters.
        board: name of the board; required where several are free.
        quiet_s: the run ends when no event was received for this long after the input, s.
        timeout_s: longest time to wait after the input, s.
        power_hz: readings of the power, Hz, at most 100; None measures none.
        extras: settings of blocks that are not simulated.
        samna: the vendor's library; by default the installed one.

    Raises:
        DeployError: the chip has no field for a part of the program.
        ValueError: invalid events, layers that are not placed, or no dt where a slow clock is
            needed.
        VendorError: samna is not installed or a stub; no suitable board or several are free; the
            library refuses the configuration or lacks a documented function; or the board still
            sends spikes at the timeout.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> from toolchain.chips.speck import to_events
    >>> (events,) = to_events(np.ones((4, 3, 1, 1), int), (3, 1, 1), dt=1e-3)
    >>> from types import SimpleNamespace
    >>> device = SimpleNamespace(get_unopened_devices=list)
    >>> samna = SimpleNamespace(device=device)  # stand-in for the vendor's library: no board
    >>> try:
    ...     run(program.placed({"spk": 3}), events, samna=samna)
    ... except VendorError as error:
    ...     print(type(error).__name__)
    VendorError
    """
    length = _last_time(program, events)
    sent = to_board(program, events) if program.sensor is None else events
    with _loaded(program, extras, board, samna) as found:
        source = found.source_to(part(found.device, "get_model_sink_node")())
        sink = found.sink_from(part(found.device, "get_model_source_node")())
        sink.get_events()  # discard events from before the run
        with found.measured(power_hz, CHANNELS) as power:
            _start_clock(found.device)
            source.write(_vendor_events(found.surface, sent))
            received = _collect(sink, length * 1e-6, quiet_s, timeout_s)
    surface = found.surface
    return LiveRun(
        board=found.name,
        spikes=from_board(program, _rows_of_kind(surface, "Spike", received, SPIKES.names or ())),
        pins=_rows_of_kind(surface, "ReadoutPinValue", received, ("index", "timestamp")),
        values=_rows_of_kind(surface, "ReadoutValue", received, ("value",))[:, 0],
        power_w=power,
    )


def read_power(
    program: SpeckProgram,
    *,
    seconds: float = 1.0,
    rate_hz: float = 100.0,
    board: str | None = None,
    extras: Extras | None = None,
    samna: Any = None,
) -> dict[str, float]:
    """Return the mean power of each rail with ``program`` loaded and no input, W.

    The board's monitor is off by up to 50 µW a rail (Speck Dev Kit Datasheet).

    Args:
        program: a placed program.
        seconds: length of the measurement, s.
        rate_hz: readings, Hz, at most 100.
        board, extras, samna: as for :func:`run`.

    Raises:
        DeployError, ValueError, VendorError: as for :func:`run`.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> from types import SimpleNamespace
    >>> device = SimpleNamespace(get_unopened_devices=list)
    >>> samna = SimpleNamespace(device=device)  # stand-in for the vendor's library: no board
    >>> try:
    ...     read_power(program.placed({"spk": 3}), samna=samna)
    ... except VendorError as error:
    ...     print(type(error).__name__)
    VendorError
    """
    with _loaded(program, extras, board, samna) as found:
        return power_at_rest(found.measured(rate_hz, CHANNELS), seconds)


# ---- steps of a session ----


@contextmanager
def _loaded(
    program: SpeckProgram, extras: Extras | None, board: str | None, samna: Any
) -> Iterator[OpenBoard]:
    """Open a board configured with ``program``, and start its slow clock if it is needed."""
    chip = BOARDS.chip(program.chip)
    config = configuration(program, chip, extras=extras)
    clock = _clock_hz(program, extras)
    with BOARDS.loaded(chip, config, board, samna) as found:
        module = part(found.device, "get_io_module")()
        if clock is not None:
            part(module, "set_slow_clk_rate")(clock)
        part(module, "set_slow_clk")(clock is not None)
        yield found


def _clock_hz(program: SpeckProgram, extras: Extras | None) -> float | None:
    """Return the frequency for the board's slow clock; None leaves it off."""
    if extras is not None and extras.slow_clock_divider is not None:
        return None
    leaks = any(core.bias is not None and core.bias.any() for core in program.cores)
    if program.dt is None and (leaks or program.readout is not None):
        raise ValueError("biases and the readout need a slow clock: the program has no dt")
    return slow_clock_hz(program)


def _last_time(program: SpeckProgram, events: Array) -> int:
    """Return the time of the last event, µs; raise ValueError if events do not fit the input."""
    _, times = EventArrays([events], program.input_shape, 2**62, 1).timed(0)
    return int(times[-1]) if len(times) else 0


def _start_clock(device: Any) -> None:
    """Reset the board's clock to 0."""
    watch = part(device, "get_stop_watch")()
    part(watch, "set_enable_value")(True)
    part(watch, "reset")()


def _vendor_events(surface: Any, sent: Array) -> list[Any]:
    """Convert to the vendor's events: spikes for cores, or events of a camera."""
    if "layer" in (sent.dtype.names or ()):
        kind, names = part(surface, "event.Spike"), {n: n for n in SPIKES.names or ()}
    else:
        kind = part(surface, "event.DvsEvent")
        names = {"x": "x", "y": "y", "p": "p", "timestamp": "t"}
    events_out = []
    for row in sent:
        event = kind()
        for attribute, column in names.items():
            setattr(event, attribute, int(row[column]))
        events_out.append(event)
    return events_out


def _collect(sink: Any, length_s: float, quiet_s: float, timeout_s: float) -> list[Any]:
    """Return all events until none has come for ``quiet_s`` after the end of the input."""
    received: list[Any] = []
    end = last = time.monotonic() + length_s
    while True:
        now = time.monotonic()
        # a busy machine may have paused longer than quiet_s: only an empty reading ends the run
        if found := sink.get_events():
            if now > end + timeout_s:
                raise VendorError(
                    f"the board still sends events {timeout_s:g} s after its last input"
                )
            received += found
            last = max(end, now)
        elif now >= last + quiet_s:
            return received
        else:
            time.sleep(PAUSE_S)


def _rows_of_kind(surface: Any, kind: str, received: list[Any], names: tuple[str, ...]) -> Array:
    """Return the events of one kind: named attributes, int64 (n, names), or ``SPIKES``."""
    wanted = part(surface, f"event.{kind}")
    rows = [
        tuple(int(part(event, name)) for name in names)
        for event in received
        if isinstance(event, wanted)
    ]
    if kind == "Spike":
        return np.array(rows, SPIKES)
    return np.array(rows, np.int64).reshape(len(rows), len(names))
