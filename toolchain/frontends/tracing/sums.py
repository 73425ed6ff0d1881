"""Sums and differences of two signals of the network, or of a signal and zeros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from toolchain.frontends.frameworks.adapter import Fragment, UnsupportedError
from toolchain.frontends.tracing.calls import Call, Zeros
from toolchain.frontends.tracing.functions import SUBTRACT
from toolchain.frontends.tracing.partial_graph import PartialGraph, Signal
from toolchain.frontends.tracing.reshaping import stack_axis
from toolchain.ir import Add, Scale

__all__ = ["STACKED", "is_zero", "sum_signals", "sum_stack"]


STACKED = (
    "takes a stack of signals along an axis of its own; only their sum or mean over that axis is "
    "supported, or join them along a feature axis"
)


def sum_signals(call: Call, inputs: Sequence[Signal], graph: PartialGraph) -> Signal:
    """Return the signal of the sum or difference of the arguments of ``call``.

    Raises:
        UnsupportedError: the operands do not fit each other.
    """
    shapes = {value.shape for value in (*call.inputs, *call.outputs)}
    operation = call.module or (call.op, call.where)
    if len(inputs) == 1 and len(shapes) == 1:
        if any(isinstance(item, Zeros) for item in call.others):
            graph.add_absent(call, operation, inputs[0].step)
        return inputs[0]  # zeros before the first spike, or the start value of Python's sum()
    if len(inputs) != 2:
        raise UnsupportedError(
            f"adds different shapes: {', '.join(str(value.shape) for value in call.inputs)}"
        )
    one, two = inputs
    given = [value.shape for value in call.inputs]
    if call.module is not None and len(set(given)) > 1:
        raise UnsupportedError(
            f"adds shapes {' and '.join(map(str, given))}; give the smaller one the other's shape "
            "with torch.nn.functional.pad"
        )
    _check_two(one, two)
    factor = _factor(call)
    if one.node == two.node and one.step == two.step:
        return _scaled(call, one, 1 + factor, graph)
    two = _scaled(call, two, factor, graph)
    steps = [signal.step for signal in inputs if signal.step is not None]
    like = replace(one, step=max(steps, default=None), before=None)
    return graph.add_call(
        call, operation, [one, two], like, lambda name: Fragment.of(name, Add()), "add"
    )


def sum_stack(call: Call, signal: Signal, graph: PartialGraph) -> Signal:
    """Return the signal of the sum or mean of stacked signals.

    Raises:
        UnsupportedError: the call does something else.
    """
    stack = call.inputs[0].call
    assert stack is not None
    dim = [*call.positional[1:2], *(call.options.get(name) for name in ("dim", "axis"))][0]
    axis = dim[0] if isinstance(dim, tuple | list) and len(dim) == 1 else dim
    rank = len(call.inputs[0].shape)
    same_axis = isinstance(axis, int) and axis % rank == stack_axis(stack)
    shapes = {value.shape for value in (*stack.inputs, *call.outputs)}
    if call.function not in ("sum", "mean") or not same_axis or len(shapes) > 1:
        raise UnsupportedError(STACKED)
    parts = signal.stacked
    if len({part.node for part in parts}) < len(parts):
        raise UnsupportedError("adds a tensor to itself; scale the weights before it instead")
    like = replace(parts[0], before=None)
    operation = (call.op, call.where)
    total = graph.add_call(
        call, operation, parts, like, lambda name: Fragment.of(name, Add()), "add"
    )
    return _scaled(call, total, 1 / len(parts), graph) if call.function == "mean" else total


def _factor(call: Call) -> float:
    """Return the factor of the second operand."""
    alpha = call.options.get("alpha", 1)
    return float(-alpha if call.function in SUBTRACT else alpha)


def _scaled(call: Call, signal: Signal, factor: float, graph: PartialGraph) -> Signal:
    if factor == 1:
        return signal
    operation = (call.module or call.op, call.where, "factor")
    like = replace(signal, before=None)
    return graph.add_call(
        call,
        operation,
        [signal],
        like,
        lambda name: Fragment.of(name, Scale(scale=np.asarray(factor))),
        "scale",
    )


def _check_two(one: Signal, two: Signal) -> None:
    if one.layout is not two.layout:
        raise UnsupportedError(f"adds {one.layout.value} to {two.layout.value}")
    if one.node and one.node == two.node and one.step != two.step:
        raise UnsupportedError(
            "adds the outputs of one layer in different timesteps; return every step, joined with "
            "torch.stack, and sum outside the network"
        )


def is_zero(item: object) -> bool:
    """Return True for a zero, or a tensor of zeros, that does not depend on the sample."""
    return isinstance(item, Zeros) or (
        isinstance(item, int | float) and not isinstance(item, bool) and item == 0
    )
