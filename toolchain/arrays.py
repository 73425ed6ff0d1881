"""Type aliases of arrays and shapes, and the base of frozen dataclasses with arrays.

This module imports numpy only.

>>> import numpy as np
>>> def features(spikes: Array) -> Shape:
...     return spikes.shape[2:]
>>> features(np.zeros((4, 100, 2, 16, 16)))
(2, 16, 16)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Frozen", "Shape"]

Array: TypeAlias = npt.NDArray[Any]
"""Array of any element type; a function that needs one type uses ``npt.NDArray[...]``."""

Shape: TypeAlias = tuple[int, ...]
"""Sizes of the axes of one sample at one timestep."""


class Frozen:
    """Base of frozen dataclasses whose arrays are read-only; in copies and pickles they stay so.

    >>> import copy
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Weights(Frozen):
    ...     weight: Array
    >>> copy.deepcopy(Weights(np.zeros(3))).weight.flags.writeable
    False
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        values = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        return _rebuilt, (type(self), values)


def _rebuilt(kind: type[Frozen], values: Mapping[str, Any]) -> Frozen:
    """Return an object with these fields; they were checked when the original was built."""
    result = object.__new__(kind)
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False  # neither pickle nor deepcopy keeps this flag
        object.__setattr__(result, name, value)
    return result
