"""Spiking layers whose output feeds back into themselves one step later.

``x[t] + rec_connect(spikes[t - 1])`` is what enters the neuron. In the first step of every call
nothing is fed back, not even the bias of ``rec_connect``.

Source: sinabs as observed.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from toolchain.nn.spiking import IAF, LIF

__all__ = ["IAFRecurrent", "LIFRecurrent"]


class IAFRecurrent(IAF):
    """An :class:`IAF` layer with recurrence.

    Args:
        rec_connect: module from spikes ``(batch, *features)`` to the same shape.
        rest: as for :class:`IAF`.
    """

    def __init__(self, rec_connect: nn.Module, **rest: Any) -> None:
        super().__init__(**rest)
        self.rec_connect = rec_connect


class LIFRecurrent(LIF):
    """A :class:`LIF` layer with recurrence.

    Args:
        tau_mem: membrane time constant, timesteps.
        rec_connect: module from spikes ``(batch, *features)`` to the same shape.
        rest: as for :class:`LIF`.
    """

    def __init__(self, tau_mem: float | Tensor, rec_connect: nn.Module, **rest: Any) -> None:
        super().__init__(tau_mem, **rest)
        self.rec_connect = rec_connect
