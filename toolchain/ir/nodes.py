"""The frozen node types of the IR that have no state over time.

A node has parameters and computes its output shape; the Graph connects nodes, and the interpreter
evaluates them. Shapes never contain batch or time. Every array is copied and set read-only when a
node is built, so a node can be shared between graphs. Real-valued parameters are float64 as
trained; a quantized graph has integer arrays in the same fields, and only this dtype marks it as
quantized.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any, ClassVar

import numpy as np

from toolchain.arrays import Array, Frozen, Shape
from toolchain.report import Brief

__all__ = [
    "Add",
    "AvgPool2d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "Flatten",
    "Identity",
    "Input",
    "Linear",
    "Node",
    "Output",
    "Scale",
    "SumPool2d",
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
    array = np.array(value)
    if not np.issubdtype(array.dtype, np.integer):
        array = array.astype(np.float64)
        if np.isnan(array).any():
            raise ValueError(f"{what} contains NaN")
    array.flags.writeable = False
    return array


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


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
class Flatten(Node):
    """All features on one axis, in C order (channel, then row, then column).

    >>> Flatten().output_shape((8, 4, 4))
    (128,)
    """

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(prod(input_shape),)``."""
        return (prod(input_shape),)


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
        _check_bias(self, self.weight.shape[0])

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(outputs,)``; the input must be ``(inputs,)``."""
        if input_shape != self.weight.shape[1:]:
            raise ValueError(f"Linear takes shape {self.weight.shape[1:]}, got {input_shape}")
        return (self.weight.shape[0],)


def _check_bias(node: Linear | Conv1d | Conv2d, outputs: int) -> None:
    if node.bias is not None and node.bias.shape != (outputs,):
        raise ValueError(
            f"{type(node).__name__}.bias has shape {node.bias.shape}, its weight has {outputs} "
            "outputs"
        )


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
class Conv1d(Node):
    """Cross-correlation with zero padding, as ``torch.nn.Conv1d`` computes it.

    Attributes:
        weight: (out_channels, in_channels / groups, kernel).
        bias: (out_channels,) added every timestep, or None.
        stride, padding, dilation, groups: as in torch.

    >>> import numpy as np
    >>> Conv1d(weight=np.ones((4, 2, 3)), padding=1).output_shape((2, 10))
    (4, 10)
    """

    weight: Array
    bias: Array | None = None
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    ARRAYS: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def __post_init__(self) -> None:
        """Check shapes."""
        Node.__post_init__(self)
        if self.weight.ndim != 3:
            raise ValueError(
                f"Conv1d.weight is (out, in / groups, kernel), got shape {self.weight.shape}"
            )
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise ValueError(
                f"Conv1d: {self.weight.shape[0]} channels cannot be divided into {self.groups} "
                "groups"
            )
        if min(self.stride, self.dilation) < 1 or self.padding < 0:
            raise ValueError("Conv1d: stride and dilation must be >= 1, padding >= 0")
        _check_bias(self, self.weight.shape[0])

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(out_channels, length)``."""
        outputs, inputs, kernel = self.weight.shape
        wanted = inputs * self.groups
        if len(input_shape) != 2 or input_shape[0] != wanted:
            raise ValueError(f"Conv1d takes shape ({wanted}, length), got {input_shape}")
        padded = input_shape[1] + 2 * self.padding
        length = (padded - self.dilation * (kernel - 1) - 1) // self.stride + 1
        if length < 1:
            raise ValueError(f"Conv1d: a kernel of {kernel} is larger than the input {input_shape}")
        return (outputs, length)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Conv2d(Node):
    """Cross-correlation with zero padding, as ``torch.nn.Conv2d`` computes it.

    Attributes:
        weight: (out_channels, in_channels / groups, kernel_y, kernel_x).
        bias: (out_channels,) added every timestep, or None.
        stride, padding, dilation: (y, x).

    >>> import numpy as np
    >>> Conv2d(weight=np.ones((8, 2, 3, 3)), stride=2, padding=1).output_shape((2, 16, 16))
    (8, 8, 8)
    """

    weight: Array
    bias: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    ARRAYS: ClassVar[tuple[str, ...]] = ("weight", "bias")

    def __post_init__(self) -> None:
        """Check shapes."""
        Node.__post_init__(self)
        for name in ("stride", "padding", "dilation"):
            object.__setattr__(self, name, _pair(getattr(self, name)))
        if self.weight.ndim != 4:
            raise ValueError(
                f"Conv2d.weight is (out, in / groups, y, x), got shape {self.weight.shape}"
            )
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise ValueError(
                f"Conv2d: {self.weight.shape[0]} channels cannot be divided into {self.groups} "
                "groups"
            )
        if min(*self.stride, *self.dilation) < 1 or min(self.padding) < 0:
            raise ValueError("Conv2d: stride and dilation must be >= 1, padding >= 0")
        _check_bias(self, self.weight.shape[0])

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(out_channels, height, width)``."""
        wanted = self.weight.shape[1] * self.groups
        if len(input_shape) != 3 or input_shape[0] != wanted:
            raise ValueError(f"Conv2d takes shape ({wanted}, height, width), got {input_shape}")
        size = tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                input_shape[1:],
                self.weight.shape[2:],
                self.stride,
                self.padding,
                self.dilation,
                strict=True,
            )
        )
        if min(size) < 1:
            kernel = self.weight.shape[2:]
            raise ValueError(f"Conv2d: a kernel of {kernel} is larger than the input {input_shape}")
        return (self.weight.shape[0], *size)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class SumPool2d(Node):
    """The sum of each ``kernel`` window; rows and columns beyond the last full window are omitted.

    Attributes:
        kernel, stride: (y, x).

    >>> SumPool2d(kernel=2, stride=2).output_shape((8, 15, 15))
    (8, 7, 7)
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]

    def __post_init__(self) -> None:
        """Check sizes."""
        for name in ("kernel", "stride"):
            object.__setattr__(self, name, _pair(getattr(self, name)))
        if min(*self.kernel, *self.stride) < 1:
            raise ValueError(f"{type(self).__name__}: kernel and stride must be >= 1")

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(channels, height, width)``."""
        if len(input_shape) != 3:
            raise ValueError(
                f"{type(self).__name__} needs (channels, height, width), got {input_shape}"
            )
        height, width = (
            (n - k) // s + 1
            for n, k, s in zip(input_shape[1:], self.kernel, self.stride, strict=True)
        )
        if min(height, width) < 1:
            raise ValueError(
                f"{type(self).__name__}: a window of {self.kernel} is larger than the input "
                f"{input_shape}"
            )
        return (input_shape[0], height, width)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class AvgPool2d(SumPool2d):
    """The mean of each ``kernel`` window, otherwise as ``SumPool2d``.

    >>> AvgPool2d(kernel=2, stride=2).kernel
    (2, 2)
    """


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
