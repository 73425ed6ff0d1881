"""Fields that the specification of every chip has, whatever its family."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import PrivateAttr, StringConstraints

from toolchain.arrays import finite
from toolchain.hardware.power import Power
from toolchain.hardware.quantity import (
    AllowedValues,
    NameTable,
    Price,
    Quantity,
    SourceKey,
    SpecModel,
)
from toolchain.hardware.sheet import chip_sheet
from toolchain.report import Described, Sheet, brief, plain

__all__ = ["Erratum", "Name", "Source", "SpecBase"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]


class Source(SpecModel):
    """A document that numbers were taken from.

    Attributes:
        title: the document, with the place in it.
        url: where it can be read; empty where no public address is known.
        note: how it was read, if that matters.

    >>> Source(title="my readings", url="").title
    'my readings'
    """

    title: Annotated[str, StringConstraints(min_length=1)]
    url: Annotated[str, StringConstraints(pattern=r"^(https://\S+)?$")]
    note: str = ""


class Erratum(SpecModel):
    """Something that the silicon, or a tool that reads its configuration, should not do.

    Attributes:
        id: short name, stable.
        text: what happens, and what to do about it.
        source: key into the chip's ``sources``.

    >>> from toolchain import load_chip
    >>> erratum = load_chip("speck2f").errata[0]
    >>> isinstance(erratum, Erratum), erratum.id, erratum.text
    (True, 'threshold_low_zero', 'A lower threshold of 0 does not work; use -1.')
    """

    id: Name
    text: str
    source: SourceKey


class SpecBase(Described, SpecModel):
    """The fields common to all families.

    Attributes:
        name: the file's name without its suffix.
        family: name of the chip family.
        title: name for people.
        aliases: other names that mean this chip, lower case; one alias names one chip only.
        sources: the documents that the numbers refer to.
        errata: known faults of the silicon and of tools that read its configuration.
        power: power model; a family narrows the type, which names the actions that it counts.

    >>> from toolchain import load_chip
    >>> chip = load_chip("speck")
    >>> isinstance(chip, SpecBase), chip.name, chip.title, chip.aliases
    (True, 'speck2f', 'Speck 2f', ('speck',))
    >>> chip.cite(chip.power.rails["ram"].idle)
    'speck2f.yaml, sinabs documentation, Power monitoring (derived)'
    """

    name: Name
    family: str
    title: str
    aliases: tuple[Name, ...] = ()
    sources: NameTable[Source]
    errata: tuple[Erratum, ...] = ()
    power: Power
    _origin: str = PrivateAttr(default="")

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal; the origins of the files do not matter."""
        if not isinstance(other, SpecBase) or type(other) is not type(self):
            return NotImplemented
        fields = type(self).model_fields
        return all(getattr(self, name) == getattr(other, name) for name in fields)

    @property
    def names(self) -> tuple[str, ...]:
        """Other names that ``load_chip`` takes for the chip, its aliases among them."""
        return self.aliases

    @property
    def clocked(self) -> bool:
        """True if the chip has a main clock, so that estimates take ``clock_hz``."""
        return False

    def check_clock(self, clock_hz: Any) -> float:
        """Return a main clock that a user gave, Hz.

        Raises:
            ValueError: a chip without a main clock, no number > 0, or a clock outside the range of
                the chip.

        >>> from toolchain import load_chip
        >>> load_chip("xylo_a2").check_clock(6.25e6)
        6250000.0
        """
        if not self.clocked:
            raise ValueError(f"{self.name} is asynchronous and has no main clock; omit clock_hz")
        number = finite(clock_hz)
        if number is None or number <= 0:
            raise ValueError(
                f"clock_hz must be a number of Hz > 0, such as 6.25e6, got {brief(clock_hz)}"
            )
        return number

    @property
    def origin(self) -> str:
        """Origin of the file, with a digest; empty for a built-in one."""
        return self._origin

    def from_origin(self, origin: str) -> Self:
        """Return the same chip with ``origin`` set."""
        chip = self.model_copy()
        chip._origin = origin
        return chip

    def __repr__(self) -> str:
        """Return name, family and title."""
        return f"{type(self).__name__}(name={self.name!r}, title={self.title!r})"

    def __str__(self) -> str:
        """Return the sheet as text."""
        return Described.__str__(self)

    def sheet(self) -> Sheet:
        """Describe every number of the chip with its unit, basis and source, then the errata."""
        return chip_sheet(self, self.title, self.sources, self.errata)

    def as_dict(self) -> dict[str, Any]:
        """Return the specification as plain data, which JSON can hold, as its file spells it."""
        found: dict[str, Any] = plain(self.model_dump(exclude_none=True))
        return found

    def cite(self, quantity: Quantity | AllowedValues | Price) -> str:
        """Return a citation: ``speck2f.yaml, Speck Dev Kit Datasheet tab. 1 (published)``."""
        return f"{self.name}.yaml, {self.sources[quantity.source].title} ({quantity.basis})"
