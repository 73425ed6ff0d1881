"""Collections that can be iterated as in torch and indexed by name as in rockpool.

Torch's ``parameters()`` yields the tensors one by one, rockpool's returns a tree of names. One
object does both, so that optimizers written for either accept it: ``Adam(net.parameters())`` and
``Adam(net.parameters().astorch())``.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Generic, TypeVar

__all__ = ["ByName"]

T = TypeVar("T")


class ByName(Iterator[T], Generic[T]):
    """Iterator over torch's order of items that also supports access by name.

    Args:
        flat: the items, in torch's order.
        tree: the items by name; a mapping whose values may be mappings again.
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
        """Return the top-level names."""
        return self._tree.keys()

    def values(self) -> ValuesView[Any]:
        """Return the values of the top-level names."""
        return self._tree.values()

    def items(self) -> ItemsView[str, Any]:
        """Return the top-level names with their values."""
        return self._tree.items()

    def astorch(self) -> Iterator[T]:
        """Return an iterator over the items in torch's order."""
        return iter(self)

    def __repr__(self) -> str:
        return repr(self._tree)
