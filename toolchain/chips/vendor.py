"""The vendor's library, reached for only when a user asks.

The ``samna`` wheel of the public package index is an installer stub: importing it runs pip. It is
therefore never imported to see whether it is there; its installed files are looked at first.

This path has not met the real library: it was written against recordings of its attribute surface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from toolchain.diagnostics import VendorError
from toolchain.hardware import Chip

__all__ = ["to_samna"]


def to_samna(config: Mapping[str, Any], chip: Chip) -> Any:
    """A live vendor configuration with every value of ``config`` set on it.

    Raises:
        VendorError: samna is absent or a stub, or its object lacks an attribute of ``config``.
    """
    _require_samna()
    import_module("samna")
    module = import_module(chip.vendor_module)
    return assign(_new_configuration(module, chip), config)


def assign(target: Any, values: Mapping[str, Any], path: str = "") -> Any:
    """Set ``values`` on ``target``, attribute by attribute, and return it."""
    for name, value in values.items():
        if not hasattr(target, name):
            raise VendorError(f"the vendor's configuration has no attribute {path + name}")
        inner = getattr(target, name)
        if isinstance(value, Mapping):
            assign(inner, value, f"{path}{name}.")
        elif _holds_objects(value):
            _assign_items(inner, value, f"{path}{name}")
        else:
            setattr(target, name, value)
    return target


def _holds_objects(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and isinstance(value[0], Mapping)


def _assign_items(items: Any, values: Sequence[Any], path: str) -> None:
    if len(items) < len(values):
        raise VendorError(f"{path} holds {len(items)} items, needs {len(values)}")
    for index, value in enumerate(values):
        assign(items[index], value, f"{path}[{index}].")


def _new_configuration(module: Any, chip: Chip) -> Any:
    names = ("XyloConfiguration", "SpeckConfiguration", "DynapcnnConfiguration")
    for name in names:
        if hasattr(module.configuration, name):
            return getattr(module.configuration, name)()
    raise VendorError(f"{chip.vendor_module}.configuration has none of {', '.join(names)}")


def _require_samna() -> None:
    try:
        files = distribution("samna").files or []
    except PackageNotFoundError:
        raise VendorError(
            "samna is not installed; it comes from the vendor, see the vendor's documentation"
        ) from None
    if sum(str(file).startswith("samna/") for file in files) <= 1:
        raise VendorError(
            "the samna that is installed is the public index's installer stub, which runs pip when "
            "it is imported; install the vendor's own wheel"
        )
