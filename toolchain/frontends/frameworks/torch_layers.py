"""Adapters for the layers of torch itself, and the reasons why the others are refused."""

from __future__ import annotations

import numpy as np
from torch import nn

from toolchain.arrays import Shape
from toolchain.frontends.frameworks.adapter import (
    Axes,
    Fragment,
    Layer,
    UnsupportedError,
    array,
    pair,
)
from toolchain.ir import AvgPool2d, BatchNorm, Conv2d, Identity, Linear

__all__ = ["REFUSED", "TORCH_LAYERS", "identity", "linear"]


def linear(name: str, module: nn.Linear, features: Shape = ()) -> Fragment:
    """Convert ``nn.Linear`` to a Linear node."""
    bias = None if module.bias is None else array(module.bias)
    return Fragment.of(name, Linear(weight=array(module.weight), bias=bias))


def _conv2d(name: str, module: nn.Conv2d, features: Shape) -> Fragment:
    if module.padding_mode != "zeros":
        raise UnsupportedError(
            f"padding_mode {module.padding_mode!r}; only zero padding is supported"
        )
    node = Conv2d(
        weight=array(module.weight),
        bias=None if module.bias is None else array(module.bias),
        stride=pair(module.stride),
        padding=_padding(module),
        dilation=pair(module.dilation),
        groups=module.groups,
    )
    return Fragment.of(name, node)


def _padding(module: nn.Conv2d) -> tuple[int, int]:
    if not isinstance(module.padding, str):
        return pair(module.padding)
    if module.padding == "valid":
        return (0, 0)
    kernel, dilation = pair(module.kernel_size), pair(module.dilation)
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if any(n % 2 for n in total):
        raise UnsupportedError(
            f"padding 'same' of a {kernel[0]} x {kernel[1]} kernel pads one side more than the "
            "other; use an odd kernel or give the padding in numbers"
        )
    return total[0] // 2, total[1] // 2


def _avg_pool2d(name: str, module: nn.AvgPool2d, features: Shape) -> Fragment:
    for option, value in (
        ("padding", any(pair(module.padding))),
        ("ceil_mode", module.ceil_mode),
        ("divisor_override", module.divisor_override is not None),
    ):
        if value:
            raise UnsupportedError(f"{option}={getattr(module, option)} is not supported")
    stride = module.kernel_size if module.stride is None else module.stride
    return Fragment.of(name, AvgPool2d(kernel=pair(module.kernel_size), stride=pair(stride)))


def _batch_norm(name: str, module: nn.BatchNorm1d | nn.BatchNorm2d, features: Shape) -> Fragment:
    if module.running_mean is None or module.running_var is None:
        raise UnsupportedError("no running statistics: its output depends on the batch")
    mean, var = array(module.running_mean), array(module.running_var)
    node = BatchNorm(
        mean=mean,
        var=var,
        gamma=np.ones_like(mean) if module.weight is None else array(module.weight),
        beta=np.zeros_like(mean) if module.bias is None else array(module.bias),
        eps=module.eps,
    )
    return Fragment.of(name, node)


def identity(name: str, module: nn.Module, features: Shape) -> Fragment:
    """Convert a layer that does nothing in evaluation mode to an Identity node."""
    return Fragment.of(name, Identity(was=type(module).__name__))


def _no_adapter(name: str, module: nn.Module, features: Shape) -> Fragment:
    raise AssertionError("reshaping layers are read from their shapes")


TORCH_LAYERS: dict[type[nn.Module], Layer] = {
    nn.Linear: Layer(linear, Axes.LAST),
    nn.Conv2d: Layer(_conv2d, Axes.IMAGE),
    nn.AvgPool2d: Layer(_avg_pool2d, Axes.IMAGE),
    nn.BatchNorm1d: Layer(_batch_norm, Axes.ROWS),
    nn.BatchNorm2d: Layer(_batch_norm, Axes.IMAGE),
    nn.Dropout: Layer(identity, Axes.ANY),
    nn.Dropout1d: Layer(identity, Axes.ANY),
    nn.Dropout2d: Layer(identity, Axes.ANY),
    nn.Identity: Layer(identity, Axes.ANY),
    nn.Flatten: Layer(_no_adapter, Axes.RESHAPE),
    nn.Unflatten: Layer(_no_adapter, Axes.RESHAPE),
}

_ACTIVATIONS = (
    "ReLU ReLU6 LeakyReLU PReLU ELU SELU CELU GELU SiLU Mish Sigmoid Tanh Hardtanh Hardsigmoid "
    "Hardswish Softplus Threshold"
)
_NOT_SPIKING = (
    "not spiking; replace it by toolchain.nn.IAF (IAFSqueeze between image layers) or convert the "
    "network first"
)
_GATED = "gated recurrence has no spiking counterpart; use toolchain.nn.LIFRecurrent or CubaLIF"
_MAX_POOL = "a maximum is not a sum of spikes; use toolchain.nn.SumPool2d or nn.AvgPool2d"

REFUSED: dict[str, str] = {
    **dict.fromkeys(_ACTIVATIONS.split(), _NOT_SPIKING),
    **dict.fromkeys(("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"), _GATED),
    **dict.fromkeys(("MaxPool1d", "MaxPool2d", "MaxPool3d", "AdaptiveMaxPool2d"), _MAX_POOL),
    "AdaptiveAvgPool2d": "set an explicit window: use nn.AvgPool2d",
    **dict.fromkeys(
        ("Softmax", "LogSoftmax", "Softmin", "Softmax2d"),
        "apply it outside, to the network's output",
    ),
}
