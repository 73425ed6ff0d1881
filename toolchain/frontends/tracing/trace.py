"""Tracer that runs a model and converts the recorded calls to a Graph.

Neither the source nor the order of registration determines what a network computes; a run does. A
copy of the model, in double precision and evaluation mode, is run on the sample and on random
spikes. Both runs must give the same Graph, which detects branches that depend on data, and the
Graph must give the same spikes in every layer. A layer that stays silent is not checked, so that
the second run goes on with stronger input where the sample leaves a layer silent; the provenance
lists layers that are silent even then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from toolchain.diagnostics import ExtractError, GraphError
from toolchain.frontends.tracing.build import TracedGraph, build
from toolchain.frontends.tracing.calls import RecordedRun
from toolchain.frontends.tracing.model_copy import copy_model, fresh_copy
from toolchain.frontends.tracing.one_step import STEPS, driver, is_one_step
from toolchain.frontends.tracing.proof_input import (
    RANDOM,
    STRONG,
    ProofInput,
    random_spikes,
    stronger_inputs,
    with_strong,
)
from toolchain.frontends.tracing.record import record
from toolchain.frontends.tracing.remedies import find_remedy
from toolchain.frontends.tracing.sample import check_dt, read_sample
from toolchain.frontends.tracing.selfcheck import self_check
from toolchain.frontends.tracing.versions import framework_versions
from toolchain.ir import Graph
from toolchain.ir.numbers import odd_numbers
from toolchain.report import count

__all__ = ["extract"]

_SPLIT = 6
"""Fewest timesteps of a run that is split in random spikes and strong input of every size."""


def extract(
    model: nn.Module,
    sample: Any,
    dt: float | None = None,
    *,
    check: bool = True,
    seed: int = 0,
) -> Graph:
    """Convert ``model`` to a Graph with the model's own layer names.

    Args:
        model: layers of torch, ``toolchain.nn`` and the frameworks, connected by containers, sums,
            reshapes and loops over time. It is copied and never changed.
        sample: an input in the shape that the model's own forward takes, tensor or array: (batch,
            time, *features), (time, batch, *features), or (batch * time, *features) where the
            model's layers split batch and time; (batch, *features) where the model loops over time
            and gives each step the same frame, or is itself one step.
        dt: length of a timestep, s; needed only where no layer states it.
        check: run the Graph on the sample and on random spikes and compare every spike.
        seed: seed of the random spikes.

    Raises:
        ExtractError: everything that the Graph cannot represent, by layer or by source line; or a
            difference between the model and the Graph.
    """
    if not isinstance(model, nn.Module):
        raise ExtractError(f"the model must be a torch.nn.Module, got {type(model).__name__}")
    with _plain_settings():
        return _extract(model, read_sample(sample), check_dt(dt), check, seed)


@contextmanager
def _plain_settings() -> Iterator[None]:
    """Leave inference mode, a default device and random numbers of the caller aside."""
    on_cpu = torch.get_default_device().type == "cpu"
    with (
        torch.inference_mode(False),  # the recorder needs version counters
        # intercepts every function of torch, so that it is entered only where it changes anything
        nullcontext() if on_cpu else torch.device("cpu"),
        torch.random.fork_rng(devices=[]),
    ):
        yield


def _extract(model: nn.Module, sample: Tensor, dt: float | None, check: bool, seed: int) -> Graph:
    model_copy, inputs, steps, notes, first = _first_run_or_remedy(model, sample, dt)

    def trace_on(given: ProofInput) -> TracedGraph:
        run = _run(model_copy, given.tensor, given.label, steps)
        result = _trace_graph(model_copy, run, dt, notes)
        _check_same_graph(first.graph, result.graph, given.label)
        return result

    second_input = _second_input(first, inputs, seed, check)
    second = trace_on(second_input)
    check_notes = {"self_check": "not run"}
    if check:
        has_strong = second_input.strong_from is not None
        stronger = stronger_inputs(inputs, seed, has_strong=has_strong)
        check_notes = _self_check_notes(
            first, second, second_input, ((trace_on(given), given) for given in stronger)
        )
    graph = first.graph
    provenance = {**graph.provenance, **check_notes}
    return Graph(graph.nodes, graph.edges, dt=graph.dt, provenance=provenance)


def _second_input(first: TracedGraph, inputs: Tensor, seed: int, check: bool) -> ProofInput:
    """Return the input of the second run: random spikes, with strong input for silent layers."""
    steps = first.timesteps
    if not check or not first.silent_layers or steps is None or steps.max() < _SPLIT - 1:
        return random_spikes(inputs, seed)
    return with_strong(inputs, steps, seed)


class _FirstRun(NamedTuple):
    """Result of the first run.

    Attributes:
        model_copy: the copy of the model that every run copies.
        inputs: its input.
        steps: True if its forward is one timestep, which is run in a loop.
        notes: entries of the provenance.
        result: the Graph.
    """

    model_copy: nn.Module
    inputs: Tensor
    steps: bool
    notes: dict[str, str]
    result: TracedGraph


def _first_run_or_remedy(model: nn.Module, inputs: Tensor, dt: float | None) -> _FirstRun:
    """Run the model on its sample; if it is refused, raise the remedy where there is one."""
    try:
        return _first_run(model, inputs, dt)
    except ExtractError as fault:
        advice = find_remedy(model, inputs, lambda net, tensor: _first_run(net, tensor, dt).notes)
        if advice:
            raise ExtractError(advice) from fault
        raise


def _first_run(model: nn.Module, inputs: Tensor, dt: float | None) -> _FirstRun:
    """Run a copy of the model on its sample, step by step if its forward is one timestep."""
    model_copy = copy_model(model)
    run, notes = _run(model_copy, inputs, "the sample"), {}
    steps = is_one_step(run)
    if steps:
        inputs = inputs.repeat(STEPS, *[1] * inputs.dim())
        notes = {"loop": f"its forward is one timestep, which was run {STEPS} times"}
        run = _run(model_copy, inputs, "the sample", steps)
    return _FirstRun(model_copy, inputs, steps, notes, _trace_graph(model_copy, run, dt, notes))


def _self_check_notes(
    first: TracedGraph,
    second: TracedGraph,
    second_input: ProofInput,
    stronger: Iterator[tuple[TracedGraph, ProofInput]],
) -> dict[str, str]:
    """Return the notes on the number of compared spikes and the layers that stayed silent."""
    spikes = self_check(first, lambda step: "the sample")
    spikes += self_check(second, second_input.label_at)
    silent = first.silent_layers & second.silent_layers
    strong = second_input.strong_from is not None
    while silent and (further := next(stronger, None)) is not None:
        result, given = further
        spikes += self_check(result, given.label_at)
        silent, strong = silent & result.silent_layers, True
    label = f"sample, {RANDOM} and {STRONG}" if strong else f"sample and {RANDOM}"
    notes = {"self_check": f"0 of {count(spikes)} spikes differ on {label}"}
    names = ", ".join(name for name in first.layers if name in silent)
    return notes | {"silent_in_self_check": names} if silent else notes


def _run(model_copy: nn.Module, inputs: Tensor, label: str, steps: bool = False) -> RecordedRun:
    """Run a copy of the model, which a run may change, step by step if ``steps``."""
    fresh = fresh_copy(model_copy)
    return record(fresh, inputs, label, driver(fresh) if steps else None)


def _trace_graph(
    model_copy: nn.Module, run: RecordedRun, dt: float | None, notes: dict[str, str]
) -> TracedGraph:
    provenance = {
        "framework": framework_versions(model_copy),
        "model": type(model_copy).__name__,
        **notes,
    }
    try:
        result = build(run, dt, provenance)
    except GraphError as fault:
        raise ExtractError(f"{type(model_copy).__name__}: {fault}") from fault
    _check_finite(result.graph)
    return result


def _check_finite(graph: Graph) -> None:
    """Check that all numbers but thresholds are finite; a neuron may have no threshold.

    Raises:
        ExtractError: layers, arrays and places.
    """
    wrong = [odd for odd in odd_numbers(graph) if not odd.finite and odd.field != "v_threshold"]
    if wrong:
        raise ExtractError("\n  ".join(f"layer {odd.layer!r}: {odd.text}" for odd in wrong))


def _differs(one: Graph, other: Graph, name: str) -> bool:
    """Return True if both graphs have a node of one type, with arrays of other numbers."""
    node, twin = one[name], other.nodes.get(name)
    return type(node) is type(twin) and any(
        not np.array_equal(getattr(node, field), getattr(twin, field), equal_nan=True)
        for field in node.ARRAYS
        if getattr(node, field) is not None and getattr(twin, field) is not None
    )


def _check_same_graph(one: Graph, other: Graph, label: str) -> None:
    """Check that two runs gave the same Graph.

    Raises:
        ExtractError: the model's structure depends on its input.
    """
    if changed := [name for name in one.nodes if _differs(one, other, name)]:
        raise ExtractError(
            f"{', '.join(map(repr, changed))}: its numbers on {label} differ from those on the "
            "sample; a chip has constant weights, so no number in forward may depend on the data "
            "or be drawn at random"
        )
    texts = str(one).splitlines(), str(other).splitlines()
    if texts[0] == texts[1]:
        return
    differences = sorted(set(texts[0]) ^ set(texts[1])) or ["the order of its layers"]
    raise ExtractError(
        f"the model's structure on {label} differs from that on the sample; a branch in its "
        f"forward depends on the data. Only one of the two runs has: {'; '.join(differences)}"
    )
