"""Operands and results of the compiled loops of the quantizer; see ``kernel``."""

from __future__ import annotations

from typing import NamedTuple

from toolchain.arrays import Array

__all__ = ["CandidateNeurons", "MapEvents", "MapGeometry", "Scratch", "Totals"]


class MapEvents(NamedTuple):
    """Input events of one sample: int64 ``starts`` of each (step, y, x), ``keys``, ``counts``."""

    starts: Array
    keys: Array
    counts: Array


class MapGeometry(NamedTuple):
    """Sizes of a convolution: of its input, output and kernel, and its steps, as integers."""

    steps: int
    channels: int
    height: int
    width: int
    out_height: int
    out_width: int
    kernel_y: int
    kernel_x: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    dilation_y: int
    dilation_x: int


class CandidateNeurons(NamedTuple):
    """Integers of all candidates, by lane; a multiple of 64 lanes.

    ``weights``: int8, flat (taps, lanes). ``bias``: int16. ``peak``: the largest magnitude of a
    bias. ``threshold``, ``floor``: int16. ``initial``: int16 (positions or 1, lanes).
    ``to_zero``: whether membranes return to zero.
    """

    weights: Array
    bias: Array
    peak: int
    threshold: Array
    floor: Array
    initial: Array
    to_zero: bool


class Scratch(NamedTuple):
    """Arrays that a run overwrites: int16 and int32 by lane, int64 by tap, int64 by lane."""

    membranes: Array
    fired: Array
    rows: Array
    amounts: Array
    wide: Array


class Totals(NamedTuple):
    """Sums of each candidate, int64: of |n - m|, of max(n, m), and saturations."""

    apart: Array
    most: Array
    saturations: Array
