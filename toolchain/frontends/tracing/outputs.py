"""Outputs of a network: spikes, or the membranes of layers that never reset.

A model may return more than its output: states to continue from, membranes to train on. Those are
left out of the Graph, and its provenance lists them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from toolchain.diagnostics import ExtractError
from toolchain.frontends.frameworks.adapter import Axes, Fragment, Layer, UnsupportedError
from toolchain.frontends.tracing.calls import Call, RecordedRun, RecordedTensor
from toolchain.frontends.tracing.functions import MOVES, RESHAPES, SAME
from toolchain.frontends.tracing.returned import Path, label_of, path_text
from toolchain.ir import Neuron, membrane_of

_OUT_OF_REACH = 2**15 - 1  # rockpool's SynNet gives neurons that must not fire this threshold

__all__ = ["NamedOutput", "choose_outputs", "membrane_readouts", "origin", "without_spikes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedOutput:
    """One output of a model.

    Attributes:
        value: its tensor.
        label: its name; empty for the name of the layer that it comes from.
    """

    value: RecordedTensor
    label: str = ""


def choose_outputs(run: RecordedRun) -> tuple[list[NamedOutput], dict[str, str]]:
    """Return the outputs of a run, and the provenance entry that lists what was left out.

    States that a model returns beside its spikes are left out. Of several outputs each must be the
    spikes of a layer; the same spikes under two names are one signal with two outputs.

    Raises:
        ExtractError: several outputs of which some are no spikes, all of them named.
    """
    returned = dict(zip(run.paths, run.outputs, strict=True))
    signals = {path: value for path, value in returned.items() if _source_state(value) is None}
    notes = _left_out(returned, signals)
    if len({*signals.values()} or {*returned.values()}) == 1:
        path, value = next(iter((signals or returned).items()))
        return [NamedOutput(value=value, label=label_of(path))], notes
    if not signals:
        raise ExtractError(f"{run.model} returns {run.description}; return the spikes of a layer")
    _check_heads(run, signals)
    chosen: dict[tuple[Call | None, int, tuple[int, ...]], RecordedTensor] = {}
    heads: dict[tuple[str, RecordedTensor], NamedOutput] = {}
    for path, value in signals.items():
        source = _same_numbers(value)
        first = chosen.setdefault((source.call, source.index, value.shape), value)
        heads.setdefault((label_of(path), first), NamedOutput(value=first, label=label_of(path)))
    return [*heads.values()], notes


def _left_out(
    returned: Mapping[Path, RecordedTensor], signals: Mapping[Path, RecordedTensor]
) -> dict[str, str]:
    """Return the note on the states that a model returns beside its outputs."""
    kept = {*signals.values()} or {next(iter(returned.values()))}
    numbers = {value: n for n, value in enumerate(dict.fromkeys(returned.values()))}
    names = []
    for path, value in {value: (path, value) for path, value in returned.items()}.values():
        state = None if value in kept else _source_state(value)
        if state is not None:
            place = path_text(path) if label_of(path) else f"returned[{numbers[value]}]"
            names.append(f"{_state_name(state)} ({place})")
    return {"outputs_left_out": ", ".join(names)} if names else {}


def _check_heads(run: RecordedRun, signals: Mapping[Path, RecordedTensor]) -> None:
    """Check that each of several outputs is the spikes of a layer of its own."""
    sources = {path: _spikes(value) for path, value in signals.items()}
    other = [path for path, source in sources.items() if source is None]
    if len(other) == len(signals):
        raise ExtractError(
            f"{run.model} returns {run.description}; return the one output tensor of the network, "
            "or the spikes of several layers"
        )
    if other:
        names = ", ".join(f"{path_text(path)} ({_producer(signals[path])})" for path in other)
        are = "is" if len(other) == 1 else "are"
        raise ExtractError(
            f"{run.model}: {names} {are} not the spikes of a layer; of several outputs each must "
            "be: return the spikes alone and compute the rest from them outside the network"
        )
    steps: dict[nn.Module | None, set[Call]] = {}
    for source in sources.values():
        assert source is not None
        assert source.call is not None
        steps.setdefault(source.call.module, set()).add(source.call)
    for module, calls in steps.items():
        if len(calls) > 1:
            name = next(iter(calls)).name
            raise ExtractError(
                f"{run.model} returns {run.description}; the timesteps of layer {name!r} "
                f"({type(module).__name__}) are {len(calls)} tensors, join them with torch.stack"
            )


def _spikes(value: RecordedTensor) -> RecordedTensor | None:
    """Return the output of a layer with state that ``value`` shows, or None."""
    while value.call is not None:
        call = value.call
        if call.stateful:
            return value
        if not call.inputs or not _rearranges(call, SAME | MOVES):
            return None
        value = call.inputs[0]
    return None


def _same_numbers(value: RecordedTensor) -> RecordedTensor:
    """Return the tensor that has the same numbers as ``value``, before copies and reshapes."""
    while value.call is not None and not value.call.stateful and value.call.inputs:
        if len(value.call.inputs) > 1 or not _rearranges(value.call, SAME | RESHAPES):
            break
        value = value.call.inputs[0]
    return value


def _rearranges(call: Call, functions: Collection[str]) -> bool:
    """Return True if a call copies or rearranges its first input."""
    if call.module is None:
        return call.function in functions
    return isinstance(call.layer, Layer) and call.layer.axes_of(call.module) in (
        Axes.ANY,
        Axes.RESHAPE,
    )


def _producer(value: RecordedTensor) -> str:
    return "the sample" if value.call is None else f"the result of {value.call}"


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


def membrane_readouts(calls: Sequence[Call], outputs: Sequence[RecordedTensor]) -> set[nn.Module]:
    """Return the layers whose membrane, and not their spikes, is used by the network."""
    used: dict[nn.Module, set[int]] = {}
    uses: list[tuple[RecordedTensor, Call | None]] = [(output, None) for output in outputs]
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
