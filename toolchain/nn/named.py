"""Collections that torch iterates over and that answer by name.

Torch's ``parameters()`` gives the tensors one by one, rockpool's gives a tree of names. One object
does both, so that optimizers written for either take it: ``Adam(net.parameters())`` and
``Adam(net.parameters().astorch())``.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Generic, TypeVar

__all__ = ["ByName"]

T = TypeVar("T")


class ByName(Iterator[T], Generic[T]):
    """What torch would iterate over, with a tree of names beside it.

    Args:
        flat: what iteration gives, in torch's order.
        tree: what is asked for by name; a mapping whose values may be mappings again.
    """

    def __init__(self, flat: Iterator[T], tree: Mapping[str, Any]) -> None:
        self._flat = tuple(flat)
        self._rest = iter(self._flat)
        self._tree = dict(tree)

    def __iter__(self) -> Iterator[T]:
        return iter(self._flat)

    def __next__(self) -> T:
        return next(self._rest)

    def __getitem__(self, name: str) -> Any:
        return self._tree[name]

    def keys(self) -> KeysView[str]:
        """The names at the top."""
        return self._tree.keys()

    def values(self) -> ValuesView[Any]:
        """What the names at the top stand for."""
        return self._tree.values()

    def items(self) -> ItemsView[str, Any]:
        """Names at the top with what they stand for."""
        return self._tree.items()

    def astorch(self) -> Iterator[T]:
        """What torch would iterate over."""
        return iter(self)

    def __repr__(self) -> str:
        return repr(self._tree)
