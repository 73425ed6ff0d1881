"""Options for what is not published about the order and effect of single events on a core."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal, get_args, get_type_hints

from toolchain.chips.contract import Options

__all__ = ["EventOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions(Options):
    r"""Options where the documentation of the chip is silent; each default is an assumption.

    Not simulated: the output decimator, the congestion balancer, stalls of an overloaded core, and
    the parallel processing of two events in cores 0 and 1. A program does not use the first two,
    and ``order_sensitivity`` measures the possible effect of the last.

    Attributes:
        spike_order: the order in which one event's neurons fire: ``"position"`` by y, x and then
            channel, or ``"channel"`` by channel, y and then x.
        overflow: a sum beyond int16 is limited, ``"clamp"``, or wraps around, ``"wrap"``. Both are
            counted as saturations.
        zero_weights: whether a weight of zero is an update too, so that a neuron still at the
            threshold fires again. Speck2e and 2f have no bits that disable single weights.
        leak_fires: whether neurons can fire at a tick of the slow clock, once each; else a neuron
            that reaches the threshold there fires at its next event.
        leak_first: whether the slow clock ticks at the start of a step, or at its end.
        partial_windows: pooling of rows and columns beyond the last full window: ``"drop"`` as in
            the clocked simulation, or ``"pass"``, as division of addresses implies.
        merging: order at a core with several sources: ``"event"`` processes every path of one
            input event before the next, ``"time"`` all input events of one time path by path.
        most_spikes: largest number of spikes of one core in one sample within 1000 steps; the
            simulation of a diverging network ends there with an error.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram, simulate
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  bias=np.array([10, 0]), threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> silence = np.zeros((2, 3, 1, 1), int)  # two steps without events
    >>> for leak_fires in (True, False):
    ...     options = EventOptions(leak_fires=leak_fires)
    ...     print(simulate(program, silence, timing="event", options=options).spikes.tolist())
    [[[1, 0], [1, 0]]]
    [[[0, 0], [0, 0]]]
    """

    spike_order: Literal["position", "channel"] = "position"
    overflow: Literal["clamp", "wrap"] = "clamp"
    zero_weights: bool = True
    leak_fires: bool = True
    leak_first: bool = False
    partial_windows: Literal["drop", "pass"] = "drop"
    merging: Literal["event", "time"] = "event"
    most_spikes: int = 10_000_000

    def __post_init__(self) -> None:
        kinds = _kinds()
        for field in fields(self):
            value, allowed = getattr(self, field.name), get_args(kinds[field.name])
            if allowed and value not in allowed:
                wanted = " or ".join(map(repr, allowed))
                raise ValueError(f"{field.name} must be {wanted}, got {value!r}")
            if not allowed and type(value) is not kinds[field.name]:
                wanted = kinds[field.name].__name__
                raise ValueError(f"{field.name} must be of type {wanted}, got {value!r}")
        if self.most_spikes < 1:
            raise ValueError(f"most_spikes must be >= 1, got {self.most_spikes}")


@lru_cache(maxsize=1)
def _kinds() -> dict[str, Any]:
    """Return the type of each option; to look them up takes a hundred times a check."""
    return get_type_hints(EventOptions)
