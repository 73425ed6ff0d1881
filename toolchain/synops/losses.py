"""Loss terms that reduce synaptic operations or keep neurons active.

They read the results of this package's hooks in ``hook_data`` of the last pass and return tensors
of shape (), to be weighted and added to the task loss.

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
    """Return ``max(total - target, 0)^2`` for the synops of the whole model, ().

    >>> import torch
    >>> from toolchain.synops import register_synops_hooks, total_synops_loss
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.ReLU())
    >>> _ = register_synops_hooks(model)
    >>> _ = model(torch.ones(1, 3, 2))  # 10 synops per timestep
    >>> total_synops_loss(model, target=8.0).item()
    4.0

    Args:
        model: with ``register_synops_hooks`` on it, after a pass.
        target: synops per timestep of the whole model; number or ().

    Raises:
        ValueError: no results of a pass.
    """
    total: Tensor = _figures(model, "total_synops_per_timestep")
    return torch.relu(total - target).square()


def layer_synops_loss(
    model: nn.Module, target: float | Tensor | Mapping[Key, float | Tensor]
) -> Tensor:
    """Return the sum over layers of ``max(synops - target, 0)^2``, ().

    >>> import torch
    >>> from toolchain.synops import layer_synops_loss, register_synops_hooks
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.ReLU())
    >>> _ = register_synops_hooks(model)
    >>> _ = model(torch.ones(1, 3, 2))  # 10 synops per timestep
    >>> layer_synops_loss(model, target={0: 9.0}).item()
    1.0

    Args:
        model: with ``register_synops_hooks`` on it, after a pass.
        target: synops per timestep of every layer, number or (); or a mapping for some layers,
            with the keys of ``hook_data["synops_per_timestep"]``.

    Raises:
        ValueError: no results of a pass, or a target for a layer that was not counted.
    """
    synops: dict[Key, Tensor] = _figures(model, "synops_per_timestep")
    targets = target if isinstance(target, Mapping) else dict.fromkeys(synops, target)
    missing = [key for key in targets if key not in synops]
    if missing:
        raise ValueError(
            f"target contains layer {missing[0]!r}, but the counted layers are "
            f"{', '.join(map(str, synops))}"
        )
    above = [torch.relu(synops[key] - limit).square() for key, limit in targets.items()]
    return torch.stack(above).sum() if above else torch.zeros(())


def firing_rate_loss(model: nn.Module, target: float | Tensor) -> Tensor:
    """Return the sum over neurons of ``max(target - rate, 0)^2``, ().

    >>> import torch
    >>> from toolchain.nn import IAF
    >>> from toolchain.synops import firing_rate_loss, firing_rate_per_neuron_hook
    >>> model = torch.nn.Sequential(IAF())
    >>> _ = model[0].register_forward_hook(firing_rate_per_neuron_hook)
    >>> _ = model(torch.tensor([1.0, 0.5, 0.0]).expand(1, 4, 3))  # rates 1, 0.5 and 0
    >>> firing_rate_loss(model, target=0.5).item()
    0.25

    Args:
        model: with ``firing_rate_per_neuron_hook`` on the layers to keep active, after a pass;
            rates (*features) of any shape.
        target: minimum spikes per timestep of every neuron; number or ().

    Raises:
        ValueError: no layer has firing rates.
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
