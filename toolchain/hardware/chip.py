"""What every chip specification has, whatever its family."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import PrivateAttr, StringConstraints

from toolchain.hardware.power import Power
from toolchain.hardware.quantity import Choice, Price, Quantity, SourceKey, SpecModel, Table

__all__ = ["Erratum", "Name", "Source", "SpecBase"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]


class Source(SpecModel):
    """A document that numbers were taken from.

    Attributes:
        title: the document, with the place in it.
        url: where it can be read; empty where no public address is known.
        note: how it was read, if that matters.
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
    """

    id: Name
    text: str
    source: SourceKey


class SpecBase(SpecModel):
    """The fields common to all families.

    Attributes:
        name: the file's name without its suffix.
        family: name of the chip family.
        title: the name people use.
        aliases: other names that mean this chip, lower case; one alias names one chip only.
        sources: the documents that the numbers refer to.
        errata: known faults of the silicon and of tools that read its configuration.
        power: what it draws; a family narrows the type, which names the actions that it counts.
    """

    name: Name
    family: str
    title: str
    aliases: tuple[Name, ...] = ()
    sources: Table[Source]
    errata: tuple[Erratum, ...] = ()
    power: Power
    _origin: str = PrivateAttr(default="")

    def __eq__(self, other: object) -> bool:
        """Whether all fields are equal, wherever the files come from."""
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
        """Whether the chip has a main clock, so that estimates take ``clock_hz``."""
        return False

    @property
    def origin(self) -> str:
        """Where the file comes from, with a digest; empty for one that is built in."""
        return self._origin

    def from_origin(self, origin: str) -> Self:
        """Return the same chip with its origin."""
        chip = self.model_copy()
        chip._origin = origin
        return chip

    def cite(self, quantity: Quantity | Choice | Price) -> str:
        """Who says so: ``speck2f.yaml, Speck Dev Kit Datasheet tab. 1 (published)``."""
        return f"{self.name}.yaml, {self.sources[quantity.source].title} ({quantity.basis})"
