"""Arguments of a layer as a dictionary, and in its ``repr``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["WithArguments", "argument", "text"]

_USUAL: dict[str, tuple[Any, ...]] = {
    "spike_fn": ("MultiSpike",),
    "reset_fn": ("MembraneSubtract()", "MembraneSubtract(subtract_value=None)"),
    "surrogate_grad_fn": ("SingleExponential(grad_width=0.5, grad_scale=1.0)",),
    "train_alphas": ("False",),
    "record_states": ("False",),
}
"""Arguments that ``repr`` shows only with a value other than these."""


class WithArguments:
    """Base of a layer that can state its arguments."""

    @property
    def arg_dict(self) -> dict[str, Any]:
        """Arguments by name that build a layer like this one, with the values as trained.

        >>> from toolchain.nn import LIF
        >>> layer = LIF(tau_mem=10.0, spike_threshold=2.0)
        >>> layer.arg_dict["spike_threshold"].item(), layer.arg_dict["norm_input"]
        (2.0, True)
        >>> twin = LIF(**layer.arg_dict)
        >>> twin
        LIF(tau_mem=10.0, spike_threshold=2.0, norm_input=True)
        """
        return {}

    @property
    def _param_dict(self) -> dict[str, Any]:
        # the name that sinabs' layers have for it as well
        return self.arg_dict

    def extra_repr(self) -> str:
        """Return the arguments for ``repr``, without those at the usual value."""
        shown = []
        for name, value in self.arg_dict.items():
            if value is None or isinstance(value, nn.Module):
                continue
            as_text = text(value)
            if as_text not in _USUAL.get(name, ()):
                shown.append(f"{name}={as_text}")
        return ", ".join(shown)


def argument(value: Tensor | None) -> Tensor | None:
    """Return a copy of a constant as an argument of a layer; one that trains as a parameter."""
    if value is None:
        return None
    copied = value.detach().clone()
    return nn.Parameter(copied) if value.requires_grad else copied


def text(value: Any) -> str:
    """Return an argument as one short line: a tensor of several numbers by its shape.

    >>> import torch
    >>> text(torch.tensor(0.1)), text(torch.ones(3, 4)), text(True)
    ('0.1', 'tensor of shape (3, 4)', 'True')
    """
    if isinstance(value, Tensor):
        if value.numel() == 1:
            return text(value.item())
        return f"tensor of shape {tuple(value.shape)}"
    if isinstance(value, float):
        return repr(float(f"{value:.6g}"))
    if isinstance(value, torch.Size):
        return str(tuple(value))
    return value.__name__ if isinstance(value, type) else repr(value)
