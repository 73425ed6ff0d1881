"""Cost of one layer, and work against limit of one place on a chip."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.estimate.figure import Figure

__all__ = ["LayerCost", "Pace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Work of one place on the chip, against its limit in real time.

    Attributes:
        where: a layer's name, or ``"network"``.
        typical: work of the counted activity, in ``unit``.
        worst: work if every neuron spikes in every step; None if it has no bound.
        limit: largest work in real time.
        unit: of all three, ``cycle/s`` or ``synop/s``.
        margin: fraction that is added to the work before the comparison with the limit.
        basis: of the limit.
        source: of the limit.

    >>> limit = dict(limit=6.25e6, unit="cycle/s", margin=0.2, basis="derived", source="")
    >>> pace = Pace(where="network", typical=0.5e6, worst=6e6, **limit)
    >>> pace.keeps_up, pace.always_keeps_up
    (True, False)
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
        """True if the counted work, with the margin, is done in time."""
        return self.typical * (1 + self.margin) <= self.limit

    @property
    def always_keeps_up(self) -> bool | None:
        """True if the worst case is done in time; None if that has no bound."""
        return None if self.worst is None else self.worst * (1 + self.margin) <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """Work of one layer, and its part of the dynamic power.

    Attributes:
        name: the user's own.
        place: core or neurons, as text; empty for the input.
        spikes_per_second, synops_per_second: of the whole layer, in real time.
        dynamic_power: power that its activity adds, µW; unknown if it has no price.
        dynamic_share: its part of the dynamic power, 0..1; None if there is none.

    >>> from toolchain.estimate import unknown
    >>> work = dict(spikes_per_second=500.0, synops_per_second=2e4)
    >>> power = dict(dynamic_power=unknown("µW"), dynamic_share=None)
    >>> cost = LayerCost(name="conv", place="core 0", **work, **power)
    >>> print(cost.place, cost.dynamic_power)
    core 0 unknown
    """

    name: str
    place: str
    spikes_per_second: float
    synops_per_second: float
    dynamic_power: Figure
    dynamic_share: float | None
