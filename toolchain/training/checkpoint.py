"""Checkpoint of a training: an archive from which another process continues, bit for bit.

Arrays are stored as safetensors and the rest as JSON; nothing is pickled.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from toolchain.archive import RESTORE, Archive, archive_path, packed_files, write_archive
from toolchain.arrays import Array
from toolchain.diagnostics import ArtifactError
from toolchain.training.history import Epoch

__all__ = ["Checkpoint", "read_checkpoint", "write_checkpoint"]

PART = "training"
"""Name of the files; neither a deployment nor the state of a session has any of this name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """State of a training after an epoch.

    Attributes:
        run: what identifies the training: its settings, and digests of data and start.
        epochs: history so far, the start included.
        choice: number of the best epoch so far, 0 for the start.
        reason: why the training ended early; empty if it did not.
        parameters, best: parameters now and of the best epoch, by name.
        optimizer: state of the optimizer.
    """

    run: Mapping[str, Any]
    epochs: tuple[Epoch, ...]
    choice: int
    reason: str
    parameters: Mapping[str, Array]
    best: Mapping[str, Array]
    optimizer: Mapping[str, Any]


def write_checkpoint(folder: str | os.PathLike[str], state: Checkpoint) -> None:
    """Write the state to ``folder``, atomically; an older checkpoint is replaced.

    Raises:
        ArtifactError: ``folder`` contains anything else, or cannot be written.
        ValueError: an optimizer with a state that is neither numbers nor tensors.
    """
    arrays: dict[str, Array] = {f"now/{name}": each for name, each in state.parameters.items()}
    arrays |= {f"best/{name}": each for name, each in state.best.items()}
    data = {
        "run": dict(state.run),
        "epochs": [asdict(epoch) for epoch in state.epochs],
        "choice": state.choice,
        "reason": state.reason,
        "optimizer": _plain(state.optimizer, "optimizer", arrays),
    }
    write_archive(folder, packed_files(PART, arrays, data), {}, replaces=_is_checkpoint)


def read_checkpoint(folder: str | os.PathLike[str], run: Mapping[str, Any]) -> Checkpoint | None:
    """Return the state in ``folder``; None if there is nothing.

    Raises:
        ArtifactError: it is damaged, no checkpoint, or that of another training than ``run``.
    """
    path = archive_path(folder)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return None
    if not (path / f"{PART}.json").is_file():
        raise ArtifactError(f"{path}: is no checkpoint of a training; give another folder")
    try:
        archive = Archive(path)
        arrays, data = archive.unpacked(PART)
        found = archive.build(f"{PART}.json", lambda: _state(arrays, data))
    except ArtifactError as fault:
        reason = str(fault).removesuffix(f"; {RESTORE}")
        raise ArtifactError(
            f"{reason}: the checkpoint is damaged; restore it from a copy, or remove it to begin "
            "the training anew"
        ) from None
    for name in {**run, **found.run}:
        here, there = run.get(name), found.run.get(name)
        if here != there:
            raise ArtifactError(
                f"{path}: checkpoint of another training: {name} is {here!r}, there {there!r}; "
                "give another folder, or remove this one"
            )
    return found


def _is_checkpoint(names: Collection[str]) -> bool:
    return f"{PART}.json" in names


def _state(arrays: Mapping[str, Array], data: Mapping[str, Any]) -> Checkpoint:
    def named(prefix: str) -> dict[str, Array]:
        return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}

    return Checkpoint(
        run=dict(data["run"]),
        epochs=tuple(map(Epoch.from_dict, data["epochs"])),
        choice=int(data["choice"]),
        reason=str(data["reason"]),
        parameters=named("now/"),
        best=named("best/"),
        optimizer=_restored(data["optimizer"], arrays),
    )


def _plain(value: Any, path: str, arrays: dict[str, Array]) -> Any:
    """Return a state as JSON-compatible data; tensors go to ``arrays`` under their path."""
    if isinstance(value, torch.Tensor):
        arrays[path] = value.detach().cpu().numpy().copy()
        return {"tensor": path}
    if isinstance(value, Mapping):
        pairs = [[key, _plain(each, f"{path}/{key}", arrays)] for key, each in value.items()]
        return {"pairs": pairs}
    if isinstance(value, list | tuple):
        parts = [_plain(each, f"{path}/{number}", arrays) for number, each in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else {"float": str(value)}
    raise ValueError(
        f"{path} is a {type(value).__name__}, which a checkpoint cannot store; train without "
        "checkpoint=, or use an optimizer whose state is numbers and tensors"
    )


def _restored(data: Any, arrays: Mapping[str, Array]) -> Any:
    """Return the state of the data of ``_plain``."""
    if not isinstance(data, dict):
        return data
    ((kind, value),) = data.items()
    if kind == "tensor":
        return torch.as_tensor(np.array(arrays[value]))
    if kind == "pairs":
        return {key: _restored(each, arrays) for key, each in value}
    if kind == "float":
        return float(value)
    parts = [_restored(each, arrays) for each in value]
    return tuple(parts) if kind == "tuple" else parts
