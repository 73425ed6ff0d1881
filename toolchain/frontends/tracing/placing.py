"""Nodes of functions between layers, placed into the unfinished Graph."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from math import prod

from torch import Tensor

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks.adapter import Fragment, UnsupportedError
from toolchain.frontends.tracing.axes import AxisLayout, Grid
from toolchain.frontends.tracing.calls import Call, Zeros
from toolchain.frontends.tracing.feature_moves import (
    ZERO,
    feature_moves,
    is_reshape,
    reshaped,
)
from toolchain.frontends.tracing.functions import MAPS, STACK
from toolchain.frontends.tracing.linear_functions import linear_nodes
from toolchain.frontends.tracing.partial_graph import PartialGraph, Signal
from toolchain.frontends.tracing.rearrange import NotMovesError, Placed, rearranged
from toolchain.frontends.tracing.reshaping import reshape
from toolchain.ir import Add

__all__ = ["apply_linear", "as_rows", "broadcast", "place_flat", "place_moves"]


def apply_linear(call: Call, inputs: Sequence[Signal], graph: PartialGraph) -> Signal:
    """Return the signal of a linear function of one signal.

    Raises:
        UnsupportedError: it is not linear, or takes several signals.
    """
    if len(inputs) > 1:
        raise UnsupportedError(
            "combines two tensors that depend on the input, other than by a sum; a chip multiplies "
            "spikes by constant weights only"
        )
    signal = inputs[0]
    if call.function in MAPS:
        signal = as_rows(call, signal, call.inputs[0].shape, graph)
    like = replace(signal, before=None)

    def make(name: str) -> Fragment:
        return Fragment.chain(name, linear_nodes(call, signal), call.function)

    operation = call.module or (call.op, call.where)
    return graph.add_call(call, operation, [signal], like, make, call.function.strip("_"))


def broadcast(
    call: Call, inputs: Sequence[Signal], grid: Grid, graph: PartialGraph
) -> list[Signal]:
    """Return the operands of ``call`` expanded to the shape of its output."""
    output = call.outputs[0]

    def expand(tensor: Tensor) -> Tensor:
        return tensor.expand(output.shape)

    expanded = []
    for n, (signal, value) in enumerate(zip(inputs, call.inputs, strict=True)):
        if value.shape != output.shape:
            alone = Call(call.name, op="torch.Tensor.expand", where=f"{call.where}, operand {n}")
            alone.arguments, alone.positional, alone.compute = [value], [value], expand
            alone.outputs = [output]
            (signal,) = place_moves(alone, [signal], grid, graph, loops=False)
        expanded.append(signal)
    return expanded


def as_rows(call: Call, signal: Signal, shape: Shape, graph: PartialGraph) -> Signal:
    """Return a single timestep whose second axis, of length 1, is a feature instead of time."""
    if signal.sequence or signal.layout is not AxisLayout.BATCH_TIME or len(shape) < 3:
        return signal
    alone = Call(call.name, op="torch.Tensor.unsqueeze", where=call.where)
    like = replace(signal, layout=AxisLayout.STEP, frame=False, before=None)
    operation = (call.module or call.op, call.where, "rows")
    return place_reshape(alone, signal, shape[2:], shape[1:], like, graph, operation)


def place_moves(
    call: Call, inputs: Sequence[Signal], grid: Grid, graph: PartialGraph, *, loops: bool
) -> list[Signal]:
    """Return the signals of a call that only moves, copies or omits numbers.

    Raises:
        UnsupportedError: it does something else, or mixes samples or timesteps.
    """
    operation: Hashable = call.module or (call.op, call.where)
    features = [
        signal.layout.features(value.shape)
        for signal, value in zip(inputs, call.inputs, strict=True)
    ]
    try:
        outputs = rearranged(call, inputs, grid)
    except NotMovesError:
        return [apply_linear(call, inputs, graph)]
    return [
        _place(call, inputs, features, placed, (operation, n), graph, loops=loops)
        for n, placed in enumerate(outputs)
    ]


def _place(
    call: Call,
    inputs: Sequence[Signal],
    features: Sequence[Shape],
    placed: Placed,
    operation: Hashable,
    graph: PartialGraph,
    *,
    loops: bool,
) -> Signal:
    branches = [
        _branch(call, signal, shape, index, placed.like, (operation, n), graph)
        for n, (signal, shape, index) in enumerate(
            zip(inputs, features, placed.indices, strict=True)
        )
        if (index != ZERO).any()
    ]
    if not branches:
        raise UnsupportedError("leaves nothing of its input")
    added = (operation, "add")
    if len(branches) == 1:
        zeros = any(isinstance(item, Zeros) for item in call.others)
        if loops and zeros and call.function in STACK:
            graph.add_absent(call, added, placed.like.step)
        return branches[0]
    return graph.add_call(
        call, added, branches, placed.like, lambda name: Fragment.of(name, Add()), "add"
    )


def _branch(
    call: Call,
    signal: Signal,
    features: Shape,
    index: Array,
    like: Signal,
    operation: Hashable,
    graph: PartialGraph,
) -> Signal:
    """Return one input of a call with its features at their places."""
    like = replace(like, step=like.step if signal.step is None else signal.step)
    if is_reshape(index, features):
        return place_reshape(call, signal, features, index.shape, like, graph, operation)

    def make(name: str) -> Fragment:
        fragment = Fragment.chain(name, feature_moves(index, features))
        graph.moves |= {*fragment.nodes}
        return fragment

    return graph.add_call(call, operation, [signal.at(like)], like, make, call.function.strip("_"))


def place_flat(call: Call, signal: Signal, grid: Grid, graph: PartialGraph) -> Signal | None:
    """Return the signal of a reshape, read from its shapes alone.

    None if it does more than flatten all features, or join or split batch and time.
    """
    match = reshape(call, signal, grid)
    if match is None:
        return None
    result, flat = match
    if not flat:
        return result
    features = signal.layout.features(call.inputs[0].shape)
    return place_reshape(call, signal, features, (prod(features),), result, graph)


def place_reshape(
    call: Call,
    signal: Signal,
    features: Shape,
    wanted: Shape,
    like: Signal,
    graph: PartialGraph,
    operation: Hashable = None,
) -> Signal:
    """Return the signal with its features on other axes; reshapes in a row are one."""
    source, shape = signal.before or (signal, features)
    source = source.at(like)
    if not reshaped(shape, wanted):
        return source
    operation = operation or call.module or (call.op, call.where)
    kind = "flatten" if len(wanted) == 1 else "reshape"
    result = graph.add_call(
        call,
        operation,
        [source],
        like,
        lambda name: Fragment.chain(name, reshaped(shape, wanted)),
        kind,
    )
    graph.moves.add(result.node)
    return replace(result, before=(source, shape))
