"""Start states of layers inside ``torch.utils.checkpoint``.

Checkpointing runs a function twice: for its result, and again in the backward pass for its
gradients. The second run must start from the states that the first started from, and must leave
those of the first behind. So each checkpoint records the start state of every call of a layer, and
its recomputation uses them in the same order.

torch has no public interface for this; the checkpoint that runs is found among the callers. A
recomputation by other means has an unknown start and is refused.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import torch
import torch.utils.checkpoint as torch_checkpoint
from torch import Tensor

__all__ = ["recomputes", "start_state"]

_RECORD = "_snn_toolchain_starts"
_FIRST = inspect.unwrap(torch_checkpoint.checkpoint).__code__
_FIRST_REENTRANT = torch_checkpoint.CheckpointFunction.forward.__code__
_AGAIN_REENTRANT = torch_checkpoint.CheckpointFunction.backward.__code__


def _inner_code(function: Any, name: str) -> CodeType | None:
    """Return the code of a function defined inside another one."""
    for code in getattr(getattr(function, "__code__", None), "co_consts", ()):
        if isinstance(code, CodeType) and code.co_name == name:
            return code
    return None


_AGAIN = _inner_code(
    getattr(getattr(torch_checkpoint, "_checkpoint_hook", None), "__init__", None), "unpack_hook"
)


@dataclass(slots=True)
class _Record:
    """Start states of the calls inside one checkpoint, by layer and state.

    Attributes:
        starts: one for each call, in order; None for zeros.
        used: number of them that each recomputation has used.
    """

    starts: dict[Any, list[Tensor | None]] = field(default_factory=dict)
    used: dict[Any, int] = field(default_factory=dict)


def start_state(layer: Any, name: str, stored: Tensor | None) -> Tensor | None:
    """Return the state from which a call of ``layer`` starts, None for zeros.

    Args:
        layer: the layer.
        name: name of the state.
        stored: the state that the last call left.

    Raises:
        RuntimeError: a recomputation whose first run is unknown.
    """
    if torch.compiler.is_compiling():
        return stored
    key, state = (layer, name), stored
    first: list[_Record] = []
    for record, run in _checkpoints():
        if run is None:
            first.append(record)
            continue
        state = _used_by_first_run(record, run, key)
        break
    else:
        if torch._C._current_graph_task_id() != -1:
            raise RuntimeError(_unknown(layer))
    for record in first:
        kept = None if state is None else state.detach().clone()
        record.starts.setdefault(key, []).append(kept)
    return state


def recomputes() -> bool:
    """Return True within the second run of a checkpoint, which must leave states as they are."""
    if torch.compiler.is_compiling():
        return False
    return any(run is not None for _, run in _checkpoints())


def _used_by_first_run(record: _Record, run: Any, key: Any) -> Tensor | None:
    starts, used = record.starts.get(key, []), record.used.get((run, key), 0)
    record.used[run, key] = used + 1
    if used >= len(starts):
        raise RuntimeError(_unknown(key[0]))
    return starts[used]


def _unknown(layer: Any) -> str:
    return (
        f"{type(layer).__name__} is called in a backward pass, and the state from which its first "
        "run started is unknown; recompute with torch.utils.checkpoint.checkpoint around the call, "
        "or keep the activations"
    )


def _checkpoints() -> Iterator[tuple[_Record, Any]]:
    """Yield the checkpoints that run, innermost first: record, and recomputation or None."""
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code is _FIRST:
            generator = frame.f_locals.get("gen")
            inner = getattr(generator, "gi_frame", None)
            if inner is not None and "new_frame" in inner.f_locals:
                yield _record(inner.f_locals["new_frame"]), None
        elif code is _AGAIN:
            yield _record(frame.f_locals["frame"]), frame.f_locals["gid"]
        elif code is _FIRST_REENTRANT:
            yield _record(frame.f_locals["ctx"]), None
        elif code is _AGAIN_REENTRANT:
            yield _record(frame.f_locals["ctx"]), torch._C._current_graph_task_id()
        frame = frame.f_back  # type: ignore[assignment]


def _record(checkpoint: Any) -> _Record:
    """Return the record of a checkpoint, which lives as long as its autograd graph."""
    if not hasattr(checkpoint, _RECORD):
        setattr(checkpoint, _RECORD, _Record())
    record: _Record = getattr(checkpoint, _RECORD)
    return record
