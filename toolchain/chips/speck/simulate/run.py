"""The two simulations of a Speck program, in integers, with threads over samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Record
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.events import are_events, in_microseconds
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.recording import SpeckRecording
from toolchain.chips.speck.simulate.session import SpeckStream

__all__ = ["simulate"]


def simulate(
    program: SpeckProgram,
    raster: Any,
    *,
    record: Record = False,
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
        record: record spikes and membranes of every layer at every step, or what is named by
            core: ``{"conv2": ("spikes",)}``, in the smaller of an array and ``SparseSpikes``.
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
    if dt is not None and are_events(raster):
        in_microseconds(dt)
    stream = SpeckStream(
        program,
        samples_of(program, raster),
        timing=timing,
        record=record,
        options=options,
        dt=dt,
        threads=threads,
    )
    if state is not None:
        stream.restore(state, 0)
    piece = stream.run(raster, steps, empty=False)
    return piece.recording(stream.state())


def samples_of(program: SpeckProgram, spikes: Any) -> int:
    """Return the number of samples in a raster or event arrays; 1 where the shape does not say."""
    if are_events(spikes):
        return len(spikes) if isinstance(spikes, list | tuple) else 1
    shape = np.shape(spikes)
    return shape[0] if len(shape) == 5 else 1
