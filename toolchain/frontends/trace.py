"""The concrete-run tracer: a model is run once, and what happened is the Graph.

Neither the source nor the order of registration says what a network computes; a run does. A copy
of the model, in double precision and evaluation mode, is run on the sample and on random spikes.
Both runs have to give the same Graph, which finds branches that depend on data, and the Graph has
to give the same spikes in every layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from toolchain.diagnostics import ExtractError, GraphError, count
from toolchain.frontends.build import Built, build
from toolchain.frontends.calls import Run
from toolchain.frontends.one_step import STEPS, driver, is_one_step
from toolchain.frontends.record import record
from toolchain.frontends.selfcheck import self_check
from toolchain.frontends.twin import reset, twin_of
from toolchain.frontends.versions import frameworks
from toolchain.ir import Graph

__all__ = ["extract"]

_Forward: TypeAlias = Callable[[Tensor], Any] | None


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
        model: layers of torch, ``toolchain.nn`` and the frameworks, joined by containers, sums,
            reshapes and loops over time. It is copied and never changed.
        sample: an input as the model's own forward takes it, tensor or array: (batch, time,
            *features), (time, batch, *features), or (batch * time, *features) where the model's
            layers cut batch and time; (batch, *features) where the model loops over time and shows
            each step the same frame, or is itself one step.
        dt: length of a timestep, s; needed only where no layer knows it.
        check: run the Graph on the sample and on random spikes and compare every spike.
        seed: of the random spikes.

    Raises:
        ExtractError: everything that the Graph cannot say, by layer or by line; or a difference
            between the model and the Graph.
    """
    if not isinstance(model, nn.Module):
        raise ExtractError(f"the model must be a torch.nn.Module, got {type(model).__name__}")
    twin, inputs = twin_of(model), _inputs(sample)
    run, forward, told = _run(twin, inputs, "the sample"), None, {}
    if is_one_step(run):
        forward, inputs = driver(twin), inputs.repeat(STEPS, *[1] * inputs.dim())
        told = {"loop": f"its forward is one timestep, which was run {STEPS} times"}
        run = _run(twin, inputs, "the sample", forward)
    first = _built(twin, run, dt, told)
    random = _run(twin, _random_spikes(inputs, seed), "random spikes", forward)
    second = _built(twin, random, dt, told)
    _same_graph(first.graph, second.graph)
    checked = _checked(first, second) if check else "not run"
    graph = first.graph
    provenance = {**graph.provenance, "self_check": checked}
    return Graph(graph.nodes, graph.edges, dt=graph.dt, provenance=provenance)


def _checked(first: Built, second: Built) -> str:
    spikes = self_check(first, "the sample") + self_check(second, "random spikes")
    return f"0 of {count(spikes)} spikes differ on sample and random spikes"


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


def _run(twin: nn.Module, inputs: Tensor, what: str, forward: _Forward = None) -> Run:
    reset(twin)
    return record(twin, inputs, what, forward)


def _built(twin: nn.Module, run: Run, dt: float | None, told: dict[str, str]) -> Built:
    provenance = {"framework": frameworks(twin), "model": type(twin).__name__, **told}
    try:
        return build(run, dt, provenance)
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
