"""Reader of the pickles of ``torch.save`` that never runs their code.

A pickle is a program for a small stack machine; three of its instructions are dangerous: import of
a name, call, and setting attributes. Here an import is a lookup in a table, a call fills in a
record or is refused, and attributes are dropped. So no code of the file is run, and the result is
never larger than the file.

Source: Python's ``pickletools`` for the instructions; the names are those that ``torch.save``
writes for a ``state_dict``, as observed in torch 2.13.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from toolchain.report import count

__all__ = ["StoredTensor", "foreign_globals", "read", "stream_globals"]

MAX_BYTES = 2**19
"""Largest pickle: about 3000 tensors, whose numbers are stored elsewhere in the archive."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Location of a tensor's numbers in an archive.

    Attributes:
        storage: name of the entry under ``data/``.
        kind: torch's name of the storage type, such as ``FloatStorage``.
        offset: position of the first number, in numbers.
        size, strides: per axis, in numbers.
    """

    storage: str
    kind: str
    offset: int
    size: tuple[int, ...]
    strides: tuple[int, ...]


Op: TypeAlias = tuple[str, Any]


def _ops(data: bytes | io.BytesIO) -> Iterator[Op]:
    """Yield the instructions up to the first STOP; raise ValueError if they are invalid."""
    return ((op.name, argument) for op, argument, _ in pickletools.genops(data))


def _check_size(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"has {count(len(data))} bytes of names and values besides its tensors, the limit is "
            f"{count(MAX_BYTES)}; save only the weights"
        )
    return data


def foreign_globals(data: bytes) -> tuple[str, ...]:
    """Return the imported names that no ``state_dict`` needs, ``module.name``, sorted.

    Names that the pickle assembles at run time are reported as the two strings before them: a file
    that hides its imports may show less here, but :func:`read` refuses it.

    Raises:
        ValueError: not a pickle.
    """
    return tuple(sorted(_imports(_ops(_check_size(data))) - set(_KNOWN)))


def stream_globals(data: bytes, pickles: int) -> tuple[str, ...]:
    """Return all names imported by the first ``pickles`` consecutive pickles in ``data``.

    Raises:
        ValueError: fewer pickles.
    """
    stream = io.BytesIO(data)
    return tuple(sorted(set().union(*(_imports(_ops(stream)) for _ in range(pickles)))))


def _imports(ops: Iterable[Op]) -> set[str]:
    found: set[str] = set()
    texts: list[str] = []
    for name, argument in ops:
        if name in ("GLOBAL", "INST"):
            found.add(argument.replace(" ", ".", 1))
        elif name == "STACK_GLOBAL":
            found.add(".".join(texts[-2:]))
        elif isinstance(argument, str):
            texts.append(argument)
    return found


def read(data: bytes) -> Any:
    """Return the saved value: dictionaries, lists, numbers, strings and :class:`StoredTensor`.

    Raises:
        ValueError: not a pickle, or one with other contents.
    """
    machine = _Machine()
    try:
        for name, argument in _ops(_check_size(data)):
            if name == "STOP":
                return machine.result()
            machine.execute(name, argument)
    except (IndexError, KeyError, TypeError) as fault:
        raise ValueError(f"an inconsistent pickle: {fault!r}") from None
    raise ValueError("a truncated pickle")


@dataclass(frozen=True, slots=True)
class _Global:
    """A name imported by the pickle."""

    name: str


_MARK = object()


@dataclass(slots=True)
class _Machine:
    """The stack machine, limited to the instructions that torch.save uses."""

    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def execute(self, name: str, argument: Any) -> None:
        if name in _PUSH_ARGUMENT:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _HANDLERS:
            _HANDLERS[name](self, argument)
        else:
            raise ValueError(f"a pickle with instruction {name}, which no state_dict needs")

    def result(self) -> Any:
        (result,) = self.stack
        return result

    def _put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def _get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def _import(self, name: str) -> None:
        full = name.replace(" ", ".", 1)
        if full not in _KNOWN:
            raise ValueError(f"a pickle that imports {full}, which no state_dict needs")
        self.stack.append(_Global(full))

    def _pop_mark(self) -> list[Any]:
        marks = (n for n in reversed(range(len(self.stack))) if self.stack[n] is _MARK)
        start = next(marks, None)
        if start is None:
            raise IndexError("no mark")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def _tuple(self, items: int | None) -> None:
        if items is None:
            self.stack.append(tuple(self._pop_mark()))
            return
        start = len(self.stack) - items
        self.stack[start:] = [tuple(self.stack[start:])]

    def _set(self, items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.stack[-1][_check_key(key)] = value

    def _setitem(self) -> None:
        items = self.stack[-2:]
        del self.stack[-2:]
        self._set(items)

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("items for a value that is not a list")
        self.stack[-1] += items

    def _load_storage(self) -> None:
        """Push a storage: ``("storage", kind, name of the entry, device, numbers)``."""
        what, kind, entry, _device, _numbers = self.stack.pop()
        if what != "storage" or not isinstance(kind, _Global) or not isinstance(entry, str):
            raise TypeError("invalid storage")
        self.stack.append(StoredTensor(entry, kind.name.removeprefix("torch."), 0, (), ()))

    def _skip_attributes(self) -> None:
        """Drop attributes: torch.save only stores the version of the layers there."""
        self.stack.pop()

    def _call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise TypeError("call of a value that is not a function")
        self.stack.append(_KNOWN[function.name](*arguments))


def _check_key(key: Any) -> str | int:
    if not isinstance(key, str | int):
        raise TypeError("key is neither string nor number")
    return key


def _check_sizes(arguments: Any) -> tuple[int, ...]:
    if not isinstance(arguments, tuple) or not all(type(n) is int and n >= 0 for n in arguments):
        raise TypeError("invalid shape")
    return arguments


def _tensor(storage: Any, offset: Any, size: Any, strides: Any, *rest: Any) -> StoredTensor:
    if not isinstance(storage, StoredTensor):
        raise TypeError("tensor without storage")
    (first,) = _check_sizes((offset,))
    return StoredTensor(
        storage.storage, storage.kind, first, _check_sizes(size), _check_sizes(strides)
    )


def _parameter(tensor: Any, *rest: Any) -> StoredTensor:
    if not isinstance(tensor, StoredTensor):
        raise TypeError("parameter without tensor")
    return tensor


def _empty_dict() -> dict[str | int, Any]:
    return {}


def _refuse_call(*arguments: Any) -> None:
    raise TypeError("call of a storage type")


_STORAGES = "BFloat16 Bool Byte Char Double Float Half Int Long Short"
_KNOWN: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": _empty_dict,
    "torch.Size": lambda size: size,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    **dict.fromkeys((f"torch.{kind}Storage" for kind in _STORAGES.split()), _refuse_call),
}
"""Replacements for calls of the supported names."""

_PUSH_ARGUMENT = {
    "BINFLOAT",
    "BININT",
    "BININT1",
    "BININT2",
    "BINUNICODE",
    "LONG1",
    "SHORT_BINSTRING",
}
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "MARK": lambda: _MARK,
}
_HANDLERS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, version: None,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "GLOBAL": _Machine._import,
    "TUPLE": lambda machine, _: machine._tuple(None),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "SETITEM": lambda machine, _: machine._setitem(),
    "SETITEMS": lambda machine, _: machine._set(machine._pop_mark()),
    "APPEND": lambda machine, _: machine._extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine._extend(machine._pop_mark()),
    "BINPERSID": lambda machine, _: machine._load_storage(),
    "REDUCE": lambda machine, _: machine._call(),
    "BUILD": lambda machine, _: machine._skip_attributes(),
}
