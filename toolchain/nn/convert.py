"""From a network of ReLUs to one of spiking neurons.

An integrate-and-fire neuron that is driven by x a step gives ``T relu(x) / threshold`` spikes in T
steps, to within one spike, so its rate stands for the activation. What a ReLU rounds away, spikes
carry over to the next step.

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
from toolchain.nn.pooling import SumPool2d
from toolchain.nn.relu import NeuromorphicReLU
from toolchain.nn.reshape import FlattenTime, UnflattenTime
from toolchain.nn.spiking import SpikingLayer
from toolchain.nn.squeeze import IAFSqueeze, Squeeze
from toolchain.nn.state import StatefulLayer, reset_states
from toolchain.nn.surrogate import SingleExponential, SurrogateFn

__all__ = ["Network", "check_layers", "from_model"]

_RELUS = (nn.ReLU, NeuromorphicReLU)

_UNCHANGED = (
    *(nn.Conv2d, nn.Linear, nn.AvgPool2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.Flatten, nn.Unflatten),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity),
    *(nn.Sequential, nn.ModuleList, nn.ModuleDict),
    *(SumPool2d, Merge, FlattenTime, UnflattenTime, StatefulLayer),
)
_BIASED = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)


class Network(nn.Module):
    """A converted network beside the one it was made of; called, it is the spiking one.

    Attributes:
        analog_model: what was converted, unchanged.
        spiking_model: its copy with spiking layers.
    """

    def __init__(self, analog_model: nn.Module, spiking_model: nn.Module) -> None:
        super().__init__()
        self.analog_model = analog_model
        self.spiking_model = spiking_model

    def forward(self, data: Tensor) -> Tensor:
        """What the spiking model gives."""
        out: Tensor = self.spiking_model(data)
        return out

    def reset_states(self) -> None:
        """Start the spiking layers at zero with the next call."""
        reset_states(self.spiking_model)


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
    """``model`` with every ReLU and NeuromorphicReLU in its place turned into a spiking layer.

    Args:
        model: modules of torch and of ``toolchain.nn`` in any arrangement; never changed.
        input_shape: features of an input, without batch; where given, the copy is run once to see
            that no activation is called twice.
        spike_threshold, spike_fn, reset_fn, surrogate_grad_fn, min_v_mem: of every spiking layer.
        bias_rescaling: biases are divided by it, for inputs that come in as many smaller steps.
        batch_size, num_timesteps: how the rows ``(batch * time, ...)`` are cut; one is needed.
        add_spiking_output: end a sequential model in a layer ``spike_output`` unless it spikes.
        spike_layer_class: what a ReLU becomes; :class:`IAF` for ``(batch, time, features)``.

    Raises:
        ValueError: layers with no spiking counterpart, all of them by their paths; no ReLU at
            all; an activation called twice; ``add_spiking_output`` for a model without order.

    Exact up to one spike a neuron where no membrane reaches ``min_v_mem`` and inputs are constant;
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
        raise ValueError(f"{type(model).__name__} holds no nn.ReLU or NeuromorphicReLU to convert")
    if input_shape is not None:
        rows = (batch_size or 1) * (num_timesteps or 1)
        lead = (rows,) if issubclass(spike_layer_class, Squeeze) else (1, 1)
        like = next(spiking.parameters(), torch.empty(0))
        _check_calls(copy.deepcopy(spiking).eval(), like.new_zeros(*lead, *input_shape))
    return Network(model, spiking)


def check_layers(model: nn.Module) -> None:
    """Refuse layers of torch that have no spiking counterpart, all of them by their paths."""
    unsupported = [
        f"layer {name!r} ({type(module).__name__})"
        for name, module in model.named_modules()
        if type(module).__module__.startswith("torch.nn.modules.")
        and not isinstance(module, (*_UNCHANGED, *_RELUS))
    ]
    if unsupported:
        raise ValueError(
            f"no spiking counterpart for {', '.join(unsupported)}; known are nn.ReLU and "
            "NeuromorphicReLU, dense and convolutional layers, average and sum pooling, batch "
            "norm, dropout and reshapes"
        )


def _replaced(model: nn.Module, layer: Callable[[], nn.Module]) -> nn.Module:
    """``model`` with new layers for its ReLUs; one that stands in two places becomes two."""
    if isinstance(model, _RELUS):
        return layer()
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):
            if isinstance(child, _RELUS):
                setattr(module, name, layer())
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
            "model in an nn.ReLU instead"
        )
    model.add_module("spike_output", layer())


def _check_calls(model: nn.Module, zeros: Tensor) -> None:
    """Refuse a layer with state that one forward calls twice."""
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
            f"called more than once in a forward: {', '.join(twice)}; a spiking layer has state, "
            "so give every call an activation of its own"
        )
