"""Conversion of the calls of torch functions between layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolchain.frontends.frameworks.adapter import UnsupportedError
from toolchain.frontends.tracing.axes import Grid
from toolchain.frontends.tracing.calls import Call
from toolchain.frontends.tracing.functions import (
    ADD,
    MOVES,
    RESHAPES,
    SAME,
    SLICE,
    STACK,
    SUBTRACT,
    unsupported,
)
from toolchain.frontends.tracing.partial_graph import PartialGraph, Signal
from toolchain.frontends.tracing.placing import apply_linear, broadcast, place_flat, place_moves
from toolchain.frontends.tracing.reshaping import (
    join_steps,
    joins_steps,
    reorder,
    slice_steps,
    stacks_signals,
)
from toolchain.frontends.tracing.sums import STACKED, is_zero, sum_signals, sum_stack
from toolchain.frontends.tracing.views import shows_all

__all__ = ["check_usable", "convert_function"]


def convert_function(
    call: Call, inputs: list[Signal], grid: Grid, graph: PartialGraph, *, loops: bool
) -> Sequence[Signal]:
    """Return the signals of the outputs of a function, whose nodes are placed into ``graph``.

    Args:
        call: its call.
        inputs: signals of its inputs.
        grid: sizes of batch and time.
        graph: the Graph so far.
        loops: True if the run contains a loop over time.

    Raises:
        UnsupportedError: the IR cannot represent it.
    """
    reason = unsupported(call)
    if reason is not None:
        raise UnsupportedError(reason)
    if call.function in SAME:
        return inputs[:1]
    if stacks_signals(call, inputs):
        return [replace(inputs[0], stacked=tuple(inputs), before=None)]
    if call.function in STACK and joins_steps(call, inputs, grid):
        return [join_steps(call, inputs, grid, graph)]
    if inputs[0].stacked:
        return [sum_stack(call, inputs[0], graph)]
    check_usable(inputs)
    if call.function in MOVES:
        return _move(call, inputs, grid, graph, loops=loops)
    if call.function in ADD | SUBTRACT and (len(inputs) > 1 or _adds_zeros(call)):
        if len(inputs) > 1:
            inputs = broadcast(call, inputs, grid, graph)
        return [sum_signals(call, inputs, graph)]
    return [apply_linear(call, inputs, graph)]


def _move(
    call: Call, inputs: list[Signal], grid: Grid, graph: PartialGraph, *, loops: bool
) -> Sequence[Signal]:
    """Convert a call that only moves numbers: the quick readings first, then by its numbers."""
    signal = inputs[0]
    if call.function in SLICE and not (len(call.outputs) == 1 and shows_all(call)):
        steps = slice_steps(call, signal)
        if steps is not None:
            return steps
    elif call.function not in STACK and len(inputs) == 1:
        result = reorder(call, signal)
        if result is None and call.function in RESHAPES | SLICE:
            result = place_flat(call, signal, grid, graph)
        if result is not None:
            return [result]
    return place_moves(call, inputs, grid, graph, loops=loops)


def _adds_zeros(call: Call) -> bool:
    """Return True if zeros, which may stand for spikes before the first, are the other operand."""
    return any(is_zero(item) for item in call.others)


def check_usable(inputs: Sequence[Signal]) -> None:
    """Check that signals are outputs of layers, each on its own.

    Raises:
        UnsupportedError: one is a state, or a stack of several.
    """
    for signal in inputs:
        if signal.stacked:
            raise UnsupportedError(STACKED)
        if signal.state:
            raise UnsupportedError(
                f"takes a state of layer {signal.node!r}; only a layer's output can be used: its "
                "spikes, or the membrane of a layer without reset whose spikes are not used"
            )
