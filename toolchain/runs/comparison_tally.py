"""Comparison of runs that arrive in pieces of samples and timesteps; see :mod:`.compare`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.report import Brief
from toolchain.runs.compare import Comparison, Departure, LayerComparison
from toolchain.runs.order import OrderSpread
from toolchain.runs.recording import Recording, aligned
from toolchain.runs.states import StateComparison, compare_states, state_agreement
from toolchain.runs.train_tally import CLOCKED, QUANTIZED, REFERENCE, TrainTally

__all__ = ["ComparisonTally", "RunPiece"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RunPiece(Brief):
    """Some samples and timesteps of one run.

    Attributes:
        outputs: of the network, (batch, time, *features): spikes, or states in the unit of the
            trained network.
        spikes: spikes of every layer, (batch, time, *features).
        saturations: number of times a state was clamped, by layer.
        reads_states: whether the chip's outputs are states.
        unit: value of one integer of such an output; None for floats.
    """

    outputs: Array
    spikes: Mapping[str, Array]
    saturations: Mapping[str, int] = field(default_factory=dict)
    reads_states: bool = False
    unit: Array | None = None

    @classmethod
    def of(cls, run: Recording, spikes: Mapping[str, Array] | None = None) -> RunPiece:
        """Return the piece of a recording, with ``spikes`` in place of those of its layers."""
        own = {name: layer.spikes for name, layer in run.layers.items()}
        return cls(
            outputs=run.output_values,
            spikes=own if spikes is None else spikes,
            saturations=run.saturations,
            reads_states=run.readout is not None,
            unit=run.readout_unit,
        )


class ComparisonTally:
    """A comparison of runs that arrive piece by piece; see ``compare`` for the arguments.

    Only sums are kept, and of outputs that are states the states themselves.
    """

    def __init__(
        self,
        *,
        steps: int,
        outputs: tuple[str, ...],
        lags: Mapping[str, int],
        lag: int | Array,
    ) -> None:
        """Start without any runs; ``steps``: timesteps of a whole run."""
        self._steps, self._outputs, self._lags, self._lag = steps, outputs, lags, lag
        self._samples = 0
        self._trains: dict[str, TrainTally] = {}
        self._shapes: dict[str, Shape] = {}
        self._found: TrainTally | None = None
        self._states: dict[str, list[list[Array]]] = {}
        self._units: dict[str, Array | None] = {}
        self._saturations: dict[str, dict[str, int]] = {}

    def add(self, runs: Mapping[str, RunPiece], first_sample: int, first_step: int) -> None:
        """Add a piece of every run; those of the same samples in the order of time."""
        chip = runs[CLOCKED]
        if self._found is None:
            self._start(runs)
        assert self._found is not None
        if first_step == 0:
            self._samples += len(chip.outputs)
        for name, tally in self._trains.items():
            trains = {run: _flat(piece.spikes[name]) for run, piece in runs.items()}
            tally.add(trains, first_sample, first_step)
        outputs = {run: _flat(piece.outputs) for run, piece in runs.items()}
        if not chip.reads_states:
            self._found.add(outputs, first_sample, first_step)
        for run, piece in runs.items():
            if chip.reads_states:
                parts = self._states.setdefault(run, [])
                parts += [[]] if first_step == 0 else []
                parts[-1].append(outputs[run])
                self._units[run] = piece.unit
            sums = self._saturations.setdefault(run, {})
            for name, number in piece.saturations.items():
                sums[name] = sums.get(name, 0) + number

    def _start(self, runs: Mapping[str, RunPiece]) -> None:
        chip = runs[CLOCKED]
        read = self._outputs if chip.reads_states else ()
        for name, spikes in chip.spikes.items():
            if name not in read:
                self._trains[name] = TrainTally(runs, self._steps, self._lags.get(name, 0))
                self._shapes[name] = spikes.shape[2:]
        self._found = TrainTally([*runs], self._steps, self._lag)

    def comparison(self, chip: str, orders: OrderSpread | None = None) -> Comparison:
        """Return the comparison of all pieces that were added."""
        assert self._found is not None
        layers = tuple(self._layer(name, tally) for name, tally in self._trains.items())
        states = self._compared_states()
        agree = {} if self._states else self._found.agreement()
        return Comparison(
            chip=chip,
            samples=self._samples,
            steps=self._steps,
            layers=layers,
            agreement={run: agreement for run, (_, agreement) in states.items()}
            or {run: each.value for run, each in agree.items()},
            intervals={run: each.interval for run, each in agree.items()},
            decisions=self._decisions(),
            departure=self._departure(),
            saturations={
                run: clamped
                for run, sums in self._saturations.items()
                if (clamped := {name: n for name, n in sums.items() if n})
            },
            orders=orders,
            states={run: compared for run, (compared, _) in states.items()},
        )

    def _layer(self, name: str, tally: TrainTally) -> LayerComparison:
        agreement = tally.agreement()
        return LayerComparison(
            name=name,
            neurons=prod(self._shapes[name]),
            lag=self._lags.get(name, 0),
            spikes=tally.spikes(),
            agreement={run: each.value for run, each in agreement.items()},
            intervals={run: each.interval for run, each in agreement.items()},
            differs_at=None if tally.difference is None else tally.difference.step,
        )

    def _compared_states(self) -> dict[str, tuple[StateComparison, float]]:
        whole = {
            run: np.concatenate([np.concatenate(parts, axis=1) for parts in samples])
            for run, samples in self._states.items()
        }
        compared = {}
        for run in whole:
            if run != REFERENCE:
                wanted, _ = aligned(whole[REFERENCE], whole[REFERENCE], self._lag)
                quantized, got = aligned(whole[run], whole[run], self._lag)
                got = quantized if run == QUANTIZED else got
                unit = self._units[run]
                compared[run] = compare_states(wanted, got, unit), state_agreement(wanted, got)
        return compared

    def _decisions(self) -> dict[str, float]:
        """Return the shares of equal decisions by run; several output layers must all agree."""
        wide = [
            self._trains[name].equal_decisions()
            for name in self._outputs
            if name in self._trains and prod(self._shapes[name]) > 1
        ]
        if not wide or not self._samples:
            return {}
        return {
            run: float(np.all([equal[run] for equal in wide], axis=0).mean()) for run in wide[0]
        }

    def _departure(self) -> Departure | None:
        found = [(t.difference, name) for name, t in self._trains.items() if t.difference]
        if not found:
            return None
        first, layer = min(found, key=lambda pair: pair[0].step)
        return Departure(
            layer=layer,
            step=first.step,
            sample=first.sample,
            neuron=tuple(map(int, np.unravel_index(first.neuron, self._shapes[layer]))),
            quantized=round(first.quantized),
            clocked=int(first.clocked),
        )


def _flat(spikes: Array) -> Array:
    """Return the spikes as (batch, time, neurons)."""
    return spikes.reshape(*spikes.shape[:2], prod(spikes.shape[2:]))
