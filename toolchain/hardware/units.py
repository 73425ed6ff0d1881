"""Units of chip specifications: a few physical units, and counting units.

Each counting unit is a dimension of its own, so that a number of neurons in place of words is a
fault. The registry has only these units; all others are unknown. pint has the last word on all of
them; the usual spellings are in a table, with the same results, because importing pint takes longer
(0.15 s) than reading a chip file.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pint

__all__ = ["COUNTED", "factor", "same_dimension"]

COUNTED = (
    "channel",
    "class",
    "core",
    "cycle",
    "entry",
    "lsb",
    "neuron",
    "px",
    "spike",
    "step",
    "synapse",
    "synop",
    "word",
)
"""Counting units. ``lsb``: one integer step of a membrane state. ``entry``: one stored fan-out
connection, whatever its number of weights. ``synop``: one weight added to one neuron.
"""

_PHYSICAL = """
nano- = 1e-9 = n-
pico- = 1e-12 = p-
micro- = 1e-6 = µ- = μ- = u-
milli- = 1e-3 = m-
kilo- = 1e3 = k-
mega- = 1e6 = M-
giga- = 1e9 = G-
second = [time] = s
joule = [energy] = J
watt = joule / second = W
hertz = 1 / second = Hz
bit = [information]
fraction = []
"""

_SPELLING = re.compile(r"[^\W\d_]+(/[^\W\d_]+)*")  # pint evaluates other expressions


_SCALES = {"": 1.0, "M": 1e6, "k": 1e3, "m": 1e-3, "µ": 1e-6, "n": 1e-9, "p": 1e-12}
_USUAL: dict[str, tuple[str, float]] = {
    **{name: (name, 1.0) for name in COUNTED},
    **{f"{prefix}s": ("time", _SCALES[prefix]) for prefix in ("", "m", "µ")},
    **{f"{prefix}Hz": ("1/time", _SCALES[prefix]) for prefix in ("", "k", "M")},
    **{f"{prefix}W": ("power", _SCALES[prefix]) for prefix in ("", "m", "µ")},
    **{f"{prefix}J": ("energy", _SCALES[prefix]) for prefix in ("", "µ", "p")},
    **{f"pJ/{name}": (f"energy/{name}", _SCALES["p"]) for name in ("cycle", "synop", "spike")},
    **{f"{name}/s": (f"{name}/time", 1.0) for name in ("synop", "spike")},
    "spike/step": ("spike/step", 1.0),
    "µW/MHz": ("energy", _SCALES["µ"] * _SCALES["M"] ** -1),
    "bit": ("bit", 1.0),
    "fraction": ("", 1.0),
}
"""Usual spellings of units, each with its dimension and its scale; all that built-in files use."""


@cache
def same_dimension(unit: str, other: str) -> bool:
    """Return whether two units have the same dimension.

    Raises:
        ValueError: an unknown unit.
    """
    if unit in _USUAL and other in _USUAL:
        return _USUAL[unit][0] == _USUAL[other][0]
    return bool(_parse(unit).dimensionality == _parse(other).dimensionality)


@cache
def factor(unit: str, into: str) -> float:
    """Return the number of ``into`` in one ``unit``.

    Raises:
        ValueError: an unknown unit, or units of different dimensions.
    """
    if not same_dimension(unit, into):
        raise ValueError(f"{unit} cannot be converted to {into}")
    if unit == into:
        return 1.0
    if unit in _USUAL and into in _USUAL:
        return _USUAL[unit][1] * _USUAL[into][1] ** -1  # rounded as pint does
    return by_pint(unit, into)


def by_pint(unit: str, into: str) -> float:
    """Return the number of ``into`` in one ``unit``, two units of the same dimension."""
    return float(_registry().Quantity(1.0, unit).to(into).magnitude)


@cache
def _parse(unit: str) -> pint.Unit:
    if not _SPELLING.fullmatch(unit):
        raise ValueError(f"unknown unit {unit!r}")
    try:
        return _registry().parse_units(unit)
    except AttributeError:  # what pint's UndefinedUnitError is
        raise ValueError(f"unknown unit {unit!r}") from None


@cache
def _registry() -> pint.UnitRegistry[float]:
    import pint  # late: importing it takes 0.1 s, and only reading a specification needs it

    registry: pint.UnitRegistry[float] = pint.UnitRegistry(None)
    registry.load_definitions(_PHYSICAL.strip().splitlines())
    registry.load_definitions([f"{name} = [{name}]" for name in COUNTED])
    return registry
