"""States that a model passes to a layer in a loop over time.

The Graph gives each layer its own state of the previous step, and a start at rest. It cannot
represent any other use of states.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from toolchain.frontends.frameworks.adapter import Layer, UnsupportedError
from toolchain.frontends.tracing.calls import Call, RecordedTensor, Zeros
from toolchain.frontends.tracing.outputs import origin
from toolchain.report import times

__all__ = ["check_states", "repeated_call_message", "tensor_arguments"]


def repeated_call_message(number: int) -> str:
    """Return the reason why a layer on whole sequences may be called only once."""
    return (
        f"is called {times(number)} in one forward; it has state, so each call needs its own layer"
    )


def tensor_arguments(call: Call) -> list[Any]:
    """Return the arguments of a layer without options such as None."""
    kinds = (RecordedTensor, Zeros, Tensor, int, float)
    return [x for x in call.arguments if isinstance(x, kinds) and not isinstance(x, bool)]


def check_states(call: Call, before: Call | None) -> None:
    """Check that states are zero in the first call, and the previous call's own in all others.

    Args:
        call: a call of a layer with state, once in each timestep.
        before: its call in the previous step; None in the first.

    Raises:
        UnsupportedError: another state is passed.
    """
    states = tensor_arguments(call)[1:]
    if before is None:
        for state in states:
            _check_start(state)
        return
    assert isinstance(call.layer, Layer)
    if not states:
        if call.layer.reset is None:
            raise UnsupportedError(
                "is called without its state of the previous step; pass the state that it returned "
                "there"
            )
        return
    for state in states:
        _check_own(state, call, before)
    # by identity, not by index: the membrane of a readout is both its output and its state
    if [origin(state) for state in states] != before.outputs[-len(states) :]:
        raise UnsupportedError("receives its states in a different order than it returned them")


def _check_start(state: Any) -> None:
    if isinstance(state, RecordedTensor):
        raise UnsupportedError(f"receives {_origin_name(state)} as its state")
    if not _is_zero(state):
        raise UnsupportedError(
            "receives an initial state that is not zero; a chip starts at rest, so pass no state "
            "in the first step"
        )


def _check_own(state: Any, call: Call, before: Call) -> None:
    if not isinstance(state, RecordedTensor):
        state_text = "zeros" if _is_zero(state) else "a tensor that is no layer's output"
        raise UnsupportedError(f"receives {state_text} as its state after the first step")
    source = origin(state).call
    if source is before:
        return
    if source is not None and source.module is call.module:
        raise UnsupportedError("receives its state of a step before the previous one")
    raise UnsupportedError(f"receives {_origin_name(state)} as its state")


def _origin_name(value: RecordedTensor) -> str:
    call = origin(value).call
    return "the sample" if call is None else f"the output of {call}"


def _is_zero(item: Any) -> bool:
    return isinstance(item, Zeros) or (isinstance(item, int | float) and item == 0)
