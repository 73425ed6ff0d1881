"""Access to the vendor's library ``samna``, imported only on request.

The ``samna`` wheel on the public package index is an installer stub: importing it runs pip. Its
installed files are therefore checked before it is imported.

This code has not been tested with the real library, only with recordings of its attributes.

Source: documentation of sinabs and Rockpool, which set these configurations attribute by
attribute; the list of files of the samna wheels on the public index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from toolchain.chips.synsense.spec import SynSenseChip
from toolchain.diagnostics import VendorError
from toolchain.report import plural

__all__ = ["NOTES", "Classes", "assign", "build_configuration", "library", "part", "to_samna"]

NOTES = "notes"
"""Key of the entries in a plain configuration that have no attribute in the vendor's object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """Class names in the ``configuration`` modules of a family's chips.

    Attributes:
        roots: classes of a whole configuration; a chip's module has one of them.
        items: class of the items of each list that starts empty, by path of the list.
    """

    roots: tuple[str, ...]
    items: Mapping[str, str] = field(default_factory=dict)


def to_samna(config: Mapping[str, Any], chip: SynSenseChip, classes: Classes) -> Any:
    """Return a configuration object of the vendor's library with all values of ``config``.

    Raises:
        VendorError: samna is not installed or a stub, does not support this chip, or rejects a
            value of ``config``.
    """
    library()
    try:
        module = import_module(chip.vendor_module).configuration
    except (ImportError, AttributeError):
        raise VendorError(
            f"the installed samna has no {chip.vendor_module}.configuration; {chip.name} needs "
            "another version"
        ) from None
    return build_configuration(module, config, chip, classes)


def build_configuration(
    module: Any, config: Mapping[str, Any], chip: SynSenseChip, classes: Classes
) -> Any:
    """Return an object of the vendor's ``configuration`` module with all values of ``config``.

    Raises:
        VendorError: the module has no configuration class, or rejects a value of ``config``.
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
    """Return the vendor's library: ``given``, or the installed one.

    Raises:
        VendorError: samna is not installed, or a stub.
    """
    if given is not None:
        return given
    _require_samna()
    return import_module("samna")


def part(whole: Any, path: str) -> Any:
    """Return an attribute of an object of the vendor's library by its dotted path.

    Raises:
        VendorError: the attribute does not exist.
    """
    found = whole
    for name in path.split("."):
        if not hasattr(found, name):
            where = getattr(whole, "__name__", type(whole).__name__)
            raise VendorError(f"the installed samna has no {where}.{path}")
        found = getattr(found, name)
    return found


def assign(
    target: Any, values: Mapping[str, Any], new: Mapping[str, Callable[..., Any]], path: str = ""
) -> Any:
    """Set ``values`` on ``target``, attribute by attribute, and return it.

    Args:
        target: an object of the vendor's library, or a list of them.
        values: values by attribute name, or by index in the list as text. A mapping sets attributes
            of the existing object, a list of mappings those of the existing list's items, or of
            items made by ``new``; text is the name of a member of an enumeration. An empty list
            changes nothing. Entries under ``NOTES`` are skipped.
        new: constructor of the items of a list that starts empty, by path of the list; or of an
            object that is None at first, which takes the values of its mapping.
        path: path of ``target``, for messages.

    Raises:
        VendorError: an attribute, item or member does not exist, or rejects its value.
    """
    for name, value in values.items():
        where = path + name
        if where == NOTES:
            continue
        inner = _part(target, name, where)
        if isinstance(value, Mapping) and where in new:
            _set(target, name, new[where](*value.values()), where)
        elif isinstance(value, Mapping):
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
            raise VendorError(
                f"{where} is out of range: the vendor's list has {plural(len(target), 'item')}"
            )
        return target[int(name)]
    if not hasattr(target, name):
        raise VendorError(f"the vendor's configuration has no attribute {where}")
    return getattr(target, name)


def _assign_items(
    items: Any, values: Sequence[Any], new: Mapping[str, Callable[..., Any]], where: str
) -> None:
    if len(items) < len(values):
        raise VendorError(f"{where} has {plural(len(items), 'item')}, needs {len(values)}")
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
        raise VendorError(f"{where} rejects its value: {fault}") from None


def _require_samna() -> None:
    try:
        files = distribution("samna").files or []
    except PackageNotFoundError:
        raise VendorError(
            "samna is not installed; it comes from the vendor, see the vendor's documentation"
        ) from None
    # pip also lists the bytecode of the stub's single module
    own = [f for f in files if f.parts[0] == "samna" and "__pycache__" not in f.parts]
    if len(own) <= 1:
        raise VendorError(
            "the installed samna is the public index's installer stub, which runs pip when it is "
            "imported; install the vendor's own wheel"
        )
