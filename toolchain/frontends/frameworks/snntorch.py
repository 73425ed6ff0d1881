"""Adapters for the layers of snnTorch, looked up by class name; snnTorch is never imported.

Each is called once a timestep. ``r`` is 1 where the membrane after the previous step was above the
threshold, and ``z`` where it is now::

    Leaky, RLeaky          base = beta v + x
    Synaptic, RSynaptic    i = alpha i + x;  base = beta v + i
    Lapicque               base = (1 - time_step / (R C)) v + time_step / C x
    subtract               v = base - r threshold
    zero                   Leaky: v = (1 - r) beta v + x;  the others: v = (1 - r) base
    none                   v = base
    reset_delay=False      and then v = v + (r - z) threshold with subtract, v = 0 where z with zero

The output is ``graded_spikes_factor * z``. The recurrent layers add ``recurrent`` of the previous
step's output to their input; its bias acts from the first step. beta and alpha are clipped to 0..1.

Source: snnTorch 1.0.0 as observed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from toolchain.arrays import Shape
from toolchain.frontends.frameworks.adapter import (
    Adapter,
    Axes,
    Fragment,
    Layer,
    UnsupportedError,
    array,
)
from toolchain.frontends.frameworks.torch_layers import TORCH_LAYERS
from toolchain.ir import Add, Edge, Linear, Neuron, Node

__all__ = ["LAYERS", "REFUSED"]


# ---- neurons ----


def _leaky(name: str, module: Any, features: Shape) -> Fragment:
    return Fragment.of(name, _neuron(module, features, "next_undecayed", **_decays(module)))


def _synaptic(name: str, module: Any, features: Shape) -> Fragment:
    return Fragment.of(name, _neuron(module, features, "next_erase_all", **_decays(module)))


def _lapicque(name: str, module: Any, features: Shape) -> Fragment:
    step, r, c = (array(value) for value in (module.time_step, module.R, module.C))
    decays = {"alpha_mem": 1 - step / (r * c), "gain": step / c}
    return Fragment.of(name, _neuron(module, features, "next_erase_all", **decays))


def _decays(module: Any) -> dict[str, Any]:
    """Return the decay factors of the states, clipped as in each step."""
    fields: dict[str, Any] = {"alpha_mem": np.clip(array(module.beta), 0, 1)}
    if hasattr(module, "alpha"):
        fields["alpha_syn"] = np.clip(array(module.alpha), 0, 1)[..., None]
        fields["syn_order"] = "decay_add"
    return fields


def _neuron(module: Any, features: Shape, zero_reset: str, **decays: Any) -> Neuron:
    """Return the Neuron of a layer.

    ``zero_reset`` is the ``reset_when`` of a delayed reset to zero.

    Raises:
        UnsupportedError: an option of the layer is not supported.
    """
    for option, reason in _OPTIONS.items():
        if getattr(module, option):
            raise UnsupportedError(reason)
    return Neuron(
        shape=features,
        **decays,
        v_threshold=array(module.threshold),
        compare="gt",
        max_spikes=1,
        spike_scale=array(module.graded_spikes_factor),
        **_reset(module.reset_mechanism, getattr(module, "reset_delay", True), zero_reset),
    )


def _reset(mechanism: str, delayed: bool, zero_reset: str) -> dict[str, Any]:
    if mechanism == "none":
        return {"reset": "none"}
    if mechanism == "subtract":
        when = "next_undecayed" if delayed else "next_corrected"
        return {"reset": "subtract", "reset_when": when}
    return {"reset": "value", "reset_when": zero_reset if delayed else "same"}


_OPTIONS = {
    "inhibition": "inhibition=True lets only one neuron of the layer spike, which no supported "
    "chip can do; build it with inhibition=False",
    "state_quant": "state_quant rounds the states in every step; build it with state_quant=False; "
    "deploy() applies the chip's rounding",
}


# ---- recurrence ----


def _recurrent(name: str, module: Any, features: Shape) -> Fragment:
    """Convert a recurrent layer; the delay is before the weight, so its bias acts in step 0."""
    add, back = f"{name}.add", f"{name}.recurrent"
    neuron = _neuron(module, features, "next_erase_all", **_decays(module))
    return Fragment(
        nodes={add: Add(), name: neuron, back: _weight(back, module.recurrent, features)},
        edges=(Edge(add, name), Edge(name, back, delay=1), Edge(back, add)),
        entry=add,
        exit=name,
    )


def _weight(name: str, module: Any, features: Shape) -> Node:
    """Return the feedback: dense, a convolution, or with ``all_to_all=False`` a diagonal ``V``."""
    cls = type(module)
    if cls in (nn.Linear, nn.Conv2d):
        return TORCH_LAYERS[cls].adapter(name, module, features).nodes[name]
    if cls.__qualname__ != "RecurrentOneToOne":
        raise UnsupportedError(
            f"recurrent is {cls.__name__}; supported are nn.Linear and nn.Conv2d"
        )
    if len(features) > 1:
        raise UnsupportedError(
            f"all_to_all=False on neurons of shape {features}; put a Flatten before it, or use "
            "conv2d_channels"
        )
    return Linear(weight=np.diag(np.broadcast_to(array(module.V), features)))


# ---- tables ----


def _stateful(adapter: Adapter, membrane: int) -> Layer:
    return Layer(
        adapter,
        Axes.STEP,
        stateful=True,
        reset=lambda module: module.reset_mem(),
        membrane=membrane,
    )


LAYERS: dict[str, Layer] = {
    "Leaky": _stateful(_leaky, 1),
    "Lapicque": _stateful(_lapicque, 1),
    "Synaptic": _stateful(_synaptic, 2),
    "RLeaky": _stateful(_recurrent, 1),
    "RSynaptic": _stateful(_recurrent, 2),
}

_PARALLEL = "it never resets, and runs over time at once; use Leaky in a loop over time"
_GATED = "gated recurrence has no spiking counterpart; use RLeaky or RSynaptic"

REFUSED: dict[str, str] = {
    "Alpha": "its membrane is the difference of two currents, which no supported chip can do; use "
    "Synaptic",
    **dict.fromkeys(("LeakyParallel", "StateLeaky", "LinearLeaky", "AssociativeLeaky"), _PARALLEL),
    **dict.fromkeys(("SLSTM", "SConv2dLSTM"), _GATED),
    "DeltaLeaky": "it fires on changes of its membrane; use Leaky",
    "GradedSpikes": "it scales spikes by learned factors; scale the weights of the next layer",
}
"""Classes that the IR cannot represent, each with the reason and an alternative."""
