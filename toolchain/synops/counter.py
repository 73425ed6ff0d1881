"""Synops of a ReLU network that is trained for conversion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["SynOpCounter"]


class SynOpCounter:
    """Counter of the synaptic operations of every ``NeuromorphicReLU`` in its last call.

    >>> import torch
    >>> from toolchain.nn import NeuromorphicReLU
    >>> from toolchain.synops import SynOpCounter
    >>> model = torch.nn.Sequential(NeuromorphicReLU(fanout=10))
    >>> counter = SynOpCounter(model.modules())
    >>> _ = model(torch.tensor([[2.5, -1.0, 1.0]]))
    >>> counter().item()
    30.0

    Args:
        modules: modules to search, such as ``model.modules()``; those with a ``fanout`` above 0
            are counted, in their order.
        sum_activations: True for the sum over layers, False for one value per layer.

    Raises:
        ValueError: no ``NeuromorphicReLU`` with a ``fanout`` above 0.

    Source: sinabs' ``SynOpCounter`` as observed.
    """

    def __init__(self, modules: Iterable[nn.Module], sum_activations: bool = True) -> None:
        self.modules: list[Any] = [
            module
            for module in modules
            if type(module).__name__ == "NeuromorphicReLU"
            and float(getattr(module, "fanout", 0)) > 0
        ]
        self.sum_activations = sum_activations
        if not self.modules:
            raise ValueError("no NeuromorphicReLU with a fanout above 0 among the modules")

    def __call__(self) -> Tensor | list[Tensor]:
        """Return the synops per sample, batch mean: () summed over layers, or a list of ().

        The result is differentiable.

        Raises:
            ValueError: a layer has not run yet.
        """
        synops = [getattr(module, "activity", None) for module in self.modules]
        activities = [activity for activity in synops if isinstance(activity, Tensor)]
        if len(activities) < len(synops):
            raise ValueError("no activity yet; call the model first")
        return torch.stack(activities).sum() if self.sum_activations else activities
