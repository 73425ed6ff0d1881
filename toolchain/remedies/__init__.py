"""Remedies of a refusal or of a loss, applied until a network fits its chip and works there."""

from toolchain.remedies.result import RemedyRow, Repair
from toolchain.remedies.verb import repair

__all__ = ["RemedyRow", "Repair", "repair"]
