"""Result of a run of a module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from toolchain.report import Brief
from toolchain.runs import InputSpikes

__all__ = ["ModuleRun"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ModuleRun(Brief):
    """A run of ``ChipModule``.

    Attributes:
        spikes: output spikes, float32 (batch, time, outputs), with gradient; where the chip is
            read by its states, the states in the unit of the trained network.
        layers: spikes of the layers that were asked for, by name, float32 (batch, time, *shape).
        given: input spikes as the chip takes them.
        saturations: number of times that a state was clamped, by layer; empty if the run did not
            count.

    >>> import numpy as np
    >>> import torch
    >>> from toolchain.training import ModuleRun
    >>> spikes = torch.zeros(1, 20, 2)
    >>> ModuleRun(spikes=spikes, given=np.zeros((1, 20, 4), int)).layers
    {}
    """

    spikes: Tensor
    given: InputSpikes
    layers: Mapping[str, Tensor] = field(default_factory=dict)
    saturations: Mapping[str, int] = field(default_factory=dict)
