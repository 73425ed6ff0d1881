"""Part of a tensor that a view contains, from its offset and its strides.

However it was written (``x[t]``, ``x.select``, ``for step in x``, ``unbind``), a view is fully
described by its offset, its shape and its strides.
"""

from __future__ import annotations

from torch import Tensor

from toolchain.frontends.tracing.calls import Call, RecordedTensor

__all__ = ["find_step", "shows_all", "swaps_first_two"]


def swaps_first_two(call: Call) -> bool:
    """Return True if a reordering swaps the first two axes and leaves the others."""
    output, source = call.outputs[0].tensor, call.inputs[0].tensor
    if source.dim() < 2:
        return False
    transposed = source.transpose(0, 1)
    return (
        output.data_ptr() == transposed.data_ptr()
        and output.shape == transposed.shape
        and output.stride() == transposed.stride()
    )


def shows_all(call: Call) -> bool:
    """Return True if a view contains its whole tensor, apart from axes of length 1."""
    output, source = call.outputs[0].tensor, call.inputs[0].tensor
    return output.data_ptr() == source.data_ptr() and _long_axes(output) == _long_axes(source)


def _long_axes(tensor: Tensor) -> list[tuple[int, int]]:
    return [axis for axis in zip(tensor.shape, tensor.stride(), strict=True) if axis[0] != 1]


def find_step(output: RecordedTensor, source: RecordedTensor, axis: int) -> tuple[int, bool] | None:
    """Return the one index along ``axis`` that a view contains, and whether it kept the axis.

    None if the view contains more than one index, or only a part of the other axes.
    """
    view, whole = output.tensor, source.tensor
    stride = int(whole.stride(axis))
    if stride == 0 or view.untyped_storage().data_ptr() != whole.untyped_storage().data_ptr():
        return None
    step, rest = divmod(int(view.storage_offset()) - int(whole.storage_offset()), stride)
    if rest or not 0 <= step < whole.shape[axis]:
        return None
    axes = list(zip(whole.shape, whole.stride(), strict=True))
    others = axes[:axis] + axes[axis + 1 :]
    view_axes = list(zip(view.shape, view.stride(), strict=True))
    if view_axes == others:
        return step, False
    if view.dim() == whole.dim() and view.shape[axis] == 1:
        return (step, True) if view_axes[:axis] + view_axes[axis + 1 :] == others else None
    return None
