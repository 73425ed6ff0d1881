"""Counts times costs: power, energy, latency and load, each figure with its range and basis.

Counts come from a program and its spikes (:class:`Activity`), costs from the chip's specification;
they meet in each family's ``power.py`` and nowhere else. A figure whose cost nobody measured has a
range and no nominal value: it is not collapsed to one number. A figure about which nothing is
known is ``unknown``, never 0, and so is every upper end of what it is a part of. The estimate
carries the weakest basis of all that went into it, and lists what it could not price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from math import inf, isinf
from typing import Any

from toolchain.hardware import Quantity

__all__ = ["Activity", "Estimate", "Figure", "LayerActivity", "check_rates", "total", "unknown"]

BASES = ("published", "measured", "derived", "assumed", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One estimated number.

    Attributes:
        low, high: its range, in ``unit``; ``high`` is inf where nothing bounds it.
        nominal: the likeliest value, or None where only a range can be defended.
        unit: of all three.
        basis: how well it is known: published, measured, derived, assumed or unknown.
        source: where its constants come from.
    """

    low: float
    nominal: float | None
    high: float
    unit: str
    basis: str
    source: str = ""

    def __str__(self) -> str:
        """``271 µW (216 to 300, measured)``, ``at least 216 µW (unknown)``."""
        if isinf(self.high):
            return f"at least {self.low:.4g} {self.unit} (unknown)" if self.low else "unknown"
        span = f"{self.low:.4g} to {self.high:.4g}"
        if self.nominal is None:
            return f"{span} {self.unit} ({self.basis})"
        if self.low == self.high:
            return f"{self.nominal:.4g} {self.unit} ({self.basis})"
        return f"{self.nominal:.4g} {self.unit} ({span}, {self.basis})"

    def __add__(self, other: Figure) -> Figure:
        """The sum; its basis is the weaker one, and it has no nominal value if one has none."""
        assert self.unit == other.unit, f"{self.unit} + {other.unit}"
        known = self.nominal is not None and other.nominal is not None
        sources = [*self.source.split("; "), *other.source.split("; ")]
        return Figure(
            low=self.low + other.low,
            nominal=(self.nominal or 0.0) + (other.nominal or 0.0) if known else None,
            high=self.high + other.high,
            unit=self.unit,
            basis=weakest([self.basis, other.basis]),
            source="; ".join(dict.fromkeys(s for s in sources if s)),
        )

    def times(self, factor: float, unit: str) -> Figure:
        """The figure multiplied by a number >= 0 that is known exactly, in the product's unit."""
        assert 0 <= factor < inf, factor
        return Figure(
            low=self.low * factor,
            nominal=None if self.nominal is None else self.nominal * factor,
            high=self.high * factor if factor else 0.0,
            unit=unit,
            basis=self.basis,
            source=self.source,
        )

    @classmethod
    def of(cls, quantity: Quantity, unit: str, source: str) -> Figure:
        """A specified number; without nominal value where it is assumed."""
        low, nominal, high = quantity.range(unit)
        return cls(
            low=low,
            nominal=None if quantity.basis == "assumed" else nominal,
            high=high,
            unit=unit,
            basis=quantity.basis,
            source=source,
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data; ``high`` is None where nothing bounds it."""
        return {**asdict(self), "high": None if isinf(self.high) else self.high}


def unknown(unit: str) -> Figure:
    """A figure that nobody knows anything about."""
    return Figure(low=0.0, nominal=None, high=inf, unit=unit, basis="unknown")


def weakest(bases: Iterable[str]) -> str:
    """The least certain of several bases."""
    return max(bases, key=BASES.index, default="published")


def total(figures: Iterable[Figure], unit: str) -> Figure:
    """The sum of figures of one unit; 0 of none."""
    zero = Figure(low=0.0, nominal=0.0, high=0.0, unit=unit, basis="published")
    return reduce(Figure.__add__, figures, zero)


def check_rates(rates: Mapping[str, float], names: Iterable[str]) -> None:
    """Refuse ``rates`` that are not one number >= 0, in spike/s, for each of ``names``.

    Raises:
        ValueError: names are missing or unknown, or a rate is negative, infinite or no number.
    """
    wanted = list(names)
    if wrong := sorted(set(wanted) ^ set(rates)):
        raise ValueError(f"rates need {', '.join(wanted)}; missing or unknown: {', '.join(wrong)}")
    for name in wanted:
        if not 0 <= rates[name] < inf:
            raise ValueError(
                f"rate of {name!r} must be a number of spikes per second >= 0, got {rates[name]}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerActivity:
    """How busy one layer is, averaged over samples and timesteps.

    Attributes:
        name: the user's own name.
        neurons: neurons, or channels of the input.
        spikes_per_step: spikes of the whole layer, spike/step.
        active: fraction of its neurons that spike at least once in a step, 0..1; None where the
            chip's cost does not depend on it and it was not counted.
        synops_per_step: synaptic operations that arrive at the layer, synop/step. Connections of
            weight zero are counted where the chip walks over them.
    """

    name: str
    neurons: int
    spikes_per_step: float
    active: float | None
    synops_per_step: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """How busy a program is.

    Attributes:
        layers: the input first, then every neuron layer.
        steps: timesteps of one inference.
        dt: s.
    """

    layers: tuple[LayerActivity, ...]
    steps: int
    dt: float

    @property
    def synops_per_step(self) -> float:
        """Synaptic operations of the whole network, synop/step."""
        return sum(layer.synops_per_step for layer in self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a program draws and how fast it is, before anyone owns the chip.

    Attributes:
        chip: its name.
        clock_hz: main clock, Hz, or None on a chip without one.
        activity: what was counted.
        idle: draw of each supply rail with nothing to do, µW; empty where none is known.
        dynamic: what activity adds on each rail, µW; empty where it has no price.
        latency: from an input spike to the output spike it causes, ms.
        load: fraction of the time the chip computes, at most when everything spikes at once;
            above 1 it does not keep up.
        not_priced: what costs something and is not in these figures.
    """

    chip: str
    clock_hz: float | None
    activity: Activity
    idle: Mapping[str, Figure]
    dynamic: Mapping[str, Figure]
    latency: Figure | None
    load: Figure | None
    not_priced: tuple[str, ...]

    @property
    def idle_power(self) -> Figure:
        """All rails with nothing to do, µW."""
        return total(self.idle.values(), "µW") if self.idle else unknown("µW")

    @property
    def dynamic_power(self) -> Figure:
        """What activity adds, all rails, µW."""
        return total(self.dynamic.values(), "µW") if self.dynamic else unknown("µW")

    @property
    def power_by_rail(self) -> dict[str, Figure]:
        """Idle and dynamic together, µW, by rail."""
        rails = dict.fromkeys([*self.idle, *self.dynamic])
        return {
            rail: total([part[rail] for part in (self.idle, self.dynamic) if rail in part], "µW")
            for rail in rails
        }

    @property
    def power(self) -> Figure:
        """All rails, idle and dynamic, µW."""
        return self.idle_power + self.dynamic_power

    @property
    def energy_per_inference(self) -> Figure:
        """Power over the timesteps of one inference in real time, µJ."""
        return self.power.times(self.activity.steps * self.activity.dt, "µJ")

    @property
    def dynamic_energy_per_inference(self) -> Figure:
        """The dynamic part of it, µJ."""
        return self.dynamic_power.times(self.activity.steps * self.activity.dt, "µJ")

    @property
    def synops_per_second(self) -> float:
        """Synaptic operations, synop/s, in real time."""
        return self.activity.synops_per_step / self.activity.dt

    @property
    def synops_per_inference(self) -> float:
        """Synaptic operations of one inference, synop."""
        return self.activity.synops_per_step * self.activity.steps

    @property
    def keeps_up(self) -> bool | None:
        """Whether a mean timestep's work ends within it; None where that is unknown."""
        return None if self.load is None or self.load.nominal is None else self.load.nominal <= 1

    @property
    def basis(self) -> str:
        """The weakest basis of all figures."""
        return self.power.basis

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        figures = ("power", "idle_power", "dynamic_power")
        energies = ("energy_per_inference", "dynamic_energy_per_inference")
        return {
            **asdict(self),
            **{name: getattr(self, name).as_dict() for name in (*figures, *energies)},
            "power_by_rail": {rail: f.as_dict() for rail, f in self.power_by_rail.items()},
            "synops_per_second": self.synops_per_second,
            "synops_per_inference": self.synops_per_inference,
            "keeps_up": self.keeps_up,
            "basis": self.basis,
        }

    def __str__(self) -> str:
        """Tables for people; see ``toolchain.tables``."""
        from toolchain.tables import render

        return render(self)
