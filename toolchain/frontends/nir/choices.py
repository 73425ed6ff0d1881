"""Questions that a NIR file leaves open, with the effect of each answer on that file.

Each answer is tried on one neuron of the first layer that fires, with a constant input of 1.2 times
its threshold for 400 steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from toolchain.arrays import Array
from toolchain.frontends.nir.dialects import DIALECTS, Dialect
from toolchain.frontends.nir.neurons import NEURONS, Reading, fields_of, neuron
from toolchain.frontends.nir.nodes import NirNode
from toolchain.frontends.nir.patterns import Constants, implied_unit
from toolchain.ir import Graph, Input, Membrane, Neuron, Output
from toolchain.report import plural
from toolchain.runs.interpret import interpret

__all__ = ["dialect_question", "dt_question", "reset_question"]

Nodes = Mapping[str, NirNode]
STEPS, DRIVE = 400, 1.2
DTS = (1e-3, 1e-4)
RESETS = {
    "subtract": "a spike subtracts the threshold",
    "value": "a spike sets v to v_reset",
    "subtract-late": "a spike subtracts the threshold in the next step (snnTorch's reset_delay)",
    "value-late": "a spike clears v in the next step (snnTorch's reset_delay)",
    "subtract-corrected": "snnTorch 1.0.0 with reset_delay=False; a membrane that stays above its "
    "threshold subtracts it twice",
}


def dialect_question(where: str, nodes: Nodes, dt: float | None, fitting: Sequence[str]) -> str:
    """Return the question for the dialect; ``fitting`` are those that match the file."""
    why = f"it matches {' and '.join(fitting)}" if fitting else "it matches no exporter's pattern"
    steps = (dt,) if dt is not None else DTS
    extra = "" if dt is not None else ", and dt= if the dialect needs it"
    return _question_text(
        f"{where}: the file does not determine the framework's update rule ({why}); "
        f"pass dialect={extra}",
        nodes,
        chain.from_iterable(_dialect_lines(row, nodes, steps) for row in DIALECTS.values()),
    )


def dt_question(where: str, nodes: Nodes, row: Dialect) -> str:
    """Return the question for the length of a timestep."""
    return _question_text(
        f"{where}: NIR does not store the length of a timestep; pass dt=, in s",
        nodes,
        _dialect_lines(row, nodes, DTS),
    )


def reset_question(where: str, nodes: Nodes, row: Dialect, dt: float | None) -> str:
    """Return the question for the effect of a spike on the membrane."""
    lines = (
        f"reset={reset!r}: {RESETS[reset]}; {_outcome(nodes, row, dt, reset)}"
        for reset in row.resets
    )
    return _question_text(
        f"{where}: v_reset is 0, which snnTorch and sinabs also write for reset by "
        "subtraction; pass reset=",
        nodes,
        lines,
    )


def _question_text(question: str, nodes: Nodes, lines: Iterator[str]) -> str:
    return "\n  ".join([question, _subject(nodes), *lines])


def _subject(nodes: Nodes) -> str:
    name, node = _first(nodes)
    fields = {key: value for key, value in fields_of(node).items() if key != "w_in"}
    summary = ", ".join(f"{key} {value.flat[0]:g}" for key, value in fields.items())
    if "v_threshold" not in fields:
        return f"layer {name!r} ({node.type}: {summary}):"
    drive = DRIVE * fields["v_threshold"].flat[0]
    return f"layer {name!r} ({node.type}: {summary}) with an input of {drive:g} for {STEPS} steps:"


def _first(nodes: Nodes) -> tuple[str, NirNode]:
    """Return the first layer that fires, else the first layer."""
    for name, node in nodes.items():
        if "v_threshold" in node.fields:
            return name, node
    return next(iter(nodes.items()))


def _dialect_lines(row: Dialect, nodes: Nodes, dts: Sequence[float]) -> Iterator[str]:
    steps: Sequence[float | None] = dts if row.needs_dt else (None,)
    if row.dt is not None:
        steps = (row.dt,)
    if _first(nodes)[1].type in row.refused:
        steps = (None,)
    for dt in steps:
        option = f"dialect={row.name!r}" + ("" if dt is None else f", dt={dt:g}")
        yield f"{option} ({row.title}): {_outcome(nodes, row, dt, row.reset or 'subtract')}"


def _outcome(nodes: Nodes, row: Dialect, dt: float | None, reset: str) -> str:
    """Describe one neuron's decay, gain and spikes, or why it is not supported."""
    _, node = _first(nodes)
    if node.type not in NEURONS:
        return next(row.errors(node.type, {}, dt), f"{node.type} is supported")
    prefix = f"in dialect {row.name!r}: "
    single = replace(node, fields={key: _first_value(value) for key, value in node.fields.items()})
    try:
        unit = implied_unit(row.name, Constants(nodes, dt))
        cell = neuron(single, (1,), Reading(dialect=row, dt=dt, reset=reset, unit=unit))
    except ValueError as fault:
        return f"not supported: {str(fault).removeprefix(prefix)}"
    assert isinstance(cell, Membrane)
    summary = f"decay {cell.alpha_mem.item():.6g} per step, gain {cell.gain.item():.6g}"
    if not isinstance(cell, Neuron):
        return summary
    return f"{summary}: {plural(_count(cell), 'spike')}"


def _first_value(value: object) -> Array:
    return np.asarray(value).reshape(-1)[:1]


def _count(node: Neuron) -> int:
    graph = Graph.chain({"input": Input(shape=(1,)), "neuron": node, "output": Output()})
    drive = np.full((1, STEPS, 1), DRIVE * node.v_threshold.item())
    return int(interpret(graph, drive).spikes.sum())
