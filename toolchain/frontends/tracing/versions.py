"""Names and versions of the frameworks of a model; none of them is imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import torch
from torch import nn

from toolchain.frontends.frameworks.kinds import framework_names

__all__ = ["framework_versions"]


def framework_versions(model: nn.Module) -> str:
    """Return the frameworks whose layers the model has: ``torch 2.13.0, snntorch 1.0.0``."""
    packages = {type(m).__module__.split(".", maxsplit=1)[0] for _, m in model.named_modules()}
    return ", ".join(
        [
            f"torch {torch.__version__}",
            *(_version(name) for name in framework_names() if name in packages),
        ]
    )


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} of an unknown version"
