"""What a user would have to change for a model that is refused to be taken, each of it tried.

A layer that takes one timestep and is given a whole sequence reads time as a feature, and what is
refused then is something that follows from it. So what helps is told in place of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn

from toolchain.diagnostics import ExtractError
from toolchain.frontends.tracing.model_copy import twin_of

__all__ = ["remedy"]

_Extracted: TypeAlias = Callable[[nn.Module, Tensor], Mapping[str, str]]
_SHOWN = 4  # layers in a message


def remedy(model: nn.Module, sample: Tensor, extracted: _Extracted) -> str:
    """What helps a model that was refused on ``sample``, or nothing.

    Args:
        model: the user's own; it is not changed.
        sample: what it was run on.
        extracted: gives what is told of a run that a Graph can be made of; ExtractError where it
            cannot.
    """
    tried = (_one_mode, _one_timestep)
    return next((text for each in tried if (text := each(model, sample, extracted))), "")


def _one_mode(model: nn.Module, sample: Tensor, extracted: _Extracted) -> str:
    """Layers of SpikingJelly that take one timestep, among others that take whole sequences."""
    modes = {
        name: module.step_mode
        for name, module in model.named_modules()
        if hasattr(module, "step_mode")
    }
    single = [name for name, mode in modes.items() if mode == "s"]
    if not single or "m" not in modes.values():
        return ""
    changed = twin_of(model)
    try:
        for name in modes:
            layer: Any = changed.get_submodule(name)
            layer.step_mode = "m"
    except (AttributeError, ValueError):
        return ""  # a layer that knows no such mode
    if _taken(changed, sample, extracted) is None:
        return ""
    named = ", ".join([*map(repr, single[:_SHOWN]), *["..."] * (len(single) > _SHOWN)])
    return (
        f"{type(model).__name__}: takes one timestep in layer{'s' * (len(single) > 1)} {named}, "
        "step mode 's', and whole sequences in others, mode 'm'; "
        "functional.set_step_mode(net, 'm') sets them all"
    )


def _one_timestep(model: nn.Module, sample: Tensor, extracted: _Extracted) -> str:
    """A model of one timestep that is given a sequence."""
    if sample.dim() < 3:
        return ""
    frame = sample[:, 0]
    told = _taken(model, frame, extracted)
    if told is None or "loop" not in told:
        return ""
    return (
        f"{type(model).__name__}: its forward is one timestep; give a sample (batch, *features), "
        f"such as sample[:, 0] of shape {tuple(frame.shape)}, got {tuple(sample.shape)}"
    )


def _taken(model: nn.Module, sample: Tensor, extracted: _Extracted) -> Mapping[str, str] | None:
    try:
        return extracted(model, sample)
    except ExtractError:
        return None
