"""Adapters for the layers of ``toolchain.nn``."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn as torch_nn

from toolchain import nn
from toolchain.frontends.adapter import Axes, Fragment, Layer, UnsupportedError, array, pair
from toolchain.frontends.torch_layers import identity, linear
from toolchain.ir import Add, Edge, Linear, Neuron, Node, Readout, Sensor, Shape, SumPool2d
from toolchain.nn.spiking import MembraneLayer, SpikingLayer

__all__ = ["NATIVE_LAYERS", "NATIVE_REFUSED"]


def _membrane(module: MembraneLayer, features: Shape) -> dict[str, Any]:
    """The fields that Neuron and Readout share."""
    alpha_mem, alpha_syn, gain = module.decays()
    found: dict[str, Any] = {"shape": features, "syn_order": "add_decay"}
    if alpha_mem is not None:
        found["alpha_mem"] = array(alpha_mem)
    if alpha_syn is not None:
        found["alpha_syn"] = array(alpha_syn)[..., None]
    if gain is not None:
        found["gain"] = array(gain)
    return found


def _max_spikes(spike_fn: object) -> int | None:
    if spike_fn in (nn.MultiSpike, nn.SingleSpike) or isinstance(spike_fn, nn.MaxSpike):
        limit: int | None = spike_fn.max_num_spikes_per_bin
        return limit
    raise UnsupportedError(
        f"spike_fn {_called(spike_fn)}; known are MultiSpike, MaxSpike and SingleSpike"
    )


def _reset(reset_fn: object) -> dict[str, Any]:
    if type(reset_fn) is nn.MembraneSubtract:
        return {"reset": "subtract", "reset_amount": reset_fn.subtract_value}
    if type(reset_fn) is nn.MembraneReset:
        kind = "additive" if reset_fn.reset_value else "value"
        return {"reset": kind, "v_reset": reset_fn.reset_value}
    raise UnsupportedError(
        f"reset_fn {_called(reset_fn)}; known are MembraneSubtract and MembraneReset"
    )


def _called(thing: object) -> str:
    return thing.__name__ if isinstance(thing, type) else type(thing).__name__


def _spiking(name: str, module: SpikingLayer, features: Shape) -> Fragment:
    node = Neuron(
        **_membrane(module, features),
        v_threshold=array(module.spike_threshold),
        v_min=None if module.min_v_mem is None else array(module.min_v_mem),
        max_spikes=_max_spikes(module.spike_fn),
        **_reset(module.reset_fn),
    )
    return Fragment.of(name, node)


def _readout(name: str, module: nn.ExpLeak, features: Shape) -> Fragment:
    return Fragment.of(name, Readout(**_membrane(module, features)))


def _recurrent(name: str, module: SpikingLayer, features: Shape) -> Fragment:
    """The delay stands behind the weight, so that its bias is silent in the first step."""
    weight = module.rec_connect
    if type(weight) is not torch_nn.Linear:
        raise UnsupportedError(
            f"rec_connect is {type(weight).__name__}; only nn.Linear is supported"
        )
    (neuron,) = _spiking(name, module, features).nodes.values()
    back = f"{name}.rec_connect"
    return _loop(name, neuron, back, linear(back, weight).nodes[back])


def _loop(name: str, neuron: Node, back: str, weight: Node, dt: float | None = None) -> Fragment:
    add = f"{name}.add"
    return Fragment(
        nodes={add: Add(), name: neuron, back: weight},
        edges=(Edge(add, name), Edge(name, back), Edge(back, add, delay=1)),
        entry=add,
        exit=name,
        dt=dt,
    )


def _cuba(name: str, module: nn.CubaLIF | nn.LIFTorch, features: Shape) -> Fragment:
    if module.noise_std:
        raise UnsupportedError(
            f"noise_std is {module.noise_std:g}; a chip draws no noise, so set it to 0 first"
        )
    alpha_mem, alpha_syn, _ = module.decays()
    assert alpha_mem is not None
    assert alpha_syn is not None
    beta = array(alpha_syn)
    membrane: dict[str, Any] = {
        "shape": (module.neurons,),
        "alpha_mem": array(alpha_mem),
        "alpha_syn": np.broadcast_to(beta, (*beta.shape[:-1], module.synapses)),
        "syn_order": "add_decay",
        "bias": array(module.bias),
    }
    if isinstance(module, nn.LIFTorch) and module.emits == "vmem":
        return Fragment(nodes={name: Readout(**membrane)}, entry=name, exit=name, dt=module.dt)
    neuron = Neuron(
        **membrane,
        v_threshold=array(module.threshold),
        max_spikes=_max_spikes(module.spike_fn),
    )
    if module.w_rec is None:
        return Fragment(nodes={name: neuron}, entry=name, exit=name, dt=module.dt)
    weight = Linear(weight=array(module.w_rec).T)
    return _loop(name, neuron, f"{name}.w_rec", weight, module.dt)


def _linear_torch(name: str, module: nn.LinearTorch, features: Shape) -> Fragment:
    bias = None if module.bias is None else array(module.bias)
    return Fragment.of(name, Linear(weight=array(module.weight).T, bias=bias))


def _sum_pool2d(name: str, module: nn.SumPool2d, features: Shape) -> Fragment:
    return Fragment.of(name, SumPool2d(kernel=pair(module.kernel_size), stride=pair(module.stride)))


def _dvs(name: str, module: nn.DVSLayer, features: Shape) -> Fragment:
    (top, bottom), (left, right) = module.get_roi()
    node = Sensor(
        merge=module.merge_polarities,
        pool=module.get_pooling(),
        origin=(top, left),
        size=(bottom - top, right - left),
        flip_y=module.flip_layer.flip_y,
        flip_x=module.flip_layer.flip_x,
        swap_xy=module.flip_layer.swap_xy,
        pixel_array=not module.disable_pixel_array,
    )
    return Fragment.of(name, node)


def _merge(name: str, module: nn.Merge, features: Shape) -> Fragment:
    return Fragment.of(name, Add())


def _no_adapter(name: str, module: torch_nn.Module, features: Shape) -> Fragment:
    raise AssertionError("reshaping layers are read from their shapes")


NATIVE_LAYERS: dict[type[torch_nn.Module], Layer] = {
    nn.IAF: Layer(_spiking, Axes.TIME, stateful=True),
    nn.LIF: Layer(_spiking, Axes.TIME, stateful=True),
    nn.ExpLeak: Layer(_readout, Axes.TIME, stateful=True),
    nn.IAFRecurrent: Layer(_recurrent, Axes.TIME, stateful=True),
    nn.LIFRecurrent: Layer(_recurrent, Axes.TIME, stateful=True),
    nn.CubaLIF: Layer(_cuba, Axes.TIME, stateful=True),
    nn.LIFTorch: Layer(_cuba, Axes.TIME, stateful=True),
    nn.LinearTorch: Layer(_linear_torch, Axes.LAST),
    nn.TimeStepDropout: Layer(identity, Axes.ANY),
    nn.IAFSqueeze: Layer(_spiking, Axes.SQUEEZED, stateful=True),
    nn.LIFSqueeze: Layer(_spiking, Axes.SQUEEZED, stateful=True),
    nn.ExpLeakSqueeze: Layer(_readout, Axes.SQUEEZED, stateful=True),
    nn.SumPool2d: Layer(_sum_pool2d, Axes.IMAGE),
    nn.DVSLayer: Layer(_dvs, Axes.IMAGE),
    nn.Merge: Layer(_merge, Axes.ANY),
    nn.FlattenTime: Layer(_no_adapter, Axes.RESHAPE),
    nn.UnflattenTime: Layer(_no_adapter, Axes.RESHAPE),
}

NATIVE_REFUSED: dict[type[torch_nn.Module], str] = {
    nn.ALIF: "its threshold moves with its spikes, which no chip here can do; use LIF",
    nn.NeuromorphicReLU: "not spiking; convert the network with toolchain.nn.from_model first",
}
"""Layers that train only, with what to do about them."""
