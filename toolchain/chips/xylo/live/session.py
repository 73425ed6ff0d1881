"""A program on a board: find the board, load, run a raster in accelerated time, measure power.

Used only on request, with the vendor's own library. It was not tested with the real library: it
was written from its documentation and from recordings of its attributes, so compare the first run
on a board with :func:`toolchain.chips.xylo.simulate`.

Source: samna documentation (device models, accelerated mode of Xylo IMU and Xylo Audio 3, power
measurements of Xylo Audio 3); Rockpool documentation for the end of a run on Xylo Audio 2.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.chips.synsense.boards import Board
from toolchain.chips.synsense.session import PAUSE_S, BoardRun, OpenBoard, power_at_rest
from toolchain.chips.synsense.vendor import part
from toolchain.chips.xylo.emit.tree import configuration
from toolchain.chips.xylo.live.boards import BOARDS, XyloKind, check_versions, find_boards
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate.raster import as_counts
from toolchain.diagnostics import VendorError

__all__ = ["Board", "LiveRun", "check_versions", "find_boards", "read_power", "run"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveRun(BoardRun):
    """Result of a run on a board.

    Attributes:
        spikes: int8 ``(T, Nout)`` output spikes per step.
        readout: int16 ``(T, Nout)`` states of the outputs, where the program reads them.

    >>> spikes = np.array([[0, 1], [0, 1], [1, 0]], np.int8)
    >>> result = LiveRun(board="XyloA2TestBoard:0", spikes=spikes, power_w={})
    >>> result.spikes.sum(axis=0).tolist()
    [1, 2]
    """

    spikes: npt.NDArray[np.int8]
    readout: npt.NDArray[np.int16] | None = None


def run(
    program: XyloProgram,
    raster: npt.ArrayLike,
    *,
    board: str | None = None,
    power_hz: float | None = None,
    timeout_s: float = 10.0,
    firmware: Mapping[str, str] | None = None,
    samna: Any = None,
) -> LiveRun:
    """Run ``raster`` on a board in accelerated time, from the state after configuration.

    That state is zero on Xylo Audio 2, where the configuration resets it. No recording shows how to
    reset the other boards: power-cycle them if another program has run on them.

    Args:
        program: the program; its chip decides which boards are suitable.
        raster: input ``(T, Nin)`` or ``(1, T, Nin)`` counts, T > 0.
        board: name of the board; needed where several are free.
        power_hz: power readings a second; None measures no power.
        timeout_s: longest wait for the outputs, s.
        firmware: versions of the board's firmware for :func:`check_versions`, which the board does
            not report; not checked unless given.
        samna: the vendor's library; the installed one unless given.

    Raises:
        DeployError: the program does not fit the chip.
        ValueError: a raster that is not made of counts the program accepts.
        VendorError: samna is absent, a stub or too old; no board, several, or only others are
            free; the library refuses the configuration or does not respond as documented.

    >>> from types import SimpleNamespace
    >>> from toolchain.chips.xylo import XyloProgram
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> no_board = SimpleNamespace(device=SimpleNamespace(get_unopened_devices=list))
    >>> try:  # without samna=, the installed library
    ...     run(program, [[1], [0]], samna=no_board)
    ... except VendorError as error:
    ...     print(error)
    no XyloA2TestBoard (board of xylo_a2) is free; free boards: none
    """
    chip = BOARDS.chip(program.chip)
    counts = as_counts(program, raster)
    if len(counts) != 1 or not counts.shape[1]:
        raise ValueError(f"a board runs one sample of 1 timestep or more, got {counts.shape[:2]}")
    check_versions(chip, firmware or {})
    fields = _fields(program)
    with _loaded(program, board, samna) as found, _measured(found, power_hz) as power:
        read = _evolve(found, BOARDS.kind(chip), counts[0], program.outputs, timeout_s, fields)
    spikes, *states = (np.array(values) for values in read)
    return LiveRun(
        board=found.name,
        spikes=spikes.astype(np.int8),
        readout=states[0].astype(np.int16) if states else None,
        power_w=power,
    )


def read_power(
    program: XyloProgram,
    *,
    seconds: float = 1.0,
    rate_hz: float = 100.0,
    board: str | None = None,
    samna: Any = None,
) -> dict[str, float]:
    """Return the mean power of each measured channel with ``program`` loaded and idle, W.

    Args:
        program: the program.
        seconds: duration of the measurement, s.
        rate_hz: readings a second.
        board: as for :func:`run`.
        samna: as for :func:`run`.

    Raises:
        DeployError, VendorError: as for :func:`run`.

    >>> from types import SimpleNamespace
    >>> from toolchain.chips.xylo import XyloProgram
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> no_board = SimpleNamespace(device=SimpleNamespace(get_unopened_devices=list))
    >>> try:  # without samna=, the installed library
    ...     read_power(program, seconds=2.0, samna=no_board)
    ... except VendorError as error:
    ...     print(error)
    no XyloA2TestBoard (board of xylo_a2) is free; free boards: none
    """
    with _loaded(program, board, samna) as found:
        return power_at_rest(_measured(found, rate_hz), seconds)


# ---- what it does ----


def _loaded(
    program: XyloProgram, board: str | None, samna: Any
) -> AbstractContextManager[OpenBoard]:
    """Open a board configured with ``program``, with all states 0 where the board has a reset."""
    chip = BOARDS.chip(program.chip)
    reset = dict.fromkeys(BOARDS.kind(chip).reset, True)
    return BOARDS.loaded(chip, configuration(program, chip) | reset, board, samna)


def _evolve(
    board: OpenBoard,
    kind: XyloKind,
    counts: npt.NDArray[np.uint8],
    outputs: int,
    timeout_s: float,
    fields: tuple[str, ...],
) -> tuple[list[list[int]], ...]:
    """Send ``counts (T, Nin)`` and return each of ``fields`` of the outputs, ``(T, Nout)``."""
    events = part(board.surface, "event")
    model = board.model
    source = board.source_to(part(model, "get_sink_node")())
    sink = board.sink_from(part(model, "get_source_node")())
    source.write([part(events, "TriggerReadout")()])
    now = next(iter(_readouts(sink, events, kind, time.monotonic() + timeout_s)), None)
    if now is None:
        raise VendorError(f"{kind.devices[0]} gave no Readout within {timeout_s:g} s")
    # a readout carries the last step that was processed
    first = int(part(now, kind.time)) + 1
    source.write([*_input_events(events, kind, counts, first)])
    rows: dict[int, list[list[int]]] = {}
    for readout in _readouts(sink, events, kind, time.monotonic() + timeout_s):
        step = int(part(readout, kind.time)) - first
        if 0 <= step < len(counts):
            rows[step] = [[*map(int, part(readout, field))] for field in fields]
        if len(rows) == len(counts):
            break
    if kind.input_registers:
        clear = part(events, "WriteRegisterValue")
        source.write([clear(address=a, data=0) for a in kind.input_registers])
    if len(rows) < len(counts):
        raise VendorError(
            f"{kind.devices[0]} read out {len(rows)} of {len(counts)} timesteps within "
            f"{timeout_s:g} s"
        )
    short = min(len(values) for row in rows.values() for values in row)
    if short < outputs:
        raise VendorError(f"a Readout has {short} output neurons, the program {outputs}")
    return tuple(
        [rows[step][each][:outputs] for step in range(len(counts))] for each in range(len(fields))
    )


def _fields(program: XyloProgram) -> tuple[str, ...]:
    """Return the fields of a Readout that contain what the program reads, spikes first.

    A membrane without memory and bias equals the current, for which no field is recorded.

    Raises:
        VendorError: currents of outputs whose membranes have a memory.
    """
    if program.readout == "spikes":
        return ("output_spikes",)
    if program.readout == "i_syn" and (program.dash_mem_out.any() or program.bias_out.any()):
        raise VendorError(
            "no recording shows how a board gives the currents of its outputs; with dash_mem_out 0 "
            "and without biases their membranes equal them"
        )
    return ("output_spikes", "output_v_mems")


def _input_events(
    events: Any, kind: XyloKind, counts: npt.NDArray[np.uint8], first: int
) -> Iterator[Any]:
    """Yield one event a spike, in order of time, and the event that completes the last step."""
    spike = part(events, "Spike")
    for step, channel in np.argwhere(counts).tolist():
        for _ in range(int(counts[step, channel])):
            yield spike(**{"neuron_id": channel, kind.time: first + step})
    end = first + len(counts)
    if kind.stops:
        yield part(events, "TriggerProcessing")(target_timestep=end)
    else:
        yield spike(**{"neuron_id": 0, kind.time: end})


def _readouts(sink: Any, events: Any, kind: XyloKind, deadline: float) -> Iterator[Any]:
    """Yield readouts as they arrive, until ``deadline``."""
    readout = part(events, "Readout")
    while time.monotonic() < deadline:
        found = [event for event in sink.get_events() if isinstance(event, readout)]
        yield from sorted(found, key=lambda event: int(part(event, kind.time)))
        if not found:
            time.sleep(PAUSE_S)


def _measured(board: OpenBoard, rate_hz: float | None) -> AbstractContextManager[dict[str, float]]:
    """Measure power, by the library's own channel names."""
    if rate_hz is not None:
        part(board.device, "get_stop_watch")().start()
    return board.measured(rate_hz, _channel_names(board.surface))


def _channel_names(surface: Any) -> dict[int, str]:
    """Return the vendor's names of power channels, by number; empty if it has none."""
    members = getattr(getattr(surface, "MeasurementChannels", None), "__members__", {})
    return {int(member): str(name) for name, member in members.items()}
