"""An invented chip family, as a package that adds it to the toolchain through entry points."""
