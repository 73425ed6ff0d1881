"""Activity of a program: counts of spikes and operations, without prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import inf
from typing import Any

from toolchain.arrays import finite
from toolchain.report import Brief, brief, visible

__all__ = ["Activity", "LayerActivity", "mean_activity", "spikes_per_step", "step_length"]

MOST_LAYERS = 10_000
"""Largest number of layers in data from a file."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LayerActivity(Brief):
    """Activity of one layer, averaged over samples and timesteps.

    Attributes:
        name: the user's own name.
        neurons: neurons, or channels of the input.
        spikes_per_step: spikes of the whole layer, spike/step.
        active: fraction of its neurons that spike at least once in a step, 0..1; None if it was
            not counted, because the chip's cost does not depend on it.
        synops_per_step: synaptic operations that arrive at the layer, synop/step. Connections of
            weight zero are counted if the chip processes them.
        updates_per_step: neurons whose state is read and written, neuron/step: one a synaptic
            operation on an event-driven chip, every neuron on a chip that updates all of them.
        leak_updates_per_step: membranes that a tick of the separate clock of leak or bias changes,
            neuron/step; 0 if leak and bias are part of every update.

    Raises:
        ValueError: counts that are negative, infinite or not numbers.

    >>> LayerActivity(name="lif", neurons=40, spikes_per_step=2.5, synops_per_step=100).neurons
    40
    >>> LayerActivity(name="lif", neurons=40, spikes_per_step=-1)
    Traceback (most recent call last):
    ValueError: spikes_per_step of 'lif' must be a number >= 0, got -1
    """

    name: str
    neurons: int
    spikes_per_step: float
    active: float | None = None
    synops_per_step: float = 0.0
    updates_per_step: float = 0.0
    leak_updates_per_step: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"name of a layer must be text, got {self.name!r}")
        counts = [f.name for f in fields(self) if f.name not in ("name", "active")]
        for name in counts:
            _count(f"{name} of {self.name!r}", getattr(self, name))
        if self.active is not None and _count(f"active of {self.name!r}", self.active) > 1:
            raise ValueError(f"active of {self.name!r} must be in 0..1, got {self.active}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Activity(Brief):
    """Activity of a program, layer by layer.

    Attributes:
        layers: the input first, then every neuron layer.
        steps: timesteps of one inference.
        dt: s.

    Raises:
        ValueError: no layer, steps that are not a whole number >= 0, or a dt that is not > 0.

    >>> layers = (
    ...     LayerActivity(name="input", neurons=12, spikes_per_step=1.2),
    ...     LayerActivity(name="lif", neurons=40, spikes_per_step=2.5, synops_per_step=48.0),
    ... )
    >>> activity = Activity(layers=layers, steps=100, dt=1e-3)
    >>> activity.synops_per_step, activity["lif"].spikes_per_step
    (48.0, 2.5)
    """

    layers: tuple[LayerActivity, ...]
    steps: int
    dt: float

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("an activity needs at least the layer of the input")
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 0:
            raise ValueError(f"steps must be a whole number >= 0, got {self.steps!r}")
        if not _count("dt", self.dt) > 0:
            raise ValueError(f"dt must be > 0 s, got {self.dt}")

    @property
    def synops_per_step(self) -> float:
        """Synaptic operations of the whole network, synop/step."""
        return sum(layer.synops_per_step for layer in self.layers)

    def __getitem__(self, name: str) -> LayerActivity:
        """Return the layer of that name; KeyError lists the names."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer {name!r}; there are {', '.join(la.name for la in self.layers)}")

    def as_dict(self) -> dict[str, Any]:
        """Return the activity as plain data, for ``from_dict``."""
        return {**asdict(self), "layers": [asdict(layer) for layer in self.layers]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Activity:
        """Return the activity that ``as_dict`` converted.

        Raises:
            ValueError: missing or unknown fields, or invalid values.
        """
        layers = _fields(cls, data)["layers"]
        if not isinstance(layers, list | tuple) or len(layers) > MOST_LAYERS:
            raise ValueError(f"layers must be a list of at most {MOST_LAYERS} layers")
        read = tuple(LayerActivity(**_fields(LayerActivity, layer)) for layer in layers)
        return cls(layers=read, steps=data["steps"], dt=data["dt"])


def mean_activity(parts: Sequence[tuple[Activity, int]]) -> Activity | None:
    """Return the mean of several runs, each with its number of samples; None if there are none.

    Longer runs count for more in the means of a step; ``steps`` is the mean length of a sample.
    """
    total = sum(samples for _, samples in parts)
    if not total:
        return parts[0][0] if parts else None
    first = parts[0][0]
    layers = zip(*(activity.layers for activity, _ in parts), strict=True)
    steps = [samples * activity.steps for activity, samples in parts]
    weights = [n / sum(steps) for n in steps] if any(steps) else [n / total for _, n in parts]
    means = tuple(_mean_layer(same, weights) for same in layers)
    return replace(first, layers=means, steps=round(sum(steps) / total))


def _mean_layer(layers: Sequence[LayerActivity], weights: Sequence[float]) -> LayerActivity:
    first = layers[0]
    means = {
        f.name: sum(getattr(layer, f.name) * w for layer, w in zip(layers, weights, strict=True))
        for f in fields(first)
        if f.name not in ("name", "neurons") and getattr(first, f.name) is not None
    }
    return replace(first, **means)


def _fields(kind: type[Activity | LayerActivity], data: Any) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise ValueError(f"{kind.__name__} must be a mapping, got {data!r:.80}")
    if wrong := sorted({field.name for field in fields(kind)} ^ {str(key) for key in data}):
        raise ValueError(f"{kind.__name__}: missing or unknown: {', '.join(wrong)}")
    return dict(data)


def _count(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise ValueError(f"{what} must be a number >= 0, got {value!r}")
    return float(value)


def step_length(dt: float | None) -> float:
    """Return ``dt`` of a program, s; ValueError if it is None."""
    if dt is None:
        raise ValueError("an estimate needs the length of a timestep: deploy with dt=... in s")
    return dt


def spikes_per_step(
    rates: Mapping[str, float], names: Iterable[str], dt: float | None
) -> dict[str, float]:
    """Return the mean spikes of a neuron in a step of ``dt``, by name, for ``rates`` in spike/s.

    Raises:
        ValueError: no dt; rates that are not one number >= 0 for each of ``names``.
    """
    step, wanted = step_length(dt), list(names)
    if wrong := sorted(set(wanted) ^ set(rates)):
        text = f"rates need {', '.join(wanted)}; missing or unknown: {', '.join(map(str, wrong))}"
        raise ValueError(visible(text, one_line=True))
    found = {}
    for name in wanted:
        rate = finite(rates[name])
        if rate is None or rate < 0:
            got = brief(rates[name])
            text = f"rate of {name!r} must be a number of spikes per second >= 0, got {got}"
            raise ValueError(visible(text))
        found[name] = rate * step
    return found
