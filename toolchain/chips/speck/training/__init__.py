"""Training of a Speck program on its own integers.

``parameters`` are the arrays of the quantized graph and their places in the cores; ``program``
simulates with other integers and returns gradients. ``tape`` has what a forward pass leaves for the
backward pass: ``backward`` goes through the layers from the last to the first, with one scan in time
each (``scan``) and the products of ``convolution`` over all steps at once.
"""

from toolchain.chips.speck.training.program import trainable

__all__ = ["trainable"]
