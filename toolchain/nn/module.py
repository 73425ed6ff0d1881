"""The manners of the layers with rockpool's names: ``LIFTorch``, ``LinearTorch``, ``SynNet`` ...

Called on ``(batch, time, features)`` they give ``(out, state, record)``: the output, what is
remembered for the next call, and with ``record=True`` what happened in every timestep. State and
record are dictionaries by name. An input ``(time, features)`` counts as a batch of one. All else
is that of a torch module, so they train, move and save as any other.

Source: rockpool's torch modules as observed. Two things are other than there: states are kept for
the whole batch rather than for its first sample, and a record holds what each layer gave.
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
    """A number or tensor that is part of a layer and does not train.

    ``LIFTorch((8, 8), tau_mem=Constant(20e-3))`` keeps ``tau_mem`` out of ``parameters()``.
    """

    value: float | Tensor


def value_of(given: float | Tensor | Constant) -> float | Tensor:
    """What a ``Constant`` holds, or what was given itself."""
    return given.value if isinstance(given, Constant) else given


class TorchModule(nn.Module):
    """A module with a shape, a name in its parent, and parameters that answer by name.

    Attributes:
        shape: ``(inputs, outputs)``, or ``(features,)`` where they are the same.
        name: the attribute or key under which the parent holds it, else empty.
    """

    shape: tuple[int, ...]
    name: str = ""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, TorchModule):
            value.name = name

    @property
    def size_in(self) -> int:
        """Input features."""
        return self.shape[0]

    @property
    def size_out(self) -> int:
        """Output features."""
        return self.shape[-1]

    def parameters(self, recurse: bool = True) -> ByName[nn.Parameter]:
        """What trains: iterates as torch's, and has the tree of names.

        Raises:
            TypeError: a family of parameters was asked for.
        """
        if not isinstance(recurse, bool):
            raise TypeError(f"parameters are not kept by family, got {recurse!r}; pick by name")
        return ByName(super().parameters(recurse), _tree(self))

    def modules(self, remove_duplicate: bool = True) -> ByName[nn.Module]:
        """Iterates over the module and all below it, as torch's; its children by name."""
        flat = (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))
        return ByName(flat, dict(self.named_children()))

    def reset_state(self) -> TorchModule:
        """Start at zero with the next call; gives the module itself."""
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
    """``data`` as (batch, time, features); ValueError where it has another width or rank."""
    if data.dim() == 2:
        data = data.unsqueeze(0)
    if data.dim() != 3 or data.shape[2] != features:
        raise ValueError(f"{layer} takes (batch, time, {features}), got shape {tuple(data.shape)}")
    return data
