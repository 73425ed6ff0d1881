"""Lowering of a quantized Graph to a program, and placement of its layers on cores.

``dense`` converts grouped, dilated and non-square kernels to square ones, ``integers`` builds the
program, ``place`` finds a core for each layer by ``matching``.
"""
