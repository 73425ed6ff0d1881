"""Model files, recognised by their content; ``by_content`` is the entry point."""

from toolchain.frontends.files.by_content import load

__all__ = ["load"]
