"""Program of a toy chip: its data, simulation, counts and storage."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import SessionSettings, Timing
from toolchain.runs import Activity, InputSpikes, LayerActivity, LayerRecord, Recording
from toolchain.runs.activity import spikes_per_step, step_length
from toolchain.runs.tally import spikes_of_each

__all__ = ["Layer", "ToyProgram", "ToySession", "activity", "activity_at", "pack", "run", "unpack"]

FIELDS = {"chip", "dt", "input_name", "names", "thresholds"}
WORD = 2**15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """Dense layer of integrate-and-fire neurons: int8 weights (outputs, inputs), one threshold.

    Raises:
        ValueError: weights that are no 8-bit matrix, or a threshold below 1.
    """

    name: str
    weight: Array
    threshold: int

    def __post_init__(self) -> None:
        weight = np.array(self.weight)
        if weight.ndim != 2 or weight.dtype.kind not in "iu" or np.abs(weight).max(initial=0) > 127:
            raise ValueError(f"{self.name}: weights are 8-bit integers (outputs, inputs)")
        if self.threshold < 1:
            raise ValueError(f"{self.name}: a threshold is 1 or more, got {self.threshold}")
        weight = weight.astype(np.int8)
        weight.flags.writeable = False
        object.__setattr__(self, "weight", weight)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToyProgram:
    """Layers in series."""

    chip: str
    dt: float | None
    input_name: str
    layers: tuple[Layer, ...]

    def __str__(self) -> str:
        """Return one line per layer, with shape and digest of its weights."""
        digests = [hashlib.sha256(each.weight.tobytes()).hexdigest()[:8] for each in self.layers]
        lines = [
            f"  {each.name}: {each.weight.shape} #{digest} threshold {each.threshold}"
            for each, digest in zip(self.layers, digests, strict=True)
        ]
        return "\n".join([f"ToyProgram for {self.chip}, dt {self.dt}", *lines])


# ---- simulation ----


def as_counts(program: ToyProgram, spikes: InputSpikes) -> Array:
    """Return counts int64 (batch, time, inputs); ValueError where they are none."""
    given = np.asarray(spikes)
    inputs = program.layers[0].weight.shape[1]
    if given.ndim != 3 or given.shape[2] != inputs:
        raise ValueError(f"spikes are (batch, time, {inputs}), got shape {given.shape}")
    if given.dtype.kind not in "biuf":
        raise ValueError(f"spikes are counts, got an array of type {given.dtype}")
    if not np.all((given >= 0) & (given < WORD) & (given == np.floor(given))):
        raise ValueError(f"spikes are whole counts from 0 to {WORD - 1}")
    return given.astype(np.int64)


class ToySession:
    """Simulation that keeps the membranes between calls."""

    def __init__(self, program: ToyProgram, settings: SessionSettings) -> None:
        """Start with all membranes at 0."""
        if settings.options is not None or not isinstance(settings.record, bool):
            raise ValueError("a toy has no options and records all or nothing")
        self.program, self._settings = program, settings
        self._steps, self._membranes = 0, dict[str, Array]()
        self.reset()

    @property
    def steps(self) -> int:
        """Steps since the start."""
        return self._steps

    def reset(self) -> None:
        """Reset all membranes to 0."""
        shapes = {x.name: (self._settings.batch, len(x.weight)) for x in self.program.layers}
        self._membranes = {name: np.zeros(shape, np.int64) for name, shape in shapes.items()}
        self._steps = 0

    def state(self) -> Mapping[str, Array]:
        """Return the membranes by layer."""
        return {name: v.copy() for name, v in self._membranes.items()}

    def restore(self, state: Mapping[str, Array], steps: int) -> None:
        """Continue from other membranes."""
        own = {name: (v.shape, v.dtype) for name, v in self._membranes.items()}
        if {name: (v.shape, v.dtype) for name, v in state.items()} != own:
            raise ValueError(f"the state has other arrays than {own}")
        self._membranes, self._steps = {name: v.copy() for name, v in state.items()}, steps

    def run(self, spikes: InputSpikes, steps: int | None = None) -> Recording:
        """Continue with more timesteps."""
        counts = as_counts(self.program, spikes)
        if steps is not None or len(counts) != self._settings.batch:
            raise ValueError(f"a toy takes {self._settings.batch} samples, and no steps=")
        self._steps += counts.shape[1]
        layers: dict[str, LayerRecord] = {}
        saturations: dict[str, int] = {}
        for layer in self.program.layers:
            v = self._membranes[layer.name]
            drive = counts @ layer.weight.T.astype(np.int64)
            fired, after, cut = np.zeros_like(drive), np.zeros_like(drive), 0
            for step in range(drive.shape[1]):
                total = v + drive[:, step]
                v = np.clip(total, -WORD, WORD - 1)
                cut += int((v != total).sum())
                fired[:, step] = np.maximum(v, 0) // layer.threshold
                v = after[:, step] = v - fired[:, step] * layer.threshold
            self._membranes[layer.name] = v
            layers[layer.name] = LayerRecord(spikes=fired, v_mem=after)
            saturations[layer.name] = cut
            counts = fired
        run = Recording(spikes=counts, dt=self.program.dt)
        if not self._settings.record:
            return run
        counted = None if self.program.dt is None else _counts(self.program, spikes, layers)
        return Recording(
            spikes=counts,
            layers=layers,
            saturations=saturations,
            dt=self.program.dt,
            activity=counted,
        )


def run(program: ToyProgram, spikes: InputSpikes, record: bool, timing: Timing) -> Recording:
    """Run from rest."""
    counts = as_counts(program, spikes)
    settings = SessionSettings(batch=len(counts), timing=timing, record=record)
    return ToySession(program, settings).run(counts)


# ---- counts ----


def _counts(
    program: ToyProgram, spikes: InputSpikes, layers: Mapping[str, LayerRecord]
) -> Activity:
    given = as_counts(program, spikes)
    steps = max(1, given.shape[0] * given.shape[1])
    fired = [
        spikes_of_each(given),
        *(spikes_of_each(layers[x.name].spikes) for x in program.layers),
    ]
    return _activity(program, [each / steps for each in fired], given.shape[1])


def _activity(program: ToyProgram, fired: list[Array], steps: int) -> Activity:
    """Return the activity from mean spikes per step of each neuron, the input's first."""
    entry, *rest = fired
    first = LayerActivity(
        name=program.input_name,
        neurons=len(entry),
        spikes_per_step=float(entry.sum()),
        active=None,
        synops_per_step=0.0,
    )
    layers = (
        LayerActivity(
            name=layer.name,
            neurons=len(layer.weight),
            spikes_per_step=float(own.sum()),
            active=None,
            synops_per_step=float(before @ np.count_nonzero(layer.weight, axis=0)),
        )
        for layer, before, own in zip(program.layers, fired, rest, strict=False)
    )
    return Activity(layers=(first, *layers), steps=steps, dt=step_length(program.dt))


def activity(program: ToyProgram, spikes: InputSpikes) -> Activity:
    """Count on spikes."""
    step_length(program.dt)
    found = run(program, spikes, True, "clocked").activity
    assert found is not None
    return found


def activity_at(program: ToyProgram, rates: Mapping[str, float], steps: int) -> Activity:
    """Compute the counts for mean rates, spike/s per neuron."""
    names = [program.input_name, *(layer.name for layer in program.layers)]
    sizes = [program.layers[0].weight.shape[1], *(len(layer.weight) for layer in program.layers)]
    mean = spikes_per_step(rates, names, program.dt)
    fired = [np.full(size, mean[name]) for name, size in zip(names, sizes, strict=True)]
    return _activity(program, fired, steps)


# ---- as data ----


def pack(program: ToyProgram) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return weights by layer, and all other data."""
    return {layer.name: layer.weight for layer in program.layers}, {
        "chip": program.chip,
        "dt": program.dt,
        "input_name": program.input_name,
        "names": [layer.name for layer in program.layers],
        "thresholds": [layer.threshold for layer in program.layers],
    }


def unpack(arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> ToyProgram:
    """Return the program from the result of ``pack``.

    Raises:
        ValueError: the data is not a program.
    """
    if metadata.keys() != FIELDS or set(metadata["names"]) != set(arrays):
        raise ValueError("no toy program: fields or weights are missing or unknown")
    return ToyProgram(
        chip=metadata["chip"],
        dt=metadata["dt"],
        input_name=metadata["input_name"],
        layers=tuple(
            Layer(name=name, weight=arrays[name], threshold=threshold)
            for name, threshold in zip(metadata["names"], metadata["thresholds"], strict=True)
        ),
    )
