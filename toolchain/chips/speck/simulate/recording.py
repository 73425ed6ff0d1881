"""Recordings of simulated Speck programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from toolchain.arrays import Array
from toolchain.report import Brief
from toolchain.runs.sparse import SparseSpikes

__all__ = ["SpeckLayerRecord", "SpeckRecording"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SpeckLayerRecord(Brief):
    """Spikes and membranes of one layer at every step.

    Attributes:
        spikes, v_mem: int32 and int16 (batch, steps, channels, y, x), at the end of the step.

    >>> import numpy as np
    >>> SpeckLayerRecord(spikes=np.zeros((1, 4, 2, 1, 1)), v_mem=np.zeros((1, 4, 2, 1, 1)))
    SpeckLayerRecord(spikes=float64[1, 4, 2, 1, 1], v_mem=float64[1, 4, 2, 1, 1])
    """

    spikes: Array
    v_mem: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SpeckRecording(Brief):
    """Result of one simulation, by names of the cores.

    Attributes:
        outputs: spikes of each output core, int32 (batch, steps, channels, y, x), without
            ``y`` and ``x`` where the map is a single pixel.
        state: membranes after the last step, int16 (batch, channels, y, x), to continue from.
        saturations: number of sums that were clamped to int16; at 0 wider membranes change nothing.
        synops: synaptic operations, int64 (batch,): one for each spike and weight, zeros included.
        spike_counts, input_counts: spikes of all neurons, and of the input, int64 (batch,).
        steps, first: simulated steps, and the number of the first of them, above 0 in a session.
        events: in event timing, the spikes of each output core one by one: event arrays with
            fields ``x, y, t, p``, one a sample, ``t`` in µs is the time of the input event or
            clock tick that caused the spike. Empty unless ``dt`` is a whole number of µs.
        layers: with ``record=True`` every layer step by step, otherwise empty.
        recorded: what ``record`` names by core, as in ``layers`` or as ``SparseSpikes``.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram, simulate
    >>> fc = {"weight_name": "fc", "weight": np.full((2, 3, 1, 1), 5), "input_shape": (3, 1, 1)}
    >>> core = SpeckCore(name="spk", threshold_high=10, monitor=True, **fc)
    >>> ends = {"inputs": (Destination(layer="spk"),), "outputs": ("spk",)}
    >>> program = SpeckProgram(chip="speck2f", input_shape=(3, 1, 1), cores=(core,), **ends)
    >>> recording: SpeckRecording = simulate(program, np.ones((4, 3, 1, 1), int))
    >>> recording.spikes.shape, int(recording.spike_counts["spk"][0]), recording.saturations
    ((1, 4, 2), 12, {'spk': 0})
    """

    outputs: Mapping[str, Array]
    state: Mapping[str, Array]
    saturations: Mapping[str, int]
    synops: Mapping[str, Array]
    spike_counts: Mapping[str, Array]
    input_counts: Array
    steps: int
    events: Mapping[str, tuple[Array, ...]]
    layers: Mapping[str, SpeckLayerRecord]
    first: int = 0
    recorded: Mapping[str, Mapping[str, Array | SparseSpikes]] = field(default_factory=dict)

    @property
    def spikes(self) -> Array:
        """The spikes of the only output; ``ValueError`` where there are several."""
        if len(self.outputs) > 1:
            raise ValueError(
                f"the program has {len(self.outputs)} outputs: use .outputs[name] "
                f"with one of {', '.join(self.outputs)}"
            )
        return next(iter(self.outputs.values()))
