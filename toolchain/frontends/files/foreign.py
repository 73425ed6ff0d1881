"""Names of files and folders that are not read, each with what to do instead.

By first bytes, by the entries of an archive, and by the names in a folder; ``contents`` recognises
the files that are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from toolchain.report import visible

__all__ = ["ARCHIVES", "EVENTS", "PART", "document_refusal", "folder_refusal", "refusal"]

EVENTS = (
    "a recording of events, no network; read it into arrays with fields x, y, t, p and give them "
    "to simulate()"
)
_SAVE = "save it with torch.save(model.state_dict(), ...) or as safetensors"
_UNPACK = "unpack it first"
_REFUSED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x93NUMPY", f"one numpy array, which does not describe a network; {_SAVE}"),
    (0, b"version https://git-lfs", "a Git LFS pointer; fetch the file: git lfs pull"),
    (0, b"\xff\xfe", "text in UTF-16; save it as UTF-8"),
    (0, b"\xfe\xff", "text in UTF-16; save it as UTF-8"),
    (0, b"\x1f\x8b", f"compressed with gzip; {_UNPACK}"),
    (0, b"BZh", f"compressed with bzip2; {_UNPACK}"),
    (0, b"\xfd7zXZ\x00", f"compressed with xz; {_UNPACK}"),
    (0, b"(\xb5/\xfd", f"compressed with zstd; {_UNPACK}"),
    (0, b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (257, b"ustar", f"a tar archive; {_UNPACK}, and if torch before 0.1.10 wrote it, {_SAVE}"),
    (4, b"TFL3", "a TensorFlow Lite model, which contains no spiking neurons"),
    (0, b"GGUF", "a GGUF model, which contains no spiking neurons"),
    (0, b"\x89PNG", "an image (PNG)"),
    (0, b"\xff\xd8\xff", "an image (JPEG)"),
    (0, b"GIF8", "an image (GIF)"),
    (0, b"#!AER-DAT", f"an AEDAT file, {EVENTS}"),
    (0, b"% Data file containing", f"a DAT file, {EVENTS}"),
    (0, b"% evt ", f"a RAW file, {EVENTS}"),
    (0, b"% date ", f"a RAW or DAT file, {EVENTS}"),
    (0, b"% camera", f"a RAW file, {EVENTS}"),
    (0, b"% format", f"a RAW file, {EVENTS}"),
    (0, b"Event Stream", f"an event stream, {EVENTS}"),
    (8, b"WAVE", "a recording of sound, no network; encode it as spikes for simulate()"),
    (0, b"fLaC", "a recording of sound, no network; encode it as spikes for simulate()"),
    (0, b"#ROSBAG", f"a ROS bag; if it has events, it is {EVENTS}"),
    (
        0,
        b"MATLAB ",
        "a MATLAB file, which describes no network; save the weights by name as safetensors",
    ),
    (0, b"SQLite format 3", "an SQLite data base"),
    (0, b"PAR1", "a Parquet table"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x7fELF", "an executable"),
    (0, b"MZ", "an executable"),
)
_ONNX = (
    "an ONNX model, which contains no stateful spiking neurons; pass the torch module itself, or "
    "export it to NIR"
)
_PICKLE = (
    f"a plain pickle, which can run code when it is loaded; {_SAVE}, and load it with factory= and "
    "sample="
)
_PAGE = "a web page; the download may have failed"


_EVENT_FIELDS = re.compile(rb"'t(?:s|imestamp|ime)?'.*'p(?:ol|olarity)?'|'x'.*'y'.*'t")
_HEADERLESS = (".bin", ".raw", ".dat", ".aedat", ".aedat4", ".es", ".events")
_OLD_PICKLES = (
    b"(dp",
    b"(lp",
    b"ccopy_reg",
    b"c__builtin__",
    b"ccollections",
    b"cnumpy",
    b"ctorch",
)
_TEXTS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"(?m)^family:\s"), "a chip file; give it to load_chip(path) or as chip=path"),
    (re.compile(rb"(?m)^constants:\s"), "measured constants of a chip; give it as overlay=path"),
    (
        re.compile(rb"(?i)\A[#\s\"]*(?:x|t|timestamp)\b[\"\s,;]+.*\b(?:p|pol|polarity|t)\b"),
        f"a table of events, {EVENTS}",
    ),
    (
        re.compile(rb"(?m)^(?:import|from)\s+(?:brian2?|nest|pyNN|nengo|lava)\b"),
        "Python code of another simulator; build the network in torch, or export it to NIR",
    ),
)


def refusal(head: bytes, text: bytes, suffix: str = "") -> str:
    """Return what a file is that is not read.

    Args:
        head: its first bytes.
        text: these without leading white space.
        suffix: end of its name, which tells recordings without a header from other files.
    """
    if not head:
        return "is empty"
    if head.startswith(b"\x93NUMPY") and _EVENT_FIELDS.search(head):
        return f"is a numpy array of events, {EVENTS}: np.load(path)"
    for offset, signature, what in _REFUSED:
        if head.startswith(signature, offset):
            return f"is {what}"
    if not text:
        return "contains only white space"
    if text[:9].lower().startswith((b"<!doctype", b"<html")):
        return f"is {_PAGE}"
    if _is_pickle(head):
        return f"is {_PICKLE}"
    if head[0] == 0x08 and head[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42"):
        return f"is {_ONNX}"
    named = _unknown(head, text)
    if suffix.lower() in _HEADERLESS:
        return f"{named}; if it is {EVENTS}"
    return named


def _is_pickle(head: bytes) -> bool:
    later = head[0] == 0x80 and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 1
    return later or head.startswith(_OLD_PICKLES)


def _unknown(head: bytes, text: bytes) -> str:
    known = (
        "supported are NIR, rockpool's JSON, safetensors, files of torch.save, saved deployments"
    )
    if b"\0" not in head and all(byte >= 0x20 or byte in b"\t\n\f\r" for byte in head):
        for pattern, what in _TEXTS:
            if pattern.search(text):
                return f"is {what}"
        first = text.splitlines()[0][:40].decode("utf-8", "replace")
        return f"is text starting with {json.dumps(first)}, not a model; {known}"
    return f"has an unknown format (starts with {head[:8].hex(' ')}); {known}"


# ---- archives ----


def _any_ends_with(*suffixes: str) -> Callable[[Iterable[str]], bool]:
    return lambda names: any(name.endswith(suffixes) for name in names)


def _has_folder(folder: str) -> Callable[[Iterable[str]], bool]:
    return lambda names: any(folder in f"/{name}" for name in names)


_SCRIPT = (
    "a TorchScript archive, which has no layers to read; pass the original module, or save its "
    "weights with torch.save(model.state_dict(), ...) and load them with factory= and sample="
)
_EXPORTED = (
    "a program of torch.export, which has no layers to read; pass the original module, or save "
    "its weights with torch.save(model.state_dict(), ...) and load them with factory= and sample="
)


def _arrays(names: Iterable[str]) -> str:
    """Describe an archive of numpy arrays by their names."""
    names = sorted(name.removesuffix(".npy") for name in names)
    if {"x", "y", "t"} <= set(names):
        return f"an archive of numpy arrays of events, {EVENTS}"
    shown = visible(", ".join(names[:6]), one_line=True) + (", ..." if len(names) > 6 else "")
    return (
        f"an archive of numpy arrays ({shown}), which do not describe a network; save weights by "
        "name as safetensors, and load them with factory= and sample="
    )


ARCHIVES: tuple[
    tuple[Callable[[Iterable[str]], bool], str | Callable[[Iterable[str]], str] | None], ...
] = (
    (_any_ends_with("/constants.pkl"), _SCRIPT),
    (_has_folder("/code/"), _SCRIPT),
    (_any_ends_with("archive_format", "serialized_exported_program.json"), _EXPORTED),
    (_any_ends_with("/data.pkl"), None),
    (_any_ends_with("model.weights.h5"), "a Keras model, which contains no spiking neurons"),
    (_any_ends_with(".npy"), _arrays),
    (_any_ends_with("AndroidManifest.xml"), "an Android package"),
    (_any_ends_with("[Content_Types].xml"), "an office document"),
)
"""Kinds of archives, by the name of an entry; None for the supported one."""


# ---- JSON ----

_FOLDER = "give the folder to toolchain.Deployment.load, or to load for its network"
PART = f"is a part of a saved deployment; {_FOLDER}"
_DOCUMENTS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(keys.split()), what)
    for keys, what in (
        ("format sha256", f"the manifest of a saved deployment; {_FOLDER}"),
        (
            "value0",
            "a configuration as a vendor's library writes it, in a layout that no installed chip "
            "family reads; give the trained network, or the specification it was made from",
        ),
        ("weight_map", "the index of weights in several files; give one file with all weights"),
        ("architectures model_type", "the settings of a model, without its weights"),
        ("class_name config", "a Keras model, which contains no spiking neurons"),
        ("nodes edges", "a graph as JSON; save it as NIR, which load reads"),
        ("cells nbformat", "a Jupyter notebook"),
    )
)


def document_refusal(document: Mapping[str, Any]) -> str | None:
    """Return what a JSON object is, by its outermost keys; None if unknown."""
    for keys, what in _DOCUMENTS:
        if keys <= document.keys():
            return f"is {what}"
    return None


# ---- folders ----

_FOLDERS = {
    "saved_model.pb": "a TensorFlow SavedModel, which contains no spiking neurons",
    "variables": "the variables of a TensorFlow model, which contains no spiking neurons",
    ".metadata": "a distributed checkpoint of torch; convert it with "
    "torch.distributed.checkpoint.format_utils.dcp_to_torch_save",
    "_CHECKPOINT_METADATA": "a checkpoint of orbax (jax); export the network to NIR",
    "_METADATA": "a checkpoint of orbax (jax); export the network to NIR",
    "Manifest.json": "a Core ML package, which contains no spiking neurons",
    ".zgroup": "a zarr store, which describes no network",
    "zarr.json": "a zarr store, which describes no network",
    "brianlib": "the generated code of brian2; build the network in torch",
    "refocram.ini": "memory images of a chip, which are written and not read",
}
_MODELS = (".nir", ".safetensors", ".pt", ".pth", ".ckpt", ".json")


def folder_refusal(path: Path) -> str:
    """Return what a folder is that is no saved deployment, by the names in it."""
    names = sorted(entry.name for entry in path.iterdir())
    for name, what in _FOLDERS.items():
        if name in names:
            return f"is a folder with {name}: {what}"
    models = [name for name in names if name.endswith(_MODELS)][:5]
    these = f", such as {visible(', '.join(models), one_line=True)}" if models else ""
    return (
        "is a folder but not a saved deployment (no manifest.json); pass the network file in "
        f"it{these}"
    )
