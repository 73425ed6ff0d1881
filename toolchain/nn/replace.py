"""Replacement of the modules of one class in a model.

Source: names and arguments are those of ``sinabs.conversion`` as observed.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

from torch import nn

__all__ = ["replace_all", "replace_module", "replace_module_"]


def replace_module(
    model: nn.Module, source_class: type[nn.Module], mapper_fn: Callable[[Any], nn.Module]
) -> nn.Module:
    """Return a copy of ``model`` with each module of a class replaced.

    >>> import torch
    >>> from toolchain.nn import IAF, IAFSqueeze, replace_module
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), IAF())
    >>> replaced = replace_module(model, IAF, lambda iaf: IAFSqueeze(batch_size=4))
    >>> type(replaced[1]).__name__, type(model[1]).__name__
    ('IAFSqueeze', 'IAF')

    Args:
        model: any tree of modules, or a module of ``source_class`` itself; not changed.
        source_class: class to replace; not its subclasses.
        mapper_fn: returns the replacement of a module. A module used in two places becomes two.

    Source: ``sinabs.conversion.replace_module`` as observed.
    """
    copied = copy.deepcopy(model)
    if type(copied) is source_class:
        return mapper_fn(copied)
    replace_all(copied, lambda module: type(module) is source_class, mapper_fn)
    return copied


def replace_module_(
    model: nn.Module, source_class: type[nn.Module], mapper_fn: Callable[[Any], nn.Module]
) -> None:
    """Replace each module of a class within ``model`` itself; as :func:`replace_module` otherwise.

    >>> import torch
    >>> from toolchain.nn import IAF, replace_module_
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    >>> replace_module_(model, torch.nn.ReLU, lambda relu: IAF())
    >>> type(model[1]).__name__
    'IAF'

    Warns:
        UserWarning: ``model`` itself is of ``source_class``, and no module contains it.

    Source: ``sinabs.conversion.replace_module_`` as observed.
    """
    if type(model) is source_class:
        warnings.warn(
            f"the model itself is a {source_class.__name__}, which nothing contains and which "
            "cannot be replaced in place; call mapper_fn with it",
            UserWarning,
            stacklevel=2,
        )
        return
    replace_all(model, lambda module: type(module) is source_class, mapper_fn)


def replace_all(
    model: nn.Module,
    matches: Callable[[nn.Module], bool],
    mapper_fn: Callable[[Any], nn.Module],
) -> None:
    """Replace each matching module below ``model``; one that is used in two places becomes two."""
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):
            if child is not None and matches(child):
                setattr(module, name, mapper_fn(child))
