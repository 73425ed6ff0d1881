"""Training through a chip's own integers.

``ChipModule`` is a torch module whose forward pass is the simulation of the chip and whose
backward pass is a surrogate gradient. ``Deployment.as_module`` returns one; its ``deployment()``
is the deployment of the trained integers. ``Deployment.fit`` trains one on labels, on a loss of
the user or on the trained network, and keeps its ``History``.
"""

from toolchain.extras import needed_by

with needed_by("toolchain.training"):
    from toolchain.training.adam import LatentAdam
    from toolchain.training.history import Epoch, History
    from toolchain.training.module import ChipModule
    from toolchain.training.power import ChipPower
    from toolchain.training.run import ModuleRun
    from toolchain.training.score import Score

__all__ = [
    "ChipModule",
    "ChipPower",
    "Epoch",
    "History",
    "LatentAdam",
    "ModuleRun",
    "Score",
]
