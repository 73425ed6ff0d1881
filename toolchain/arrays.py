"""Type aliases of arrays and shapes.

This module imports numpy only.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

__all__ = ["Array", "Shape"]

Array: TypeAlias = npt.NDArray[Any]
"""Array of any element type; a function that needs one type uses ``npt.NDArray[...]``."""

Shape: TypeAlias = tuple[int, ...]
"""Sizes of the axes of one sample at one timestep."""
