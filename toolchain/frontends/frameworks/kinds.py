"""Lookup of the layer that a module is, by its exact class.

A module is a supported layer, a refused one, or transparent: a container or a module of the user's
own, whose forward is followed. A subclass of a supported layer counts as that layer if it overrides
nothing that computes; otherwise it is refused, because its parameters no longer determine its
output.

Layers of other frameworks are looked up by the names of their package and class, without importing
the framework. Each framework has a module with ``LAYERS``, the supported classes by name, and
``REFUSED``, classes with the reason why they are not supported: the built-in modules here, and
those that installed packages register in the entry point group ``snn_toolchain.layers`` under the
name of the framework's package. The module is imported when a layer of the framework is found in a
model. A class of a framework that is in neither table is a container if it has layers inside, and
refused otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from toolchain.chips import plugins
from toolchain.diagnostics import PluginError
from toolchain.frontends.frameworks.adapter import Layer
from toolchain.frontends.frameworks.native import NATIVE_LAYERS, NATIVE_REFUSED
from toolchain.frontends.frameworks.quantization import quantization_kind
from toolchain.frontends.frameworks.torch_layers import REFUSED, TORCH_LAYERS

__all__ = ["LAYERS", "framework_names", "kind"]

LAYERS: dict[type[nn.Module], Layer] = {**TORCH_LAYERS, **NATIVE_LAYERS}

GROUP = "snn_toolchain.layers"
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def kind(module: nn.Module) -> Layer | str | None:
    """Return the Layer, the reason why it is refused, or None if its forward is to be followed."""
    if (reason := quantization_kind(module)) is not None:
        return reason
    cls = type_before_parametrizations(module)
    for depth, base in enumerate(cls.__mro__):
        entry = _find_entry(base)
        if isinstance(entry, Layer):
            replaced = _find_replaced(module, cls.__mro__[:depth], base)
            if replaced:
                return (
                    f"overrides {base.__name__}.{replaced}, so its parameters no longer describe it"
                )
            return entry
        if entry is not None:
            return entry
    package = _package(cls)
    if package in framework_names() and not any(module.children()):
        return f"an unknown layer of {package}; rebuild it with toolchain.nn"
    if cls.__module__.startswith("torch.nn.modules.") and not issubclass(cls, _CONTAINERS):
        return REFUSED.get(cls.__name__, "has no counterpart on a spiking chip")
    return None


def _package(cls: type) -> str:
    return cls.__module__.split(".", maxsplit=1)[0]


def _find_entry(cls: type) -> Layer | str | None:
    """Return the Layer of a class, or the reason why it is refused, if it is in any table."""
    package, native = _package(cls), NATIVE_REFUSED.get(cls, LAYERS.get(cls))
    if native is not None or package not in framework_names():
        return native  # no plug-in may replace a built-in layer
    layers, refused = _tables(package)
    return refused.get(cls.__qualname__, layers.get(cls.__qualname__))


def framework_names() -> tuple[str, ...]:
    """Return the packages whose layers are looked up by name."""
    return tuple(plugins.find(GROUP))


@cache
def _tables(package: str) -> tuple[Mapping[str, Layer], Mapping[str, str]]:
    """Import the tables of a framework: supported classes, and refused ones with the reason."""
    plugin = plugins.find(GROUP)[package]
    module: Any = plugins.load(plugin)
    layers: Mapping[str, Layer] = getattr(module, "LAYERS", {})
    refused: Mapping[str, str] = getattr(module, "REFUSED", {})
    if invalid := [name for name, layer in layers.items() if not isinstance(layer, Layer)]:
        raise PluginError(f"plug-in {plugin.title}: LAYERS holds no Layer for {', '.join(invalid)}")
    return layers, refused


def _find_replaced(module: nn.Module, subclasses: tuple[type, ...], base: type) -> str | None:
    """Return the name of something that a subclass or the module itself overrides, or None."""
    overrides = {name for cls in subclasses for name in vars(cls)}
    overrides |= {name for name in vars(module) if callable(getattr(base, name, None))}
    names = sorted(name for name in overrides if hasattr(base, name) and _computes(name))
    return names[0] if names else None


def _computes(name: str) -> bool:
    special = name.startswith("__") and name.endswith("__") and name != "__call__"
    return not special and name not in ("extra_repr", "_abc_impl")  # set by Python's abc
