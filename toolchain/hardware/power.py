r"""What a chip draws: a constant and a clock term per supply rail, and a price per activity.

.. math:: P_{rail} = P_{static} + k f_{clk} + E \cdot rate

Where the split between static and clock was never measured, a rail states its whole idle draw and
the clock it was read at, and says nothing about other clocks.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from toolchain.hardware.quantity import FrozenMap, Quantity, SpecModel, Table, measured_in

__all__ = ["Rail", "SpeckPower", "XyloPower"]

Power = Annotated[Quantity, measured_in("µW")]


class Rail(SpecModel):
    """The idle draw of one supply rail: ``static`` and perhaps ``clock_slope``, or ``idle``.

    Attributes:
        role: ``core`` feeds the network, ``sensor`` what is in front of it, ``io`` the pads.
        static: draw with the clock off, µW.
        clock_slope: what each MHz of main clock adds, µW/MHz.
        idle: the whole draw of a configured chip without input, µW.
        idle_clock: main clock at which ``idle`` was read, MHz.
    """

    role: Literal["core", "io", "sensor"]
    static: Power | None = None
    clock_slope: Annotated[Quantity, measured_in("µW/MHz")] | None = None
    idle: Power | None = None
    idle_clock: Annotated[Quantity, measured_in("MHz")] | None = None

    @model_validator(mode="after")
    def _static_or_idle(self) -> Rail:
        if (self.static is None) == (self.idle is None):
            raise ValueError("needs exactly one of static and idle")
        if self.clock_slope is not None and self.static is None:
            raise ValueError("has clock_slope without static")
        if self.idle_clock is not None and self.idle is None:
            raise ValueError("has idle_clock without idle")
        return self


class _Power(SpecModel):
    """Attributes shared by the families.

    Attributes:
        rails: rail name to its idle draw; empty where nothing is known.
        note: what is not priced here; required where there are no rails.
    """

    rails: Table[Rail]
    note: str = ""

    @model_validator(mode="after")
    def _silence_is_explained(self) -> _Power:
        if not self.rails and not self.note:
            raise ValueError("has no rails, needs a note that says why")
        return self


class XyloPower(_Power):
    """Power of a clocked chip.

    Attributes:
        energy_per_cycle: what a busy clock cycle adds to an idle one, pJ.
    """

    energy_per_cycle: Annotated[Quantity, measured_in("pJ")] | None = None


class SpeckPower(_Power):
    """Power of an event-driven chip.

    Attributes:
        energy_per_synop: what one synaptic operation adds, pJ/synop.
        synop_share: rail name to its part of ``energy_per_synop``; parts add up to 1.
    """

    energy_per_synop: Annotated[Quantity, measured_in("pJ/synop")] | None = None
    synop_share: Table[Annotated[Quantity, measured_in("fraction")]] = Field(
        default_factory=lambda: FrozenMap({})
    )

    @model_validator(mode="after")
    def _shares_add_up(self) -> SpeckPower:
        if unknown := sorted(set(self.synop_share) - set(self.rails)):
            raise ValueError(f"synop_share names no rail: {', '.join(unknown)}")
        total = sum(share.to("fraction") for share in self.synop_share.values())
        if self.synop_share and abs(total - 1) > 1e-9:
            raise ValueError(f"synop_share adds up to {total:g}, needs 1")
        return self
