"""Spikes of the user as the input of the chip."""

from __future__ import annotations

from toolchain.chips.load import family_of
from toolchain.deployment.inputs import counts_of
from toolchain.deployment.store import Parts
from toolchain.deployment.values import check_counts
from toolchain.runs.spikes import InputSpikes, are_events

__all__ = ["chip_input", "samples_of"]


def chip_input(parts: Parts, spikes: InputSpikes) -> InputSpikes:
    """Return ``spikes`` for the chip: events unchanged, counts in the shape of its input.

    Raises:
        ValueError: spikes of another shape or kind, or counts that the chip does not take.
    """
    family = family_of(parts.on_chip.chip)
    if are_events(spikes) and "event" in family.TIMINGS:
        return spikes
    counts = counts_of(family, parts.graph, spikes, "spikes")
    counts = counts.reshape(*counts.shape[:2], *parts.quantized.shape(parts.quantized.input))
    check_counts(counts, "spikes", family)
    return counts


def samples_of(spikes: InputSpikes) -> int:
    """Return the number of samples in counts (batch, ...), or in event arrays."""
    single = are_events(spikes) and not isinstance(spikes, list | tuple)
    return 1 if single else len(spikes)
