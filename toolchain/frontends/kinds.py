"""Which layer a module is, by its exact class.

A module is a supported layer, a refused one, or transparent: a container or a module of the user's
own, whose forward is followed. A subclass of a supported layer counts as that layer as long as it
replaces nothing that computes; one that does is refused, because its constants would no longer
say what it does. Layers of other frameworks are known by the name of their package, never by
importing it.
"""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from toolchain.frontends.adapter import Layer
from toolchain.frontends.native import NATIVE_LAYERS, NATIVE_REFUSED
from toolchain.frontends.torch_layers import REFUSED, TORCH_LAYERS

__all__ = ["LAYERS", "kind"]

LAYERS: dict[type[nn.Module], Layer] = {**TORCH_LAYERS, **NATIVE_LAYERS}

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_FRAMEWORKS = ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly")


def kind(module: nn.Module) -> Layer | str | None:
    """The Layer, the reason why it is refused, or None where its forward is to be followed."""
    cls = type_before_parametrizations(module)
    for depth, base in enumerate(cls.__mro__):
        if base in NATIVE_REFUSED:
            return NATIVE_REFUSED[base]
        layer = LAYERS.get(base)
        if layer is not None:
            changed = _changed(module, cls.__mro__[:depth], base)
            return f"{base.__name__} with a {changed} of its own" if changed else layer
    package, *_ = cls.__module__.split(".")
    if package in _FRAMEWORKS and not any(module.children()):
        return f"layers of {package} are not read; rebuild it with toolchain.nn"
    if cls.__module__.startswith("torch.nn.modules.") and not issubclass(cls, _CONTAINERS):
        return REFUSED.get(cls.__name__, "has no counterpart on a spiking chip")
    return None


def _changed(module: nn.Module, subclasses: tuple[type, ...], base: type) -> str | None:
    """The name of something that a subclass or the module itself replaces, if any."""
    own = {name for cls in subclasses for name in vars(cls)}
    own |= {name for name in vars(module) if callable(getattr(base, name, None))}
    replaced = sorted(name for name in own if hasattr(base, name) and _computes(name))
    return replaced[0] if replaced else None


def _computes(name: str) -> bool:
    special = name.startswith("__") and name.endswith("__") and name != "__call__"
    return not special and name != "extra_repr"
