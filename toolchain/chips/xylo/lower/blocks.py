"""Blocks of registers: where the weights of each projection are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from toolchain.arrays import Array
from toolchain.chips.xylo.lower.layers import DenseLayers, Projection
from toolchain.chips.xylo.population import Population

__all__ = ["Block", "Register", "register_blocks"]

Register: TypeAlias = Literal["weights_in", "weights_rec", "weights_out"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """The registers to which the weights of a projection are added.

    Attributes:
        projection: the projection.
        register: the matrix of registers.
        index: rows (sources), columns (targets) and, except in ``weights_out``, synapses.
    """

    projection: Projection
    register: Register
    index: tuple[slice, ...]

    def words(self, weight: Array) -> Array:
        """Return a weight of the projection's shape in the layout of these registers."""
        targets = self.index[1].stop - self.index[1].start
        block = weight.reshape(targets, -1, weight.shape[1]).transpose(2, 0, 1)
        return block[..., 0] if len(self.index) == 2 else block[..., self.index[2]]


def register_blocks(
    layers: DenseLayers, places: Mapping[str, Population], synapses: int
) -> Iterator[Block]:
    """Yield the block of each projection.

    Args:
        layers: the network.
        places: neuron ids of each layer.
        synapses: synapses of the hidden neurons; weights of further ones are left out.
    """
    for projection in layers.projections:
        post = places[projection.post]
        columns = slice(post.start, post.stop)
        received = projection.weight.shape[0] // (post.stop - post.start)
        planes = slice(0, min(received, synapses))
        if projection.pre == layers.input:
            index: tuple[slice, ...] = slice(0, layers.inputs), columns, planes
            yield Block(projection=projection, register="weights_in", index=index)
            continue
        pre = places[projection.pre]
        rows = slice(pre.start, pre.stop)
        if post.role == "output":
            yield Block(projection=projection, register="weights_out", index=(rows, columns))
        else:
            index = rows, columns, planes
            yield Block(projection=projection, register="weights_rec", index=index)
