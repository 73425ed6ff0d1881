"""Everything linear between two layers of neurons as one affine map."""

from toolchain.passes.regions.linear import View
from toolchain.passes.regions.merge import merge_regions
from toolchain.passes.regions.region import dense_size
from toolchain.passes.regions.window import Window, map_of

__all__ = ["View", "Window", "dense_size", "map_of", "merge_regions"]
