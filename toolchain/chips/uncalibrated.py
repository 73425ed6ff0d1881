"""The choice among integers where no calibration spikes are given, the same for every chip family.

Every candidate is simulated on guessed spikes of several kinds
(:mod:`toolchain.runs.guessed_kinds`) and compared with the float network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.chips.rules.findings import error, warning
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Conv2d, Graph, Linear
from toolchain.report import times
from toolchain.runs.spikes import expected

__all__ = ["GuessComparison", "compare_on_guess", "findings_on_guess", "weights_vanish"]

DOUBT = 20.0
"""Output spikes of a sample at which it has half of the weight of a sample with very many."""
FEWEST = 30
"""Output spikes of the float network below which a silent chip is not reported as an error."""
MARGIN = 0.02
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


def compare_on_guess(
    kinds: Mapping[str, Array],
    references: Sequence[Callable[[Array], Array]],
    candidates: Mapping[str, Callable[[Array], Array]],
) -> GuessComparison:
    r"""Simulate the float network and every candidate on spikes of every kind.

    An agreement is the mean over kinds of

    .. math:: \sum_s w_s a_s \big/ \sum_s w_s, \quad
        a_s = 1 - \frac{\sum |n - m|}{\sum \max(n, m)}, \quad
        w_s = \frac{k_s}{k_s + 20}, \quad k_s = \sum \max(n, m)

    with n and m the spikes of an output neuron in sample s, so that each rate of a kind counts,
    and one with few spikes less. Kinds on which nothing spikes are left out.

    Args:
        kinds: counts (batch, time, *features) by kind.
        references: spikes to output spikes (batch, time, *features) of the float network: as
            trained, and within the limits of the chip where these differ.
        candidates: the same for each candidate, the lag of the chip undone.
    """
    spikes = np.concatenate([*kinds.values()])
    wanted = [_counts(run(spikes)) for run in references]
    got = {name: _counts(run(spikes)) for name, run in candidates.items()}
    ends = np.cumsum([0, *map(len, kinds.values())])
    parts = [slice(*pair) for pair in pairwise(ends)]
    fired = [part for part in parts if any(each[part].any() for each in (*wanted, *got.values()))]

    def agreement(counts: Array, other: Array) -> float:
        return float(np.mean([_agreement(counts[p], other[p]) for p in fired] or [1.0]))

    return GuessComparison(
        agreements={
            name: tuple(agreement(counts, each) for counts in wanted) for name, each in got.items()
        },
        spikes=int(wanted[0].sum()),
        on_chip={name: int(each.sum()) for name, each in got.items()},
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


def findings_on_guess(
    compared: GuessComparison, chosen: str, scales: str, shape: Shape
) -> tuple[Diagnostic, ...]:
    """Return the warning that no calibration was given, and an error if the chip is silent.

    Args:
        compared: the comparison.
        chosen: the candidate whose integers are used.
        scales: where its scales come from.
        shape: of the input.

    >>> compared = GuessComparison(agreements={"auto": 0.0}, spikes=100, on_chip={"auto": 0})
    >>> for finding in findings_on_guess(compared, "auto", "scales are guessed", (4,)):
    ...     print(finding.severity.value, finding.rule)
    warning no_calibration
    error silent_outputs
    """
    data = expected(_without_last_ones(shape))
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
    return f"output counts on guessed spikes agree to {figures}"
