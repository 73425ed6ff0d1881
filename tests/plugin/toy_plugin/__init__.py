"""Example package that adds an invented chip family to the toolchain through entry points."""
