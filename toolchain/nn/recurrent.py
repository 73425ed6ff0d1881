"""Spiking layers with recurrent connections of one timestep delay.

The input of the neuron is ``x[t] + rec_connect(spikes[t - 1])``. In the first timestep of every
call nothing is fed back, not even the bias of ``rec_connect``.

Source: sinabs as observed.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from toolchain.nn.spiking import IAF, LIF

__all__ = ["IAFRecurrent", "LIFRecurrent"]


class IAFRecurrent(IAF):
    """An :class:`IAF` layer with recurrent connections.

    >>> import torch
    >>> from toolchain.nn import IAFRecurrent
    >>> inhibition = torch.nn.Linear(1, 1, bias=False)
    >>> _ = inhibition.weight.data.fill_(-1.0)
    >>> layer = IAFRecurrent(rec_connect=inhibition)
    >>> layer(torch.ones(1, 6, 1)).int().flatten().tolist()
    [1, 0, 1, 0, 1, 0]

    Args:
        rec_connect: module from spikes ``(batch, *features)`` to as many numbers, which are given
            the shape of the layer's input.
        args, rest: as for :class:`IAF`.
    """

    def __init__(self, rec_connect: nn.Module, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.rec_connect = rec_connect


class LIFRecurrent(LIF):
    """A :class:`LIF` layer with recurrent connections.

    >>> import torch
    >>> from toolchain.nn import LIFRecurrent
    >>> excitation = torch.nn.Linear(1, 1, bias=False)
    >>> _ = excitation.weight.data.fill_(1.0)
    >>> layer = LIFRecurrent(10.0, rec_connect=excitation, norm_input=False)
    >>> layer(torch.tensor([1.5, 0.0, 0.0]).reshape(1, 3, 1)).int().flatten().tolist()
    [1, 1, 1]

    Args:
        tau_mem: membrane time constant, timesteps.
        rec_connect: module from spikes ``(batch, *features)`` to as many numbers, which are given
            the shape of the layer's input.
        args, rest: as for :class:`LIF`.
    """

    def __init__(
        self, tau_mem: float | Tensor, rec_connect: nn.Module, *args: Any, **rest: Any
    ) -> None:
        super().__init__(tau_mem, *args, **rest)
        self.rec_connect = rec_connect
