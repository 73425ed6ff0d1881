"""Reader of safetensors files.

Source: the format's own description, https://github.com/huggingface/safetensors; the safetensors
library checks offsets, shapes and sizes.
"""

from __future__ import annotations

import json

import torch
from torch import Tensor

from toolchain.archive.strict import unique_object
from toolchain.arrays import Array
from toolchain.report import count

__all__ = ["as_array", "read"]

MAX_HEADER_BYTES = 2**21
"""Longest header: names, types and shapes of about 20 000 arrays."""
_DTYPES = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8}
_DTYPES |= {torch.int8, torch.int16, torch.int32, torch.int64}


def read(data: bytes) -> dict[str, Array]:
    """Return the arrays in ``data`` by name.

    Raises:
        ValueError: a header that is too long, damaged or has duplicate names, numbers that do not
            fill the file exactly, or an unsupported type.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise ValueError(
            f"a header of {count(length)} bytes in a file of {count(len(data))}; the file may be "
            "truncated"
        )
    if length > MAX_HEADER_BYTES:
        raise ValueError(
            f"a header of {count(length)} bytes, the limit is {count(MAX_HEADER_BYTES)}"
        )
    try:
        json.loads(data[8 : 8 + length].decode(), object_pairs_hook=unique_object)
    except RecursionError:
        raise ValueError("a header nested too deeply") from None
    try:
        found = load(data)
    except (SafetensorError, KeyError, RuntimeError, ValueError) as fault:
        raise ValueError(f"{fault}") from None
    for name, tensor in found.items():
        if tensor.dtype not in _DTYPES:
            raise ValueError(
                f"{name!r} has type {tensor.dtype}, which is not supported for weights"
            )
    return {name: as_array(tensor) for name, tensor in found.items()}


def as_array(tensor: Tensor) -> Array:
    """Return the numbers of a tensor; bfloat16, which numpy lacks, as float32."""
    plain = tensor.detach().cpu()
    array: Array = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    return array
