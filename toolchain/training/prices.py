"""Prices of counts: the derivatives of the dynamic power of the estimate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolchain.chips.contract import OnChip
from toolchain.runs import Activity, LayerActivity

__all__ = ["Prices", "prices_of"]

COUNTS = ("spikes_per_step", "active", "synops_per_step")
"""Counts of a layer that depend on spikes."""
DIFFERENCE = 1e-3
"""Relative difference of a count of which its price is computed."""
LEAST = 1e-12
"""Least relative difference of a power that is not rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prices:
    """Power of an activity, and its derivative with respect to each count.

    Attributes:
        on_chip: program with the prices.
        template: activity with the counts that do not depend on spikes.
        clock_hz, modes: as for the estimate.
        slopes: derivative by layer and count, µW.
    """

    on_chip: OnChip
    template: Activity
    clock_hz: float | None
    modes: Mapping[str, str]
    slopes: Mapping[tuple[str, str], float]

    def power(self, activity: Activity) -> float:
        """Return the dynamic power of an activity, µW."""
        return _power(self.on_chip, activity, self.clock_hz, self.modes)

    def with_counts(self, counts: Mapping[tuple[str, str], float]) -> Activity:
        """Return the activity with other counts, by layer and field of ``LayerActivity``."""
        layers = []
        for layer in self.template.layers:
            own: dict[str, Any] = {
                name: counts[layer.name, name] for name in COUNTS if (layer.name, name) in counts
            }
            layers.append(replace(layer, **own))
        return replace(self.template, layers=tuple(layers))


def prices_of(
    on_chip: OnChip, activity: Activity, clock_hz: float | None, modes: Mapping[str, str]
) -> Prices:
    """Return the prices of a program at an activity.

    Raises:
        ValueError: a chip without a price of activity.
    """
    power = _power(on_chip, activity, clock_hz, modes)
    slopes = {}
    for layer, name, changed in _changes(activity):
        step = getattr(changed[layer.name], name) - getattr(layer, name)
        difference = _power(on_chip, changed, clock_hz, modes) - power
        if abs(difference) > LEAST * power:  # else it is rounding
            slopes[layer.name, name] = difference / step
    return Prices(on_chip=on_chip, template=activity, clock_hz=clock_hz, modes=modes, slopes=slopes)


def _power(
    on_chip: OnChip, activity: Activity, clock_hz: float | None, modes: Mapping[str, str]
) -> float:
    """Return the dynamic power of an activity, µW: nominal, or the middle of its range."""
    figure = on_chip.cost(activity, clock_hz, modes).dynamic_power
    if not np.isfinite(figure.high):
        raise ValueError(f"{on_chip.chip.name} has no price of activity; use synops_loss")
    return (figure.low + figure.high) / 2 if figure.nominal is None else figure.nominal


def _changes(activity: Activity) -> Iterator[tuple[LayerActivity, str, Activity]]:
    """Yield each count with a layer and an activity in which it is a little different."""
    for place, layer in enumerate(activity.layers):
        for name in COUNTS:
            count = getattr(layer, name)
            if count is None:
                continue
            step = DIFFERENCE * max(count, DIFFERENCE)
            step = -step if name == "active" and count > 0.5 else step
            changed = replace(layer, **{name: count + step})
            layers = (*activity.layers[:place], changed, *activity.layers[place + 1 :])
            yield layer, name, replace(activity, layers=layers)
