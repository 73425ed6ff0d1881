"""Plain contents of a NIR file: typed nodes, arrays and edges, frozen.

The names are those of the file. The meaning of the numbers needs more than the file: see
``to_graph``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from toolchain.arrays import Array

__all__ = ["FieldValue", "NirEdge", "NirFile", "NirGraph", "NirNode"]

FieldValue: TypeAlias = Array | str
"""A field: an array (0-d for a single number) or a string such as the padding ``same``."""
NirEdge: TypeAlias = tuple[str, str]
"""An edge: the names of its start and its end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NirNode:
    """A NIR primitive.

    Attributes:
        type: the primitive's name: ``LIF``, ``Conv2d``.
        fields: its parameters under NIR's names; those missing in the file are absent.
        metadata: further plain data of the writer.
    """

    type: str
    fields: Mapping[str, FieldValue]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NirGraph:
    """Nodes by name, inner graphs among them, and edges (from, to)."""

    nodes: Mapping[str, NirNode | NirGraph]
    edges: tuple[NirEdge, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NirFile:
    """A NIR graph and its origin.

    Attributes:
        graph: the outermost graph.
        version: the version of nir that wrote the file, or None.
        where: path or description, for messages.
    """

    graph: NirGraph
    version: str | None
    where: str
