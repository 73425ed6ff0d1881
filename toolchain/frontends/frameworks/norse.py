"""Adapters for the layers of Norse, looked up by class name; Norse is never imported.

Norse takes Euler steps of ``dt`` seconds and stores inverse time constants in 1/s. With
``k_mem = dt * tau_mem_inv`` and ``k_syn = dt * tau_syn_inv`` its leaky membranes compute::

    i = (1 - k_syn) i + x                      the box layers have no synapse: i = x
    v = v + k_mem (v_leak - v + i)             v starts at v_leak
    z = v > v_th;  v = v_reset where z         or v - v_th where reset_method is reset_subtract

IAF adds its input, ``v = v + x``, and starts at v_reset. Parameters keep the precision in which
they were created, float32 as a rule, whatever the network is cast to; so does their product with
``dt``, which is therefore rounded here in the same way.

The recurrent layers compute ``i = (1 - k_syn) i + W_in x + W_rec z(t - 1)``. ``autapses=False``
clears the diagonal of W_rec when the layer is built; a diagonal that is filled later does count.

Source: Norse 1.1.0 as observed.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from torch import Tensor

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks.adapter import (
    Axes,
    Fragment,
    Layer,
    UnsupportedError,
    array,
    pair,
)
from toolchain.ir import Add, Conv2d, Edge, Linear, MembraneReadout, Neuron

__all__ = ["LAYERS", "REFUSED"]


def _number(value: Any) -> Array:
    """Return a parameter, which may be a tensor or a plain number, as float64."""
    return np.asarray(array(value) if isinstance(value, Tensor) else value, dtype=np.float64)


def _rate(module: Any, name: str) -> Array:
    """Return ``dt * tau_inv``, rounded to the parameter's own precision.

    Raises:
        UnsupportedError: it is outside 0..1.
    """
    rate = _number(module.dt * getattr(module.p, name))
    if not np.all((rate >= 0) & (rate <= 1)):
        raise UnsupportedError(
            f"dt * {name} is {rate.max():g} where an Euler step needs 0..1, because beyond 1 the "
            f"state changes sign every step; lower dt or {name}"
        )
    return rate


def _dt(module: Any) -> float:
    return float(module.dt)


def _membrane(module: Any, shape: Shape) -> dict[str, Any]:
    """Return the leak and synapse fields, which neurons and readouts share."""
    k_mem = _rate(module, "tau_mem_inv")
    v_leak = _number(module.p.v_leak)
    fields = {
        "shape": shape,
        "alpha_mem": 1 - k_mem,
        "gain": k_mem,
        "v_leak": v_leak,
        "v_init": v_leak,
    }
    if hasattr(module.p, "tau_syn_inv"):
        fields["alpha_syn"] = (1 - _rate(module, "tau_syn_inv"))[..., None]
        fields["syn_order"] = "decay_add"
    return fields


def _firing(module: Any) -> dict[str, Any]:
    """Return the firing fields: one spike per step above the threshold, and the reset.

    Raises:
        UnsupportedError: ``reset_method`` is not one of Norse's.
    """
    fields = {"v_threshold": _number(module.p.v_th), "compare": "gt", "max_spikes": 1}
    method = getattr(module.p, "reset_method", None)
    method_name = "reset_value" if method is None else getattr(method, "__name__", repr(method))
    if method_name == "reset_subtract":
        return {**fields, "reset": "subtract"}
    if method_name == "reset_value":
        return {**fields, "reset": "value", "v_reset": _number(module.p.v_reset)}
    raise UnsupportedError(
        f"reset_method is {method_name}; supported are reset_value and reset_subtract of "
        "norse.torch.functional.reset"
    )


def _lif(name: str, module: Any, features: Shape) -> Fragment:
    node = Neuron(**_membrane(module, features), **_firing(module))
    return Fragment(nodes={name: node}, entry=name, exit=name, dt=_dt(module))


def _iaf(name: str, module: Any, features: Shape) -> Fragment:
    """Convert IAF without ``dt``, which its equations do not contain; it fits any timestep."""
    start = _number(module.p.v_reset)
    return Fragment.of(name, Neuron(shape=features, v_init=start, **_firing(module)))


def _readout(name: str, module: Any, features: Shape) -> Fragment:
    node = MembraneReadout(**_membrane(module, features))
    return Fragment(nodes={name: node}, entry=name, exit=name, dt=_dt(module))


def _linear_readout(name: str, module: Any, features: Shape) -> Fragment:
    before = f"{name}.input_weights"
    weight = array(module.input_weights)
    node = MembraneReadout(**_membrane(module, weight.shape[:1]))
    return Fragment(
        nodes={before: Linear(weight=weight), name: node},
        edges=(Edge(before, name),),
        entry=before,
        exit=name,
        dt=_dt(module),
    )


def _recurrent(name: str, module: Any, features: Shape) -> Fragment:
    before, add, back = f"{name}.input_weights", f"{name}.add", f"{name}.recurrent_weights"
    weight = array(module.input_weights)
    return Fragment(
        nodes={
            before: Linear(weight=weight),
            add: Add(),
            name: Neuron(**_membrane(module, weight.shape[:1]), **_firing(module)),
            back: Linear(weight=array(module.recurrent_weights)),
        },
        edges=(Edge(before, add), Edge(add, name), Edge(name, back), Edge(back, add, delay=1)),
        entry=before,
        exit=name,
        dt=_dt(module),
    )


def _conv(name: str, module: Any, features: Shape) -> Fragment:
    """Convert a three-dimensional convolution whose kernel is one step long, its last axis."""
    if module.padding_mode != "zeros":
        raise UnsupportedError(
            f"padding_mode {module.padding_mode!r}; only zero padding is supported"
        )
    node = Conv2d(
        weight=array(module.weight)[..., 0],
        bias=None if module.bias is None else array(module.bias),
        stride=pair(module.stride[:2]),
        padding=pair(module.padding[:2]),
        dilation=pair(module.dilation[:2]),
        groups=module.groups,
    )
    return Fragment.of(name, node)


LAYERS: dict[str, Layer] = {
    "LIFCell": Layer(_lif, Axes.STEP, stateful=True, membrane=1),
    "LIF": Layer(_lif, Axes.TIME_FIRST, stateful=True),
    "LIFBoxCell": Layer(_lif, Axes.STEP, stateful=True, membrane=1),
    "IAFCell": Layer(_iaf, Axes.STEP, stateful=True, membrane=1),
    "IAF": Layer(_iaf, Axes.TIME_FIRST, stateful=True),
    "LIBoxCell": Layer(_readout, Axes.STEP, stateful=True),
    "LICell": Layer(_readout, Axes.STEP, stateful=True),
    "LI": Layer(_readout, Axes.TIME_FIRST, stateful=True),
    "LILinearCell": Layer(_linear_readout, Axes.STEP, stateful=True),
    "LIFRecurrentCell": Layer(_recurrent, Axes.STEP, stateful=True, membrane=2),
    "LIFRecurrent": Layer(_recurrent, Axes.TIME_FIRST, stateful=True),
    "LConv2d": Layer(_conv, Axes.TIME_FIRST),
}

_WITH = ("", "Cell", "Recurrent", "RecurrentCell")
_OWN = "its step is a function that its parameters do not determine; use LIFCell"
_MOVING = "its threshold adapts to its spikes, which no supported chip can do; use LIFCell"
_CURVED = "its membrane is not linear below the threshold; use LIFCell"
_REFRACTORY = "the Graph cannot represent a refractory period; use LIFCell or LIFRecurrentCell"
_COMPARTMENTS = "several compartments share a current; use LIFRecurrentCell"
_ENCODER = (
    "it encodes numbers as spikes; encode outside the network and give the spikes as the sample"
)
_FIELD = "a receptive field has no counterpart; use nn.Conv2d and, for time, LICell"


def _each(names: str, endings: tuple[str, ...], reason: str) -> dict[str, str]:
    return dict.fromkeys(map("".join, product(names.split(), endings)), reason)


REFUSED: dict[str, str] = {
    **_each("LSNN", _WITH, _MOVING),
    **_each("LIFEx LIFAdEx Izhikevich", _WITH, _CURVED),
    **_each("LIFRefrac LIFAdExRefrac LIFMCRefrac", _WITH, _REFRACTORY),
    **_each("LIFMC", _WITH, _COMPARTMENTS),
    "CobaLIFCell": "its synapses are conductances, whose current depends on v; use LIFCell",
    "LIFCorrelation": "it records correlations to learn from; use LIFRecurrent",
    "RecurrentSequential": "its feedback goes through a stack of tensors; write the loop with x + "
    "z, where z are the spikes of the previous step, or use LIFRecurrentCell",
    "RegularizationCell": "it counts spikes for training; remove it from the deployed network",
    "ExpFilter": "use LI as a filter over time",
    **dict.fromkeys(("SNN", "SNNCell", "SNNRecurrent", "SNNRecurrentCell"), _OWN),
    "SpikesToTimesDecoder": "return the spikes and decode them outside the network",
    **dict.fromkeys(
        (
            "ConstantCurrentLIFEncoder",
            "PoissonEncoder",
            "PoissonEncoderStep",
            "PopulationEncoder",
            "SignedPoissonEncoder",
            "SignedPoissonEncoderStep",
            "SpikeLatencyEncoder",
            "SpikeLatencyLIFEncoder",
        ),
        _ENCODER,
    ),
    **dict.fromkeys(
        (
            "ParameterizedSpatialReceptiveField2d",
            "SampledSpatialReceptiveField2d",
            "SpatialReceptiveField2d",
            "TemporalReceptiveField",
        ),
        _FIELD,
    ),
}
"""Classes that the IR cannot represent, each with the reason and an alternative."""
