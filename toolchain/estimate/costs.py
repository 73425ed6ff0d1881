"""What one layer costs, and how one place on a chip keeps up with its work."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.estimate.figure import Figure

__all__ = ["LayerCost", "Pace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Work against what can be done in real time, of one place on the chip.

    Attributes:
        where: a layer's name, or ``"network"``.
        typical: what the counted activity asks for, in ``unit``.
        worst: what it asks for if everything spikes in every step; None where that has no bound.
        limit: what can be done.
        unit: of all three, ``cycle/s`` or ``synop/s``.
        margin: what is added to the work before it is held against the limit, a fraction of it.
        basis: of the limit.
        source: who says so.
    """

    where: str
    typical: float
    worst: float | None
    limit: float
    unit: str
    margin: float
    basis: str
    source: str

    @property
    def keeps_up(self) -> bool:
        """Whether the counted work, with the margin, is done in time."""
        return self.typical * (1 + self.margin) <= self.limit

    @property
    def always_keeps_up(self) -> bool | None:
        """Whether the worst is; None where that has no bound."""
        return None if self.worst is None else self.worst * (1 + self.margin) <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """What one layer does, and its part of what activity adds.

    Attributes:
        name: the user's own.
        place: core or neurons, as text; empty of the input.
        spikes_per_second, synops_per_second: of the whole layer, in real time.
        dynamic_power: what its activity adds, µW; unknown where nothing of it has a price.
        dynamic_share: its part of the dynamic power, 0..1; None where there is none.
    """

    name: str
    place: str
    spikes_per_second: float
    synops_per_second: float
    dynamic_power: Figure
    dynamic_share: float | None
