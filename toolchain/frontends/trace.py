"""The concrete-run tracer: a model is run once, and what happened is the Graph.

Neither the source nor the order of registration says what a network computes; a run does. A copy
of the model, in double precision and evaluation mode, is run on the sample and on random spikes.
Both runs have to give the same Graph, which finds branches that depend on data, and the Graph has
to give the same spikes in every layer.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from toolchain.diagnostics import ExtractError, GraphError, count
from toolchain.frontends.build import Built, build
from toolchain.frontends.record import record
from toolchain.frontends.selfcheck import self_check
from toolchain.ir import Graph
from toolchain.nn.state import reset_states

__all__ = ["extract"]


def extract(
    model: nn.Module,
    sample: Any,
    dt: float | None = None,
    *,
    check: bool = True,
    seed: int = 0,
) -> Graph:
    """The Graph of what ``model`` computes, under the model's own layer names.

    Args:
        model: layers of torch and of ``toolchain.nn``, joined by containers, sums and reshapes.
            It is copied and never changed.
        sample: an input as the model's own forward takes it, tensor or array: (batch, time,
            *features), or (batch * time, *features) where the model's layers cut batch and time.
        dt: length of a timestep, s; needed only where no layer knows it.
        check: run the Graph on the sample and on random spikes and compare every spike.
        seed: of the random spikes.

    Raises:
        ExtractError: everything that the Graph cannot say, by layer or by line; or a difference
            between the model and the Graph.
    """
    if not isinstance(model, nn.Module):
        raise ExtractError(f"the model must be a torch.nn.Module, got {type(model).__name__}")
    twin, inputs = _twin(model), _inputs(sample)
    first = _traced(twin, inputs, dt, "the sample")
    second = _traced(twin, _random_spikes(inputs, seed), dt, "random spikes")
    _same_graph(first.graph, second.graph)
    told = "not run"
    if check:
        spikes = self_check(first, "the sample") + self_check(second, "random spikes")
        told = f"0 of {count(spikes)} spikes differ on sample and random spikes"
    graph = first.graph
    provenance = {**graph.provenance, "self_check": told}
    return Graph(graph.nodes, graph.edges, dt=graph.dt, provenance=provenance)


def _inputs(sample: Any) -> Tensor:
    if isinstance(sample, np.ndarray):
        sample = torch.as_tensor(sample)
    if not isinstance(sample, Tensor):
        raise ExtractError(
            f"the sample must be one tensor or array, as the model's forward takes it, "
            f"got {type(sample).__name__}"
        )
    if sample.dim() < 2 or sample.numel() == 0:
        raise ExtractError(
            f"the sample must hold (batch, time, *features), got shape {tuple(sample.shape)}"
        )
    return sample.detach().cpu().to(torch.float64, copy=True)


def _twin(model: nn.Module) -> nn.Module:
    """A copy to run: on the CPU, in evaluation mode, in double precision."""
    if isinstance(model, torch.jit.ScriptModule):
        raise ExtractError("a scripted model has no layers to read; extract the original")
    original = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    for name, value in original.named_parameters():
        if isinstance(value, nn.parameter.UninitializedParameter):
            raise ExtractError(f"{name} has no shape yet; run the model once before extracting it")
    try:
        twin: nn.Module = copy.deepcopy(original)
    except Exception as fault:
        what = f"{type(original).__name__} cannot be copied: {type(fault).__name__}: {fault}"
        raise ExtractError(what) from fault
    return twin.cpu().double().eval()


def _traced(twin: nn.Module, inputs: Tensor, dt: float | None, what: str) -> Built:
    reset_states(twin)
    provenance = {"framework": f"torch {torch.__version__}", "model": type(twin).__name__}
    try:
        return build(record(twin, inputs, what), dt, provenance)
    except GraphError as fault:
        raise ExtractError(f"{type(twin).__name__}: {fault}") from fault


def _random_spikes(like: Tensor, seed: int) -> Tensor:
    """Counts of the shape of ``like``, Poisson with rates from 0 to 2 spikes a step."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.poisson(rng.uniform(0, 2, like.shape)).astype(np.float64))


def _same_graph(one: Graph, other: Graph) -> None:
    """Refuse a model whose structure depends on its input."""
    texts = str(one).splitlines(), str(other).splitlines()
    if texts[0] == texts[1]:
        return
    only = sorted(set(texts[0]) ^ set(texts[1])) or ["the order of its layers"]
    raise ExtractError(
        "the model computes something else on random spikes than on the sample; a branch in its "
        f"forward depends on the data. Only one of the two has: {'; '.join(only)}"
    )
