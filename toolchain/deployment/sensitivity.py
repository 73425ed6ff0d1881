"""Sensitivity of a deployment by layer; see :mod:`toolchain.fidelity.sensitivity`."""

from __future__ import annotations

from collections.abc import Callable

from toolchain.arrays import Array
from toolchain.chips.load import family_of
from toolchain.deployment.ceiling import ceiling_on
from toolchain.deployment.store import Parts
from toolchain.fidelity.sensitivity import Sensitivity, sensitivity_of
from toolchain.ir import Neuron
from toolchain.passes.exact import exact_passes
from toolchain.runs import Recording
from toolchain.runs.bounded import MOST_VALUES, part_within, values_of

__all__ = ["sensitivity_on"]


def sensitivity_on(
    parts: Parts, counts: Array, simulate: Callable[[Array], Recording]
) -> Sensitivity:
    """Return the loss of agreement by layer on a bounded part of ``counts``.

    Args:
        parts: the deployment.
        counts: (batch, time, *features), at least one timestep.
        simulate: runs the chip, recording all layers.

    Raises:
        ValueError: outputs that are read as states, or no trained network of the same layers.
    """
    family, chip = family_of(parts.on_chip.chip), parts.on_chip.chip
    if parts.graph is parts.quantized:
        raise ValueError(f"{chip.name}: a finished program has no trained network to compare with")
    states = [n for n in parts.quantized.outputs if not isinstance(parts.quantized[n], Neuron)]
    if states:
        raise ValueError(f"{states[0]}: is read as a state; sensitivity needs outputs that spike")
    floats = family.shape(exact_passes(parts.graph))
    if floats.nodes.keys() != parts.quantized.nodes.keys():
        different = sorted(floats.nodes.keys() ^ parts.quantized.nodes.keys())
        raise ValueError(f"{different[0]}: is in only one of the trained network and the chip's")
    counts = part_within(counts, values_of(floats), MOST_VALUES)
    return sensitivity_of(
        floats,
        parts.quantized,
        counts.reshape(*counts.shape[:2], *floats.shape(floats.input)),
        simulate(counts),
        family.lags(parts.quantized),
        title=chip.title,
        ceiling=ceiling_on(parts, counts),
    )
