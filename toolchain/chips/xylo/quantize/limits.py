"""Limits of a Xylo chip that its quantizers read."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.chips.xylo.quantize.plan import XyloWords
from toolchain.chips.xylo.spec import XyloChip

__all__ = ["XyloQuantizerLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class XyloQuantizerLimits:
    """Limits on which integers depend; chips in which they are equal get the same ones.

    Attributes:
        words: the signed words.
        has_bias: whether neurons have biases.
        core: the integer core.
        spikes: most spikes a step of an input channel, a hidden and an output neuron.
        aliases: whether neurons have aliases.
        reach: hidden neurons that the input and the outputs reach, of the order of neurons in which
            candidates are simulated; None if they reach all.
    """

    words: XyloWords
    has_bias: bool
    core: str
    spikes: tuple[int, int, int]
    aliases: bool
    reach: tuple[int, int] | None

    @classmethod
    def of(cls, chip: XyloChip) -> XyloQuantizerLimits:
        """Return the limits of ``chip``."""
        limits = chip.limits
        reach = int(limits.input_expansion.value), int(limits.output_expansion.value)
        caps = limits.input_spikes, limits.hidden_spikes, limits.output_spikes
        into, hidden, out = (int(cap.value) for cap in caps)
        return cls(
            words=XyloWords.of(chip),
            has_bias=limits.bias_width is not None,
            core=chip.integer_core,
            spikes=(into, hidden, out),
            aliases=limits.alias_targets.value >= 1,
            reach=None if min(reach) >= limits.hidden_neurons.value else reach,
        )
