"""Dependence of the results on the order of simultaneous events, and on the timing.

A chip processes events one by one. The order of events of equal time, and of the spikes of two
cores with a common destination, is not documented. Where results depend on it, a simulation of one
order is one of several possible results of the chip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.events import are_events, event_array
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.raster import Rasters
from toolchain.chips.speck.simulate.run import simulate
from toolchain.report import Brief, visible

__all__ = ["OrderSensitivity", "order_sensitivity"]

_RASTER_DT = 1e-3
"""Length of a step of a raster without dt, s; its value has no effect on the results."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OrderSensitivity(Brief):
    """Spike counts of a sample under several orders of its events.

    Attributes:
        outputs: spikes of each output neuron, by output core, int64
            (orders, batch, channels[, y, x]); the first order is the one given.
        layers: spikes of each core, by name, int64 (orders, batch).
        clocked_outputs, clocked_layers: the same of the clocked simulation, where order has no
            effect, without the first axis.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram, order_sensitivity
    >>> weight = np.array([[[[6]], [[6]], [[-8]]]])  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))
    >>> found = order_sensitivity(program, np.ones((1, 3, 1, 1), int), permutations=5)
    >>> isinstance(found, OrderSensitivity), found.layers["spk"].ravel().tolist()
    (True, [1, 0, 1, 0, 0, 0])
    >>> found.clocked_layers["spk"].tolist()  # 6 + 6 - 8 is below the threshold
    [0]
    """

    outputs: Mapping[str, Array]
    layers: Mapping[str, Array]
    clocked_outputs: Mapping[str, Array]
    clocked_layers: Mapping[str, Array]

    def spread(self, name: str) -> Array:
        """Return the most less the fewest spikes of core ``name``, int64 (batch,)."""
        return np.asarray(np.ptp(self.layers[name], axis=0))

    def decisions(self, name: str) -> Array:
        """Return the share of the orders with the first order's decision, float (batch,).

        The decision is the neuron with the most spikes, and the lowest index of several.
        """
        counts = self.outputs[name]
        most = counts.reshape(*counts.shape[:2], -1).argmax(2)
        return np.asarray((most == most[0]).mean(0))

    def from_clocked(self, name: str) -> Array:
        """Return the mean spikes of core ``name`` over the orders less the clocked ones."""
        return np.asarray(self.layers[name].mean(0) - self.clocked_layers[name])

    def __str__(self) -> str:
        """Return a table with a line a core: spikes of all samples together."""
        lines = [f"{'core':16} {'clocked':>9} {'as given':>9} {'fewest':>9} {'most':>9}"]
        for name, counts in self.layers.items():
            orders = counts.sum(1)
            lines.append(
                f"{name:16} {self.clocked_layers[name].sum():9} {orders[0]:9} "
                f"{orders.min():9} {orders.max():9}"
            )
        for name in self.outputs:
            kept = self.decisions(name)
            lines.append(f"decision of {name}: the same in {100 * kept.mean():.1f} % of the orders")
        return visible("\n".join(lines))


def order_sensitivity(
    program: SpeckProgram,
    spikes: Any,
    *,
    permutations: int = 10,
    seed: int = 0,
    dt: float | None = None,
    steps: int | None = None,
    options: EventOptions | None = None,
    threads: int | None = None,
) -> OrderSensitivity:
    """Simulate events in the given order, with simultaneous events shuffled, and clocked.

    Args:
        program: the program on the chip.
        spikes: a raster or events, as in ``simulate``. Events of one time, or of one step of a
            raster, are simultaneous.
        permutations: number of random orders besides the one given, >= 1.
        seed: seed of the random orders.
        dt, steps, options, threads: as in ``simulate``.

    Raises:
        ValueError: as in ``simulate``, or fewer than one permutation.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> print(order_sensitivity(program, np.ones((4, 3, 1, 1), int), permutations=5))
    core               clocked  as given    fewest      most
    spk                     12        12        12        12
    decision of spk: the same in 100.0 % of the orders
    """
    if type(permutations) is not int or permutations < 1:
        raise ValueError(f"permutations must be an integer >= 1, got {permutations!r}")
    clocked = simulate(program, spikes, dt=dt, steps=steps, threads=threads)
    dt = program.dt if dt is None else dt
    if not are_events(spikes):
        dt, steps = _RASTER_DT, clocked.steps
        spikes = _as_events(program, spikes)
    streams: Sequence[Array] = spikes if isinstance(spikes, list | tuple) else [spikes]
    rng = np.random.default_rng(seed)
    runs = []
    for order in range(permutations + 1):
        shuffled = [_shuffled(stream, rng) if order else stream for stream in streams]
        runs.append(
            simulate(
                program,
                shuffled,
                timing="event",
                dt=dt,
                steps=steps,
                options=options,
                threads=threads,
            )
        )
    return OrderSensitivity(
        outputs={
            name: np.stack([run.outputs[name].sum(1, dtype=np.int64) for run in runs])
            for name in program.outputs
        },
        layers={
            core.name: np.stack([run.spike_counts[core.name] for run in runs])
            for core in program.cores
        },
        clocked_outputs={
            name: spikes.sum(1, dtype=np.int64) for name, spikes in clocked.outputs.items()
        },
        clocked_layers=clocked.spike_counts,
    )


def _as_events(program: SpeckProgram, raster: npt.ArrayLike) -> list[Array]:
    """Convert rasters to event arrays, one time a step."""
    samples = Rasters(raster, program.input_shape, round(_RASTER_DT * 1e6))
    streams = []
    for sample in range(len(samples)):
        events, t = samples.timed(sample)
        channel, x = np.divmod(events[2], program.input_shape[2])
        streams.append(np.repeat(event_array(x, events[1], t, channel), events[3]))
    return streams


def _shuffled(stream: Array, rng: np.random.Generator) -> Array:
    """Return the events in a random order within each time."""
    return np.asarray(stream[np.lexsort((rng.random(len(stream)), stream["t"]))])
