"""Addresses of neurons, and spikes as the events of a board: both ways, without loss.

Three forms of the same spikes: counts of a raster, an event array for each sample (``x, y, t, p``,
see ``events``), and what a board takes and gives (``SPIKES``), where a layer is a core's number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.speck.outputs import flat_outputs
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.events import EventArrays, event_array, in_microseconds
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

Map = tuple[int, int, int]

ADDRESS_BITS = 18
"""Of the address of a neuron within its core."""

SPIKES = np.dtype(
    [("layer", "<u2"), ("feature", "<u2"), ("y", "<u2"), ("x", "<u2"), ("timestamp", "<i8")]
)
"""The vendor's ``Spike``: core, channel, row, column, and time in µs."""

_ALL_TIME = 2**62
"""A step that holds every event, µs."""

# ---- neurons ----


def pack_address(
    shape: Map, channel: npt.ArrayLike, y: npt.ArrayLike, x: npt.ArrayLike
) -> npt.NDArray[np.int64]:
    """The number under which a core's neurons are read and written one by one.

    Channel in the lowest bits, then x, then y, each with as many bits as its range needs.

    Args:
        shape: (channels, y, x) of the core's neurons.
        channel, y, x: of one neuron or of many.

    Raises:
        ValueError: a neuron beyond the map, or a map beyond 18 bits.

    Source: sinabs documentation, "Speck: reading neuron states". Its code shifts y by the bits of
    y instead of those of x: the same on a square map, but on a wide one two neurons then have one
    address, (y 0, x 2) and (y 1, x 0) of 2 x 8. Which a chip takes for maps that are not square
    is not published.
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
    shape: Map, address: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(channel, y, x) of addresses; inverse of ``pack_address``.

    Raises:
        ValueError: an address of no neuron.
    """
    channel_bits, _, x_bits = _address_bits(shape)
    number = np.asarray(address)
    if number.dtype.kind not in "iu":
        raise ValueError(f"addresses are integers, got dtype {number.dtype}")
    number = number.astype(np.int64)
    channel = number & ((1 << channel_bits) - 1)
    x = number >> channel_bits & ((1 << x_bits) - 1)
    y = number >> (channel_bits + x_bits)
    good = (number >= 0) & (channel < shape[0]) & (y < shape[1]) & (x < shape[2])
    if not good.all():
        raise ValueError(f"{number[~good].flat[0]} is the address of no neuron of {shape}")
    return channel, y, x


def _address_bits(shape: Map) -> tuple[int, int, int]:
    channel, y, x = ((size - 1).bit_length() for size in shape)
    if channel + y + x > ADDRESS_BITS:
        raise ValueError(
            f"a map of {shape} needs addresses of {channel + y + x} bit, there are {ADDRESS_BITS}"
        )
    return channel, y, x


# ---- rasters and events ----


def to_events(raster: npt.ArrayLike, shape: Map, dt: float) -> list[Array]:
    """Event arrays of a raster, one a sample: n counts are n events at the start of their step.

    Within a step they come by channel, y and x, those of one address together.

    Args:
        raster: whole counts (steps, channels, y, x), or a batch of them.
        shape: (channels, y, x).
        dt: length of a step, s; a whole number of µs.

    Raises:
        ValueError: no such raster or dt.
    """
    length = in_microseconds(dt)
    samples = Rasters(raster, shape, length)
    return [_single_events(samples.events(n), shape[2], length) for n in range(len(samples))]


def to_raster(
    events: Array | Sequence[Array], shape: Map, dt: float, steps: int | None = None
) -> npt.NDArray[np.int32]:
    """Counts (batch, steps, channels, y, x) of event arrays; inverse of ``to_events``.

    What is kept of a time is its step, and of the order within a step nothing.

    Args:
        events: an event array or one for each sample, in order of time.
        shape: (channels, y, x).
        dt: length of a step, s; a whole number of µs.
        steps: how many; by default up to the last event.

    Raises:
        ValueError: no such events, or steps or dt that do not go with them.
    """
    length = in_microseconds(dt)
    samples = EventArrays(events, shape, length, steps)
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
    """The spikes to send for an event array of the program's input; (n,) of ``SPIKES``.

    Each event goes to every core that reads the input, one after the other, pooled on the way.
    Behind a sensor ``events`` are those that it has sent on.

    Args:
        program: placed.
        events: ``x, y, t, p``, in order of time.

    Raises:
        ValueError: no such events, or layers without a core.
    """
    behind = program.behind_sensor()
    ids = _core_ids(program)
    stream = EventArrays([events], behind.input_shape, _ALL_TIME, 1)
    _, y, column, _ = stream.events(0)
    t = stream.times(0, column)
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
    """Event arrays by name of the monitored layer, of the spikes that a board sent.

    Args:
        program: placed.
        spikes: (n,) of ``SPIKES``; those of one time stay in their order.

    Raises:
        ValueError: spikes of a core that is not monitored or beyond its map; layers without a
            core.
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
                    f"a spike of {core.name!r} has {name} {own[name].max()}, there are {size}"
                )
        found[core.name] = event_array(own["x"], own["y"], own["timestamp"], own["feature"])
    return found


def to_counts(program: SpeckProgram, spikes: Array, dt: float, steps: int) -> Array:
    """What a board sent as a simulation gives it: int32 (1, steps, outputs).

    Args:
        program: placed.
        spikes: (n,) of ``SPIKES``; their clock starts with the first step.
        dt: length of a step, s; a whole number of µs.
        steps: how many.

    Raises:
        ValueError: as for ``from_board`` and ``to_raster``.
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
