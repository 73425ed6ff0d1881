"""Values of a NIR file in another form than NIR's own, where only one meaning is possible.

Types of nodes in other capitals, whole numbers stored as floats, and a bias stored as one number
for all outputs are read as what they must mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.frontends.nir.nodes import NirNode, NodeValue
from toolchain.frontends.nir.schema import GRAPH, PRIMITIVES, Field

__all__ = ["respelled", "type_name"]

NAMES = {name.lower(): name for name in (*PRIMITIVES, GRAPH)}


def type_name(kind: str) -> str:
    """Return the name of the primitive that ``kind`` is in other capitals, else ``kind``."""
    return NAMES.get(kind.lower(), kind)


def respelled(node: NirNode) -> tuple[NirNode, list[str]]:
    """Return the node in NIR's own form, and what was changed."""
    kind = type_name(node.type)
    notes = [] if kind == node.type else [f"the type {node.type} is {kind}"]
    table: Mapping[str, Field] = PRIMITIVES.get(kind, {})
    fields: dict[str, NodeValue] = {}
    for name, value in node.fields.items():
        fields[name] = new = _value(name, value, table.get(name), node.fields)
        if new is not value:
            notes.append(f"{name} is read as {_short(new)}")
    return (replace(node, type=kind, fields=fields), notes) if notes else (node, [])


def _value(
    name: str, value: NodeValue, field: Field | None, fields: Mapping[str, NodeValue]
) -> NodeValue:
    if field is None or isinstance(value, str) or not value.size:
        return value
    if field.kind != "real":
        whole = value.dtype.kind == "f" and bool(np.all(value == np.floor(value)))
        return value.astype(np.int64) if whole and np.all(np.abs(value) < 2**31) else value
    if name == "bias" and value.ndim == 0 and np.ndim(fields.get("weight", 0)) > 1:
        return np.full(len(fields["weight"]), value)
    return value


def _short(value: NodeValue) -> str:
    array = np.asarray(value)
    if array.size > 4:
        return f"{array.dtype.name} {list(array.shape)}"
    return str(array.tolist())
