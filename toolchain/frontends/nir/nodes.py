"""Plain contents of a NIR file: typed nodes, arrays and edges, frozen.

The names are those of the file. The meaning of the numbers needs more than the file: see
``to_graph``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from toolchain.arrays import Array

__all__ = ["NirEdge", "NirFile", "NirGraph", "NirNode", "NodeValue"]

NodeValue: TypeAlias = Array | str
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

    Example:
        >>> import numpy as np
        >>> from toolchain.frontends.nir import NirNode
        >>> fields = {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5}
        >>> lif = NirNode(type="LIF", fields={k: np.full(3, v) for k, v in fields.items()})
        >>> lif.type, lif.fields["tau"].tolist()
        ('LIF', [0.02, 0.02, 0.02])
    """

    type: str
    fields: Mapping[str, NodeValue]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NirGraph:
    """Nodes by name, inner graphs among them, and edges (from, to).

    Example:
        >>> import numpy as np
        >>> from toolchain.frontends.nir import NirGraph, NirNode
        >>> shape = {"shape": np.array([3])}
        >>> ends = {kind: NirNode(type=kind, fields=shape) for kind in ("Input", "Output")}
        >>> fc = NirNode(type="Linear", fields={"weight": np.eye(3)})
        >>> graph = NirGraph(
        ...     nodes={**ends, "fc": fc}, edges=(("Input", "fc"), ("fc", "Output"))
        ... )
        >>> [node.type for node in graph.nodes.values()]
        ['Input', 'Output', 'Linear']
    """

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
        repairs: what was read in another form than NIR's own.

    Example:
        >>> from toolchain.frontends.nir import NirFile, NirGraph, to_graph
        >>> file = NirFile(graph=NirGraph(nodes={}, edges=()), version="1.0.8", where="a.nir")
        >>> to_graph(file)
        Traceback (most recent call last):
        toolchain.diagnostics.ModelFileError: a.nir: 2 errors
          the graph has 0 Input nodes, expected exactly one
          the graph has 0 Output nodes, expected at least one
    """

    graph: NirGraph
    version: str | None
    where: str
    repairs: tuple[str, ...] = ()
