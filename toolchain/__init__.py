"""Trained spiking networks onto neuromorphic chips.

``deploy(model, chip="xylo", sample=x, dt=1e-3)`` takes every step; each step can be used alone.
Importing this package loads neither torch nor matplotlib nor any framework nor a vendor SDK: each
is imported by the function that needs it.
"""

from toolchain.across_chips import compare_chips
from toolchain.chips.load import list_chips, load_chip
from toolchain.deploy import deploy, extract
from toolchain.deployment import Deployment
from toolchain.diagnostics import DeployError, DeployWarning
from toolchain.frontends.files import load

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
