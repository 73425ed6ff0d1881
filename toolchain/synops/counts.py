"""Synaptic operations of one call of a layer, as pure functions.

A synaptic operation (synop) is one spike passing one synapse. n input spikes at a position with
fan-out f cause ``n f`` synops; n need not be an integer. Biases and leaks cause none.

Source: Sorbaro et al. 2020, "Optimizing the energy consumption of spiking neural networks for
neuromorphic applications", eq. 3; the fan-out as in ``toolchain.ir.fan_out``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from toolchain.ir.fan_out import fan_out, synapses, taps
from toolchain.nn.linear import LinearTorch
from toolchain.synops.layers import CONVOLUTIONS, TRANSPOSED

__all__ = [
    "Cost",
    "as_rows",
    "check_input",
    "conv_map",
    "dense_map",
    "exact",
    "exact_sum",
    "nonzero",
    "total_of",
]


@dataclass(slots=True)
class Cost:
    """Synops of one call of a layer, differentiable; see :meth:`of`.

    Attributes:
        spikes: input of every position, summed over the rows, float64 (inputs,).
        fan_out: synapses of every position, (inputs,), or one number for all.
        rows: number of timesteps of all samples together.
        dtype: type of the layer's input, for results that enter a loss.
        factor: divisor of the average pooling before the layer.
        steps: timesteps of each sample if the input has a time axis, else 0.
    """

    spikes: Tensor
    fan_out: Tensor | int
    rows: int
    dtype: torch.dtype
    factor: float = 1.0
    steps: int = 0

    @classmethod
    def of(cls, rows: Tensor, fan_out: Tensor | int, factor: float = 1.0, steps: int = 0) -> Cost:
        """Return the cost of an input (rows, inputs)."""
        return cls(exact_sum(rows), fan_out, rows.shape[0], rows.dtype, factor, steps)

    def total(self) -> Tensor:
        """Return the synops of all rows, float64 ()."""
        if isinstance(self.fan_out, int):
            return self.spikes.sum() * (self.fan_out * self.factor)
        total = torch.dot(self.spikes, self.fan_out.to(self.spikes))
        return total if self.factor == 1 else total * self.factor


def exact(device: torch.device) -> torch.dtype:
    """Return the type in which counts add up without rounding: float64, on MPS float32.

    In float32 there are no odd numbers above 2^24, and a large layer has more synops than that in
    one timestep. MPS has no float64.
    """
    return torch.float32 if device.type == "mps" else torch.float64


def exact_sum(rows: Tensor) -> Tensor:
    """Return the sum over the first axis in the type of :func:`exact`."""
    return rows.sum(0, dtype=exact(rows.device))


def total_of(synops: Sequence[Tensor]) -> Tensor:
    """Return the sum of numbers (), added in float64, in their own type; 0 of none."""
    if not synops:
        return torch.zeros(())
    together = torch.stack([*synops])
    return exact_sum(together).to(together.dtype)


def check_input(module: nn.Module, data: object, path: str) -> None:
    """Raise ValueError with the path unless ``data`` is a valid input of the layer.

    Dense layers take (inputs,), (rows, inputs) or (batch, time, inputs); convolutions
    (rows, channels, *sizes) or a single row.
    """
    if not isinstance(data, Tensor):
        raise ValueError(f"{path} takes one tensor, got {type(data).__name__}")
    if isinstance(module, CONVOLUTIONS):
        space = len(module.kernel_size)
        shape = f"(rows, {module.in_channels}, {', '.join('xyz'[:space][::-1])})"
        # a lazy layer has 0 channels until its first call
        fits = data.dim() in (space + 1, space + 2) and module.in_channels in (
            0,
            data.shape[-space - 1],
        )
        if module.padding_mode != "zeros":
            raise ValueError(
                f"{path} has padding_mode={module.padding_mode!r}; only 'zeros' is supported"
            )
    else:
        inputs = _inputs(module)
        shape = f"(rows, {inputs}) or (batch, time, {inputs})"
        fits = data.dim() in (1, 2, 3) and inputs in (0, data.shape[-1])
    if not fits:
        raise ValueError(
            f"{path} ({type(module).__name__}) takes {shape}, got shape {tuple(data.shape)}"
        )


def as_rows(module: nn.Module, data: Tensor) -> Tensor:
    """Return an input of a layer as (rows, inputs) in at least float32."""
    if data.dtype is not torch.float32 and data.dtype is not torch.float64:
        data = data.float()
    if not isinstance(module, CONVOLUTIONS):
        return data.reshape(-1, data.shape[-1])
    if data.dim() == len(module.kernel_size) + 1:
        data = data.unsqueeze(0)
    return data.flatten(1)


def dense_map(module: nn.Module, skip_zero_weights: bool = False) -> Tensor | int:
    """Return the synapses per input of a dense layer: a number, or int64 (inputs,) without zeros.

    Args:
        module: the layer.
        skip_zero_weights: True to ignore weights that are 0 now.
    """
    weight = cast(Tensor, module.weight)
    by_input = weight if isinstance(module, LinearTorch) else weight.T
    return nonzero(by_input) if skip_zero_weights else by_input.shape[1]


def nonzero(by_input: Tensor) -> Tensor:
    """Return the number of nonzero weights of each row of (inputs, outputs), int64 (inputs,)."""
    return (by_input.detach() != 0).sum(1)


def conv_map(
    module: nn.Module,
    sizes: Sequence[int],
    outputs: Sequence[int],
    skip_zero_weights: bool = False,
) -> Tensor:
    """Return the synapses of each input position of a convolution, int64 (channels * positions,).

    Args:
        module: plain or transposed, of one to three dimensions, with zero padding.
        sizes: spatial sizes of the input.
        outputs: spatial sizes of the output.
        skip_zero_weights: True to ignore weights that are 0 now.
    """
    assert isinstance(module, CONVOLUTIONS)
    transposed = isinstance(module, TRANSPOSED)
    kernel, dilation = module.kernel_size, module.dilation
    # "same" pads one more at the end if odd, "valid" has no padding
    if isinstance(module.padding, str):
        same = module.padding == "same"
        padding = [d * (k - 1) // 2 if same else 0 for d, k in zip(dilation, kernel, strict=True)]
    else:
        padding = list(module.padding)
    weight = module.weight.detach()
    connected = (weight != 0).cpu().numpy() if skip_zero_weights else None
    axes = [
        taps(size, out, k, s, p, d, transposed)
        for size, out, k, s, p, d in zip(
            sizes, outputs, kernel, module.stride, padding, dilation, strict=True
        )
    ]
    counts = synapses(tuple(weight.shape), module.groups, transposed, connected)
    return torch.from_numpy(np.ascontiguousarray(fan_out(counts, axes)).reshape(-1))


def _inputs(module: nn.Module) -> int:
    return module.shape[0] if isinstance(module, LinearTorch) else cast(int, module.in_features)
