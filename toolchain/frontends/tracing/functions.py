"""Torch functions that are supported between layers, and the reasons why others are not."""

from __future__ import annotations

import torch

from toolchain.frontends.tracing.calls import Call
from toolchain.frontends.tracing.views import swaps_first_two

__all__ = ["ADD", "REORDER", "RESHAPE", "SAME", "SLICE", "STACK", "UNORDERED", "unsupported"]

ADD = {"add", "add_", "__add__", "__radd__", "__iadd__"}
RESHAPE = {"flatten", "ravel", "reshape", "reshape_as", "squeeze", "unflatten", "unsqueeze"}
RESHAPE |= {"view", "view_as"}
REORDER = {"movedim", "moveaxis", "permute", "swapaxes", "swapdims", "transpose", "T", "mT", "t"}
SLICE = {"__getitem__", "select", "unbind", "narrow", "split", "tensor_split", "chunk"}
STACK = {"stack", "cat", "concat", "concatenate"}
SAME = {"clone", "contiguous", "cpu", "detach", "double", "requires_grad_", "to", "type"}
SAME |= {"dropout", "dropout1d", "dropout2d"}  # of a model in evaluation mode

UNORDERED = (
    "reorders axes other than batch and time; arrays are (batch, time, *features) or (time, batch, "
    "*features) throughout, so reorder axes outside the network"
)
_DROP = "pass training=self.training, or use nn.Dropout"
_REDUCE = "return the spikes (batch, time, ...) and sum them over time outside the network"
_WRITE = "collect the steps of a loop in a list and join them with torch.stack"
_FRAMES = "give the frame itself to the layers of each step, or the whole sequence to the network"
_LAYER = "use the layer (nn.Linear, nn.Conv2d, ...) instead of the function"
_RELU = "not spiking; use toolchain.nn.IAF, or convert the network first"
_HINTS = {
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d"), _DROP),
    **dict.fromkeys(("relu", "sigmoid", "tanh", "gelu", "leaky_relu", "elu", "silu"), _RELU),
    **dict.fromkeys(("sum", "mean", "max", "argmax", "amax", "cumsum"), _REDUCE),
    **dict.fromkeys(("__setitem__", "copy_", "index_copy_"), _WRITE),
    **dict.fromkeys(("expand", "expand_as", "repeat", "tile", "broadcast_to"), _FRAMES),
    **dict.fromkeys(("linear", "conv2d", "avg_pool2d", "matmul", "mm", "__matmul__"), _LAYER),
}


def unsupported(call: Call) -> str | None:
    """Return the reason why a function is not supported anywhere, or None if it may be."""
    output, first_input = call.outputs[0].tensor, call.inputs[0].tensor
    if call.function in REORDER:
        return None if swaps_first_two(call) else UNORDERED
    if call.function in ADD | RESHAPE | SLICE | STACK and output.dtype == first_input.dtype:
        return None
    if (
        call.function in SAME
        and output.dtype == first_input.dtype
        and torch.equal(output, first_input)
    ):
        return None
    hint = _HINTS.get(call.function, "between layers only sums and reshapes are supported")
    return f"not supported; {hint}"
