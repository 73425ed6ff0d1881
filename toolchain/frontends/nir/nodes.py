"""What a NIR file says, before anything is made of it: typed nodes, arrays and edges, frozen.

The names are those of the file. What the numbers mean is not in the file alone: see ``to_graph``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from toolchain.arrays import Array

__all__ = ["FieldValue", "NirEdge", "NirFile", "NirGraph", "NirNode"]

FieldValue: TypeAlias = Array | str
"""A field: an array (0-d for a single number) or a text such as the padding ``same``."""
NirEdge: TypeAlias = tuple[str, str]
"""An edge: the names of its start and its end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NirNode:
    """A primitive.

    Attributes:
        type: the primitive's name: ``LIF``, ``Conv2d``.
        fields: its parameters under NIR's names; those that the file does not have are absent.
        metadata: what the writer put beside them, plain data.
    """

    type: str
    fields: Mapping[str, FieldValue]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NirGraph:
    """Nodes by name, graphs within graphs among them, and edges (from, to)."""

    nodes: Mapping[str, NirNode | NirGraph]
    edges: tuple[NirEdge, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NirFile:
    """A NIR graph with where it came from.

    Attributes:
        graph: the outermost graph.
        version: the version of nir that wrote it, as the file says, or None.
        where: path or description, for messages.
    """

    graph: NirGraph
    version: str | None
    where: str
