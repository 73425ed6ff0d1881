"""Sums of two signals of the network, or of a signal and zeros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from toolchain.frontends.frameworks.adapter import Fragment, UnsupportedError
from toolchain.frontends.tracing.calls import Call, Zeros
from toolchain.frontends.tracing.partial_graph import PartialGraph, Signal
from toolchain.ir import Add

__all__ = ["sum_signals"]


def sum_signals(call: Call, inputs: Sequence[Signal], graph: PartialGraph) -> Signal:
    """Return the signal of the sum of the arguments of ``call``.

    Raises:
        UnsupportedError: an operand comes from no layer, or the operands do not fit each other.
    """
    others = [item for item in call.others if item is not None]
    shapes = {value.shape for value in (*call.inputs, *call.outputs)}
    operation = call.module or (call.op, call.where)
    if len(inputs) == 1 and all(map(_is_zero, others)) and len(shapes) == 1:
        if any(isinstance(item, Zeros) for item in others):
            graph.add_absent(call, operation, inputs[0].step)
        return inputs[0]  # zeros before the first spike, or the start value of Python's sum()
    if others or len(inputs) != 2:
        operands = ", ".join(map(_describe, others)) or "something"
        raise UnsupportedError(f"adds {operands} that is no layer's output")
    if len(shapes) > 1:
        raise UnsupportedError(
            f"adds different shapes: {', '.join(str(value.shape) for value in call.inputs)}"
        )
    one, two = inputs
    _check_two(one, two)
    steps = [signal.step for signal in inputs if signal.step is not None]
    like = replace(one, step=max(steps, default=None))
    return graph.add_call(
        call, operation, inputs, like, lambda name: Fragment.of(name, Add()), "add"
    )


def _check_two(one: Signal, two: Signal) -> None:
    if one.layout is not two.layout:
        raise UnsupportedError(f"adds {one.layout.value} to {two.layout.value}")
    if not one.node or one.node != two.node:
        return
    if one.step == two.step:
        raise UnsupportedError("adds a tensor to itself; scale the weights before it instead")
    raise UnsupportedError(
        "adds the outputs of one layer in different timesteps; return every step, joined with "
        "torch.stack, and sum outside the network"
    )


def _is_zero(item: object) -> bool:
    return isinstance(item, Zeros) or (isinstance(item, int | float) and item == 0)


def _describe(item: object) -> str:
    return "a tensor" if isinstance(item, Tensor | Zeros) else repr(item)
