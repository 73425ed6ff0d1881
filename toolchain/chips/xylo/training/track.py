"""Backward pass of one layer over a piece of timesteps, all samples of a part together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.training import Slope
from toolchain.chips.xylo.training.record import Trace
from toolchain.chips.xylo.training.structure import Layer

__all__ = ["Track"]

BEYOND_CAP = 1.5
"""Thresholds beyond the most spikes of a step from which on a neuron does not answer."""


class Track:
    """The recorded integers of a layer, and the derivatives with respect to its states.

    Args:
        layer: the layer.
        threshold: thresholds of its neurons, None where it does not fire.
        steps: most timesteps of a piece.
        samples: number of samples.
        is_target: whether it receives spikes of another layer through aliases.
    """

    def __init__(
        self, layer: Layer, threshold: Array | None, steps: int, samples: int, is_target: bool
    ) -> None:
        # numba takes a third of a second to import
        from toolchain.chips.xylo.training import kernel

        self._kernel, self.layer = kernel, layer
        shape = steps, samples, layer.neurons
        self._constants = np.zeros((kernel.CONSTANTS, *shape[1:]), np.float32)
        if threshold is not None and layer.fires:
            self._constants[0] = np.broadcast_to(threshold, layer.shape).ravel()
        self._constants[1] = layer.cap + BEYOND_CAP
        self._constants[2] = layer.keep_mem
        self._keep_syn = np.tile(layer.keep_syn.ravel(), samples)
        self._states = np.zeros((kernel.SUMS, *shape[1:]), np.float32)
        self._sums = np.zeros((kernel.SUMS - 1, layer.neurons))
        self._arriving = np.zeros((steps + 1, self._keep_syn.size), np.float32)
        self._outer, self._spikes, self._relative, self._slope = (
            np.zeros(shape, np.float32) for _ in range(4)
        )
        self._own = self._spikes
        # of spikes with those received, without derivatives with respect to its values
        self._passed = np.zeros(shape, np.float32) if is_target else None
        self._steps = 0
        if not layer.fires:
            # without a threshold the derivative of its membrane is the one given
            self._slope[:] = 1

    def load(self, trace: Trace, samples: range, steps: range, outer: Array | None) -> None:
        """Load the piece before the last one.

        Args:
            trace: the record.
            samples: the samples.
            steps: the timesteps.
            outer: (samples, steps, neurons), derivatives with respect to its values.
        """
        self._steps = n = len(steps)
        self._arriving[n] = self._arriving[0]
        self._outer[:n] = 0 if outer is None else outer.transpose(1, 0, 2)
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
            self._constants,
            self._spikes[:n],
            self._relative[:n],
            self._slope[:n],
        )

    def prepare(self, sources: Iterable[Track], slope: Slope | None) -> None:
        """Separate own from received spikes, and apply another surrogate than the ramp."""
        sources, n = list(sources), self._steps
        if not self.layer.fires or (slope is None and not sources):
            return
        threshold, most = self._constants[0], self._constants[1]
        relative = self._relative[:n]
        if sources:
            received = sum((source._spikes[:n] for source in sources), np.float32(0))
            received = np.minimum(received, np.float32(self.layer.cap))
            self._own = np.zeros_like(self._spikes)
            self._own[:n] = self._spikes[:n] - received
            relative -= received
            most = most - received
        if slope is None:
            found = np.clip(relative, 0, 1) / threshold
        else:
            before = np.rint(relative * threshold)
            found = slope(before, np.broadcast_to(threshold, before.shape))
        self._slope[:n] = np.where(relative > most, 0, found)

    def receive(self, post: Track, weight: Array, first: int, stop: int) -> None:
        """Add the derivatives of what its spikes change in ``post`` a step later."""
        rows = post._arriving[first + 1 : stop + 1].reshape(-1, len(weight))
        self._add((rows @ weight).reshape(stop - first, *self._outer.shape[1:]), first, stop)

    def pass_back(self, target: Track, first: int, stop: int) -> None:
        """Add the derivatives of the spikes that ``target`` receives: none at its cap."""
        assert target._passed is not None
        below = target._spikes[first:stop] < target.layer.cap
        self._add(target._passed[first:stop] * below, first, stop)

    def _add(self, change: Array, first: int, stop: int) -> None:
        self._outer[first:stop] += change
        if self._passed is not None:
            self._passed[first:stop] += change

    def compute(self, first: int, stop: int) -> None:
        """Compute steps ``stop - 1`` down to ``first`` of the piece."""
        n, width = self._steps, self._states[0].size
        self._kernel.scan(
            first,
            stop,
            self._outer[:n].reshape(n, width),
            self._own[:n].reshape(n, width),
            self._relative[:n].reshape(n, width),
            self._slope[:n].reshape(n, width),
            self._constants.reshape(-1, width),
            self._keep_syn,
            self._states.reshape(-1, width),
            self._arriving,
        )
        if not first:
            self._sums += self._states[1:].sum(axis=1, dtype=np.float64)
            self._states[1:] = 0

    def arriving_rows(self, later: int) -> Array:
        """Return (steps samples, synapses neurons), derivatives of its input ``later`` steps on."""
        part = self._arriving[later : later + self._steps]
        return part.reshape(self._steps * self._outer.shape[1], -1)

    def sent(self) -> Array:
        """Return (steps samples, neurons), the spikes that it sends."""
        return self._spikes[: self._steps].reshape(-1, self._spikes.shape[2])

    def sums(self, name: str, wanted: Collection[str]) -> Iterator[tuple[str, Array]]:
        """Yield the wanted gradients of its thresholds and biases, one value a neuron."""
        for field, found in zip(("v_threshold", "bias"), self._sums, strict=True):
            if f"{name}.{field}" in wanted:
                yield f"{name}.{field}", found.reshape(self.layer.shape)
