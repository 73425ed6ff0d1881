"""Rockpool's two quantizers: called, and told again for tests that run without rockpool.

:func:`specification` is the well-known dictionary in floats, as a mapper gives it:
``dash = log2(tau / dt)``, thresholds and biases as they are. :func:`told` is what
``channel_quantize`` and ``global_quantize`` of rockpool 3.1.0 were observed to compute, faults
included; :func:`called` asks rockpool itself and needs requirements-rockpool.txt.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.place import allocate
from toolchain.ir import Graph, Neuron

METHODS = ("global", "channel")
WEIGHT, THRESHOLD = 127, 32767


def specification(graph: Graph, chip: str = "xylo_a2") -> dict[str, Any]:
    """``graph`` as a specification dictionary in floats.

    Requires: gains of 1 and synapses that decay after the input was added.
    """
    layers = read_layers(graph)
    places = {p.name: p for p in allocate(layers, load_chip(chip))}
    hidden = max(p.stop for p in places.values() if p.role == "hidden")
    synapses = max(node.synapses for node in layers.neurons.values())
    outputs = max(places[name].stop for name in layers.outputs)
    weights_in = np.zeros((layers.inputs, hidden, synapses))
    weights_rec = np.zeros((hidden, hidden, synapses))
    weights_out = np.zeros((hidden, outputs))
    for p in layers.projections:
        node, post = layers.neurons[p.post], places[p.post]
        block = p.weight.reshape(post.stop - post.start, node.synapses, -1).transpose(2, 0, 1)
        columns = slice(post.start, post.stop)
        if p.pre == layers.input:
            weights_in[:, columns, : node.synapses] = block
            continue
        rows = slice(places[p.pre].start, places[p.pre].stop)
        if post.role == "output":
            weights_out[rows] = block[..., 0]
        else:
            weights_rec[rows, columns, : node.synapses] = block
    spec = {"weights_in": weights_in, "weights_rec": weights_rec, "weights_out": weights_out}
    ends = {"": hidden, "_out": outputs}
    for suffix, size in ends.items():
        for name in ("dash_mem", "dash_syn", "threshold", "bias"):
            spec[name + suffix] = np.zeros(size)
    spec["dash_syn_2"] = np.zeros(hidden)
    for name, node in layers.neurons.items():
        place = places[name]
        suffix = "_out" if place.role == "output" else ""
        for field, values in _constants(node).items():
            if field + suffix in spec:
                spec[field + suffix][place.start : place.stop] = values
    return {**spec, "dt": graph.dt}


def _constants(node: Neuron) -> dict[str, Array]:
    alpha = np.broadcast_to(node.alpha_syn, (*node.shape, node.synapses))
    found = {
        "dash_mem": np.log2(-1 / np.log(node.alpha_mem)),
        "dash_syn": np.log2(-1 / np.log(alpha[..., 0])),
        "threshold": node.v_threshold,
        "bias": node.bias,
    }
    if node.synapses > 1:
        found["dash_syn_2"] = np.log2(-1 / np.log(alpha[..., 1]))
    return {name: np.broadcast_to(value, node.shape) for name, value in found.items()}


def called(method: str, spec: dict[str, Any]) -> dict[str, Any]:
    """What rockpool itself makes of a copy of ``spec``.

    Raises: what rockpool raises.
    """
    # its import must not reach the vendor's package, which installs another one
    sys.modules.setdefault("samna", None)
    from rockpool.transform import quantize_methods

    copy = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in spec.items()}
    return {**copy, **getattr(quantize_methods, f"{method}_quantize")(**copy)}


def told(method: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The integers that rockpool 3.1.0 was observed to give for ``spec``.

    Requires: an input that reaches every hidden neuron, as on Audio 2; else ``channel_quantize``
    may raise an IndexError that is not told here.

    Source: rockpool 3.1.0 as observed; its documentation of the two functions.
    """
    dashes = {name: np.rint(spec[name]) for name in spec if name.startswith("dash")}
    made = _global(spec) if method == "global" else _channel(spec)
    return {name: np.asarray(a).astype(int) for name, a in {**made, **dashes}.items()} | {
        "dt": spec["dt"]
    }


def _factor(most: float) -> float:
    return WEIGHT / most if most else 1.0


def _global(spec: dict[str, Any]) -> dict[str, Array]:
    """One factor for hidden neurons, one for the outputs, whose biases take the hidden one."""
    k = _factor(max(np.abs(spec[n]).max() for n in ("weights_in", "weights_rec", "bias")))
    out = _factor(max(np.abs(spec[n]).max() for n in ("weights_out", "bias_out")))
    made = {n: np.rint(spec[n] * k) for n in ("weights_in", "weights_rec", "threshold")}
    made |= {n: np.rint(spec[n] * k) for n in ("bias", "bias_out")}
    made |= {n: np.rint(spec[n] * out) for n in ("weights_out", "threshold_out")}
    for name, weights in (
        ("threshold", ("weights_in", "weights_rec")),
        ("threshold_out", ("weights_out", "weights_rec")),
    ):
        most = abs(made[name].max())
        if most > THRESHOLD:
            made |= {n: np.rint(made[n] * (THRESHOLD / most)) for n in (name, *weights)}
    return made


def _channel(spec: dict[str, Any]) -> dict[str, Array]:
    """One factor a neuron, from its weights alone; with one synapse hidden biases take none."""
    drives = (spec["weights_in"], spec["weights_rec"])
    k = _held(np.max([np.abs(w).max(axis=(0, 2)) for w in drives], axis=0), spec["threshold"])
    out = _held(np.abs(spec["weights_out"]).max(axis=0), spec["threshold_out"])
    two = spec["weights_in"].shape[2] == 2
    return {
        "weights_in": np.rint(spec["weights_in"] * k[:, None]),
        "weights_rec": np.rint(spec["weights_rec"] * k[:, None]),
        "threshold": np.rint(spec["threshold"] * k),
        "bias": np.rint(spec["bias"] * k) if two else np.rint(spec["bias"]),
        "weights_out": np.rint(spec["weights_out"] * out),
        "threshold_out": np.rint(spec["threshold_out"] * out),
        "bias_out": np.rint(spec["bias_out"] * out),
    }


def _held(peaks: Array, thresholds: Array) -> Array:
    """The factor of each neuron: weights fill their word, or the threshold does."""
    k = np.array([_factor(float(m)) for m in peaks])
    return np.where((peaks > 0) & (thresholds * k > THRESHOLD), THRESHOLD / thresholds, k)


def digest(integers: Mapping[str, Any]) -> str:
    """Hash of the integers of a specification."""
    total = hashlib.sha256()
    for name in sorted(set(integers) - {"dt"}):
        total.update(name.encode() + np.asarray(integers[name], np.int32).ravel().tobytes())
    return total.hexdigest()[:16]
