"""NIR in and out: files and ``nir.NIRGraph`` objects; needs neither the nir package nor torch.

``read.read`` and ``from_object`` give a ``NirFile``, which is what is written there and no more;
``to_graph`` says what it computes, ``from_graph`` and ``save`` go the other way.
"""

from toolchain.frontends.nir.from_graph import from_graph, save
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode
from toolchain.frontends.nir.objects import from_object
from toolchain.frontends.nir.to_graph import to_graph

__all__ = ["NirFile", "NirGraph", "NirNode", "from_graph", "from_object", "save", "to_graph"]
