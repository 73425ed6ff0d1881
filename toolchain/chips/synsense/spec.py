"""Fields that the chip files of both families have: the vendor's own names."""

from __future__ import annotations

from toolchain.hardware.chip import Name, SpecBase

__all__ = ["SynSenseChip"]


class SynSenseChip(SpecBase):
    """A chip that the vendor's library configures.

    Attributes:
        vendor_ids: names the vendor's tools have for the chip and its boards, lower case.
        vendor_module: the vendor's configuration module.
        vendor_note: what is uncertain about ``vendor_module``, and whether the vendor's tools
            still know a board of the chip; empty where they do.
    """

    vendor_ids: tuple[Name, ...]
    vendor_module: str
    vendor_note: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Aliases and vendor ids."""
        return (*self.aliases, *self.vendor_ids)
