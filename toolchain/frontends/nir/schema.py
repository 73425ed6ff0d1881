"""The primitives of NIR and their fields: required or optional, number of axes, kind of value.

The table covers nir 0.2.0 to 1.0.8; ``CubaLI`` and ``v_reset`` were added after 1.0.4. Shapes that
depend on each other (a bias and its weight) are checked when a node is converted.

Source: the classes of nir 1.0.4 and 1.0.8, their fields as observed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from toolchain.frontends.nir.faults import NirFault
from toolchain.frontends.nir.limits import DEFAULT, Limits
from toolchain.frontends.nir.names import name_fault
from toolchain.frontends.nir.nodes import NirGraph, NirNode, NodeValue

__all__ = ["GRAPH", "NO_METADATA_1_0_4", "PRIMITIVES", "Field", "graph_faults", "is_new"]

GRAPH = "NIRGraph"
PADDINGS = ("same", "valid")
FieldKind: TypeAlias = Literal["real", "whole", "shape", "padding"]


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of a primitive.

    Attributes:
        kind: ``real`` numbers; ``whole`` numbers; a ``shape``, whole numbers from 1; a
            ``padding``, whole numbers or one of ``PADDINGS``.
        ranks: minimum and maximum number of dimensions.
        required: whether a file must contain it.
    """

    kind: FieldKind
    ranks: tuple[int, int]
    required: bool = True


_EACH = Field("real", (0, 4))  # one for all neurons, or one for each in (channels, rows, columns)
_EACH_IF = Field("real", (0, 4), required=False)
_ONE = Field("whole", (0, 1))
_SIDES = Field("whole", (0, 1))
_SHAPE_IF = Field("shape", (0, 1), required=False)
_BIAS_IF = Field("real", (1, 1), required=False)
_POOL = {"kernel_size": _SIDES, "stride": _SIDES, "padding": _SIDES}


def _conv(dimensions: int) -> dict[str, Field]:
    return {
        "input_shape": _SHAPE_IF,
        "weight": Field("real", (dimensions + 2, dimensions + 2)),
        "stride": _SIDES,
        "padding": Field("padding", (0, 1)),
        "dilation": _SIDES,
        "groups": _ONE,
        "bias": _BIAS_IF,
    }


PRIMITIVES: Mapping[str, Mapping[str, Field]] = {
    "Affine": {"weight": Field("real", (2, 2)), "bias": Field("real", (1, 1))},
    "AvgPool2d": _POOL,
    "Conv1d": _conv(1),
    "Conv2d": _conv(2),
    "CubaLI": {
        "tau_syn": _EACH,
        "tau_mem": _EACH,
        "r": _EACH,
        "v_leak": _EACH,
        "w_in": _EACH_IF,
    },
    "CubaLIF": {
        "tau_syn": _EACH,
        "tau_mem": _EACH,
        "r": _EACH,
        "v_leak": _EACH,
        "v_threshold": _EACH,
        "v_reset": _EACH_IF,
        "w_in": _EACH_IF,
    },
    "Delay": {"delay": _EACH},
    "Flatten": {"input_type": _SHAPE_IF, "start_dim": _ONE, "end_dim": _ONE},
    "I": {"r": _EACH},
    "IF": {"r": _EACH, "v_threshold": _EACH, "v_reset": _EACH_IF},
    "Input": {"shape": _SHAPE_IF},
    "LI": {"tau": _EACH, "r": _EACH, "v_leak": _EACH},
    "LIF": {
        "tau": _EACH,
        "r": _EACH,
        "v_leak": _EACH,
        "v_threshold": _EACH,
        "v_reset": _EACH_IF,
    },
    "Linear": {"weight": Field("real", (2, 2))},
    "Output": {"shape": _SHAPE_IF},
    "Scale": {"scale": _EACH},
    "SumPool2d": _POOL,
    "Threshold": {"threshold": _EACH},
}
"""The fields of every primitive, by its name."""

NO_METADATA_1_0_4 = frozenset(
    {"AvgPool2d", "Conv2d", "CubaLI", "Input", "Linear", "Output", "Scale"}
)
"""Primitives whose metadata nir 1.0.4 cannot read."""


def is_new(node: NirNode) -> bool:
    """Return True if nir 1.0.8 can read the node and nir 1.0.4 cannot."""
    unreadable_metadata = node.type in NO_METADATA_1_0_4 and bool(node.metadata)
    return node.type == "CubaLI" or "v_reset" in node.fields or unreadable_metadata


def graph_faults(graph: NirGraph, root: str, limits: Limits = DEFAULT) -> Iterator[NirFault]:
    """Yield the problems of a graph and its inner graphs, each with its path below ``root``.

    Edges are only counted here; ``flatten`` checks their ends.
    """
    nodes, edges = _sizes(graph)
    if nodes > limits.nodes:
        yield root, f"{nodes} nodes, the limit is {limits.nodes}"
    if edges > limits.edges:
        yield root, f"{edges} edges, the limit is {limits.edges}"
    if nodes <= limits.nodes:
        yield from _graph_faults(graph, root, limits, 1)


def _sizes(graph: NirGraph) -> tuple[int, int]:
    inner = [_sizes(node) for node in graph.nodes.values() if isinstance(node, NirGraph)]
    nodes = len(graph.nodes) + sum(count for count, _ in inner)
    return nodes, len(graph.edges) + sum(count for _, count in inner)


def _graph_faults(graph: NirGraph, place: str, limits: Limits, depth: int) -> Iterator[NirFault]:
    if depth > limits.graph_depth:
        yield place, f"is nested more than {limits.graph_depth} graphs deep"
        return
    for name, node in graph.nodes.items():
        here = f"{place}/nodes/{name}"
        odd = name_fault(name, limits.name_bytes)
        if odd:
            yield f"{place}/nodes", odd
        if isinstance(node, NirGraph):
            yield from _graph_faults(node, here, limits, depth + 1)
        else:
            yield from _node_faults(node, here, limits)


def _node_faults(node: NirNode, place: str, limits: Limits) -> Iterator[NirFault]:
    table = PRIMITIVES.get(node.type)
    if table is None:
        known = ", ".join([*PRIMITIVES, GRAPH])
        yield (
            f"{place}/type",
            f"unknown primitive {node.type[:40]!r}; known are {known}",
        )
        return
    for name, field in table.items():
        if name in node.fields:
            fault = _value_fault(node.fields[name], field, limits)
            if fault:
                yield f"{place}/{name}", fault
        elif field.required:
            yield place, f"{node.type} has no {name}; found {_listed(node.fields)}"
    for name in sorted(node.fields.keys() - table.keys()):
        yield f"{place}/{name}", f"{node.type} has no such field; known are {_listed(table)}"


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "no fields"


def _value_fault(value: NodeValue, field: Field, limits: Limits) -> str | None:
    if isinstance(value, str):
        return _text_fault(value, field)
    low, high = field.ranks
    if value.dtype.kind not in ("fiu" if field.kind == "real" else "iu"):
        wanted = "numbers" if field.kind == "real" else "integers"
        return f"contains {value.dtype.name} values; expected {wanted}"
    if not low <= value.ndim <= high:
        wanted = str(low) if low == high else f"{low} to {high}"
        return f"has {value.ndim} dimensions, shape {value.shape}; expected {wanted}"
    if not value.size:
        return f"is empty, shape {value.shape}"
    return _number_fault(value, field, limits)


def _text_fault(value: str, field: Field) -> str | None:
    if field.kind != "padding":
        return f"is the string {value[:40]!r}; expected numbers"
    allowed = " or ".join(map(repr, PADDINGS))
    return None if value in PADDINGS else f"is {value[:40]!r}; expected numbers, {allowed}"


def _number_fault(value: np.ndarray[Any, Any], field: Field, limits: Limits) -> str | None:
    if field.kind == "real":
        odd = value.size - int(np.count_nonzero(np.isfinite(value)))
        return f"{odd} of {value.size} values are not finite" if odd else None
    worst = max(abs(int(value.min())), abs(int(value.max())))
    if worst > limits.whole:
        return f"contains {worst}, the largest supported integer is {limits.whole}"
    if field.kind != "shape":
        return None
    if int(value.min()) < 1:
        return f"shape {value.tolist()}; every size must be at least 1"
    features = int(np.prod(value.reshape(-1).astype(object)))
    if features > limits.features:
        return f"a shape of {features} values, the limit is {limits.features}"
    return None
