"""Installed chip families, chip files and layer adapters, found through entry points.

A package registers what it adds in its own ``pyproject.toml``::

    [project.entry-points."snn_toolchain.families"]
    toy = "toy_plugin.family:Toy"          # a class that implements contract.Family

    [project.entry-points."snn_toolchain.chips"]
    toy_chip = "toy_plugin"                # toy_plugin/toy_chip.yaml

    [project.entry-points."snn_toolchain.layers"]
    toy_plugin = "toy_plugin.layers"       # tables LAYERS and REFUSED, by class name

Listing plug-ins imports none of them: a family is imported when a chip of it is used, layers when
a model contains a layer of that package.

The toolchain's own entry points are in ``BUILT_IN`` too, so that they are also found in a source
tree on the path or with the metadata of an older installation. A plug-in cannot use a built-in
name.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from toolchain.diagnostics import PluginError, PluginWarning

__all__ = ["BUILT_IN", "GROUPS", "Plugin", "find", "folder_of", "load", "warn_skipped"]

OWN = "snn-toolchain"
"""Name of this package in its metadata."""
GROUPS = ("snn_toolchain.families", "snn_toolchain.chips", "snn_toolchain.layers")

BUILT_IN: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "snn_toolchain.families": MappingProxyType(
            {
                "speck": "toolchain.chips.speck.family:Speck",
                "xylo": "toolchain.chips.xylo.family:Xylo",
            }
        ),
        "snn_toolchain.chips": MappingProxyType(
            dict.fromkeys(
                (
                    "dynapcnn",
                    "speck2c_mini",
                    "speck2d_mini",
                    "speck2e",
                    "speck2f",
                    "xylo_1",
                    "xylo_a2",
                    "xylo_a3",
                    "xylo_imu",
                ),
                "toolchain.hardware_specs",
            )
        ),
        "snn_toolchain.layers": MappingProxyType(
            {
                name: f"toolchain.frontends.frameworks.{name}"
                for name in ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly")
            }
        ),
    }
)
"""Entry points of this package by group; a test compares them with its metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """An entry point.

    Attributes:
        group, name, value: see the metadata of the package.
        package: name and version of the installed package; empty for built-in entry points.
    """

    group: str
    name: str
    value: str
    package: str = ""

    @property
    def title(self) -> str:
        """Name and package for messages, for instance ``'toy' of toy-plugin 0.1``."""
        return f"{self.name!r} of {self.package or OWN}"


@cache
def find(group: str) -> Mapping[str, Plugin]:
    """Return the entry points of a group by name, the built-in ones first.

    An entry point whose name is in use is skipped with a warning that names both.
    """
    found = {
        name: Plugin(group=group, name=name, value=value) for name, value in BUILT_IN[group].items()
    }
    for entry in sorted(entry_points(group=group), key=lambda e: (e.name, e.value)):
        known = found.get(entry.name)
        if known is not None and known.value == entry.value:
            continue  # our own metadata, or a package that is on the path twice
        if entry.dist is not None and entry.dist.name == OWN:
            continue  # metadata of another version of this package; BUILT_IN is up to date
        plugin = Plugin(group=group, name=entry.name, value=entry.value, package=_package(entry))
        if known is None:
            found[entry.name] = plugin
        else:
            warn_skipped(f"plug-in {plugin.title}", f"its name is already used by {known.title}")
    return MappingProxyType(found)


def _package(entry: EntryPoint) -> str:
    if entry.dist is None:
        return "an unknown package"
    return f"{entry.dist.name} {entry.dist.version}"


def load(plugin: Plugin) -> Any:
    """Import the object that an entry point names.

    Raises:
        PluginError: the import fails (the message names the package and the reason).
    """
    module, _, attribute = plugin.value.partition(":")
    try:
        found: Any = import_module(module)
        for part in filter(None, attribute.split(".")):
            found = getattr(found, part)
    # importing a plug-in may raise anything or exit
    except (Exception, SystemExit) as fault:
        raise PluginError(
            f"plug-in {plugin.title} cannot be loaded: {type(fault).__name__}: {fault}"
        ) from fault
    return found


def folder_of(plugin: Plugin) -> Path | None:
    """Return the folder of an entry point's package without importing it; None if not found."""
    top, *inner = plugin.value.split(".")
    try:
        spec = importlib.util.find_spec(top)  # a top-level name: nothing is imported
    except (ImportError, ValueError):
        return None
    places = [] if spec is None else spec.submodule_search_locations or []
    folders = (Path(place, *inner) for place in places)
    return next((folder for folder in folders if folder.is_dir()), None)


def warn_skipped(what: str, reason: object) -> None:
    """Warn that a plug-in or a chip file is skipped, with the reason."""
    warnings.warn(f"{what} is skipped: {reason}", PluginWarning, stacklevel=2)
