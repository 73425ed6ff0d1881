"""Changes that would make a refused model convertible, each tried before it is suggested.

A layer that takes one timestep and is given a whole sequence reads time as a feature, so that the
refusal names a consequence and not the cause. The suggestion replaces that message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn

from toolchain.diagnostics import ExtractError
from toolchain.frontends.tracing.model_copy import copy_model, kept_states

__all__ = ["find_remedy"]

_Extract: TypeAlias = Callable[[nn.Module, Tensor], Mapping[str, str]]
_SHOWN = 4  # layers in a message


def find_remedy(model: nn.Module, sample: Tensor, extract: _Extract) -> str:
    """Return the change that makes a refused model convertible on ``sample``, or an empty text.

    Args:
        model: the user's own model; it is not changed.
        sample: the input on which it was refused.
        extract: returns the notes of a convertible run, and raises ExtractError otherwise.
    """
    return (
        _one_mode(model, sample, extract)
        or _states_of_a_run(model, sample, extract)
        or _one_timestep(model, sample, extract)
    )


def _states_of_a_run(model: nn.Module, sample: Tensor, extract: _Extract) -> str:
    """Suggest to reset a model that keeps states of an earlier run in attributes."""
    names = [*kept_states(model)]
    if not names:
        return ""
    duplicate = copy_model(model)
    for name in names:
        module, _, attribute = name.rpartition(".")
        setattr(duplicate.get_submodule(module), attribute, None)
    if _try_extract(duplicate, sample, extract) is None:
        return ""
    listed = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return (
        f"{type(model).__name__}: keeps a state of an earlier run in {listed}, and a chip starts "
        f"at rest; reset the model before, here by {names[0]} = None"
    )


def _one_mode(model: nn.Module, sample: Tensor, extract: _Extract) -> str:
    """Suggest one step mode where SpikingJelly layers of both modes are mixed."""
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
        return ""  # a layer without mode 'm'
    if _try_extract(duplicate, sample, extract) is None:
        return ""
    names = ", ".join(map(repr, single[:_SHOWN])) + (", ..." if len(single) > _SHOWN else "")
    layers = "layer" if len(single) == 1 else "layers"
    return (
        f"{type(model).__name__}: takes one timestep in {layers} {names}, "
        "step mode 's', and whole sequences in others, mode 'm'; "
        "functional.set_step_mode(net, 'm') sets them all"
    )


def _one_timestep(model: nn.Module, sample: Tensor, extract: _Extract) -> str:
    """Suggest a sample without time axis for a model of one timestep."""
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
