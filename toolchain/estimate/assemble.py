"""Assembly of an estimate from the counts of a program and the prices of its chip."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType

from toolchain.estimate.costs import Pace
from toolchain.estimate.figure import Figure
from toolchain.estimate.pricing import energy_of, price
from toolchain.estimate.result import Estimate
from toolchain.estimate.terms import Counts, NotPriced
from toolchain.hardware import SpecBase
from toolchain.runs.activity import Activity, LayerActivity

__all__ = ["AS_USUAL", "assemble", "border_events", "check_layers"]

AS_USUAL: Mapping[str, str] = MappingProxyType({})
"""No mode given."""


def check_layers(counted: Iterable[LayerActivity], names: Iterable[str]) -> None:
    """Check that counts are of the program whose layers have these ``names``.

    Raises:
        ValueError: other names, or in another order.

    >>> layer = LayerActivity(name="input", neurons=12, spikes_per_step=1.2)
    >>> check_layers([layer], ["input"])
    >>> check_layers([layer], ["lif"])
    Traceback (most recent call last):
    ValueError: the counts are of input, the program is lif
    """
    given, wanted = [layer.name for layer in counted], [*names]
    if given != wanted:
        raise ValueError(
            f"the counts are of {', '.join(given)}, the program is {', '.join(wanted)}"
        )


def border_events(
    counted: Activity, outputs: Container[str], entering: str = "input_event"
) -> dict[str, dict[str, float]]:
    """Count the spikes of a step that enter the chip, and those of ``outputs`` that leave it.

    >>> layers = (
    ...     LayerActivity(name="input", neurons=12, spikes_per_step=1.2),
    ...     LayerActivity(name="lif", neurons=3, spikes_per_step=0.5),
    ... )
    >>> border_events(Activity(layers=layers, steps=100, dt=1e-3), outputs=["lif"])
    {'input_event': {'input': 1.2}, 'output_event': {'lif': 0.5}}
    """
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
        chip: specification with the costs.
        counted: activity of the program.
        per_step: number of actions in a step, by layer.
        step_s: duration of a step, s.
        clock_hz: main clock, Hz; None on a chip without one.
        modes: setting by switch, of those that are known.
        places: as in :class:`Estimate`.
        latency: as in :class:`Estimate`.
        pace: as in :class:`Estimate`.
        not_priced: costs without a price on all chips of the family, as text.

    Raises:
        ValueError: as :func:`toolchain.estimate.pricing.price`.

    >>> from toolchain import load_chip
    >>> layer = LayerActivity(name="input", neurons=12, spikes_per_step=1.2)
    >>> estimate = assemble(
    ...     load_chip("speck2f"),
    ...     Activity(layers=(layer,), steps=100, dt=1e-3),
    ...     {"synop": {"input": 50.0}},
    ...     step_s=1e-3,
    ...     clock_hz=None,
    ...     modes=AS_USUAL,
    ...     places={},
    ...     latency=None,
    ...     pace=(),
    ...     not_priced=["pads driven by output spikes"],
    ... )
    >>> print(estimate.idle_power)
    1 144 µW (995.7 to 1 320, derived)
    >>> print(estimate.dynamic_power)
    12.75 µW (5.65 to 21.5, derived)
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
        energies={name: energy_of(chip, name) for name in counts if name in chip.power.actions},
    )
