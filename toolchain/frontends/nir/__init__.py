"""Import and export of NIR files and ``nir.NIRGraph`` objects, without nir or torch.

``read.read`` and ``from_object`` return a ``NirFile``, the plain contents; ``to_graph`` converts it
to a Graph. ``from_graph`` and ``save`` are the other direction.
"""

from toolchain.frontends.nir.from_graph import from_graph, save
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode
from toolchain.frontends.nir.objects import from_object
from toolchain.frontends.nir.to_graph import to_graph

__all__ = ["NirFile", "NirGraph", "NirNode", "from_graph", "from_object", "save", "to_graph"]
