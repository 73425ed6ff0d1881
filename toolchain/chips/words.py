"""Signed integer words of the chips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from toolchain.hardware import Quantity

__all__ = ["HEADROOM", "SignedWords", "largest", "signed_words"]


HEADROOM = 1.25
"""States on unseen data may exceed those of the data at hand by this factor before they saturate.
A choice, not a measurement; saturations are counted and reported in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedWords:
    """Largest values of a chip's signed words; the smallest are one further from 0.

    Attributes:
        weight, threshold, state: largest value.
        bias: the same; 0 on a chip without biases.
    """

    weight: int
    bias: int
    threshold: int
    state: int


class Widths(Protocol):
    """Limits of a chip that name the widths of its words."""

    @property
    def weight_width(self) -> Quantity: ...
    @property
    def bias_width(self) -> Quantity | None: ...
    @property
    def threshold_width(self) -> Quantity: ...
    @property
    def state_width(self) -> Quantity: ...


def signed_words(limits: Widths) -> dict[str, int]:
    """Return the fields of ``SignedWords`` for a chip's limits."""
    return {
        "weight": largest(limits.weight_width),
        "bias": 0 if limits.bias_width is None else largest(limits.bias_width),
        "threshold": largest(limits.threshold_width),
        "state": largest(limits.state_width),
    }


def largest(width: Quantity) -> int:
    """Return the largest value of a signed word of ``width``."""
    half: int = 2 ** (int(width.value) - 1)
    return half - 1
