"""The two simulations of a Speck program, in integers, with threads over samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import each
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.sensor import SensorSamples
from toolchain.chips.speck.simulate.buffers import BatchRun
from toolchain.chips.speck.simulate.clocked import clocked
from toolchain.chips.speck.simulate.event import simulate_events
from toolchain.chips.speck.simulate.events import EventArrays, are_events, in_microseconds
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.raster import Rasters, Samples
from toolchain.chips.speck.simulate.recording import SpeckRecording

__all__ = ["check_wiring", "simulate", "start_state"]

TIMINGS = ("clocked", "event")


def simulate(
    program: SpeckProgram,
    raster: Any,
    *,
    record: bool = False,
    timing: str = "clocked",
    state: Mapping[str, Array] | None = None,
    threads: int | None = None,
    dt: float | None = None,
    steps: int | None = None,
    options: EventOptions | None = None,
) -> SpeckRecording:
    r"""Simulate the program on spikes.

    In **clocked** timing, in each step, core after core in the order of the program:

    .. math::
        v &\leftarrow \mathrm{sat}_{16}\bigl(v + b + \textstyle\sum w\,n_{in}\bigr), \quad
        n = \lfloor v / \theta \rfloor \text{ if } v \ge \theta \text{ else } 0, \\
        v &\leftarrow \max(v - n\,\theta,\ v_{low}) \quad
        \text{(return to zero: } v \leftarrow \max(0, v_{low}) \text{ where } n > 0)

    with an exact sum that is clamped once. Spikes are summed in windows of the destination's
    pooling; rows and columns beyond the last full window are dropped. Where no saturation is
    reported this is sinabs' ``IAFSqueeze`` with the same integers.

    In **event** timing, for each event one after the other, each neuron that the event reaches:

    .. math::
        v \leftarrow \max(\mathrm{sat}_{16}(v + w),\ v_{low}), \quad
        \text{and if } v \ge \theta: \text{ one spike, } v \leftarrow v - \theta
        \text{ (return to zero: } 0)

    A residue at or above the threshold stays until the neuron's next event. The spikes of one event
    are processed by the next core before any later event. This follows the documentation of the
    cores; undocumented details are in ``options``.

    Biases are the chip's leak: in clocked timing part of the sum of each step, in event timing
    a tick of the slow clock in each step. Both assume a slow clock with a period of ``dt``.

    Args:
        program: the program; it need not be placed. Its sensor's event filter is not simulated.
        raster: counts (steps, channels, y, x) or (batch, steps, channels, y, x): integers, bool
            or whole floats from 0 to 32767 (a limit of this simulator, not of the chip).
            Or events: a structured array with the fields ``x, y, t, p`` (column, row, time in µs,
            channel), sorted by time, or a list of them, one a sample. In event timing the spikes
            of a raster are ordered by step, channel, y and x.
        record: record spikes and membranes of every layer at every step.
        timing: ``"clocked"`` or ``"event"``.
        state: membranes to start from, int16 (batch, channels, y, x) or (channels, y, x) by core;
            other cores start from their ``initial``, or from zero.
        threads: samples simulated at a time; by default the number of processors.
        dt: length of a step, s; by default the program's. It must be whole µs for event
            arrays, and for ``events`` in the recording of a raster.
        steps: for event arrays, the number of steps; by default up to the last event.
        options: options of event timing; see ``EventOptions``.

    Raises:
        ValueError: invalid input, state or timing, a network that diverges in event timing, or
            connected layers whose shapes disagree.

    Source: sinabs documentation, layers IAFSqueeze and SumPool2d, and its pages on Speck; Speck
    Dev Kit manual, sections 3.2.4.4 to 3.2.4.6.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> raster = np.zeros((3, 3, 1, 1), int)  # (steps, channels, y, x)
    >>> raster[0] = 1  # three events of weight 5 in the first step
    >>> simulate(program, raster).spikes.tolist()
    [[[1, 1], [0, 0], [0, 0]]]
    >>> simulate(program, raster, timing="event").synops["spk"].tolist()
    [6]
    """
    if timing not in TIMINGS:
        raise ValueError(f"timing must be {' or '.join(map(repr, TIMINGS))}, got {timing!r}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be >= 1, got {threads}")
    if options is not None and timing != "event":
        raise ValueError("options require timing='event'")
    check_wiring(program)
    samples, length = _samples(program, raster, dt, steps)
    if program.sensor is not None:
        samples = SensorSamples(samples, program.sensor, program.input_shape)
        program = program.behind_sensor()
    start = start_state(program, len(samples), state)
    if timing == "clocked":
        run = BatchRun.of(program, samples, start, record=record)
        each(partial(clocked, run), range(len(samples)), threads)
        return run.recording()
    options = options or EventOptions()
    drop = options.partial_windows == "drop"
    run = BatchRun.of(program, samples, start, record=record, drop=drop)
    work = partial(simulate_events, run, options=options, dt=length)
    sent = each(work, range(len(samples)), threads)
    names = program.outputs if length else ()
    return run.recording({name: tuple(events[name] for events in sent) for name in names})


def _samples(
    program: SpeckProgram, spikes: Any, dt: float | None, steps: int | None
) -> tuple[Samples, int]:
    """Return the checked input, and the length of a step in µs (0: unknown)."""
    dt = program.dt if dt is None else dt
    if are_events(spikes):
        if dt is None:
            raise ValueError("event arrays need the length of a step: dt=... in s")
        length = in_microseconds(dt)
        return EventArrays(spikes, program.input_shape, length, steps), length
    if steps is not None:
        raise ValueError("steps requires event arrays; a raster has its own number of steps")
    length = 0 if dt is None else _whole(dt)
    return Rasters(spikes, program.input_shape, length), length


def _whole(dt: float) -> int:
    """Convert a length in s to µs; 0 where it is not a whole number of them."""
    if not (isinstance(dt, int | float) and 0 < dt < math.inf):
        raise ValueError(f"dt must be > 0 s, got {dt!r}")
    return round(dt * 1e6) if abs(dt * 1e6 - round(dt * 1e6)) < 1e-6 * dt * 1e6 else 0


def check_wiring(program: SpeckProgram) -> None:
    """Check that every core receives maps of the shape that it expects.

    Raises:
        ValueError: the message lists every connection with another shape.
    """
    faults = []
    for core in program.cores:
        for source, target in program.sources(core.name):
            channels, height, width = program.input_map if source is None else source.output_shape
            sent = (channels, height // target.pooling, width // target.pooling)
            if not program.takes(target, (channels, height, width)):
                sender = "the input" if source is None else source.name
                faults.append(
                    f"{sender} sends {sent} to {core.name}, which takes {core.input_shape}"
                )
    if faults:
        raise ValueError("; ".join(faults))


def start_state(
    program: SpeckProgram, samples: int, state: Mapping[str, Array] | None
) -> dict[str, Array]:
    """Return the membranes before the first step by core, int16 (batch, channels, y, x).

    Raises:
        ValueError: an unknown core, another shape, or values outside int16.
    """
    given = dict(state or {})
    start = {}
    for core in program.cores:
        shape = (samples, *core.output_shape)
        value = np.asarray(given.pop(core.name, 0 if core.initial is None else core.initial))
        if value.ndim and value.shape not in (shape, core.output_shape):
            raise ValueError(f"state of {core.name!r} must have shape {shape}, got {value.shape}")
        if value.dtype.kind not in "iu" or (
            value.size and not (value.min() >= -32768 and value.max() <= 32767)
        ):
            raise ValueError(f"state of {core.name!r} must contain integers from -32768 to 32767")
        start[core.name] = np.broadcast_to(value.astype(np.int16), shape)
    if given:
        raise ValueError(f"state of unknown cores: {', '.join(sorted(given))}")
    return start
