"""Assembly of a Graph from a recorded run, with the outputs that the self-check compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isclose

from toolchain.arrays import Array
from toolchain.diagnostics import ExtractError
from toolchain.frontends.frameworks.adapter import Axes, UnsupportedError
from toolchain.frontends.tracing.axes import AxisLayout
from toolchain.frontends.tracing.calls import Call, RecordedRun, required_calls
from toolchain.frontends.tracing.converter import CallConverter
from toolchain.frontends.tracing.functions import unsupported
from toolchain.frontends.tracing.grids import candidate_grids, guessed_grids
from toolchain.frontends.tracing.outputs import NamedOutput, choose_outputs
from toolchain.frontends.tracing.states import repeated_call_message
from toolchain.ir import Graph

__all__ = ["TracedGraph", "build"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TracedGraph:
    """A Graph with the model's own outputs, for comparison.

    Attributes:
        graph: the graph.
        sample: the model's input, (batch, time, *features).
        timesteps: timestep of each entry of the leading axes of the input as the model takes it;
            None if it takes one frame for every timestep.
        layers: output of each layer with state, by node name, in the same layout.
        outputs: the model's outputs by name, in the same layout.
    """

    graph: Graph
    sample: Array
    timesteps: Array | None
    layers: dict[str, Array]
    outputs: dict[str, Array]

    @property
    def silent_layers(self) -> set[str]:
        """Names of the layers whose output is zero throughout."""
        return {name for name, output in self.layers.items() if not output.any()}


def build(run: RecordedRun, dt: float | None, provenance: dict[str, str]) -> TracedGraph:
    """Build the Graph of a recorded run.

    Args:
        run: the recorded run.
        dt: length of a timestep, s; None where a layer states it.
        provenance: entries that the Graph's provenance starts with.

    Raises:
        ExtractError: the run contains calls that the IR cannot represent; the message lists all.
    """
    outputs, notes = choose_outputs(run)
    calls = required_calls(run.calls, [output.value for output in outputs])
    converter = _best_conversion(run, calls, outputs)
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
        timesteps=converter.grid.timesteps(converter.layout),
        layers={name: converter.sequence(values) for name, values in converter.layers.items()},
        outputs={
            name: converter.sequence([output.value])
            for name, output in zip(graph.output_names, outputs, strict=True)
        },
    )


def _best_conversion(
    run: RecordedRun, calls: Sequence[Call], outputs: Sequence[NamedOutput]
) -> CallConverter:
    """Return the conversion under the sample layout that leaves fewest problems."""
    try:
        choices = candidate_grids(calls, run.sample.shape)
    except UnsupportedError as fault:
        # after an unsupported call shapes mean nothing, so those calls are reported instead
        reasons = list(_unsupported_calls(calls)) or _misread(run, calls, outputs)
        raise _refusal(reasons or [str(fault)]) from None
    converters = []
    for grid, layout in choices:
        converters.append(CallConverter(run, grid, layout).convert(calls, outputs))
        if not converters[-1].problems:
            break
    return min(converters, key=lambda converter: len(converter.problems))


def _misread(run: RecordedRun, calls: Sequence[Call], outputs: Sequence[NamedOutput]) -> list[str]:
    """Return the refusals of functions that would explain axes which fit no layer."""
    for grid, layout in guessed_grids(calls, run.sample.shape):
        converter = CallConverter(run, grid, layout).convert(calls, outputs)
        if converter.function_problems:
            return [*converter.function_problems]
    return []


def _refusal(problems: Sequence[str]) -> ExtractError:
    if len(problems) == 1:
        return ExtractError(problems[0])
    return ExtractError("\n  ".join([f"{len(problems)} problems:", *problems]))


def _unsupported_calls(calls: Sequence[Call]) -> Iterator[str]:
    """Yield a message for each call that is unsupported whatever its shapes, once each."""
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
    if converter.layout is AxisLayout.TIME_BATCH:
        notes["input_axes"] = "(time, batch, ...); calibration and spikes are (batch, time, ...)"
    return notes


def _dt(layer_dts: dict[str, float], argument: float | None) -> float | None:
    sources = {f"layer {name!r}": dt for name, dt in layer_dts.items()}
    if argument is not None:
        sources = {"the argument": argument, **sources}
    if not sources:
        return None
    (first, dt), *rest = sources.items()
    for other, value in rest:
        if not isclose(dt, value, rel_tol=1e-9):
            raise ExtractError(
                f"dt of {first} is {dt:g} s, dt of {other} is {value:g} s; they must be equal"
            )
    return dt
