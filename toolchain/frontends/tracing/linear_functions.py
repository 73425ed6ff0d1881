"""Linear torch functions, as the nodes of what they compute in each timestep."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks import torch_nodes
from toolchain.frontends.frameworks.adapter import Axes, UnsupportedError
from toolchain.frontends.tracing.axes import AxisLayout, check_axes
from toolchain.frontends.tracing.calls import Call
from toolchain.frontends.tracing.feature_moves import check_size, reshaped
from toolchain.frontends.tracing.partial_graph import Signal
from toolchain.ir import AvgPool2d, BatchNorm, Conv2d, Linear, Node, Reshape, Scale, SumPool2d

__all__ = ["linear_nodes"]

_Rule: TypeAlias = Callable[[Call, Signal, Shape], list[Node]]

_TOLERANCE = 1e-9
"""Largest relative difference between a function and the nodes that were read from it."""


def linear_nodes(call: Call, signal: Signal) -> list[Node]:
    """Return the nodes of a linear function of one signal.

    Raises:
        UnsupportedError: it is not linear, or mixes samples or timesteps.
    """
    shape = call.inputs[0].shape
    if not _features(signal, shape):
        raise UnsupportedError(f"takes {shape}, which has no axis of features")
    return _RULES.get(call.function, _elementwise)(call, signal, shape)


def _options(call: Call, names: str, **defaults: Any) -> dict[str, Any]:
    """Return the arguments of ``call`` after its input, by name."""
    given = dict(zip(names.split(), call.positional[1:], strict=False))
    return {**defaults, **given, **{k: v for k, v in call.options.items() if k != "input"}}


def _features(signal: Signal, shape: Shape) -> Shape:
    return signal.layout.features(shape)


# ---- functions with a node of their own ----


def _dense(call: Call, signal: Signal, shape: Shape) -> list[Node]:
    check_axes(Axes.LAST, shape, signal.layout)
    return torch_nodes.dense(**_options(call, "weight bias"))


def _convolution(call: Call, signal: Signal, shape: Shape) -> list[Node]:
    check_axes(_map_axes(call), shape, signal.layout)
    return torch_nodes.convolution(**_options(call, "weight bias stride padding dilation groups"))


def _transposed(call: Call, signal: Signal, shape: Shape) -> list[Node]:
    check_axes(_map_axes(call), shape, signal.layout)
    names = "weight bias stride padding output_padding groups dilation"
    return torch_nodes.transposed(**_options(call, names))


def _pool(call: Call, signal: Signal, shape: Shape) -> list[Node]:
    check_axes(_map_axes(call), shape, signal.layout)
    names = "kernel_size stride padding ceil_mode count_include_pad divisor_override"
    given = _options(call, names)
    kernel, divisor = given.pop("kernel_size"), given.pop("divisor_override", None)
    return torch_nodes.avg_pool(_features(signal, shape), kernel, divisor=divisor, **given)


def _adaptive(call: Call, signal: Signal, shape: Shape) -> list[Node]:
    check_axes(_map_axes(call), shape, signal.layout)
    size = _options(call, "output_size")["output_size"]
    return torch_nodes.adaptive_pool(_features(signal, shape), size)


def _batch_norm(call: Call, signal: Signal, shape: Shape) -> list[Node]:
    names = "running_mean running_var weight bias training momentum eps"
    given = _options(call, names, weight=None, bias=None, training=False, eps=1e-5)
    if given["training"]:
        raise UnsupportedError(
            "takes its statistics from the batch; pass training=self.training, or use "
            "nn.BatchNorm1d or nn.BatchNorm2d"
        )
    check_axes(Axes.CHANNELS if len(shape) < 4 else Axes.IMAGE, shape, signal.layout)
    mean, var = given["running_mean"], given["running_var"]
    return torch_nodes.batch_norm(mean, var, given["weight"], given["bias"], given["eps"])


def _map_axes(call: Call) -> Axes:
    return Axes.LINE if call.function.endswith("1d") else Axes.IMAGE


# ---- sums and means over axes ----

_OVER_TIME = (
    "not supported; return the spikes (batch, time, ...) and sum them over time outside the network"
)


def _reduction(call: Call, signal: Signal, shape: Shape) -> list[Node]:
    given = _options(call, "dim keepdim", dim=None, keepdim=False)
    dim = given.get("axis", given["dim"])
    axes = {n % len(shape) for n in ((dim,) if isinstance(dim, int) else dim or range(len(shape)))}
    lead = signal.layout.lead
    if any(axis < lead for axis in axes):
        raise UnsupportedError(_OVER_TIME if _is_time(signal.layout, axes) else _OVER_BATCH)
    features = _features(signal, shape)
    kept = call.outputs[0].shape[lead:]
    if not kept:
        raise UnsupportedError("leaves no axis of features; pass keepdim=True")
    if len(features) > 3:
        return _probed(call, signal, shape)
    return _sum_nodes(features, {axis - lead for axis in axes}, kept, call.function == "mean")


_OVER_BATCH = "sums over the samples of the batch, which a chip runs one at a time"


def _is_time(layout: AxisLayout, axes: set[int]) -> bool:
    batch = {AxisLayout.BATCH_TIME: 0, AxisLayout.TIME_BATCH: 1, AxisLayout.STEP: 0}.get(layout)
    return bool({axis for axis in axes if axis < layout.lead} - {batch})


def _sum_nodes(features: Shape, axes: set[int], kept: Shape, mean: bool) -> list[Node]:
    """Return pools over the map and a convolution over the channels, between reshapes."""
    if len(features) == 1:
        weight = np.full((1, features[0]), 1 / features[0] if mean else 1.0)
        return [Linear(weight=weight)]
    image = features if len(features) == 3 else (features[0], 1, features[1])
    offset = 3 - len(features)
    nodes: list[Node] = reshaped(features, image)
    kernel = tuple(
        size if axis and axis - offset in axes else 1 for axis, size in enumerate(image)
    )[1:]
    if any(size > 1 for size in kernel):
        window = (kernel[0], kernel[1])
        nodes.append((AvgPool2d if mean else SumPool2d)(kernel=window, stride=window))
    size = [image[0], *(n // k for n, k in zip(image[1:], kernel, strict=True))]
    if 0 in axes:
        weight = np.full((1, image[0], 1, 1), 1 / image[0] if mean else 1.0)
        nodes.append(Conv2d(weight=weight))
        size[0] = 1
    return [*nodes, *reshaped((size[0], size[1], size[2]), kept)]


# ---- elementwise functions of a constant ----


def _elementwise(call: Call, signal: Signal, shape: Shape) -> list[Node]:
    """Return the factor and the constant of ``a x + b``, feature by feature."""
    lead = signal.layout.lead
    if call.outputs[0].shape != shape:
        return _probed(call, signal, shape)
    zeros, ones = torch.zeros(shape, dtype=torch.float64), torch.ones(shape, dtype=torch.float64)
    constant = call.repeat([zeros])[0].numpy()
    factor = call.repeat([ones])[0].numpy() - constant
    whole = np.rint(factor)  # of a sum, whose factor the subtraction rounds
    factor = np.where((constant != 0) & (np.abs(factor - whole) < _TOLERANCE), whole, factor)
    probe = torch.from_numpy(np.random.default_rng(0).normal(size=shape))
    _check_equal(call.repeat([probe])[0].numpy(), factor * probe.numpy() + constant)
    parts = [_per_feature(part, lead) for part in (factor, constant)]
    return _affine(parts[0], parts[1])


def _per_feature(values: Array, lead: int) -> Array:
    """Return numbers that are the same in each sample and timestep, without those axes."""
    flat = values.reshape(prod(values.shape[:lead]), *values.shape[lead:])
    if (flat != flat[:1]).any():
        raise UnsupportedError(
            "uses a tensor that differs between timesteps or samples, and that is no layer's "
            "output; only constants for each feature are supported"
        )
    return np.asarray(flat[0])


def _affine(factor: Array, constant: Array) -> list[Node]:
    channels = _per_channel(constant)
    if not channels.any():
        uniform = np.unique(factor)
        if len(uniform) == 1:
            return [] if uniform[0] == 1 else [Scale(scale=uniform[0])]
        return [Scale(scale=_short(factor))]
    ones = np.ones_like(channels)
    norm = BatchNorm(mean=0 * ones, var=ones, gamma=ones, beta=channels, eps=0.0)
    return [*_affine(factor, np.zeros_like(constant)), norm]


def _per_channel(constant: Array) -> Array:
    """Return one number for each channel."""
    flat = constant.reshape(constant.shape[0], -1)
    if (flat != flat[:, :1]).any():
        raise UnsupportedError(
            "adds a constant that differs from pixel to pixel; a convolution has one for each "
            "channel"
        )
    return np.asarray(flat[:, 0])


def _short(factor: Array) -> Array:
    """Return a factor for each channel where all pixels have the same."""
    flat = factor.reshape(factor.shape[0], -1)
    if (flat == flat[:, :1]).all():
        return flat[:, 0].reshape(-1, *(1,) * (factor.ndim - 1))
    return factor


# ---- all other linear functions ----


def _probed(call: Call, signal: Signal, shape: Shape) -> list[Node]:
    """Return the matrix of a function, read from what it makes of each feature alone."""
    lead, features = signal.layout.lead, _features(signal, shape)
    out = call.outputs[0].shape
    if out[:lead] != shape[:lead] or not out[lead:]:
        raise UnsupportedError(
            f"turns {shape} into {out}; only the features may change, and one axis of them must "
            "stay"
        )
    inputs, outputs, rows = prod(features), prod(out[lead:]), prod(shape[:lead])
    check_size(outputs, inputs)

    def compute(numbers: Array) -> Array:
        given = torch.from_numpy(numbers.reshape(shape))
        return call.repeat([given])[0].numpy().reshape(rows, outputs)

    constant = _per_feature(compute(np.zeros((rows, inputs))), 1)
    weight = np.empty((outputs, inputs))
    for first in range(0, inputs, rows):
        some = np.eye(rows, inputs, first)
        count = min(rows, inputs - first)
        weight[:, first : first + count] = (compute(some) - constant)[:count].T
    probe = np.random.default_rng(0).normal(size=(rows, inputs))
    _check_equal(compute(probe), probe @ weight.T + constant)
    linear = Linear(weight=weight, bias=constant if constant.any() else None)
    return [*reshaped(features, (inputs,)), linear, *_unflat(out[lead:])]


def _unflat(features: Shape) -> list[Node]:
    return [] if len(features) == 1 else [Reshape(shape=features)]


def _check_equal(values: Array, expected: Array) -> None:
    scale = max(float(np.abs(values).max(initial=0.0)), np.finfo(np.float64).tiny)
    if not (np.abs(values - expected) <= _TOLERANCE * scale).all():
        raise UnsupportedError("is not linear, or mixes timesteps or samples")


_RULES: dict[str, _Rule] = {
    "linear": _dense,
    **dict.fromkeys(("conv1d", "conv2d"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d"), _transposed),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), _pool),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d"), _adaptive),
    "batch_norm": _batch_norm,
    **dict.fromkeys(("sum", "mean"), _reduction),
    **dict.fromkeys(("matmul", "mm", "bmm", "__matmul__", "__rmatmul__"), _probed),
    **dict.fromkeys(("einsum", "tensordot", "inner", "interpolate", "upsample", "fold"), _probed),
}
