"""The archive that ``torch.save`` writes: a zip with one pickle and the numbers of its tensors.

It is read without torch and without running the pickle (``pickles``). The entries must be
uncompressed, so that an archive is no larger than its file, and their checksums must match.

Source: the layout of files of torch 1.6 to 2.13 as observed.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.frontends.files.pickles import StoredTensor, foreign_globals, read

__all__ = ["TorchFile"]

_MAX_ENTRIES = 20_000
_BFLOAT16 = "BFloat16Storage"
_DTYPES: Mapping[str, str] = {
    "BoolStorage": "?",
    "ByteStorage": "u1",
    "CharStorage": "i1",
    "ShortStorage": "<i2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    _BFLOAT16: "<u2",
}


@dataclass(frozen=True, slots=True)
class TorchFile:
    """An opened archive.

    Attributes:
        pickle: the saved value, as a pickle.
        entries: the other entries by name, without the archive's top folder.
    """

    pickle: bytes
    entries: Mapping[str, bytes]

    @classmethod
    def of(cls, data: bytes) -> TorchFile:
        """Open the archive in ``data``.

        Raises:
            ValueError: the archive is damaged, compressed, or has another layout.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = dict(_entries(archive, len(data)))
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as fault:
            raise ValueError(f"a damaged archive: {fault}") from None
        pickles = [name for name in entries if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"an archive with {len(pickles)} files named data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        inside = {name.removeprefix(folder): data for name, data in entries.items()}
        return cls(inside.pop("data.pkl"), inside)

    def foreign_globals(self) -> tuple[str, ...]:
        """Return the names that the file imports beyond what weights need, ``module.name``."""
        return foreign_globals(self.pickle)

    def read(self) -> Any:
        """Return the saved value, with an array in place of each tensor.

        Raises:
            ValueError: values other than weights and plain data, or tensors that do not match
                their numbers.
        """
        order = self.entries.get("byteorder", b"little")
        if order != b"little":
            raise ValueError(f"byte order {order[:10]!r}; only little is supported")
        return self._resolve(read(self.pickle), depth=0)

    def _resolve(self, value: Any, depth: int) -> Any:
        if isinstance(value, StoredTensor):
            return self._array(value)
        # weights are at most two levels deep; below that is other data, such as optimizer states
        if isinstance(value, dict) and depth < 2:
            return {key: self._resolve(inner, depth + 1) for key, inner in value.items()}
        return value

    def _array(self, tensor: StoredTensor) -> Array:
        dtype = np.dtype(_DTYPES[tensor.kind])
        stored = self.entries.get(f"data/{tensor.storage}")
        if stored is None:
            raise ValueError(f"a tensor whose data is missing: data/{tensor.storage}")
        if len(tensor.size) != len(tensor.strides) or len(tensor.size) > _MAX_AXES:
            raise ValueError(
                f"a tensor of {len(tensor.size)} axes and {len(tensor.strides)} strides"
            )
        steps = sum((n - 1) * step for n, step in zip(tensor.size, tensor.strides, strict=True))
        last = tensor.offset + steps
        available = len(stored) // dtype.itemsize
        empty = 0 in tensor.size
        # an expanded tensor (stride 0) could have more numbers than the file
        if not empty and (last >= available or prod(tensor.size) > available):
            raise ValueError(
                f"a tensor of shape {tensor.size} with only {available} stored numbers"
            )
        if empty:
            return np.zeros(tensor.size, dtype=_plain(dtype, tensor.kind))
        numbers = np.frombuffer(stored, dtype, count=available)[tensor.offset :]
        steps_bytes = tuple(step * dtype.itemsize for step in tensor.strides)
        array = np.lib.stride_tricks.as_strided(numbers, tensor.size, steps_bytes, writeable=False)
        return _as_float32(array) if tensor.kind == _BFLOAT16 else array


_MAX_AXES = 8


def _plain(dtype: np.dtype[Any], kind: str) -> np.dtype[Any]:
    return np.dtype(np.float32) if kind == _BFLOAT16 else dtype


def _as_float32(upper: Array) -> Array:
    """Widen bfloat16, which is the upper half of a float32, to float32."""
    return np.asarray((upper.astype(np.uint32) << 16).view(np.float32))


def _entries(archive: zipfile.ZipFile, available: int) -> Iterator[tuple[str, bytes]]:
    """Yield every entry, none of them larger than the file that contains it."""
    found = archive.infolist()
    if len(found) > _MAX_ENTRIES:
        raise ValueError(f"an archive of {len(found)} entries, the limit is {_MAX_ENTRIES}")
    if sum(entry.file_size for entry in found) > available:
        raise ValueError("an archive whose entries are larger than the file")
    if len({entry.filename for entry in found}) < len(found):
        raise ValueError("an archive with duplicate entry names")
    for entry in found:
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise ValueError(f"an archive with a compressed entry {entry.filename!r}")
        yield entry.filename, archive.read(entry)
