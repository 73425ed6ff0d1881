"""Training of a repaired network on its chip's integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toolchain.deployment import Deployment
from toolchain.remedies.yardstick import Yardstick, chosen

__all__ = ["can_train", "tuned"]

LARGEST_MISS = 4.0
"""Spikes of an output in a sample beyond which a difference pulls no stronger."""


def can_train(deployment: Deployment) -> bool:
    """Return whether the family trains, and this program can be trained."""
    if "training" not in deployment.family.CAPABILITIES:
        return False
    try:
        deployment.on_chip.trainable(deployment.quantized)
    except ValueError:
        return False
    return True


def tuned(
    deployment: Deployment,
    yard: Yardstick,
    channels: Sequence[int] | None,
    epochs: int,
    seed: int,
) -> Deployment:
    """Return the network trained on the labels, or on the counts of the given float network.

    Args:
        deployment: the network.
        yard: samples and what is wanted of them.
        channels: input channels that the network has; None for all.
        epochs: passes over the samples.
        seed: of the division and the order of the samples.
    """
    spikes = chosen(yard.spikes, channels)
    if yard.labels is not None:
        return deployment.fit(spikes, yard.labels, epochs=epochs, seed=seed, decision=yard.decision)
    assert yard.outputs is not None
    lag = int(deployment.lag_of_neurons.max(initial=0))
    steps = max(0, yard.outputs.shape[1] - lag)
    wanted = yard.outputs[:, :steps].sum(axis=1)

    def miss(outputs: Any, counts: Any) -> Any:
        """Return the squared misses, linear beyond the largest, as a mean over samples."""
        sizes = (outputs[:, lag:].sum(dim=1) - counts).abs()
        near = sizes.clamp(max=LARGEST_MISS)
        return (near * (sizes - near / 2)).sum() / len(sizes)

    return deployment.fit(spikes, wanted, loss=miss, epochs=epochs, seed=seed)
