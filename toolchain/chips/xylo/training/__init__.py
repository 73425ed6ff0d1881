"""Training of a Xylo program: an exact forward pass, surrogate gradients of its integers.

``structure`` finds the layers and connections of the program in the quantized graph, ``values`` the
ranges of its integers and the registers that they fill, ``forward`` simulates, ``backward``
computes gradients, ``program`` is the family's ``TrainableProgram``.
"""

from toolchain.chips.xylo.training.program import XyloTrainable, trainable

__all__ = ["XyloTrainable", "trainable"]
