"""Bounded reader of HDF5 files: groups become dicts, data sets become arrays and strings.

Supports only what NIR files contain: groups with hard links, each object under one name, and data
sets of numbers, bools and strings stored in the file itself. Shapes, chunks and filters are checked
before a value is read, since a few declared bytes can unpack to terabytes. Attributes are ignored.

This runs in a separate process (see ``sandbox``) and imports as little as possible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5s, h5t, h5z

from toolchain.frontends.nir.limits import Limits
from toolchain.frontends.nir.names import name_fault

__all__ = ["Contents", "contents"]

_DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError, ArithmeticError, MemoryError)
"""Exceptions that h5py raises on a damaged file."""
_LINKS = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "an external link"}
_LAYOUTS = (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED)
_FILTERS = (h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32)
_NUMBERS = [f"{sign}{size}" for sign, size in product("iu", (1, 2, 4, 8))] + ["f2", "f4", "f8"]
_BOOL = h5t.py_create(np.dtype(bool), logical=True)
_STANDARD = [
    (h5t.py_create(np.dtype(order + code)), np.dtype(code))
    for code, order in product(_NUMBERS, "<>")
] + [(_BOOL, np.dtype(bool))]
_POINTER = 16  # bytes of a reference to a variable-length string
_TAKES = "supported are integers and floats of up to 64 bits, bools and strings"


@dataclass(slots=True)
class Contents:
    """The contents of a file.

    Attributes:
        tree: a group is a dict by name; an array is ``["array", index]``, a string
            ``["text", value]``, and an array of strings ``["texts", shape, values]``.
        arrays: the arrays of the tree, in the byte order of this machine.
        faults: paths and problems; if there are any, tree and arrays are incomplete.
    """

    tree: dict[str, Any] = field(default_factory=dict)
    arrays: list[np.ndarray[Any, Any]] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


class _RefusedError(Exception):
    """One object of the file is not supported."""


class _FullError(Exception):
    """Too many problems; reading stops."""


def contents(path: str, limits: Limits) -> Contents:
    """Read the file at ``path``, or report what is wrong with it."""
    reader = _Hdf5Reader(limits)
    try:
        with h5py.File(path, "r", locking=False) as file:
            root = h5g.open(file.id, b"/")
            reader.register(h5o.get_info(root))
            reader.contents.tree = reader.group(root, "", 0)
    except _FullError:
        pass
    except _DAMAGE as fault:
        reader.contents.faults.append(("", f"is damaged: {_short(fault)}"))
    return reader.contents


class _Hdf5Reader:
    """One pass over a file, with the amounts used so far."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.contents = Contents()
        self.seen: set[tuple[int, int]] = set()
        self.objects = self.chunks = self.bytes = self.texts = self.text_bytes = 0

    def fault(self, path: str, text: str) -> None:
        self.contents.faults.append((path, text))
        if len(self.contents.faults) >= self.limits.faults:
            self.contents.faults.append(("", "and possibly more; reading stopped here"))
            raise _FullError

    def register(self, info: Any) -> None:
        """Count an object; refuse one that was seen before."""
        key = (info.fileno, info.addr)
        if key in self.seen:
            raise _RefusedError("is a second link to the same object; each object needs one name")
        self.seen.add(key)

    # ---- groups ----

    def group(self, group: Any, path: str, depth: int) -> dict[str, Any]:
        """Return the members of a group by name."""
        members: dict[str, Any] = {}
        for raw, link in self.links(group, path):
            name = raw.decode("utf-8", "backslashreplace")
            place = f"{path}/{_printable(name)}"
            try:
                members[name] = self.member(group, raw, link, place, depth)
            except _RefusedError as fault:
                self.fault(place, str(fault))
            except _DAMAGE as fault:
                self.fault(place, f"is damaged: {_short(fault)}")
        return members

    def links(self, group: Any, path: str) -> list[tuple[bytes, int]]:
        """Return names and link types of a group's members, within the limit."""
        found: list[tuple[bytes, int]] = []
        remaining = self.limits.objects - self.objects

        def collect(name: bytes, info: Any) -> bool | None:
            found.append((name, int(info.type)))
            return len(found) > remaining or None

        group.links.iterate(collect, info=True)
        if len(found) > remaining:
            most = self.limits.objects
            self.fault(path or "/", f"more than {most} groups and data sets in the file")
            raise _FullError
        self.objects += len(found)
        return found

    def member(self, group: Any, raw: bytes, link: int, path: str, depth: int) -> Any:
        """Return a group or a value."""
        reason = name_fault(raw.decode("utf-8", "surrogateescape"), self.limits.name_bytes)
        if reason:
            raise _RefusedError(reason)
        if link != h5l.TYPE_HARD:
            raise _RefusedError(
                f"is {_LINKS.get(link, 'a link of unknown type')}; only hard links are supported"
            )
        info = h5o.get_info(group, raw)
        self.register(info)
        if info.type == h5o.TYPE_DATASET:
            return self.value(h5d.open(group, raw))
        if info.type != h5o.TYPE_GROUP:
            raise _RefusedError("is a named data type; only groups and data sets are supported")
        if depth >= self.limits.group_depth:
            raise _RefusedError(f"is nested more than {self.limits.group_depth} groups deep")
        return self.group(h5g.open(group, raw), path, depth + 1)

    # ---- data sets ----

    def value(self, data: Any) -> list[Any]:
        """Return an array or strings, after all checks."""
        shape = self.shape(data)
        kind, size = _element_type(data.get_type())
        self.check_storage(data, shape, size)
        if kind is None:
            self.texts += math.prod(shape)
            if self.texts > self.limits.texts:
                raise _RefusedError(f"more than {self.limits.texts} strings in the file")
        if self.contents.faults:  # the file is refused already
            return []
        return self.text(data, shape) if kind is None else self.array(data, shape, kind)

    def shape(self, data: Any) -> tuple[int, ...]:
        space = data.get_space()
        if space.get_simple_extent_type() not in (h5s.SCALAR, h5s.SIMPLE):
            raise _RefusedError("has no value")
        rank = int(space.get_simple_extent_ndims())
        if rank > self.limits.rank:
            raise _RefusedError(f"has {rank} dimensions, the limit is {self.limits.rank}")
        return tuple(int(size) for size in space.get_simple_extent_dims())

    def check_storage(self, data: Any, shape: tuple[int, ...], size: int) -> None:
        """Refuse values that are stored elsewhere, unpack to too much, or are missing."""
        plist = data.get_create_plist()
        layout = plist.get_layout()
        if layout not in _LAYOUTS:
            raise _RefusedError("is a virtual data set; its values must be stored in the file")
        if plist.get_external_count():
            raise _RefusedError("has its values in another file; they must be stored in this file")
        chunked = layout == h5d.CHUNKED
        chunks, chunk = self.chunking(plist, shape, size) if chunked else (1, 0)
        needed = chunks * chunk if chunked else math.prod(shape) * size
        self.bytes += needed
        if self.bytes > self.limits.data_bytes:
            self.bytes -= needed
            raise _RefusedError(
                f"{list(shape)} values of {size} bytes exceed the limit of "
                f"{self.limits.data_bytes} bytes per file"
            )
        self.check_size(data, needed, chunks if chunked else None)

    def check_size(self, data: Any, needed: int, chunks: int | None) -> None:
        """Refuse a data set with fewer or more bytes in the file than it declares."""
        if chunks is not None and needed:
            present = data.get_num_chunks()
            if present != chunks:
                raise _RefusedError(f"declares {chunks} chunks but has {present}")
        stored = data.get_storage_size()
        if needed and not stored:
            raise _RefusedError("declares values but has none")
        if stored > needed + needed // 64 + 64 * (chunks or 1):
            raise _RefusedError(f"declares {needed} bytes but has {stored}")

    def chunking(self, plist: Any, shape: tuple[int, ...], size: int) -> tuple[int, int]:
        """Return the number of chunks and the bytes of one."""
        filters = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]
        if len(set(filters)) < len(filters) or not set(filters) <= set(_FILTERS):
            raise _RefusedError(
                f"uses filters {filters}; supported are gzip, shuffle and fletcher32, each once"
            )
        grid = plist.get_chunk()
        chunk = math.prod(grid) * size
        if chunk > self.limits.chunk_bytes:
            raise _RefusedError(
                f"has chunks of {chunk} bytes, the limit is {self.limits.chunk_bytes}"
            )
        chunks = math.prod(-(-length // step) for length, step in zip(shape, grid, strict=True))
        self.chunks += chunks
        if self.chunks > self.limits.chunks:
            self.chunks -= chunks
            raise _RefusedError(
                f"{chunks} chunks exceed the limit of {self.limits.chunks} per file"
            )
        return chunks, chunk

    def array(self, data: Any, shape: tuple[int, ...], kind: np.dtype[Any]) -> list[Any]:
        array = np.zeros(shape, kind)
        if array.size:
            data.read(h5s.ALL, h5s.ALL, array)
        if kind == np.bool_:  # damaged files may store other bytes than 0 and 1
            array = array.view(np.uint8) != 0
        self.contents.arrays.append(array)
        return ["array", len(self.contents.arrays) - 1]

    def text(self, data: Any, shape: tuple[int, ...]) -> list[Any]:
        raw = np.asarray(h5py.Dataset(data)[()], dtype=object).reshape(-1)
        self.text_bytes += sum(len(item) for item in raw)
        if self.text_bytes > self.limits.text_bytes:
            raise _RefusedError(f"more than {self.limits.text_bytes} bytes of strings in the file")
        texts = [item if isinstance(item, str) else bytes(item).decode("utf-8") for item in raw]
        return ["texts", list(shape), texts] if shape else ["text", texts[0]]


def _element_type(stored: Any) -> tuple[np.dtype[Any] | None, int]:
    """Return the numpy type, None for strings, and the bytes of a value in the file."""
    if stored.get_class() == h5t.STRING:
        return None, _POINTER if stored.is_variable_str() else int(stored.get_size())
    for known, kind in _STANDARD:
        if stored.equal(known):
            return kind, kind.itemsize
    raise _RefusedError(f"contains {_type_name(stored)}; {_TAKES}")


def _type_name(stored: Any) -> str:
    names = {
        h5t.COMPOUND: "compound values",
        h5t.REFERENCE: "references",
        h5t.VLEN: "variable-length lists",
        h5t.ENUM: "enumerated values",
        h5t.OPAQUE: "opaque bytes",
        h5t.ARRAY: "array elements",
        h5t.BITFIELD: "bit fields",
        h5t.TIME: "times",
        h5t.INTEGER: f"non-standard integers of {stored.get_size()} bytes",
        h5t.FLOAT: f"non-standard floats of {stored.get_size()} bytes",
    }
    return names.get(stored.get_class(), "values of an unknown type")


def _printable(name: str) -> str:
    """Return a name in printable form, shortened, for a message."""
    shown = name if name.isprintable() else ascii(name)
    return shown if len(shown) <= 60 else f"{shown[:40]}..."


def _short(fault: BaseException) -> str:
    """Return an HDF5 error on one line, without control characters."""
    text = " ".join(str(fault).split()) or type(fault).__name__
    return ascii(text[:200])[1:-1]
