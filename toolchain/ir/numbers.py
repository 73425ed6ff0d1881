"""Numbers of a network that are not finite, or too large or small to compute with, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array, places
from toolchain.ir.graph import Graph
from toolchain.ir.neuron import Membrane

__all__ = ["OddNumbers", "odd_numbers"]

LARGEST = float(np.finfo(np.float32).max)
"""Largest magnitude: that of 32-bit floats, in which networks are trained. Products of a few such
numbers still fit 64-bit floats, in which scales are computed."""
SMALLEST = 1e-100
"""Smallest magnitude but 0; far below that of 32-bit floats, so that their inverse is finite."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OddNumbers:
    """Numbers of one array of a layer that cannot be computed with.

    Attributes:
        layer, field: names of the layer and of its array.
        values: the odd values.
        every: whether all values of the array are odd.
        text: description with the neurons, or the indices into an array of weights.
    """

    layer: str
    field: str
    values: Array
    every: bool
    text: str

    @property
    def finite(self) -> bool:
        """True if the values are finite, but too large or too small."""
        return bool(np.isfinite(self.values).all())


def odd_numbers(graph: Graph) -> Iterator[OddNumbers]:
    """Yield the numbers of each array that are not finite, too large or too small.

    >>> from toolchain.ir import Input, Neuron, Output
    >>> lif = Neuron(shape=(3,), v_threshold=[1.0, np.inf, 1.0])
    >>> graph = Graph.chain({"input": Input(shape=(3,)), "lif": lif, "output": Output()})
    >>> [odd.text for odd in odd_numbers(graph)]
    ['v_threshold is inf for neuron 1 of 3; every number must be finite']
    """
    for name, node in graph.nodes.items():
        for field in node.ARRAYS:
            value = getattr(node, field)
            if value is None or value.dtype.kind != "f":
                continue
            for wrong, need in _wrong(value):
                if wrong.any():
                    where = _places(field, wrong, of_neurons=isinstance(node, Membrane))
                    yield OddNumbers(
                        layer=name,
                        field=field,
                        values=value[wrong],
                        every=bool(wrong.all()),
                        text=f"{field} is {_listed(value[wrong])} {where}; {need}",
                    )


def _wrong(value: Array) -> Iterator[tuple[Array, str]]:
    size, finite = np.abs(value), np.isfinite(value)
    yield np.asarray(~finite), "every number must be finite"
    yield np.asarray((size > LARGEST) & finite), f"magnitudes may be up to {LARGEST:.2g}"
    yield np.asarray((size < SMALLEST) & (value != 0)), f"magnitudes are 0 or at least {SMALLEST:g}"


def _listed(values: Array) -> str:
    found = np.unique(values)
    return " and ".join(f"{value:g}" for value in found[:3]) + ("" if len(found) < 4 else " ...")


def _places(field: str, wrong: Array, *, of_neurons: bool) -> str:
    if not wrong.ndim or wrong.size == 1:
        return "for every neuron" if of_neurons else "everywhere"
    if not of_neurons:
        return f"at {field}[{places(wrong)}]"
    if field == "alpha_syn":
        wrong = np.asarray(wrong.any(axis=-1))
    if wrong.all():
        return "for every neuron"
    noun = "neuron" if wrong.sum() == 1 else "neurons"
    return f"for {noun} {places(wrong)} of {' x '.join(map(str, wrong.shape))}"
