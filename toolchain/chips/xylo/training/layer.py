"""Backward pass of one layer over a piece of timesteps, all samples of a part together.

Neurons are padded to a multiple of ``WIDTH``: whole vectors of the processor, and whole rounds of
the compiled loops. A neuron of the padding has no weights and never answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.training import SurrogateSlope
from toolchain.chips.xylo.training.record import RecordedSteps
from toolchain.chips.xylo.training.structure import TrainedLayer

__all__ = ["LayerPass", "padded"]

WIDTH = 8
BEYOND_CAP = 1.5
"""Thresholds beyond the most spikes of a step from which on a neuron does not answer."""


def padded(neurons: int) -> int:
    """Round a number of neurons up."""
    return -(-neurons // WIDTH) * WIDTH


class LayerPass:
    """The recorded integers of a layer, and the derivatives with respect to its states.

    Args:
        layer: the layer.
        threshold: thresholds of its neurons, None where it does not fire.
        steps: most timesteps of a piece.
        samples: number of samples.
        is_target: whether it receives spikes of another layer through aliases.
        recurrent: (width * synapses, width), its connections to itself, or an empty matrix.
    """

    def __init__(
        self,
        layer: TrainedLayer,
        threshold: Array | None,
        steps: int,
        samples: int,
        *,
        is_target: bool,
        recurrent: Array,
    ) -> None:
        # numba takes a third of a second to import
        from toolchain.chips.xylo.training import kernel

        self._kernel, self.layer, self._recurrent = kernel, layer, recurrent
        size, width, synapses = layer.neurons, padded(layer.neurons), layer.keep_syn.shape[1]
        self._constants = np.ones((kernel.CONSTANTS, samples, width), np.float32)
        if threshold is not None and layer.fires:
            self._constants[0, :, :size] = np.broadcast_to(threshold, layer.shape).ravel()
        self._constants[1] = layer.cap + BEYOND_CAP
        self._constants[2, :, :size] = layer.keep_mem
        keep_syn = np.zeros((samples, width, synapses), np.float32)
        keep_syn[:, :size] = layer.keep_syn
        self._keep_syn = keep_syn.reshape(-1)
        self._states = np.zeros((kernel.STATES, samples, width), np.float32)
        self._sums = np.zeros((2, size))
        self._arriving = np.zeros((steps + 1, samples, width * synapses), np.float32)
        shape = steps, samples, width
        self._outer, self._spikes, self._before = (np.zeros(shape, np.float32) for _ in range(3))
        self._own = self._spikes
        # with respect to all its spikes, received ones too: without those of its values
        self._passed = np.zeros(shape, np.float32) if is_target else None
        self._slope: Array | None = None
        if not layer.fires:
            self._constants[0] = 0
            # without a threshold the derivative of the membrane is the one given
            self._slope = np.ones(shape, np.float32)
            self._before[:] = 0
        self._steps = 0

    def load(self, trace: RecordedSteps, samples: range, steps: range, outer: Array | None) -> None:
        """Load the piece before the last one.

        Args:
            trace: the record.
            samples: the samples.
            steps: the timesteps.
            outer: (samples, steps, neurons), derivatives with respect to its values.
        """
        self._steps = n = len(steps)
        self._arriving[n] = self._arriving[0]
        self._outer[:n] = 0
        if outer is not None:
            self._outer[:n, :, : self.layer.neurons] = outer.transpose(1, 0, 2)
        if self._passed is not None:
            self._passed[:n] = 0
        if not self.layer.fires:
            return
        recorded, membranes = trace.of(self.layer)
        self._kernel.load(
            recorded,
            membranes,
            samples.start - trace.sample,
            steps.start - trace.first,
            self.layer.place.start,
            self.layer.neurons,
            self._constants[0],
            self._spikes[:n],
            self._before[:n],
        )

    def prepare(self, sources: Iterable[LayerPass], slope: SurrogateSlope | None) -> None:
        """Separate own from received spikes, and apply another surrogate than the ramp."""
        sources, n = list(sources), self._steps
        if not self.layer.fires or (slope is None and not sources):
            return
        threshold, most, before = self._constants[0], self._constants[1], self._before[:n]
        if sources:
            received = sum((source._spikes[:n] for source in sources), np.float32(0))
            received = np.minimum(received, np.float32(self.layer.cap))
            self._own = np.zeros_like(self._spikes)
            self._own[:n] = self._spikes[:n] - received
            before -= received * threshold
            most = most - received
        relative = before / threshold
        if slope is None:
            found = np.clip(relative, 0, 1) / threshold
        else:
            found = slope(before, np.broadcast_to(threshold, before.shape))
        self._slope = np.zeros_like(self._spikes)
        self._slope[:n] = np.where(relative > most, 0, found)
        self._slope[..., self.layer.neurons :] = 0

    def receive(self, post: LayerPass, weight: Array, first: int, stop: int) -> None:
        """Add the derivatives of what its spikes change in ``post`` a step later."""
        for to in (self._outer, self._passed):
            if to is not None:
                rows = post._arriving[first + 1 : stop + 1]
                self._kernel.multiply(rows, weight, to[first:stop])

    def pass_back(self, target: LayerPass, first: int, stop: int) -> None:
        """Add the derivatives of the spikes that ``target`` receives: none at its cap."""
        assert target._passed is not None
        below = target._spikes[first:stop] < target.layer.cap
        change = target._passed[first:stop] * below
        self._outer[first:stop] += change
        if self._passed is not None:
            self._passed[first:stop] += change

    def compute(self, first: int, stop: int) -> None:
        """Compute steps ``stop - 1`` down to ``first`` of the piece."""
        self._kernel.scan(
            first,
            stop,
            self._outer,
            self._own,
            self._before,
            self._slope,
            self._constants.reshape(len(self._constants), -1),
            self._keep_syn,
            self._states.reshape(len(self._states), -1),
            self._arriving,
            self._recurrent,
        )
        if not first:
            sums = self._states[2:]
            self._sums += sums.sum(axis=1, dtype=np.float64)[:, : self.layer.neurons]
            sums[:] = 0

    def arriving(self, later: int) -> Array:
        """Return the derivatives of its input, ``later`` steps on, (steps, samples, width)."""
        return self._arriving[later : later + self._steps]

    def sums(self, name: str, wanted: Collection[str]) -> Iterator[tuple[str, Array]]:
        """Yield the wanted gradients of its thresholds and biases, one value a neuron."""
        for field, found in zip(("v_threshold", "bias"), self._sums, strict=True):
            if f"{name}.{field}" in wanted:
                yield f"{name}.{field}", found.reshape(self.layer.shape)
