"""Which axes of a recorded tensor are batch and time.

A tensor is either *timed*, ``(batch, time, *features)``, or in *rows*, ``(batch * time,
*features)``. How long batch and time are is known from the layers that cut or keep them; all of
them have to agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

from torch import nn as torch_nn

from toolchain import nn
from toolchain.frontends.adapter import Axes, Layer, UnsupportedError
from toolchain.frontends.record import Call
from toolchain.ir import Shape

__all__ = ["Grid", "batch_and_time", "check_axes"]


@dataclass(frozen=True, slots=True)
class Grid:
    """The sizes of batch and time in one run."""

    batch: int
    time: int

    def lead(self, timed: bool) -> Shape:
        """The leading axes of a tensor."""
        return (self.batch, self.time) if timed else (self.batch * self.time,)

    def readings(self, shape: Shape) -> list[bool]:
        """Which ways of reading ``shape`` (timed or not) are possible."""
        return [t for t in (True, False) if shape[: 2 if t else 1] == self.lead(t)]

    def reshaped(self, given: Shape, timed: bool, made: Shape) -> tuple[bool, bool] | None:
        """Whether ``made`` is timed, and whether its features were flattened; None if neither."""
        features = given[2 if timed else 1 :]
        for kept in (timed, not timed):
            for flat, shape in ((False, features), (True, (prod(features),))):
                if made == (*self.lead(kept), *shape):
                    return kept, flat
        return None

    def flattened(
        self, module: torch_nn.Flatten, given: Shape, timed: bool
    ) -> tuple[bool, bool] | None:
        """As :meth:`reshaped`, from the axes that an ``nn.Flatten`` joins."""
        start, end = (axis % len(given) for axis in (module.start_dim, module.end_dim))
        features = 2 if timed else 1
        if start == end:
            return timed, False
        if timed and (start, end) == (0, 1):
            return False, False
        return (timed, True) if (start, end) == (features, len(given) - 1) else None


def batch_and_time(calls: Iterable[Call], sample: Shape) -> Grid:
    """The sizes that the layers agree on; the sample's first two axes if none of them tells.

    Raises:
        UnsupportedError: two layers disagree, or the sample does not go with them.
    """
    claims = {str(call): grid for call in calls for grid in _claims(call)}
    if len(set(claims.values())) > 1:
        told = "; ".join(
            f"{name}: batch {grid.batch}, time {grid.time}" for name, grid in claims.items()
        )
        raise UnsupportedError(
            f"the layers disagree about batch and time: {told}. Layers on (batch, time, ...) and "
            "layers on (batch * time, ...) are joined by FlattenTime and UnflattenTime"
        )
    for grid in claims.values():
        if not grid.readings(sample):
            raise UnsupportedError(
                f"the sample has shape {sample}, but the spiking layers see batch {grid.batch} and "
                f"time {grid.time}; it should start with (batch, time) or with batch * time"
            )
        return grid
    if len(sample) < 3:
        raise UnsupportedError(
            f"cannot tell batch and time of a sample of shape {sample}; give it as "
            "(batch, time, *features)"
        )
    return Grid(*sample[:2])


def _claims(call: Call) -> Iterator[Grid]:
    if not isinstance(call.layer, Layer) or not call.inputs or not call.outputs:
        return
    shape, module = call.inputs[0].shape, call.module
    if call.layer.axes_of(module) is Axes.TIME or isinstance(module, nn.FlattenTime):
        yield Grid(*shape[:2])
    elif isinstance(module, nn.Squeeze):
        yield Grid(*module.batch_and_time(shape[0]))
    elif isinstance(module, nn.UnflattenTime):
        yield Grid(*call.outputs[0].shape[:2])


_RANK = {Axes.LAST: 1, Axes.ROWS: 1, Axes.IMAGE: 3}
_TAKES = {
    Axes.LAST: "one axis of features",
    Axes.ROWS: "(batch * time, features)",
    Axes.IMAGE: "(batch * time, channels, height, width)",
    Axes.TIME: "(batch, time, ...)",
    Axes.SQUEEZED: "(batch * time, ...)",
}


def check_axes(axes: Axes, shape: Shape, timed: bool) -> None:
    """Refuse a layer that would take time for channels, or the other way round."""
    takes, found = _TAKES.get(axes, ""), f"{_read(timed)} of shape {shape}"
    if axes is Axes.TIME and not timed:
        raise UnsupportedError(
            f"takes {takes}, got {found}; put UnflattenTime before it or use Squeeze"
        )
    if axes in (Axes.IMAGE, Axes.ROWS, Axes.SQUEEZED) and timed:
        raise UnsupportedError(
            f"takes {takes}, got {found}; put toolchain.nn.FlattenTime before it"
        )
    rank = _RANK.get(axes)
    if rank is not None and len(shape) - (2 if timed else 1) != rank:
        raise UnsupportedError(f"takes {takes}, got {found}; a Flatten may be missing")


def _read(timed: bool) -> str:
    return "(batch, time, ...)" if timed else "(batch * time, ...)"
