"""What a simulation gives back: spikes of the outputs, and on request every layer's states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.report import Brief, Column, Described, Sheet, Table, count, plain, plural, short
from toolchain.runs.activity import Activity

__all__ = ["LayerRecord", "Recording", "aligned", "count_agreement"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LayerRecord(Brief):
    """One layer over time; integers on a chip, float64 in the reference.

    Attributes:
        spikes: spike counts, (batch, time, *features).
        v_mem: membrane after the step's reset, same shape.
        i_syn: synaptic current (first synapse), same shape, or None where there is none.
        i_syn_2: second synapse, or None.
    """

    spikes: Array
    v_mem: Array
    i_syn: Array | None = None
    i_syn_2: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Recording(Described, Brief):
    """A simulated run.

    Attributes:
        spikes: what leaves the network, (batch, time, *features): integer spike counts, or the
            membrane where the last layer is a non-spiking readout.
        layers: every neuron layer under the user's own name; empty unless recorded.
        saturations: how often a state was clamped at the edge of its word, by layer.
        dt: length of a step, s, or None.
        activity: how busy the chip was, for an estimate; None unless recorded on a chip, with dt.
    """

    spikes: Array
    layers: Mapping[str, LayerRecord] = field(default_factory=dict)
    saturations: Mapping[str, int] = field(default_factory=dict)
    dt: float | None = None
    activity: Activity | None = None

    def sheet(self) -> Sheet:
        """Describe the size of the run, and the spikes and saturations of each layer."""
        samples, steps = self.spikes.shape[:2]
        headings = ("neurons", "spikes", "most in a step", "states clamped")
        records = {name: layer.spikes for name, layer in self.layers.items()}
        table = Table(
            columns=(Column("layer"), *(Column(heading, "right") for heading in headings)),
            rows=tuple(
                (*_row(name, spikes), count(self.saturations.get(name, 0)))
                for name, spikes in (records or {"outputs": self.spikes}).items()
            ),
        )
        dt = "" if self.dt is None else f" of {short(1e3 * self.dt, 6)} ms"
        size = f"{plural(samples, 'sample')} of {plural(steps, 'step')}{dt}"
        return Sheet((table,), f"recording: {size}")

    def as_dict(self) -> dict[str, Any]:
        """Return what ``sheet`` describes as plain data, which JSON can hold."""
        return {
            "samples": self.spikes.shape[0],
            "steps": self.spikes.shape[1],
            "dt": plain(self.dt),
            "output_spikes": plain(self.spikes.sum(axis=1)),
            "layers": {name: plain(layer.spikes.sum()) for name, layer in self.layers.items()},
            "saturations": plain(self.saturations),
            "activity": None if self.activity is None else self.activity.as_dict(),
        }


def _row(name: str, spikes: Array) -> tuple[str, str, str, str]:
    most = spikes.max() if spikes.size else 0
    neurons = int(np.prod(spikes.shape[2:]))
    return name, count(neurons), count(float(spikes.sum())), count(float(most))


def count_agreement(wanted: Array, got: Array) -> float:
    r"""How far two sets of spike trains agree in their counts, 0..1.

    .. math:: 1 - \frac{\sum |n - m|}{\sum \max(n, m)}

    over all samples and neurons, with n and m the spikes of one neuron in one sample; 1 where
    nobody spikes.

    Args:
        wanted, got: spikes, (batch, time, *features), of one shape.
    """
    n, m = wanted.sum(axis=1), got.sum(axis=1)
    most = float(np.maximum(n, m).sum())
    return 1.0 - float(np.abs(n - m).sum()) / most if most else 1.0


def aligned(wanted: Array, got: Array, lag: int) -> tuple[Array, Array]:
    """The timesteps of two runs that answer each other, of ``wanted`` and of ``got``.

    Args:
        wanted, got: (batch, time, *features), of one length.
        lag: timesteps by which ``got`` is later; negative where it is earlier. Steps that one of
            them lacks are left out.
    """
    if lag < 0:
        got, wanted = aligned(got, wanted, -lag)
        return wanted, got
    steps = wanted.shape[1]
    return wanted[:, : max(0, steps - lag)], got[:, min(lag, steps) :]
