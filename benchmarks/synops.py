"""Cost of counting synops in the forward and backward pass of sinabs' synops tutorial network.

Variants: without hooks, with the hooks of this project and of sinabs, and both compiled by
``torch.compile``, on the same layers and input, interleaved in random order. The ratio is the
median of the ratios to the run without hooks of the same repeat.
"""

from __future__ import annotations

import copy
import random
import statistics
import time
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.figure import Figure
from benchmarks.measure import load
from tests.synops.tutorial import data, network
from toolchain.nn import reset_states
from toolchain.synops import register_synops_hooks

__all__ = ["figures"]


def variants() -> dict[str, Any]:
    """Return the network without hooks and with those of each project, plain and compiled."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sinabs.hooks import register_synops_hooks as others
    found: dict[str, Any] = {"plain": network()}
    for name, register in (("ours", register_synops_hooks), ("sinabs", others)):
        found[name] = copy.deepcopy(found["plain"])
        register(found[name])
    for name in ("plain", "ours"):
        model = copy.deepcopy(found[name]) if name == "plain" else network()
        if name == "ours":
            register_synops_hooks(model)
        found[f"{name}, compiled"] = torch.compile(model, backend="aot_eager")
    return found


def seconds(model: Any, given: torch.Tensor) -> float:
    """Return the processor time of one forward and backward pass, s."""
    reset_states(getattr(model, "_orig_mod", model))
    model.zero_grad()
    start = time.process_time()
    loss = model(given).square().mean()
    loss.backward()
    del loss  # to free the graph is part of a step, now or in the next one
    return time.process_time() - start


def figures(repeats: int) -> Iterator[Figure]:
    """Yield the ratio of a pass with hooks to one without, for each project and compiled."""
    torch.set_num_threads(1)
    given = data()
    models = variants()
    times: dict[str, list[float]] = {name: [] for name in models}
    for repeat in range(20 * repeats + 5):
        for name in random.sample(list(models), len(models)):
            taken = seconds(models[name], given)
            if repeat >= 5:
                times[name].append(taken)
    for name, base in (
        ("ours", "plain"),
        ("sinabs", "plain"),
        ("ours, compiled", "plain, compiled"),
    ):
        ratio = statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))
        yield Figure(
            name=f"synops hooks, forward and backward against none: {name}", value=ratio, unit="x",
            better="less", cpu=min(times[name]), load=load(),
        )  # fmt: skip
