"""Search for integers on calibration data.

Each population is first searched by itself: it receives the spikes of the trained network, and the
decays, scales, shifts and thresholds are those with which its spikes differ least from the trained
ones. Then the chip simulates the whole network, and thresholds are chosen again for the spikes that
each population receives there. Of all the networks on the way, the two baselines included, the
result is the one whose outputs agree best on the chip.

The search is deterministic: it draws no random numbers and does not depend on time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.progress import Step, steps
from toolchain.chips.xylo.quantize.decays import choose_decays, differs
from toolchain.chips.xylo.quantize.drives import fit_drives
from toolchain.chips.xylo.quantize.evaluator import Evaluator
from toolchain.chips.xylo.quantize.plan import Plan, XyloWords, integers
from toolchain.chips.xylo.quantize.shifts import DEPTHS, PASSES, ShiftSearch
from toolchain.chips.xylo.quantize.tune import tune_thresholds
from toolchain.ir import Graph

__all__ = ["Candidate", "SearchResult", "candidates", "search"]

ROUNDS = 2
"""Rounds of threshold tuning with the spikes of the simulated chip."""
FEW_DEPTHS = DEPTHS[1::2]
"""Depths of a quicker search."""
REACH = 0.1
"""Largest relative change of a threshold at first; half of that in each round."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchResult:
    """Result of a search.

    Attributes:
        graph: integers.
        chosen: ``auto``, or the baseline whose integers these are.
        plan: the choices of ``auto``.
        agreements: agreement of output spike counts with the float network, of the best network
            found by ``auto`` and of each baseline.
    """

    graph: Graph
    chosen: str
    plan: Plan
    agreements: Mapping[str, float]


def search(evaluator: Evaluator, baselines: Mapping[str, Graph]) -> SearchResult:
    """Search integers for the network of ``evaluator`` on its calibration spikes.

    Args:
        evaluator: the network with its spikes.
        baselines: quantized graphs; the result is never worse than these on the same spikes.
    """
    words = XyloWords.of(evaluator.chip)
    total = _number_of_steps(evaluator, words, PASSES) + len(baselines)
    with steps("finding integers", total) as step:
        run = _planned(evaluator, words, step, passes=PASSES, depths=DEPTHS, fitted=True)
        last = run.candidates[-1].plan
        for name, graph in baselines.items():
            run.evaluate(last, name, graph)
    best = max(run.candidates, key=Candidate.merit)
    agreements = {t.name: t.agreement for t in sorted(run.candidates, key=Candidate.merit)}
    return SearchResult(graph=best.graph, chosen=best.name, plan=best.plan, agreements=agreements)


def candidates(evaluator: Evaluator) -> list[Candidate]:
    """Return the networks of a quicker search; their integers are not compared here."""
    words = XyloWords.of(evaluator.chip)
    with steps("finding integers", _number_of_steps(evaluator, words, 1)) as step:
        return _planned(evaluator, words, step, passes=1, depths=FEW_DEPTHS).candidates


def _planned(
    evaluator: Evaluator,
    words: XyloWords,
    step: Step,
    *,
    passes: int,
    depths: tuple[float, ...],
    fitted: bool = False,
) -> _CandidateRuns:
    """Return a plan for each population by itself, and the same with tuned thresholds.

    With ``fitted`` weights are fitted to decays that are not the trained ones.
    """
    traces = {name: evaluator.trace(name) for name in evaluator.populations}
    populations, decays, more = dict(evaluator.populations), {}, None
    for name, population in evaluator.populations.items():
        decays[name] = choose_decays(population, traces[name], words.dash)
        if fitted and differs(population, decays[name]):
            more = more or evaluator.with_more()
            populations[name], decays[name] = fit_drives(
                population, more.trace(name), decays[name], top=words.dash, biases=words.bias > 0
            )
        step()
    shifts = ShiftSearch(
        populations=populations,
        traces=traces,
        decays=decays,
        words=words,
        passes=passes,
        depths=depths,
    )
    run = _CandidateRuns(evaluator, step)
    plan = shifts.plan(step)
    run.evaluate(plan)
    for name, population in evaluator.populations.items():
        choice = tune_thresholds(
            population, evaluator.trace(name), plan.choices[name], words, reach=REACH
        )
        plan = plan.with_population(name, choice)
    fired = run.evaluate(plan)
    for _ in range(ROUNDS):
        for name, population in evaluator.populations.items():
            trace = evaluator.trace(name, fired)
            choice = tune_thresholds(population, trace, plan.choices[name], words, reach=REACH / 2)
            plan = plan.with_population(name, choice)
            fired = evaluator.on_chip(integers(evaluator.graph, plan))
            step()
        run.evaluate(plan, fired=fired)
    return run


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """One network that was simulated on the chip."""

    name: str
    graph: Graph
    plan: Plan
    agreement: float
    distance: float

    def key(self) -> bytes:
        """Return what differs where integers differ: those of every population, in order."""
        return b"".join(
            np.asarray(part).tobytes()
            for choice in self.plan.choices.values()
            for part in (choice.threshold, choice.bias, *choice.weights.values())
        )

    def merit(self) -> tuple[float, float]:
        """Return the key by which candidates are compared; larger is better."""
        return self.agreement, -self.distance


class _CandidateRuns:
    """All networks that were simulated."""

    def __init__(self, evaluator: Evaluator, step: Step) -> None:
        self.evaluator, self.step = evaluator, step
        self.candidates: list[Candidate] = []

    def evaluate(
        self,
        plan: Plan,
        name: str = "auto",
        graph: Graph | None = None,
        fired: dict[str, Array] | None = None,
    ) -> dict[str, Array]:
        """Simulate ``plan``, or the ``graph`` of a baseline, and return all spikes.

        Args:
            plan: the choices.
            name: ``auto``, or the baseline.
            graph: its integers; None for those of ``plan``.
            fired: its spikes if it has been simulated.
        """
        graph = integers(self.evaluator.graph, plan) if graph is None else graph
        fired = self.evaluator.on_chip(graph) if fired is None else fired
        self.candidates.append(
            Candidate(
                name=name,
                graph=graph,
                plan=plan,
                agreement=self.evaluator.agreement(fired),
                distance=self.evaluator.distance(fired),
            )
        )
        self.step()
        return fired


def _number_of_steps(evaluator: Evaluator, words: XyloWords, passes: int) -> int:
    """Return the number of steps of the progress bar."""
    populations = len(evaluator.populations)
    matrices = {m for c in evaluator.populations.values() for m in c.matrices}
    searched = populations + passes * len(matrices) * (words.shift + 1)
    return searched + 2 + ROUNDS * (populations + 1)
