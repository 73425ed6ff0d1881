"""From a quantized Graph to a program with a place for each layer.

``dense`` writes grouped, dilated and oblong kernels as square ones, ``integers`` fills the program,
``place`` finds a core for each layer by ``matching``.
"""
