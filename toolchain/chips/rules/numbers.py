"""Rule on the numbers of a network: finite, and of a size that integers can be found for."""

from __future__ import annotations

import numpy as np

from toolchain.chips.rules.findings import Findings, error
from toolchain.ir import Graph
from toolchain.ir.numbers import OddNumbers, odd_numbers

__all__ = ["numbers"]


def numbers(graph: Graph) -> Findings:
    """Check that every number is finite, and neither too large nor too small to compute with.

    >>> import numpy as np
    >>> from toolchain.ir import Input, Neuron, Output
    >>> lif = Neuron(shape=(3,), v_threshold=[1.0, np.inf, 1.0])
    >>> graph = Graph.chain({"input": Input(shape=(3,)), "lif": lif, "output": Output()})
    >>> next(numbers(graph)).message
    'v_threshold is inf for neuron 1 of 3; every number must be finite'
    """
    for odd in odd_numbers(graph):
        yield error("numbers", odd.layer, odd.text, hint=_remedy(odd))


def _remedy(odd: OddNumbers) -> str:
    """Return what to do about odd numbers."""
    if odd.field == "v_threshold" and not odd.finite:
        return (
            "a neuron with an infinite threshold never spikes: remove it, or set its threshold to "
            "1 and its weights and bias to 0"
        )
    if odd.field == "v_min" and odd.every and np.all(odd.values == -np.inf):
        return "v_min=None, no floor, is the same"
    if not odd.finite:
        return "give finite numbers; if training diverged, those of an earlier checkpoint"
    if np.abs(odd.values).max() < 1:
        return "set it to 0"
    return "multiply all weights, biases and potentials of the layer by one smaller factor"
