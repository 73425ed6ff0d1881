"""A program on a board: find it, load it, send events, read spikes and power.

Reached only when a user asks, with the vendor's own library. It has not met the real library: it
was written against the manual, sinabs' documentation and what others' programs for these boards are
seen to call, so the first run on a board should be compared with
:func:`toolchain.chips.speck.simulate.run`.

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
    """What a board did.

    Attributes:
        spikes: by name of each monitored layer, an event array ``x, y, t, p``; t in µs on the
            board's clock, which was set to 0 before the first event was sent.
        pins: what the readout's pins showed, int64 (n, 2) of class and time in µs.
        values: the words that the readout sent, int64 (n,); ``simulate.readout.unpack_word`` takes
            one apart.
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
    """The board's answer to ``events``, from the membranes that its configuration sets.

    Biases and the readout need a slow clock: the board's is set to one tick in ``dt`` of the
    program, and runs freely, so that ticks and events do not keep step as in a simulation.

    Args:
        program: what is loaded, placed; its chip decides which boards will do.
        events: input ``x, y, t, p``, t in µs from 0 on; see ``addresses.to_events`` for rasters.
        board: name of the board; needed where several are free.
        quiet_s: a run is over when nothing has come for so long after the last event's time, s.
        timeout_s: and at the latest so long after that, s.
        power_hz: readings of the power a second, at most 100; None measures none.
        extras: blocks that are not simulated.
        samna: the vendor's library; the installed one unless given.

    Raises:
        DeployError: the chip has no field for a part of the program.
        ValueError: events that are none; layers without a core; no dt where a slow clock is needed.
        VendorError: samna is absent or a stub; no board, several, or only others are free; the
            library refuses the configuration, lacks what is documented, or the board does not stop
            to send spikes.
    """
    length = _last_time(program, events)
    sent = to_board(program, events) if program.sensor is None else events
    with _loaded(program, extras, board, samna) as found:
        source = found.source_to(part(found.device, "get_model_sink_node")())
        sink = found.sink_from(part(found.device, "get_model_source_node")())
        sink.get_events()  # what came while it was loaded
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
    """Mean power of each rail with ``program`` loaded and nothing sent to it, W.

    The board's monitor is off by up to 50 µW a rail (Speck Dev Kit Datasheet).

    Args:
        program: what is loaded, placed.
        seconds: how long to measure, s.
        rate_hz: readings a second, at most 100.
        board, extras, samna: as for :func:`run`.

    Raises:
        DeployError, ValueError, VendorError: as for :func:`run`.
    """
    with _loaded(program, extras, board, samna) as found:
        return power_at_rest(found.measured(rate_hz, CHANNELS), seconds)


# ---- what it does ----


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
    """What the board's slow clock is set to; None leaves it off."""
    if extras is not None and extras.slow_clock_divider is not None:
        return None
    leaks = any(core.bias is not None and core.bias.any() for core in program.cores)
    if program.dt is None and (leaks or program.readout is not None):
        raise ValueError("biases and the readout need a slow clock: the program has no dt")
    return slow_clock_hz(program)


def _last_time(program: SpeckProgram, events: Array) -> int:
    """Of the last event, µs; ValueError where the events are none of the program's input."""
    checked = EventArrays([events], program.input_shape, 2**62, 1)
    times = checked.times(0, events)
    return int(times[-1]) if len(times) else 0


def _start_clock(device: Any) -> None:
    """Times of events count from here."""
    watch = part(device, "get_stop_watch")()
    part(watch, "set_enable_value")(True)
    part(watch, "reset")()


def _vendor_events(surface: Any, sent: Array) -> list[Any]:
    """The vendor's events: spikes for cores, or those of a camera."""
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
    """Everything that comes until nothing has come for ``quiet_s`` after the input's end."""
    received: list[Any] = []
    end = last = time.monotonic() + length_s
    while True:
        now = time.monotonic()
        # a busy machine may have slept through the quiet time: only an empty reading ends the run
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
    """What came of one kind: rows of the named attributes, int64 (n, names), or ``SPIKES``."""
    wanted = part(surface, f"event.{kind}")
    rows = [
        tuple(int(part(event, name)) for name in names)
        for event in received
        if isinstance(event, wanted)
    ]
    if kind == "Spike":
        return np.array(rows, SPIKES)
    return np.array(rows, np.int64).reshape(len(rows), len(names))
