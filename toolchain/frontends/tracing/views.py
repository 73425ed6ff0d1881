"""What a view shows of its tensor, from where it starts and how it strides.

However it was written (``x[t]``, ``x.select``, ``for step in x``, ``unbind``), a view is fully
described by its start, its shape and its strides, and those cannot lie.
"""

from __future__ import annotations

from torch import Tensor

from toolchain.frontends.tracing.calls import Call, Value

__all__ = ["shows_all", "step_shown", "swaps_first_two"]


def swaps_first_two(call: Call) -> bool:
    """Whether a reordering of axes swaps the first two and leaves the others."""
    made, given = call.outputs[0].tensor, call.inputs[0].tensor
    if given.dim() < 2:
        return False
    wanted = given.transpose(0, 1)
    return (
        made.data_ptr() == wanted.data_ptr()
        and made.shape == wanted.shape
        and made.stride() == wanted.stride()
    )


def shows_all(call: Call) -> bool:
    """Whether a view shows its whole tensor, perhaps with axes of length 1 more or less."""
    made, given = call.outputs[0].tensor, call.inputs[0].tensor
    return made.data_ptr() == given.data_ptr() and _long_axes(made) == _long_axes(given)


def _long_axes(tensor: Tensor) -> list[tuple[int, int]]:
    return [axis for axis in zip(tensor.shape, tensor.stride(), strict=True) if axis[0] != 1]


def step_shown(made: Value, given: Value, axis: int) -> tuple[int, bool] | None:
    """Which one place along ``axis`` a view shows, and whether it kept the axis; None if not one.

    The view shows all of the other axes.
    """
    view, whole = made.tensor, given.tensor
    stride = int(whole.stride(axis))
    if stride == 0 or view.untyped_storage().data_ptr() != whole.untyped_storage().data_ptr():
        return None
    step, rest = divmod(int(view.storage_offset()) - int(whole.storage_offset()), stride)
    if rest or not 0 <= step < whole.shape[axis]:
        return None
    axes = list(zip(whole.shape, whole.stride(), strict=True))
    others = axes[:axis] + axes[axis + 1 :]
    shown = list(zip(view.shape, view.stride(), strict=True))
    if shown == others:
        return step, False
    if view.dim() == whole.dim() and view.shape[axis] == 1:
        return (step, True) if shown[:axis] + shown[axis + 1 :] == others else None
    return None
