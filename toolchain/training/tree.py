"""Parameters of a module under names of the user, of any spelling."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

__all__ = ["plant"]


class _Branch(nn.Module):
    """Holds the parameters of a layer, or of the layers whose names begin alike."""


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
            place = place._modules.setdefault(part, _Branch()) or place
        place._parameters[last] = parameter
    found = {name for name, _ in root.named_parameters(remove_duplicate=False)}
    if odd := sorted({*parameters} - found):
        raise ValueError(
            f"{odd[0]!r} cannot be the name of a parameter of a module; rename the layer"
        )
