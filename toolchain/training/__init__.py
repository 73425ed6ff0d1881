"""Training through a chip's own integers.

``ChipModule`` is a torch module whose forward pass is the simulation of the chip and whose
backward pass is a surrogate gradient. ``Deployment.as_module`` returns one; its ``deployment()``
is the deployment of the trained integers.
"""

from toolchain.training.module import ChipModule
from toolchain.training.run import ModuleRun

__all__ = ["ChipModule", "ModuleRun"]
