"""Checks of what a program that is trained is given, the same in every family."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.training import Parameter

__all__ = ["check_names", "checked_values"]


def check_names(what: str, names: Collection[str], known: Collection[str]) -> None:
    """Check the names that an argument lists.

    Raises:
        ValueError: unknown names; the message lists the valid ones.

    >>> check_names("layers", ["out"], {"lif1": (3,), "out": (2,)})
    """
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{what}: unknown {', '.join(unknown)}; known are {', '.join(known)}")


def checked_values(
    parameters: Mapping[str, Parameter], values: Mapping[str, Array]
) -> dict[str, Array]:
    """Return a copy of the integers of all parameters.

    Raises:
        ValueError: names or shapes of other parameters, values that are not in range.

    >>> weight = Parameter(
    ...     node="fc", field="weight", kind="weight", shape=(2,), step=2, low=-254, high=254
    ... )
    >>> checked_values({"fc.weight": weight}, {"fc.weight": np.array([4, -8])})["fc.weight"]
    array([ 4, -8])
    """
    missing = [name for name in parameters if name not in values]
    if missing:
        raise ValueError(f"values: {', '.join(missing)} missing")
    check_names("values", values.keys(), parameters)
    return {name: _checked(parameter, values[name]) for name, parameter in parameters.items()}


def _checked(parameter: Parameter, value: Array) -> Array:
    array, name = np.asarray(value), parameter.name
    if array.dtype.kind not in "iuf" or (array.dtype.kind == "f" and (array % 1).any()):
        raise ValueError(f"{name} must hold whole numbers, got {array.dtype}")
    if array.shape != parameter.shape:
        raise ValueError(f"{name} must have shape {parameter.shape}, got {array.shape}")
    low, high, step = parameter.low, parameter.high, parameter.step
    if array.size and (array.min() < low or array.max() > high):
        raise ValueError(f"{name} must be in {low}..{high}, got {array.min()}..{array.max()}")
    if step > 1 and (array % step).any():
        raise ValueError(f"{name} must hold multiples of {step}")
    return array.astype(np.int64)
