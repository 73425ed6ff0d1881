"""Files of finished programs: a quantized specification as JSON, the vendor's configuration.

A specification is the dictionary of rockpool's mappers and quantizers, as users write it beside
their boards: matrices as nested lists, or as the text that numpy prints of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from toolchain.chips.contract import ProgramFile
from toolchain.chips.xylo.emit.vendor_document import is_configuration
from toolchain.chips.xylo.emit.vendor_json import AUDIO_2, DEFAULTS, parse_tree
from toolchain.chips.xylo.faults import REGISTERS, SHIFTS
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.spec import XyloChip
from toolchain.chips.xylo.specification import REQUIRED

__all__ = ["program_in", "recognized"]

_ARRAYS = re.compile(r"(?:array\()?(\[[-+0-9.eE,\[\]\s]*\])(?:,\s*dtype=[\w.]+)?\)?")
_ENOUGH = 4
"""Number of required keys that distinguishes a specification from other JSON."""


def recognized(document: Mapping[str, Any]) -> ProgramFile | None:
    """Return what ``document`` is, if it is a program; see ``Family.recognizes``."""
    if is_configuration(document):
        return ProgramFile(title="the vendor's configuration of Xylo Audio 2", chip=AUDIO_2)
    inner = _specification(document)
    if inner is None:
        return None
    title = "a quantized specification of rockpool's mapper"
    return ProgramFile(title=title, chip=AUDIO_2, any_chip=True)


def _specification(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the specification in a document, which may have it as one entry among others."""
    inside = [document, *(value for value in document.values() if isinstance(value, dict))]
    found = [each for each in inside if _has_keys(each)]
    return found[0] if len(found) == 1 else None


def _has_keys(document: Mapping[str, Any]) -> bool:
    return sum(key in document for key in REQUIRED) >= _ENOUGH


def program_in(
    document: Mapping[str, Any], chip: XyloChip, dt: float | None
) -> tuple[XyloProgram, dict[str, str]]:
    """Return the program of a recognized document on ``chip``, and notes for the provenance.

    Raises:
        ValueError: a program of another chip, or values that cannot be loaded; lists every fault.
    """
    if is_configuration(document):
        if chip.name != AUDIO_2:
            raise ValueError(f"is the configuration of {AUDIO_2}; deploy it to that chip")
        program, settings = parse_tree(document)
        own = [f"{name} {value}" for name, value in settings.items() if _is_own(name, value)]
        notes = {"settings_left_out": ", ".join(own)} if own else {}
        return replace(program, dt=dt), notes
    inner = _specification(document)
    assert inner is not None
    spec = {key: _read(key, value) for key, value in inner.items() if key != "mapped_graph"}
    given = spec.get("dt")
    if dt is not None and given is not None and not np.isclose(dt, given, rtol=1e-9):
        raise ValueError(f"conflicting dt: {dt:g} s in the argument dt, {given:g} s in the file")
    if given is None and dt is not None:
        spec["dt"] = dt
    try:
        program = XyloProgram.from_specification(chip.name, **spec)
    except TypeError as fault:
        raise ValueError(str(fault)) from None
    around = [key for key in document if inner is not document and document[key] is not inner]
    return program, {"entries_left_out": ", ".join(around)} if around else {}


def _is_own(name: str, value: Any) -> bool:
    """Return whether a setting differs from the vendor's default."""
    return name in DEFAULTS and DEFAULTS[name] != value


def _read(key: str, value: Any) -> Any:
    """Return a value of the specification: numbers from text, and whole floats as integers.

    Raises:
        ValueError: text that is no array, or rows of different length.
    """
    if isinstance(value, str) and key in (*REGISTERS, *SHIFTS, "aliases", "dt"):
        value = _from_text(key, value)
    if isinstance(value, list) and key in REGISTERS:
        try:
            return np.array(value)
        except ValueError:
            raise ValueError(f"{key}: has rows of different length") from None
    if key in SHIFTS and isinstance(value, float) and value.is_integer():
        return int(value)
    if key == "aliases" and isinstance(value, list):
        return [_targets(entry) for entry in value]
    return value


def _targets(entry: Any) -> list[Any]:
    """Return the targets of one neuron as a list: of one number, or empty for None."""
    if entry is None:
        return []
    return entry if isinstance(entry, list) else [entry]


def _from_text(key: str, text: str) -> Any:
    """Return the numbers in the text that numpy prints of an array."""
    if "..." in text:
        raise ValueError(
            f"{key}: was shortened by numpy when it was written ({text[:20]!r}...); write "
            "value.tolist()"
        )
    match = _ARRAYS.fullmatch(text.strip())
    if match is None:
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError(f"{key}: is text, {text[:40]!r}, expected numbers") from None
    # numpy separates by white space alone
    spaced = re.sub(r"(?<=[\d.\]])\s+(?=[-+\d.\[])", ", ", match[1])
    try:
        return json.loads(re.sub(r"(\d)\.(?=[,\s\]])", r"\1.0", spaced))
    except ValueError:
        raise ValueError(f"{key}: is text, {text[:40]!r}, expected numbers") from None
