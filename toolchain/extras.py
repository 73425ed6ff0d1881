"""Optional dependencies, and the one message where such a package is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["EXTRAS", "needed_by"]

EXTRAS = {"torch": "torch", "matplotlib": "report"}
"""The extra of snn-toolchain that installs each optional package."""


@contextmanager
def needed_by(user: str) -> Iterator[None]:
    """Import optional packages within this context, on behalf of ``user``.

    Raises:
        ModuleNotFoundError: one of ``EXTRAS`` is not installed; the message names the extra. What
            else cannot be imported is raised unchanged.

    >>> with needed_by("toolchain.nn"):
    ...     import torch
    """
    try:
        yield
    except ModuleNotFoundError as fault:
        if fault.name not in EXTRAS:
            raise
        command = f"pip install 'snn-toolchain[{EXTRAS[fault.name]}]'"
        raise ModuleNotFoundError(
            f"{user} needs {fault.name}: {command}", name=fault.name
        ) from fault
