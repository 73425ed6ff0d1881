"""Settings of a training, checked by themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

from toolchain.report import brief
from toolchain.runs.decisions import DECISION_RULES, DecisionRule
from toolchain.training.schedule import Rates

__all__ = ["FitSettings", "Loss", "MakeOptimizer"]

Loss: TypeAlias = Callable[[Tensor, Any], Tensor]
"""Function of the outputs (batch, time, outputs) and the labels of a batch, to one number."""

MakeOptimizer: TypeAlias = Callable[[Iterable[torch.nn.Parameter]], Optimizer]
"""Function of the parameters, such as ``functools.partial(torch.optim.SGD, lr=0.1)``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitSettings:
    """Settings of a training; ``Deployment.fit`` describes them."""

    loss: Loss | None
    objective: Literal["reference"] | None
    decision: DecisionRule
    epochs: int
    validation: Any
    batch: int
    lr: float | Rates | None
    optimizer: MakeOptimizer | None
    seed: int
    progress: bool
    checkpoint: str | os.PathLike[str] | None

    def __post_init__(self) -> None:
        """Check the settings by themselves.

        Raises:
            ValueError: the message states what is valid.
        """
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
            object.__setattr__(self, name, int(value))
        if self.decision not in DECISION_RULES:
            raise ValueError(
                f"decision must be one of {', '.join(DECISION_RULES)}, got {self.decision!r}"
            )
        self._check_loss()
        self._check_optimizer()

    def _check_loss(self) -> None:
        if self.objective not in (None, "reference"):
            raise ValueError(f'objective must be "reference" or None, got {self.objective!r}')
        if self.loss is not None and self.objective is not None:
            raise ValueError("give loss= or objective=, not both")
        if self.loss is not None and not callable(self.loss):
            raise ValueError(
                f"loss must be a function of (outputs, labels), got {brief(self.loss)}"
            )

    def _check_optimizer(self) -> None:
        if self.optimizer is None:
            return
        if not callable(self.optimizer):
            raise ValueError(
                "optimizer must be a function of the parameters, which fit creates, such as "
                f"functools.partial(torch.optim.SGD, lr=0.1), got {brief(self.optimizer)}"
            )
        if self.lr is not None:
            raise ValueError("lr= is that of the default optimizer; give yours in optimizer=")
