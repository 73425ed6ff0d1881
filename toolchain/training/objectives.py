"""Objectives of a training: what the loss is, and by what an epoch is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toolchain.arrays import Array
from toolchain.report import brief
from toolchain.runs.accuracy import accuracy_of
from toolchain.runs.agreement import AgreementTally
from toolchain.runs.decisions import DecisionRule
from toolchain.training.run import ModuleRun
from toolchain.training.score import Score

__all__ = ["Imitation", "LabelLoss", "Objective", "OwnLoss"]

SPIKES_OF_A_LOGIT = 3.0
"""Spikes that are one unit of a logit in the loss of labels."""
LARGEST_MISS = 4.0
"""Spikes of a neuron in a sample beyond which a difference pulls no stronger."""


class Objective(Protocol):
    """Loss of a batch, and score of a validation that arrives in batches.

    Attributes:
        layers: names of the layers whose values are needed.
    """

    layers: tuple[str, ...]

    def loss(self, outcome: ModuleRun, rows: Array) -> Tensor:
        """Return the mean loss of the samples ``rows``."""
        ...

    def measure(self, outcome: ModuleRun, rows: Array) -> Sequence[Array]:
        """Return what ``score`` needs of the samples ``rows``."""
        ...

    def score(self, measures: Sequence[Sequence[Array]]) -> Score:
        """Return the score of all batches that were measured."""
        ...

    def targets(self) -> Sequence[Array]:
        """Return what the samples are compared with."""
        ...


class LabelLoss:
    """Cross-entropy of labels: of spike counts, 3 of which are a unit of a logit, or of states.

    Args:
        labels: class numbers, (samples,).
        reads_states: whether the outputs are states that are read, not spikes.
        decision: which of the values over time count; the mean, for spikes, is their number.
    """

    layers: tuple[str, ...] = ()

    def __init__(
        self,
        labels: Array,
        *,
        reads_states: bool = False,
        decision: DecisionRule = "mean",
    ) -> None:
        self._labels, self._states, self._decision = labels, reads_states, decision

    def loss(self, outcome: ModuleRun, rows: Array) -> Tensor:
        """Return the mean cross-entropy."""
        return functional.cross_entropy(self._logits(outcome), self._rows(rows))

    def measure(self, outcome: ModuleRun, rows: Array) -> Sequence[Array]:
        """Return the scores and labels of a batch."""
        return self._logits(outcome).detach().numpy(), self._labels[rows]

    def score(self, measures: Sequence[Sequence[Array]]) -> Score:
        """Return the accuracy."""
        scores, labels = (np.concatenate(parts) for parts in zip(*measures, strict=True))
        loss = functional.cross_entropy(torch.as_tensor(scores), torch.as_tensor(labels))
        found = accuracy_of(scores, labels)
        return Score.of_accuracy(found.right, found.samples, float(loss))

    def targets(self) -> Sequence[Array]:
        """Return the labels."""
        return (self._labels,)

    def _logits(self, outcome: ModuleRun) -> Tensor:
        values = outcome.spikes
        if self._decision == "last":
            chosen = values[:, -1]
        elif self._decision == "max":
            chosen = values.amax(dim=1)
        elif self._states:
            chosen = values.mean(dim=1)
        else:
            chosen = values.sum(dim=1)
        return chosen if self._states else chosen / SPIKES_OF_A_LOGIT

    def _rows(self, rows: Array) -> Tensor:
        return torch.as_tensor(self._labels[rows])


class OwnLoss:
    """Loss of the user, a function of outputs and labels; less of it is better."""

    layers: tuple[str, ...] = ()

    def __init__(self, function: Callable[[Tensor, Any], Tensor], labels: Array | None) -> None:
        self._function = function
        self._labels = None if labels is None else torch.as_tensor(labels)

    def loss(self, outcome: ModuleRun, rows: Array) -> Tensor:
        """Return the value of the function.

        Raises:
            ValueError: it is no single number, or does not depend on the outputs.
        """
        labels = None if self._labels is None else self._labels[torch.as_tensor(rows)]
        value = self._function(outcome.spikes, labels)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ValueError(
                f"loss must return one number as a tensor, got {brief(value)}; end it in .mean()"
            )
        if outcome.spikes.requires_grad and not value.requires_grad:
            raise ValueError(
                "loss does not depend on the outputs; compute it of them in torch, without "
                ".detach(), .numpy() or argmax"
            )
        return value.reshape(())

    def measure(self, outcome: ModuleRun, rows: Array) -> Sequence[Array]:
        """Return loss and size of a batch."""
        return np.array(float(self.loss(outcome, rows).detach())), np.array(len(rows))

    def score(self, measures: Sequence[Sequence[Array]]) -> Score:
        """Return the mean loss."""
        number = sum(int(size) for _, size in measures)
        total = sum(float(loss) * int(size) for loss, size in measures)
        return Score("loss", total / number, number)

    def targets(self) -> Sequence[Array]:
        """Return the labels, if there are any."""
        return () if self._labels is None else (self._labels.numpy(),)


class Imitation:
    """Spike counts of another run, such as the trained network's, of the outputs and layers.

    The loss is the squared difference of counts, linear beyond 4 spikes.

    Args:
        counts: over the steps that both runs have, by layer, (samples, *shape).
        lags: timesteps by which each layer of the chip is later.
        outputs: names of the layers that are the outputs.
    """

    def __init__(
        self, counts: Mapping[str, Array], lags: Mapping[str, int], outputs: Sequence[str]
    ) -> None:
        self._counts = {name: torch.as_tensor(each).float() for name, each in counts.items()}
        self._lags, self._outputs = lags, tuple(outputs)
        self.layers = tuple(counts)

    def loss(self, outcome: ModuleRun, rows: Array) -> Tensor:
        """Return the mean over samples of the sum over neurons."""
        pairs = [self._pair(outcome, name, rows) for name in self._counts]
        sums = [functional.huber_loss(*pair, reduction="sum", delta=LARGEST_MISS) for pair in pairs]
        return torch.stack(sums).sum() / len(rows)

    def measure(self, outcome: ModuleRun, rows: Array) -> Sequence[Array]:
        """Return both counts of the outputs, each (batch, neurons)."""
        pairs = [self._pair(outcome, name, rows) for name in self._outputs]
        chip, wanted = (
            torch.cat([pair[k].detach().flatten(1) for pair in pairs], dim=1).numpy()
            for k in (0, 1)
        )
        return wanted, chip

    def score(self, measures: Sequence[Sequence[Array]]) -> Score:
        """Return the agreement of the counts of the outputs."""
        tally = AgreementTally()
        for wanted, chip in measures:
            tally.add(wanted, chip)
        return Score("agreement", tally.agreement().value, sum(len(w) for w, _ in measures))

    def targets(self) -> Sequence[Array]:
        """Return the counts of each layer."""
        return [each.numpy() for each in self._counts.values()]

    def _pair(self, outcome: ModuleRun, name: str, rows: Array) -> tuple[Tensor, Tensor]:
        values = outcome.layers[name][:, self._lags.get(name, 0) :].sum(dim=1)
        return values, self._counts[name][torch.as_tensor(rows)].reshape(values.shape)
