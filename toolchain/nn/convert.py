"""Conversion of networks of ReLUs to spiking networks.

An integrate-and-fire neuron with input x per timestep emits ``T relu(x) / threshold`` spikes in T
timesteps, to within one spike, so its rate represents the activation. The rounding error of one
timestep stays in the membrane and is carried over to the next.

Source: Rueckauer et al. 2017, "Conversion of continuous-valued deep networks to efficient
event-driven networks for image classification", section 2.1; arguments and defaults are those of
sinabs' ``from_model`` as observed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from toolchain.nn.activation import MembraneSubtract, MultiSpike, ResetFn, SpikeFn
from toolchain.nn.merge import Merge
from toolchain.nn.network import Network
from toolchain.nn.pooling import SumPool2d
from toolchain.nn.relu import NeuromorphicReLU
from toolchain.nn.replace import replace_all
from toolchain.nn.reshape import FlattenTime, UnflattenTime
from toolchain.nn.spiking import SpikingLayer
from toolchain.nn.squeeze import IAFSqueeze, Squeeze
from toolchain.nn.state import StatefulLayer
from toolchain.nn.surrogate import SingleExponential, SurrogateFn

__all__ = ["check_layers", "from_model"]

_RELUS = (nn.ReLU, NeuromorphicReLU)

_UNCHANGED = (
    *(nn.Conv2d, nn.Linear, nn.AvgPool2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.Flatten, nn.Unflatten),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity),
    *(nn.Sequential, nn.ModuleList, nn.ModuleDict),
    *(SumPool2d, Merge, FlattenTime, UnflattenTime, StatefulLayer),
)
_BIASED = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)


def from_model(
    model: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    spike_threshold: float | Tensor = 1.0,
    spike_fn: SpikeFn = MultiSpike,
    reset_fn: ResetFn = MembraneSubtract(),  # noqa: B008 (frozen)
    surrogate_grad_fn: SurrogateFn = SingleExponential(),  # noqa: B008 (frozen)
    min_v_mem: float | Tensor | None = -1.0,
    bias_rescaling: float = 1.0,
    batch_size: int | None = None,
    num_timesteps: int | None = None,
    add_spiking_output: bool = False,
    spike_layer_class: type[SpikingLayer] = IAFSqueeze,
) -> Network:
    """Convert ``model``: replace each ReLU and NeuromorphicReLU by a spiking layer.

    The rate of each neuron approximates the activation:

    >>> import torch
    >>> from toolchain.nn import from_model
    >>> dense = torch.nn.Linear(1, 2, bias=False)
    >>> dense.weight.data = torch.tensor([[0.25], [-1.0]])
    >>> ann = torch.nn.Sequential(dense, torch.nn.ReLU())
    >>> snn = from_model(ann, num_timesteps=8)
    >>> data = torch.ones(8, 1)  # (batch * time, features)
    >>> ann(data[:1]).tolist(), snn(data).mean(0).tolist()
    ([[0.25, 0.0]], [0.25, 0.0])

    Args:
        model: modules of torch and of ``toolchain.nn`` in any arrangement; not changed.
        input_shape: features of an input, without batch; if given, the copy is run once to check
            that no activation is called twice.
        spike_threshold, spike_fn, reset_fn, surrogate_grad_fn, min_v_mem: of every spiking layer.
        bias_rescaling: biases are divided by it, for inputs spread over as many timesteps.
        batch_size, num_timesteps: split of the rows ``(batch * time, ...)``; one is required.
        add_spiking_output: append a layer ``spike_output`` to a sequential model that does not end
            in a spiking layer.
        spike_layer_class: replacement of a ReLU; :class:`IAF` for ``(batch, time, features)``.

    Raises:
        ValueError: layers without spiking counterpart (the message lists all paths); no ReLU in the
            model; an activation called twice; ``add_spiking_output`` for a model that is not
            sequential.
        TypeError: neither ``batch_size`` nor ``num_timesteps``.

    Exact up to one spike per neuron if no membrane reaches ``min_v_mem`` and inputs are constant;
    otherwise an approximation that improves with the number of timesteps.

    Source: Rueckauer et al. 2017; sinabs' ``from_model`` as observed.
    """
    if not bias_rescaling > 0:
        raise ValueError(f"bias_rescaling must be > 0, got {bias_rescaling}")
    check_layers(model)
    rest: dict[str, Any] = {"spike_threshold": spike_threshold, "spike_fn": spike_fn}
    rest |= {"reset_fn": reset_fn, "surrogate_grad_fn": surrogate_grad_fn, "min_v_mem": min_v_mem}
    if issubclass(spike_layer_class, Squeeze):
        rest |= {"batch_size": batch_size, "num_timesteps": num_timesteps}
    spiking = _replaced(copy.deepcopy(model), lambda: spike_layer_class(**rest))
    if bias_rescaling != 1:
        _rescale_biases(spiking, bias_rescaling)
    if add_spiking_output:
        _end_in_spikes(spiking, lambda: spike_layer_class(**rest))
    if not any(isinstance(module, StatefulLayer) for module in spiking.modules()):
        raise ValueError(
            f"{type(model).__name__} contains no nn.ReLU or NeuromorphicReLU to convert"
        )
    if input_shape is not None:
        rows = (batch_size or 1) * (num_timesteps or 1)
        lead = (rows,) if issubclass(spike_layer_class, Squeeze) else (1, 1)
        like = next(spiking.parameters(), torch.empty(0))
        _check_calls(copy.deepcopy(spiking).eval(), like.new_zeros(*lead, *input_shape))
    return Network(model, spiking)


def check_layers(model: nn.Module) -> None:
    """Raise ValueError with the paths of all torch layers that have no spiking counterpart."""
    unsupported = [
        f"layer {name!r} ({type(module).__name__})"
        for name, module in model.named_modules()
        if type(module).__module__.startswith("torch.nn.modules.")
        and not isinstance(module, (*_UNCHANGED, *_RELUS))
    ]
    if unsupported:
        raise ValueError(
            f"no spiking counterpart for {', '.join(unsupported)}; supported are nn.ReLU and "
            "NeuromorphicReLU, dense and convolutional layers, average and sum pooling, batch "
            "norm, dropout and reshapes"
        )


def _replaced(model: nn.Module, layer: Callable[[], nn.Module]) -> nn.Module:
    """Replace each ReLU of ``model`` by a new layer."""
    if isinstance(model, _RELUS):
        return layer()
    replace_all(model, lambda module: isinstance(module, _RELUS), lambda _: layer())
    return model


def _rescale_biases(model: nn.Module, by: float) -> None:
    with torch.no_grad():
        for module in model.modules():
            if not isinstance(module, _BIASED):
                continue
            for value in (module.bias, getattr(module, "running_mean", None)):
                if value is not None:
                    value /= by


def _end_in_spikes(model: nn.Module, layer: Callable[[], nn.Module]) -> None:
    last: nn.Module = model
    while isinstance(last, nn.Sequential) and len(last):
        last = last[-1]
    if isinstance(last, StatefulLayer):
        return
    if not isinstance(model, nn.Sequential):
        raise ValueError(
            f"add_spiking_output needs an nn.Sequential, got {type(model).__name__}; end the "
            "model with an nn.ReLU instead"
        )
    model.add_module("spike_output", layer())


def _check_calls(model: nn.Module, zeros: Tensor) -> None:
    """Raise ValueError if one forward pass calls a stateful layer twice."""
    calls: dict[str, int] = {}

    def counting(name: str) -> Callable[..., None]:
        def count(*_: object) -> None:
            calls[name] = calls.get(name, 0) + 1

        return count

    for name, module in model.named_modules():
        if isinstance(module, StatefulLayer):
            module.register_forward_hook(counting(name))
    with torch.no_grad():
        model(zeros)
    twice = [f"{name!r} ({count} times)" for name, count in calls.items() if count > 1]
    if twice:
        raise ValueError(
            f"called more than once in a forward pass: {', '.join(twice)}; spiking layers are "
            "stateful, use a separate activation for each call"
        )
