"""Training of a module on data of any form, with the settings that work."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from toolchain.arrays import Array
from toolchain.ir import Graph, MembraneReadout
from toolchain.report import brief
from toolchain.runs.decisions import DECISION_RULES, DecisionRule
from toolchain.runs.interpret import interpret
from toolchain.training.adam import LatentAdam
from toolchain.training.history import History
from toolchain.training.labels import as_classes, as_targets
from toolchain.training.loop import Loop, Samples
from toolchain.training.module import ChipModule
from toolchain.training.objectives import Classes, Imitation, Objective, OwnLoss
from toolchain.training.pairs import separated
from toolchain.training.schedule import Rates, rates_of, step_sizes
from toolchain.training.split import split

__all__ = ["Loss", "MakeOptimizer", "Settings", "Subject", "fit"]

Loss: TypeAlias = Callable[[Tensor, Any], Tensor]
"""Function of the outputs (batch, time, outputs) and the labels of a batch, to one number."""

MakeOptimizer: TypeAlias = Callable[[Iterable[torch.nn.Parameter]], Optimizer]
"""Function of the parameters, such as ``functools.partial(torch.optim.SGD, lr=0.1)``."""

NEEDED = (
    "needs labels: give labels= beside the spikes, a data set or loader of pairs (spikes, labels), "
    'your own loss=, or objective="reference", which needs none'
)
AT_ONCE = 64
"""Samples of which the trained network is run at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """What a training must know of the deployment.

    Attributes:
        graph: the trained network.
        quantized: the network of integers.
        lags: timesteps by which each layer is later on the chip.
        counts: function of spikes of any form and the name of the argument, to counts (batch,
            time, *features).
    """

    graph: Graph
    quantized: Graph
    lags: Mapping[str, int]
    counts: Callable[[Any, str], Array]

    @property
    def reads_states(self) -> bool:
        """Whether the outputs are states that are read, not spikes."""
        graph = self.quantized
        return all(isinstance(graph[name], MembraneReadout) for name in graph.outputs)

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return sum(prod(self.quantized.shape(name)) for name in self.quantized.outputs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings:
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
        """Check the settings by themselves."""
        for name in ("epochs", "batch"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number above 0, got {value!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed must be a whole number >= 0, got {self.seed!r}")
        if self.objective not in (None, "reference"):
            raise ValueError(f'objective must be "reference" or None, got {self.objective!r}')
        if self.decision not in DECISION_RULES:
            raise ValueError(
                f"decision must be one of {', '.join(DECISION_RULES)}, got {self.decision!r}"
            )
        if self.loss is not None and self.objective is not None:
            raise ValueError("give loss= or objective=, not both")
        if self.loss is not None and not callable(self.loss):
            raise ValueError(
                f"loss must be a function of (outputs, labels), got {brief(self.loss)}"
            )
        if self.optimizer is None:
            return
        if not callable(self.optimizer):
            raise ValueError(
                "optimizer must be a function of the parameters, which fit creates, such as "
                f"functools.partial(torch.optim.SGD, lr=0.1), got {brief(self.optimizer)}"
            )
        if self.lr is not None:
            raise ValueError("lr= is that of the default optimizer; give yours in optimizer=")


def fit(
    module: ChipModule, subject: Subject, data: Any, labels: Any, settings: Settings
) -> History:
    """Train a module and leave the best parameters in it; see ``Deployment.fit``.

    Raises:
        ValueError: data, labels or settings that cannot be used; the message states the remedy.
        ArtifactError: a checkpoint that cannot be read, or that of another training.
        GradientError: a gradient that is not finite.
    """
    train, judge = _samples(subject, module, data, labels, settings)
    loop = Loop(
        module=module,
        optimizer=_optimizer(module, settings),
        train=train,
        judge=judge,
        epochs=settings.epochs,
        batch=settings.batch,
        seed=settings.seed,
        progress=settings.progress,
        checkpoint=settings.checkpoint,
        identity=_identity(module, train, judge, settings) if settings.checkpoint else {},
    )
    return loop.run()


def _samples(
    subject: Subject, module: ChipModule, data: Any, labels: Any, settings: Settings
) -> tuple[Samples, Samples]:
    """Return the samples to train on, and those to judge by."""
    spikes, targets = _read(subject, data, labels, settings, "data")
    objective = _objective(subject, module, spikes, targets, settings)
    given = settings.validation
    if isinstance(given, int | float) and not isinstance(given, bool):
        classes = targets if isinstance(objective, Classes) else None
        rows, others = split(len(spikes), float(given), settings.seed, classes)
        return (
            Samples(spikes=spikes, rows=rows, objective=objective),
            Samples(spikes=spikes, rows=others, objective=objective),
        )
    own, own_targets = _read(subject, given, None, settings, "validation")
    judged = _objective(subject, module, own, own_targets, settings)
    return (
        Samples(spikes=spikes, rows=np.arange(len(spikes)), objective=objective),
        Samples(spikes=own, rows=np.arange(len(own)), objective=judged),
    )


def _read(
    subject: Subject, data: Any, labels: Any, settings: Settings, what: str
) -> tuple[Array, Array | None]:
    """Return counts (samples, time, *features), and labels as the loss takes them."""
    if settings.objective is not None and labels is not None:
        raise ValueError('objective="reference" trains without labels; omit one of the two')
    spikes, targets = separated(subject.graph, data, labels)
    counts = subject.counts(spikes, what)
    if not counts.size:
        raise ValueError(f"{what} has shape {counts.shape}: give at least one sample and timestep")
    if settings.objective is not None:
        return counts, None
    if settings.loss is not None:
        return counts, None if targets is None else as_targets(targets, len(counts))
    if targets is None:
        raise ValueError(f"{what} {NEEDED}")
    outputs = subject.quantized.output_names
    if len(outputs) > 1:
        raise ValueError(
            f"labels are of one output, but the network has {', '.join(outputs)}; give your own "
            "loss=, a function of (outputs, labels) with all outputs side by side"
        )
    return counts, as_classes(targets, len(counts), subject.classes)


def _objective(
    subject: Subject,
    module: ChipModule,
    spikes: Array,
    targets: Array | None,
    settings: Settings,
) -> Objective:
    if settings.objective is not None:
        return _imitation(subject, module, spikes)
    if settings.loss is not None:
        return OwnLoss(settings.loss, targets)
    assert targets is not None
    return Classes(targets, reads_states=subject.reads_states, decision=settings.decision)


def _imitation(subject: Subject, module: ChipModule, spikes: Array) -> Imitation:
    """Return the objective of the trained network's counts, in every layer that both have."""
    outputs = module.program.outputs
    if subject.reads_states:
        raise ValueError(
            'objective="reference" compares spikes, but the outputs of this network are states; '
            "give labels, or your own loss="
        )
    sums: dict[str, list[Array]] = {}
    steps = spikes.shape[1]
    shape = subject.graph.shape(subject.graph.input)
    for first in range(0, len(spikes), AT_ONCE):
        part = spikes[first : first + AT_ONCE]
        run = interpret(subject.graph, part.reshape(*part.shape[:2], *shape), record=True)
        for name, layer in run.layers.items():
            if name in module.program.layers:
                length = max(0, steps - subject.lags.get(name, 0))
                sums.setdefault(name, []).append(layer.spikes[:, :length].sum(axis=1))
    if lost := [name for name in outputs if name not in sums]:
        raise ValueError(
            f"the trained network has no layer {lost[0]!r} to compare with; give labels, or your "
            "own loss="
        )
    counts = {name: np.concatenate(parts) for name, parts in sums.items()}
    return Imitation(counts, subject.lags, outputs)


def _optimizer(module: ChipModule, settings: Settings) -> Optimizer:
    tensors = {n: p for n, p in module.named_parameters() if p.requires_grad}
    if not tensors:
        raise ValueError("nothing to train: the network has no parameter of the kinds in train=")
    if settings.optimizer is not None:
        return settings.optimizer(list(tensors.values()))
    parameters = {n: each.parameter for n, each in module.latents().items() if n in tensors}
    sizes = step_sizes(parameters.values(), rates_of(settings.lr))
    return LatentAdam(
        {
            "params": [tensors[name]],
            "lr": sizes[name],
            "relative": parameter.kind == "threshold",
            "low": parameter.low,
            "high": parameter.high,
        }
        for name, parameter in parameters.items()
    )


def _identity(
    module: ChipModule, train: Samples, judge: Samples, settings: Settings
) -> dict[str, Any]:
    """Return what identifies a training, as plain data; of functions, their names."""
    start = {name: each.start for name, each in module.latents().items()}
    kinds = {n: p.requires_grad for n, p in module.named_parameters()}
    return {
        "epochs": settings.epochs,
        "batch": settings.batch,
        "seed": settings.seed,
        "lr": dict(rates_of(settings.lr)),
        "timing": module.timing,
        "train": sorted(name for name, trained in kinds.items() if trained),
        "surrogate": _name(module.surrogate),
        "optimizer": _name(settings.optimizer),
        "loss": _name(settings.loss),
        "objective": settings.objective,
        "decision": settings.decision,
        "samples": len(train.rows),
        "validation": len(judge.rows),
        "data": _digest([train.spikes, train.rows, judge.spikes, judge.rows]),
        "targets": _digest([*train.objective.targets(), *judge.objective.targets()]),
        "start": _digest(list(start.values())),
    }


def _name(function: Any) -> str | None:
    """Return a text that is the same in another process."""
    if function is None:
        return None
    return getattr(function, "__qualname__", None) or (
        repr(function) if type(function).__module__.startswith("toolchain.") else _type(function)
    )


def _type(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _digest(arrays: Iterable[Array]) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
