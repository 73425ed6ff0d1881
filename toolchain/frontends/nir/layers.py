"""Conversion of stateless NIR primitives to IR nodes; the same in every dialect.

Biases that are zero everywhere are dropped, since nir's convolutions always have one. Numbers
become float64: in the IR, integers mark a quantized graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.frontends.nir.nodes import NirNode, NodeValue
from toolchain.ir import AvgPool2d, Conv1d, Conv2d, Flatten, Linear, Node, Scale, SumPool2d

__all__ = ["LAYERS", "layer"]

NodeFields = Mapping[str, NodeValue]


def layer(node: NirNode, shape: Shape) -> Node:
    """Convert ``node`` to an IR node for an input of ``shape``.

    Raises:
        ValueError: its fields do not match each other or the shape, or are not supported.
    """
    return LAYERS[node.type](node.fields, shape)


def _numbers(fields: NodeFields, name: str) -> Array:
    return np.asarray(fields[name], dtype=np.float64)


def _bias(fields: NodeFields) -> Array | None:
    if "bias" not in fields:
        return None
    bias, outputs = _numbers(fields, "bias"), len(np.asarray(fields["weight"]))
    if bias.shape != (outputs,):
        raise ValueError(f"bias has shape {bias.shape}, the weight has {outputs} outputs")
    return bias if np.any(bias) else None


def _integer(fields: NodeFields, name: str) -> int:
    value = np.asarray(fields[name])
    if value.size != 1:
        raise ValueError(f"{name} must be one integer, got {value.tolist()}")
    return int(value.reshape(()))


def _pair(fields: NodeFields, name: str) -> tuple[int, int]:
    value = np.asarray(fields[name]).reshape(-1)
    if value.size not in (1, 2):
        raise ValueError(f"{name} must be (y, x), got {value.tolist()}")
    return int(value[0]), int(value[-1])


def _linear(fields: NodeFields, shape: Shape) -> Linear:
    return Linear(weight=_numbers(fields, "weight"), bias=_bias(fields))


def _scale(fields: NodeFields, shape: Shape) -> Scale:
    return Scale(scale=_numbers(fields, "scale"))


def _padding(fields: NodeFields, axis: int, size: int, stride: int, dilation: int) -> int:
    """Return the zeros on either side along one axis for a kernel of ``size``."""
    padding = fields["padding"]
    if not isinstance(padding, str):
        values = np.asarray(padding).reshape(-1)
        axes = np.asarray(fields["weight"]).ndim - 2
        if values.size > axes:
            raise ValueError(f"padding has {values.size} values for {axes} axes")
        return int(values[min(axis, values.size - 1)])
    if padding == "valid":
        return 0
    total = dilation * (size - 1)
    if stride != 1:
        raise ValueError(f"padding 'same' needs a stride of 1, got {stride}")
    if total % 2:
        raise ValueError(
            f"padding 'same' with a kernel size of {size} is asymmetric, which no chip supports; "
            "use an odd kernel size"
        )
    return total // 2


def _conv1d(fields: NodeFields, shape: Shape) -> Conv1d:
    weight = _numbers(fields, "weight")
    stride, dilation = _integer(fields, "stride"), _integer(fields, "dilation")
    return Conv1d(
        weight=weight,
        bias=_bias(fields),
        stride=stride,
        padding=_padding(fields, 0, weight.shape[2], stride, dilation),
        dilation=dilation,
        groups=_integer(fields, "groups"),
    )


def _conv2d(fields: NodeFields, shape: Shape) -> Conv2d:
    weight = _numbers(fields, "weight")
    stride, dilation = _pair(fields, "stride"), _pair(fields, "dilation")
    first, second = (
        _padding(fields, axis, weight.shape[2 + axis], stride[axis], dilation[axis])
        for axis in (0, 1)
    )
    return Conv2d(
        weight=weight,
        bias=_bias(fields),
        stride=stride,
        padding=(first, second),
        dilation=dilation,
        groups=_integer(fields, "groups"),
    )


def _pool(kind: type[SumPool2d]) -> Callable[[NodeFields, Shape], SumPool2d]:
    def build(fields: NodeFields, shape: Shape) -> SumPool2d:
        if np.any(np.asarray(fields["padding"])):
            raise ValueError(
                f"padding {_pair(fields, 'padding')}: pooling with padding is not supported"
            )
        return kind(kernel=_pair(fields, "kernel_size"), stride=_pair(fields, "stride"))

    return build


def _flatten(fields: NodeFields, shape: Shape) -> Flatten:
    """Convert Flatten; dims count the batch axis if ``input_type`` has one axis more."""
    start, end = _integer(fields, "start_dim"), _integer(fields, "end_dim")
    axes = len(shape)
    with_batch = "input_type" in fields and np.size(fields["input_type"]) == axes + 1
    first, last = (_axis(dim, axes, with_batch) for dim in (start, end))
    if first > 0 or last < axes - 1:
        raise ValueError(
            f"flattens axes {start} to {end} of {shape}; only flattening all features is supported "
            f"(axes 0 to {axes - 1}, or -1)"
        )
    return Flatten()


def _axis(dim: int, axes: int, with_batch: bool) -> int:
    if dim < 0:
        return axes + dim
    return dim - 1 if with_batch else dim


LAYERS: Mapping[str, Callable[[NodeFields, Shape], Node]] = {
    "Affine": _linear,
    "AvgPool2d": _pool(AvgPool2d),
    "Conv1d": _conv1d,
    "Conv2d": _conv2d,
    "Flatten": _flatten,
    "Linear": _linear,
    "Scale": _scale,
    "SumPool2d": _pool(SumPool2d),
}
"""Conversion of each primitive, by its name."""
