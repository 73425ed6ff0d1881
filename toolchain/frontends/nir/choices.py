"""Questions that a NIR file leaves open, with what each answer would make of that very file.

Every answer is tried on the first layer that fires: one neuron of it, under a constant input of
1.2 times its threshold for 400 steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.frontends.nir.dialects import DIALECTS, Dialect
from toolchain.frontends.nir.neurons import NEURONS, Reading, fields_of, neuron
from toolchain.frontends.nir.nodes import NirNode
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
    "subtract-corrected": "as snnTorch 1.0.0 has it without reset_delay, where a membrane that "
    "stays above its threshold loses it twice",
}


def dialect_question(where: str, nodes: Nodes, dt: float | None, fitting: Sequence[str]) -> str:
    """Which dialect; ``fitting`` are those whose pattern the file has, none or several."""
    why = f"it fits {' and '.join(fitting)}" if fitting else "it fits no exporter's pattern"
    steps = (dt,) if dt is not None else DTS
    extra = "" if dt is not None else ", and dt= where it needs one"
    return _question_text(
        f"{where}: which framework's steps the file means is open ({why}); pass dialect={extra}",
        nodes,
        (line for row in DIALECTS.values() for line in _dialect_lines(row, nodes, steps)),
    )


def dt_question(where: str, nodes: Nodes, row: Dialect) -> str:
    """How long a step is."""
    return _question_text(
        f"{where}: NIR does not hold the length of a step; pass dt=, in s",
        nodes,
        _dialect_lines(row, nodes, DTS),
    )


def reset_question(where: str, nodes: Nodes, row: Dialect, dt: float | None) -> str:
    """What a spike does to the membrane."""
    lines = (
        f"reset={reset!r}: {RESETS[reset]}; {_outcome(nodes, row, dt, reset)}"
        for reset in row.resets
    )
    return _question_text(
        f"{where}: v_reset is 0, which snnTorch and sinabs also write for networks that "
        "subtract; pass reset=",
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
        return f"for layer {name!r} ({node.type}: {summary}):"
    drive = DRIVE * fields["v_threshold"].flat[0]
    return (
        f"for layer {name!r} ({node.type}: {summary}) under an input of {drive:g}, {STEPS} steps:"
    )


def _first(nodes: Nodes) -> tuple[str, NirNode]:
    """The first layer that fires, else the first one."""
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
    """What one neuron keeps, gains and fires, or why it cannot be read."""
    _, node = _first(nodes)
    if node.type not in NEURONS:
        return next(row.errors(node.type, {}, dt), f"{node.type} is taken")
    single = replace(node, fields={key: _first_value(value) for key, value in node.fields.items()})
    try:
        cell = neuron(single, (1,), Reading(dialect=row, dt=dt, reset=reset))
    except ValueError as fault:
        return f"refused {fault}"
    assert isinstance(cell, Membrane)
    summary = f"keeps {cell.alpha_mem.item():.6g} of v a step, gain {cell.gain.item():.6g}"
    if not isinstance(cell, Neuron):
        return summary
    return f"{summary}: {plural(_count(cell), 'spike')}"


def _first_value(value: object) -> Array:
    return np.asarray(value).reshape(-1)[:1]


def _count(node: Neuron) -> int:
    graph = Graph.chain({"input": Input(shape=(1,)), "neuron": node, "output": Output()})
    drive = np.full((1, STEPS, 1), DRIVE * node.v_threshold.item())
    return int(interpret(graph, drive).spikes.sum())
