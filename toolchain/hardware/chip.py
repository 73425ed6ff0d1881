"""What every chip specification has, whatever its family."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from toolchain.hardware.quantity import Choice, Price, Quantity, SourceKey, SpecModel, Table

__all__ = ["Erratum", "Source", "SpecBase"]

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
        title: the name people use.
        aliases: other names that mean this chip, lower case; one alias names one chip only.
        vendor_ids: names the vendor's tools have for the chip and its boards, lower case.
        vendor_module: the vendor's configuration module.
        sources: the documents that the numbers refer to.
        errata: known faults of the silicon and of tools that read its configuration.
    """

    name: Name
    title: str
    aliases: tuple[Name, ...] = ()
    vendor_ids: tuple[Name, ...]
    vendor_module: str
    sources: Table[Source]
    errata: tuple[Erratum, ...] = ()

    def cite(self, quantity: Quantity | Choice | Price) -> str:
        """Who says so: ``speck2f.yaml, Speck Dev Kit Datasheet tab. 1 (published)``."""
        return f"{self.name}.yaml, {self.sources[quantity.source].title} ({quantity.basis})"
