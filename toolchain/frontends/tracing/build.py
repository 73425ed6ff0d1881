"""From a recorded run to a Graph, with what the model gave at the places that can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isclose

from toolchain.arrays import Array
from toolchain.diagnostics import ExtractError
from toolchain.frontends.frameworks.adapter import Axes, UnsupportedError
from toolchain.frontends.tracing.axes import Layout
from toolchain.frontends.tracing.calls import Call, Run, Value, path
from toolchain.frontends.tracing.converter import Walk
from toolchain.frontends.tracing.functions import unsupported
from toolchain.frontends.tracing.grids import readings
from toolchain.frontends.tracing.outputs import chosen
from toolchain.frontends.tracing.states import called_again
from toolchain.ir import Graph

__all__ = ["Built", "build"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Built:
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
    def silent(self) -> set[str]:
        """The layers that gave nothing but zeros."""
        return {name for name, given in self.layers.items() if not given.any()}


def build(run: Run, dt: float | None, provenance: dict[str, str]) -> Built:
    """The Graph of a run.

    Raises:
        ExtractError: all that the IR cannot say, at once.
    """
    output, told = chosen(run)
    calls = path(run.calls, output)
    walk = _best(run, calls, output)
    if walk.problems:
        raise _refused(walk.problems)
    told |= _unused(run, calls) | _left_out(walk)
    graph = Graph(
        walk.draft.nodes,
        [*walk.draft.edges, *walk.draft.steps.edges()],
        dt=_dt(walk.dts, dt),
        provenance={**provenance, **told},
    )
    return Built(
        graph=graph,
        sample=walk.sequence([run.sample]),
        layers={name: walk.sequence(values) for name, values in walk.layers.items()},
        output=walk.sequence([output]),
    )


def _best(run: Run, calls: Sequence[Call], output: Value) -> Walk:
    """The walk with the reading of the sample that leaves fewest problems."""
    try:
        choices = readings(calls, run.sample.shape)
    except UnsupportedError as fault:
        # shapes behind something unsupported say nothing, so that is told instead
        raise _refused(list(_hopeless(calls)) or [str(fault)]) from None
    walks = []
    for grid, layout in choices:
        walks.append(Walk(run, grid, layout).over(calls, output))
        if not walks[-1].problems:
            break
    return min(walks, key=lambda walk: len(walk.problems))


def _refused(problems: Sequence[str]) -> ExtractError:
    if len(problems) == 1:
        return ExtractError(problems[0])
    return ExtractError("\n  ".join([f"{len(problems)} problems:", *problems]))


def _hopeless(calls: Sequence[Call]) -> Iterator[str]:
    """What is unsupported whatever its shapes, each once."""
    times = Counter(call.module for call in calls)
    told = {str(call): _reason(call, times[call.module]) for call in calls}
    yield from (f"{call}: {reason}" for call, reason in told.items() if reason is not None)


def _reason(call: Call, times: int) -> str | None:
    if isinstance(call.layer, str):
        return call.layer
    if call.layer is None:
        return unsupported(call)
    whole = call.stateful and call.layer.axes_of(call.module) is not Axes.STEP
    return called_again(times) if whole and times > 1 else None


def _unused(run: Run, calls: Sequence[Call]) -> dict[str, str]:
    used = {call.name for call in calls if call.module is not None}
    unused = [
        name
        for name in run.layers
        if name and name not in used and not any(name.startswith(f"{n}.") for n in run.layers if n)
    ]
    return {"unused_layers": ", ".join(unused)} if unused else {}


def _left_out(walk: Walk) -> dict[str, str]:
    told = {"left_out": ", ".join(walk.moved)} if walk.moved else {}
    if walk.layout is Layout.STEP:
        told["input"] = f"one frame, shown in each of {walk.grid.time} timesteps"
    return told


def _dt(claimed: dict[str, float], given: float | None) -> float | None:
    claims = {f"layer {name!r}": dt for name, dt in claimed.items()}
    if given is not None:
        claims = {"the argument dt": given, **claims}
    if not claims:
        return None
    (first, dt), *rest = claims.items()
    for other, value in rest:
        if not isclose(dt, value, rel_tol=1e-9):
            raise ExtractError(f"{first} says dt = {dt:g} s, {other} says {value:g} s")
    return dt
