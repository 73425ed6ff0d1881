"""Files with models, told apart by what is in them; ``by_content`` is the entry."""

from toolchain.frontends.files.by_content import load

__all__ = ["load"]
