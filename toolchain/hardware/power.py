r"""Power model of a chip: a constant and a clock term per supply rail, and a price per action.

.. math:: P_{rail} = P_{static} + k_{mode} f_{clk} + \sum_{action} E_{action} \cdot rate

If the split into static and clock was never measured, a rail states its whole idle draw and the
clock of the reading, and nothing about other clocks. This module has only prices; the number of
actions is counted elsewhere.

A constant is named by its path below ``power``: ``rails.digital.static``,
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
    """Draw of a rail in one setting of a switch.

    Attributes:
        note: state of the chip in this mode.
        static, clock_slope, idle: replace those of the rail; None keeps them.

    >>> from toolchain import load_chip
    >>> mode = load_chip("xylo_a3").power.rails["digital"].modes["ram_open"]
    >>> isinstance(mode, RailMode), mode.clock_slope.range("µW/MHz")
    (True, (62.0, 64.3, 68.0))
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
        clock_slope: draw that each MHz of main clock adds, µW/MHz.
        idle: the whole draw of a configured chip without input, µW.
        idle_clock: main clock at which ``idle`` was read, MHz.
        switch: name of the switch whose settings are ``modes``; empty if there are none. Rails
            with the same name share one switch.
        modes: changed draw by setting; the first setting is the default.

    >>> from toolchain import load_chip
    >>> rail = load_chip("xylo_a3").power.rails["digital"]
    >>> isinstance(rail, Rail), rail.static.range("µW"), rail.switch, tuple(rail.modes)[:2]
    (True, (141.0, 141.0, 152.1), 'configuration', ('mapped', 'unmapped'))
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
        for part in (self, *self.modes.values()):
            for draw in DRAWS:
                price = getattr(part, draw)
                if price is not None and price.scope == "incremental":
                    raise ValueError(f"{draw} has scope incremental, must be idle or all_in")
        wrong = "idle" if self.idle is None else "static"
        for name, mode in self.modes.items():
            if getattr(mode, wrong) is not None:
                raise ValueError(f"mode {name} has {wrong}, the rail has none")
        return self

    def price(self, draw: str, mode: str | None = None) -> tuple[str, Price | None]:
        """Return the path below the rail of one of ``DRAWS`` in a mode, and its price or None."""
        own: Price | None = getattr(self, draw)
        changed = None if mode is None else getattr(self.modes[mode], draw)
        return (draw, own) if changed is None else (f"modes.{mode}.{draw}", changed)


class ActionPrice(SpecModel):
    """Energy of one action, and the rails that supply it.

    Attributes:
        energy: of one action.
        rail: the rail that supplies it; or
        share: part of ``energy`` by rail; the parts sum to 1. Their ranges widen the power of each
            rail, not that of the chip.

    >>> from toolchain import load_chip
    >>> action = load_chip("speck2f").power.actions["synop"]
    >>> isinstance(action, ActionPrice), action.energy.range("pJ/synop"), action.payers
    (True, (113.0, 255.0, 430.0), {'ram': 0.278, 'logic': 0.722})
    """

    energy: Price
    rail: str = ""
    share: NameTable[Fraction] = Field(default_factory=lambda: FrozenMap({}))

    @model_validator(mode="after")
    def _has_rail_or_share(self) -> ActionPrice:
        if bool(self.rail) == bool(self.share):
            raise ValueError("needs exactly one of rail and share")
        total = sum(share.to("fraction") for share in self.share.values())
        if self.share and abs(total - 1) > 1e-9:
            raise ValueError(f"share sums to {total:g}, must be 1")
        if self.energy.scope != "incremental":
            raise ValueError(
                f"energy has scope {self.energy.scope}, must be incremental: the idle draw of the "
                "rails is added to it"
            )
        if self.energy.low < 0:
            raise ValueError(f"energy must not be negative, got {self.energy.low:g}")
        return self

    @property
    def parts(self) -> dict[str, tuple[float, float, float]]:
        """Part of the energy by rail, 0..1: low, nominal and high."""
        found = {name: part.range("fraction") for name, part in self.share.items()}
        return found or {self.rail: (1.0, 1.0, 1.0)}

    @property
    def payers(self) -> dict[str, float]:
        """Part of the energy by rail, 0..1."""
        return {name: nominal for name, (_, nominal, _) in self.parts.items()}


class Power(SpecModel):
    """Power model of a chip: the part that all families share.

    Attributes:
        rails: idle draw by rail; empty if nothing is known.
        actions: price by name of an action that the family counts; the others have no price.
        note: costs without a price; required if there are no rails.

    >>> from toolchain import load_chip
    >>> power = load_chip("xylo_a3").power
    >>> isinstance(power, Power), list(power.rails), list(power.actions), list(power.switches)
    (True, ['io', 'analog', 'digital'], ['cycle'], ['microphone', 'configuration'])
    """

    ACTIONS: ClassVar[Mapping[str, str]]
    """Actions that the family counts, and their units, each one of ``units.COUNTED``."""

    rails: NameTable[Rail]
    actions: NameTable[ActionPrice] = Field(default_factory=lambda: FrozenMap({}))
    note: str = ""

    @property
    def switches(self) -> dict[str, tuple[str, ...]]:
        """Settings of each switch, the default first."""
        return {rail.switch: tuple(rail.modes) for rail in self.rails.values() if rail.switch}

    @model_validator(mode="after")
    def _note_replaces_rails(self) -> Power:
        if not self.rails and not self.note:
            raise ValueError("has no rails, needs a note with the reason")
        return self

    @model_validator(mode="after")
    def _rails_agree_on_switches(self) -> Power:
        for rail in self.rails.values():
            if rail.switch and tuple(rail.modes) != self.switches[rail.switch]:
                raise ValueError(f"rails have different modes of {rail.switch}")
        return self

    @model_validator(mode="after")
    def _actions_are_counted_and_paid(self) -> Power:
        for name, action in self.actions.items():
            if name not in self.ACTIONS:
                raise ValueError(f"unknown action {name!r}; known: {', '.join(self.ACTIONS)}")
            if unknown := sorted(set(action.payers) - set(self.rails)):
                raise ValueError(f"action {name} names unknown rails: {', '.join(unknown)}")
            wanted = f"pJ/{self.ACTIONS[name]}"
            if not same_dimension(action.energy.unit, wanted):
                raise ValueError(
                    f"energy of {name} is given in {action.energy.unit!r}, needs {wanted!r}"
                )
        return self
