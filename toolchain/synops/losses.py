"""Terms of a loss that make a network cheaper, or keep it awake.

They read what the hooks of this package left in ``hook_data`` in the last pass, and give tensors
of shape () to be weighed and added to the loss of the task.

Source: Sorbaro et al. 2020, "Optimizing the energy consumption of spiking neural networks for
neuromorphic applications", section 2.4, for a target of synops; the squares above and below a
target are those of sinabs' synops tutorial.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from toolchain.synops.layers import Key

__all__ = ["firing_rate_loss", "layer_synops_loss", "total_synops_loss"]


def total_synops_loss(model: nn.Module, target: float | Tensor) -> Tensor:
    """``max(total - target, 0)^2``, ().

    Args:
        model: with ``register_synops_hooks`` on it, after a pass.
        target: synops a time step of the whole model; number or ().

    Raises:
        ValueError: no figures of a pass.
    """
    total: Tensor = _figures(model, "total_synops_per_timestep")
    return torch.relu(total - target).square()


def layer_synops_loss(
    model: nn.Module, target: float | Tensor | Mapping[Key, float | Tensor]
) -> Tensor:
    """``sum over layers of max(synops - target, 0)^2``, ().

    Args:
        model: with ``register_synops_hooks`` on it, after a pass.
        target: synops a time step of every layer, number or (); or of some, by the keys of
            ``hook_data["synops_per_timestep"]``.

    Raises:
        ValueError: no figures of a pass, or a target for a layer that has none.
    """
    synops: dict[Key, Tensor] = _figures(model, "synops_per_timestep")
    targets = target if isinstance(target, Mapping) else dict.fromkeys(synops, target)
    missing = [key for key in targets if key not in synops]
    if missing:
        raise ValueError(f"target names {missing[0]!r}, counted were {', '.join(map(str, synops))}")
    above = [torch.relu(synops[key] - limit).square() for key, limit in targets.items()]
    return torch.stack(above).sum() if above else torch.zeros(())


def firing_rate_loss(model: nn.Module, target: float | Tensor) -> Tensor:
    """``sum over neurons of max(target - rate, 0)^2``, ().

    Args:
        model: with ``firing_rate_per_neuron_hook`` on the layers that are to be awake, after a
            pass; rates (*features) of any shape.
        target: spikes a time step that every neuron should reach; number or ().

    Raises:
        ValueError: no layer with rates.
    """
    rates = [
        module.hook_data["firing_rate_per_neuron"]  # type: ignore[index]
        for module in model.modules()
        if "firing_rate_per_neuron" in getattr(module, "hook_data", {})
    ]
    if not rates:
        raise ValueError(
            "no layer has firing rates; register firing_rate_per_neuron_hook and call the model"
        )
    return torch.stack([torch.relu(target - rate).square().sum() for rate in rates]).sum()


def _figures(model: nn.Module, key: str) -> Any:
    data = getattr(model, "hook_data", {})
    if key not in data:
        raise ValueError(f"the model has no {key}; use register_synops_hooks and call the model")
    return data[key]
