"""Conversion of every supported input to a Graph: torch module, Graph, NIR graph or file.

Imports are late, so that a Graph or a file needs neither torch nor a framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolchain.ir import Graph

__all__ = ["as_graph"]


def as_graph(
    model: Any,
    *,
    sample: Any = None,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
) -> Graph:
    """Return ``model`` as a Graph.

    Args:
        model: a torch module, a Graph, a ``nir.NIRGraph``, or the path of a file.
        sample: an input in the shape that a torch module's own forward takes.
        dt: length of a timestep, s.
        dialect, reset: options for reading a NIR graph; see ``toolchain.frontends.nir``.

    Raises:
        ExtractError: the module cannot be converted to a Graph.
        ModelFileError: the file or the NIR graph cannot be converted, or is ambiguous.
        ValueError: ``model`` is of another type, or a module was given without ``sample``.
    """
    if isinstance(model, Graph):
        return model if dt is None else model.with_dt(dt)
    if isinstance(model, str | Path):
        from toolchain.frontends.files import load

        return load(model, sample=sample, dt=dt, dialect=dialect, reset=reset)
    if _package(model) == "nir":
        from toolchain.frontends.nir import from_object, to_graph

        return to_graph(from_object(model), dt=dt, dialect=dialect, reset=reset)
    if not callable(getattr(model, "forward", None)):
        if type(model).__name__ == "ExportedProgram":
            raise ValueError("an ExportedProgram has no layers; give the module that was exported")
        weights = "; a state_dict holds weights only: load it into its module and give that"
        raise ValueError(
            "the model must be a torch module, a Graph, a NIR graph or the path of a file, got "
            f"{type(model).__name__}{weights if isinstance(model, Mapping) else ''}"
        )
    if sample is None:
        raise ValueError(
            "a torch module needs sample=, an input as its own forward takes it, such as "
            "torch.rand(2, 100, 16) where that is (batch, time, features)"
        )
    from toolchain.frontends import extract

    return extract(model, sample, dt=dt)


def _package(model: object) -> str:
    return type(model).__module__.split(".", maxsplit=1)[0]
