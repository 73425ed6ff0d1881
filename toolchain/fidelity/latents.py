"""Unrounded values of a quantized network, in units of its integers.

A latent value is the trained number on the scale of the integers, moved as little as possible so
that it rounds to the integer on the chip. Latent weights are 0 where the trained network has no
connection, and only there: a small weight that the quantizer rounds to 0 keeps its sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from toolchain.arrays import Array, Shape, read_only
from toolchain.ir import Graph, Membrane, Node
from toolchain.passes.weights import WEIGHTS, weights_of

__all__ = ["INSIDE", "NO_STRUCTURE", "cell_of", "check_latents", "latents_of", "within_cell"]

NO_STRUCTURE = np.float32(np.finfo(np.float32).tiny)
"""Latent value of a weight that is 0 without being a missing connection."""
INSIDE = 0.4999
"""Largest distance of a latent value from its integer, in steps."""


def latents_of(floats: Graph, quantized: Graph) -> dict[str, Array]:
    """Return the latent values of weights, biases and thresholds by name, float32.

    Args:
        floats: the trained network in the chip's layers, input of the quantizer. Of a layer that
            it lacks, or has in another shape, the integers are returned.
        quantized: the same in integers.

    >>> from toolchain.ir import Input, Linear, Neuron, Output
    >>> nodes = {"input": Input(shape=(3,)), "fc": Linear(weight=[[0.5, -0.2, 0.0]])}
    >>> lif = Neuron(shape=(1,), v_threshold=1.0)
    >>> floats = Graph.chain({**nodes, "lif": lif, "output": Output()})
    >>> integers = Linear(weight=[[5, -2, 0]])
    >>> lif = Neuron(shape=(1,), v_threshold=np.array(10))
    >>> quantized = Graph.chain({**nodes, "fc": integers, "lif": lif, "output": Output()})
    >>> {name: value.tolist() for name, value in latents_of(floats, quantized).items()}
    {'fc.weight': [[5.0, -2.0, 0.0]], 'lif.v_threshold': 10.0}
    """
    return {
        f"{name}.{field}": read_only(within_cell(value, integers, cell_of(integers)))
        for name, field, integers, value in _unrounded(floats, quantized)
    }


def within_cell(values: Array, integers: Array, step: float) -> Array:
    """Return the float32 values nearest to ``values`` that round to ``integers``.

    Args:
        values: real numbers in units of the integers.
        integers: multiples of ``step``, of the same shape.
        step: distance of neighbouring integers; infinite if there is only 0.
    """
    found = np.asarray(values, np.float32)
    if not np.isfinite(step):
        return found
    exact, size = integers.astype(np.float32), np.float32(step)
    reach = np.float32(INSIDE * step)
    for nearer in (exact + np.clip(found - exact, -reach, reach), exact):
        # the sum of a large integer and an offset is rounded itself
        found = np.where(np.rint(found / size) * size == exact, found, nearer)
    return np.asarray(found)


def cell_of(integers: Array) -> float:
    """Return the largest power of two of which all integers are multiples; infinite if all are 0.

    >>> cell_of(np.array([4, -12, 0])), cell_of(np.array([0, 0]))
    (4.0, inf)
    """
    bits = int(np.bitwise_or.reduce(integers.astype(np.int64), axis=None)) if integers.size else 0
    return float(bits & -bits) if bits else np.inf


def check_latents(latent: Mapping[str, Array], quantized: Graph) -> None:
    """Check that latent values round to the integers of ``quantized``.

    Raises:
        ValueError: another name or shape, or a value that rounds to another integer.
    """
    arrays = {f"{name}.{field}": value for name, field, value in _integers(quantized)}
    if latent.keys() != arrays.keys():
        names = ", ".join(sorted(latent.keys() ^ arrays.keys()))
        raise ValueError(f"has other parameters: {names:.200}")
    for name, values in latent.items():
        integers = arrays[name]
        if values.dtype != np.float32 or values.shape != integers.shape:
            raise ValueError(
                f"{name} is {values.dtype} {values.shape}, must be float32 {integers.shape}"
            )
        step = cell_of(integers)
        wrong = ~np.isfinite(values)
        if np.isfinite(step):
            wrong |= np.abs(values - integers.astype(np.float32)) > step / 2
        if wrong.any():
            raise ValueError(f"{name} does not round to the integers of the network")


def _integers(quantized: Graph) -> Iterator[tuple[str, str, Array]]:
    """Yield node, field and integers of everything that can be trained."""
    for name, node in quantized.nodes.items():
        for field in ("weight", "bias", "v_threshold"):
            value = getattr(node, field, None)
            if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.integer):
                yield name, field, value


def _unrounded(floats: Graph, quantized: Graph) -> Iterator[tuple[str, str, Array, Array]]:
    """Yield node, field, integers, and the trained numbers in units of the integers."""
    scales = {
        name: scale
        for name, node in quantized.nodes.items()
        if (scale := _scale(floats.nodes.get(name), node)) is not None
    }
    for name, field, integers in _integers(quantized):
        trained = getattr(floats.nodes.get(name), field, None)
        if trained is None or not _spread(trained.shape, integers.shape):
            yield name, field, integers, integers
        elif field == "weight":
            scaled = trained * _rows(scales[name], trained.ndim)
            lost = (trained != 0) & (scaled == 0)
            yield name, field, integers, np.where(lost, NO_STRUCTURE, scaled)
        else:
            scale = scales.get(name, _of_neurons(floats, name, scales, integers))
            scaled = integers if scale is None else np.broadcast_to(trained, integers.shape) * scale
            yield name, field, integers, scaled


def _scale(node: Node | None, other: Node) -> Array | None:
    """Return the factor from trained to integer weights of each output, or None."""
    if not isinstance(node, WEIGHTS) or not isinstance(other, WEIGHTS):
        return None
    if node.weight.shape != other.weight.shape or other.weight.dtype.kind != "i":
        return None
    old, new = (each.weight.reshape(len(each.weight), -1) for each in (node, other))
    squares = np.einsum("ij,ij->i", old, old)
    return np.asarray(np.einsum("ij,ij->i", new, old) / np.where(squares > 0, squares, 1))


def _rows(scale: Array, axes: int) -> Array:
    return scale.reshape(-1, *(1,) * (axes - 1))


def _of_neurons(
    floats: Graph, name: str, scales: Mapping[str, Array], integers: Array
) -> Array | None:
    """Return the factor from trained to integer potentials of a neuron layer, or None."""
    node = floats[name]
    if not isinstance(node, Membrane):
        return None
    drives = [scales[w] for w in weights_of(floats, name) or () if w in scales]
    if not drives or not drives[0].any():
        return None
    scale = drives[0]
    if node.synapses > 1:
        scale = scale.reshape(-1, node.synapses).max(axis=1)
    if integers.size == 1:
        return np.asarray(scale[scale > 0].mean())
    scale = scale.reshape(-1, *(1,) * (len(node.shape) - 1))
    if not _spread(scale.shape, integers.shape):
        return None
    return np.asarray(scale)


def _spread(shape: Shape, wanted: Shape) -> bool:
    """Return whether an array of ``shape`` broadcasts to ``wanted``."""
    try:
        return np.broadcast_shapes(shape, wanted) == wanted
    except ValueError:
        return False
