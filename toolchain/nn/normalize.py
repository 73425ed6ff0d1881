"""Normalization of the weights of a ReLU network, so that its activations are within 0 to 1.

For the weights W and biases b between the ReLUs l - 1 and l, with ``lambda`` a percentile of the
output of the ReLU on data::

    W := W lambda[l - 1] / lambda[l]        b := b / lambda[l]

A converted network then fires at most about once per timestep. The network computes the same up
to one positive factor at its output.

Source: Rueckauer et al. 2017, "Conversion of continuous-valued deep networks to efficient
event-driven networks for image classification", section 2.2.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from toolchain.nn.convert import check_layers
from toolchain.nn.relu import NeuromorphicReLU

__all__ = ["normalize_weights"]

_Affine: TypeAlias = nn.Conv2d | nn.Linear | nn.BatchNorm1d | nn.BatchNorm2d


@dataclass(slots=True)
class _Call:
    """One call of a layer; holds its tensors so that no other tensor gets their addresses."""

    name: str
    module: nn.Module
    input: Tensor
    output: Tensor


@dataclass(slots=True)
class _Stage:
    """The weights up to an activation, with the name and the output of the last layer."""

    affine: list[_Affine] = field(default_factory=list)
    name: str = ""
    out: Tensor | None = None


def normalize_weights(model: nn.Module, data: Tensor, percentile: float = 99.9) -> nn.Module:
    """Return a copy of ``model`` with the ``percentile`` of each layer's activations on data at 1.

    >>> import torch
    >>> from toolchain.nn import normalize_weights
    >>> dense = torch.nn.Linear(1, 2, bias=False)
    >>> dense.weight.data = torch.tensor([[8.0], [2.0]])
    >>> ann = torch.nn.Sequential(dense, torch.nn.ReLU())
    >>> normalized = normalize_weights(ann, torch.ones(4, 1), percentile=100)
    >>> normalized[0].weight.flatten().tolist(), ann[0].weight.flatten().tolist()
    ([1.0, 0.25], [8.0, 2.0])

    Args:
        model: a chain of layers with nn.ReLUs between the weights; not changed. The layers after
            the last ReLU are rescaled by their own outputs.
        data: inputs of the model; run once, in evaluation mode.
        percentile: 0 to 100, over the positive activations of a layer; below 100, outliers do not
            determine the scale.

    Raises:
        ValueError: a percentile out of range, layers that do not form a chain, a layer without
            positive output on the data, a layer without spiking counterpart.

    Exact in reals: the activations of layer l are those of ``model`` divided by ``lambda[l]``.

    Source: Rueckauer et al. 2017, section 2.2. With batch norm, the factor of the input goes to the
    weights and that of the output to the norm.
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must be in 0..100, got {percentile}")
    check_layers(model)
    result = copy.deepcopy(model).eval()
    before = 1.0
    for stage in _stages(_chain(result, data)):
        scale = _scale(stage, percentile)
        _rescale(stage.affine, before, scale)
        before = scale
    for module, original in zip(result.modules(), model.modules(), strict=True):
        module.training = original.training
    return result


def _chain(model: nn.Module, data: Tensor) -> list[_Call]:
    """Return the calls of all layers in order; ValueError unless each takes the last output."""
    calls: list[_Call] = []
    names = {module: name for name, module in model.named_modules()}

    def record(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append(_Call(names[module], module, args[0], output))

    handles = [m.register_forward_hook(record) for m in names if not list(m.children())]
    with torch.no_grad():
        model(data)
    for handle in handles:
        handle.remove()
    before, source = data, "the model's input"
    for call in calls:
        if call.input.data_ptr() != before.data_ptr():
            raise ValueError(
                f"the layers must form a chain of modules, but {call.name!r} does not take {source}"
            )
        before, source = call.output, f"the output of {call.name!r}"
    if len({call.module for call in calls}) < len(calls):
        raise ValueError("the layers must form a chain, but one of them is called twice")
    return calls


def _stages(calls: list[_Call]) -> list[_Stage]:
    stages, stage = [], _Stage()
    for call in calls:
        stage.name, stage.out = call.name, call.output
        if isinstance(call.module, NeuromorphicReLU):
            raise ValueError(f"{call.name!r} outputs integers; only nn.ReLU can be scaled")
        if isinstance(call.module, _Affine):
            stage.affine.append(call.module)
        elif isinstance(call.module, nn.ReLU):
            if not stage.affine:
                raise ValueError(f"{call.name!r} (ReLU) has no weights before it")
            stages.append(stage)
            stage = _Stage()
    return [*stages, stage] if stage.affine else stages


def _scale(stage: _Stage, percentile: float) -> float:
    assert stage.out is not None
    out = stage.out.cpu().numpy()
    if not (out > 0).any():
        raise ValueError(f"{stage.name!r} has no positive output on the data to normalize by")
    return float(np.percentile(out[out > 0], percentile))


@torch.no_grad()
def _rescale(affine: list[_Affine], before: float, scale: float) -> None:
    """Undo the scale of the input in the first layer and apply that of the output in the last."""
    first, last = affine[0], affine[-1]
    if isinstance(first, nn.BatchNorm1d | nn.BatchNorm2d):
        raise ValueError("batch norm directly after a ReLU or the input is not supported")
    if last.weight is None:
        raise ValueError("batch norm without weights cannot take a scale; use affine=True")
    first.weight *= before
    for value in (last.weight, last.bias):
        if value is not None:
            value /= scale
