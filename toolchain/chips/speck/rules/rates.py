"""Limits on the rates of a core. An overloaded core stalls the chip without an error.

The maximum rates of a core are not published. A limit is given by the user, from measurements or
as a margin, or is in the chip file, with its basis.

Source: sinabs documentation, "Tips for training".
"""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.chips.rules.findings import Findings, warning
from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.spec import SpeckChip
from toolchain.hardware import Quantity
from toolchain.report import count
from toolchain.runs import Activity

__all__ = ["RateLimits", "check_rates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Limits of one core on its mean rates.

    Attributes:
        synops_per_second: synaptic operations, synop/s > 0; None for no limit.
        events_per_second: events that come in, spike/s > 0; None for no limit.
        source: origin of the limits, for the findings.

    Raises:
        ValueError: a limit that is not above 0.

    >>> from toolchain import load_chip
    >>> RateLimits.of(load_chip("speck2f")).events_per_second is None  # not published
    True
    >>> RateLimits(events_per_second=1e6, source="measured")
    RateLimits(synops_per_second=None, events_per_second=1000000.0, source='measured')
    """

    synops_per_second: float | None = None
    events_per_second: float | None = None
    source: str = "limit given by the user"

    def __post_init__(self) -> None:
        for name in ("synops_per_second", "events_per_second"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be a number > 0 or None, got {value!r}")

    @classmethod
    def of(cls, chip: SpeckChip) -> RateLimits:
        """Return the limits in the chip's file; None for those it does not have."""
        synops, events = chip.limits.synop_rate, chip.limits.event_rate
        return cls(
            synops_per_second=_in(synops, "synop/s"),
            events_per_second=_in(events, "spike/s"),
            source="; ".join(chip.cite(limit) for limit in (synops, events) if limit is not None),
        )


def check_rates(program: SpeckProgram, activity: Activity, limits: RateLimits) -> Findings:
    """Yield a warning for each layer with mean rates above a limit; peaks may be far higher.

    Args:
        program: the program on the chip.
        activity: counted or assumed activity of this program.
        limits: limits of one core.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> from toolchain.chips.speck import simulate
    >>> from toolchain.chips.speck.counts import of_run
    >>> counted = of_run(program, simulate(program, np.ones((4, 3, 1, 1), int)))
    >>> for finding in check_rates(program, counted, RateLimits(events_per_second=2000)):
    ...     print(finding.where, finding.message.split(":")[0])
    spk 3 000 event/s on average, the limit of a core is 2 000
    """
    layers = {layer.name: layer for layer in activity.layers}
    sent = {name: layer.spikes_per_step / activity.dt for name, layer in layers.items()}
    entry = activity.layers[0].name
    for core in program.cores:
        synops = layers[core.name].synops_per_step / activity.dt
        yield from _above(
            core, "synop_rate", synops, limits.synops_per_second, "synop/s", limits.source
        )
        events = sum(
            sent[entry if source is None else source.name]
            for source, _ in program.sources(core.name)
        )
        yield from _above(
            core, "event_rate", events, limits.events_per_second, "event/s", limits.source
        )


def _above(
    core: SpeckCore, rule: str, need: float, limit: float | None, unit: str, source: str
) -> Findings:
    if limit is not None and need > limit:
        message = (
            f"{count(round(need))} {unit} on average, the limit of a core is "
            f"{count(round(limit))}: {need / limit:.3g} times as much, which would stall the "
            "whole chip"
        )
        yield warning(rule, core.name, message, need, limit=limit, source=source)


def _in(quantity: Quantity | None, unit: str) -> float | None:
    return None if quantity is None else quantity.to(unit)
