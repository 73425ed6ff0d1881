"""Nested plain data with arrays, as a small JSON text beside an ``.npz``.

The same data gives the same bytes. An array is kept once however often it occurs, under a digest of
its contents.
"""

import hashlib
import io
import json
import re
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

__all__ = ["DATA", "differences", "names", "pack", "read", "unpack", "write"]

DATA = Path(__file__).parent.parent / "data" / "frameworks"
MARK = "$array"
WIDTH = 120
RECORDED_ON = "AVX512"
ROUNDED = re.compile(r"#[0-9a-f]{8}|(?<=f64:)-?[0-9.]+(e-?[0-9]+)?")
"""Digests of arrays and real numbers in the text of a Graph."""


def write(name, data):
    """``data`` (dictionaries with text keys, lists, plain values, arrays) under ``name``."""
    arrays = {}
    text = _text(_taken_out(data, arrays))
    DATA.mkdir(parents=True, exist_ok=True)
    (DATA / f"{name}.json").write_text(text + "\n")
    with zipfile.ZipFile(DATA / f"{name}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key in sorted(arrays):
            held = io.BytesIO()
            np.save(held, arrays[key], allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy")  # with a fixed date
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, held.getvalue(), compresslevel=9)


def read(name):
    """What was written under ``name``."""
    data = json.loads((DATA / f"{name}.json").read_text())
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as archive:
        return _put_back(data, {key: archive[key] for key in archive.files})


def names(kind):
    """What was written with ``kind`` as its format."""
    texts = {path.stem: path.read_text() for path in sorted(DATA.glob("*.json"))}
    return [name for name, text in texts.items() if json.loads(text).get("format") == kind]


def _text(data, indent=0):
    """JSON with what fits into a line in one line, so that it can be read and compared."""
    flat = json.dumps(data, allow_nan=False)
    if len(flat) + indent <= WIDTH or not isinstance(data, dict | list):
        return flat
    if isinstance(data, dict):
        items = [f"{json.dumps(k)}: {_text(v, indent + len(k) + 5)}" for k, v in data.items()]
    else:
        items = [_text(value, indent + 1) for value in data]
    opened, closed = "{}" if isinstance(data, dict) else "[]"
    inner = ",\n".join(items).replace("\n", "\n ")
    return f"{opened}\n {inner}\n{closed}"


def _taken_out(data, arrays):
    if isinstance(data, dict):
        return {key: _taken_out(value, arrays) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_taken_out(value, arrays) for value in data]
    if not isinstance(data, np.ndarray):
        return data
    kept = _narrow(data)
    seen = hashlib.sha256(f"{kept.dtype.str}{kept.shape}".encode() + kept.tobytes())
    key = seen.hexdigest()[:16]
    arrays[key] = kept
    return {MARK: key, "dtype": str(data.dtype)}


def _narrow(array):
    """In single precision where nothing is lost by it."""
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):
            single = array.astype(np.float32)
        if np.array_equal(single, array):
            return np.ascontiguousarray(single).reshape(array.shape)
    return np.ascontiguousarray(array).reshape(array.shape)


def _put_back(data, arrays):
    if isinstance(data, list):
        return [_put_back(value, arrays) for value in data]
    if not isinstance(data, dict):
        return data
    if MARK in data:
        return arrays[data[MARK]].astype(data["dtype"])
    return {key: _put_back(value, arrays) for key, value in data.items()}


def pack(values):
    """Spikes as bits or small integers, other numbers in single precision."""
    values = np.asarray(values)
    whole = bool((values == np.rint(values)).all()) and values.min() >= 0
    if whole and values.max() < 2:
        return {"bits": np.packbits(values.astype(bool)), "shape": list(values.shape)}
    if whole:
        return {"counts": values.astype(np.min_scalar_type(int(values.max())))}
    return {"values": values.astype(np.float32)}


def unpack(packed):
    """The array that was packed, float64."""
    if "bits" in packed:
        shape = packed["shape"]
        bits = np.unpackbits(packed["bits"], count=int(np.prod(shape)))
        return bits.reshape(shape).astype(np.float64)
    return packed.get("counts", packed.get("values")).astype(np.float64)


def differences(recorded, made, where=""):
    """Places at which two nested data differ; real numbers up to what another CPU rounds."""
    if isinstance(recorded, dict) and isinstance(made, dict):
        for key in dict.fromkeys([*recorded, *made]):
            if key in recorded and key in made:
                yield from differences(recorded[key], made[key], f"{where}/{key}")
            else:
                yield f"{where}/{key}: only {'recorded' if key in recorded else 'now'}"
    elif isinstance(recorded, list) and isinstance(made, list | tuple):
        if len(recorded) != len(made):
            yield f"{where}: {len(recorded)} recorded, {len(made)} now"
        for number, (one, two) in enumerate(zip(recorded, made, strict=False)):
            yield from differences(one, two, f"{where}/{number}")
    elif not _same(recorded, made):
        yield f"{where}: {recorded!r} recorded, {made!r} now"


def _same(recorded, made):
    if isinstance(recorded, np.ndarray) and isinstance(made, np.ndarray):
        alike = recorded.shape == made.shape and recorded.dtype == made.dtype
        if recorded.dtype.kind == "f":
            close = {"rtol": 1e-6 if recorded.dtype == np.float32 else 1e-12, "atol": 1e-300}
            if not _recorded_on_such_a_processor():
                # random numbers are off by a share of the largest
                close = {"rtol": 1e-6, "atol": 1e-6 * np.abs(recorded).max(initial=0.0)}
            return alike and np.allclose(recorded, made, **close)
        return alike and np.array_equal(recorded, made)
    if type(recorded) is float and type(made) is float:
        most = 1e-12 if _recorded_on_such_a_processor() else 1e-6
        return abs(recorded - made) <= most * abs(recorded)
    if type(recorded) is str and type(made) is str and not _recorded_on_such_a_processor():
        if recorded.startswith("[[") and made.startswith("[["):  # a matrix in a file of JSON
            return _same(*(np.array(json.loads(text), float) for text in (recorded, made)))
        return ROUNDED.sub("", recorded) == ROUNDED.sub("", made)
    return type(recorded) is type(made) and recorded == made


@cache
def _recorded_on_such_a_processor():
    """Return whether torch computes here with the instructions of the recordings.

    Elsewhere the last bits of its float32 numbers differ, and so do the digests of arrays in the
    text of a Graph. The arrays themselves are compared beside the text.
    """
    try:
        import torch
    except ImportError:
        return True
    return torch.backends.cpu.get_cpu_capability() == RECORDED_ON
