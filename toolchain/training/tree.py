"""Parameters of a module under names of the user, of any spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

__all__ = ["Branch", "plant"]


class Branch(nn.Module):
    """Module whose children may have the names of attributes, such as ``training``.

    It holds the parameters of a layer, or of the layers whose names begin alike.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, also one that has the name of a child."""
        if name in self.__dict__ and not isinstance(value, nn.Module | nn.Parameter):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def get_submodule(self, target: str) -> nn.Module:
        """Return a child by its name, ``"encoder.fc"``; never an attribute of that name."""
        first, _, rest = target.partition(".")
        child = self._modules.get(first)
        if child is None:
            return super().get_submodule(target)
        return child.get_submodule(rest) if rest else child


def plant(root: nn.Module, parameters: Mapping[str, nn.Parameter]) -> None:
    """Register parameters by name; dots become nested modules, as ``state_dict`` joins them.

    The modules are not attributes where the name is one already: a layer may be called
    ``forward`` or ``training``.

    Raises:
        ValueError: two parameters would have one name.
    """
    for name, parameter in parameters.items():
        *path, last = name.split(".")
        place = root
        for part in path:
            # add_module refuses names of attributes; what is found by name is found here
            place = place._modules.setdefault(part, Branch()) or place
        place._parameters[last] = parameter
    found = {name for name, _ in root.named_parameters(remove_duplicate=False)}
    if odd := sorted({*parameters} - found):
        raise ValueError(
            f"{odd[0]!r} cannot be the name of a parameter of a module; rename the layer"
        )
