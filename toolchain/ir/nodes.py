"""The frozen node types of the IR that have no state over time.

A node has parameters and computes its output shape; the Graph connects nodes, and the interpreter
evaluates them. Shapes never contain batch or time. Every array is copied and set read-only when a
node is built, so a node can be shared between graphs. Real-valued parameters are float64 as
trained; a quantized graph has integer arrays in the same fields, and only this dtype marks it as
quantized.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from toolchain.arrays import Array, Frozen, Shape, has_masked, places, read_only
from toolchain.report import Brief

__all__ = [
    "Add",
    "BatchNorm",
    "Identity",
    "Input",
    "Linear",
    "Node",
    "Output",
    "Scale",
]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Node(Frozen, Brief):
    """Base class of all nodes: one operation of the network.

    Attributes:
        ARRAYS: fields that hold arrays; anything array-like given there is copied and frozen.
        STATEFUL: True if the node has a state from one timestep to the next.
        FAN_IN: number of edges that may end here, as (least, most); ``None`` means no limit.

    >>> from toolchain.ir import Neuron, Scale
    >>> issubclass(Neuron, Node), Neuron.STATEFUL, Scale.STATEFUL
    (True, True, False)
    >>> Scale(scale=0.5).parameters()["scale"].item()
    0.5
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ()
    STATEFUL: ClassVar[bool] = False
    FAN_IN: ClassVar[tuple[int, int | None]] = (1, 1)

    def __post_init__(self) -> None:
        """Freeze every array field; integers stay integers, all else becomes float64."""
        for name in self.ARRAYS:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _frozen(f"{type(self).__name__}.{name}", value))

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the output shape for ``input_shape``; ValueError if that shape is wrong."""
        return input_shape

    def parameters(self) -> dict[str, Any]:
        """Return every field by name, in declaration order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _frozen(what: str, value: object) -> Array:
    if has_masked(value):
        raise ValueError(f"{what} has masked values; give an array without a mask")
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer):
        array = array.astype(np.float64)
        if (wrong := np.isnan(array)).any():
            at = places(wrong)
            raise ValueError(f"{what} contains NaN{f' at {at}' if at else ''}")
    return read_only(array)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Input(Node):
    """The input of the network: non-negative integer spike counts of ``shape`` a timestep.

    >>> Input(shape=(2, 16, 16)).shape
    (2, 16, 16)
    """

    shape: Shape
    FAN_IN: ClassVar[tuple[int, int | None]] = (0, 0)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Output(Node):
    """An output of the network: the result of the node that feeds it.

    >>> from toolchain.ir import Graph, Input, Linear
    >>> fc = Linear(weight=[[1.0, -1.0]])
    >>> Graph.chain({"input": Input(shape=(2,)), "fc": fc, "output": Output()}).outputs
    ('fc',)

    Attributes:
        label: name of the output in the user's network; empty for the name of the node.
        index: position among several outputs.
    """

    label: str = ""
    index: int = 0

    def parameters(self) -> dict[str, Any]:
        """Return label and index where they are given."""
        given = {"label": self.label, "index": self.index}
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Identity(Node):
    """A layer that no effect at inference; ``was`` is the name of the layer in training.

    >>> Identity(was="Dropout").output_shape((10,))
    (10,)
    """

    was: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Add(Node):
    """The sum of its inputs, which all have one shape. The only node with several inputs.

    >>> from toolchain.ir import Graph, Input, Output, Scale
    >>> nodes = {"input": Input(shape=(3,)), "half": Scale(scale=0.5), "sum": Add()}
    >>> edges = [("input", "half"), ("half", "sum"), ("input", "sum"), ("sum", "output")]
    >>> Graph({**nodes, "output": Output()}, edges).shape("sum")
    (3,)
    """

    FAN_IN: ClassVar[tuple[int, int | None]] = (2, None)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Linear(Node):
    """``y = W x + b``.

    Attributes:
        weight: (outputs, inputs).
        bias: (outputs,) added every timestep, or None.

    >>> layer = Linear(weight=[[0.5, 0.25, 1.0], [1.0, 0.0, 0.0]], bias=[0.1, 0.0])
    >>> layer.weight.shape, layer.output_shape((3,))
    ((2, 3), (2,))
    """

    weight: Array
    bias: Array | None = None
    ARRAYS: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def __post_init__(self) -> None:
        """Check shapes."""
        Node.__post_init__(self)
        if self.weight.ndim != 2:
            raise ValueError(f"Linear.weight is (outputs, inputs), got shape {self.weight.shape}")
        check_bias("Linear", self.bias, self.weight.shape[0])

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(outputs,)``; the input must be ``(inputs,)``."""
        if input_shape != self.weight.shape[1:]:
            raise ValueError(f"Linear takes shape {self.weight.shape[1:]}, got {input_shape}")
        return (self.weight.shape[0],)


def check_bias(kind: str, bias: Array | None, outputs: int) -> None:
    """Raise ValueError unless there is one bias for each of ``outputs``, or none."""
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(f"{kind}.bias has shape {bias.shape}, its weight has {outputs} outputs")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Scale(Node):
    """``y = scale x``, feature by feature.

    Attributes:
        scale: a scalar, or of a shape that broadcasts to the features.

    Source: NIR, primitive ``Scale``.

    >>> Scale(scale=[1.0, 0.5]).output_shape((2,))
    (2,)
    """

    scale: Array
    ARRAYS: ClassVar[tuple[str, ...]] = ("scale",)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape, which ``scale`` must not widen."""
        try:
            widened = np.broadcast_shapes(self.scale.shape, input_shape)
        except ValueError:
            widened = ()
        if widened != input_shape:
            raise ValueError(
                f"Scale.scale has shape {self.scale.shape}, which does not broadcast to "
                f"{input_shape}"
            )
        return input_shape


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class BatchNorm(Node):
    r"""``y = gamma (x - mean) / sqrt(var + eps) + beta`` per channel, with stored statistics.

    Attributes:
        mean, var, gamma, beta: (channels,).
        eps: added to the variance, as in torch.

    Source: torch.nn.BatchNorm2d, evaluation mode.

    >>> norm = BatchNorm(mean=[0.0], var=[4.0], gamma=[1.0], beta=[0.5], eps=1e-5)
    >>> norm.output_shape((1, 16, 16))
    (1, 16, 16)
    """

    mean: Array
    var: Array
    gamma: Array
    beta: Array
    eps: float
    ARRAYS: ClassVar[tuple[str, ...]] = ("mean", "var", "gamma", "beta")

    def __post_init__(self) -> None:
        """Check shapes."""
        Node.__post_init__(self)
        shapes = {name: getattr(self, name).shape for name in self.ARRAYS}
        if len(set(shapes.values())) > 1 or self.mean.ndim != 1:
            raise ValueError(f"BatchNorm fields are (channels,), got {shapes}")

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape; its first axis is the channel."""
        if input_shape[:1] != self.mean.shape:
            raise ValueError(f"BatchNorm takes {self.mean.shape[0]} channels, got {input_shape}")
        return input_shape
