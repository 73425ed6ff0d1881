"""Integers found on data.

Populations are looked at by themselves first: each hears what it was trained on, and decays,
scales, shifts and thresholds are those with which it spikes most as it did in floats. Then the
chip runs the whole network, and thresholds are set once more by what each population really hears.
Of all the networks on the way, those of the known quantizers among them, the one whose outputs
agree best on the chip is taken.

The same spikes give the same integers: nothing is drawn and nothing timed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.progress import Step, steps
from toolchain.chips.xylo.quantize.decays import snap
from toolchain.chips.xylo.quantize.evaluator import Trial
from toolchain.chips.xylo.quantize.plan import Plan, Words, integers
from toolchain.chips.xylo.quantize.shifts import PASSES, ShiftSearch
from toolchain.chips.xylo.quantize.tune import tuned
from toolchain.ir import Graph

__all__ = ["Found", "guessed_counts", "guessed_spikes", "search"]

ROUNDS = 2
"""Times that thresholds are set by what is heard on the chip."""
REACH = 0.1
"""How far a threshold may go at first, and half as far in each round."""
GUESSED_RATES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Spikes a step and channel that are assumed where nobody gives any."""
GUESSED_STEPS = 200
GUESSED_COUNTS = (1.0, 3.0)
"""Mean counts a step and channel of busier inputs, on which integers found by guess are tried."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What a search came to.

    Attributes:
        graph: integers.
        chosen: ``auto``, or the rival whose integers these are.
        plan: how ``auto`` chose.
        agreements: of the outputs' spike counts with the float network on the spikes looked at,
            of the best that ``auto`` came to and of each rival.
    """

    graph: Graph
    chosen: str
    plan: Plan
    agreements: Mapping[str, float]


def search(trial: Trial, rivals: Mapping[str, Graph], *, fit: bool) -> Found:
    """Integers for the network of ``trial``.

    Args:
        trial: the network with its spikes.
        rivals: quantized graphs that the result is never worse than, on these spikes.
        fit: whether the spikes are real enough to set single thresholds by, and to cut states
            where they allow it.
    """
    words = Words.of(trial.chip)
    with steps("finding integers", _work(trial, words, fit)) as step:
        heard = {name: trial.heard(name) for name in trial.cells}
        snapped = {}
        for name, cells in trial.cells.items():
            snapped[name] = snap(cells, heard[name], words.dash)
            step()
        shifts = ShiftSearch(cells=trial.cells, heard=heard, snapped=snapped, words=words, cut=fit)
        plan = shifts.plan(step)
        if not fit:
            return _safest(trial, plan, rivals)
        return _best(trial, plan, words, rivals, step)


def guessed_spikes(graph: Graph) -> Array:
    """Random spikes at ``GUESSED_RATES``, one sample each; always the same."""
    rng = np.random.default_rng(0)
    rates = np.reshape(GUESSED_RATES, (-1, *(1,) * (1 + len(graph.shape(graph.input)))))
    shape = (len(GUESSED_RATES), GUESSED_STEPS, *graph.shape(graph.input))
    return (rng.random(shape) < rates).astype(np.int64)


def guessed_counts(graph: Graph, most: int) -> Array:
    """As ``guessed_spikes``, followed by samples with ``GUESSED_COUNTS`` up to ``most`` a step."""
    calm = guessed_spikes(graph)
    means = np.reshape(GUESSED_COUNTS, (-1, *(1,) * (calm.ndim - 1)))
    busy = np.random.default_rng(0).poisson(means, (len(means), *calm.shape[1:]))
    return np.concatenate([calm, np.minimum(busy, most)])


def _safest(trial: Trial, plan: Plan, rivals: Mapping[str, Graph]) -> Found:
    """``plan`` or the rival that agrees best over inputs of all rates.

    Scales of ``plan`` keep states within their words at guessed rates, which can leave so few
    levels that every weight rounds to 0; the rivals set scales by the weights alone.
    """
    limits = trial.chip.limits
    wide = Trial(
        trial.graph, trial.chip, guessed_counts(trial.graph, int(limits.input_spikes.value))
    )
    graphs = {"auto": integers(trial.graph, plan), **rivals}
    agreements = {name: wide.agreement(wide.on_chip(graph)) for name, graph in graphs.items()}
    chosen = max(agreements, key=lambda name: agreements[name])
    return Found(graph=graphs[chosen], chosen=chosen, plan=plan, agreements=agreements)


def _best(trial: Trial, plan: Plan, words: Words, rivals: Mapping[str, Graph], step: Step) -> Found:
    """The best of ``plan``, of ``plan`` with thresholds tuned, and of the rivals.

    Few networks are compared, because the best of many is best by accident.
    """
    run = _Runs(trial, step)
    run.judge(plan)
    for name, cells in trial.cells.items():
        choice = tuned(cells, trial.heard(name), plan.choices[name], words, reach=REACH)
        plan = plan.but(name, choice)
    fired = run.judge(plan)
    for _ in range(ROUNDS):
        for name, cells in trial.cells.items():
            heard = trial.heard(name, fired)
            choice = tuned(cells, heard, plan.choices[name], words, reach=REACH / 2)
            plan = plan.but(name, choice)
            fired = trial.on_chip(integers(trial.graph, plan))
            step()
        run.judge(plan)
    for name, graph in rivals.items():
        run.judge(plan, name, graph)
    best = max(run.tries, key=_Try.merit)
    agreements = {t.name: t.agreement for t in sorted(run.tries, key=_Try.merit)}
    return Found(graph=best.graph, chosen=best.name, plan=best.plan, agreements=agreements)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Try:
    """One network that was run on the chip."""

    name: str
    graph: Graph
    plan: Plan
    agreement: float
    distance: float

    def merit(self) -> tuple[float, float]:
        return self.agreement, -self.distance


class _Runs:
    """All networks that were run."""

    def __init__(self, trial: Trial, step: Step) -> None:
        self.trial, self.step = trial, step
        self.tries: list[_Try] = []

    def judge(self, plan: Plan, name: str = "auto", graph: Graph | None = None) -> dict[str, Array]:
        """Runs ``plan``, or the ``graph`` of a rival, and gives all spikes."""
        graph = integers(self.trial.graph, plan) if graph is None else graph
        fired = self.trial.on_chip(graph)
        self.tries.append(
            _Try(
                name=name,
                graph=graph,
                plan=plan,
                agreement=self.trial.agreement(fired),
                distance=self.trial.distance(fired),
            )
        )
        self.step()
        return fired


def _work(trial: Trial, words: Words, fit: bool) -> int:
    """Steps of the bar."""
    populations = len(trial.cells)
    matrices = {m for c in trial.cells.values() for m in c.matrices}
    searched = populations + PASSES * len(matrices) * (words.shift + 1)
    return searched + (2 + ROUNDS * (populations + 1) + 2 if fit else 0)
