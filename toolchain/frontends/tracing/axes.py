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

__all__ = ["Grid", "Layout", "check_axes"]


class Layout(enum.Enum):
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
    def timed(self) -> bool:
        """Whether batch and time are axes of their own."""
        return self in (Layout.BATCH_TIME, Layout.TIME_BATCH)

    @property
    def lead(self) -> int:
        """How many axes come before the features."""
        return 2 if self.timed else 1

    def features(self, shape: Shape) -> Shape:
        """The axes of ``shape`` that are features."""
        return shape[self.lead :]

    @property
    def swapped(self) -> Layout | None:
        """With batch and time in the other order."""
        return _SWAPPED.get(self)

    @property
    def joined(self) -> Layout:
        """With batch and time as one axis, or as two where they are one; memory stays as it is."""
        return _JOINED[self]


_SWAPPED = {Layout.BATCH_TIME: Layout.TIME_BATCH, Layout.TIME_BATCH: Layout.BATCH_TIME}
_JOINED = {
    Layout.BATCH_TIME: Layout.ROWS,
    Layout.ROWS: Layout.BATCH_TIME,
    Layout.TIME_BATCH: Layout.ROWS_TIME_MAJOR,
    Layout.ROWS_TIME_MAJOR: Layout.TIME_BATCH,
    Layout.STEP: Layout.STEP,
}


@dataclass(frozen=True, slots=True)
class Grid:
    """The sizes of batch and time in one run."""

    batch: int
    time: int

    def lead(self, layout: Layout) -> Shape:
        """The leading axes of a tensor."""
        if layout is Layout.BATCH_TIME:
            return (self.batch, self.time)
        if layout is Layout.TIME_BATCH:
            return (self.time, self.batch)
        return (self.batch,) if layout is Layout.STEP else (self.batch * self.time,)

    def readings(self, shape: Shape) -> list[Layout]:
        """Which layouts a whole sequence of ``shape`` may have, the usual first."""
        return [layout for layout in _WHOLE if shape[: layout.lead] == self.lead(layout)]

    def reshaped(self, given: Shape, layout: Layout, made: Shape) -> tuple[Layout, bool] | None:
        """The layout of ``made``, and whether its features were flattened; None if neither."""
        features = layout.features(given)
        for kept in (layout, layout.joined):
            for flat, shape in ((False, features), (True, (prod(features),))):
                if made == (*self.lead(kept), *shape):
                    return kept, flat
        return None

    def of_step(self, given: Shape, layout: Layout, made: Shape) -> tuple[Layout, bool] | None:
        """As :meth:`reshaped`, of a single timestep with or without a time axis of length 1."""
        features = layout.features(given)
        alone = Grid(self.batch, 1)
        for kept in (layout, Layout.STEP, Layout.TIME_BATCH, Layout.BATCH_TIME):
            for flat, shape in ((False, features), (True, (prod(features),))):
                if made == (*alone.lead(kept), *shape):
                    return kept, flat
        return None

    def flattened(
        self, module: torch_nn.Flatten, given: Shape, layout: Layout
    ) -> tuple[Layout, bool] | None:
        """As :meth:`reshaped`, from the axes that an ``nn.Flatten`` joins."""
        start, end = (axis % len(given) for axis in (module.start_dim, module.end_dim))
        if start == end:
            return layout, False
        if layout.timed and (start, end) == (0, 1):
            return layout.joined, False
        return (layout, True) if (start, end) == (layout.lead, len(given) - 1) else None

    def batch_first(self, numbers: Array, layout: Layout) -> Array:
        """A whole sequence as (batch, time, *features)."""
        timed = layout if layout.timed else layout.joined
        array = numbers.reshape(*self.lead(timed), *layout.features(numbers.shape))
        return array.swapaxes(0, 1) if timed is Layout.TIME_BATCH else array


_RANK = {Axes.LAST: 1, Axes.ROWS: 1, Axes.IMAGE: 3}
_TAKES = {
    Axes.LAST: "one axis of features",
    Axes.ROWS: "(batch * time, features)",
    Axes.IMAGE: "(batch * time, channels, height, width)",
    Axes.TIME: "(batch, time, ...)",
    Axes.TIME_FIRST: "(time, batch, ...)",
    Axes.STEP: "(batch, ...) of one timestep",
    Axes.SQUEEZED: "(batch * time, ...)",
}
_LAYOUTS = {
    Axes.ROWS: {Layout.ROWS, Layout.ROWS_TIME_MAJOR, Layout.STEP},
    Axes.IMAGE: {Layout.ROWS, Layout.ROWS_TIME_MAJOR, Layout.STEP},
    Axes.TIME: {Layout.BATCH_TIME},
    Axes.TIME_FIRST: {Layout.TIME_BATCH},
    Axes.STEP: {Layout.STEP},
    Axes.SQUEEZED: {Layout.ROWS},
}
_WHOLE = tuple(layout for layout in Layout if layout is not Layout.STEP)


def check_axes(axes: Axes, shape: Shape, layout: Layout) -> None:
    """Refuse a layer that would take time for channels, or the other way round."""
    takes, found = _TAKES.get(axes, ""), f"{layout.value} of shape {shape}"
    if layout not in _LAYOUTS.get(axes, Layout):
        raise UnsupportedError(f"takes {takes}, got {found}; {_remedy(axes, layout)}")
    rank = _RANK.get(axes)
    if rank is not None and len(layout.features(shape)) != rank:
        raise UnsupportedError(f"takes {takes}, got {found}; a Flatten may be missing")


def _remedy(axes: Axes, layout: Layout) -> str:
    """What would bring ``layout`` to where ``axes`` can take it."""
    if axes is Axes.STEP:
        return "call it once in each step of a loop over time"
    if layout is Layout.STEP:
        return "call it once, on the whole sequence"
    if axes in (Axes.TIME, Axes.TIME_FIRST):
        return _TO_TIMED[layout]
    if layout is Layout.BATCH_TIME:
        return "put toolchain.nn.FlattenTime before it"
    if axes is Axes.SQUEEZED:
        return "it cuts rows sample by sample; hand it (batch, time, ...) flattened"
    return "put flatten(0, 1) before it"


_TO_TIMED = {
    Layout.BATCH_TIME: "put transpose(0, 1) before it",
    Layout.TIME_BATCH: "put transpose(0, 1) before it",
    Layout.ROWS: "put UnflattenTime before it or use Squeeze",
    Layout.ROWS_TIME_MAJOR: "unflatten its rows to (time, batch, ...) first",
}
