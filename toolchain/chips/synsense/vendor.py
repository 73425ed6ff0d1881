"""The vendor's library, reached for only when a user asks.

The ``samna`` wheel of the public package index is an installer stub: importing it runs pip. It is
therefore never imported to see whether it is there; its installed files are looked at first.

This path has not met the real library: it was written against recordings of its attribute surface.

Source: documentation of sinabs and Rockpool, which fill these configurations attribute by
attribute; the list of files of the samna wheels of the public index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from toolchain.chips.synsense.spec import SynSenseChip
from toolchain.diagnostics import VendorError

__all__ = ["NOTES", "Classes", "assign", "build_configuration", "library", "part", "to_samna"]

NOTES = "notes"
"""Key in a configuration's plain data of what the vendor's tree has no place for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """Names of classes in the ``configuration`` modules of a family's chips.

    Attributes:
        roots: of a whole configuration; a chip's module has one of them.
        items: of what a list that starts empty holds, by path of the list.
    """

    roots: tuple[str, ...]
    items: Mapping[str, str] = field(default_factory=dict)


def to_samna(config: Mapping[str, Any], chip: SynSenseChip, classes: Classes) -> Any:
    """Return a live vendor configuration with every value of ``config`` set on it.

    Raises:
        VendorError: samna is absent or a stub, has nothing for this chip, or its object does not
            take a value of ``config``.
    """
    library()
    try:
        module = import_module(chip.vendor_module).configuration
    except (ImportError, AttributeError):
        raise VendorError(
            f"the samna that is installed has no {chip.vendor_module}.configuration; {chip.name} "
            "needs another version of it"
        ) from None
    return build_configuration(module, config, chip, classes)


def build_configuration(
    module: Any, config: Mapping[str, Any], chip: SynSenseChip, classes: Classes
) -> Any:
    """Return a configuration of the vendor's ``configuration`` module with ``config`` set on it.

    Raises:
        VendorError: the module has none, or its object does not take a value of ``config``.
    """
    root = next((name for name in classes.roots if hasattr(module, name)), None)
    if root is None:
        raise VendorError(
            f"{chip.vendor_module}.configuration has none of {', '.join(classes.roots)}"
        )
    new = {
        path: part(module, name) for path, name in classes.items.items() if hasattr(module, name)
    }
    return assign(getattr(module, root)(), config, new)


def library(given: Any = None) -> Any:
    """Return the vendor's library: ``given``, or the installed one if it is not the stub.

    Raises:
        VendorError: samna is absent or a stub.
    """
    if given is not None:
        return given
    _require_samna()
    return import_module("samna")


def part(whole: Any, path: str) -> Any:
    """Return an attribute of an object of the vendor's, or of a part of it.

    Raises:
        VendorError: it is not there.
    """
    found = whole
    for name in path.split("."):
        if not hasattr(found, name):
            where = getattr(whole, "__name__", type(whole).__name__)
            raise VendorError(f"the samna that is installed has no {where}.{path}")
        found = getattr(found, name)
    return found


def assign(
    target: Any, values: Mapping[str, Any], new: Mapping[str, Callable[[], Any]], path: str = ""
) -> Any:
    """Set ``values`` on ``target``, attribute by attribute, and return it.

    Args:
        target: an object of the vendor's, or a list of them.
        values: by name of the attribute, or by index in the list as text. A mapping is set inside
            the object that is there, a list of mappings inside the objects of the list that is
            there, or in ``new`` ones; text is the name of a member of an enumeration.
            An empty list leaves what is there. What stands under ``NOTES`` is not for the vendor.
        new: makes an item of a list that starts empty, by path of the list.
        path: where ``target`` is, for messages.

    Raises:
        VendorError: an attribute, item or member is not there, or does not take its value.
    """
    for name, value in values.items():
        where = path + name
        if where == NOTES:
            continue
        inner = _part(target, name, where)
        if isinstance(value, Mapping):
            assign(inner, value, new, f"{where}.")
        elif not isinstance(value, list) or not value or not isinstance(value[0], Mapping):
            _set(target, name, value, where)
        elif where in new:
            items = [new[where]() for _ in value]
            _assign_items(items, value, new, where)
            _set(target, name, items, where)
        else:
            _assign_items(inner, value, new, where)
    return target


def _part(target: Any, name: str, where: str) -> Any:
    if name.isdecimal():
        if int(name) >= len(target):
            raise VendorError(f"{where} is beyond the {len(target)} items of the vendor's list")
        return target[int(name)]
    if not hasattr(target, name):
        raise VendorError(f"the vendor's configuration has no attribute {where}")
    return getattr(target, name)


def _assign_items(
    items: Any, values: Sequence[Any], new: Mapping[str, Callable[[], Any]], where: str
) -> None:
    if len(items) < len(values):
        raise VendorError(f"{where} holds {len(items)} items, needs {len(values)}")
    for index, value in enumerate(values):
        assign(items[index], value, new, f"{where}[{index}].")


def _set(target: Any, name: str, value: Any, where: str) -> None:
    if value == []:
        return
    if isinstance(value, str):
        kind = type(getattr(target, name))
        if not hasattr(kind, value):
            raise VendorError(f"{where}: the vendor's {kind.__name__} has no {value}")
        value = getattr(kind, value)
    try:
        setattr(target, name, value)
    except (TypeError, ValueError, AttributeError) as fault:
        raise VendorError(f"{where} does not take its value: {fault}") from None


def _require_samna() -> None:
    try:
        files = distribution("samna").files or []
    except PackageNotFoundError:
        raise VendorError(
            "samna is not installed; it comes from the vendor, see the vendor's documentation"
        ) from None
    # installing the stub compiles its one module, and pip lists the result, too
    own = [f for f in files if f.parts[0] == "samna" and "__pycache__" not in f.parts]
    if len(own) <= 1:
        raise VendorError(
            "the samna that is installed is the public index's installer stub, which runs pip when "
            "it is imported; install the vendor's own wheel"
        )
