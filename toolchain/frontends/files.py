"""Files with models, told apart by what is in them and not by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolchain.diagnostics import ModelFileError
from toolchain.ir import Graph

__all__ = ["load"]


def load(
    path: str | Path,
    *,
    sample: Any = None,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
    factory: str | None = None,
    trust_pickle: bool = False,
) -> Graph:
    """The Graph in a file."""
    raise ModelFileError(f"{path}: not read yet")
