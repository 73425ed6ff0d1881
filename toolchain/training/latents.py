"""Latent values of a parameter: real numbers that are rounded to the chip's integers.

A latent value is in units of the integers. The forward pass uses the nearest multiple of the
parameter's step within its range; the backward pass goes straight through the rounding. Where the
trained network has no connection the latent weight is 0, its integer stays 0 and its gradient is 0.

Nothing but the optimizer changes a latent value. Beyond the range, a gradient that points further
out is 0, so that values stop there without being written in the forward pass, which would break
gradients that autograd has recorded for other terms of the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.training import Parameter
from toolchain.fidelity.latents import INSIDE, NO_STRUCTURE, within_cell
from toolchain.ir import Graph

__all__ = ["Latent", "latents_at_start"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Latent:
    """Rounding of one parameter.

    Attributes:
        parameter: what is rounded.
        start: latent values at the start, float32, of the parameter's shape.
        absent: True where there is no connection; None if all are there.
    """

    parameter: Parameter
    start: Array
    absent: Array | None

    def integers(self, values: Array) -> Array:
        """Return the integers of latent values, int64.

        Raises:
            ValueError: values that are not finite.
        """
        if not np.isfinite(values).all():
            raise ValueError(
                f"{self.parameter.name} contains values that are not finite; train with a smaller "
                "learning rate, or clip the gradients"
            )
        step = self.parameter.step
        steps = np.rint(values if step == 1 else values / step)
        steps = np.clip(steps, self.parameter.low // step, self.parameter.high // step)
        if self.absent is not None:
            steps[self.absent] = 0
        return np.asarray(steps.astype(np.int64) * step)

    def projected(self, values: Array) -> Array:
        """Return the latent values nearest to ``values`` that are in range, float32.

        They are 0 where there is no connection, and nowhere else.
        """
        low, high = self._bounds
        result = np.clip(np.asarray(values, np.float32), low, high)
        if self.parameter.kind == "weight":
            result = np.where(result == 0, NO_STRUCTURE, result)
        if self.absent is not None:
            result[self.absent] = 0
        return np.asarray(result)

    @property
    def _bounds(self) -> tuple[np.float32, np.float32]:
        """Smallest and largest latent value: what rounds to the ends of the range."""
        reach = INSIDE * self.parameter.step
        return np.float32(self.parameter.low - reach), np.float32(self.parameter.high + reach)

    def outward(self, values: Array) -> tuple[Array, Array] | None:
        """Return where ``values`` are above and below the range; None if they are nowhere."""
        low, high = self._bounds
        above, below = values > high, values < low
        return (above, below) if above.any() or below.any() else None

    def gradient(self, found: Array, outward: tuple[Array, Array] | None) -> Array:
        """Return the gradient of the latent values from that of the integers."""
        if self.absent is None and outward is None:
            return found
        result = found.copy()
        if self.absent is not None:
            result[self.absent] = 0
        if outward is not None:
            above, below = outward
            result[(above & (result < 0)) | (below & (result > 0))] = 0
        return result


def latents_at_start(
    parameters: Mapping[str, Parameter], quantized: Graph, latent: Mapping[str, Array]
) -> dict[str, Latent]:
    """Return the rounding of each parameter, whose start gives the integers of ``quantized``.

    Args:
        parameters: by name.
        quantized: the graph of which they are arrays.
        latent: unrounded values by name; where they are missing the integers take their place,
            and a weight of 0 is taken for a missing connection.
    """
    return {
        name: _at_start(each, _integers(quantized, each), latent.get(name))
        for name, each in parameters.items()
    }


def _integers(quantized: Graph, parameter: Parameter) -> Array:
    """Return the integers of the graph in the parameter's shape; no bias is a bias of 0."""
    found = getattr(quantized[parameter.node], parameter.field)
    return _in_shape(np.zeros((), int) if found is None else found, parameter)


def _in_shape(array: Array, parameter: Parameter) -> Array:
    """Return an array of the graph in the parameter's shape, which may have one value for all."""
    if array.size > 1 and not parameter.shape:
        assert np.ptp(array) == 0 or array.dtype.kind == "f", f"{parameter.name}: several values"
        array = array.ravel()[0]
    return np.broadcast_to(array, parameter.shape)


def _at_start(parameter: Parameter, integers: Array, latent: Array | None) -> Latent:
    given = integers if latent is None else _in_shape(latent, parameter)
    start = within_cell(given, integers, parameter.step)
    absent = (start == 0) & (integers == 0) if parameter.kind == "weight" else None
    result = Latent(
        parameter=parameter,
        start=start,
        absent=absent if absent is not None and absent.any() else None,
    )
    wrong = result.integers(start) != integers
    assert not wrong.any(), f"{parameter.name}: its integers are out of range or no multiples"
    return result
