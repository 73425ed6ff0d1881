"""Why an object is no model that can be converted, and what to give instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolchain.report import brief

__all__ = ["advice_on"]

_WEIGHTS = (
    "a state_dict holds weights only: load it into its module, module.load_state_dict(...), and "
    "give that; toolchain.load(path, factory='module:function', sample=...) does so for its file"
)
_ONNX = (
    "an ONNX model, which contains no stateful spiking neurons; give the torch module itself, or "
    "export it to NIR"
)
_NO_LAYERS = "has no layers to read; give the module that it was made from"
_BY_CLASS: Mapping[tuple[str, str], str] = {
    ("onnx", "ModelProto"): _ONNX,
    ("onnx", "GraphProto"): _ONNX,
    ("onnxruntime", "InferenceSession"): _ONNX,
    ("torch", "ExportedProgram"): f"an ExportedProgram, which {_NO_LAYERS}",
    ("torch", "Tensor"): "a tensor, not a network; give the module, and the tensor as sample=",
    ("torch", "Parameter"): "a tensor, not a network; give the module, and the tensor as sample=",
    ("numpy", "ndarray"): "an array, not a network; give the module, and the array as sample=",
    ("toolchain", "Deployment"): "deployed already; the network in it is deployment.graph",
    ("toolchain", "NirFile"): "the content of a NIR file; give its path, or use "
    "toolchain.frontends.nir.to_graph",
}
_BY_PACKAGE: Mapping[str, str] = {
    "nir": "one node of NIR; give the whole nir.NIRGraph",
    "keras": "a Keras model, which contains no spiking neurons; build the network in torch",
    "tensorflow": "a TensorFlow model, which contains no spiking neurons; build the network in "
    "torch",
    "jax": "an object of jax; export the network to NIR, or build it in torch",
    "flax": "a module of flax; export the network to NIR (spyx.nir), or build it in torch",
    "haiku": "a module of haiku; export the network to NIR (spyx.nir), or build it in torch",
    "spyx": "a module of spyx; export it to NIR with spyx.nir and give the graph",
    "rockpool": "a module of rockpool that is no torch module; build it from the modules whose "
    "names end in Torch, with the same parameters",
    "nengo": "a network of nengo; export it to NIR, or build it in torch",
    "brian2": "an object of brian2, whose equations are the user's own; build the network in torch",
    "lava": "a process of lava; export the network to NIR, or build it in torch",
}


def advice_on(model: Any) -> str:
    """Return what ``model`` is and what to give instead, for an object that is no model.

    >>> advice_on({"0.weight": 1}).partition(":")[0]
    'dict; a state_dict holds weights only'
    >>> advice_on(dict)
    'the class dict; give an instance of it, dict(...)'
    """
    if isinstance(model, type):
        return f"the class {model.__name__}; give an instance of it, {model.__name__}(...)"
    kind = type(model)
    name = kind.__name__
    packages = [cls.__module__.partition(".")[0] for cls in kind.__mro__]
    for package, cls in zip(packages, kind.__mro__, strict=True):
        if (package, cls.__name__) in _BY_CLASS:
            return f"{name}: it is {_BY_CLASS[package, cls.__name__]}"
    for package in packages:
        if package in _BY_PACKAGE:
            return f"{name}: it is {_BY_PACKAGE[package]}"
    if isinstance(model, Mapping):
        return f"{name}; {_WEIGHTS}"
    if isinstance(model, list | tuple):
        return f"{name}; give torch.nn.Sequential(*layers)"
    if hasattr(model, "read"):
        return f"{name}, an open file; give its path"
    if callable(model):
        return f"{name}, a function; give the torch module that it calls or builds"
    return brief(model)
