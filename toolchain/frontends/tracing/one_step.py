"""Models whose forward is a single timestep, run here in a loop over time."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from toolchain.diagnostics import ExtractError
from toolchain.frontends.tracing.calls import Call, RecordedRun
from toolchain.frontends.tracing.functions import SLICE, STACK
from toolchain.frontends.tracing.grids import step_calls
from toolchain.frontends.tracing.returned import stack_steps
from toolchain.frontends.tracing.views import shows_all

__all__ = ["STEPS", "driver", "is_one_step"]

STEPS = 20
"""Number of timesteps for which a model of a single one is run."""


def is_one_step(run: RecordedRun) -> bool:
    """Return True if the run was one timestep, and not a loop over several.

    Raises:
        ExtractError: the model loops over time but ran a single step, so that nothing shows what is
            passed from step to step.
    """
    calls = step_calls(run.calls)
    stateful = {call.name for call in run.calls if call.stateful}
    if stateful != {*calls} or min(map(len, calls.values()), default=0) != 1:
        return False
    if not any(_is_of_a_loop(call) for call in run.calls):
        return True
    if max(map(len, calls.values())) > 1:
        return False
    raise ExtractError(
        f"{run.model} loops over time but ran a single step on a sample of shape "
        f"{run.sample.shape}; give it at least 2 timesteps, so that the connections between steps "
        "are recorded"
    )


def _is_of_a_loop(call: Call) -> bool:
    """Return True for a slice of the only timestep, or a stack of it alone."""
    if call.function in STACK:
        return len(call.inputs) == 1
    return call.function in SLICE and len(call.outputs) == 1 and shows_all(call)


def driver(model: nn.Module) -> Callable[[Tensor], Any]:
    """Return a function that runs ``model`` in a loop over (time, batch, ...) and stacks outputs.

    If the model returns its output followed by as many states as its forward takes after the input,
    these states are passed to the next step.
    """

    def forward(sequence: Tensor) -> Any:
        states: tuple[Any, ...] = ()
        steps = []
        for step in sequence:
            out = model(step, *states)
            results = tuple(out) if isinstance(out, tuple | list) else (out,)
            if len(results) == 1 + state_count:
                results, states = results[:1], results[1:]
            steps.append(results)
        return stack_steps(steps)

    state_count = _count_state_arguments(model)
    return forward


def _count_state_arguments(model: nn.Module) -> int:
    """Return the number of arguments of the forward of ``model`` after its input."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(model.forward).parameters.values()
    return max(0, sum(parameter.kind in kinds for parameter in parameters) - 1)
