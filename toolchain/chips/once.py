"""Results that several chips share, each computed once while the chips are compared.

Outside of ``sharing`` nothing is kept. Within it a result is found again by the content of all that
its computation reads, never by the name of a chip: two chips share what reads nothing in which they
differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np

from toolchain.ir import Graph, Node

__all__ = ["once", "sharing"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shared:
    """Results by the content of what they read.

    Attributes:
        results: the results.
        read: graphs and arrays that were read, with their content, by identity; kept alive, so
            that no other object gets it.
    """

    results: dict[Any, Any] = field(default_factory=dict)
    read: dict[Any, tuple[Any, Any]] = field(default_factory=dict)

    def content(self, value: Any) -> Any:
        """Return the content of ``value``, hashable and equal for equal content."""
        if isinstance(value, float):
            return "float", value.hex()
        if value is None or isinstance(value, str | int | bytes):
            return type(value), value
        if isinstance(value, Mapping):
            return "mapping", tuple((key, self.content(item)) for key, item in value.items())
        if isinstance(value, list | tuple):
            return "sequence", tuple(map(self.content, value))
        key = _identity(value)
        if key not in self.read:
            self.read[key] = value, self._content(value)
        return self.read[key][1]

    def _content(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            digest = sha256(np.ascontiguousarray(value)).digest()
            return "array", value.dtype.str, value.shape, digest
        if isinstance(value, Graph):
            nodes = [(name, self.content(node)) for name, node in value.nodes.items()]
            origin = tuple(value.provenance.items())
            return "graph", value.dt, tuple(nodes), value.edges, origin
        if isinstance(value, Node) or is_dataclass(value):
            parts = [self.content(getattr(value, each.name)) for each in fields(value)]
            return type(value), tuple(parts)
        raise TypeError(f"the content of a {type(value).__name__} is not known")


def _identity(value: Any) -> Any:
    """Return what no other living value has: of an array its memory, the same for each view."""
    if not isinstance(value, np.ndarray):
        return id(value)
    return value.__array_interface__["data"][0], value.shape, value.strides, value.dtype.str


_SHARED: ContextVar[_Shared | None] = ContextVar("_SHARED", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """Keep the results of ``once`` until the block ends, for the calls within it.

    >>> with sharing():
    ...     [once(lambda: print("computed"), "example", np.ones(2)) for _ in range(2)]
    computed
    [None, None]
    """
    token = _SHARED.set(_Shared())
    try:
        yield
    finally:
        _SHARED.reset(token)


def once(compute: Callable[[], T], what: str, *reads: Any) -> T:
    """Return ``compute()``; within ``sharing``, the result of the first call with equal arguments.

    Args:
        compute: reads ``reads`` and nothing else that differs between calls; its result is not
            changed by anyone.
        what: name of the computation.
        reads: numbers, texts, arrays, graphs, and tuples or dataclasses of these.
    """
    shared = _SHARED.get()
    if shared is None:
        return compute()
    key = what, shared.content(reads)
    if key not in shared.results:
        shared.results[key] = compute()
    found: T = shared.results[key]
    return found
