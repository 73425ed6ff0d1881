"""Trained spiking networks onto neuromorphic chips.

``deploy(model, chip="xylo", sample=x, dt=1e-3)`` takes every step; each step can be used alone.
Importing this package loads neither torch nor matplotlib nor any framework nor a vendor SDK: each
is imported by the function that needs it, and ``toolchain.nn``, ``toolchain.synops`` and the names
of theirs that sinabs has at its top (``reset_states``, ``SNNAnalyzer`` ...) on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from toolchain.across_chips import compare_chips
from toolchain.chips.load import list_chips, load_chip
from toolchain.deploy import deploy, extract
from toolchain.deployment import Deployment
from toolchain.diagnostics import DeployError, DeployWarning
from toolchain.frontends.files import load

if TYPE_CHECKING:
    # "as" marks names that are exported
    from toolchain import nn as nn
    from toolchain import synops as synops
    from toolchain.frontends.nir import from_nir as from_nir
    from toolchain.frontends.nir import to_nir as to_nir
    from toolchain.nn import Network as Network
    from toolchain.nn import from_model as from_model
    from toolchain.nn import reset_states as reset_states
    from toolchain.nn import set_batch_size as set_batch_size
    from toolchain.nn import zero_grad as zero_grad
    from toolchain.synops import SNNAnalyzer as SNNAnalyzer
    from toolchain.synops import SynOpCounter as SynOpCounter

__all__ = [
    "DeployError",
    "DeployWarning",
    "Deployment",
    "compare_chips",
    "deploy",
    "extract",
    "list_chips",
    "load",
    "load_chip",
]
__version__ = "0.1.0.dev0"

# Not in __all__: `from toolchain import *` must work without torch.
_ON_FIRST_USE = {
    "Network": "toolchain.nn",
    "SNNAnalyzer": "toolchain.synops",
    "SynOpCounter": "toolchain.synops",
    "from_model": "toolchain.nn",
    "from_nir": "toolchain.frontends.nir",
    "reset_states": "toolchain.nn",
    "set_batch_size": "toolchain.nn",
    "to_nir": "toolchain.frontends.nir",
    "zero_grad": "toolchain.nn",
}
_PACKAGES = ("nn", "synops")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"toolchain.{name}")
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module 'toolchain' has no attribute {name!r}")
    return getattr(importlib.import_module(_ON_FIRST_USE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_FIRST_USE, *_PACKAGES})
