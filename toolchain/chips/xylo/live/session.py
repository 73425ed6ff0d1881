"""A program on a board: find it, load it, run a raster as fast as it goes, read outputs and power.

Reached only when a user asks, with the vendor's own library. It has not met the real library: it
was written against its documentation and against recordings of its attribute surface, so the first
run on a board should be compared with :func:`toolchain.chips.xylo.simulate.run`.

Source: samna documentation (device models, accelerated mode of Xylo IMU and Xylo Audio 3, power
measurements of Xylo Audio 3); Rockpool documentation for the end of a run on Xylo Audio 2.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.chips.synsense.boards import Board, part
from toolchain.chips.synsense.vendor import assign, library
from toolchain.chips.xylo.emit.tree import configuration
from toolchain.chips.xylo.live.boards import (
    Kind,
    check_versions,
    find_boards,
    kind_of,
    opened,
    xylo,
)
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate.run import as_counts
from toolchain.diagnostics import VendorError
from toolchain.hardware import XyloChip

__all__ = ["Board", "LiveRun", "check_versions", "find_boards", "read_power", "run"]

PAUSE_S = 0.001
"""Between two looks for events, s."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveRun:
    """What a board did.

    Attributes:
        board: its name.
        spikes: int8 ``(T, Nout)`` output spikes a step.
        power_w: mean power of each measured channel during the run, W; empty unless asked for.
    """

    board: str
    spikes: npt.NDArray[np.int8]
    power_w: dict[str, float]


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
    """The board's answer to ``raster`` in accelerated time, from the state after configuration.

    That state is zero on Xylo Audio 2, which is told so. For the other boards no recording shows
    how to ask for it: power them anew where something else has run on them.

    Args:
        program: what is loaded; its chip decides which boards will do.
        raster: input ``(T, Nin)`` or ``(1, T, Nin)`` counts, T > 0.
        board: name of the board; needed where several are free.
        power_hz: readings of the power a second; None measures none.
        timeout_s: how long to wait for the outputs, s.
        firmware: versions of the board's firmware for :func:`check_versions`, which cannot be
            asked of the board; not checked unless given.
        samna: the vendor's library; the installed one unless given.

    Raises:
        DeployError: the chip has no room for the program.
        ValueError: a raster that is no such counts.
        VendorError: samna is absent, a stub or too old; no board, several, or only others are
            free; the library refuses the configuration or does not answer as documented.
    """
    chip = xylo(program.chip)
    counts = as_counts(program, raster)
    if len(counts) != 1 or not counts.shape[1]:
        raise ValueError(f"a board runs one sample of 1 timestep or more, got {counts.shape[:2]}")
    tree = configuration(program, chip)
    check_versions(chip, firmware or {})
    vendor = library() if samna is None else samna
    with opened(vendor, chip, board) as (name, device):
        model = _loaded(vendor, chip, device, tree)
        with _measured(vendor, chip, device, power_hz) as power:
            spikes = _evolve(vendor, chip, model, counts[0], program.outputs, timeout_s)
    return LiveRun(board=name, spikes=spikes, power_w=power)


def read_power(
    program: XyloProgram,
    *,
    seconds: float = 1.0,
    rate_hz: float = 100.0,
    board: str | None = None,
    samna: Any = None,
) -> dict[str, float]:
    """Mean power of each measured channel with ``program`` loaded and nothing to do, W.

    Args:
        program: what is loaded.
        seconds: how long to measure, s.
        rate_hz: readings a second.
        board, samna: as for :func:`run`.

    Raises:
        DeployError, VendorError: as for :func:`run`.
    """
    chip = xylo(program.chip)
    tree = configuration(program, chip)
    vendor = library() if samna is None else samna
    with opened(vendor, chip, board) as (_, device):
        _loaded(vendor, chip, device, tree)
        with _measured(vendor, chip, device, rate_hz) as power:
            time.sleep(seconds)
    return power


# ---- what it does ----


def _loaded(vendor: Any, chip: XyloChip, device: Any, tree: Mapping[str, Any]) -> Any:
    """The model of the chip on ``device``, configured with ``tree``."""
    surface = _surface(vendor, chip)
    classes = part(surface, "configuration")
    reset = dict.fromkeys(kind_of(chip).reset, True)
    live = assign(part(classes, "XyloConfiguration")(), {**tree, **reset}, classes)
    valid, why = part(surface, "validate_configuration")(live)
    if not valid:
        raise VendorError(f"samna refuses the configuration: {why}")
    # boards of Xylo Audio 2 are recorded with the longer name only
    name = "get_model" if hasattr(device, "get_model") else "get_xylo_model"
    model = part(device, name)()
    part(model, "apply_configuration")(live)
    return model


def _evolve(
    vendor: Any,
    chip: XyloChip,
    model: Any,
    counts: npt.NDArray[np.uint8],
    outputs: int,
    timeout_s: float,
) -> npt.NDArray[np.int8]:
    """Send ``counts (T, Nin)`` and read output spikes ``(T, Nout)``."""
    events, kind = part(_surface(vendor, chip), "event"), kind_of(chip)
    source = part(vendor, "graph.source_to")(part(model, "get_sink_node")())
    sink = part(vendor, "graph.sink_from")(part(model, "get_source_node")())
    source.write([part(events, "TriggerReadout")()])
    now = next(iter(_readouts(sink, events, kind, time.monotonic() + timeout_s)), None)
    if now is None:
        raise VendorError(f"{kind.device} gave no Readout within {timeout_s:g} s")
    # a readout carries the last step that was processed
    first = int(part(now, kind.time)) + 1
    source.write([*_input_events(events, kind, counts, first)])
    rows: dict[int, list[int]] = {}
    for readout in _readouts(sink, events, kind, time.monotonic() + timeout_s):
        step = int(part(readout, kind.time)) - first
        if 0 <= step < len(counts):
            rows[step] = [*map(int, part(readout, "output_spikes"))]
        if len(rows) == len(counts):
            break
    if kind.input_registers:
        clear = part(events, "WriteRegisterValue")
        source.write([clear(address=a, data=0) for a in kind.input_registers])
    if len(rows) < len(counts):
        raise VendorError(
            f"{kind.device} read out {len(rows)} of {len(counts)} timesteps within {timeout_s:g} s"
        )
    short = min(map(len, rows.values()))
    if short < outputs:
        raise VendorError(f"a Readout has {short} output neurons, the program {outputs}")
    return np.array([rows[step][:outputs] for step in range(len(counts))], np.int8)


def _input_events(
    events: Any, kind: Kind, counts: npt.NDArray[np.uint8], first: int
) -> Iterator[Any]:
    """One event a spike, in order of time, and what makes the last step be processed."""
    spike = part(events, "Spike")
    for step, channel in np.argwhere(counts).tolist():
        for _ in range(int(counts[step, channel])):
            yield spike(**{"neuron_id": channel, kind.time: first + step})
    end = first + len(counts)
    if kind.stops:
        yield part(events, "TriggerProcessing")(target_timestep=end)
    else:
        yield spike(**{"neuron_id": 0, kind.time: end})


def _readouts(sink: Any, events: Any, kind: Kind, deadline: float) -> Iterator[Any]:
    """Readouts as they come, until ``deadline``."""
    readout = part(events, "Readout")
    while time.monotonic() < deadline:
        found = [event for event in sink.get_events() if isinstance(event, readout)]
        yield from sorted(found, key=lambda event: int(part(event, kind.time)))
        if not found:
            time.sleep(PAUSE_S)


@contextmanager
def _measured(
    vendor: Any, chip: XyloChip, device: Any, rate_hz: float | None
) -> Iterator[dict[str, float]]:
    """Fills the dictionary with mean power by channel, W, at the end; not without a rate."""
    means: dict[str, float] = {}
    if rate_hz is None:
        yield means
        return
    monitor = part(device, "get_power_monitor")()
    sink = part(vendor, "graph.sink_from")(part(monitor, "get_source_node")())
    part(device, "get_stop_watch")().start()
    part(monitor, "start_auto_power_measurement")(rate_hz)
    try:
        yield means
    finally:
        part(monitor, "stop_auto_power_measurement")()
    readings: dict[int, list[float]] = {}
    for event in sink.get_events():
        channel = int(part(event, "channel"))
        readings.setdefault(channel, []).append(float(part(event, "value")))
    names = _channel_names(_surface(vendor, chip))
    for channel, values in sorted(readings.items()):
        means[names.get(channel, f"channel {channel}")] = float(np.mean(values))


def _channel_names(surface: Any) -> dict[int, str]:
    """Members of the vendor's enumeration of power channels, by number; empty without one."""
    members = getattr(getattr(surface, "MeasurementChannels", None), "__members__", {})
    return {int(member): str(name) for name, member in members.items()}


def _surface(vendor: Any, chip: XyloChip) -> Any:
    """The part of the library for this chip."""
    return part(vendor, chip.vendor_module.partition(".")[2])
