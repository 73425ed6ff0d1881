"""Type aliases of arrays and shapes.

This module imports numpy only.

>>> import numpy as np
>>> def features(spikes: Array) -> Shape:
...     return spikes.shape[2:]
>>> features(np.zeros((4, 100, 2, 16, 16)))
(2, 16, 16)
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

__all__ = ["Array", "Shape"]

Array: TypeAlias = npt.NDArray[Any]
"""Array of any element type; a function that needs one type uses ``npt.NDArray[...]``."""

Shape: TypeAlias = tuple[int, ...]
"""Sizes of the axes of one sample at one timestep."""
