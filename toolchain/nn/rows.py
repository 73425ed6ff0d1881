"""Batch size and timesteps of a model whose layers take ``(batch * time, *features)``.

Source: names and results are those of ``sinabs.utils`` as observed.
"""

from __future__ import annotations

from torch import nn

from toolchain.nn.reshape import UnflattenTime
from toolchain.nn.squeeze import Squeeze

__all__ = [
    "get_batch_size",
    "get_num_timesteps",
    "get_smallest_compatible_time_dimension",
    "set_batch_size",
]


def set_batch_size(model: nn.Module, batch_size: int) -> None:
    """Set the batch size of every ``...Squeeze`` and ``UnflattenTime`` layer of ``model``.

    >>> import torch
    >>> from toolchain.nn import IAFSqueeze, set_batch_size
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), IAFSqueeze(batch_size=4))
    >>> set_batch_size(model, 2)
    >>> model[1].batch_and_time(10)
    (2, 5)

    Args:
        model: any tree of modules, or one layer.
        batch_size: >= 1. A layer with ``num_timesteps`` then takes that number of timesteps only.

    Raises:
        ValueError: a batch size below 1.

    Source: ``sinabs.set_batch_size`` as observed, which leaves ``UnflattenTime`` unchanged.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
    for module in model.modules():
        if isinstance(module, Squeeze | UnflattenTime):
            module.batch_size = batch_size


def get_batch_size(model: nn.Module) -> int:
    """Return the batch size of the ``...Squeeze`` layers of ``model``, -1 if none has one.

    >>> from toolchain.nn import IAFSqueeze, get_batch_size
    >>> get_batch_size(IAFSqueeze(batch_size=4)), get_batch_size(IAFSqueeze(num_timesteps=9))
    (4, -1)

    Raises:
        ValueError: layers have different batch sizes.

    Source: ``sinabs.utils.get_batch_size`` as observed.
    """
    return _one_of(model, "batch_size")


def get_num_timesteps(model: nn.Module) -> int:
    """Return the timesteps of the ``...Squeeze`` layers of ``model``, -1 if none has them.

    >>> from toolchain.nn import IAFSqueeze, get_num_timesteps
    >>> get_num_timesteps(IAFSqueeze(num_timesteps=9)), get_num_timesteps(IAFSqueeze(batch_size=4))
    (9, -1)

    Raises:
        ValueError: layers have different numbers of timesteps.

    Source: ``sinabs.utils.get_num_timesteps`` as observed.
    """
    return _one_of(model, "num_timesteps")


def get_smallest_compatible_time_dimension(model: nn.Module) -> int:
    """Return the smallest number of rows that every ``...Squeeze`` layer of ``model`` can split.

    >>> import torch
    >>> from toolchain.nn import IAFSqueeze, get_smallest_compatible_time_dimension
    >>> model = torch.nn.Sequential(IAFSqueeze(batch_size=2), IAFSqueeze(num_timesteps=3))
    >>> get_smallest_compatible_time_dimension(model)
    6

    Raises:
        ValueError: layers have different batch sizes or numbers of timesteps.

    Source: ``sinabs.utils.get_smallest_compatible_time_dimension`` as observed.
    """
    return max(1, get_batch_size(model)) * max(1, get_num_timesteps(model))


def _one_of(model: nn.Module, name: str) -> int:
    layers = {
        path or type(module).__name__: getattr(module, name)
        for path, module in model.named_modules()
        if isinstance(module, Squeeze)
    }
    given = {path: value for path, value in layers.items() if value not in (None, -1)}
    if len({*given.values()}) > 1:
        shown = ", ".join(f"{path} {value}" for path, value in given.items())
        raise ValueError(f"layers have different {name}: {shown}")
    return next(iter(given.values()), -1)
