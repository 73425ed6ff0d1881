"""What a user would have to change for a model that is refused to be taken, each of it tried.

A layer that takes one timestep and is given a whole sequence reads time as a feature, and what is
refused then is something that follows from it. So what helps is told in place of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn

from toolchain.diagnostics import ExtractError
from toolchain.frontends.tracing.model_copy import copy_model

__all__ = ["find_remedy"]

_Extract: TypeAlias = Callable[[nn.Module, Tensor], Mapping[str, str]]
_SHOWN = 4  # layers in a message


def find_remedy(model: nn.Module, sample: Tensor, extract: _Extract) -> str:
    """What helps a model that was refused on ``sample``, or nothing.

    Args:
        model: the user's own; it is not changed.
        sample: what it was run on.
        extracted: gives what is told of a run that a Graph can be made of; ExtractError where it
            cannot.
    """
    attempts = (_one_mode, _one_timestep)
    return next((text for each in attempts if (text := each(model, sample, extract))), "")


def _one_mode(model: nn.Module, sample: Tensor, extract: _Extract) -> str:
    """Layers of SpikingJelly that take one timestep, among others that take whole sequences."""
    modes = {
        name: module.step_mode
        for name, module in model.named_modules()
        if hasattr(module, "step_mode")
    }
    single = [name for name, mode in modes.items() if mode == "s"]
    if not single or "m" not in modes.values():
        return ""
    duplicate = copy_model(model)
    try:
        for name in modes:
            layer: Any = duplicate.get_submodule(name)
            layer.step_mode = "m"
    except (AttributeError, ValueError):
        return ""  # a layer that knows no such mode
    if _try_extract(duplicate, sample, extract) is None:
        return ""
    names = ", ".join([*map(repr, single[:_SHOWN]), *["..."] * (len(single) > _SHOWN)])
    return (
        f"{type(model).__name__}: takes one timestep in layer{'s' * (len(single) > 1)} {names}, "
        "step mode 's', and whole sequences in others, mode 'm'; "
        "functional.set_step_mode(net, 'm') sets them all"
    )


def _one_timestep(model: nn.Module, sample: Tensor, extract: _Extract) -> str:
    """A model of one timestep that is given a sequence."""
    if sample.dim() < 3:
        return ""
    frame = sample[:, 0]
    notes = _try_extract(model, frame, extract)
    if notes is None or "loop" not in notes:
        return ""
    return (
        f"{type(model).__name__}: its forward is one timestep; give a sample (batch, *features), "
        f"such as sample[:, 0] of shape {tuple(frame.shape)}, got {tuple(sample.shape)}"
    )


def _try_extract(model: nn.Module, sample: Tensor, extract: _Extract) -> Mapping[str, str] | None:
    try:
        return extract(model, sample)
    except ExtractError:
        return None
