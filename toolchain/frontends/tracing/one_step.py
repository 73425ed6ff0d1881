"""Models whose forward is a single timestep: the loop over time is driven from here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from toolchain.diagnostics import ExtractError
from toolchain.frontends.tracing.calls import RecordedRun
from toolchain.frontends.tracing.functions import SLICE, STACK
from toolchain.frontends.tracing.grids import step_calls

__all__ = ["STEPS", "driver", "is_one_step"]

STEPS = 20
"""How many timesteps a model of a single one is run for."""


def is_one_step(run: RecordedRun) -> bool:
    """Whether what was seen is one timestep, and no loop over several.

    Raises:
        ExtractError: it is a loop that ran only once, which shows nothing of what goes from step
            to step.
    """
    calls = step_calls(run.calls)
    stateful = {call.name for call in run.calls if call.stateful}
    if stateful != {*calls} or min(map(len, calls.values()), default=0) != 1:
        return False
    if not any(call.function in SLICE | STACK for call in run.calls):
        return True
    if max(map(len, calls.values())) > 1:
        return False
    raise ExtractError(
        f"{run.model} loops over time and made a single step with a sample of shape "
        f"{run.sample.shape}; give it at least 2 timesteps, so that what goes from step to step "
        "can be seen"
    )


def driver(model: nn.Module) -> Callable[[Tensor], Any]:
    """What runs ``model`` step by step over (time, batch, ...) and stacks what it gives.

    Where it returns its output followed by as many states as its forward takes behind the input,
    those are handed on.
    """

    def forward(sequence: Tensor) -> Any:
        states: tuple[Any, ...] = ()
        steps = []
        for step in sequence:
            out = model(step, *states)
            results = tuple(out) if isinstance(out, tuple | list) else (out,)
            if len(results) == 1 + state_count:
                results, states = results[:1], results[1:]
            steps.append([item for item in results if isinstance(item, Tensor)])
        return tuple(torch.stack(each) for each in zip(*steps, strict=True))

    state_count = _count_state_arguments(model)
    return forward


def _count_state_arguments(model: nn.Module) -> int:
    """How many arguments the forward of ``model`` takes behind its input."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(model.forward).parameters.values()
    return max(0, sum(parameter.kind in kinds for parameter in parameters) - 1)
