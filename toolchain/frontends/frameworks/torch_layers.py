"""Adapters for the layers of torch itself, and the reasons why the others are refused."""

from __future__ import annotations

from torch import nn

from toolchain.arrays import Shape
from toolchain.frontends.frameworks import torch_nodes
from toolchain.frontends.frameworks.adapter import Axes, Fragment, Layer, UnsupportedError
from toolchain.ir import Identity

__all__ = ["REFUSED", "TORCH_LAYERS", "identity", "linear"]


def linear(name: str, module: nn.Linear, features: Shape = ()) -> Fragment:
    """Convert ``nn.Linear`` to a Linear node."""
    return Fragment.chain(name, torch_nodes.dense(module.weight, module.bias))


def _convolution(name: str, module: nn.Conv1d | nn.Conv2d, features: Shape) -> Fragment:
    if module.padding_mode != "zeros":
        raise UnsupportedError(
            f"padding_mode {module.padding_mode!r}; only zero padding is supported"
        )
    nodes = torch_nodes.convolution(
        module.weight,
        module.bias,
        module.stride,
        module.padding,
        module.dilation,
        module.groups,
    )
    return Fragment.chain(name, nodes)


def _transposed(
    name: str, module: nn.ConvTranspose1d | nn.ConvTranspose2d, features: Shape
) -> Fragment:
    assert not isinstance(module.padding, str)
    nodes = torch_nodes.transposed(
        module.weight,
        module.bias,
        module.stride,
        module.padding,
        module.output_padding,
        module.groups,
        module.dilation,
    )
    return Fragment.chain(name, nodes)


def _avg_pool(name: str, module: nn.AvgPool1d | nn.AvgPool2d, features: Shape) -> Fragment:
    nodes = torch_nodes.avg_pool(
        features,
        module.kernel_size,
        module.stride,
        module.padding,
        module.ceil_mode,
        getattr(module, "count_include_pad", True),
        getattr(module, "divisor_override", None),
    )
    return Fragment.chain(name, nodes, type(module).__name__)


def _adaptive_pool(
    name: str, module: nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d, features: Shape
) -> Fragment:
    nodes = torch_nodes.adaptive_pool(features, module.output_size)
    return Fragment.chain(name, nodes, type(module).__name__)


def _power_pool(name: str, module: nn.LPPool1d | nn.LPPool2d, features: Shape) -> Fragment:
    if float(module.norm_type) != 1.0:
        raise UnsupportedError(
            f"norm_type {module.norm_type:g} is not linear; use norm_type 1, which is a sum"
        )
    if module.ceil_mode:
        raise UnsupportedError("ceil_mode=True is not supported; crop the map to whole windows")
    nodes = torch_nodes.sum_pool(features, module.kernel_size, module.stride)
    return Fragment.chain(name, nodes, type(module).__name__)


def _batch_norm(name: str, module: nn.BatchNorm1d | nn.BatchNorm2d, features: Shape) -> Fragment:
    nodes = torch_nodes.batch_norm(
        module.running_mean, module.running_var, module.weight, module.bias, module.eps
    )
    return Fragment.chain(name, nodes)


def identity(name: str, module: nn.Module, features: Shape) -> Fragment:
    """Convert a layer that does nothing in evaluation mode to an Identity node."""
    return Fragment.of(name, Identity(was=type(module).__name__))


def _no_adapter(name: str, module: nn.Module, features: Shape) -> Fragment:
    raise AssertionError("reshaping layers are read from their shapes")


_MOVES = (
    *(nn.Unfold, nn.Fold),
    *(nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d),
    *(nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad1d, nn.ReplicationPad2d),
    *(nn.CircularPad1d, nn.CircularPad2d, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle),
    *(nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d),
)
_WITHOUT_EFFECT = (
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout),
)

TORCH_LAYERS: dict[type[nn.Module], Layer] = {
    nn.Linear: Layer(linear, Axes.LAST),
    nn.Conv1d: Layer(_convolution, Axes.LINE),
    nn.Conv2d: Layer(_convolution, Axes.IMAGE),
    nn.ConvTranspose1d: Layer(_transposed, Axes.LINE),
    nn.ConvTranspose2d: Layer(_transposed, Axes.IMAGE),
    nn.AvgPool1d: Layer(_avg_pool, Axes.LINE),
    nn.AvgPool2d: Layer(_avg_pool, Axes.IMAGE),
    nn.AdaptiveAvgPool1d: Layer(_adaptive_pool, Axes.LINE),
    nn.AdaptiveAvgPool2d: Layer(_adaptive_pool, Axes.IMAGE),
    nn.LPPool1d: Layer(_power_pool, Axes.LINE),
    nn.LPPool2d: Layer(_power_pool, Axes.IMAGE),
    nn.BatchNorm1d: Layer(_batch_norm, Axes.CHANNELS),
    nn.BatchNorm2d: Layer(_batch_norm, Axes.IMAGE),
    nn.Flatten: Layer(_no_adapter, Axes.RESHAPE),
    nn.Unflatten: Layer(_no_adapter, Axes.RESHAPE),
    **dict.fromkeys(_MOVES, Layer(_no_adapter, Axes.MOVE)),
    **dict.fromkeys(_WITHOUT_EFFECT, Layer(identity, Axes.ANY)),
}

_ACTIVATIONS = (
    "ReLU ReLU6 LeakyReLU PReLU RReLU ELU SELU CELU GELU GLU SiLU Mish Sigmoid LogSigmoid Tanh "
    "Tanhshrink Hardtanh Hardsigmoid Hardswish Hardshrink Softshrink Softsign Softplus Threshold"
)
_NOT_SPIKING = (
    "not spiking; replace it by toolchain.nn.IAF (IAFSqueeze between image layers) or convert the "
    "network first"
)
_GATED = "gated recurrence has no spiking counterpart; use toolchain.nn.LIFRecurrent or CubaLIF"
_MAX_POOL = "a maximum is not a sum of spikes; use toolchain.nn.SumPool2d or nn.AvgPool2d"
_NORM = (
    "has no counterpart on a spiking chip: it divides by statistics of its own input; use "
    "nn.BatchNorm1d or nn.BatchNorm2d, whose statistics are constants in evaluation mode"
)
_VOLUME = "works on volumes, and a chip has maps; use the layer for two axes, such as nn.Conv2d"
_ATTENTION = "attention multiplies signals with each other, which no supported chip can do"
_PRODUCT = (
    "multiplies its inputs with each other; a chip multiplies spikes by constant weights only"
)
_OUTSIDE = "apply it outside, to the network's output"
_LOOKUP = "looks rows up by number; give one-hot spikes to nn.Linear(..., bias=False) instead"
_CONVERTED = "synchronizes devices in training; use nn.BatchNorm1d or nn.BatchNorm2d"

_REASONS = (
    (_ACTIVATIONS, _NOT_SPIKING),
    ("LSTM GRU RNN LSTMCell GRUCell RNNCell", _GATED),
    ("MaxPool1d MaxPool2d MaxPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d", _MAX_POOL),
    ("AdaptiveMaxPool3d FractionalMaxPool2d FractionalMaxPool3d", _MAX_POOL),
    ("MaxUnpool1d MaxUnpool2d MaxUnpool3d", _MAX_POOL),
    ("LayerNorm GroupNorm RMSNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d", _NORM),
    ("LocalResponseNorm CrossMapLRN2d", _NORM),
    ("Conv3d ConvTranspose3d BatchNorm3d AvgPool3d AdaptiveAvgPool3d LPPool3d", _VOLUME),
    ("MultiheadAttention Transformer TransformerEncoder TransformerDecoder", _ATTENTION),
    ("TransformerEncoderLayer TransformerDecoderLayer", _ATTENTION),
    ("Bilinear CosineSimilarity PairwiseDistance", _PRODUCT),
    ("Embedding EmbeddingBag", _LOOKUP),
    ("SyncBatchNorm", _CONVERTED),
    ("Softmax LogSoftmax Softmin Softmax2d AdaptiveLogSoftmaxWithLoss", _OUTSIDE),
)

REFUSED: dict[str, str] = {name: reason for names, reason in _REASONS for name in names.split()}
"""Classes that the IR cannot represent, each with the reason and an alternative."""
