"""Conversion of trained models to a Graph; ``source.as_graph`` accepts every supported input.

``tracing`` runs a torch module once, ``frameworks`` contains the adapters of its layers, ``nir``
reads NIR graphs, and ``files`` reads model files.

``extract`` is a thin function here, so that importing the toolchain does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolchain.extras import needed_by
from toolchain.ir.graph import Graph

if TYPE_CHECKING:
    from torch import nn

__all__ = ["extract"]


def extract(
    model: nn.Module,
    sample: Any,
    dt: float | None = None,
    *,
    check: bool = True,
    seed: int = 0,
) -> Graph:
    """Convert ``model`` to a Graph by running it once on ``sample``.

    See ``toolchain.frontends.tracing.trace`` for how the model is run and checked.

    Args:
        model: layers of torch, ``toolchain.nn`` and the supported frameworks; it is copied and
            never changed.
        sample: an input in the shape that the model's own forward takes, such as (batch, time,
            *features).
        dt: length of a timestep, s; needed only where no layer states it.
        check: run the Graph on the sample and on random spikes and compare every spike.
        seed: seed of the random spikes.

    Raises:
        ExtractError: the model contains something that the Graph cannot represent, or the Graph
            computes something different from the model.

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
    with needed_by("toolchain.extract"):
        from toolchain.frontends.tracing.trace import extract as trace_model

    return trace_model(model, sample, dt, check=check, seed=seed)
