"""Lossless conversion between neuron addresses, rasters, event arrays and board events.

The same spikes have three forms: counts of a raster, an event array for each sample (``x, y, t,
p``, see ``simulate.events``), and the events of a board (``SPIKES``), whose layer is a core id.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.speck.core import MapShape
from toolchain.chips.speck.outputs import flat_outputs
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.events import (
    MOST_STEPS,
    EventArrays,
    event_array,
    in_microseconds,
)
from toolchain.chips.speck.simulate.raster import Rasters

__all__ = [
    "ADDRESS_BITS",
    "SPIKES",
    "from_board",
    "pack_address",
    "to_board",
    "to_counts",
    "to_events",
    "to_raster",
    "unpack_address",
]

ADDRESS_BITS = 18
"""Bits of the address of a neuron within its core."""

SPIKES = np.dtype(
    [("layer", "<u2"), ("feature", "<u2"), ("y", "<u2"), ("x", "<u2"), ("timestamp", "<i8")]
)
"""The vendor's ``Spike``: core, channel, row, column, and time in µs."""

_ALL_TIME = 2**62
"""Length of a step that includes every event, µs."""

# ---- neurons ----


def pack_address(
    shape: MapShape, channel: npt.ArrayLike, y: npt.ArrayLike, x: npt.ArrayLike
) -> npt.NDArray[np.int64]:
    """Return the address of neurons within a core, by which they are read and written.

    Channel in the lowest bits, then x, then y, each with as many bits as its range needs.

    Args:
        shape: (channels, y, x) of the core's neurons.
        channel, y, x: coordinates of one neuron or of many.

    Raises:
        ValueError: a neuron outside the map, or a map that needs more than 18 bits.

    Source: sinabs documentation, "Speck: reading neuron states". Its code shifts y by the bits of
    y instead of those of x: equal on a square map, but on a wide one two neurons then share an
    address, (y 0, x 2) and (y 1, x 0) of 2 x 8. The order on a chip for maps that are not square
    is not published.

    >>> int(pack_address((8, 16, 16), channel=3, y=1, x=2))
    147
    """
    places = [np.asarray(value) for value in (channel, y, x)]
    for label, place, size in zip(("channel", "y", "x"), places, shape, strict=True):
        if place.dtype.kind not in "iu" or (
            place.size and not 0 <= place.min() <= place.max() < size
        ):
            raise ValueError(f"{label} must be integers from 0 to {size - 1}, got {place}")
    channel_bits, _, x_bits = _address_bits(shape)
    address = places[0] | places[2] << channel_bits | places[1] << (channel_bits + x_bits)
    return np.asarray(address, np.int64)


def unpack_address(
    shape: MapShape, address: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (channel, y, x) of neuron addresses; inverse of ``pack_address``.

    Raises:
        ValueError: an address outside the map.

    >>> channel, y, x = unpack_address((8, 16, 16), [147])
    >>> channel.tolist(), y.tolist(), x.tolist()
    ([3], [1], [2])
    """
    channel_bits, _, x_bits = _address_bits(shape)
    number = np.asarray(address)
    if number.dtype.kind not in "iu":
        raise ValueError(f"addresses must be integers, got dtype {number.dtype}")
    number = number.astype(np.int64)
    channel = number & ((1 << channel_bits) - 1)
    x = number >> channel_bits & ((1 << x_bits) - 1)
    y = number >> (channel_bits + x_bits)
    good = (number >= 0) & (channel < shape[0]) & (y < shape[1]) & (x < shape[2])
    if not good.all():
        raise ValueError(f"address {number[~good].flat[0]} is outside the map {shape}")
    return channel, y, x


def _address_bits(shape: MapShape) -> tuple[int, int, int]:
    channel, y, x = ((size - 1).bit_length() for size in shape)
    if channel + y + x > ADDRESS_BITS:
        raise ValueError(
            f"a map of {shape} needs addresses of {channel + y + x} bit, the chip has "
            f"{ADDRESS_BITS}"
        )
    return channel, y, x


# ---- rasters and events ----


def to_events(raster: npt.ArrayLike, shape: MapShape, dt: float) -> list[Array]:
    """Convert a raster to event arrays, one a sample: n counts are n events at the step's start.

    Within a step they are sorted by channel, y and x.

    Args:
        raster: whole counts (steps, channels, y, x), or a batch of them.
        shape: (channels, y, x).
        dt: length of a step, s; a whole number of µs.

    Raises:
        ValueError: a raster of another shape or with other values, or dt not in whole µs.

    >>> raster = np.zeros((2, 1, 4, 4), int)  # (steps, channels, y, x)
    >>> raster[1, 0, 3, 2] = 2
    >>> to_events(raster, (1, 4, 4), dt=1e-3)[0].tolist()  # x, y, t in µs, p
    [(2, 3, 1000, 0), (2, 3, 1000, 0)]
    """
    length = in_microseconds(dt)
    samples = Rasters(raster, shape, length)
    return [_single_events(samples.events(n), shape[2], length) for n in range(len(samples))]


def to_raster(
    events: Array | Sequence[Array], shape: MapShape, dt: float, steps: int | None = None
) -> npt.NDArray[np.int32]:
    """Return the counts (batch, steps, channels, y, x) of event arrays; inverse of ``to_events``.

    The order of events within a step is lost.

    Args:
        events: an event array or one for each sample, in order of time.
        shape: (channels, y, x).
        dt: length of a step, s; a whole number of µs.
        steps: number of steps; by default up to the last event.

    Raises:
        ValueError: events outside ``shape``, or ``steps`` or ``dt`` that do not fit them.

    >>> events = np.array([(2, 3, 1000, 0), (2, 3, 1400, 0)],
    ...                   [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i2")])
    >>> raster = to_raster(events, (1, 4, 4), dt=1e-3)
    >>> raster.shape, int(raster[0, 1, 0, 3, 2])
    ((1, 2, 1, 4, 4), 2)
    """
    length = in_microseconds(dt)
    samples = EventArrays(events, shape, length, steps, most=MOST_STEPS)
    raster = np.zeros((len(samples), samples.steps, *shape), np.int32)
    for sample, counts in enumerate(raster):
        step, y, column, number = samples.events(sample)
        channel, x = np.divmod(column, shape[2])
        np.add.at(counts, (step, channel, y, x), number)
    return raster


def _single_events(events: Array, width: int, length: int) -> Array:
    step, y, column, _ = np.repeat(events, events[3], axis=1)
    channel, x = np.divmod(column, width)
    return event_array(x, y, step.astype(np.int64) * length, channel)


# ---- boards ----


def to_board(program: SpeckProgram, events: Array) -> Array:
    """Return the spikes to send for an event array of the program's input; (n,) of ``SPIKES``.

    Each event is sent to every core that reads the input, one after the other, with the pooling
    of the connection. With a sensor, ``events`` are those behind it.

    Args:
        program: a placed program.
        events: ``x, y, t, p``, in order of time.

    Raises:
        ValueError: events that do not fit the input, or layers that are not placed.
    """
    behind = program.behind_sensor()
    ids = _core_ids(program)
    stream = EventArrays([events], behind.input_shape, _ALL_TIME, 1)
    (_, y, column, _), t = stream.timed(0)
    p, x = np.divmod(column, behind.input_shape[2])
    parts = []
    for target in behind.inputs:
        rows, columns = y // target.pooling, x // target.pooling
        _, height, width = program[target.layer].input_shape
        kept = np.flatnonzero((rows < height) & (columns < width))
        spikes = np.zeros(len(kept), SPIKES)
        spikes["layer"] = ids[target.layer]
        spikes["feature"] = p[kept] + target.feature_shift
        spikes["y"], spikes["x"], spikes["timestamp"] = rows[kept], columns[kept], t[kept]
        parts.append((kept, spikes))
    order = np.argsort(np.concatenate([kept for kept, _ in parts]), kind="stable")
    return np.asarray(np.concatenate([spikes for _, spikes in parts])[order])


def from_board(program: SpeckProgram, spikes: Array) -> dict[str, Array]:
    """Return event arrays by name of the monitored layer, from the spikes that a board sent.

    Args:
        program: a placed program.
        spikes: (n,) of ``SPIKES``; spikes of equal time keep their order.

    Raises:
        ValueError: spikes of a core that is not monitored or outside its map; layers that are
            not placed.
    """
    ids = _core_ids(program)
    monitored = [core for core in program.cores if core.monitor]
    strange = sorted({*spikes["layer"].tolist()} - {ids[core.name] for core in monitored})
    if strange:
        raise ValueError(f"spikes of cores that are not monitored: {strange}")
    found = {}
    for core in monitored:
        own = spikes[spikes["layer"] == ids[core.name]]
        own = own[np.argsort(own["timestamp"], kind="stable")]
        for name, size in zip(("feature", "y", "x"), core.output_shape, strict=True):
            if len(own) and own[name].max() >= size:
                raise ValueError(
                    f"a spike of {core.name!r} has {name} {own[name].max()}, the map has {size}"
                )
        found[core.name] = event_array(own["x"], own["y"], own["timestamp"], own["feature"])
    return found


def to_counts(program: SpeckProgram, spikes: Array, dt: float, steps: int) -> Array:
    """Return a board's output spikes in the form of a simulation: int32 (1, steps, outputs).

    Args:
        program: a placed program.
        spikes: (n,) of ``SPIKES``; time 0 is the start of the first step.
        dt: length of a step, s; a whole number of µs.
        steps: number of steps.

    Raises:
        ValueError: as for ``from_board`` and ``to_raster``.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> spikes = np.array([(3, 1, 0, 0, 1500)], SPIKES)  # core, channel, y, x, time in µs
    >>> to_counts(program.placed({"spk": 3}), spikes, dt=1e-3, steps=3).tolist()
    [[[0, 0], [0, 1], [0, 0]]]
    """
    events = from_board(program, spikes)
    rasters = {
        name: to_raster([events[name]], program[name].output_shape, dt, steps)
        for name in program.outputs
    }
    return flat_outputs(program, rasters)


def _core_ids(program: SpeckProgram) -> dict[str, int]:
    if unplaced := [core.name for core in program.cores if core.core is None]:
        raise ValueError(f"not placed on a core: {', '.join(unplaced)}")
    return {core.name: core.core for core in program.cores if core.core is not None}
