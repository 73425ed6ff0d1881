"""Conversion of trained models to a Graph; ``source.as_graph`` accepts every supported input.

``tracing`` runs a torch module once, ``frameworks`` contains the adapters of its layers, ``nir``
reads NIR graphs, and ``files`` reads model files.

``extract`` is a thin function here, so that importing the toolchain does not import torch.
"""

from __future__ import annotations

from typing import Any

from toolchain.frontends.source import as_graph
from toolchain.ir.graph import Graph

__all__ = ["extract"]


def extract(
    model: Any,
    sample: Any = None,
    dt: float | None = None,
    *,
    dialect: str | None = None,
    reset: str | None = None,
    check: bool = True,
    seed: int = 0,
) -> Graph:
    """Convert ``model`` to a Graph: a torch module by running it once, a file by reading it.

    See ``toolchain.frontends.tracing.trace`` for how a module is run and checked, and
    ``toolchain.load`` for files.

    Args:
        model: a torch module of layers of torch, ``toolchain.nn`` and the supported frameworks,
            which is copied and never changed; or a Graph, a ``nir.NIRGraph`` or the path of a file.
        sample: an input in the shape that the module's own forward takes, such as (batch, time,
            *features); needed for a module.
        dt: length of a timestep, s; needed only where the model does not state it.
        dialect, reset: interpretation of a NIR graph; see ``toolchain.frontends.nir``.
        check: run the Graph on the sample and on random spikes and compare every spike.
        seed: seed of the random spikes.

    Raises:
        ExtractError: the model contains something that the Graph cannot represent, the Graph
            computes something different from the model, or ``model`` is no model.
        ModelFileError: the file is damaged or ambiguous.

    >>> import torch
    >>> from toolchain import nn
    >>> from toolchain.frontends import extract
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False), nn.IAF())
    >>> graph = extract(net, torch.ones(1, 20, 3), dt=0.001)
    >>> print([f"{name}: {type(node).__name__}" for name, node in graph.nodes.items()])
    ['input: Input', '0: Linear', '1: Neuron', 'output: Output']
    >>> print(graph.dt, graph.shape("output"))
    0.001 (2,)
    """
    return as_graph(
        model, sample=sample, dt=dt, dialect=dialect, reset=reset, check=check, seed=seed
    )
