"""Conversion of one rockpool layer from its saved fields to IR nodes.

The numbers pass through the adapter of the layer in memory, on an object with the layer's
attributes, so that a file and the network it was saved from give the same Graph.

Source: files of rockpool 3.1.0 as observed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks.adapter import Fragment, UnsupportedError
from toolchain.frontends.frameworks.rockpool import LAYERS, REFUSED
from toolchain.ir import Node

__all__ = ["LEAKS", "RockpoolValue", "SavedLayer", "fragment_of", "outputs_of"]

RockpoolValue: TypeAlias = Array | bool | str | None


@dataclass(frozen=True, slots=True)
class SavedLayer:
    """A layer: its name in the network, the name of its class, and its fields."""

    name: str
    kind: str
    values: Mapping[str, RockpoolValue]


_STEPPED = {"noise_std", "dt"}
_SPIKING = {*_STEPPED, "threshold", "bias", "max_spikes_per_dt", "learning_window"}
_SPIKING |= {"spike_generation_fn"}
LEAKS = {
    "taus": ("tau_mem", "tau_syn"),
    "decays": ("alpha", "beta"),
    "bitshifts": ("dash_mem", "dash_syn"),
}
"""Fields of the decays of membrane and synaptic current, by leak_mode."""
_REQUIRED: Mapping[str, set[str]] = {
    "LinearTorch": {"weight"},
    "LIFTorch": {*_SPIKING, "w_rec", "_has_rec", "leak_mode"},
    "aLIFTorch": {*_SPIKING, "w_rec", "_has_rec", "leak_mode", "w_ahp", "tau_ahp"},
    "LIFNeuronTorch": {*_SPIKING, "tau_mem", "n_neurons"},
    "ExpSynTorch": {*_STEPPED, "tau"},
    "TimeStepDropout": {"training", "p"},
    "UnitDropout": {"training", "p"},
}
"""Fields of each class; in addition the bias of LinearTorch, and the leaks of leak_mode."""
_PLAIN = {"noise_std", "dt", "max_spikes_per_dt", "learning_window", "n_neurons", "p"}
_AXES = {
    **dict.fromkeys(("weight", "w_rec"), (2, 2)),
    **dict.fromkeys(("tau_syn", "beta", "dash_syn", "w_ahp", "tau_ahp"), (2, 0)),
    **dict.fromkeys(("threshold", "bias", "tau_mem", "alpha", "dash_mem", "tau"), (1, 0)),
    **dict.fromkeys(_PLAIN, (0, 0)),
}
"""Maximum and minimum number of axes of numeric fields."""

_UNKNOWN = "this layer type cannot be read from a file"
_NOT_STORED = {
    "LIFBitshiftTorch": "its decays are not stored in the file; save it as a "
    "LIFTorch with leak_mode='bitshifts', or pass factory= and sample=",
    "RateJax": REFUSED["RateTorch"],
}


_SPIKE_FUNCTION = type("StepPWL", (), {"__module__": "rockpool"})
"""Stands for the spike function, which a file does not contain; the adapter reads its name."""


def _mismatch(kind: str, values: Mapping[str, RockpoolValue]) -> str | None:
    """Describe how the fields differ from those that the class saves; None if they match."""
    required, more = _REQUIRED[kind], {"bias"} if kind == "LinearTorch" else set()
    if "leak_mode" in required:
        mode = values.get("leak_mode")
        if not isinstance(mode, str) or mode not in LEAKS:
            return f"leak_mode is {mode!r:.80}; supported are {', '.join(LEAKS)}"
        required = required | set(LEAKS[mode])
    for what, names in (
        ("is missing", required - values.keys()),
        ("has unknown fields", values.keys() - required - more),
    ):
        if names:
            return f"{what} {', '.join(sorted(names))[:300]}"
    return None


def fragment_of(layer: SavedLayer, features: Shape) -> tuple[Fragment, Shape]:
    """Return the layer's nodes for an input of shape ``features``, and its output shape.

    Raises:
        ValueError: the layer is not supported, with the reason.
    """
    known = LAYERS.get(layer.kind)
    if known is None or layer.kind not in _REQUIRED:
        raise UnsupportedError({**REFUSED, **_NOT_STORED}.get(layer.kind, _UNKNOWN))
    if layer.kind == "LIFNeuronTorch" and "threshold" not in layer.values:
        raise UnsupportedError(
            "rockpool before 2.8 saved it, without its threshold, and computed another neuron; "
            "train it again with a later release, or use LIFTorch"
        )
    mismatch = _mismatch(layer.kind, layer.values)
    if mismatch is not None:
        raise UnsupportedError(f"{mismatch}, unlike a {layer.kind} of rockpool 3.1.0")
    fragment = known.adapter(layer.name, _layer_object(layer), features)
    shape = features
    for node in _nodes_in_order(fragment):
        shape = node.output_shape(shape)
    return fragment, shape


def outputs_of(layer: SavedLayer, features: Shape) -> Shape | None:
    """Return the output shape of a layer that was refused; None if it is unknown."""
    weight = layer.values.get("weight", layer.values.get("w_rec"))
    if weight is None:
        return features
    if isinstance(weight, np.ndarray) and weight.ndim == 2:
        return (weight.shape[1 if "weight" in layer.values else 0],)
    return None


def _nodes_in_order(fragment: Fragment) -> Iterator[Node]:
    """Yield the nodes from entry to exit, within a timestep."""
    name = fragment.entry
    yield fragment.nodes[name]
    while name != fragment.exit:
        name = next(e.post for e in fragment.edges if e.pre == name and not e.delay)
        yield fragment.nodes[name]


def _layer_object(layer: SavedLayer) -> object:
    """Build an object with the attributes of the layer, for its adapter."""
    attributes: dict[str, Any] = {"bias": None}
    for name, value in layer.values.items():
        attributes[name] = _attribute(name, value)
    if "spike_generation_fn" in attributes:
        attributes["spike_generation_fn"] = _SPIKE_FUNCTION
    if "w_rec" in attributes:
        neurons, columns = attributes["w_rec"].shape
        if not neurons or columns % neurons:
            raise UnsupportedError(f"w_rec has invalid shape {(neurons, columns)}")
        attributes |= {
            "n_neurons": neurons,
            "n_synapses": columns // neurons,
            **_decays(attributes),
        }
    # the class name is recorded in the Identity nodes that replace layers
    cls = type(layer.kind, (SimpleNamespace,), {})
    return cls(**attributes)


def _attribute(name: str, value: RockpoolValue) -> Tensor | float | bool | str | None:
    if name not in _AXES:
        if isinstance(value, np.ndarray):
            raise UnsupportedError(f"{name} contains numbers")
        return value
    most, least = _AXES[name]
    if not isinstance(value, np.ndarray) or not least <= value.ndim <= most:
        raise UnsupportedError(f"{name} is not an array of {most} axes")
    return float(value) if name in _PLAIN else torch.from_numpy(value)


def _decays(layer: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the decay factors of membrane and current, computed in rockpool's way."""
    mode = layer["leak_mode"]
    mem, syn = (layer[name] for name in LEAKS[mode])
    if mode == "taus":
        mem, syn = torch.exp(-layer["dt"] / mem), torch.exp(-layer["dt"] / syn)
    elif mode == "bitshifts":
        mem, syn = 1 - 1 / (2**mem), 1 - 1 / (2**syn)
    return {"alpha": mem, "beta": syn}
