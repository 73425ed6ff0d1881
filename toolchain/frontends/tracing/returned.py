"""Result of a model: tensors in tuples, lists, dictionaries, named tuples and dataclasses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

__all__ = ["Path", "label_of", "leaves_by_path", "path_text", "stack_steps"]

Path: TypeAlias = tuple[str | int, ...]


def leaves_by_path(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every item inside ``value`` with its keys, fields and indices."""
    items = _items(value)
    if items is None:
        yield path, value
        return
    for key, item in items.items():
        yield from leaves_by_path(item, (*path, key))


def _items(value: Any) -> dict[Any, Any] | None:
    """Return the items of a container by key, field or index; None for anything else."""
    if isinstance(value, Tensor):
        return None
    if isinstance(value, Mapping):
        return {key if isinstance(key, int) else str(key): item for key, item in value.items()}
    if isinstance(value, tuple | list):
        names = getattr(value, "_fields", range(len(value)))
        return dict(zip(names, value, strict=True))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def label_of(path: Path) -> str:
    """Return the name of an output: its keys and fields; empty where there are only indices."""
    named = any(isinstance(key, str) for key in path)
    return ".".join(map(str, path)) if named else ""


def path_text(path: Path) -> str:
    """Return the path for a message, ``returned['rate']``."""
    return "returned" + "".join(f"[{key!r}]" for key in path)


def stack_steps(steps: list[Any]) -> Any:
    """Stack the results of a model of one timestep, in the same containers.

    Items that are no tensors are left out.
    """
    first = steps[0]
    if isinstance(first, Tensor):
        return torch.stack(steps)
    items = [_items(step) or {} for step in steps]
    stacked = {key: stack_steps([item[key] for item in items]) for key in items[0]}
    stacked = {key: value for key, value in stacked.items() if value is not None}
    if not stacked:
        return None
    return tuple(stacked.values()) if all(isinstance(key, int) for key in stacked) else stacked
