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
from toolchain.chips.xylo.quantize.decays import choose_decays
from toolchain.chips.xylo.quantize.evaluator import Evaluator
from toolchain.chips.xylo.quantize.plan import Plan, XyloWords, integers
from toolchain.chips.xylo.quantize.shifts import PASSES, ShiftSearch
from toolchain.chips.xylo.quantize.tune import tune_thresholds
from toolchain.ir import Graph

__all__ = ["SearchResult", "random_counts", "random_spikes", "search"]

ROUNDS = 2
"""Rounds of threshold tuning with the spikes of the simulated chip."""
REACH = 0.1
"""Largest relative change of a threshold at first; half of that in each round."""
RANDOM_RATES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Spikes a step and channel that are assumed without calibration."""
RANDOM_STEPS = 200
RANDOM_COUNTS = (1.0, 3.0)
"""Mean counts a step and channel of busier inputs, also used without calibration."""


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


def search(evaluator: Evaluator, baselines: Mapping[str, Graph], *, fit: bool) -> SearchResult:
    """Search integers for the network of ``evaluator``.

    Args:
        evaluator: the network with its spikes.
        baselines: quantized graphs; the result is never worse than these on the same spikes.
        fit: True if the spikes are calibration data, False if they are random. Only data is used
            to choose single thresholds and to decide where states may saturate.
    """
    words = XyloWords.of(evaluator.chip)
    with steps("finding integers", _number_of_steps(evaluator, words, fit)) as step:
        traces = {name: evaluator.trace(name) for name in evaluator.populations}
        decays = {}
        for name, population in evaluator.populations.items():
            decays[name] = choose_decays(population, traces[name], words.dash)
            step()
        shifts = ShiftSearch(
            populations=evaluator.populations, traces=traces, decays=decays, words=words, cut=fit
        )
        plan = shifts.plan(step)
        if not fit:
            return _best_on_random(evaluator, plan, baselines)
        return _best(evaluator, plan, words, baselines, step)


def random_spikes(graph: Graph) -> Array:
    """Return random spikes at ``RANDOM_RATES``, one sample each; the seed is fixed."""
    rng = np.random.default_rng(0)
    rates = np.reshape(RANDOM_RATES, (-1, *(1,) * (1 + len(graph.shape(graph.input)))))
    shape = (len(RANDOM_RATES), RANDOM_STEPS, *graph.shape(graph.input))
    return (rng.random(shape) < rates).astype(np.int64)


def random_counts(graph: Graph, most: int) -> Array:
    """Return ``random_spikes`` and samples with ``RANDOM_COUNTS``, up to ``most`` a step."""
    calm = random_spikes(graph)
    means = np.reshape(RANDOM_COUNTS, (-1, *(1,) * (calm.ndim - 1)))
    busy = np.random.default_rng(0).poisson(means, (len(means), *calm.shape[1:]))
    return np.concatenate([calm, np.minimum(busy, most)])


def _best_on_random(
    evaluator: Evaluator, plan: Plan, baselines: Mapping[str, Graph]
) -> SearchResult:
    """Return ``plan`` or the baseline that agrees best over inputs of all rates.

    Scales of ``plan`` keep states within their words at the random rates, which can leave so few
    levels that every weight rounds to 0; the baselines set scales by the weights alone.
    """
    limits = evaluator.chip.limits
    wide = Evaluator(
        evaluator.graph,
        evaluator.chip,
        random_counts(evaluator.graph, int(limits.input_spikes.value)),
    )
    graphs = {"auto": integers(evaluator.graph, plan), **baselines}
    agreements = {name: wide.agreement(wide.on_chip(graph)) for name, graph in graphs.items()}
    chosen = max(agreements, key=lambda name: agreements[name])
    return SearchResult(graph=graphs[chosen], chosen=chosen, plan=plan, agreements=agreements)


def _best(
    evaluator: Evaluator, plan: Plan, words: XyloWords, baselines: Mapping[str, Graph], step: Step
) -> SearchResult:
    """Return the best of ``plan``, of ``plan`` with tuned thresholds, and of the baselines.

    Few networks are compared, because the best of many would be best by chance.
    """
    run = _CandidateRuns(evaluator, step)
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
        run.evaluate(plan)
    for name, graph in baselines.items():
        run.evaluate(plan, name, graph)
    best = max(run.candidates, key=_Candidate.merit)
    agreements = {t.name: t.agreement for t in sorted(run.candidates, key=_Candidate.merit)}
    return SearchResult(graph=best.graph, chosen=best.name, plan=best.plan, agreements=agreements)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidate:
    """One network that was simulated on the chip."""

    name: str
    graph: Graph
    plan: Plan
    agreement: float
    distance: float

    def merit(self) -> tuple[float, float]:
        """Return the key by which candidates are compared; larger is better."""
        return self.agreement, -self.distance


class _CandidateRuns:
    """All networks that were simulated."""

    def __init__(self, evaluator: Evaluator, step: Step) -> None:
        self.evaluator, self.step = evaluator, step
        self.candidates: list[_Candidate] = []

    def evaluate(
        self, plan: Plan, name: str = "auto", graph: Graph | None = None
    ) -> dict[str, Array]:
        """Simulate ``plan``, or the ``graph`` of a baseline, and return all spikes."""
        graph = integers(self.evaluator.graph, plan) if graph is None else graph
        fired = self.evaluator.on_chip(graph)
        self.candidates.append(
            _Candidate(
                name=name,
                graph=graph,
                plan=plan,
                agreement=self.evaluator.agreement(fired),
                distance=self.evaluator.distance(fired),
            )
        )
        self.step()
        return fired


def _number_of_steps(evaluator: Evaluator, words: XyloWords, fit: bool) -> int:
    """Return the number of steps of the progress bar."""
    populations = len(evaluator.populations)
    matrices = {m for c in evaluator.populations.values() for m in c.matrices}
    searched = populations + PASSES * len(matrices) * (words.shift + 1)
    return searched + (2 + ROUNDS * (populations + 1) + 2 if fit else 0)
