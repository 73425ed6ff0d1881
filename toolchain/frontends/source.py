"""Conversion of every supported input to a Graph: torch module, Graph, NIR graph or file.

Imports are late, so that a Graph or a file needs neither torch nor a framework.
"""

from __future__ import annotations

import os
from typing import Any

from toolchain.diagnostics import ExtractError
from toolchain.extras import needed_by
from toolchain.frontends.unsuited import advice_on
from toolchain.ir import Graph

__all__ = ["as_graph"]


def as_graph(
    model: Any,
    *,
    sample: Any = None,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
    check: bool = True,
    seed: int = 0,
) -> Graph:
    """Return ``model`` as a Graph.

    Args:
        model: a torch module, a Graph, a ``nir.NIRGraph``, or the path of a file.
        sample: an input in the shape that a torch module's own forward takes.
        dt: length of a timestep, s.
        dialect, reset: options for reading a NIR graph; see ``toolchain.frontends.nir``.
        check, seed: whether a torch module is compared with its Graph, on which random spikes.

    Raises:
        ExtractError: the module cannot be converted to a Graph or was given without ``sample``, or
            ``model`` is of another type.
        ModelFileError: the file or the NIR graph cannot be converted, or is ambiguous.
    """
    if isinstance(model, Graph):
        return model if dt is None else model.with_dt(dt)
    if isinstance(model, str | os.PathLike):
        from toolchain.frontends.files import load

        return load(os.fspath(model), sample=sample, dt=dt, dialect=dialect, reset=reset)
    if type(model).__name__ == "NIRGraph" and _package(model) == "nir":
        from toolchain.frontends.nir import from_object, to_graph

        return to_graph(from_object(model), dt=dt, dialect=dialect, reset=reset)
    if isinstance(model, type) or not callable(getattr(model, "forward", None)):
        raise ExtractError(
            "the model must be a torch module, a Graph, a NIR graph or the path of a file, got "
            f"{advice_on(model)}"
        )
    if sample is None:
        raise ExtractError(
            "a torch module needs sample=, an input as its own forward takes it, such as "
            "torch.rand(2, 100, 16) where that is (batch, time, features)"
        )
    with needed_by("toolchain.extract"):
        from toolchain.frontends.tracing.trace import extract

    return extract(model, sample, dt, check=check, seed=seed)


def _package(model: object) -> str:
    return type(model).__module__.split(".", maxsplit=1)[0]
