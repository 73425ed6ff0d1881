"""Synops of a network in training whose rectifiers stand for neurons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["SynOpCounter"]


class SynOpCounter:
    """Synaptic operations sent out by every ``NeuromorphicReLU``, from their last call.

    Args:
        modules: modules to look through, such as ``model.modules()``; those with a ``fanout``
            above 0 are counted, in their order.
        sum_activations: give one number rather than one a layer.

    Raises:
        ValueError: no such module among them.

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
        """Synops a sample, mean over the batch: () summed over layers, or a list of ().

        Part of the graph of the last call.

        Raises:
            ValueError: a layer that has not run yet.
        """
        synops = [getattr(module, "activity", None) for module in self.modules]
        activities = [activity for activity in synops if isinstance(activity, Tensor)]
        if len(activities) < len(synops):
            raise ValueError("no activity yet; call the model first")
        return torch.stack(activities).sum() if self.sum_activations else activities
