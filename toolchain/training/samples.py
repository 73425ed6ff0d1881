"""Samples of a training: spikes with an objective, out of data of any form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from numbers import Real
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Graph, MembraneReadout
from toolchain.runs.interpret import interpret
from toolchain.training.labels import as_classes, as_targets
from toolchain.training.module import ChipModule
from toolchain.training.objectives import Imitation, LabelLoss, Objective, OwnLoss
from toolchain.training.pairs import separated
from toolchain.training.settings import FitSettings
from toolchain.training.split import split

__all__ = ["FitSamples", "FitSource", "samples_of"]

NEEDED = (
    "needs labels: give labels= beside the spikes, a data set or loader of pairs (spikes, labels), "
    'your own loss=, or objective="reference", which needs none'
)
AT_ONCE = 64
"""Samples of which the trained network is run at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitSource:
    """Facts that a training needs of the deployment.

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
        """True if the outputs are states that are read, not spikes."""
        graph = self.quantized
        return all(isinstance(graph[name], MembraneReadout) for name in graph.outputs)

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return sum(prod(self.quantized.shape(name)) for name in self.quantized.outputs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitSamples:
    """Samples with their objective.

    Attributes:
        spikes: input counts, (samples, time, *features).
        rows: indices of the samples that are used.
        objective: loss and score of samples by their index.
    """

    spikes: Array
    rows: Array
    objective: Objective

    def batches(self, rows: Array, size: int) -> Iterator[Array]:
        """Yield indices of at most ``size`` samples each."""
        for first in range(0, len(rows), size):
            yield rows[first : first + size]


def samples_of(
    subject: FitSource, module: ChipModule, data: Any, labels: Any, settings: FitSettings
) -> tuple[FitSamples, FitSamples]:
    """Return the samples to train on, and those to judge by.

    Raises:
        ValueError: data or labels that cannot be used; the message states the remedy.
    """
    spikes, targets = _read(subject, data, labels, settings, "data")
    objective = _objective(subject, module, spikes, targets, settings)
    given = settings.validation
    if given is None or isinstance(given, bool | str):
        raise ValueError(
            f"validation must be a part of the samples, 0 to below 1, or (spikes, labels), "
            f"got {given!r}"
        )
    if isinstance(given, Real):
        classes = targets if isinstance(objective, LabelLoss) else None
        rows, others = split(len(spikes), float(given), settings.seed, classes)
        return (
            FitSamples(spikes=spikes, rows=rows, objective=objective),
            FitSamples(spikes=spikes, rows=others, objective=objective),
        )
    own, own_targets = _read(subject, given, None, settings, "validation")
    judged = _objective(subject, module, own, own_targets, settings)
    return (
        FitSamples(spikes=spikes, rows=np.arange(len(spikes)), objective=objective),
        FitSamples(spikes=own, rows=np.arange(len(own)), objective=judged),
    )


def _read(
    subject: FitSource, data: Any, labels: Any, settings: FitSettings, what: str
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
    subject: FitSource,
    module: ChipModule,
    spikes: Array,
    targets: Array | None,
    settings: FitSettings,
) -> Objective:
    if settings.objective is not None:
        return _imitation(subject, module, spikes)
    if settings.loss is not None:
        return OwnLoss(settings.loss, targets)
    assert targets is not None
    return LabelLoss(targets, reads_states=subject.reads_states, decision=settings.decision)


def _imitation(subject: FitSource, module: ChipModule, spikes: Array) -> Imitation:
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
