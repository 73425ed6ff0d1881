"""The model of a toy chip's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from toolchain.hardware import Power, Quantity, SpecBase
from toolchain.hardware.quantity import SpecModel, counted_in

__all__ = ["ToyChip", "ToyLimits", "ToyPower"]

Bits = Annotated[Quantity, counted_in("bit")]


class ToyLimits(SpecModel):
    """Limits of the chip: input channels, neurons of all layers, and widths of integers."""

    input_channels: Annotated[Quantity, counted_in("channel")]
    neurons: Annotated[Quantity, counted_in("neuron")]
    weight_width: Bits
    threshold_width: Bits
    state_width: Bits


class ToyPower(Power):
    """Power of a chip with a price per synaptic operation."""

    ACTIONS: ClassVar[Mapping[str, str]] = {"synop": "synop"}


class ToyChip(SpecBase):
    """Specification of a toy chip."""

    family: Literal["toy"]
    limits: ToyLimits
    power: ToyPower
