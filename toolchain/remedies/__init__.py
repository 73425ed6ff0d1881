"""Remedies of a refusal or of a loss, applied until a network fits its chip and works there."""

from toolchain.remedies.result import Attempt, Repair
from toolchain.remedies.verb import repair

__all__ = ["Attempt", "Repair", "repair"]
