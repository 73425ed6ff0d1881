"""Adapters for the layers of SpikingJelly, looked up by class name; it is never imported.

Its neurons compute per step, with ``u`` for v_reset, or 0 where v_reset is None::

    IFNode              v = v + x
    LIFNode             v = v + (x - (v - u)) / tau            decay_input=True
                        v = v - (v - u) / tau + x              decay_input=False
    ParametricLIFNode   as LIFNode, with sigmoid(w) for 1 / tau
    CUBALIFNode         c = c_decay c + x;  v = v_decay v + c
    all                 z = v >= v_threshold;  v = u where z   hard reset, a v_reset in numbers
                                               v = v - v_threshold z            v_reset=None

``tau`` counts timesteps; a network has no dt. The membrane starts at the reset value of the node's
memory: v_reset as a rule, 0 for the Simple nodes, half the threshold for HalfThresholdIFNode.

``step_mode`` decides the axes: layers in mode 'm' take (time, batch, ...) and join time and batch
themselves; in mode 's' they take (batch, ...) of one step, and layers without state any number of
rows.

Source: SpikingJelly 2.0.0 as observed, its CPU path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks.adapter import (
    Adapter,
    Axes,
    Fragment,
    Layer,
    UnsupportedError,
    array,
)
from toolchain.frontends.frameworks.torch_layers import TORCH_LAYERS, identity
from toolchain.ir import Add, Edge, Flatten, Linear, MembraneReadout, Neuron

__all__ = ["LAYERS", "REFUSED"]


# ---- neurons ----


def _number(value: Any) -> Array:
    """Return a parameter, which may be a tensor or a plain number, as float64."""
    return np.asarray(array(value) if isinstance(value, Tensor) else value, dtype=np.float64)


def _firing(module: Any) -> dict[str, Any]:
    """Return the firing fields: one spike per step at the threshold, and the reset.

    Raises:
        UnsupportedError: the surrogate function's output is not 0 or 1.
    """
    surrogate = module.surrogate_function
    class_name = type(surrogate).__name__
    if class_name in _NOT_STEPS or not getattr(surrogate, "spiking", True):
        raise UnsupportedError(
            f"surrogate_function is {class_name}, "
            f"{_NOT_STEPS.get(class_name, 'with spiking=False')}; "
            "use one whose output is 0 or 1, such as surrogate.Sigmoid()"
        )
    fields: dict[str, Any] = {
        "v_threshold": _number(module.v_threshold),
        "v_init": _number(module._memories_rv["v"]),
        "compare": "ge",
        "max_spikes": 1,
    }
    if module.v_reset is None:
        return {**fields, "reset": "subtract"}
    return {**fields, "reset": "value", "v_reset": _number(module.v_reset)}


_NOT_STEPS = {
    "PoissonPass": "which draws random numbers",
    "MultiLevelSpikeCount": "which gives more than one spike per step",
}


def _leak(rate: Array, module: Any) -> dict[str, Any]:
    """Return a decay by ``rate`` towards v_reset, which also scales the input if it decays."""
    return {
        "alpha_mem": 1 - rate,
        "gain": rate if module.decay_input else np.ones(()),
        "v_leak": _number(0.0 if module.v_reset is None else module.v_reset),
    }


def _if(module: Any) -> dict[str, Any]:
    return {}


def _lif(module: Any) -> dict[str, Any]:
    return _leak(1 / _number(module.tau), module)


def _plif(module: Any) -> dict[str, Any]:
    return _leak(array(module.w.sigmoid()), module)


def _cuba(module: Any) -> dict[str, Any]:
    return {
        "alpha_mem": _number(module.v_decay),
        "alpha_syn": _number(module.c_decay)[..., None],
        "syn_order": "decay_add",
    }


_DYNAMICS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "IFNode": _if,
    "SimpleIFNode": _if,
    "HalfThresholdIFNode": _if,
    "LIFNode": _lif,
    "SimpleLIFNode": _lif,
    "OTTTLIFNode": _lif,
    "SLTTLIFNode": _lif,
    "ParametricLIFNode": _plif,
    "CUBALIFNode": _cuba,
}


def _neuron(module: Any, shape: Shape) -> Neuron:
    candidates = (_DYNAMICS.get(cls.__qualname__) for cls in type(module).__mro__)
    dynamics = next(each for each in candidates if each is not None)
    return Neuron(shape=shape, **dynamics(module), **_firing(module))


def _spiking(name: str, module: Any, features: Shape) -> Fragment:
    return Fragment.of(name, _neuron(module, features))


def _readout(name: str, module: Any, features: Shape) -> Fragment:
    """Convert ``v = v + x`` or ``v = v + (x - v) / tau``, whose steps are returned as a list.

    Raises:
        UnsupportedError: ``decode`` reduces the output over time.
    """
    if module.decode not in (None, "last-mem"):
        raise UnsupportedError(
            f"decode={module.decode!r} reduces over time; use decode=None, stack the steps and "
            "reduce outside the network"
        )
    tau = getattr(module, "tau", None)
    if tau is None:
        return Fragment.of(name, MembraneReadout(shape=features))
    rate = 1 / _number(tau)
    return Fragment.of(name, MembraneReadout(shape=features, alpha_mem=1 - rate, gain=rate))


# ---- recurrence ----


def _inner(module: Any) -> Any:
    """Return the neuron inside a recurrent container.

    Raises:
        UnsupportedError: the container holds anything except a single neuron.
    """
    inner = module.sub_module
    if type(inner).__qualname__ not in _DYNAMICS:
        raise UnsupportedError(
            f"sub_module is {type(inner).__name__}; supported is a single neuron, with the layers "
            "before it outside the container"
        )
    return inner


def _linear_recurrent(name: str, module: Any, features: Shape) -> Fragment:
    """Convert a layer whose one Linear, ``rc``, takes ``x`` and the last spikes, concatenated.

    ``W_x x + b + W_z z(t - 1)``; the bias counts from the first step.
    """
    before, add, back = f"{name}.rc", f"{name}.add", f"{name}.rc.recurrent"
    weight = array(module.rc.weight)
    inputs = weight.shape[1] - module.sub_module_out_features
    return Fragment(
        nodes={
            before: Linear(
                weight=weight[:, :inputs],
                bias=None if module.rc.bias is None else array(module.rc.bias),
            ),
            add: Add(),
            name: _neuron(_inner(module), weight.shape[:1]),
            back: Linear(weight=weight[:, inputs:]),
        },
        edges=(Edge(before, add), Edge(add, name), Edge(name, back), Edge(back, add, delay=1)),
        entry=before,
        exit=name,
    )


def _added_recurrent(name: str, module: Any, features: Shape) -> Fragment:
    """Convert a layer that adds the last spikes to the input.

    Raises:
        UnsupportedError: ``element_wise_function`` is not a sum.
    """
    join = module.element_wise_function
    class_name = getattr(join, "__name__", type(join).__name__)
    if (getattr(join, "__module__", None), class_name) not in (
        ("_operator", "add"),
        ("torch", "add"),
    ):
        raise UnsupportedError(
            f"element_wise_function is {class_name}; only a sum is supported, as operator.add or "
            "torch.add"
        )
    add = f"{name}.add"
    return Fragment(
        nodes={add: Add(), name: _neuron(_inner(module), features)},
        edges=(Edge(add, name), Edge(name, add, delay=1)),
        entry=add,
        exit=name,
    )


# ---- layers without state ----


def _flatten(name: str, module: Any, features: Shape) -> Fragment:
    """Convert a Flatten in mode 'm', where its axes are counted without time.

    Raises:
        UnsupportedError: it flattens only a part of the features.
    """
    if (module.start_dim, module.end_dim % (len(features) + 1)) != (1, len(features)):
        raise UnsupportedError(
            f"flattens from {module.start_dim} to {module.end_dim}; in step mode 'm' only all "
            "features are supported, start_dim=1 and end_dim=-1"
        )
    return Fragment.of(name, Flatten())


def _voting(name: str, module: Any, features: Shape) -> Fragment:
    """Convert to the mean of each ``voting_size`` neurons, without an incomplete last group."""
    votes = module.voting_size
    groups = np.eye(features[0] // votes)
    weight = np.repeat(groups, votes, axis=1) / votes
    rest = np.zeros((len(groups), features[0] % votes))
    return Fragment.of(name, Linear(weight=np.concatenate([weight, rest], axis=1)))


# ---- tables ----


def _by_mode(single: Axes) -> Callable[[Any], Axes]:
    """Return ``single`` for step mode 's', (time, batch, ...) for mode 'm'."""
    return lambda module: Axes.TIME_FIRST if module.step_mode == "m" else single


def _reset(module: Any) -> None:
    """Reset all memories, also those of a container's inner neuron."""
    for part in module.modules():
        if hasattr(part, "_memories_rv"):
            part.reset()


def _stateful(adapter: Adapter) -> Layer:
    return Layer(adapter, _by_mode(Axes.STEP), stateful=True, reset=_reset)


def _as_torch(cls: type[nn.Module]) -> Layer:
    layer = TORCH_LAYERS[cls]
    assert isinstance(layer.axes, Axes)
    return Layer(layer.adapter, _by_mode(layer.axes))


_READOUT = Layer(_readout, Axes.TIME_FIRST, stateful=True)
_BATCH_NORM = TORCH_LAYERS[nn.BatchNorm2d].adapter


LAYERS: dict[str, Layer] = {
    **dict.fromkeys(_DYNAMICS, _stateful(_spiking)),
    "LinearRecurrentContainer": _stateful(_linear_recurrent),
    "ElementWiseRecurrentContainer": _stateful(_added_recurrent),
    "NonSpikingIFNode": _READOUT,
    "NonSpikingLIFNode": _READOUT,
    "Linear": TORCH_LAYERS[nn.Linear],
    "Conv2d": _as_torch(nn.Conv2d),
    "Conv1d": _as_torch(nn.Conv1d),
    "ConvTranspose1d": _as_torch(nn.ConvTranspose1d),
    "ConvTranspose2d": _as_torch(nn.ConvTranspose2d),
    "AvgPool1d": _as_torch(nn.AvgPool1d),
    "AvgPool2d": _as_torch(nn.AvgPool2d),
    "AdaptiveAvgPool1d": _as_torch(nn.AdaptiveAvgPool1d),
    "AdaptiveAvgPool2d": _as_torch(nn.AdaptiveAvgPool2d),
    "Upsample": Layer(_flatten, Axes.MOVE),
    "BatchNorm1d": _as_torch(nn.BatchNorm1d),
    "BatchNorm2d": _as_torch(nn.BatchNorm2d),
    "ThresholdDependentBatchNorm1d": Layer(_BATCH_NORM, Axes.TIME_FIRST),
    "ThresholdDependentBatchNorm2d": Layer(_BATCH_NORM, Axes.TIME_FIRST),
    "Flatten": Layer(_flatten, _by_mode(Axes.RESHAPE)),
    "VotingLayer": Layer(_voting, _by_mode(Axes.LAST)),
    "Dropout": Layer(identity, Axes.ANY),
    "Dropout2d": Layer(identity, Axes.ANY),
}

_OWN = "its attributes do not determine its equations; use LIFNode or IFNode"
_CURVED = "its membrane is not linear below the threshold; use LIFNode"
_SECOND = "a second state acts on its membrane or its threshold; use LIFNode"
_LEARNED = "its gates or its scales have no counterpart in the Graph; use ParametricLIFNode"
_GRADED = "its output is not only spikes of 0 and 1; use LIFNode or IFNode"
_SIGNED = "it fires spikes of both signs, which no supported chip can do; use IFNode or LIFNode"
_PARALLEL = "it weights past inputs instead of keeping a membrane potential; use LIFNode"
_NOISY = "it adds noise, which a chip does not have; use the node without noise"
_MIXING = "its neurons act on each other within a step; use CUBALIFNode or LIFNode"
_PER_STEP = "its scales differ from step to step; use layer.BatchNorm1d or layer.BatchNorm2d"
_STANDARDIZED = "it recomputes its weights in every call; copy their values into the plain layer"
_MAX_POOL = "a maximum is not a sum of spikes; use layer.AvgPool2d"
_VOLUME = "works on volumes, and a chip has maps; use the layer for two axes, such as layer.Conv2d"
_TIME_LAST = "it takes time as the last axis; use the container that takes it first"
_ATTENTION = "attention multiplies signals with each other, which no supported chip can do"
_GATED = "gated recurrence has no spiking counterpart; use layer.LinearRecurrentContainer"
_ENCODER = (
    "it encodes numbers as spikes; encode outside the network and give the spikes as the sample"
)
_NO_PLACE = (
    "has no counterpart on a spiking chip; build the network of layer.Linear and layer.Conv2d"
)

_REASONS = (
    ("BaseNode SimpleBaseNode NonSpikingBaseNode FlexSN ActivationAwareIFNode", _OWN),
    ("QIFNode EIFNode", _CURVED),
    ("IzhikevichNode AdaptBaseNode ComplementaryLIFNode RAFNode", _SECOND),
    ("GatedLIFNode KLIFNode MPBNBaseNode MPBNLIFNode DSRIFNode DSRLIFNode", _LEARNED),
    ("LIAFNode ILIFNode FewSpikeNode HGNode OutlierAwareThresholdNode", _GRADED),
    ("STBIFNode TernaryIFNode TernaryLIFNode", _SIGNED),
    ("PSN MaskedPSN SlidingPSN", _PARALLEL),
    ("NoisyBaseNode NoisyCUBALIFNode NoisyNonSpikingBaseNode NoisyNonSpikingIFNode", _NOISY),
    ("NoisyILCBaseNode NoisyILCCUBALIFNode", _NOISY),
    ("ILCBaseNode ILCCUBALIFNode ILCIFNode ILCLIFNode", _MIXING),
    ("BatchNormThroughTime1d BatchNormThroughTime2d BatchNormThroughTime3d", _PER_STEP),
    ("TemporalEffectiveBatchNorm1d TemporalEffectiveBatchNorm2d", _PER_STEP),
    ("TemporalEffectiveBatchNorm3d NeuNorm", _PER_STEP),
    ("WSLinear WSConv2d", _STANDARDIZED),
    ("MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d", _MAX_POOL),
    ("TLastMultiStepContainer TLastSeqToANNContainer", _TIME_LAST),
    ("SpikingSelfAttention QKAttention ChannelQKAttention TokenQKAttention", _ATTENTION),
    ("SpikeDrivenSelfAttention TemporalWiseAttention MultiDimensionalAttention", _ATTENTION),
    ("SpikingRNNBase SpikingLSTM SpikingGRU SpikingVanillaRNN", _GATED),
    ("SpikingRNNCellBase SpikingLSTMCell SpikingGRUCell SpikingVanillaRNNCell", _GATED),
    ("StatelessEncoder StatefulEncoder", _ENCODER),
    ("Conv3d ConvTranspose3d BatchNorm3d AvgPool3d AdaptiveAvgPool3d", _VOLUME),
    ("GroupNorm DropConnectLinear TemporalBinSum SpikeCountToBinary", _NO_PLACE),
    ("SynapseFilter", "its decay stops while spikes arrive; use CUBALIFNode for a synapse"),
    ("Delay", "delays between layers are not supported; shift the input outside the network"),
)

REFUSED: dict[str, str] = {name: reason for names, reason in _REASONS for name in names.split()}
"""Classes that the IR cannot represent, each with the reason and an alternative."""
