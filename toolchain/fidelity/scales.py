"""By which factors the weights of a layer changed, and how far they are from a mere factor."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.ir import Conv2d, Graph, Linear, Neuron, Node
from toolchain.passes.weights import weights_of

__all__ = ["EXACT", "WEIGHTS", "drive", "moved", "row_scales"]

EXACT = 1e-9
"""Relative difference up to which integers are a multiple of the trained numbers."""
WEIGHTS = (Linear, Conv2d)


def row_scales(node: Node, other: Node) -> Array:
    """Return for each output the factor that brings its float weights nearest to the integers."""
    assert isinstance(node, WEIGHTS)
    assert isinstance(other, WEIGHTS)
    old = node.weight.reshape(len(node.weight), -1)
    new = other.weight.reshape(len(other.weight), -1)
    squares = (old * old).sum(axis=1)
    return np.asarray((new * old).sum(axis=1) / np.where(squares > 0, squares, 1))


def moved(node: Linear | Conv2d, other: Linear | Conv2d) -> float:
    """Return the distance of the integer weights from the nearest multiple of the float ones.

    Root mean square over all rows, relative to the weights of the whole layer.
    """
    old = node.weight.reshape(len(node.weight), -1)
    new = other.weight.reshape(len(other.weight), -1)
    scale = row_scales(node, other)[:, None]
    rest = np.divide(new, scale, out=np.zeros_like(old), where=scale > 0) - old
    total = float((old * old).sum())
    return float(np.sqrt((rest**2).sum() / total)) if total else 0.0


def drive(before: Graph, after: Graph, name: str) -> Array:
    """Return for each neuron with weights the scale of its weights over that of its threshold."""
    old, new = before[name], after[name]
    assert isinstance(old, Neuron)
    assert isinstance(new, Neuron)
    pairs = [(before[w], after[w]) for w in weights_of(before, name) or ()]
    scales = [row_scales(a, b) for a, b in pairs if isinstance(a, Linear)]
    if not scales:
        return np.zeros(0)
    threshold = np.broadcast_to(new.v_threshold / old.v_threshold, old.shape).ravel()
    rows = np.repeat(threshold, max(1, old.synapses))
    return np.concatenate([(scale / rows)[scale > 0] for scale in scales])
