"""Results of a simulation: spikes of the outputs, and optionally the states of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.report import Brief, Column, Described, Sheet, Table, count, plain, plural, short
from toolchain.runs.activity import Activity
from toolchain.runs.chip_state import ChipState
from toolchain.runs.sparse import SparseSpikes
from toolchain.runs.spike_events import SpikeEvents
from toolchain.runs.tally import sum_over_time

__all__ = ["LayerRecord", "Recording", "aligned", "count_agreement"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LayerRecord(Brief):
    """One layer over time; integers on a chip, float64 in the reference.

    Attributes:
        spikes: spike counts, (batch, time, *features).
        v_mem: membrane after the step's reset, same shape.
        i_syn: synaptic current (first synapse), same shape; None without a synapse.
        i_syn_2: second synapse, or None.

    >>> import numpy as np
    >>> record = LayerRecord(spikes=np.ones((1, 10, 4), int), v_mem=np.zeros((1, 10, 4), int))
    >>> int(record.spikes.sum()), record.i_syn is None
    (40, True)
    """

    spikes: Array
    v_mem: Array
    i_syn: Array | None = None
    i_syn_2: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Recording(Described, Brief):
    """A simulated run.

    Attributes:
        spikes: outputs of the network, (batch, time, *features): integer spike counts; of
            ``interpret``, the membrane if the last layer is a non-spiking readout. Of several
            outputs the features are flattened and concatenated.
        outputs: each output of the network by name, (batch, time, features): views of ``spikes``,
            or of ``output_values`` where states are read. Empty in a run of a program without its
            network.
        layers: every neuron layer under the user's own name; empty unless recorded.
        saturations: number of times a state was clamped at the limit of its word, by layer.
        dt: length of a step, s, or None.
        activity: counts of operations, for an estimate; None unless recorded on a chip, with dt.
        readout: states of the output neurons after each step, (batch, time, outputs), where the
            chip is read so: integers on a chip, floats in the reference; None where spikes are.
        readout_unit: value of one integer of ``readout`` in the unit of the trained network,
            (outputs,) or a number; None without a readout.
        recorded: what ``record`` names, by layer and then kind, such as ``"spikes"``: arrays
            (batch, time, *features), spikes as ``SparseSpikes`` where these are smaller.
        first: number of the first step; above 0 in a session after its first piece.
        state: state of the chip after the last step, to continue from; None in a session, which
            keeps it, and in other runs.
        times: in event timing, the output spikes with the time of each; None otherwise.

    >>> import numpy as np
    >>> from toolchain.ir import Graph, Input, Neuron, Output
    >>> from toolchain.runs.interpret import interpret
    >>> lif = Neuron(shape=(2,), alpha_mem=0.5, v_threshold=1.0)
    >>> graph = Graph.chain({"input": Input(shape=(2,)), "lif": lif, "output": Output()})
    >>> run = interpret(graph, np.array([[[1, 0], [3, 0]]]), record=True)
    >>> isinstance(run, Recording), run.spikes.tolist(), run.layers["lif"].v_mem.shape
    (True, [[[1.0, 0.0], [3.0, 0.0]]], (1, 2, 2))
    """

    spikes: Array
    layers: Mapping[str, LayerRecord] = field(default_factory=dict)
    saturations: Mapping[str, int] = field(default_factory=dict)
    dt: float | None = None
    activity: Activity | None = None
    outputs: Mapping[str, Array] = field(default_factory=dict)
    readout: Array | None = None
    readout_unit: Array | None = None
    recorded: Mapping[str, Mapping[str, Array | SparseSpikes]] = field(default_factory=dict)
    first: int = 0
    state: ChipState | None = None
    times: SpikeEvents | None = None

    def events(self) -> SpikeEvents:
        """Return all spikes that were kept, one by one: outputs, or layers where these were.

        In event timing output spikes have the time of the input event or tick that caused them;
        all others have the start of their step.

        >>> run = Recording(spikes=np.array([[[0, 2], [1, 0]]]), dt=1e-3)
        >>> run.events().t.tolist(), run.events().neuron.tolist()
        ([0, 0, 1000], [1, 1, 0])
        """
        kept: dict[str, Array | SparseSpikes] = {n: r.spikes for n, r in self.layers.items()}
        kept |= {n: r["spikes"] for n, r in self.recorded.items() if "spikes" in r}
        if self.times is not None:
            rest = {n: spikes for n, spikes in kept.items() if n not in self.times.layers}
            return SpikeEvents.join([self.times, SpikeEvents.of(rest, self.first, self.dt)])
        outputs = {} if kept or self.readout is not None else self._outputs()
        return SpikeEvents.of(kept or outputs, self.first, self.dt)

    @property
    def output_values(self) -> Array:
        """The readout in the unit of the trained network, or the spikes if there is none.

        >>> spikes = np.zeros((1, 2, 1))
        >>> run = Recording(spikes=spikes, readout=np.array([[[200], [-50]]]), readout_unit=0.01)
        >>> run.output_values.ravel().tolist()
        [2.0, -0.5]
        """
        if self.readout is None:
            return self.spikes
        return np.asarray(self.readout * (1.0 if self.readout_unit is None else self.readout_unit))

    def sheet(self) -> Sheet:
        """Describe the size of the run, and the spikes and saturations of each layer."""
        samples, steps = self.spikes.shape[:2]
        headings = ("neurons", "spikes", "most in a step", "states saturated")
        records: dict[str, Array | SparseSpikes] = {n: r.spikes for n, r in self.layers.items()}
        records |= {n: r["spikes"] for n, r in self.recorded.items() if "spikes" in r}
        table = Table(
            columns=(Column("layer"), *(Column(heading, "right") for heading in headings)),
            rows=tuple(
                (*_row(name, spikes), count(self.saturations.get(name, 0)))
                for name, spikes in (records or self._outputs()).items()
            ),
        )
        dt = "" if self.dt is None else f" of {short(1e3 * self.dt, 6)} ms"
        size = f"{plural(samples, 'sample')} of {plural(steps, 'step')}{dt}"
        return Sheet((table,), f"recording: {size}")

    def _outputs(self) -> Mapping[str, Array]:
        """Return the outputs by name where there are several, else all together."""
        return self.outputs if len(self.outputs) > 1 else {"outputs": self.spikes}

    def as_dict(self) -> dict[str, Any]:
        """Return what ``sheet`` describes as plain data, which JSON can hold."""
        return {
            "samples": self.spikes.shape[0],
            "steps": self.spikes.shape[1],
            "dt": plain(self.dt),
            "output_spikes": plain(sum_over_time(self.spikes)),
            "layers": {name: plain(layer.spikes.sum()) for name, layer in self.layers.items()},
            "recorded": {name: sorted(kinds) for name, kinds in self.recorded.items()},
            "first": self.first,
            "saturations": plain(self.saturations),
            "activity": None if self.activity is None else self.activity.as_dict(),
        }


def _row(name: str, spikes: Array | SparseSpikes) -> tuple[str, str, str, str]:
    counts = spikes.count if isinstance(spikes, SparseSpikes) else spikes
    most = counts.max() if counts.size else 0
    neurons = int(np.prod(spikes.shape[2:]))
    return name, count(neurons), count(float(spikes.sum())), count(float(most))


def count_agreement(wanted: Array, got: Array) -> float:
    r"""Return the agreement of two sets of spike trains in their counts, 0..1.

    .. math:: 1 - \frac{\sum |n - m|}{\sum \max(n, m)}

    over all samples and neurons, with n and m the spikes of one neuron in one sample; 1 if there
    are no spikes.

    Args:
        wanted: spikes, (batch, time, *features).
        got: spikes to compare, of the same shape.

    >>> import numpy as np
    >>> count_agreement(np.array([[[1, 0], [1, 1]]]), np.array([[[1, 0], [0, 1]]]))
    0.6666666666666667
    """
    n, m = sum_over_time(wanted), sum_over_time(got)
    most = float(np.maximum(n, m).sum())
    return 1.0 - float(np.abs(n - m).sum()) / most if most else 1.0


def aligned(wanted: Array, got: Array, lag: int | Array) -> tuple[Array, Array]:
    """Return the timesteps that two runs have in common, of ``wanted`` and of ``got``.

    Args:
        wanted: (batch, time, *features).
        got: (batch, time, *features), with as many timesteps.
        lag: timesteps by which ``got`` is later; negative if it is earlier. Steps that only one
            of them has are omitted. An array (features,) gives each feature its own.

    >>> import numpy as np
    >>> wanted, got = np.array([[[1], [2], [3]]]), np.array([[[0], [1], [2]]])
    >>> [part.ravel().tolist() for part in aligned(wanted, got, lag=1)]
    [[1, 2], [1, 2]]
    """
    if not isinstance(lag, int):
        return _aligned_each(wanted, got, lag)
    if lag < 0:
        got, wanted = aligned(got, wanted, -lag)
        return wanted, got
    steps = wanted.shape[1]
    return wanted[:, : max(0, steps - lag)], got[:, min(lag, steps) :]


def _aligned_each(wanted: Array, got: Array, lags: Array) -> tuple[Array, Array]:
    """Align each feature by a lag of its own; the steps that all have in common remain."""
    if not lags.size or np.all(lags == lags[0]):
        return aligned(wanted, got, int(lags[0]) if lags.size else 0)
    early, late = min(0, int(lags.min())), max(0, int(lags.max()))
    steps = max(0, wanted.shape[1] - late + early)
    both = [np.empty((len(wanted), steps, wanted.shape[2]), x.dtype) for x in (wanted, got)]
    for lag in np.unique(lags):
        of = lags == lag
        both[0][..., of] = wanted[:, -early : steps - early, of]
        both[1][..., of] = got[:, lag - early : lag - early + steps, of]
    return both[0], both[1]
