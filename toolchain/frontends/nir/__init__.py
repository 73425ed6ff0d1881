"""NIR in and out: files and ``nir.NIRGraph`` objects; needs neither the nir package nor torch."""

from __future__ import annotations

from typing import Any

from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode
from toolchain.ir import Graph

__all__ = ["NirFile", "NirGraph", "NirNode", "from_object", "to_graph"]


def from_object(graph: Any) -> NirFile:
    """What a ``nir.NIRGraph`` in memory says."""
    raise ModelFileError("not read yet")


def to_graph(
    file: NirFile,
    *,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
) -> Graph:
    """The Graph of a NIR file."""
    raise ModelFileError(f"{file.where}: not read yet")
