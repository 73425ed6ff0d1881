"""A Xylo program as named arrays and JSON-able data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.xylo.faults import REGISTERS
from toolchain.chips.xylo.population import Population
from toolchain.chips.xylo.program import XyloProgram

__all__ = ["from_arrays", "to_arrays"]

FORMAT = "xylo-program/1"


def to_arrays(program: XyloProgram) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the program as named arrays and JSON-able metadata, for ``from_arrays``."""
    values = {f.name: getattr(program, f.name) for f in fields(program)}
    arrays = {name: values.pop(name) for name in REGISTERS}
    aliases = [list(targets) for targets in program.aliases]
    populations = [asdict(population) for population in program.populations]
    return arrays, {"format": FORMAT, **values, "aliases": aliases, "populations": populations}


def from_arrays(arrays: Mapping[str, npt.ArrayLike], metadata: Mapping[str, Any]) -> XyloProgram:
    """Return the program that ``to_arrays`` saved.

    Raises:
        ValueError: another format, or fields that are missing, unknown or wrong.
    """
    if metadata.get("format") != FORMAT:
        raise ValueError(f"format {metadata.get('format')!r} is not {FORMAT!r}")
    # programs of earlier versions had no readout but the spikes
    given = {"readout": "spikes", **arrays, **metadata}
    del given["format"]
    names = {f.name for f in fields(XyloProgram)}
    if given.keys() != names:
        missing, unknown = sorted(names - given.keys()), sorted(given.keys() - names)
        raise ValueError(f"program has missing fields {missing}, unknown fields {unknown}")
    given["populations"] = tuple(Population(**p) for p in metadata["populations"])
    return XyloProgram(**given)
