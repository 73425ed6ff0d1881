"""The choice among integers where no calibration spikes are given, the same for every chip family.

Every candidate is simulated on guessed spikes of several kinds
(:mod:`toolchain.runs.guessed_kinds`) and compared with the float network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeGuard

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.chips.rules.findings import error, warning
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Conv2d, Graph, Linear
from toolchain.report import times
from toolchain.runs.interpret import interpret
from toolchain.runs.spikes import expected

__all__ = [
    "GuessChoice",
    "GuessComparison",
    "compare_on_guess",
    "findings_on_guess",
    "has_spikes",
    "weights_vanish",
]

DOUBT = 20.0
"""Output spikes of a sample at which it has half of the weight of a sample with very many."""
RARE = 100.0
"""Output spikes of a kind, in floats or on the chip, at which it has half of the weight."""
FEWEST = 30
"""Output spikes of the float network below which a silent chip is not reported as an error."""
MARGIN = 0.05
"""Agreement by which integers that were set on guessed spikes must exceed data-free ones."""
WORSE = 0.01
"""Agreement by which they may be below these with one of two references."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GuessComparison:
    """Candidates on guessed spikes.

    Attributes:
        agreements: of each candidate's output counts with those of each reference, 0..1.
        spikes: output spikes of the first reference on all kinds.
        on_chip: output spikes of each candidate on all kinds.
    """

    agreements: Mapping[str, tuple[float, ...]]
    spikes: int
    on_chip: Mapping[str, int]

    def renamed(self, names: Mapping[str, str]) -> GuessComparison:
        """Return the candidates in ``names`` alone, under the names given there."""
        return replace(
            self,
            agreements={new: self.agreements[old] for old, new in names.items()},
            on_chip={new: self.on_chip[old] for old, new in names.items()},
        )

    def best(self, names: Collection[str]) -> str:
        """Return the one of ``names`` that agrees best on the mean, the first of equal ones."""
        return max(names, key=lambda name: float(np.mean(self.agreements[name])))

    def choose(self, data_free: Collection[str], fitted: Collection[str]) -> str:
        """Return the best candidate.

        A fitted one must exceed all data-free ones by ``MARGIN`` on the mean over references, and
        be worse than none of them by ``WORSE`` with any reference.

        >>> agreements = {"free": (0.8, 0.7), "fitted": (0.9, 0.6)}
        >>> compared = GuessComparison(agreements=agreements, spikes=100, on_chip={})
        >>> compared.choose(["free"], ["fitted"])
        'free'
        """
        if not data_free or not fitted:
            return self.best(data_free or fitted)
        rival, own = self.best(data_free), self.best(fitted)
        most = np.max([self.agreements[name] for name in data_free], axis=0)
        leads = np.subtract(self.agreements[own], most)
        return own if leads.mean() > MARGIN and leads.min() > -WORSE else rival


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GuessChoice:
    """The integers that agree best with the float network on guessed spikes.

    Attributes:
        name: the candidate whose integers are used.
        shown: its name in findings: ``auto`` for any of the quantizer's own.
        own: the best of the quantizer's own; ``name`` if that is one of them.
        graph: the integers.
        compared: the quantizer's best as ``auto``, and every rival.
    """

    name: str
    shown: str
    own: str
    graph: Graph
    compared: GuessComparison

    @classmethod
    def among(
        cls,
        candidates: Mapping[str, Graph],
        compared: GuessComparison,
        *,
        floats: Graph,
        own: Collection[str],
        fitted: Collection[str],
    ) -> GuessChoice:
        """Choose; integers that lose every weight of a layer are taken only if all do.

        Args:
            candidates: integers by name.
            compared: their comparison.
            floats: the float network.
            own: names of the quantizer's own candidates; others are its rivals.
            fitted: names of those that are set on guessed spikes, or otherwise riskier than
                scales of the weights alone.
        """
        alive = [n for n, graph in candidates.items() if not weights_vanish(floats, graph)]
        usable = alive or [*candidates]
        data_free = [name for name in usable if name not in fitted]
        chosen = compared.choose(data_free, [name for name in usable if name in fitted])
        best = compared.best(own) if own and chosen not in own else chosen
        names = {name: name for name in candidates if name not in own}
        if own:
            names[best] = "auto"
        return cls(
            name=chosen,
            shown=names[chosen],
            own=best,
            graph=candidates[chosen],
            compared=compared.renamed(names),
        )


def has_spikes(calibration: Array | None) -> TypeGuard[Array]:
    """Return whether there is calibration, with at least one timestep of one sample."""
    return calibration is not None and calibration.size > 0


def compare_on_guess(
    kinds: Mapping[str, Array],
    references: Sequence[Graph],
    candidates: Mapping[str, Graph],
    run: Callable[[Graph, Array], Array],
) -> GuessComparison:
    r"""Simulate the float network and every candidate on spikes of every kind.

    An agreement is the mean over kinds, one with few output spikes counting less, of

    .. math:: \sum_s w_s a_s \big/ \sum_s w_s, \quad
        a_s = 1 - \frac{\sum |n - m|}{\sum \max(n, m)}, \quad
        w_s = \frac{k_s}{k_s + 20}, \quad k_s = \sum \max(n, m)

    with n and m the spikes of an output neuron in sample s, so that each rate of a kind counts,
    and one with few spikes less. A kind of k spikes has the weight k / (k + 100), with the largest
    k of all pairs of a reference and a candidate.

    Args:
        kinds: counts (batch, time, *features) by kind.
        references: the float network: as trained, and within the limits of the chip where these
            differ.
        candidates: integers by name; equal ones are simulated once.
        run: returns the output spikes (batch, time, *features) of integers on spikes, the lag of
            the chip undone.
    """
    spikes = np.concatenate([*kinds.values()])
    wanted = [_counts(interpret(graph, spikes).spikes) for graph in references]
    keys = {name: _values(graph) for name, graph in candidates.items()}
    different = {keys[name]: graph for name, graph in candidates.items()}
    counts_of = {key: _counts(run(graph, spikes)) for key, graph in different.items()}
    got = {name: counts_of[key] for name, key in keys.items()}
    ends = np.cumsum([0, *map(len, kinds.values())])
    parts = [slice(*pair) for pair in pairwise(ends)]
    evidence = np.array([_evidence(part, wanted, [*got.values()]) for part in parts])

    def agreement(counts: Array, other: Array) -> float:
        each = [_agreement(counts[part], other[part]) for part in parts]
        return float(evidence @ each / evidence.sum()) if evidence.any() else 1.0

    return GuessComparison(
        agreements={
            name: tuple(agreement(counts, each) for counts in wanted) for name, each in got.items()
        },
        spikes=int(wanted[0].sum()),
        on_chip={name: int(each.sum()) for name, each in got.items()},
    )


def _evidence(part: slice, wanted: Sequence[Array], got: Sequence[Array]) -> float:
    """Return the weight of a kind, 0 to 1, by the output spikes that tell about it."""
    most = max(float(np.maximum(n[part], m[part]).sum()) for n in wanted for m in got)
    return most / (most + RARE)


def _values(graph: Graph) -> bytes:
    """Return all parameters, equal for graphs of equal integers on the same network."""
    return b"".join(
        value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
        for node in graph.nodes.values()
        for value in node.parameters().values()
    )


def _counts(spikes: Array) -> Array:
    """Return the counts (samples, neurons) of spikes (batch, time, *features)."""
    return np.asarray(spikes.reshape(*spikes.shape[:2], -1).sum(axis=1))


def _agreement(wanted: Array, got: Array) -> float:
    most = np.maximum(wanted, got).sum(axis=1).astype(np.float64)
    apart = np.abs(wanted - got).sum(axis=1)
    weight = most / (most + DOUBT)
    equal = 1 - apart / np.maximum(most, 1)
    return float((weight * equal).sum() / weight.sum()) if weight.any() else 1.0


def weights_vanish(floats: Graph, quantized: Graph) -> bool:
    """Return whether a layer has only weights of 0, though not in floats.

    >>> from dataclasses import replace
    >>> from toolchain.ir import Input, Output
    >>> nodes = {"input": Input(shape=(1,)), "fc": Linear(weight=[[0.2]]), "output": Output()}
    >>> graph = Graph.chain(nodes)
    >>> weights_vanish(graph, graph.replace({"fc": replace(graph["fc"], weight=[[0]])}))
    True
    """
    before, after = (_weights(graph) for graph in (floats, quantized))
    return any(weight.any() and not after[name].any() for name, weight in before.items())


def _weights(graph: Graph) -> dict[str, Array]:
    dense = {name: node.weight for name, node in graph.of(Linear).items()}
    return dense | {name: node.weight for name, node in graph.of(Conv2d).items()}


def findings_on_guess(choice: GuessChoice, scales: str) -> tuple[Diagnostic, ...]:
    """Return the warning that no calibration was given, and an error if the chip is silent.

    Args:
        choice: the integers that are used.
        scales: where their scales come from.

    >>> from toolchain.ir import Input, Output
    >>> graph = Graph.chain({"input": Input(shape=(4,)), "output": Output()})
    >>> compared = GuessComparison(agreements={"auto": (0.0,)}, spikes=100, on_chip={"auto": 0})
    >>> choice = GuessChoice.among(
    ...     {"auto": graph}, compared, floats=graph, own=["auto"], fitted=[]
    ... )
    >>> for finding in findings_on_guess(choice, "scales are guessed"):
    ...     print(finding.severity.value, finding.rule)
    warning no_calibration
    error silent_outputs
    """
    compared, chosen = choice.compared, choice.shown
    data = expected(_without_last_ones(choice.graph.shape(choice.graph.input)))
    found = warning(
        "no_calibration",
        "network",
        f"{scales}; {_measured(compared, chosen)} (give calibration=, example spikes {data}, for "
        "scales that follow your data)",
    )
    if compared.spikes < FEWEST or compared.on_chip[chosen]:
        return (found,)
    silent = error(
        "silent_outputs",
        "network",
        "the outputs never spike on the chip on guessed spikes, on which those of the unquantized "
        f"network spike {times(compared.spikes)}",
    )
    return found, silent


def _without_last_ones(shape: Shape) -> Shape:
    """Return a shape as users write it, without axes of length 1 that a chip appends."""
    sizes = len(shape)
    while sizes > 1 and shape[sizes - 1] == 1:
        sizes -= 1
    return shape[:sizes]


def _measured(compared: GuessComparison, chosen: str) -> str:
    """Return what was measured on guessed spikes."""
    if not compared.spikes:
        chip = compared.on_chip[chosen]
        return (
            "the outputs of the unquantized network never spike on guessed spikes, those on the "
            f"chip {times(chip) if chip else 'neither'}: it is not trained, or made for other "
            "input, and no agreement can be measured"
        )
    figures = ", ".join(
        f"{100 * values[0]:.1f} % by {name!r}" for name, values in compared.agreements.items()
    )
    leads = "auto" in compared.agreements and compared.best(["auto", chosen]) != chosen
    note = f"; 'auto' must lead by more than {100 * MARGIN:.0f} points" if leads else ""
    return f"output counts on guessed spikes agree to {figures}{note}"
