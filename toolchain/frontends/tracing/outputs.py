"""Outputs of a network: spikes, or the membranes of layers that never reset.

A model may return more than its output: states to continue from, membranes to train on. Those are
left out of the Graph, and its provenance lists them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from toolchain.diagnostics import ExtractError
from toolchain.frontends.frameworks.adapter import Axes, Fragment, Layer, UnsupportedError
from toolchain.frontends.tracing.calls import Call, RecordedRun, RecordedTensor
from toolchain.frontends.tracing.functions import SAME
from toolchain.ir import Neuron, membrane_of

_OUT_OF_REACH = 2**15 - 1  # rockpool's SynNet gives neurons that must not fire this threshold

__all__ = ["choose_output", "membrane_readouts", "origin", "without_spikes"]


def choose_output(run: RecordedRun) -> tuple[RecordedTensor, dict[str, str]]:
    """Return the one output of a run, and the provenance entry that lists what was left out.

    Raises:
        ExtractError: there are several outputs.
    """
    outputs = list(dict.fromkeys(run.outputs))
    signals = [value for value in outputs if _source_state(value) is None] or outputs
    if len(signals) > 1:
        raise ExtractError(
            f"{run.model} returns {run.description}; return the one output tensor of the network"
        )
    states = {n: _source_state(value) for n, value in enumerate(outputs) if value is not signals[0]}
    names = ", ".join(
        f"{_state_name(value)} (returned[{n}])" for n, value in states.items() if value
    )
    return signals[0], {"outputs_left_out": names} if names else {}


def _source_state(value: RecordedTensor) -> RecordedTensor | None:
    """Return the layer state that a tensor was computed from, or None."""
    while value.call is not None and value.call.module is None and value.call.inputs:
        value = value.call.inputs[0]
    return value if value.index and value.call is not None and value.call.stateful else None


def _state_name(value: RecordedTensor) -> str:
    call = value.call
    assert call is not None
    assert isinstance(call.layer, Layer)
    state_kind = "membrane" if value.index == call.layer.membrane else "state"
    return f"{state_kind} of {call.name!r}"


def origin(value: RecordedTensor) -> RecordedTensor:
    """Return the tensor that ``value`` is a copy of, before detach, clone and the like."""
    while value.call is not None and value.call.function in SAME and value.call.inputs:
        value = value.call.inputs[0]
    return value


def membrane_readouts(calls: Sequence[Call], output: RecordedTensor) -> set[nn.Module]:
    """Return the layers whose membrane, and not their spikes, is used by the network."""
    used: dict[nn.Module, set[int]] = {}
    uses: list[tuple[RecordedTensor, Call | None]] = [(output, None)]
    for call in calls:
        uses += [(value, call) for value in call.inputs]
    for value, user in uses:
        source = origin(value)
        module = source.call.module if source.call is not None else None
        if module is None or _is_copy(user) or (user and user.module is module):
            continue
        used.setdefault(module, set()).add(source.index)
    layers = {call.module: call.layer for call in calls if call.module is not None}
    return {
        module for module, indices in used.items() if _is_readout(layers[module], module, indices)
    }


def _is_copy(call: Call | None) -> bool:
    """Return True for a call that only copies, so that the user of the copy counts instead."""
    return call is not None and call.module is None and call.function in SAME


def _is_readout(layer: Layer | str | None, module: nn.Module, indices: set[int]) -> bool:
    return (
        isinstance(layer, Layer)
        and (layer.axes_of(module) is Axes.STEP or layer.aside is not None)
        and indices == {layer.membrane}
    )


def without_spikes(fragment: Fragment) -> Fragment:
    """Return the fragment of a neuron that never resets as the MembraneReadout of its membrane.

    Raises:
        UnsupportedError: the neuron's spikes act on its membrane.
    """
    node = fragment.nodes[fragment.exit]
    if not isinstance(node, Neuron):
        return fragment
    silent = node.reset == "none" or bool(np.all(node.v_threshold >= _OUT_OF_REACH))
    if not silent or len(fragment.nodes) > 1:
        raise UnsupportedError(
            "the network uses its membrane, on which its spikes act; build it without reset and "
            "recurrence, or use its spikes"
        )
    return Fragment(
        nodes={fragment.exit: membrane_of(node)},
        entry=fragment.entry,
        exit=fragment.exit,
        dt=fragment.dt,
    )
