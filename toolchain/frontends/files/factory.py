"""``module:function``: the user's own code that builds the network which a file has weights of."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from toolchain.diagnostics import ModelFileError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build"]


def build(factory: str) -> nn.Module:
    """What ``factory`` gives when it is called without arguments. This runs the user's code.

    Whatever that code raises while it builds the network is raised as it is.

    Raises:
        ModelFileError: no such module or function, or one that gives no torch module.
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
            f"factory={factory!r}: give it as 'module:function', for instance "
            "factory='my_network:build' for the function build() in my_network.py"
        )
    found = _import(factory, module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            raise ModelFileError(f"factory={factory!r}: there is no {name} in {module_name}")
        found = getattr(found, part)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise ModelFileError(f"factory={factory!r}: is {type(found).__name__}, and no function")
    network = found()
    if not isinstance(network, nn.Module):
        raise ModelFileError(
            f"factory={factory!r}: gave {type(network).__name__}, and no torch.nn.Module"
        )
    return network


def _import(factory: str, module_name: str) -> object:
    try:
        return importlib.import_module(module_name)
    except ImportError as fault:
        if isinstance(fault, ModuleNotFoundError) and fault.name is not None:
            if module_name == fault.name or module_name.startswith(f"{fault.name}."):
                raise ModelFileError(
                    f"factory={factory!r}: there is no module {fault.name!r} to import; Python "
                    "looks in the folder of the script that was started and in its own "
                    "(sys.path)"
                ) from None
            raise ModelFileError(
                f"factory={factory!r}: importing {module_name!r} needs {fault.name!r}, which "
                "is not installed"
            ) from fault
        raise ModelFileError(f"factory={factory!r}: importing {module_name!r}: {fault}") from fault
