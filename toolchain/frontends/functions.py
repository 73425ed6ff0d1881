"""The torch functions that may stand between layers, and why the others may not."""

from __future__ import annotations

import torch

from toolchain.frontends.record import Call

__all__ = ["ADD", "RESHAPE", "unsupported"]

ADD = {"add", "add_", "__add__", "__radd__", "__iadd__"}
RESHAPE = {"flatten", "ravel", "reshape", "reshape_as", "squeeze", "unflatten", "unsqueeze"}
RESHAPE |= {"view", "view_as"}
_SAME = {"clone", "contiguous", "cpu", "detach", "double", "requires_grad_", "to", "type"}
_SAME |= {"dropout", "dropout1d", "dropout2d"}  # of a model in evaluation mode
_DROP = "pass training=self.training, or use nn.Dropout"
_REDUCE = "return the spikes (batch, time, ...) and sum them over time outside the network"
_LOOP = "give the whole sequence to each layer instead of looping over time"
_ORDER = "arrays are (batch, time, *features) throughout; reorder axes outside the network"
_LAYER = "use the layer (nn.Linear, nn.Conv2d, ...) instead of the function"
_RELU = "not spiking; use toolchain.nn.IAF, or convert the network first"
_HINTS = {
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d"), _DROP),
    **dict.fromkeys(("relu", "sigmoid", "tanh", "gelu", "leaky_relu", "elu", "silu"), _RELU),
    **dict.fromkeys(("sum", "mean", "max", "argmax", "amax", "cumsum"), _REDUCE),
    **dict.fromkeys(("__getitem__", "select", "unbind", "stack", "chunk", "split"), _LOOP),
    **dict.fromkeys(("permute", "transpose", "movedim", "swapaxes", "T", "mT", "t"), _ORDER),
    **dict.fromkeys(("linear", "conv2d", "avg_pool2d", "matmul", "mm", "__matmul__"), _LAYER),
}


def unsupported(call: Call) -> str | None:
    """Why a function is not supported, or None if it may be."""
    made, given = call.outputs[0].tensor, call.inputs[0].tensor
    if call.function in ADD | RESHAPE and made.dtype == given.dtype:
        return None
    if call.function in _SAME and made.dtype == given.dtype and torch.equal(made, given):
        return None
    hint = _HINTS.get(call.function, "between layers only sums and reshapes are supported")
    return f"not supported; {hint}"
