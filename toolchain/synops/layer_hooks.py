"""Hooks for ``layer.register_forward_hook`` of a single layer: synops, firing rates, cancellation.

Their results are in ``hook_data`` of the layer: those of the last call, differentiable, so that a
loss can use them. ``hooks`` counts the synops of a whole model, where average pools count as sum
pools and several calls of a layer are one pass.

Source: the names and the keys of ``hook_data`` are those of sinabs' hooks as observed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolchain.synops.counts import Cost, as_rows, check_input, conv_map, dense_map
from toolchain.synops.data import get_hook_data_dict
from toolchain.synops.layers import CONVOLUTIONS, DENSE, TRANSPOSED, is_squeezed

__all__ = [
    "conv_connection_map",
    "conv_layer_synops_hook",
    "firing_rate_hook",
    "firing_rate_per_neuron_hook",
    "input_diff_hook",
    "linear_layer_synops_hook",
]


def linear_layer_synops_hook(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
    """Store the synops of a dense layer in ``hook_data["layer_synops_per_timestep"]``, ().

    The mean over all timesteps of all samples: the rows of (rows, inputs), or batch and time of
    (batch, time, inputs).

    >>> import torch
    >>> from toolchain.synops import linear_layer_synops_hook
    >>> dense = torch.nn.Linear(3, 5)
    >>> _ = dense.register_forward_hook(linear_layer_synops_hook)
    >>> _ = dense(torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 5.0]]))  # 8 spikes x 5 synapses
    >>> dense.hook_data["layer_synops_per_timestep"].item()
    20.0

    Raises:
        ValueError: another layer, or an input that is no input of a dense layer.

    Source: sinabs' hooks as observed, for one axis of rows.
    """
    if not isinstance(module, DENSE):
        raise ValueError(
            f"linear_layer_synops_hook supports nn.Linear, got {type(module).__name__}"
        )
    check_input(module, args[0], type(module).__name__)
    rows = as_rows(module, args[0])
    _store(module, rows, dense_map(module))


def conv_layer_synops_hook(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
    """Store the synops of a convolution in ``hook_data["layer_synops_per_timestep"]``, ().

    The mean over the rows of (batch * time, channels, *sizes). The synapses of each input position
    are stored as well, see :func:`conv_connection_map`, in ``hook_data["connection_map"]``.

    >>> import torch
    >>> from toolchain.synops import conv_layer_synops_hook
    >>> conv = torch.nn.Conv2d(1, 5, 2)
    >>> _ = conv.register_forward_hook(conv_layer_synops_hook)
    >>> _ = conv(torch.eye(3).reshape(1, 1, 3, 3))  # 5 outputs x (1 + 4 + 1) positions
    >>> conv.hook_data["layer_synops_per_timestep"].item()
    30.0

    Raises:
        ValueError: another layer, or an input that is no input of the convolution.

    Source: sinabs' hooks as observed.
    """
    if not isinstance(module, CONVOLUTIONS):
        raise ValueError(f"conv_layer_synops_hook supports nn.Conv, got {type(module).__name__}")
    check_input(module, args[0], type(module).__name__)
    data, space = args[0], len(module.kernel_size)
    before, after = (tensor.shape[-space - 1 :] for tensor in (data, out))
    with torch.inference_mode(False):  # training may use the same map later
        synapses = conv_connection_map(module, before, after, data.device)
    get_hook_data_dict(module)["connection_map"] = synapses
    _store(module, as_rows(module, data), synapses.flatten())


def conv_connection_map(
    layer: nn.Module,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    device: torch.device | str | None = None,
) -> Tensor:
    """Return the number of synapses of each input position, int64 (1, channels, *sizes).

    >>> import torch
    >>> from toolchain.synops import conv_connection_map
    >>> conv = torch.nn.Conv2d(1, 5, 2)
    >>> conv_connection_map(conv, (1, 3, 3), (5, 2, 2)).tolist()
    [[[[5, 10, 5], [10, 20, 10], [5, 10, 5]]]]

    Args:
        layer: plain or transposed convolution, with zero padding.
        input_shape, output_shape: (channels, *sizes).
        device: of the result; the CPU by default.

    Raises:
        ValueError: another layer, or shapes of another number of axes.

    Source: ``toolchain.ir.fan_out``; the shape as in sinabs' hooks as observed.
    """
    if not isinstance(layer, CONVOLUTIONS):
        raise ValueError(f"conv_connection_map supports nn.Conv, got {type(layer).__name__}")
    axes = len(layer.kernel_size) + 1
    if len(input_shape) != axes or len(output_shape) != axes:
        raise ValueError(
            f"{type(layer).__name__} takes and returns {axes} axes without the batch, got shapes "
            f"{tuple(input_shape)} and {tuple(output_shape)}"
        )
    synapses = conv_map(layer, input_shape[1:], output_shape[1:])
    return synapses.reshape(1, *input_shape).to(device)


def _store(module: nn.Module, rows: Tensor, fan_out: Tensor | int) -> None:
    mean = Cost.of(rows, fan_out).total() / rows.shape[0]
    get_hook_data_dict(module)["layer_synops_per_timestep"] = mean.to(rows.dtype)


def firing_rate_hook(module: nn.Module, args: Any, out: Tensor) -> None:
    """Store the mean spikes per neuron and timestep in ``hook_data["firing_rate"]``, ().

    >>> import torch
    >>> from toolchain.nn import IAF
    >>> from toolchain.synops import firing_rate_hook
    >>> layer = IAF()
    >>> _ = layer.register_forward_hook(firing_rate_hook)
    >>> _ = layer(torch.full((1, 4, 3), 0.5))
    >>> layer.hook_data["firing_rate"].item()
    0.5

    Source: sinabs' hooks as observed.
    """
    get_hook_data_dict(module)["firing_rate"] = out.mean()


def firing_rate_per_neuron_hook(module: nn.Module, args: Any, out: Tensor) -> None:
    """Store the spikes per timestep in ``hook_data["firing_rate_per_neuron"]``, (*features).

    The mean over batch and time: the first axis of a ``...Squeeze`` layer's (batch * time,
    *features), the first two of any other layer's (batch, time, *features).

    >>> import torch
    >>> from toolchain.nn import IAF
    >>> from toolchain.synops import firing_rate_per_neuron_hook
    >>> layer = IAF()
    >>> _ = layer.register_forward_hook(firing_rate_per_neuron_hook)
    >>> _ = layer(torch.tensor([1.0, 0.5, 0.0]).expand(1, 4, 3))
    >>> layer.hook_data["firing_rate_per_neuron"].tolist()
    [1.0, 0.5, 0.0]

    Raises:
        ValueError: an output without these axes.

    Source: sinabs' hooks as observed.
    """
    leading = (0,) if is_squeezed(module) else (0, 1)
    if out.dim() < len(leading):
        raise ValueError(
            f"{type(module).__name__} output must be (batch, time, ...), got shape "
            f"{tuple(out.shape)}"
        )
    get_hook_data_dict(module)["firing_rate_per_neuron"] = out.mean(leading)


def input_diff_hook(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
    """Store ``|W| x - |W x + b|`` in ``hook_data["diff_output"]``, of the output's shape.

    The part of the input that cancels in the sum: 0 if all contributions have the same sign. The
    smaller it is, the less the order of spikes within a timestep matters. The bias is in the second
    term only.

    >>> import torch
    >>> from toolchain.synops import input_diff_hook
    >>> dense = torch.nn.Linear(2, 1, bias=False)
    >>> dense.weight.data = torch.tensor([[1.0, -0.75]])
    >>> _ = dense.register_forward_hook(input_diff_hook)
    >>> _ = dense(torch.ones(1, 2))  # 1.75 - 0.25
    >>> dense.hook_data["diff_output"].item()
    1.5

    Raises:
        ValueError: a layer that is neither dense nor a convolution.

    Source: sinabs' hooks as observed.
    """
    check_input(module, args[0], type(module).__name__)
    get_hook_data_dict(module)["diff_output"] = _all_positive(module, args[0], out) - out.abs()


def _all_positive(module: nn.Module, data: Tensor, out: Tensor) -> Tensor:
    """Return the output of a layer with the absolute values of its weights and no bias."""
    if isinstance(module, nn.Linear):
        return F.linear(data, module.weight.abs())
    if isinstance(module, CONVOLUTIONS) and not isinstance(module, TRANSPOSED):
        positive: Tensor = module._conv_forward(data, module.weight.abs(), None)
        return positive
    raise ValueError(f"input_diff_hook supports nn.Linear and nn.Conv, got {type(module).__name__}")
