r"""What a chip draws: a constant and a clock term per supply rail, and a price per action.

.. math:: P_{rail} = P_{static} + k_{mode} f_{clk} + \sum_{action} E_{action} \cdot rate

Where the split between static and clock was never measured, a rail states its whole idle draw and
the clock it was read at, and says nothing about other clocks. How often an action happens is
counted elsewhere; here are prices alone.

A constant is named by its place below ``power``: ``rails.digital.static``,
``rails.digital.modes.mapped.clock_slope``, ``actions.cycle.energy``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from toolchain.hardware.quantity import (
    FrozenMap,
    NameTable,
    Price,
    Quantity,
    SpecModel,
    measured_in,
)
from toolchain.hardware.units import same_dimension

__all__ = ["DRAWS", "ActionPrice", "Power", "Rail", "RailMode"]

Draw = Annotated[Price, measured_in("µW")]
Slope = Annotated[Price, measured_in("µW/MHz")]
Fraction = Annotated[Quantity, measured_in("fraction")]

DRAWS = ("static", "clock_slope", "idle")
"""The prices of a rail."""


class RailMode(SpecModel):
    """What one setting of a switch changes about a rail.

    Attributes:
        note: what the chip does in this mode.
        static, clock_slope, idle: instead of the rail's own; None leaves that.
    """

    note: Annotated[str, StringConstraints(min_length=1)]
    static: Draw | None = None
    clock_slope: Slope | None = None
    idle: Draw | None = None


class Rail(SpecModel):
    """The idle draw of one supply rail: ``static`` and perhaps ``clock_slope``, or ``idle``.

    Attributes:
        role: ``core`` feeds the network, ``sensor`` what is in front of it, ``io`` the pads.
        static: draw with the clock off, µW.
        clock_slope: what each MHz of main clock adds, µW/MHz.
        idle: the whole draw of a configured chip without input, µW.
        idle_clock: main clock at which ``idle`` was read, MHz.
        switch: what ``modes`` are the settings of; empty where there are none. A switch that
            several rails name is one.
        modes: setting to what it changes; the first is the usual one.
    """

    role: Literal["core", "io", "sensor"]
    static: Draw | None = None
    clock_slope: Slope | None = None
    idle: Draw | None = None
    idle_clock: Annotated[Quantity, measured_in("MHz")] | None = None
    switch: str = ""
    modes: NameTable[RailMode] = Field(default_factory=lambda: FrozenMap({}))

    @model_validator(mode="after")
    def _static_or_idle(self) -> Rail:
        if (self.static is None) == (self.idle is None):
            raise ValueError("needs exactly one of static and idle")
        if bool(self.switch) != bool(self.modes):
            raise ValueError("needs both switch and modes, or neither")
        slopes = [self.clock_slope, *(mode.clock_slope for mode in self.modes.values())]
        if any(slope is not None for slope in slopes) and self.static is None:
            raise ValueError("has clock_slope without static")
        if self.idle_clock is not None and self.idle is None:
            raise ValueError("has idle_clock without idle")
        wrong = "idle" if self.idle is None else "static"
        for name, mode in self.modes.items():
            if getattr(mode, wrong) is not None:
                raise ValueError(f"mode {name} has {wrong}, which the rail has not")
        return self

    def price(self, draw: str, mode: str | None = None) -> tuple[str, Price | None]:
        """One of ``DRAWS`` in a mode: its place below the rail, and the price if there is one."""
        own: Price | None = getattr(self, draw)
        changed = None if mode is None else getattr(self.modes[mode], draw)
        return (draw, own) if changed is None else (f"modes.{mode}.{draw}", changed)


class ActionPrice(SpecModel):
    """What one action adds.

    Attributes:
        energy: of one action.
        rail: the one that pays; or
        share: rail name to its part of ``energy``; parts add up to 1.
    """

    energy: Price
    rail: str = ""
    share: NameTable[Fraction] = Field(default_factory=lambda: FrozenMap({}))

    @model_validator(mode="after")
    def _somebody_pays(self) -> ActionPrice:
        if bool(self.rail) == bool(self.share):
            raise ValueError("needs exactly one of rail and share")
        total = sum(share.to("fraction") for share in self.share.values())
        if self.share and abs(total - 1) > 1e-9:
            raise ValueError(f"share adds up to {total:g}, needs 1")
        if self.energy.low < 0:
            raise ValueError(f"energy must not be negative, got {self.energy.low:g}")
        return self

    @property
    def payers(self) -> dict[str, float]:
        """Rail name to its part, 0..1."""
        return {name: part.to("fraction") for name, part in self.share.items()} or {self.rail: 1.0}


class Power(SpecModel):
    """Attributes shared by the families.

    Attributes:
        rails: rail name to its idle draw; empty where nothing is known.
        actions: name of an action that the family counts to its price; those left out have none.
        note: what is not priced here; required where there are no rails.
    """

    ACTIONS: ClassVar[Mapping[str, str]]
    """What the family counts, and the unit of each: one of ``units.COUNTED``."""

    rails: NameTable[Rail]
    actions: NameTable[ActionPrice] = Field(default_factory=lambda: FrozenMap({}))
    note: str = ""

    @property
    def switches(self) -> dict[str, tuple[str, ...]]:
        """Each switch and its settings, the usual one first."""
        return {rail.switch: tuple(rail.modes) for rail in self.rails.values() if rail.switch}

    @model_validator(mode="after")
    def _silence_is_explained(self) -> Power:
        if not self.rails and not self.note:
            raise ValueError("has no rails, needs a note that says why")
        return self

    @model_validator(mode="after")
    def _rails_agree_on_switches(self) -> Power:
        for rail in self.rails.values():
            if rail.switch and tuple(rail.modes) != self.switches[rail.switch]:
                raise ValueError(f"rails disagree about the modes of {rail.switch}")
        return self

    @model_validator(mode="after")
    def _actions_are_counted_and_paid(self) -> Power:
        for name, action in self.actions.items():
            if name not in self.ACTIONS:
                raise ValueError(f"no action {name!r}; counted are {', '.join(self.ACTIONS)}")
            if unknown := sorted(set(action.payers) - set(self.rails)):
                raise ValueError(f"action {name} names no rail: {', '.join(unknown)}")
            wanted = f"pJ/{self.ACTIONS[name]}"
            if not same_dimension(action.energy.unit, wanted):
                raise ValueError(
                    f"energy of {name} is given in {action.energy.unit!r}, needs {wanted!r}"
                )
        return self
