"""Batch and time axes of a recorded tensor.

Frameworks arrange them in five ways, one :class:`AxisLayout` each.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import prod

import numpy as np
from torch import nn as torch_nn

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks.adapter import Axes, UnsupportedError

__all__ = ["AxisLayout", "Grid", "check_axes"]


class AxisLayout(enum.Enum):
    """Arrangement of a tensor's leading axes.

    Rows are batch-major (sinabs) or time-major (SpikingJelly's ``flatten(0, 1)`` of time, batch). A
    ``STEP`` is the batch of a single timestep.
    """

    BATCH_TIME = "(batch, time, ...)"
    TIME_BATCH = "(time, batch, ...)"
    ROWS = "(batch * time, ...)"
    ROWS_TIME_MAJOR = "(time * batch, ...)"
    STEP = "(batch, ...)"

    @property
    def has_time_axis(self) -> bool:
        """True if batch and time are separate axes."""
        return self in (AxisLayout.BATCH_TIME, AxisLayout.TIME_BATCH)

    @property
    def lead(self) -> int:
        """Number of axes before the features."""
        return 2 if self.has_time_axis else 1

    def features(self, shape: Shape) -> Shape:
        """Return the feature axes of ``shape``."""
        return shape[self.lead :]

    @property
    def swapped(self) -> AxisLayout | None:
        """Layout with batch and time in the other order; None where they are one axis."""
        return _SWAPPED.get(self)

    @property
    def joined(self) -> AxisLayout:
        """Layout with batch and time joined if they are two axes, split if they are one.

        The order of the elements in memory stays the same.
        """
        return _JOINED[self]


_SWAPPED = {
    AxisLayout.BATCH_TIME: AxisLayout.TIME_BATCH,
    AxisLayout.TIME_BATCH: AxisLayout.BATCH_TIME,
}
_JOINED = {
    AxisLayout.BATCH_TIME: AxisLayout.ROWS,
    AxisLayout.ROWS: AxisLayout.BATCH_TIME,
    AxisLayout.TIME_BATCH: AxisLayout.ROWS_TIME_MAJOR,
    AxisLayout.ROWS_TIME_MAJOR: AxisLayout.TIME_BATCH,
    AxisLayout.STEP: AxisLayout.STEP,
}


@dataclass(frozen=True, slots=True)
class Grid:
    """Sizes of batch and time in one run."""

    batch: int
    time: int

    def lead(self, layout: AxisLayout) -> Shape:
        """Return the sizes of the leading axes of a tensor of ``layout``."""
        if layout is AxisLayout.BATCH_TIME:
            return (self.batch, self.time)
        if layout is AxisLayout.TIME_BATCH:
            return (self.time, self.batch)
        return (self.batch,) if layout is AxisLayout.STEP else (self.batch * self.time,)

    def possible_layouts(self, shape: Shape) -> list[AxisLayout]:
        """Return the layouts that a whole sequence of ``shape`` may have, the usual first."""
        return [layout for layout in _SEQUENCE_LAYOUTS if shape[: layout.lead] == self.lead(layout)]

    def layout_after_reshape(
        self, input_shape: Shape, layout: AxisLayout, output_shape: Shape
    ) -> tuple[AxisLayout, bool] | None:
        """Return the layout of a reshaped tensor and whether its features were flattened.

        None if the shapes fit neither.
        """
        features = layout.features(input_shape)
        for candidate in (layout, layout.joined):
            for flattened, shape in ((False, features), (True, (prod(features),))):
                if output_shape == (*self.lead(candidate), *shape):
                    return candidate, flattened
        return None

    def layout_after_step_reshape(
        self, input_shape: Shape, layout: AxisLayout, output_shape: Shape
    ) -> tuple[AxisLayout, bool] | None:
        """Return the same as :meth:`layout_after_reshape` for a single timestep.

        The tensor may have a time axis of length 1.
        """
        features = layout.features(input_shape)
        alone = Grid(self.batch, 1)
        for candidate in (layout, AxisLayout.STEP, AxisLayout.TIME_BATCH, AxisLayout.BATCH_TIME):
            for flattened, shape in ((False, features), (True, (prod(features),))):
                if output_shape == (*alone.lead(candidate), *shape):
                    return candidate, flattened
        return None

    def layout_after_flatten(
        self, module: torch_nn.Flatten, input_shape: Shape, layout: AxisLayout
    ) -> tuple[AxisLayout, bool] | None:
        """Return :meth:`layout_after_reshape` from the axes that an ``nn.Flatten`` joins."""
        start, end = (axis % len(input_shape) for axis in (module.start_dim, module.end_dim))
        if start == end:
            return layout, False
        if layout.has_time_axis and (start, end) == (0, 1):
            return layout.joined, False
        return (layout, True) if (start, end) == (layout.lead, len(input_shape) - 1) else None

    def timesteps(self, layout: AxisLayout) -> Array | None:
        """Return the timestep of each entry of the leading axes of a sequence; None of one frame.

        >>> Grid(batch=2, time=3).timesteps(AxisLayout.ROWS).tolist()
        [0, 1, 2, 0, 1, 2]
        """
        if layout is AxisLayout.STEP:
            return None
        steps, shape = np.arange(self.time), self.lead(layout)
        if layout is AxisLayout.BATCH_TIME or layout is AxisLayout.ROWS:
            return np.tile(steps, self.batch).reshape(shape)
        return np.repeat(steps, self.batch).reshape(shape)

    def batch_first(self, numbers: Array, layout: AxisLayout) -> Array:
        """Return a whole sequence as (batch, time, *features)."""
        split = layout if layout.has_time_axis else layout.joined
        array = numbers.reshape(*self.lead(split), *layout.features(numbers.shape))
        return array.swapaxes(0, 1) if split is AxisLayout.TIME_BATCH else array


_RANKS = {
    Axes.LAST: {1},
    Axes.ROWS: {1},
    Axes.CHANNELS: {1, 2},
    Axes.LINE: {2},
    Axes.IMAGE: {3},
}
_EXPECTED = {
    Axes.LAST: "one axis of features",
    Axes.ROWS: "(batch * time, features)",
    Axes.IMAGE: "(batch * time, channels, height, width)",
    Axes.LINE: "(batch * time, channels, length)",
    Axes.CHANNELS: "(batch * time, channels) or (batch * time, channels, length)",
    Axes.TIME: "(batch, time, ...)",
    Axes.TIME_FIRST: "(time, batch, ...)",
    Axes.STEP: "(batch, ...) of one timestep",
    Axes.SQUEEZED: "(batch * time, ...)",
}
_ROWS = {AxisLayout.ROWS, AxisLayout.ROWS_TIME_MAJOR, AxisLayout.STEP}
_LAYOUTS = {
    **dict.fromkeys((Axes.ROWS, Axes.CHANNELS, Axes.LINE, Axes.IMAGE), _ROWS),
    Axes.TIME: {AxisLayout.BATCH_TIME},
    Axes.TIME_FIRST: {AxisLayout.TIME_BATCH},
    Axes.STEP: {AxisLayout.STEP},
    Axes.SQUEEZED: {AxisLayout.ROWS},
}
_SEQUENCE_LAYOUTS = tuple(layout for layout in AxisLayout if layout is not AxisLayout.STEP)


def check_axes(axes: Axes, shape: Shape, layout: AxisLayout) -> None:
    """Check that a layer with ``axes`` can take a tensor of this ``shape`` and ``layout``.

    Raises:
        UnsupportedError: it would take time for channels, or channels for time.
    """
    expected, actual = _EXPECTED.get(axes, ""), f"{layout.value} of shape {shape}"
    if layout not in _LAYOUTS.get(axes, AxisLayout):
        raise UnsupportedError(f"takes {expected}, got {actual}; {_remedy(axes, layout)}")
    ranks = _RANKS.get(axes)
    if ranks is not None and len(layout.features(shape)) not in ranks:
        raise UnsupportedError(f"takes {expected}, got {actual}; a Flatten may be missing")


def _remedy(axes: Axes, layout: AxisLayout) -> str:
    """Return the change to the model that gives a layer with ``axes`` its expected layout."""
    if axes is Axes.STEP:
        return "call it once in each step of a loop over time"
    if layout is AxisLayout.STEP:
        return "call it once, on the whole sequence"
    if axes in (Axes.TIME, Axes.TIME_FIRST):
        return _TO_TIMED[layout]
    if layout is AxisLayout.BATCH_TIME:
        return "put toolchain.nn.FlattenTime before it"
    if axes is Axes.SQUEEZED:
        return "it splits rows sample by sample; pass (batch, time, ...) flattened"
    return "put flatten(0, 1) before it"


_TO_TIMED = {
    AxisLayout.BATCH_TIME: "put transpose(0, 1) before it",
    AxisLayout.TIME_BATCH: "put transpose(0, 1) before it",
    AxisLayout.ROWS: "put UnflattenTime before it or use Squeeze",
    AxisLayout.ROWS_TIME_MAJOR: "unflatten its rows to (time, batch, ...) first",
}
