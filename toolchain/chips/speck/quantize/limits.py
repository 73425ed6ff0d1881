"""Limits of a Speck chip that its quantizers read."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.chips.speck.quantize.layer import SpeckWords
from toolchain.chips.speck.spec import SpeckChip

__all__ = ["SpeckQuantizerLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeckQuantizerLimits:
    """Limits on which integers depend; chips in which they are equal get the same ones.

    Attributes:
        words: the signed words.
        kernel_size, padding, strides: of the kernels with which candidates are simulated.
    """

    words: SpeckWords
    kernel_size: int
    padding: int
    strides: tuple[int, ...]

    @classmethod
    def of(cls, chip: SpeckChip) -> SpeckQuantizerLimits:
        """Return the limits of ``chip``."""
        limits = chip.limits
        return cls(
            words=SpeckWords.of(chip),
            kernel_size=int(limits.kernel_size.value),
            padding=int(limits.padding.value),
            strides=tuple(int(stride) for stride in limits.strides.values),
        )
