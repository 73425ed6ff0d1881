"""Layers of ``torch.ao.quantization``: weights that training rounds, and values that it rounds.

A layer of quantization-aware training has its weights rounded by a FakeQuantize in each forward.
In evaluation that is a fixed weight, so the layer becomes a plain one with the rounded weights.
Rounding of values between layers has no counterpart on a spiking chip.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["quantization_kind", "refused_layers", "with_rounded_weights"]

_ROUNDED = {"Linear": nn.Linear, "Conv1d": nn.Conv1d, "Conv2d": nn.Conv2d}
_ROUNDS = ("torch.ao.quantization.fake_quantize", "torch.quantization.fake_quantize")


def with_rounded_weights(model: nn.Module) -> nn.Module:
    """Replace the layers of quantization-aware training, in place, by plain ones.

    Args:
        model: in evaluation mode and in the precision in which it runs.
    """
    for module in [module for _, module in model.named_modules()]:
        for name, child in list(module._modules.items()):
            if child is not None and _is_trained_rounded(child):
                module._modules[name] = _plain(child)
    return _plain(model) if _is_trained_rounded(model) else model


def _is_trained_rounded(module: nn.Module) -> bool:
    cls = type(module)
    return cls.__module__.startswith("torch.ao.nn.qat.modules") and cls.__name__ in _ROUNDED


def _plain(module: Any) -> nn.Module:
    """Return the plain layer with the weights that ``module`` uses in evaluation."""
    rounding = module.weight_fake_quant
    if hasattr(rounding, "disable_observer"):
        rounding.disable_observer()
    with torch.no_grad():
        weight = rounding(module.weight).detach().clone()
    cls: Any = _ROUNDED[type(module).__name__]
    plain: nn.Module = cls.__new__(cls)
    plain.__dict__.update(module.__dict__)
    plain._modules = {k: v for k, v in module._modules.items() if k != "weight_fake_quant"}
    plain._parameters = {**module._parameters, "weight": nn.Parameter(weight, requires_grad=False)}
    return plain


def refused_layers(model: nn.Module) -> list[str]:
    """Return a message for each layer that is refused, which a run might not reach."""
    found = [(name, module, quantization_kind(module)) for name, module in model.named_modules()]
    return [
        f"layer {name!r} ({type(module).__name__}): {reason}"
        for name, module, reason in found
        if reason is not None
    ]


def quantization_kind(module: nn.Module) -> str | None:
    """Return the reason why a module of ``torch.ao`` is refused, None for any other module."""
    cls = type(module)
    if cls.__module__.startswith(_ROUNDS) and not _is_off(module):
        return (
            "rounds values between layers; spikes are integers already, so train with "
            "QConfig(activation=torch.nn.Identity, weight=...) or call disable_fake_quant"
        )
    if cls.__module__.startswith(("torch.ao.nn.", "torch.nn.quantized", "torch.nn.intrinsic")):
        return (
            "computes in integers of its own; extract the network before torch.ao.quantization "
            "converts or fuses it, and deploy chooses the chip's integers"
        )
    return None


def _is_off(module: Any) -> bool:
    enabled = getattr(module, "fake_quant_enabled", None)
    return enabled is not None and not bool(enabled.any())
