"""What the compiled simulators of every family share."""

from toolchain.chips.compiled.cache import compiled, inline

__all__ = ["compiled", "inline"]
