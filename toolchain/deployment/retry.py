"""Hints for networks that would be dead on the chip: other settings and edits that were tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from toolchain.chips.contract import Family
from toolchain.deployment.deployment import Deployment
from toolchain.diagnostics import Advice, Diagnostic, Remedy
from toolchain.ir import Conv1d, Conv2d, Graph, Linear, Neuron
from toolchain.report import count, share, shown
from toolchain.runs import InputSpikes
from toolchain.runs.collect import Collected
from toolchain.runs.guess import guessed_spikes

__all__ = ["DEAD", "Retry", "agreement_of_worst"]

DEAD = ("zero_weights", "no_path", "silent_outputs")
"""Rules whose errors state that the network runs on the chip and cannot work there."""
CLIPS = (0.99, 0.95, 0.9)
"""Parts of a layer's weights that stay as they are when the largest are clipped."""
FACTORS = (2.0, 10.0, 100.0, 1e4, 1e6)
"""Factors by which weights are multiplied, or a threshold divided."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Retry:
    """Deploys a refused network again, with one thing changed; each attempt is made once.

    Attributes:
        build: deploys a graph to a family; takes graph, family, method, calibration and allow.
        graph, family, method, calibration, allow: its arguments at the refusal.
    """

    build: Callable[..., Deployment]
    graph: Graph
    family: Family
    method: str
    calibration: InputSpikes | Collected | None
    allow: tuple[str, ...]
    _results: dict[Any, Deployment | None] = field(default_factory=dict, init=False)

    def advised(self, finding: Diagnostic) -> Diagnostic:
        """Return the finding with the remedies to try, if it is about a dead network."""
        if finding.rule not in DEAD:
            return finding
        return replace(finding, advice=Advice(partial(self.remedies, finding)))

    def remedies(self, finding: Diagnostic) -> Iterator[Remedy]:
        """Yield what makes the network deploy without any error."""
        for method in self.family.QUANTIZERS:
            if method != self.method and (found := self._with(("method", method), method=method)):
                agreement = agreement_of_worst(found)
                note = (
                    "" if agreement is None else f"; its output counts agree to {share(agreement)}"
                )
                yield Remedy(f'quantizer="{method}" deploys{note}')
        if self.calibration is None and self._with(
            "calibration", calibration=guessed_spikes(self.graph)
        ):
            yield Remedy("give calibration=; with guessed spikes in its place the network deploys")
        for words, graph in self._edits(finding):
            if self._with(words, graph=graph):
                yield Remedy(words)
                return

    def _with(self, key: Any, **changed: Any) -> Deployment | None:
        """Return the deployment with some arguments changed; None if it is refused."""
        if key not in self._results:
            names = ("graph", "family", "method", "calibration", "allow")
            arguments = {name: getattr(self, name) for name in names}
            try:
                self._results[key] = self.build(*{**arguments, **changed}.values())
            except ValueError:  # DeployError, or calibration that the chip does not take
                self._results[key] = None
        return self._results[key]

    def _edits(self, finding: Diagnostic) -> Iterator[tuple[str, Graph]]:
        """Yield edits of the network with a description, the smallest first."""
        name = finding.where
        node = self.graph.nodes.get(name)
        if isinstance(node, Linear | Conv1d | Conv2d):
            sizes = np.abs(node.weight)
            for part in CLIPS:
                limit = float(np.quantile(sizes, part))
                if limit > 0:
                    clipped = replace(node, weight=np.clip(node.weight, -limit, limit))
                    some = f"{count(int((sizes > limit).sum()))} of {count(sizes.size)}"
                    words = f"clip the weights of {name!r} to ±{shown(limit)} ({some} change)"
                    yield words, self.graph.replace({name: clipped})
            for factor in FACTORS:
                scaled = replace(node, weight=node.weight * factor)
                words = f"multiply the weights of {name!r} by {count(factor)}"
                yield words, self.graph.replace({name: scaled})
        if isinstance(node, Neuron):
            for factor in FACTORS:
                eased = replace(node, v_threshold=node.v_threshold / factor)
                words = f"divide the threshold of {name!r} by {count(factor)}"
                yield words, self.graph.replace({name: eased})


def agreement_of_worst(deployment: Deployment) -> float | None:
    """Return the agreement of counts on the calibration spikes, of the worst output layer."""
    effects = (deployment.ledger[name].effect for name in deployment.quantized.outputs)
    return min((effect.agreement for effect in effects if effect is not None), default=None)
