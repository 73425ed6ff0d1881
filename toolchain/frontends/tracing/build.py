"""From a recorded run to a Graph, with what the model gave at the places that can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isclose

from toolchain.arrays import Array
from toolchain.diagnostics import ExtractError
from toolchain.frontends.frameworks.adapter import Axes, UnsupportedError
from toolchain.frontends.tracing.axes import AxisLayout
from toolchain.frontends.tracing.calls import Call, RecordedRun, RecordedTensor, required_calls
from toolchain.frontends.tracing.converter import CallConverter
from toolchain.frontends.tracing.functions import unsupported
from toolchain.frontends.tracing.grids import candidate_grids
from toolchain.frontends.tracing.outputs import choose_output
from toolchain.frontends.tracing.states import repeated_call_message
from toolchain.ir import Graph

__all__ = ["TracedGraph", "build"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TracedGraph:
    """A Graph with what the model gave at the places that can be compared.

    Attributes:
        graph: the graph.
        sample: what went in, (batch, time, *features).
        layers: what each layer with state gave, by node name, likewise.
        output: what the model returned, likewise.
    """

    graph: Graph
    sample: Array
    layers: dict[str, Array]
    output: Array

    @property
    def silent_layers(self) -> set[str]:
        """The layers that gave nothing but zeros."""
        return {name for name, output in self.layers.items() if not output.any()}


def build(run: RecordedRun, dt: float | None, provenance: dict[str, str]) -> TracedGraph:
    """The Graph of a run.

    Raises:
        ExtractError: all that the IR cannot say, at once.
    """
    output, notes = choose_output(run)
    calls = required_calls(run.calls, output)
    converter = _best_conversion(run, calls, output)
    if converter.problems:
        raise _refusal(converter.problems)
    notes |= _unused_layers(run, calls) | _conversion_notes(converter)
    graph = Graph(
        converter.graph.nodes,
        [*converter.graph.edges, *converter.graph.loop.edges()],
        dt=_dt(converter.dts, dt),
        provenance={**provenance, **notes},
    )
    return TracedGraph(
        graph=graph,
        sample=converter.sequence([run.sample]),
        layers={name: converter.sequence(values) for name, values in converter.layers.items()},
        output=converter.sequence([output]),
    )


def _best_conversion(
    run: RecordedRun, calls: Sequence[Call], output: RecordedTensor
) -> CallConverter:
    """The walk with the reading of the sample that leaves fewest problems."""
    try:
        choices = candidate_grids(calls, run.sample.shape)
    except UnsupportedError as fault:
        # shapes behind something unsupported say nothing, so that is told instead
        raise _refusal(list(_unsupported_calls(calls)) or [str(fault)]) from None
    converters = []
    for grid, layout in choices:
        converters.append(CallConverter(run, grid, layout).convert(calls, output))
        if not converters[-1].problems:
            break
    return min(converters, key=lambda converter: len(converter.problems))


def _refusal(problems: Sequence[str]) -> ExtractError:
    if len(problems) == 1:
        return ExtractError(problems[0])
    return ExtractError("\n  ".join([f"{len(problems)} problems:", *problems]))


def _unsupported_calls(calls: Sequence[Call]) -> Iterator[str]:
    """What is unsupported whatever its shapes, each once."""
    times = Counter(call.module for call in calls)
    reasons = {str(call): _reason(call, times[call.module]) for call in calls}
    yield from (f"{call}: {reason}" for call, reason in reasons.items() if reason is not None)


def _reason(call: Call, times: int) -> str | None:
    if isinstance(call.layer, str):
        return call.layer
    if call.layer is None:
        return unsupported(call)
    whole = call.stateful and call.layer.axes_of(call.module) is not Axes.STEP
    return repeated_call_message(times) if whole and times > 1 else None


def _unused_layers(run: RecordedRun, calls: Sequence[Call]) -> dict[str, str]:
    used = {call.name for call in calls if call.module is not None}
    unused = [
        name
        for name in run.layers
        if name and name not in used and not any(name.startswith(f"{n}.") for n in run.layers if n)
    ]
    return {"unused_layers": ", ".join(unused)} if unused else {}


def _conversion_notes(converter: CallConverter) -> dict[str, str]:
    notes = {"left_out": ", ".join(converter.reshape_layers)} if converter.reshape_layers else {}
    if converter.layout is AxisLayout.STEP:
        notes["input"] = f"one frame, shown in each of {converter.grid.time} timesteps"
    return notes


def _dt(layer_dts: dict[str, float], argument: float | None) -> float | None:
    sources = {f"layer {name!r}": dt for name, dt in layer_dts.items()}
    if argument is not None:
        sources = {"the argument dt": argument, **sources}
    if not sources:
        return None
    (first, dt), *rest = sources.items()
    for other, value in rest:
        if not isclose(dt, value, rel_tol=1e-9):
            raise ExtractError(f"{first} says dt = {dt:g} s, {other} says {value:g} s")
    return dt
