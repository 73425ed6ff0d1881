r"""Simulation of the readout block, tick by tick of the slow clock.

.. math:: a_k(t) = \lfloor \tfrac1w \textstyle\sum_{u=t-w+1}^{t} n_k(u) \rfloor

for class k with n spikes in tick u and a window of w ticks. The class of the largest average gives
the index, and it is valid where that average is **above** the threshold.

Not documented, and assumed here: averages are rounded down; there are no spikes before the first
tick; counts and averages are limited to 65535; of classes with equal averages the lowest is chosen;
where all averages are 0 the index is 0; bit k of a comparison is class k; a value describes the
tick that ends with it. It has not been compared with a chip.

Source: Speck Dev Kit Datasheet, sec. 3.2.5 and tab. 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.speck.readout import MODES, Readout
from toolchain.report import Brief
from toolchain.runs.spikes import plain_array

__all__ = ["MOST", "ReadoutRecord", "ReadoutWord", "read_out", "unpack_word"]

MOST = 0xFFFF
"""The largest count or average, 16 bit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ReadoutRecord(Brief):
    """Output of the readout block at every tick.

    Attributes:
        averages: int32 (batch, ticks, classes).
        index: uint8 (batch, ticks): the class with the largest average, 0 where all are 0.
        pins: uint8 (batch, ticks): the class on the pins, 0 where none is above the threshold.
        values: uint32 (batch, ticks): the 21-bit word; ``unpack_word`` decodes it.
    """

    averages: Array
    index: Array
    pins: Array
    values: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadoutWord:
    """One decoded value of the block.

    Attributes:
        valid: in mode ``"max"`` whether the largest average is above the threshold, else True.
        index: the class with the largest average.
        payload: see ``Readout.mode``.
    """

    valid: bool
    index: int
    payload: int


def read_out(
    readout: Readout, spikes: npt.ArrayLike, *, before: npt.ArrayLike | None = None
) -> ReadoutRecord:
    """Simulate the readout block on the spikes of its classes.

    Args:
        readout: its settings.
        spikes: counts >= 0 (batch, ticks, classes) in each tick of the slow clock, class 1 first.
            The outputs of a clocked simulation, if the slow clock's period is its ``dt``.
        before: the spikes of earlier ticks, for pieces of a session; the last of them are in the
            window of the first averages. None where the clock starts.

    Raises:
        ValueError: other shapes or types, negative counts, or an unknown class selected.

    >>> from toolchain.chips.speck import Readout
    >>> spikes = [[[0, 2], [3, 0], [0, 0]]]  # (batch, ticks, classes)
    >>> record = read_out(Readout(layer="spk", threshold=1), spikes)
    >>> record.pins.tolist()  # class 2, class 1, none
    [[2, 1, 0]]
    >>> unpack_word(record.values[0, 1])
    ReadoutWord(valid=True, index=1, payload=2)
    """
    counts = np.minimum(_checked(readout, spikes), MOST)
    past = counts[:, :0] if before is None else np.minimum(_checked(readout, before), MOST)
    if past.shape[::2] != counts.shape[::2]:
        raise ValueError(
            f"before has {past.shape[0]} samples of {past.shape[2]} classes, the spikes have "
            f"{counts.shape[0]} of {counts.shape[2]}"
        )
    past = past[:, max(0, past.shape[1] - readout.window + 1) :]
    averages = _averages(np.concatenate([past, counts], axis=1), readout.window)
    averages = averages[:, past.shape[1] :]
    largest = averages.max(axis=2)
    leader = averages.argmax(axis=2) + 1
    above = largest > readout.threshold
    index = np.where(largest > 0, leader, 0)
    payload = _payload(readout, averages, largest)
    valid = above if readout.mode == "max" else np.ones_like(above)
    words = valid.astype(np.uint32) << 20 | index.astype(np.uint32) << 16 | payload
    return ReadoutRecord(
        averages=averages.astype(np.int32),
        index=index.astype(np.uint8),
        pins=(index if readout.always else np.where(above, leader, 0)).astype(np.uint8),
        values=np.where(readout.mode == MODES[0], 0, words).astype(np.uint32),
    )


def unpack_word(value: int) -> ReadoutWord:
    """Decode a readout value: bit 20, bits 19 to 16 and bits 15 to 0."""
    if not 0 <= int(value) < 1 << 21:
        raise ValueError(f"a readout value must fit 21 bits, got {value}")
    value = int(value)
    return ReadoutWord(valid=bool(value >> 20), index=value >> 16 & 0xF, payload=value & MOST)


def _checked(readout: Readout, spikes: npt.ArrayLike) -> Array:
    counts = plain_array(spikes, "spikes")
    if counts.ndim != 3 or not 1 <= counts.shape[2] <= 15:
        raise ValueError(
            f"spikes must have shape (batch, ticks, 1 to 15 classes), got {counts.shape}"
        )
    if counts.dtype.kind not in "bui" or (counts.size and counts.min() < 0):
        raise ValueError("spikes must be an array of integer counts >= 0")
    if readout.selected is not None and readout.selected > counts.shape[2]:
        raise ValueError(f"class {readout.selected} is selected, but there are {counts.shape[2]}")
    return counts.astype(np.int64)


def _averages(counts: Array, window: int) -> Array:
    sums = np.cumsum(counts, axis=1)
    sums[:, window:] -= sums[:, :-window].copy()
    return np.asarray(sums // window)


def _payload(readout: Readout, averages: Array, largest: Array) -> Array:
    if readout.mode == "compare":
        bits = 2 << np.arange(averages.shape[2])
        return np.asarray(((averages > readout.threshold) * bits).sum(axis=2)).astype(np.uint32)
    if readout.selected is not None:
        return np.asarray(averages[..., readout.selected - 1]).astype(np.uint32)
    return np.asarray(largest).astype(np.uint32)
