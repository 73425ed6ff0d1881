"""Measurement of a deployment on calibration samples, layer by layer, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from toolchain.arrays import Array
from toolchain.fidelity.ledger import Effect
from toolchain.ir import Graph, Neuron
from toolchain.report import Brief
from toolchain.runs.activity import Activity, mean_activity
from toolchain.runs.agreement import AgreementTally
from toolchain.runs.recording import LayerRecord, Recording, aligned
from toolchain.runs.tally import sum_over_time

__all__ = ["Trace", "trace"]

MOST = 4_000_000
"""Largest number of states of all layers and timesteps in memory at once: tens of megabytes."""

RunFunction = Callable[[Array], Recording]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Trace(Brief):
    """Effect of each layer, and the outputs of the trained network and of the chip.

    Attributes:
        effects: effect by layer, the input among them.
        reference, chip: outputs, (batch, time, outputs), saturations, and activity of the chip;
            a readout is in the unit of the trained network.
        samples, steps: number of samples, and of timesteps in the longest. The outputs of shorter
            ones have no spikes after their end.
        fewest_steps: number of timesteps in the shortest, if lengths differ.

    >>> outputs = Recording(spikes=np.ones((2, 5, 1)))
    >>> effect = Effect(trained=10, chip=10, agreement=1.0, trained_most=1, chip_most=1)
    >>> effects = {"lif": effect}
    >>> result = Trace(effects=effects, reference=outputs, chip=outputs, samples=2, steps=5)
    >>> result.effects["lif"].agreement
    1.0
    """

    effects: Mapping[str, Effect]
    reference: Recording
    chip: Recording
    samples: int
    steps: int
    fewest_steps: int | None = None


def trace(
    graph: Graph,
    quantized: Graph,
    spikes: Array | Sequence[Array],
    *,
    reference: RunFunction,
    chip: RunFunction,
    one_by_one: RunFunction | None,
    lags: Mapping[str, int],
) -> Trace:
    """Run ``spikes`` through every layer, trained and on the chip, and compare them.

    Args:
        graph: the trained network.
        quantized: in the chip's integers; its thresholds are those of the chip.
        spikes: (batch, time, *input shape) counts; or several such arrays of different length.
        reference: runs the trained network, recording all layers.
        chip: runs the chip, recording all layers.
        one_by_one: runs the chip with events handled one by one; None if it has no such timing.
        lags: timesteps by which each layer of the chip is later.

    >>> from toolchain.ir import Input, Output
    >>> from toolchain.runs.interpret import interpret
    >>> def network(threshold):
    ...     lif = Neuron(shape=(2,), v_threshold=threshold, alpha_mem=0.5)
    ...     return Graph.chain({"input": Input(shape=(2,)), "lif": lif, "output": Output()})
    >>> trained, quantized = network(1.0), network(2)  # as if the chip had a higher threshold
    >>> result = trace(
    ...     trained,
    ...     quantized,
    ...     np.array([[[1, 0], [3, 1]]]),
    ...     reference=lambda spikes: interpret(trained, spikes, record=True),
    ...     chip=lambda spikes: interpret(quantized, spikes, record=True),
    ...     one_by_one=None,
    ...     lags={},
    ... )
    >>> effect = result.effects["lif"]
    >>> effect.trained, effect.chip, round(effect.agreement, 2)
    (5, 1, 0.2)
    """
    layers = quantized.of(Neuron)
    tallies = {name: _Tally(name, node, lags.get(name, 0)) for name, node in layers.items()}
    lag = max((lags.get(name, 0) for name in quantized.outputs), default=0)
    outputs: tuple[list[Array], list[Array]] = [], []
    read: tuple[list[Array], list[Array]] = [], []
    busy: list[tuple[Activity, int]] = []
    groups = [spikes] if isinstance(spikes, np.ndarray) else spikes
    lengths = [group.shape[1] for group in groups]
    neurons = sum(prod(graph.shape(name)) for name in layers)
    for part in (part for group in groups for part in _parts(group, neurons)):
        trained, simulated = reference(part), chip(part)
        singly = None if one_by_one is None else one_by_one(part)
        for name, tally in tallies.items():
            tally.add(
                trained.layers[name], simulated, None if singly is None else singly.layers[name]
            )
        outputs[0].append(trained.spikes)
        outputs[1].append(simulated.spikes)
        if simulated.readout is not None:
            read[0].append(trained.output_values)
            read[1].append(simulated.output_values)
        if simulated.activity is not None:
            busy.append((simulated.activity, len(part)))
    effects = {graph.input: _input(groups)} | {n: t.effect() for n, t in tallies.items()}
    return Trace(
        effects=effects,
        reference=Recording(
            spikes=_padded(outputs[0], lag), readout=_padded(read[0], lag) if read[0] else None
        ),
        chip=Recording(
            spikes=_padded(outputs[1], -lag),
            readout=_padded(read[1], -lag) if read[1] else None,
            saturations={name: effects[name].saturations for name in tallies},
            activity=mean_activity(busy),
        ),
        samples=sum(len(group) for group in groups),
        steps=max(lengths),
        fewest_steps=min(lengths) if min(lengths) < max(lengths) else None,
    )


def _parts(group: Array, neurons: int) -> Iterator[Array]:
    """Yield samples of one length, so many at a time that ``MOST`` holds."""
    size = max(1, MOST // max(1, neurons * group.shape[1]))
    yield from (group[start : start + size] for start in range(0, max(1, len(group)), size))


def _padded(parts: Sequence[Array], late: int) -> Array:
    """Return output spikes of runs of different length in one array, with 0 after each end.

    Args:
        parts: (batch, time, outputs).
        late: timesteps by which the spikes to compare with are later; as many are cleared at the
            end of the shorter runs, since a comparison omits the steps that one of them lacks.
    """
    steps = max(part.shape[1] for part in parts)
    padded = []
    for part in parts:
        kept = part if part.shape[1] == steps else part[:, : part.shape[1] - max(0, late)]
        padded.append(np.pad(kept, ((0, 0), (0, steps - kept.shape[1]), (0, 0))))
    return np.concatenate(padded)


def _input(groups: Sequence[Array]) -> Effect:
    total = round(sum(float(group.sum()) for group in groups))
    most = max(round(float(group.max(initial=0))) for group in groups)
    return Effect(trained=total, chip=total, agreement=1.0, trained_most=most, chip_most=most)


@dataclass(slots=True, eq=False)
class _Tally:
    """Sums over samples of one layer."""

    name: str
    node: Neuron
    lag: int
    counts: AgreementTally = field(default_factory=AgreementTally)
    singly: list[float] = field(default_factory=lambda: [0.0, 0.0])
    one_by_one: bool = False
    so_far: Effect = field(
        default_factory=lambda: Effect(
            trained=0, chip=0, agreement=1.0, trained_most=0, chip_most=0
        )
    )

    def add(self, trained: LayerRecord, chip: Recording, singly: LayerRecord | None) -> None:
        """Add some samples."""
        record = chip.layers[self.name]
        wanted, got = aligned(_flat(trained.spikes), _flat(record.spikes), self.lag)
        n, m = sum_over_time(wanted), sum_over_time(got)
        self.counts.add(n, m)
        if singly is not None:
            self._add_singly(_flat(record.spikes), _flat(singly.spikes))
        v, fired = _flat(record.v_mem), _flat(record.spikes) > 0
        threshold = np.broadcast_to(self.node.v_threshold, self.node.shape).ravel()
        was = self.so_far
        self.so_far = replace(
            was,
            trained=was.trained + round(float(n.sum())),
            chip=was.chip + round(float(m.sum())),
            trained_most=max(was.trained_most, _most(trained.spikes)),
            chip_most=max(was.chip_most, _most(record.spikes)),
            capped=was.capped + int((v >= threshold).sum()),
            ties=was.ties + int((fired & (v == 0)).sum()),
            lowest=min(was.lowest, float((v / threshold).min(initial=0.0))),
            peak=max(was.peak, *map(_peak, (record.v_mem, record.i_syn, record.i_syn_2))),
            saturations=was.saturations + chip.saturations.get(self.name, 0),
        )

    def _add_singly(self, clocked: Array, singly: Array) -> None:
        n, m = sum_over_time(clocked), sum_over_time(singly)
        self.singly[0] += float(np.abs(n - m).sum())
        self.singly[1] += float(np.maximum(n, m).sum())
        self.one_by_one = True

    def effect(self) -> Effect:
        """Return the effect of all samples that were added."""
        found = self.counts.agreement()
        return replace(
            self.so_far,
            agreement=found.value,
            interval=found.interval,
            one_by_one=_agreement(*self.singly) if self.one_by_one else None,
        )


def _agreement(apart: float, larger: float) -> float:
    return 1.0 - apart / larger if larger else 1.0


def _flat(spikes: Array) -> Array:
    return spikes.reshape(*spikes.shape[:2], prod(spikes.shape[2:]))


def _most(spikes: Array) -> int:
    return round(float(spikes.max(initial=0)))


def _peak(states: Array | None) -> int:
    # in a wider word: the magnitude of -32768 does not fit 16 bits
    if states is None or not states.size:
        return 0
    return max(int(states.max()), -int(states.min()))
