"""Options that apply to Speck only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.chips.contract import Options

__all__ = ["SpeckOptions", "speck_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeckOptions(Options):
    """Options of ``deploy`` and ``Deployment.compare`` on Speck.

    Attributes:
        placement: core ids by layer, for layers that are to be there; the others are placed around
            them, and all of it is checked by the same rules.
        readout: settings of the block that names the class that fires most, fields of
            ``toolchain.chips.speck.Readout``, and ``layer`` where there are several outputs; ``{}``
            for the usual ones, None leaves the block off.
        permutations: in how many random orders ``compare`` tries simultaneous events.

    >>> SpeckOptions(placement={"conv1": 0}).placement
    {'conv1': 0}
    """

    placement: Mapping[str, int] | None = None
    readout: Mapping[str, Any] | None = None
    permutations: int = 0

    def __post_init__(self) -> None:
        """Copy mappings that the caller could change later."""
        for name in ("placement", "readout"):
            given = getattr(self, name)
            object.__setattr__(self, name, dict(given) if isinstance(given, Mapping) else given)


def speck_options(options: Options) -> SpeckOptions:
    """Return the options of this family; options of the contract have its defaults.

    Raises:
        ValueError: options of another family.
    """
    if type(options) is Options:
        return SpeckOptions()
    if not isinstance(options, SpeckOptions):
        raise ValueError(f"Speck takes SpeckOptions, got {type(options).__name__}")
    return options
