"""What an adapter is: how one kind of layer becomes nodes.

An adapter is a plain function ``(name, module, features) -> Fragment``, where ``features`` is the
shape that the layer receives each timestep. It raises :class:`UnsupportedError` with the short
fact where the layer cannot be said in the IR. :class:`Layer` adds which axes the layer works on.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from toolchain.arrays import Array, Shape
from toolchain.ir import Edge, Node

__all__ = ["Adapter", "Axes", "Fragment", "Layer", "UnsupportedError", "array", "pair"]


class UnsupportedError(ValueError):
    """A layer or an operation that the IR cannot say; the caller adds which one."""


class Axes(enum.Enum):
    """What a layer takes the leading axes of its input for.

    ``ANY``: every axis alike. ``LAST``: features are the last axis. ``IMAGE``: rows, channels,
    height, width. ``ROWS``: rows, features. ``TIME``: batch, time, features. ``TIME_FIRST``: time,
    batch, features. ``STEP``: batch, features of a single timestep; the layer is called once in
    each. ``SQUEEZED``: rows, which it cuts into batch and time itself. ``RESHAPE``: it only moves
    axes.
    """

    ANY = "any"
    LAST = "last"
    IMAGE = "image"
    ROWS = "rows"
    TIME = "time"
    TIME_FIRST = "time_first"
    STEP = "step"
    SQUEEZED = "squeezed"
    RESHAPE = "reshape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """The nodes of one layer.

    Attributes:
        nodes: by name.
        edges: between them.
        entry, exit: names of the nodes that take the layer's input and give its output.
        dt: length of a timestep in s, where the layer was built for one.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...] = ()
    entry: str
    exit: str
    dt: float | None = None

    @classmethod
    def of(cls, name: str, node: Node) -> Fragment:
        """A fragment of one node."""
        return cls(nodes={name: node}, entry=name, exit=name)


Adapter: TypeAlias = Callable[[str, Any, Shape], Fragment]


@dataclass(frozen=True, slots=True)
class Layer:
    """A supported kind of layer.

    Attributes:
        adapter: what turns it into nodes.
        axes: what it takes the axes of its input for; a function of the module where an option
            of the module decides.
        stateful: whether it has state over time.
        reset: makes the module forget its state, of whatever batch size, in place; needed where
            the module keeps its state from call to call.
        membrane: where in the tuple that the module gives its membrane is, so that a network may
            return membranes; None where it gives none.
        aside: the tensors that the module has put aside when it returns, and that a network may
            return; ``membrane`` counts them after those that it gives.
        grid: where only the layer knows batch and time: both, told from the module and the shapes
            of its input and output.
        sums: whether it is the sum of all its inputs.
    """

    adapter: Adapter
    axes: Axes | Callable[[Any], Axes]
    stateful: bool = False
    reset: Callable[[Any], object] | None = None
    membrane: int | None = None
    aside: Callable[[Any], Sequence[Tensor]] | None = None
    grid: Callable[[Any, Shape, Shape], tuple[int, int]] | None = None
    sums: bool = False

    def axes_of(self, module: Any) -> Axes:
        """What ``module`` takes the axes of its input for."""
        return self.axes if isinstance(self.axes, Axes) else self.axes(module)


def array(tensor: Tensor) -> Array:
    """The numbers of a parameter."""
    return tensor.detach().cpu().numpy()


def pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    """``(y, x)`` of a size that may be given as one number."""
    y, x = (value, value) if isinstance(value, int) else value
    return int(y), int(x)
