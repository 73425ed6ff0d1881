"""Recordings of simulated Speck programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.report import Brief

__all__ = ["SpeckLayerRecord", "SpeckRecording", "squeeze_map"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SpeckLayerRecord(Brief):
    """Spikes and membranes of one layer at every step.

    Attributes:
        spikes: int32 (batch, steps, channels, y, x), spikes of each neuron in the step.
        v_mem: int16, the same shape, membranes at the end of the step.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram, simulate
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

    >>> recording = simulate(program, np.ones((4, 3, 1, 1), int), record=True)
    >>> layer: SpeckLayerRecord = recording.layers["spk"]
    >>> layer.v_mem[0, :, 0, 0, 0].tolist()  # membrane of the first neuron at the end of each step
    [5, 0, 5, 0]
    """

    spikes: Array
    v_mem: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SpeckRecording(Brief):
    """Result of one simulation, by names of the cores.

    Attributes:
        outputs: spikes of each output core, int32 (batch, steps, channels, y, x), without
            ``y`` and ``x`` where the map is a single pixel.
        state: membranes after the last step, int16 (batch, channels, y, x); can be the start of
            the next simulation.
        saturations: number of sums that exceeded int16 and were clamped. If all are zero, wider
            membranes would give the same result.
        synops: synaptic operations, int64 (batch,): weights added to membranes, one for each
            spike and weight, including weights of zero.
        spike_counts: spikes of all neurons over all steps, int64 (batch,).
        input_counts: input spikes, int64 (batch,).
        steps: simulated steps.
        events: in event timing, the spikes of each output core one by one: event arrays with
            fields ``x, y, t, p``, one a sample, ``t`` in µs is the time of the input event or
            clock tick that caused the spike. Empty where ``dt`` is unknown or not a whole number of
            µs.
        layers: with ``record=True`` every layer step by step, otherwise empty.

    >>> import numpy as np
    >>> from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram, simulate
    >>> weight = np.full((2, 3, 1, 1), 5)  # (outputs, inputs, y, x)
    >>> core = SpeckCore(name="spk", weight_name="fc", weight=weight, input_shape=(3, 1, 1),
    ...                  threshold_high=10, monitor=True)
    >>> program = SpeckProgram(chip="speck2f", dt=1e-3, input_shape=(3, 1, 1), cores=(core,),
    ...                        inputs=(Destination(layer="spk"),), outputs=("spk",))

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

    @property
    def spikes(self) -> Array:
        """The spikes of the only output; ``ValueError`` where there are several."""
        if len(self.outputs) > 1:
            raise ValueError(
                f"the program has {len(self.outputs)} outputs: use .outputs[name] "
                f"with one of {', '.join(self.outputs)}"
            )
        return next(iter(self.outputs.values()))


def squeeze_map(spikes: Array) -> Array:
    """Return (batch, steps, channels) of a map of one pixel, any other unchanged."""
    return spikes[..., 0, 0] if spikes.shape[-2:] == (1, 1) else np.ascontiguousarray(spikes)
