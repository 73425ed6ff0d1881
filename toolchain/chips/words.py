"""Ranges of the signed integers that chips store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from toolchain.hardware import Quantity

__all__ = ["HEADROOM", "SignedWords", "largest", "signed_words"]


HEADROOM = 1.25
"""Factor by which states on new data may exceed those on the calibration data before they saturate.
A design choice, not a measurement; saturations are always counted and reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWords:
    """Largest value of each kind of signed integer on a chip; the smallest is ``-largest - 1``.

    Attributes:
        weight, threshold, state: largest value.
        bias: largest value; 0 on a chip without biases.
    """

    weight: int
    bias: int
    threshold: int
    state: int


class Widths(Protocol):
    """Limits of a chip that contain the widths of its integers, bit."""

    @property
    def weight_width(self) -> Quantity: ...
    @property
    def bias_width(self) -> Quantity | None: ...
    @property
    def threshold_width(self) -> Quantity: ...
    @property
    def state_width(self) -> Quantity: ...


def signed_words(limits: Widths) -> dict[str, int]:
    """Return the arguments of ``SignedWords`` for the limits of a chip."""
    return {
        "weight": largest(limits.weight_width),
        "bias": 0 if limits.bias_width is None else largest(limits.bias_width),
        "threshold": largest(limits.threshold_width),
        "state": largest(limits.state_width),
    }


def largest(width: Quantity) -> int:
    """Return the largest signed integer of ``width`` bits.

    >>> from toolchain import load_chip
    >>> largest(load_chip("xylo").limits.weight_width)
    127
    """
    half: int = 2 ** (int(width.value) - 1)
    return half - 1
