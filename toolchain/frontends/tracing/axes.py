"""Which axes of a recorded tensor are batch and time.

Frameworks lay them out in five ways, a :class:`Layout` each.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import prod

from torch import nn as torch_nn

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks.adapter import Axes, UnsupportedError

__all__ = ["AxisLayout", "Grid", "check_axes"]


class AxisLayout(enum.Enum):
    """What the leading axes of a tensor are.

    Rows are batch-major (sinabs) or time-major (what SpikingJelly's ``flatten(0, 1)`` makes of
    time, batch). A ``STEP`` is the batch of a single timestep.
    """

    BATCH_TIME = "(batch, time, ...)"
    TIME_BATCH = "(time, batch, ...)"
    ROWS = "(batch * time, ...)"
    ROWS_TIME_MAJOR = "(time * batch, ...)"
    STEP = "(batch, ...)"

    @property
    def has_time_axis(self) -> bool:
        """Whether batch and time are axes of their own."""
        return self in (AxisLayout.BATCH_TIME, AxisLayout.TIME_BATCH)

    @property
    def lead(self) -> int:
        """How many axes come before the features."""
        return 2 if self.has_time_axis else 1

    def features(self, shape: Shape) -> Shape:
        """The axes of ``shape`` that are features."""
        return shape[self.lead :]

    @property
    def swapped(self) -> AxisLayout | None:
        """With batch and time in the other order."""
        return _SWAPPED.get(self)

    @property
    def joined(self) -> AxisLayout:
        """With batch and time as one axis, or as two where they are one; memory stays as it is."""
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
    """The sizes of batch and time in one run."""

    batch: int
    time: int

    def lead(self, layout: AxisLayout) -> Shape:
        """The leading axes of a tensor."""
        if layout is AxisLayout.BATCH_TIME:
            return (self.batch, self.time)
        if layout is AxisLayout.TIME_BATCH:
            return (self.time, self.batch)
        return (self.batch,) if layout is AxisLayout.STEP else (self.batch * self.time,)

    def possible_layouts(self, shape: Shape) -> list[AxisLayout]:
        """Which layouts a whole sequence of ``shape`` may have, the usual first."""
        return [layout for layout in _SEQUENCE_LAYOUTS if shape[: layout.lead] == self.lead(layout)]

    def layout_after_reshape(
        self, input_shape: Shape, layout: AxisLayout, output_shape: Shape
    ) -> tuple[AxisLayout, bool] | None:
        """The layout of ``made``, and whether its features were flattened; None if neither."""
        features = layout.features(input_shape)
        for candidate in (layout, layout.joined):
            for flat, shape in ((False, features), (True, (prod(features),))):
                if output_shape == (*self.lead(candidate), *shape):
                    return candidate, flat
        return None

    def layout_after_step_reshape(
        self, input_shape: Shape, layout: AxisLayout, output_shape: Shape
    ) -> tuple[AxisLayout, bool] | None:
        """As :meth:`reshaped`, of a single timestep with or without a time axis of length 1."""
        features = layout.features(input_shape)
        alone = Grid(self.batch, 1)
        for candidate in (layout, AxisLayout.STEP, AxisLayout.TIME_BATCH, AxisLayout.BATCH_TIME):
            for flat, shape in ((False, features), (True, (prod(features),))):
                if output_shape == (*alone.lead(candidate), *shape):
                    return candidate, flat
        return None

    def layout_after_flatten(
        self, module: torch_nn.Flatten, input_shape: Shape, layout: AxisLayout
    ) -> tuple[AxisLayout, bool] | None:
        """As :meth:`reshaped`, from the axes that an ``nn.Flatten`` joins."""
        start, end = (axis % len(input_shape) for axis in (module.start_dim, module.end_dim))
        if start == end:
            return layout, False
        if layout.has_time_axis and (start, end) == (0, 1):
            return layout.joined, False
        return (layout, True) if (start, end) == (layout.lead, len(input_shape) - 1) else None

    def batch_first(self, numbers: Array, layout: AxisLayout) -> Array:
        """A whole sequence as (batch, time, *features)."""
        split = layout if layout.has_time_axis else layout.joined
        array = numbers.reshape(*self.lead(split), *layout.features(numbers.shape))
        return array.swapaxes(0, 1) if split is AxisLayout.TIME_BATCH else array


_RANK = {Axes.LAST: 1, Axes.ROWS: 1, Axes.IMAGE: 3}
_EXPECTED = {
    Axes.LAST: "one axis of features",
    Axes.ROWS: "(batch * time, features)",
    Axes.IMAGE: "(batch * time, channels, height, width)",
    Axes.TIME: "(batch, time, ...)",
    Axes.TIME_FIRST: "(time, batch, ...)",
    Axes.STEP: "(batch, ...) of one timestep",
    Axes.SQUEEZED: "(batch * time, ...)",
}
_LAYOUTS = {
    Axes.ROWS: {AxisLayout.ROWS, AxisLayout.ROWS_TIME_MAJOR, AxisLayout.STEP},
    Axes.IMAGE: {AxisLayout.ROWS, AxisLayout.ROWS_TIME_MAJOR, AxisLayout.STEP},
    Axes.TIME: {AxisLayout.BATCH_TIME},
    Axes.TIME_FIRST: {AxisLayout.TIME_BATCH},
    Axes.STEP: {AxisLayout.STEP},
    Axes.SQUEEZED: {AxisLayout.ROWS},
}
_SEQUENCE_LAYOUTS = tuple(layout for layout in AxisLayout if layout is not AxisLayout.STEP)


def check_axes(axes: Axes, shape: Shape, layout: AxisLayout) -> None:
    """Refuse a layer that would take time for channels, or the other way round."""
    expected, found = _EXPECTED.get(axes, ""), f"{layout.value} of shape {shape}"
    if layout not in _LAYOUTS.get(axes, AxisLayout):
        raise UnsupportedError(f"takes {expected}, got {found}; {_remedy(axes, layout)}")
    rank = _RANK.get(axes)
    if rank is not None and len(layout.features(shape)) != rank:
        raise UnsupportedError(f"takes {expected}, got {found}; a Flatten may be missing")


def _remedy(axes: Axes, layout: AxisLayout) -> str:
    """What would bring ``layout`` to where ``axes`` can take it."""
    if axes is Axes.STEP:
        return "call it once in each step of a loop over time"
    if layout is AxisLayout.STEP:
        return "call it once, on the whole sequence"
    if axes in (Axes.TIME, Axes.TIME_FIRST):
        return _TO_TIMED[layout]
    if layout is AxisLayout.BATCH_TIME:
        return "put toolchain.nn.FlattenTime before it"
    if axes is Axes.SQUEEZED:
        return "it cuts rows sample by sample; hand it (batch, time, ...) flattened"
    return "put flatten(0, 1) before it"


_TO_TIMED = {
    AxisLayout.BATCH_TIME: "put transpose(0, 1) before it",
    AxisLayout.TIME_BATCH: "put transpose(0, 1) before it",
    AxisLayout.ROWS: "put UnflattenTime before it or use Squeeze",
    AxisLayout.ROWS_TIME_MAJOR: "unflatten its rows to (time, batch, ...) first",
}
