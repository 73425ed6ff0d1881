"""Adapters for the layers of ``toolchain.nn``."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from torch import Tensor
from torch import nn as torch_nn

from toolchain import nn
from toolchain.arrays import Shape
from toolchain.frontends.frameworks import leaky
from toolchain.frontends.frameworks.adapter import (
    Adapter,
    Axes,
    Fragment,
    Layer,
    UnsupportedError,
    array,
)
from toolchain.frontends.frameworks.feedback import loop
from toolchain.frontends.frameworks.torch_layers import identity
from toolchain.ir import Linear, MembraneReadout, Neuron
from toolchain.nn.leaks import LEAKS, factor
from toolchain.nn.membrane import MembraneLayer
from toolchain.nn.state import StatefulLayer

__all__ = ["NATIVE_LAYERS", "NATIVE_REFUSED"]


def _decays(module: MembraneLayer) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    return module.decays()


def _cuba(name: str, module: nn.CubaLIF | nn.LIFTorch, features: Shape) -> Fragment:
    if module.noise_std:
        raise UnsupportedError(
            f"noise_std is {module.noise_std:g}; a chip draws no noise, so set it to 0 first"
        )
    _check_decays(module)
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
        return Fragment(
            nodes={name: MembraneReadout(**membrane)}, entry=name, exit=name, dt=module.dt
        )
    neuron = Neuron(
        **membrane,
        v_threshold=array(module.threshold),
        max_spikes=leaky.max_spikes(module.spike_fn),
    )
    if module.w_rec is None:
        return Fragment(nodes={name: neuron}, entry=name, exit=name, dt=module.dt)
    weight = Linear(weight=array(module.w_rec).T)
    return loop(name, neuron, f"{name}.w_rec", [weight], module.dt)


def _check_decays(module: nn.CubaLIF | nn.LIFTorch) -> None:
    """Refuse decays that a training moved out of their range, by the name that was trained."""
    mode = module.leak_mode
    for name in LEAKS[mode]:
        stored = array(getattr(module, name))
        decay = array(factor(mode, getattr(module, name), module.dt))
        wrong = (decay < 0) | (decay > 1)
        if not wrong.any():
            continue
        low, high, limits = ("0", "1", "0..1") if mode == "decays" else ("1e-6", "None", "> 0")
        raise UnsupportedError(
            f"{name} is {stored[wrong].flat[0]:g}, need {limits}; after each step of the optimizer "
            f"keep it there, by layer.{name}.data.clamp_({low}, {high}), or do not train it: "
            f"layer.{name}.requires_grad_(False)"
        )


def _linear_torch(name: str, module: nn.LinearTorch, features: Shape) -> Fragment:
    bias = None if module.bias is None else array(module.bias)
    return Fragment.of(name, Linear(weight=array(module.weight).T, bias=bias))


def _squeeze_grid(module: nn.Squeeze, input_shape: Shape, output_shape: Shape) -> tuple[int, int]:
    return module.batch_and_time(input_shape[0])


def _no_adapter(name: str, module: torch_nn.Module, features: Shape) -> Fragment:
    raise AssertionError("reshaping layers are read from their shapes")


def _keeps_precision(module: torch_nn.Module) -> bool:
    """Return True if all that a layer calls is of this package; functions of a user may cast."""
    functions = [value for name, value in vars(module).items() if name.endswith("_fn")]
    ours = all(getattr(each, "__module__", "").startswith("toolchain.nn.") for each in functions)
    return ours and not any(module.children())


def _stateful(adapter: Adapter, axes: Axes) -> Layer:
    return Layer(
        adapter,
        axes,
        stateful=True,
        reset=StatefulLayer.reset_states,
        grid=_squeeze_grid if axes is Axes.SQUEEZED else None,
        keeps_precision=_keeps_precision,
    )


_spiking = partial(leaky.spiking, decays=_decays)
_readout = partial(leaky.readout, decays=_decays)
_recurrent = partial(leaky.recurrent, decays=_decays)

NATIVE_LAYERS: dict[type[torch_nn.Module], Layer] = {
    nn.IAF: _stateful(_spiking, Axes.TIME),
    nn.LIF: _stateful(_spiking, Axes.TIME),
    nn.ExpLeak: _stateful(_readout, Axes.TIME),
    nn.IAFRecurrent: _stateful(_recurrent, Axes.TIME),
    nn.LIFRecurrent: _stateful(_recurrent, Axes.TIME),
    nn.CubaLIF: _stateful(_cuba, Axes.TIME),
    nn.LIFTorch: _stateful(_cuba, Axes.TIME),
    nn.LinearTorch: Layer(_linear_torch, Axes.LAST),
    nn.TimeStepDropout: Layer(identity, Axes.ANY),
    nn.IAFSqueeze: _stateful(_spiking, Axes.SQUEEZED),
    nn.LIFSqueeze: _stateful(_spiking, Axes.SQUEEZED),
    nn.ExpLeakSqueeze: _stateful(_readout, Axes.SQUEEZED),
    nn.SumPool2d: Layer(leaky.sum_pool2d, Axes.IMAGE),
    nn.DVSLayer: Layer(leaky.sensor, Axes.IMAGE),
    nn.Crop2d: Layer(_no_adapter, Axes.MOVE),
    nn.Cropping2dLayer: Layer(_no_adapter, Axes.MOVE),
    nn.ChannelShift: Layer(_no_adapter, Axes.MOVE),
    nn.FlipDims: Layer(_no_adapter, Axes.MOVE),
    nn.Merge: Layer(leaky.merge, Axes.ANY, sums=True),
    nn.FlattenTime: Layer(_no_adapter, Axes.RESHAPE, grid=leaky.flatten_grid),
    nn.UnflattenTime: Layer(_no_adapter, Axes.RESHAPE, grid=leaky.unflatten_grid),
}

NATIVE_REFUSED: dict[type[torch_nn.Module], str] = {
    **{getattr(nn, name): reason for name, reason in leaky.REFUSED.items()},
    nn.NeuromorphicReLU: "not spiking; convert the network with toolchain.nn.from_model first",
}
"""Layers for training only and encoders, each with the reason and an alternative."""
