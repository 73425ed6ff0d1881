"""Gradients of a convolution over many maps at once, as matrix products.

Maps are (maps, y, x, channels), so that the channels of a pixel are contiguous and every kernel
position is one product of all pixels with all pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array

__all__ = ["Convolution"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """Geometry of a convolution.

    Attributes:
        input_shape, output_shape: (channels, y, x).
        kernel, stride, padding: (y, x).
    """

    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def weight_gradient(self, maps: Array, delta: Array) -> Array:
        """Return the gradient of the weights, (outputs, inputs, y, x).

        Args:
            maps: input of the convolution, (maps, y, x, inputs).
            delta: gradient of its output, (maps, y, x, outputs).
        """
        outputs, inputs = self.output_shape[0], self.input_shape[0]
        padded = self._padded(maps)
        by_output = delta.reshape(-1, outputs).T
        found = np.empty((outputs, inputs, *self.kernel), delta.dtype)
        for y in range(self.kernel[0]):
            for x in range(self.kernel[1]):
                read = padded[self._read(y, x)].reshape(-1, inputs)
                found[:, :, y, x] = by_output @ read
        return found

    def input_gradient(self, delta: Array, weight: Array) -> Array:
        """Return the gradient of the input, (maps, y, x, inputs), for weights of ``delta``'s type."""
        outputs, inputs = self.output_shape[0], self.input_shape[0]
        height, width = self.input_shape[1:]
        top, left = self.padding
        rows = delta.reshape(-1, outputs)
        padded = np.zeros((len(delta), height + 2 * top, width + 2 * left, inputs), delta.dtype)
        for y in range(self.kernel[0]):
            for x in range(self.kernel[1]):
                at = self._read(y, x)
                padded[at] += (rows @ weight[:, :, y, x]).reshape(padded[at].shape)
        return padded[:, top : top + height, left : left + width]

    def _padded(self, maps: Array) -> Array:
        (top, left), none = self.padding, (0, 0)
        return np.pad(maps, (none, (top, top), (left, left), none)) if top or left else maps

    def _read(self, y: int, x: int) -> tuple[slice, slice, slice]:
        """Return the pixels of the padded input that a position of the kernel reads."""
        _, height, width = self.output_shape
        (down, right) = self.stride
        return (
            slice(None),
            slice(y, y + down * height, down),
            slice(x, x + right * width, right),
        )
