"""Torch functions that are supported between layers, and the reasons why others are not."""

from __future__ import annotations

import torch

from toolchain.frontends.tracing.calls import Call

__all__ = [
    "ADD",
    "LINEAR",
    "MAPS",
    "MOVES",
    "REPEATS",
    "RESHAPES",
    "SAME",
    "SLICE",
    "STACK",
    "SUBTRACT",
    "unsupported",
]

ADD = {"add", "add_", "__add__", "__radd__", "__iadd__"}
SUBTRACT = {"sub", "sub_", "subtract", "__sub__", "__isub__"}
SLICE = {"__getitem__", "select", "unbind", "narrow", "split", "tensor_split", "chunk"}
STACK = {"stack", "cat", "concat", "concatenate"}
SAME = {"clone", "contiguous", "cpu", "detach", "double", "requires_grad_", "to", "type"}
SAME |= {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"}  # in evaluation mode
RESHAPES = {"flatten", "ravel", "reshape", "reshape_as", "squeeze", "unflatten", "unsqueeze"}
RESHAPES |= {"view", "view_as"}
MOVES = {"movedim", "moveaxis", "permute", "swapaxes", "swapdims", "transpose"}
REPEATS = {"expand", "expand_as", "broadcast_to", "repeat", "tile", "repeat_interleave", "stack"}
MOVES |= {"T", "mT", "t", "adjoint", "flip", "fliplr", "flipud", "roll", "rot90", "pad", "hstack"}
MOVES |= {"vstack", "dstack", "index_select", "take", "gather", "split_with_sizes", "hsplit"}
MOVES |= {"vsplit", "dsplit", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "unfold"}
MOVES |= {"interpolate", "upsample"}
MOVES |= RESHAPES | REPEATS | SLICE | STACK
MAPS = {"conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "avg_pool1d", "avg_pool2d"}
MAPS |= {"adaptive_avg_pool1d", "adaptive_avg_pool2d", "batch_norm"}
LINEAR = {"linear", "sum", "mean"} | MAPS
LINEAR |= {"mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__", "div", "div_", "divide"}
LINEAR |= {"true_divide", "__truediv__", "__itruediv__", "neg", "neg_", "negative", "__neg__"}
LINEAR |= {"rsub", "__rsub__", "matmul", "mm", "bmm", "__matmul__", "__rmatmul__", "einsum"}
LINEAR |= {"tensordot", "inner", "fold", "where", "masked_fill"}
LINEAR |= ADD | SUBTRACT

_DROP = "pass training=self.training, or use nn.Dropout"
_REDUCE = "return the spikes (batch, time, ...) and sum them over time outside the network"
_WRITE = "collect the steps of a loop in a list and join them with torch.stack"
_RELU = "not spiking; use toolchain.nn.IAF, or convert the network first"
_MAXIMUM = (
    "a maximum is not a sum of spikes; over a map use toolchain.nn.SumPool2d or nn.AvgPool2d, over "
    "time return the spikes (batch, time, ...) and take it outside the network"
)
_CAST = "it rounds; keep floating point throughout"
_NEURON = (
    "a threshold in forward is a neuron of your own, whose equations are not recognized; use a "
    "neuron layer, such as IAF or LIF of toolchain.nn: the page 'Coming from plain torch' lists "
    "them under 'Supported layers'"
)
_OUTSIDE = "apply it outside, to the network's output"
_CURVED = "not linear; between neuron layers only linear operations are supported"
DRAWN = (
    "draws random numbers; encode outside the network and give the spikes as the sample, and leave "
    "noise out"
)
_REASONS = {
    "dropout dropout1d dropout2d dropout3d alpha_dropout": _DROP,
    "relu relu_ sigmoid tanh gelu leaky_relu elu silu": _RELU,
    "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d maximum": _MAXIMUM,
    "fmax lp_pool1d lp_pool2d": _MAXIMUM,
    "max argmax amax median mode": _MAXIMUM,
    "int long short byte char half bfloat16": _CAST,
    "cumsum nansum count_nonzero": _REDUCE,
    "__setitem__ copy_ index_copy_ index_put_ scatter_ masked_fill_": _WRITE,
    "gt ge lt le eq ne __gt__ __ge__ __lt__ __le__ __eq__ __ne__ greater greater_equal": _NEURON,
    "less less_equal heaviside sign sgn where masked_fill bool floor round ceil": _NEURON,
    "softmax log_softmax softmin argsort sort topk one_hot cross_entropy": _OUTSIDE,
    "exp log sqrt rsqrt pow square abs reciprocal sin cos __pow__ __rtruediv__ var std": _CURVED,
    "norm normalize layer_norm group_norm instance_norm local_response_norm": _CURVED,
    "clamp clamp_ clip prod min amin minimum fmin": _CURVED,
}
_HINTS = {name: reason for names, reason in _REASONS.items() for name in names.split()}


def unsupported(call: Call) -> str | None:
    """Return the reason why a function is not supported anywhere, or None if it may be."""
    output, first_input = call.outputs[0].tensor, call.inputs[0].tensor
    if call.random:
        return DRAWN
    if call.function in SAME:
        if not first_input.is_floating_point():
            return None  # follows from a call that was refused, which is reported on its own
        if output.dtype != first_input.dtype:
            return f"converts to {output.dtype}; keep floating point throughout"
        if torch.equal(output, first_input):
            return None
    elif call.function in LINEAR | MOVES and output.dtype == first_input.dtype:
        return None
    hint = _HINTS.get(call.function, "between neuron layers only linear operations are supported")
    return f"not supported; {hint}"
