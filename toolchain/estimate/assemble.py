"""Counts of a program and prices of its chip, put together as an estimate."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType

from toolchain.estimate.costs import Pace
from toolchain.estimate.figure import Figure
from toolchain.estimate.pricing import Counts, NotPriced, price
from toolchain.estimate.result import Estimate
from toolchain.hardware import SpecBase
from toolchain.runs.activity import Activity, LayerActivity

__all__ = ["AS_USUAL", "assemble", "border_events", "check_layers"]

AS_USUAL: Mapping[str, str] = MappingProxyType({})
"""No mode given."""


def check_layers(counted: Iterable[LayerActivity], names: Iterable[str]) -> None:
    """Refuse counts of another program than that whose layers have these ``names``.

    Raises:
        ValueError: other names, or in another order.
    """
    found, wanted = [layer.name for layer in counted], [*names]
    if found != wanted:
        raise ValueError(
            f"the counts are of {', '.join(found)}, the program is {', '.join(wanted)}"
        )


def border_events(
    counted: Activity, outputs: Container[str], entering: str = "input_event"
) -> dict[str, dict[str, float]]:
    """Count the spikes of a step that enter the chip, and those of ``outputs`` that leave it."""
    first, *rest = counted.layers
    leaving = {layer.name: layer.spikes_per_step for layer in rest if layer.name in outputs}
    return {entering: {first.name: first.spikes_per_step}, "output_event": leaving}


def assemble(
    chip: SpecBase,
    counted: Activity,
    per_step: Counts,
    *,
    step_s: float,
    clock_hz: float | None,
    modes: Mapping[str, str],
    places: Mapping[str, str],
    latency: Figure | None,
    pace: tuple[Pace, ...],
    not_priced: Iterable[str],
) -> Estimate:
    """Multiply counts by the chip's costs; no clock is suggested.

    Args:
        chip: gives the costs.
        counted: how busy the program is.
        per_step: how often each action happens in a step, by layer.
        step_s: how long a step takes, s.
        clock_hz: main clock, Hz; None on a chip without one.
        modes: setting by switch, of those that are known.
        places, latency, pace: as in :class:`Estimate`.
        not_priced: what no chip of the family has a price for, in words.

    Raises:
        ValueError: as :func:`toolchain.estimate.pricing.price`.
    """
    counts = {
        action: {name: number / step_s for name, number in by_layer.items()}
        for action, by_layer in per_step.items()
    }
    terms, missing = price(chip, clock_hz=clock_hz, modes=modes, counts=counts)
    notes = (*not_priced, *([chip.power.note] if chip.power.note else []))
    return Estimate(
        chip=chip.name,
        clock_hz=clock_hz,
        modes={switch: modes.get(switch) for switch in chip.power.switches},
        activity=counted,
        places=places,
        terms=terms,
        counts=counts,
        latency=latency,
        pace=pace,
        clock_suggestions=(),
        not_priced=(*missing, *(NotPriced(what=note) for note in notes)),
    )
