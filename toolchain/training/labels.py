"""Labels of any form: class numbers, one-hot rows, lists and tensors, checked with the remedy."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.report import brief, count, plural

__all__ = ["as_classes", "as_targets"]

OWN_LOSS = "give your own loss=, a function of (outputs, labels)"


def as_targets(given: Any, samples: int) -> Array:
    """Return the labels of a loss of the user: any numbers, one row a sample.

    Raises:
        ValueError: no numbers, or another number of them than samples.

    >>> as_targets([[0.5, 1.0], [0.0, 2.0]], samples=2).shape
    (2, 2)
    """
    array = _as_array(given)
    if array.ndim == 0 or len(array) != samples:
        got = "a single value" if array.ndim == 0 else f"shape {array.shape}"
        raise ValueError(
            f"labels must be one for each of {plural(samples, 'sample')}, got {got}; the first "
            "axis of the spikes is that of the samples"
        )
    return array


def as_classes(given: Any, samples: int, classes: int) -> Array:
    """Return labels as class numbers, (samples,).

    Args:
        given: class numbers, or one-hot rows (samples, classes): a list, an array or a tensor.
        samples: number of samples.
        classes: number of outputs of the network.

    Raises:
        ValueError: labels that are none of these; the message states what to do.

    >>> as_classes([2, 0], samples=2, classes=3), as_classes(np.eye(3)[[2, 0]], 2, 3)
    (array([2, 0]), array([2, 0]))
    """
    array = as_targets(given, samples)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        return _of_one_hot(array, classes)
    if array.ndim > 2:
        raise ValueError(
            f"labels must be class numbers ({samples},) or one-hot rows ({samples}, {classes}), "
            f"got shape {array.shape}; for labels of each timestep {OWN_LOSS}"
        )
    if not np.array_equal(array, np.floor(array)):
        where = int(np.argmax(array != np.floor(array)))
        raise ValueError(
            f"label {where} is {array[where]:g}, need whole class numbers; for other targets "
            f"{OWN_LOSS}"
        )
    found = array.astype(np.int64)
    low, high = (int(found.min()), int(found.max())) if samples else (0, 0)
    if low < 0 or high >= classes:
        raise ValueError(
            f"labels are {low} to {high}, but the network has {plural(classes, 'output')}: class "
            f"numbers are 0 to {classes - 1}; number the classes that occur by "
            f"np.unique(labels, return_inverse=True)[1], or, for classes that are not one output "
            f"each, {OWN_LOSS}"
        )
    return found


def _of_one_hot(rows: Array, classes: int) -> Array:
    if rows.shape[1] != classes:
        raise ValueError(
            f"labels have {plural(rows.shape[1], 'column')}, but the network has "
            f"{plural(classes, 'output')}: one-hot rows have one column for each output"
        )
    if not (np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all()):
        bad = ~np.isin(rows, (0, 1)).all(axis=1) | (rows.sum(axis=1) != 1)
        raise ValueError(
            f"labels of {plural(int(bad.sum()), 'sample')}, the first {int(np.argmax(bad))}, are "
            f"no one-hot rows of a single 1; for soft or several labels {OWN_LOSS}"
        )
    return np.asarray(rows.argmax(axis=1), np.int64)


def _as_array(given: Any) -> Array:
    """Return ``given`` as an array of numbers."""
    found = given.detach().cpu().numpy() if hasattr(given, "detach") else given
    if isinstance(found, list | tuple) and any(hasattr(each, "detach") for each in found):
        found = [each.detach().cpu().numpy() if hasattr(each, "detach") else each for each in found]
    try:
        array = np.asarray(found)
    except ValueError:
        raise ValueError(
            f"labels must have one shape for all samples, got {brief(given)}"
        ) from None
    if array.dtype == bool:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iuf":
        names = " of text" if array.dtype.kind in "US" else ""
        raise ValueError(
            f"labels must be numbers, got {brief(given)}{names}; number the classes by "
            "np.unique(labels, return_inverse=True)[1]"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"labels contain {count(int((~np.isfinite(array)).sum()))} values that are not "
            "finite; leave these samples out"
        )
    return array
