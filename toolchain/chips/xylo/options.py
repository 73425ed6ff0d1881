"""Options that apply to Xylo only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from toolchain.chips.contract import Options

__all__ = ["ReadoutState", "XyloOptions", "xylo_options"]

ReadoutState: TypeAlias = Literal["spikes", "v_mem", "i_syn"]
"""Readout of the output neurons: their spikes, membranes, or synaptic currents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XyloOptions(Options):
    """Options of ``deploy`` on Xylo.

    Attributes:
        readout: what is read of the output neurons in each timestep. With ``"v_mem"`` and
            ``"i_syn"`` their thresholds are the largest that the chip has, so that none fires, and
            ``simulate`` returns the states as ``Recording.readout``. None: spikes, or the state
            that the network itself outputs if it ends in membranes that never spike.

    Raises:
        ValueError: another readout.

    >>> XyloOptions(readout="v_mem").readout
    'v_mem'
    """

    readout: ReadoutState | None = None

    def __post_init__(self) -> None:
        """Check the readout."""
        if self.readout not in (None, *get_args(ReadoutState)):
            names = ", ".join(map(repr, get_args(ReadoutState)))
            raise ValueError(f"readout must be one of {names} or None, got {self.readout!r}")


def xylo_options(options: Options) -> XyloOptions:
    """Return the options of this family; options of the contract have its defaults.

    Raises:
        ValueError: options of another family.
    """
    if type(options) is Options:
        return XyloOptions()
    if not isinstance(options, XyloOptions):
        raise ValueError(f"Xylo takes XyloOptions, got {type(options).__name__}")
    return options
