"""``module:function``: the user's code that builds the network for the weights of a file."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from toolchain.diagnostics import ModelFileError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build"]


def build(factory: str) -> nn.Module:
    """Call ``factory`` without arguments and return its network. This runs the user's code.

    Exceptions of that code are passed on unchanged.

    Raises:
        ModelFileError: unknown module or function, or the result is not a torch module.
    """
    from torch import nn

    module_name, separator, name = factory.partition(":")
    if (
        not separator
        or not module_name
        or not name
        or module_name.endswith(".py")
        or "/" in module_name
    ):
        raise ModelFileError(
            f"factory={factory!r}: expected 'module:function', for instance "
            "factory='my_network:build' for the function build() in my_network.py"
        )
    found = _import(factory, module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            raise ModelFileError(f"factory={factory!r}: module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise ModelFileError(f"factory={factory!r}: is {type(found).__name__}, not a function")
    network = found()
    if not isinstance(network, nn.Module):
        raise ModelFileError(
            f"factory={factory!r}: returned {type(network).__name__}, expected a torch.nn.Module"
        )
    return network


def _import(factory: str, module_name: str) -> object:
    try:
        return importlib.import_module(module_name)
    except ImportError as fault:
        if isinstance(fault, ModuleNotFoundError) and fault.name is not None:
            if module_name == fault.name or module_name.startswith(f"{fault.name}."):
                raise ModelFileError(
                    f"factory={factory!r}: no module named {fault.name!r}; Python searches the "
                    "folder of the script that was started, and sys.path"
                ) from None
            raise ModelFileError(
                f"factory={factory!r}: importing {module_name!r} needs {fault.name!r}, which "
                "is not installed"
            ) from fault
        raise ModelFileError(f"factory={factory!r}: importing {module_name!r}: {fault}") from fault
