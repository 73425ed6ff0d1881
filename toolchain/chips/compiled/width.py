"""Width of the compiled simulators' vectors, for code that lays out their memory without numba."""

__all__ = ["LANES"]

LANES = 32
"""Numbers in a vector; see ``lanes``."""
