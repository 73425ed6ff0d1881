"""Conversion of a Speck program to named arrays and JSON-compatible data, and back.

Both parts are stored in a safetensors file: it contains no code, and reading it runs the checks of
the constructors again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from toolchain.chips.speck import sensor
from toolchain.chips.speck.program import Array, Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.readout import Readout

__all__ = ["FORMAT", "from_arrays", "to_arrays"]

FORMAT = 1
"""Version of the layout that ``to_arrays`` writes."""

_ARRAYS = ("weight", "bias", "initial")


def to_arrays(program: SpeckProgram) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays by name and all other fields as JSON-compatible data."""
    arrays = {}
    for core in program.cores:
        for part in _ARRAYS:
            value = getattr(core, part)
            if value is not None:
                arrays[f"{core.name}.{part}"] = value
    metadata = {
        "format": FORMAT,
        "chip": program.chip,
        "dt": program.dt,
        "input_name": program.input_name,
        "input_shape": list(program.input_shape),
        "sensor": None if program.sensor is None else sensor.plain(program.sensor),
        "cores": [_plain(core) for core in program.cores],
        "inputs": [_plain(target) for target in program.inputs],
        "outputs": list(program.outputs),
        "readout": None if program.readout is None else asdict(program.readout),
    }
    return arrays, metadata


def from_arrays(arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> SpeckProgram:
    """Rebuild the program that ``to_arrays`` converted.

    Raises:
        ValueError: another format, fields missing or unknown, an array too many or too few.
    """
    rest = dict(metadata)
    if rest.pop("format", None) != FORMAT:
        raise ValueError(
            f"this release reads Speck programs of format {FORMAT}, got {metadata.get('format')}"
        )
    try:
        cores = tuple(_core_from_plain(entry, arrays) for entry in rest.pop("cores"))
        inputs = tuple(Destination(**entry) for entry in rest.pop("inputs"))
        rest["input_shape"] = tuple(rest.pop("input_shape"))
        rest["sensor"] = sensor.from_plain(rest.pop("sensor", None))
        if rest.get("readout") is not None:
            rest["readout"] = Readout(**rest["readout"])
        program = SpeckProgram(**rest, cores=cores, inputs=inputs)
    except (KeyError, TypeError) as error:
        raise ValueError(f"damaged Speck program: {error}") from error
    if unused := sorted(set(arrays) - set(to_arrays(program)[0])):
        raise ValueError(
            f"damaged Speck program: arrays that belong to no core: {', '.join(unused)}"
        )
    return program


def _core_from_plain(entry: Mapping[str, Any], arrays: Mapping[str, Array]) -> SpeckCore:
    rest: dict[str, Any] = dict(entry)
    for key in ("stride", "padding", "input_shape"):
        rest[key] = tuple(rest[key])
    rest["destinations"] = tuple(Destination(**target) for target in rest["destinations"])
    parts = {part: arrays[f"{rest['name']}.{part}"] for part in rest.pop("arrays")}
    return SpeckCore(**{**rest, **parts})


def _plain(thing: SpeckCore | Destination) -> dict[str, Any]:
    """Return the fields as JSON-compatible data, with the names of the arrays only."""
    values = {f.name: getattr(thing, f.name) for f in fields(thing) if f.name not in _ARRAYS}
    if isinstance(thing, SpeckCore):
        values["arrays"] = [part for part in _ARRAYS if getattr(thing, part) is not None]
        values["destinations"] = [_plain(target) for target in thing.destinations]
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
