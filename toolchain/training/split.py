"""Division of samples into those that are trained on and those that choose the epoch."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.report import plural

__all__ = ["split"]


def split(samples: int, part: float, seed: int, labels: Array | None = None) -> tuple[Array, Array]:
    """Return the indices of the training samples and of the others, each in ascending order.

    With ``labels`` every class gives the same part, and keeps at least one sample for the training:
    a class with a single sample is not judged.

    Args:
        samples: their number.
        part: of the samples that are not trained on, 0 to below 1; 0 for none.
        seed: of the random choice.
        labels: classes, (samples,), of an integer type.

    Raises:
        ValueError: another part, or too few samples to divide.

    >>> train, others = split(10, 0.2, seed=0, labels=np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 2]))
    >>> len(train), len(others)
    (8, 2)
    >>> split(3, 0.0, seed=0)
    (array([0, 1, 2]), array([], dtype=int64))
    """
    if not 0 <= part < 1:
        raise ValueError(
            f"validation must be a part of the samples, 0 to below 1, or (spikes, labels), "
            f"got {part!r}"
        )
    if not part:
        return np.arange(samples), np.arange(0)
    if samples < 2:
        raise ValueError(
            f"validation={part:g} needs at least 2 samples, got {plural(samples, 'sample')}; give "
            "more, or validation=0 to take the last epoch unseen"
        )
    order = np.random.default_rng(seed).permutation(samples)
    groups = [order] if labels is None else [order[labels[order] == k] for k in np.unique(labels)]
    chosen: list[int] = []
    wanted = 0.0
    for group in groups:
        # the rest of a class is carried to the next, so that small classes are chosen from too
        wanted += part * len(group)
        number = min(round(wanted) - len(chosen), len(group) - 1)
        chosen += group[: max(0, number)].tolist()
    if not chosen:
        largest = max(groups, key=len)
        chosen = [int(largest[0])] if len(largest) > 1 else [int(order[0])]
    others = np.sort(np.array(chosen, np.int64))
    return np.setdiff1d(np.arange(samples), others), others
