"""Trained spiking networks onto neuromorphic chips.

``deploy(model, chip="xylo", sample=x, dt=1e-3)`` takes every step; each step can be used alone.
Importing this package loads nothing else; each name and each package in it is imported on first
use. Some names of sinabs that belong to ``toolchain.nn`` and ``toolchain.synops`` are here too, as
they are at the top of sinabs (``reset_states``, ``SNNAnalyzer`` ...). torch, matplotlib, the
frameworks and the vendor's libraries are imported by the functions that need them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # "as" marks names that are exported
    from toolchain import nn as nn
    from toolchain import synops as synops
    from toolchain.across_chips import compare_chips
    from toolchain.chips.compiled.warm import warm
    from toolchain.chips.load import list_chips, load_chip
    from toolchain.deployment import Deployment
    from toolchain.diagnostics import DeployError, DeployWarning
    from toolchain.frontends.files import load
    from toolchain.frontends.nir import from_nir as from_nir
    from toolchain.frontends.nir import to_nir as to_nir
    from toolchain.nn import Network as Network
    from toolchain.nn import from_model as from_model
    from toolchain.nn import reset_states as reset_states
    from toolchain.nn import set_batch_size as set_batch_size
    from toolchain.nn import zero_grad as zero_grad
    from toolchain.pipeline import deploy, extract
    from toolchain.remedies import repair
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
    "repair",
    "warm",
]
__version__ = "0.1.0.dev0"

_ON_FIRST_USE = {
    "DeployError": "toolchain.diagnostics",
    "DeployWarning": "toolchain.diagnostics",
    "Deployment": "toolchain.deployment",
    "compare_chips": "toolchain.across_chips",
    "deploy": "toolchain.pipeline",
    "extract": "toolchain.pipeline",
    "list_chips": "toolchain.chips.load",
    "load": "toolchain.frontends.files",
    "load_chip": "toolchain.chips.load",
    "repair": "toolchain.remedies",
    "warm": "toolchain.chips.compiled.warm",
    # not in __all__: `from toolchain import *` must work without torch
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
_PACKAGES = (
    "across_chips",
    "archive",
    "chips",
    "deployment",
    "diagnostics",
    "estimate",
    "fidelity",
    "frontends",
    "hardware",
    "ir",
    "nn",
    "passes",
    "pipeline",
    "remedies",
    "report",
    "runs",
    "synops",
    "training",
)


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"toolchain.{name}")
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module 'toolchain' has no attribute {name!r}")
    found = getattr(importlib.import_module(_ON_FIRST_USE[name]), name)
    globals()[name] = found  # the next use finds it at once
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_FIRST_USE, *_PACKAGES})
