"""Loop of a training: epochs, each judged on samples that it did not see; the best is taken."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

from toolchain.arrays import Array
from toolchain.chips.progress import Step, steps
from toolchain.chips.rules.findings import is_error
from toolchain.diagnostics import DeployError, GradientError
from toolchain.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from toolchain.training.history import Epoch, History
from toolchain.training.module import ChipModule
from toolchain.training.samples import FitSamples
from toolchain.training.schedule import course
from toolchain.training.score import Score

__all__ = ["Loop"]

SATURATIONS_TO_STOP = (3.0, 0.05)
"""Training stops at so many times the saturations of the start plus this part of all states."""
JUDGED = 256
"""Training samples on which saturations are counted where there are no validation samples."""


@dataclass(kw_only=True, eq=False)
class Loop:
    """A training of a module; ``run`` leaves the best parameters in it.

    Attributes:
        module: what is trained.
        optimizer: of its parameters; their learning rates are those of the whole, which a warm-up
            and a cosine reduce.
        train, judge: samples to train on, and those that choose the epoch, which may be none.
        epochs, batch, seed: number of epochs, samples of an optimizer step, and seed of the order.
        progress: whether a progress bar is shown.
        checkpoint: folder of the state after each epoch; None for none.
        identity: what a checkpoint must have in common to be continued.
    """

    module: ChipModule
    optimizer: Optimizer
    train: FitSamples
    judge: FitSamples
    epochs: int
    batch: int
    seed: int
    progress: bool = True
    checkpoint: str | os.PathLike[str] | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> History:
        """Train, from the checkpoint if there is one, and return the history.

        Raises:
            ArtifactError: the checkpoint is damaged or that of another training.
            GradientError: a gradient or the loss of the first epoch is not finite.
            ValueError: spikes that the chip does not take, or an invalid loss.
        """
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self._history: list[Epoch] = []
        self._choice, self._reason = 0, ""
        if not self._resumed():
            self._history.append(self._judged(0, None))
            self._best = self._parameters()
        done = len(self._history) - 1
        work = (self.epochs - done) * self._batches
        with steps("training", work) if self.progress else nullcontext(_silent) as step:
            while len(self._history) <= self.epochs and not self._reason:
                self._epoch(len(self._history), step)
                self._save()
        self._load(self._best)
        return History(
            epochs=tuple(self._history),
            choice=self._choice,
            samples=len(self.train.rows),
            validation=len(self.judge.rows),
            reason=self._reason,
        )

    @property
    def _batches(self) -> int:
        return -(-len(self.train.rows) // self.batch)

    def _epoch(self, number: int, step: Step) -> None:
        """Train for an epoch and judge it."""
        try:
            loss = self._trained(number, step)
        except GradientError as fault:
            if number == 1:
                raise
            self._reason = f"stopped in epoch {number}: {fault}; the best epoch before was taken"
            return
        epoch = self._judged(number, loss)
        best = self._history[self._choice].score
        if epoch.score is None or best is None or epoch.score.beats(best):
            epoch = replace(epoch, refusal=self._refusal())
            if not epoch.refusal:
                self._choice, self._best = number, self._parameters()
        self._history.append(epoch)
        limit = self._most_saturations()
        if epoch.saturations > limit:
            self._reason = (
                f"stopped after epoch {number}: {epoch.saturations} states were saturated, "
                f"{self._history[0].saturations} at the start; train with a smaller lr"
            )

    def _trained(self, number: int, step: Step) -> float:
        """Train for an epoch and return the mean loss."""
        samples, total = self.train, 0.0
        order = np.random.default_rng((self.seed, number)).permutation(samples.rows)
        done = (number - 1) * self._batches
        for batch, rows in enumerate(samples.batches(order, self.batch)):
            part = course(done + batch, self.epochs * self._batches)
            for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
                group["lr"] = part * rate
            self.optimizer.zero_grad()
            outcome = self.module.run(samples.spikes[rows], layers=samples.objective.layers)
            loss = samples.objective.loss(outcome, rows)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise GradientError(f"the loss is {value}; train with a smaller lr")
            torch.autograd.backward(loss)
            self.optimizer.step()
            self.module.project()
            total += value * len(rows)
            step()
        return total / len(order)

    @torch.no_grad()
    def _judged(self, number: int, loss: float | None) -> Epoch:
        """Return an epoch with its score and saturations."""
        samples = self.judge if len(self.judge.rows) else self.train
        measures, saturations = [], 0
        # a pass that returns outputs alone need not count saturations
        program = self.module.program
        hidden = [name for name in program.layers if name not in program.outputs][:1]
        layers = {*hidden, *samples.objective.layers}
        rows = self.judge.rows if len(self.judge.rows) else self.train.rows[:JUDGED]
        for part in samples.batches(rows, self.batch):
            outcome = self.module.run(samples.spikes[part], layers=sorted(layers))
            measures.append(samples.objective.measure(outcome, part))
            saturations += sum(outcome.saturations.values())
        score: Score | None = samples.objective.score(measures)
        steps_done = number * self._batches
        return Epoch(
            number=number,
            loss=loss,
            score=score if len(self.judge.rows) else None,
            saturations=saturations,
            rate=course(steps_done - 1, self.epochs * self._batches) if number else 0.0,
        )

    def _refusal(self) -> str:
        """Return why the chip does not take the integers as they are now; empty if it does.

        Integers that were rounded to 0 grow, and then they take memory and connections.
        """
        try:
            self.module.deployment()
        except DeployError as refusal:
            error = next(filter(is_error, refusal.diagnostics))
            return f"{error.where}: {error.message}"
        return ""

    def _most_saturations(self) -> float:
        times, part = SATURATIONS_TO_STOP
        neurons = sum(map(prod, self.module.program.layers.values()))
        judged = self.judge.rows if len(self.judge.rows) else self.train.rows[:JUDGED]
        states = neurons * len(judged) * int(self.judge.spikes.shape[1])
        return times * self._history[0].saturations + part * states

    def _parameters(self) -> dict[str, Array]:
        tensors = self.module.state_dict()
        return {name: np.array(each.numpy(force=True)) for name, each in tensors.items()}

    def _load(self, arrays: Mapping[str, Array]) -> None:
        self.module.load_state_dict({name: torch.as_tensor(each) for name, each in arrays.items()})

    def _resumed(self) -> bool:
        """Continue from the checkpoint, if there is one."""
        if self.checkpoint is None:
            return False
        found = read_checkpoint(self.checkpoint, self.identity)
        if found is None:
            return False
        self._load(found.parameters)
        self.optimizer.load_state_dict(dict(found.optimizer))
        self._history, self._choice = [*found.epochs], found.choice
        self._reason, self._best = found.reason, dict(found.best)
        return True

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        state = Checkpoint(
            run=self.identity,
            epochs=tuple(self._history),
            choice=self._choice,
            reason=self._reason,
            parameters=self._parameters(),
            best=self._best,
            optimizer=self.optimizer.state_dict(),
        )
        write_checkpoint(self.checkpoint, state)


def _silent() -> None:
    """Count no step."""
