"""Adam for integers: steps in units of the last place, thresholds in proportion to themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["LatentAdam"]

BETAS = (0.9, 0.99)
TINY = 1e-12
"""Added to the root of the second moment: gradients of spikes may be very small everywhere."""


class LatentAdam(torch.optim.Optimizer):
    """Adam without weight decay whose learning rates are distances in units of the integers.

    A group with ``relative`` moves by factors: ``p exp(-lr m / sqrt(v))``, with the gradient times
    ``p``. Values are kept within ``low`` and ``high`` of their group, those of the chip.

    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([3.0, 126.9]))
    >>> adam = LatentAdam([{"params": [weight], "lr": 0.5, "low": -128, "high": 127}])
    >>> weight.grad = torch.tensor([1e-6, -40.0])
    >>> _ = adam.step()
    >>> [round(value, 3) for value in weight.tolist()]
    [2.5, 127.0]
    """

    def __init__(self, groups: Iterable[Mapping[str, Any]], lr: float = 0.5) -> None:
        """Take groups of parameters; ``lr`` is that of groups without one."""
        defaults = {"lr": lr, "relative": False, "low": -torch.inf, "high": torch.inf}
        super().__init__([dict(group) for group in groups], defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: Tensor, group: Mapping[str, Any]) -> None:
        gradient = parameter.grad
        assert gradient is not None
        if group["relative"]:
            gradient = gradient * parameter
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.int64)
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        number = int(state["step"])
        first, second = BETAS
        mean = state["mean"].mul_(first).add_(gradient, alpha=1 - first)
        square = state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        size = (square / (1 - second**number)).sqrt_().add_(TINY)
        change = mean / (1 - first**number) / size * group["lr"]
        if group["relative"]:
            parameter.mul_(torch.exp(-change))
        else:
            parameter.sub_(change)
        parameter.clamp_(group["low"], group["high"])
