"""Checks of the sample and of the timestep that a user gives."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolchain.diagnostics import ExtractError

__all__ = ["check_dt", "read_sample"]


def read_sample(sample: Any) -> Tensor:
    """Return the sample as a dense tensor of double precision on the CPU; it is not changed.

    Raises:
        ExtractError: not a tensor or array of finite real numbers with at least two axes.
    """
    if isinstance(sample, np.ndarray) and sample.dtype.kind in "biuf":
        sample = torch.as_tensor(sample)
    if not isinstance(sample, Tensor) or sample.is_complex():
        of = f" of {sample.dtype}, which is not real" if hasattr(sample, "dtype") else ""
        raise ExtractError(
            "the sample must be one tensor or array, as the model's forward takes it, got "
            f"{type(sample).__name__}{of}"
        )
    if sample.is_nested:
        raise ExtractError(
            "the sample is a nested tensor of recordings that differ in shape; give one of them "
            "with a batch axis, such as sample[0].unsqueeze(0)"
        )
    if sample.is_meta:
        raise ExtractError(
            f"the sample is on the meta device and has no values; give one that has, such as "
            f"torch.ones({tuple(sample.shape)})"
        )
    if torch._C._functorch.is_functorch_wrapped_tensor(sample):
        raise ExtractError(
            "the sample belongs to a transform of torch.func, such as vmap; extract outside of it"
        )
    sample = _dense(sample.detach())
    if sample.dim() < 2 or sample.numel() == 0:
        raise ExtractError(
            f"the sample must have axes (batch, time, *features), got shape {tuple(sample.shape)}"
        )
    values: Tensor = sample.cpu().to(torch.float64, copy=True)
    if not values.isfinite().all():
        raise ExtractError("the sample contains NaN or infinity")
    return values


def _dense(sample: Tensor) -> Tensor:
    """Return sparse and quantized values as a plain tensor."""
    values: Tensor = sample.to_dense() if sample.layout is not torch.strided else sample
    return values.dequantize() if values.is_quantized else values


def check_dt(dt: Any) -> float | None:
    """Return the length of a timestep as a number, s, or None.

    Raises:
        ExtractError: not a positive number.
    """
    if dt is None:
        return None
    try:
        seconds = float("nan" if isinstance(dt, str | bytes) else dt)
    except (TypeError, ValueError):
        seconds = float("nan")
    if not 0 < seconds < inf:
        raise ExtractError(f"dt must be > 0 s, a number such as 1e-3, got {dt!r}")
    return seconds
