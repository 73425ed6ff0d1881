"""Types of arrays and shapes, defined once.

Importing this module imports numpy and nothing else.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

__all__ = ["Array", "Shape"]

Array: TypeAlias = npt.NDArray[Any]
"""An array of any type; where the type matters it is spelled out as ``npt.NDArray[...]``."""

Shape: TypeAlias = tuple[int, ...]
"""Sizes of the axes of one sample at one timestep."""
