"""What an adapter reads of a framework's layer, as plain data, and a bare stand-in made of it.

``watched`` notes which attributes an adapter reads while a network is extracted. ``rebuilt`` makes
a module of the same class names with those attributes and nothing else, so that the adapter can be
run again where the framework is missing.
"""

import enum
import functools
import types
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

import numpy as np
import torch
from torch import nn

from toolchain.frontends.frameworks.kinds import framework_names, kind

__all__ = ["leaf", "rebuilt", "refused_leaves", "watched"]

_HERE = ("torch", "toolchain")  # packages that are there at the replay too
_INNER = ("_parameters", "_buffers", "_modules")
_DEEPEST = 6
_LEFT_OUT = object()


# ---- what is read ----


@contextmanager
def watched(framework):
    """A list that fills with a snapshot of each layer of ``framework`` that is extracted."""
    tables = import_module(f"toolchain.frontends.frameworks.{framework}").LAYERS
    original, found = dict(tables), {}
    try:
        for name, layer in original.items():
            adapter = functools.partial(_noted, found, layer.adapter)
            tables[name] = replace(layer, adapter=adapter)
        leaves = []
        yield leaves
        leaves += found.values()
    finally:
        tables.update(original)


def _noted(found, adapter, name, module, features):
    cls, read = type(module), set()
    object.__setattr__(module, "__class__", _spying(cls, read))  # rockpool has a __setattr__
    try:
        return adapter(name, module, features)
    finally:
        object.__setattr__(module, "__class__", cls)
        found.setdefault(name, leaf(name, module, features, sorted(read)))


def _spying(cls, read):
    """A subclass of ``cls``, under its name, that notes what is asked of it from outside."""
    inside = []

    def asked(get, self, name):
        if inside or name.startswith("__") or name in _INNER:
            return get(self, name)
        read.add(name)
        inside.append(name)  # what the class itself asks for to answer is not noted
        try:
            return get(self, name)
        finally:
            inside.pop()

    names = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__getattribute__": lambda self, name: asked(cls.__getattribute__, self, name),
        "__getattr__": lambda self, name: asked(cls.__getattr__, self, name),
    }
    return type(cls.__name__, (cls,), names)


def leaf(name, module, features=None, read=()):
    """A layer as plain data: its classes and, of its attributes, those in ``read``."""
    values = {key: getattr(module, key) for key in read if hasattr(module, key)}
    kept = {key: value for key, value in values.items() if not _bound(value)}
    return {
        "name": name,
        "classes": _classes(type(module)),
        "features": None if features is None else list(features),
        "attributes": {key: _plain(value) for key, value in kept.items()},
    }


def refused_leaves(model):
    """The layers of a framework that are refused for their class, with the reason."""
    inside = ()
    for name, module in model.named_modules():
        reason = kind(module)
        if inside and name.startswith(inside):
            continue  # a part of a layer, such as the surrogate of a neuron
        inside = () if reason is None else (f"{name}." if name else "",)
        if isinstance(reason, str) and type(module).__module__.split(".")[0] in framework_names():
            yield {**leaf(name, module), "reason": reason}


def _bound(value):
    """Whether a value is a method of the layer itself."""
    return isinstance(getattr(value, "__self__", None), nn.Module)


def _classes(cls):
    """``module:qualname`` of a class and its bases, down to what torch or Python brings along."""
    found = []
    for base in cls.__mro__:
        found.append(f"{base.__module__}:{base.__qualname__}")
        if base.__module__.split(".")[0] in (*_HERE, "builtins"):
            break
    return found


def _plain(value, depth=0):
    """``value`` as data; TypeError where it holds something that cannot be kept."""
    if depth > _DEEPEST:
        raise TypeError("nested too deeply")
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else {"float": str(value)}
    if isinstance(value, torch.Tensor):
        return {"tensor": value.detach().cpu().numpy()}
    if isinstance(value, np.ndarray | np.generic):
        return {"array": np.asarray(value)}
    return _plain_structure(value, depth + 1)


def _plain_structure(value, depth):
    if isinstance(value, dict):
        return {"dict": {str(key): _plain(item, depth) for key, item in value.items()}}
    if type(value) in (tuple, list, torch.Size):
        return {type(value).__name__.lower(): [_plain(item, depth) for item in value]}
    if isinstance(value, type):
        return {"class": _classes(value), "attributes": _possible(_of_class(value), depth)}
    if isinstance(value, functools.partial):
        return {"partial": [_plain(item, depth) for item in (value.func, value.args)]}
    if isinstance(getattr(value, "__self__", None), type):
        return {"method": [_plain(value.__self__, depth), value.__name__]}
    if callable(value) and hasattr(value, "__qualname__"):
        return {"function": f"{value.__module__}:{value.__qualname__}"}
    return {"object": _classes(type(value)), "attributes": _possible(_attributes(value), depth)}


def _attributes(value):
    if isinstance(value, enum.Enum):
        return {"name": value.name, "value": value.value}
    if hasattr(value, "_asdict"):
        return value._asdict()
    own = {} if isinstance(value, nn.Module) else _of_class(type(value))
    own |= getattr(value, "__dict__", {})
    torchs = vars(nn.Module()) if isinstance(value, nn.Module) else {}
    own = {k: v for k, v in own.items() if k not in torchs and (torchs or not k.startswith("_"))}
    for kept in (getattr(value, name, {}) for name in _INNER if isinstance(value, nn.Module)):
        own |= kept
    return own


def _of_class(cls):
    found = {}
    for base in reversed(cls.__mro__):
        if base.__module__.split(".")[0] not in (*_HERE, "builtins"):
            found |= {k: v for k, v in vars(base).items() if _is_plain(v) and k[0] != "_"}
    return found


def _is_plain(value):
    return value is None or isinstance(value, bool | int | float | str)


def _possible(attributes, depth):
    """Of the attributes of something inside a layer those that can be kept."""
    found = {key: _plain_if_possible(value, depth) for key, value in attributes.items()}
    return {key: value for key, value in found.items() if value is not _LEFT_OUT}


def _plain_if_possible(value, depth):
    try:
        return _plain(value, depth)
    except TypeError:
        return _LEFT_OUT


# ---- and back ----


def rebuilt(leaf):
    """A bare module with the class names and the attributes of a snapshot."""
    return _filled(_stand_in(tuple(leaf["classes"]), nn.Module), leaf["attributes"])


@functools.cache
def _stand_in(classes, root):
    """A class of those names; the real one where it is torch's or this project's."""
    (module, _, qualname), *rest = (path.partition(":") for path in classes)
    if module.split(".")[0] in _HERE:
        return functools.reduce(getattr, qualname.split("."), import_module(module))
    if module == "builtins":
        return object
    base = _stand_in(classes[1:], root) if rest else root
    names = {"__module__": module, "__qualname__": qualname}
    return type(qualname.rsplit(".", maxsplit=1)[-1], (base,), names)


def _filled(cls, attributes):
    made = cls.__new__(cls)
    if isinstance(made, nn.Module):
        nn.Module.__init__(made)
    for key, value in attributes.items():
        value = _value(value)
        if isinstance(made, nn.Module) and isinstance(value, nn.Module):
            made.add_module(key, value)
        elif isinstance(made, nn.Module) and isinstance(value, torch.Tensor):
            made.register_buffer(key, value)
        else:
            object.__setattr__(made, key, value)
    return made


def _value(data):
    if not isinstance(data, dict):
        return data
    if "object" in data:
        return _filled(_stand_in(tuple(data["object"]), object), data["attributes"])
    if "class" in data:
        found = _stand_in(tuple(data["class"]), object)
        for key, value in data["attributes"].items():
            setattr(found, key, _value(value))
        return found
    if "function" in data:
        return _function(data["function"])
    ((kind, value),) = data.items()
    return _MADE[kind](value)


def _function(path):
    def missing(*_, **__):
        raise AssertionError(f"{path} is there in name only")

    missing.__module__, _, missing.__qualname__ = path.partition(":")
    missing.__name__ = missing.__qualname__.rsplit(".", maxsplit=1)[-1]
    return missing


_MADE = {
    "float": float,
    "tensor": lambda value: torch.from_numpy(np.array(value)),
    "array": np.asarray,
    "dict": lambda value: {key: _value(item) for key, item in value.items()},
    "tuple": lambda value: tuple(map(_value, value)),
    "list": lambda value: list(map(_value, value)),
    "size": lambda value: torch.Size(value),
    "method": lambda value: types.MethodType(_function(f":{value[1]}"), _value(value[0])),
    "partial": lambda value: functools.partial(_value(value[0]), *_value(value[1])),
}
