"""Fields of the chip files of both SynSense families: names in the vendor's tools."""

from __future__ import annotations

from toolchain.hardware.chip import Name, SpecBase

__all__ = ["SynSenseChip"]


class SynSenseChip(SpecBase):
    """Specification of a chip that the vendor's library configures.

    Attributes:
        vendor_ids: names of the chip and its boards in the vendor's tools, lower case.
        vendor_module: module of the vendor's library for the chip.
        vendor_note: uncertainty about ``vendor_module``, or the fact that the vendor's tools no
            longer support a board of the chip; empty if neither applies.
    """

    vendor_ids: tuple[Name, ...]
    vendor_module: str
    vendor_note: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Aliases and vendor ids."""
        return (*self.aliases, *self.vendor_ids)
