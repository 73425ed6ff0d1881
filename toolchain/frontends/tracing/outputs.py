"""What leaves a network: spikes, or the membranes of layers that never reset.

A model may return more than its output: states to go on from, membranes to train on. Those stay
outside the Graph, and that is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from torch import nn

from toolchain.diagnostics import ExtractError
from toolchain.frontends.frameworks.adapter import Axes, Fragment, Layer, UnsupportedError
from toolchain.frontends.tracing.calls import Call, Run, Value
from toolchain.frontends.tracing.functions import SAME
from toolchain.ir import MembraneReadout, Neuron
from toolchain.ir.neuron import Membrane

_OUT_OF_REACH = 2**15 - 1  # the threshold of a neuron that is not to fire (rockpool's SynNet)

__all__ = ["chosen", "membranes", "origin", "without_spikes"]


def chosen(run: Run) -> tuple[Value, dict[str, str]]:
    """The one output of a run, with what is told of the others.

    Raises:
        ExtractError: there are several.
    """
    returned = list(dict.fromkeys(run.returned))
    signals = [value for value in returned if _state(value) is None] or returned
    if len(signals) > 1:
        raise ExtractError(
            f"{run.model} returns {run.described}; return the one tensor that leaves the network"
        )
    states = {n: _state(value) for n, value in enumerate(returned) if value is not signals[0]}
    told = ", ".join(f"{_named(value)} (returned[{n}])" for n, value in states.items() if value)
    return signals[0], {"outputs_left_out": told} if told else {}


def _state(value: Value) -> Value | None:
    """The state of a layer that a tensor was made of, if it was."""
    while value.call is not None and value.call.module is None and value.call.inputs:
        value = value.call.inputs[0]
    return value if value.index and value.call is not None and value.call.stateful else None


def _named(value: Value) -> str:
    call = value.call
    assert call is not None
    assert isinstance(call.layer, Layer)
    what = "membrane" if value.index == call.layer.membrane else "state"
    return f"{what} of {call.name!r}"


def origin(value: Value) -> Value:
    """What a value was before it was copied, detached and so on."""
    while value.call is not None and value.call.function in SAME and value.call.inputs:
        value = value.call.inputs[0]
    return value


def membranes(calls: Sequence[Call], output: Value) -> set[nn.Module]:
    """The layers whose membrane goes on into the network, and not their spikes."""
    used: dict[nn.Module, set[int]] = {}
    for value, by in [(output, None), *((v, c) for c in calls for v in c.inputs)]:
        source = origin(value)
        call = source.call
        if call is None or call.module is None or _copies(by) or (by and by.module is call.module):
            continue
        used.setdefault(call.module, set()).add(source.index)
    found = {call.module: call.layer for call in calls if call.module is not None}
    return {
        module for module, indices in used.items() if _reads_out(found[module], module, indices)
    }


def _copies(call: Call | None) -> bool:
    """Whether a call only copies, so that what takes the copy is the one that counts."""
    return call is not None and call.module is None and call.function in SAME


def _reads_out(layer: Layer | str | None, module: nn.Module, indices: set[int]) -> bool:
    return (
        isinstance(layer, Layer)
        and (layer.axes_of(module) is Axes.STEP or layer.aside is not None)
        and indices == {layer.membrane}
    )


def without_spikes(fragment: Fragment) -> Fragment:
    """A neuron that never resets, as the MembraneReadout of its membrane."""
    node = fragment.nodes[fragment.exit]
    if not isinstance(node, Neuron):
        return fragment
    silent = node.reset == "none" or bool(np.all(node.v_threshold >= _OUT_OF_REACH))
    if not silent or len(fragment.nodes) > 1:
        raise UnsupportedError(
            "the network goes on with its membrane, on which its spikes act; build it without "
            "reset and recurrence, or go on with its spikes"
        )
    shared = {field.name: getattr(node, field.name) for field in fields(Membrane)}
    return Fragment(
        nodes={fragment.exit: MembraneReadout(**shared)},
        entry=fragment.entry,
        exit=fragment.exit,
        dt=fragment.dt,
    )
