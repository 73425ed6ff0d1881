"""What nobody has published about how a Speck core treats single events, as named choices."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

__all__ = ["EventOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    r"""Choices where the documentation of the silicon is silent; each default is an assumption.

    Not simulated at all: the output decimator, the congestion balancer, stalls of a core that is
    sent more than it can do, and cores 0 and 1 working on two events at once. A program sets none
    of the first two, and ``order_sensitivity`` shows how much the last could matter.

    Attributes:
        spike_order: the order in which one event's neurons fire: ``"position"`` by y, x and then
            channel, or ``"channel"`` by channel, y and then x.
        overflow: a sum beyond int16 is limited, ``"clamp"``, or ``"wrap"``\ s around. Both are
            counted as saturations.
        zero_weights: whether a weight of zero is an update too, in which a neuron whose residue
            is still at the threshold fires again. Speck2e and 2f have no bits to switch single
            weights off.
        leak_fires: whether a tick of the slow clock lets neurons fire, once each; else a neuron
            that is lifted to the threshold waits for its next event.
        leak_first: whether the slow clock ticks at the start of a step, or at its end.
        partial_windows: what pooling does with rows and columns beyond the last full window:
            ``"drop"`` as the clocked simulation, or ``"pass"``, as dividing addresses would.
        merging: two ways into one core: ``"event"`` goes through every path with one input event
            before the next, ``"time"`` with all input events of one time, path after path.
        most_spikes: of one core in one sample; a network that runs away is stopped there.
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
        kinds: dict[str, Any] = get_type_hints(type(self))
        for field in fields(self):
            value, allowed = getattr(self, field.name), get_args(kinds[field.name])
            if allowed and value not in allowed:
                wanted = " or ".join(map(repr, allowed))
                raise ValueError(f"{field.name} is {wanted}, got {value!r}")
            if not allowed and type(value) is not kinds[field.name]:
                wanted = kinds[field.name].__name__
                raise ValueError(f"{field.name} is of type {wanted}, got {value!r}")
        if self.most_spikes < 1:
            raise ValueError(f"most_spikes must be >= 1, got {self.most_spikes}")
