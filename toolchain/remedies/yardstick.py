"""Measure of a network on a chip against the given float network, on samples kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Family
from toolchain.deployment import Deployment
from toolchain.deployment.inputs import counts_of, some_steps
from toolchain.ir import Graph, MembraneReadout
from toolchain.runs.agreement import agreement_of
from toolchain.runs.decisions import DecisionRule, decide
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import aligned
from toolchain.runs.states import state_agreement
from toolchain.training.labels import as_classes
from toolchain.training.pairs import separated
from toolchain.training.split import split

__all__ = ["Yardstick", "yardstick"]

AT_ONCE = 64
"""Samples that the float network is run on at a time."""
PART = 0.25
"""Part of the samples that is kept apart."""
MOST = 1000
"""Most samples that are kept apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Yardstick:
    """Samples to quantize and train with, others to measure on, and the float network's outputs.

    Attributes:
        spikes, others: counts (samples, time, *features): to work with, and to measure on.
        labels, labels_of_others: class numbers (samples,), or None.
        outputs, outputs_of_others: values of the float network, (samples, time, outputs); the
            first is None with labels.
        reads_states: True if the outputs are states.
        decision: which of an output's values over time decide.
    """

    spikes: Array
    others: Array
    labels: Array | None
    labels_of_others: Array | None
    outputs: Array | None
    outputs_of_others: Array
    reads_states: bool
    decision: DecisionRule

    @property
    def what(self) -> str:
        """Name of the measure."""
        return "agreement" if self.labels is None else "accuracy"

    @property
    def reference(self) -> float:
        """Value of the float network, 0..1: its accuracy, or an agreement of 1."""
        if self.labels_of_others is None:
            return 1.0
        return self._accuracy(self.outputs_of_others)

    def value(self, deployment: Deployment, channels: Sequence[int] | None = None) -> float:
        """Return accuracy or agreement of a network on its chip, 0..1.

        Args:
            deployment: the network.
            channels: input channels that it has; None for all.
        """
        got = deployment.simulate(chosen(self.others, channels)).output_values
        lag = deployment.lag_of_neurons
        if self.labels_of_others is not None:
            first = min(max(0, int(lag.max(initial=0))), got.shape[1] - 1)
            return self._accuracy(got[:, first:])
        wanted, got = aligned(self.outputs_of_others, got, lag)
        if self.reads_states:
            return state_agreement(wanted, got)
        return agreement_of(wanted, got).value

    def _accuracy(self, values: Array) -> float:
        return float((decide(values, self.decision) == self.labels_of_others).mean())


def chosen(spikes: Array, channels: Sequence[int] | None) -> Array:
    """Return the samples with these input channels alone; None for all."""
    return spikes if channels is None else spikes[:, :, list(channels)]


def yardstick(
    family: Family, graph: Graph, data: Any, labels: Any, decision: DecisionRule, seed: int
) -> Yardstick:
    """Divide the samples and run the float network on them.

    Args:
        family, graph: chip and float network.
        data: spikes in any form of one length that ``deploy`` takes as calibration; pairs with
            labels if ``labels`` is None.
        labels: class numbers or one-hot rows; None measures the agreement.
        decision: see ``toolchain.runs.decisions``.
        seed: of the division.

    Raises:
        ValueError: fewer than 2 samples, or labels that do not belong to them.
    """
    given, targets = separated(graph, data, labels)
    spikes = some_steps(counts_of(family, graph, given, "data"), "data")
    if len(spikes) < 2:
        raise ValueError(
            "repair measures on samples that it does not train on: give at least 2, got 1"
        )
    classes = None if targets is None else as_classes(targets, len(spikes), _classes(graph))
    rows, others = split(len(spikes), PART, seed, classes)
    others = others[:: -(-len(others) // MOST)]
    return Yardstick(
        spikes=spikes[rows],
        others=spikes[others],
        labels=None if classes is None else classes[rows],
        labels_of_others=None if classes is None else classes[others],
        outputs=_outputs(graph, spikes[rows]) if classes is None else None,
        outputs_of_others=_outputs(graph, spikes[others]),
        reads_states=all(isinstance(graph[name], MembraneReadout) for name in graph.outputs),
        decision=decision,
    )


def _classes(graph: Graph) -> int:
    names = graph.output_names
    if len(names) > 1:
        raise ValueError(
            f"labels are of one output, but the network has {', '.join(names)}; omit labels to "
            "measure the agreement of all outputs"
        )
    return int(np.prod(graph.shape(graph.outputs[0])))


def _outputs(graph: Graph, spikes: Array) -> Array:
    parts = [
        interpret(graph, spikes[first : first + AT_ONCE]).spikes
        for first in range(0, len(spikes), AT_ONCE)
    ]
    values = np.concatenate(parts)
    return values.reshape(*values.shape[:2], -1)
