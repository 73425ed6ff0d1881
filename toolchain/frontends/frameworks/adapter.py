"""Interface of an adapter, which converts one kind of layer to nodes.

An adapter is a plain function ``(name, module, features) -> Fragment``, where ``features`` is the
shape that the layer receives each timestep. It raises :class:`UnsupportedError` with a short reason
if the IR cannot represent the layer. :class:`Layer` adds the axes that the layer works on.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from torch import Tensor

from toolchain.arrays import Array, Shape
from toolchain.ir import Edge, Flatten, Identity, Node, Pad, Permute, Reshape

__all__ = ["Adapter", "Axes", "Fragment", "Layer", "UnsupportedError", "array", "pair"]


class UnsupportedError(ValueError):
    """A layer or an operation that the IR cannot represent.

    The message is the reason alone; the caller adds the name of the layer or the source line.
    """


class Axes(enum.Enum):
    """Meaning of the leading axes of a layer's input.

    ``ANY``: every axis alike. ``LAST``: features are the last axis. ``IMAGE``: rows, channels,
    height, width. ``LINE``: rows, channels, length. ``ROWS``: rows, features. ``CHANNELS``: rows,
    channels and maybe a length. ``TIME``: batch, time, features. ``TIME_FIRST``: time, batch,
    features. ``STEP``: batch, features of a single timestep; the layer is called once in each.
    ``SQUEEZED``: rows, which the layer itself splits into batch and time. ``RESHAPE``: the layer
    only rearranges axes. ``MOVE``: the layer moves, copies or omits numbers, or adds zeros.
    """

    ANY = "any"
    LAST = "last"
    IMAGE = "image"
    LINE = "line"
    CHANNELS = "channels"
    ROWS = "rows"
    TIME = "time"
    TIME_FIRST = "time_first"
    STEP = "step"
    SQUEEZED = "squeezed"
    RESHAPE = "reshape"
    MOVE = "move"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """Nodes of one layer.

    Attributes:
        nodes: by name.
        edges: between them.
        entry, exit: names of the nodes that take the layer's input and give its output.
        dt: length of a timestep, s, if the layer was built for one.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...] = ()
    entry: str
    exit: str
    dt: float | None = None

    @classmethod
    def of(cls, name: str, node: Node) -> Fragment:
        """Return a fragment of one node."""
        return cls(nodes={name: node}, entry=name, exit=name)

    @classmethod
    def chain(cls, name: str, nodes: Sequence[Node], was: str = "") -> Fragment:
        """Return a fragment of nodes in a row; ``name`` is that of the first that computes.

        A layer ``was`` without nodes is an Identity.

        >>> from toolchain.ir import Flatten, Linear
        >>> list(Fragment.chain("fc", [Flatten(), Linear(weight=[[1.0]])]).nodes)
        ['fc.flatten', 'fc']
        """
        row = list(nodes) or [Identity(was=was)]
        main = next((n for n, node in enumerate(row) if not isinstance(node, _MOVES)), len(row) - 1)
        names: list[str] = []
        for n, node in enumerate(row):
            part = f"{name}.{type(node).__name__.lower()}"
            repeated = sum(other.startswith(part) for other in names)
            names.append(name if n == main else f"{part}{repeated + 1 if repeated else ''}")
        edges = tuple(Edge(one, two) for one, two in pairwise(names))
        nodes_by_name = dict(zip(names, row, strict=True))
        return cls(nodes=nodes_by_name, edges=edges, entry=names[0], exit=names[-1])


_MOVES = (Flatten, Pad, Permute, Reshape)

Adapter: TypeAlias = Callable[[str, Any, Shape], Fragment]


@dataclass(frozen=True, slots=True)
class Layer:
    """A supported kind of layer.

    Attributes:
        adapter: function that converts it to nodes.
        axes: meaning of its input's axes; a function of the module if an option of the module
            decides.
        stateful: True if it has state over time.
        reset: resets the module's state in place, whatever its batch size; needed if the module
            keeps its state between calls.
        membrane: position of the membrane in the tuple that the module returns, so that a network
            may return membranes; None if it returns none.
        aside: returns the tensors that the module has stored when its call ends, and that a network
            may return; ``membrane`` counts them after those that the call returns.
        grid: returns batch and time from the module and the shapes of its input and output; needed
            if only the layer determines them.
        sums: True if it is the sum of all its inputs.
        keeps_precision: returns True if a module that takes double precision computes in it
            throughout; otherwise a run in double precision has to watch each of its functions.
    """

    adapter: Adapter
    axes: Axes | Callable[[Any], Axes]
    stateful: bool = False
    reset: Callable[[Any], object] | None = None
    membrane: int | None = None
    aside: Callable[[Any], Sequence[Tensor]] | None = None
    grid: Callable[[Any, Shape, Shape], tuple[int, int]] | None = None
    sums: bool = False
    keeps_precision: Callable[[Any], bool] | None = None

    def axes_of(self, module: Any) -> Axes:
        """Return the meaning of the axes of the input of ``module``."""
        return self.axes if isinstance(self.axes, Axes) else self.axes(module)


def array(tensor: Tensor) -> Array:
    """Return a parameter as an array."""
    return tensor.detach().cpu().numpy()


def pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    """Return ``(y, x)`` of a size that may be given as one number."""
    y, x = (value, value) if isinstance(value, int) else value
    return int(y), int(x)
