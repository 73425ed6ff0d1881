"""From a trained model to a Graph: ``source`` takes whatever a user holds.

``tracing`` runs a torch module once, ``frameworks`` knows its layers, ``nir`` reads NIR graphs, and
``files`` whatever lies on disk.

``extract`` is here as a thin function so that importing the toolchain does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolchain.extras import needed_by
from toolchain.ir.graph import Graph

if TYPE_CHECKING:
    from torch import nn

__all__ = ["extract"]


def extract(
    model: nn.Module,
    sample: Any,
    dt: float | None = None,
    *,
    check: bool = True,
    seed: int = 0,
) -> Graph:
    """The Graph of what ``model`` computes; see ``toolchain.frontends.tracing.trace``."""
    with needed_by("toolchain.extract"):
        from toolchain.frontends.tracing.trace import extract as traced

    return traced(model, sample, dt, check=check, seed=seed)
