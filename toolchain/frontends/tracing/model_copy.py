"""Copy of a model for the run: on the CPU, in evaluation mode, in double precision."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from toolchain.diagnostics import ExtractError
from toolchain.frontends.frameworks.adapter import Layer
from toolchain.frontends.frameworks.kinds import kind
from toolchain.frontends.frameworks.quantization import refused_layers, with_rounded_weights
from toolchain.frontends.tracing.record import tensors

__all__ = ["copy_model", "fresh_copy", "kept_states"]


def copy_model(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` to run; the model itself is never changed.

    Raises:
        ExtractError: the model cannot be copied, or has uninitialized parameters.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ExtractError("a TorchScript model has no layers to convert; extract the original")
    original = getattr(model, "_orig_mod", model)  # the model that torch.compile wraps
    _check_values(original)
    duplicate = _without_wrappers(_checked_copy(original)).cpu().eval()
    duplicate = with_rounded_weights(duplicate)
    if refused := refused_layers(duplicate):
        raise ExtractError("\n  ".join(refused))
    return _convert_attributes(duplicate.double())


def _check_values(model: nn.Module) -> None:
    for name, value in model.named_parameters():
        if isinstance(value, nn.parameter.UninitializedParameter):
            raise ExtractError(f"{name} has no shape yet; run the model once before extracting it")
    tensors_by_name = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    if meta := [name for name, value in tensors_by_name.items() if value.is_meta]:
        raise ExtractError(
            f"{meta[0]} is on the meta device and has no values; allocate them with "
            "net.to_empty(device='cpu') and load the trained ones with load_state_dict"
        )


def _without_wrappers(model: nn.Module) -> nn.Module:
    """Replace modules that torch.compile wraps by the modules themselves."""
    for module in _modules(model):
        for name, child in list(module._modules.items()):
            if child is not None and hasattr(child, "_orig_mod"):
                module._modules[name] = getattr(child, "_orig_mod")  # noqa: B009 (not a Tensor)
    return model


def fresh_copy(duplicate: nn.Module) -> nn.Module:
    """Return a copy for one run, with every layer's state reset.

    A run may leave states in attributes of the user's own modules, which no reset finds.
    """
    fresh = _checked_copy(duplicate)
    for module in _modules(fresh):
        layer = kind(module)
        if isinstance(layer, Layer) and layer.reset is not None:
            layer.reset(module)
    return fresh


def kept_states(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors that a model's own modules hold as plain attributes, by dotted name.

    Parameters, buffers and the states of supported layers are no part of it.
    """
    return {
        f"{name}.{attribute}" if name else attribute: value
        for name, module in model.named_modules()
        if kind(module) is None
        for attribute, value in vars(module).items()
        if isinstance(value, Tensor)
    }


def _checked_copy(model: nn.Module) -> nn.Module:
    try:
        return _deep_copy(model)
    except Exception as fault:  # __deepcopy__ of a user's module may raise anything
        message = f"{type(model).__name__} cannot be copied: {type(fault).__name__}: {fault}"
        raise ExtractError(message) from fault


def _deep_copy(model: nn.Module) -> nn.Module:
    """Return a deep copy, also where a layer's ``__deepcopy__`` fails (sinabs' recurrent layers).

    States that are still part of an autograd graph, which torch refuses to copy, are detached.
    """
    memo: dict[int, Any] = {}
    for module in _modules(model):
        for value in tensors((vars(module), module._buffers)):
            if value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
    special = [module for module in _modules(model) if _has_own_deepcopy(module)]
    for module in special:
        memo[id(module)] = object.__new__(type(module))
    for module in special:
        memo[id(module)].__dict__.update(copy.deepcopy(vars(module), memo))
    return copy.deepcopy(model, memo)


def _has_own_deepcopy(module: nn.Module) -> bool:
    return hasattr(module, "__deepcopy__") and not type(module).__module__.startswith("torch.")


def _convert_attributes(duplicate: nn.Module) -> nn.Module:
    """Convert tensors that are plain attributes to double, which torch does not do."""
    for module in _modules(duplicate):
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and value.is_floating_point():
                module.__dict__[name] = value.double()
    return duplicate


def _modules(model: nn.Module) -> list[nn.Module]:
    """Return every module; rockpool's own ``modules()`` is a dictionary of some."""
    return [module for _, module in model.named_modules()]
