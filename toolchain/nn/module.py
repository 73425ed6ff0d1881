"""Base class of the layers with rockpool's names: ``LIFTorch``, ``LinearTorch``, ``SynNet`` ...

Called on ``(batch, time, features)`` they return ``(out, state, record)``: the output, the state
for the next call, and with ``record=True`` the states of every timestep. State and record are
dictionaries by name. An input ``(time, features)`` counts as a batch of one. Apart from that they
are torch modules, with the same training, devices and files.

Source: rockpool's torch modules as observed. Two differences: states are stored for the whole
batch rather than for its first sample, and a record contains the output of each layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn

from toolchain.nn.named import ByName
from toolchain.nn.state import StatefulLayer

__all__ = ["Constant", "Evolved", "Named", "TorchModule", "batched", "value_of"]

Named: TypeAlias = dict[str, Any]
Evolved: TypeAlias = tuple[Tensor, Named, Named]


@dataclass(frozen=True)
class Constant:
    """A number or tensor of a layer that does not train and is not among ``parameters()``.

    >>> from toolchain.nn import Constant, LIFTorch
    >>> list(LIFTorch((8, 8)).parameters().keys())
    ['tau_mem', 'tau_syn', 'threshold', 'bias']
    >>> list(LIFTorch((8, 8), tau_mem=Constant(20e-3)).parameters().keys())
    ['tau_syn', 'threshold', 'bias']
    """

    value: float | Tensor


def value_of(given: float | Tensor | Constant) -> float | Tensor:
    """Return the value of a ``Constant``, or ``given`` itself."""
    return given.value if isinstance(given, Constant) else given


class TorchModule(nn.Module):
    """Base module with a shape, a name in its parent, and parameters accessible by name.

    >>> import torch
    >>> from toolchain.nn import TorchModule
    >>> class Double(TorchModule):
    ...     def __init__(self, features):
    ...         super().__init__()
    ...         self.shape = (features,)
    ...     def forward(self, data, record=False):
    ...         return 2 * data, {}, {}
    >>> layer = Double(3)
    >>> layer, layer.size_in, layer.size_out
    (Double with shape (3,), 3, 3)
    >>> out, state, record = layer(torch.ones(1, 2, 3))
    >>> out.tolist()
    [[[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]]

    Attributes:
        shape: ``(inputs, outputs)``, or ``(features,)`` where they are the same.
        name: attribute or key of the module in its parent, else empty.
    """

    shape: tuple[int, ...]
    name: str = ""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, TorchModule):
            value.name = name

    @property
    def size_in(self) -> int:
        """Number of input features."""
        return self.shape[0]

    @property
    def size_out(self) -> int:
        """Number of output features."""
        return self.shape[-1]

    def parameters(self, recurse: bool = True) -> ByName[nn.Parameter]:
        """Return the parameters, iterable as torch's and indexable by name.

        Raises:
            TypeError: ``recurse`` is not a bool, such as the name of a family of parameters.
        """
        if not isinstance(recurse, bool):
            raise TypeError(f"parameters have no families, got {recurse!r}; select them by name")
        return ByName(super().parameters(recurse), _tree(self))

    def modules(self, remove_duplicate: bool = True) -> ByName[nn.Module]:
        """Return the module and all below it, iterable as torch's; children indexable by name."""
        flat = (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))
        return ByName(flat, dict(self.named_children()))

    def reset_state(self) -> TorchModule:
        """Reset all states to zero and return the module itself."""
        for module in self.modules():
            if isinstance(module, StatefulLayer):
                module.reset_states()
        return self

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        head = f"{type(self).__name__}{name} with shape {self.shape}"
        children = [f"    {line}" for m in self.children() for line in repr(m).splitlines()]
        return "\n".join([f"{head} {{", *children, "}"]) if children else head


def _tree(module: nn.Module) -> Named:
    own = dict(module.named_parameters(recurse=False))
    return {**own, **{name: _tree(child) for name, child in module.named_children()}}


def batched(data: Tensor, features: int, layer: str) -> Tensor:
    """Return ``data`` as (batch, time, features); ValueError for another width or rank."""
    if data.dim() == 2:
        data = data.unsqueeze(0)
    if data.dim() != 3 or data.shape[2] != features:
        raise ValueError(f"{layer} takes (batch, time, {features}), got shape {tuple(data.shape)}")
    return data
