"""Artifacts that somebody edited, with their hashes mended: seeded, for tests and campaigns.

An artifact is a dictionary of its files. Edits are careless or hostile: other values and types in
JSON and arrays, parts that are missing, unknown, damaged or of another artifact.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from tests.oracles.artifacts import DATA, spikes
from toolchain import Deployment
from toolchain.diagnostics import ArtifactError

Files = dict[str, bytes]

HUGE = int("9" * 400)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 255, 2**31, 2**62, -(2**63), 2**64, HUGE, -HUGE),
    *(0.5, 1.0, -0.0, 1e308, 1e-308, float("nan"), float("inf"), float("-inf")),
    *("", "3", "spikes", "xylo_a3", "speck2f", "/etc/hostname", "../chip", "\x1b[2J", "\u202e"),
    *("\ud800", "a" * 100_000, [], {}, [[]], [1, 2], ["x"], {"x": 1}, [2**31] * 3, [HUGE]),
)
TYPES = ("bool", "int8", "uint8", "int16", "int64", "uint64", "float16", "float32", "float64")


def recorded() -> list[Files]:
    """Return the files of small artifacts of both families, two of each of equal layers."""
    return [files_of(folder) for folder in sorted(DATA.glob("format3-*"))]


def files_of(folder: Path) -> Files:
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def write(files: Files, folder: Path) -> Path:
    """Replace the files of a folder."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def mended(files: Files) -> Files:
    """Return files with a manifest that has their hashes, if it can be read."""
    try:
        manifest = json.loads(files["manifest.json"])
        manifest["sha256"] = {
            name: hashlib.sha256(data).hexdigest()
            for name, data in files.items()
            if name != "manifest.json"
        }
    except (ValueError, TypeError, KeyError, RecursionError):
        return files
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def edited(seed: int, artifacts: list[Files]) -> tuple[str, int, Files]:
    """Return what was edited, the number of the artifact, and its files with mended hashes."""
    rng = np.random.default_rng(seed)
    number = int(rng.integers(len(artifacts)))
    files, kind = dict(artifacts[number]), EDITS[seed % len(EDITS)]
    for _ in range(int(rng.integers(1, 3))):
        kind(files, artifacts, rng)
    return kind.__name__.removeprefix("_"), number, mended(files)


def _pick(options: Any, rng: np.random.Generator) -> Any:
    options = list(options)
    return options[int(rng.integers(len(options)))]


def _some(files: Files, end: str, rng: np.random.Generator) -> str:
    """Return the name of a file; config and manifest are as likely as the rest."""
    return str(_pick([name for name in files if name.endswith(end)], rng))


# ---- JSON ----


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return each container of a tree with each of its keys."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    found = [(tree, key) for key in keys]
    for key in keys:
        if isinstance(tree[key], dict | list):
            found += _places(tree[key])
    return found


def _in_json(files: Files, rng: np.random.Generator, change: Callable[[Any, Any], None]) -> None:
    name = _some(files, ".json", rng)
    try:
        tree = json.loads(files[name])
        places = _places(tree)
    except (ValueError, TypeError, RecursionError):  # edited before
        return
    if places:
        change(*_pick(places, rng))
    files[name] = json.dumps(tree, indent=1).encode()


def _value(files: Files, artifacts: list[Files], rng: np.random.Generator) -> None:
    def change(tree: Any, key: Any) -> None:
        tree[key] = _pick(VALUES, rng)

    _in_json(files, rng, change)


def _near_value(files: Files, artifacts: list[Files], rng: np.random.Generator) -> None:
    def change(tree: Any, key: Any) -> None:
        old = tree[key]
        if isinstance(old, bool):
            tree[key] = _pick((not old, int(old), str(old)), rng)
        elif isinstance(old, int | float):
            tree[key] = _pick((old + 1, old - 1, -old, float(old), str(old), bool(old)), rng)
        elif isinstance(old, str):
            tree[key] = _pick((old + " ", old.upper(), old[::-1], [old], old.encode().hex()), rng)
        elif isinstance(old, list):
            tree[key] = _pick((old[::-1], old[:-1], old + old[-1:], dict(enumerate(old))), rng)
        else:
            tree[key] = old and dict(list(old.items())[:-1])

    _in_json(files, rng, change)


def _key(files: Files, artifacts: list[Files], rng: np.random.Generator) -> None:
    def change(tree: Any, key: Any) -> None:
        if rng.random() < 0.5:
            del tree[key]
        elif isinstance(tree, dict):
            tree[_pick(("more", f"{key} ", "__class__"), rng)] = tree[key]
        else:
            tree.insert(0, _pick(tree, rng))

    _in_json(files, rng, change)


def _text(files: Files, artifacts: list[Files], rng: np.random.Generator) -> None:
    name = _some(files, ".json", rng)
    text = files[name].decode()
    lines = text.splitlines()
    line = _pick([n for n, each in enumerate(lines) if '": ' in each] or [0], rng)
    again = lines[line].rstrip(",") + ","
    files[name] = _pick(
        (
            "\n".join([*lines[:line], again, *lines[line:]]),  # a repeated key
            text.replace("0", "NaN", 1),
            "[" * 100_000 + "]" * 100_000,
            '{"a":' * 50_000 + "1" + "}" * 50_000,
            f"[{text}]",
            text[: len(text) // 2],
            "\ufeff" + text,
            text.replace("1", "1" + "0" * 5000, 1),
        ),
        rng,
    ).encode()


# ---- arrays ----


def _array(files: Files, artifacts: list[Files], rng: np.random.Generator) -> None:
    name = _some(files, ".safetensors", rng)
    try:
        arrays = load(files[name])
    except Exception:  # edited before
        return
    which = _pick(sorted(arrays), rng)
    array = arrays[which].copy()
    where = int(rng.integers(array.size)) if array.size else 0
    change = rng.integers(8)
    if change == 0 and array.size:
        array[where] = array[where] + 1
    elif change == 1:
        array = array.astype(_pick(TYPES, rng))
    elif change == 2:
        arrays["more"] = array
    elif change == 3:
        del arrays[which]
    elif change == 4:
        array = np.concatenate([array, array])
    elif change == 5 and array.dtype.kind == "f" and array.size:
        array[where] = _pick((np.nan, np.inf, -np.inf, 1e300), rng)
    elif change == 6 and array.size:
        array[where] = np.iinfo(array.dtype).max if array.dtype.kind in "iu" else 0
    else:
        array = array[::-1].copy()
    if which in arrays:
        arrays[which] = array
    files[name] = save(arrays)


# ---- files ----


def _file(files: Files, artifacts: list[Files], rng: np.random.Generator) -> None:
    name = str(_pick(files, rng))
    data = bytearray(files[name])
    change = rng.integers(7)
    if change == 0:
        del files[name]
    elif change == 1:
        files[name] = bytes(data[: int(rng.integers(len(data)))])
    elif change == 2:
        files[name] = rng.bytes(100)
    elif change == 3:
        files[f"more{rng.integers(9)}.json"] = files[name]
    elif change == 4:
        files[name] = (2**62).to_bytes(8, "little") + bytes(data[8:])
    elif change == 5:
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        files[name] = bytes(data)
    else:
        files[name] = b""


def _swap(files: Files, artifacts: list[Files], rng: np.random.Generator) -> None:
    """Take up to four parts from another artifact."""
    other = _pick(artifacts, rng)
    parts = sorted({name.partition(".")[0] for name in files})
    for part in rng.choice(parts, size=min(int(rng.integers(1, 5)), len(parts)), replace=False):
        files |= {name: data for name, data in other.items() if name.partition(".")[0] == part}


def _former(files: Files, artifacts: list[Files], rng: np.random.Generator) -> None:
    """Make it an artifact of the format before, and edit it once more."""
    files.pop("chip.json", None)
    files["manifest.json"] = files["manifest.json"].replace(b"deployment/3", b"deployment/2")
    for name in [name for name in files if name.endswith(".json")]:
        tree = json.loads(files[name])
        tree.pop("deployment_sha256", None)
        files[name] = json.dumps(tree).encode()
    if rng.random() < 0.9:
        _pick((_value, _near_value, _key, _array, _swap), rng)(files, artifacts, rng)


EDITS = (_value, _near_value, _key, _text, _array, _file, _swap, _former, _near_value, _swap)


# ---- results ----


def result(folder: Path) -> tuple[dict[str, np.ndarray], Files] | str:
    """Return what an artifact computes and configures, or the text of its refusal."""
    try:
        d = Deployment.load(folder)
    except ArtifactError as refused:
        return str(refused)
    shape = d.graph.shape(d.graph.input)
    run = d.simulate(spikes(shape)[:, :10], record=True)
    arrays = {name: layer.spikes for name, layer in run.layers.items()}
    arrays |= {f"{name} membrane": layer.v_mem for name, layer in run.layers.items()}
    return arrays | dict(d.on_chip.pack()[0]), dict(d.on_chip.files())


def same(found: Any, wanted: Any) -> bool:
    """Return whether two results of ``result`` have the same files and arrays."""
    (arrays, files), (others, rest) = found, wanted
    return (
        files == rest
        and arrays.keys() == others.keys()
        and all(np.array_equal(arrays[name], others[name]) for name in arrays)
    )
