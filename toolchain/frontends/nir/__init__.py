"""Import and export of NIR files and ``nir.NIRGraph`` objects, without nir or torch.

``read.read`` and ``from_object`` return a ``NirFile``, the plain contents; ``to_graph`` converts it
to a Graph. ``from_graph`` and ``save`` are the other direction. ``to_nir`` and ``from_nir`` convert
torch modules.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.extras import needed_by
from toolchain.frontends.nir.from_graph import from_graph, save
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode
from toolchain.frontends.nir.objects import from_object
from toolchain.frontends.nir.to_graph import to_graph

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "NirFile",
    "NirGraph",
    "NirNode",
    "from_graph",
    "from_nir",
    "from_object",
    "save",
    "to_graph",
    "to_nir",
]


def to_nir(module: nn.Module, sample_data: Tensor, model_name: str = "model") -> Any:
    """Convert a module to a ``nir.NIRGraph``, with time constants as sinabs writes them.

    The importer of sinabs gives the same spikes, apart from properties that NIR has no field for:
    these are logged, and :func:`from_nir` restores them from the metadata. A module with a timestep
    in s, such as ``CubaLIF``, is written as by :func:`from_graph`.

    Args:
        module: layers of torch, ``toolchain.nn`` and the supported frameworks.
        sample_data: an input in the shape that the module's forward takes.
        model_name: name of the node of a module that is a single layer.

    Raises:
        ExtractError: the module contains something that the Graph cannot represent.
        ModelFileError: NIR cannot represent a layer (the message lists all).
        ModuleNotFoundError: the package nir, or torch, is not installed.

    >>> import torch
    >>> from toolchain import nn
    >>> from toolchain.frontends.nir import to_nir
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), nn.IAFSqueeze(batch_size=1))
    >>> to_nir(net, torch.ones(20, 3))  # doctest: +SKIP
    NIRGraph(nodes={'0': Affine(...), '1': IF(...), 'input': ..., 'output': ...}, ...)
    """
    with needed_by("to_nir"):
        from toolchain.frontends.nir import modules

    return modules.to_nir(module, sample_data, model_name)


def from_nir(
    source: str | Path | NirFile | Any,
    batch_size: int | None = None,
    num_timesteps: int | None = None,
    *,
    dialect: str | None = None,
    dt: float | None = None,
    reset: str | None = None,
) -> nn.Module:
    """Convert NIR to a torch module that can be trained further.

    The module is an ``nn.Sequential`` of layers of torch and ``toolchain.nn``, or a
    ``toolchain.nn.Wired`` if the graph has branches or several outputs. It takes and returns
    ``(batch * time, *features)``.

    Args:
        source: the path of a file, a ``NirFile``, or a ``nir.NIRGraph``.
        batch_size, num_timesteps: split of the rows; one of them is needed for layers with a state.
        dialect, dt, reset: as for :func:`to_graph`.

    Raises:
        ModelFileError: as for :func:`to_graph`, or no layer computes the same as a node (the
            message lists all).
        ValueError: neither ``batch_size`` nor ``num_timesteps``, for layers with a state.

    >>> import numpy as np
    >>> from toolchain.frontends.nir import NirFile, NirGraph, NirNode, from_nir
    >>> shape, one = {"shape": np.array([1])}, np.ones(1, dtype=np.float32)
    >>> nodes = {
    ...     "input": NirNode(type="Input", fields=shape),
    ...     "fc": NirNode(type="Linear", fields={"weight": 0.5 * one.reshape(1, 1)}),
    ...     "iaf": NirNode(type="IF", fields={"r": one, "v_threshold": one}),
    ...     "output": NirNode(type="Output", fields=shape),
    ... }
    >>> edges = (("input", "fc"), ("fc", "iaf"), ("iaf", "output"))
    >>> file = NirFile(graph=NirGraph(nodes=nodes, edges=edges), version=None, where="example")
    >>> net = from_nir(file, batch_size=1, dialect="sinabs")
    >>> [type(layer).__name__ for layer in net]
    ['Linear', 'IAFSqueeze']
    """
    with needed_by("from_nir"):
        from toolchain.frontends.nir import modules

    reading = {"dialect": dialect, "dt": dt, "reset": reset}
    return modules.from_nir(source, batch_size, num_timesteps, **reading)
