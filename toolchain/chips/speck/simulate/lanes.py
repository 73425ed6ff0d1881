"""Thirty-two integers as one value, for functions that numba compiles.

Membranes have 16 bits and numba's arithmetic 64, and LLVM gives up on the short runs of an event:
most of its time would go into proving that arrays do not overlap and into what is left over of a
run. Here a vector of 32 lanes is a type of its own, of 16, 32 or 64 bits a lane, and each function
is a few LLVM instructions on all lanes; LLVM fits it to the machine at hand.

The functions work inside ``numba.njit`` code only. ``load``, ``load_as`` and ``store`` take
contiguous arrays with 32 elements from the offset on, ``busy`` with 64; nothing checks it.

numba keeps compiled code on disk and looks for changes in the file of the compiled function only.
Therefore each such file holds a digest of the files whose functions and constants go into it,
``INLINED``; a test says when it is out of date.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from numba import types
from numba.extending import intrinsic, models, register_model

from toolchain.chips.compiled import cache

__all__ = [
    "CHUNK",
    "LANES",
    "add",
    "below",
    "blend",
    "busy",
    "compiled",
    "count",
    "inline",
    "load",
    "load_as",
    "lowest",
    "raised",
    "reached",
    "store",
    "times",
]

LANES = 32
CHUNK = 64

ir: Any = import_module("llvmlite.ir")  # it has no types

# Nothing is allocated in compiled functions, so numba may leave out the counting of references to
# arrays: it costs more than the work of a small event, and threads would wait for each other's
# counts.
compiled: Any = partial(cache.compiled, _nrt=False)
inline: Any = partial(cache.inline, _nrt=False)

# called with other arguments than it is written with, which no type can say
_intrinsic: Callable[[Callable[..., Any]], Any] = intrinsic


class LanesType(types.Type):
    """numba's view of a vector of integers."""

    def __init__(self, dtype: Any) -> None:
        super().__init__(name=f"{LANES}_lanes_of_{dtype}")
        self.dtype = dtype


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    """LLVM's view of it."""

    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _vector(fe_type.dtype))


def _vector(dtype: Any) -> Any:
    """LLVM's vector of numba's ``dtype``."""
    return ir.VectorType(ir.IntType(dtype.bitwidth), LANES)


def _spread(builder: Any, kind: Any, scalar: Any) -> Any:
    """An int64 in every lane, cut to the lane's width."""
    narrow = scalar if kind.element.width == 64 else builder.trunc(scalar, kind.element)
    i32 = ir.IntType(32)
    nothing = ir.Constant(kind, ir.Undefined)
    single = builder.insert_element(nothing, narrow, i32(0))
    return builder.shuffle_vector(single, nothing, ir.Constant(ir.VectorType(i32, LANES), None))


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    """Where the vector lies that starts at ``array[at]``."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), _vector(array_type.dtype).as_pointer())


def _bits(builder: Any, truths: Any) -> Any:
    return builder.zext(builder.bitcast(truths, ir.IntType(LANES)), ir.IntType(64))


@_intrinsic
def load(typingctx: Any, array: Any, at: Any) -> Any:
    """``array[at : at + 32]``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, signature.args[0], *args)
        return builder.load(where, align=array.dtype.bitwidth // 8)

    return LanesType(array.dtype)(array, types.int64), codegen


@_intrinsic
def load_as(typingctx: Any, array: Any, at: Any, like: Any) -> Any:
    """``array[at : at + 32]`` of int8, widened with their sign to the elements of ``like``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, signature.args[0], *args[:2])
        return builder.sext(builder.load(where, align=1), _vector(like.dtype))

    return LanesType(like.dtype)(array, types.int64, like), codegen


@_intrinsic
def busy(typingctx: Any, array: Any, at: Any) -> Any:
    """Which of ``array[at : at + 64]`` are not 0, as the bits of an int64; any plain numbers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        kind = ir.VectorType(data.type.pointee, CHUNK)
        where = builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer())
        values = builder.load(where, align=array.dtype.bitwidth // 8)
        zeros = ir.Constant(kind, None)
        if isinstance(array.dtype, types.Float):
            some = builder.fcmp_unordered("!=", values, zeros)
        else:
            some = builder.icmp_signed("!=", values, zeros)
        return builder.bitcast(some, ir.IntType(CHUNK))

    return types.int64(array, types.int64), codegen


@_intrinsic
def store(typingctx: Any, array: Any, at: Any, lanes: Any) -> Any:
    """``array[at : at + 32] = lanes``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, signature.args[0], *args[:2])
        builder.store(args[2], where, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, lanes), codegen


@_intrinsic
def add(typingctx: Any, a: Any, b: Any) -> Any:
    """``a + b``, wrapping."""
    return a(a, a), lambda context, builder, signature, args: builder.add(*args)


@_intrinsic
def times(typingctx: Any, a: Any, factor: Any) -> Any:
    """``a`` times a scalar, wrapping."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.mul(args[0], _spread(builder, _vector(a.dtype), args[1]))

    return a(a, types.int64), codegen


@_intrinsic
def raised(typingctx: Any, a: Any, floor: Any) -> Any:
    """``a``, or the scalar where that is greater."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bound = _spread(builder, _vector(a.dtype), args[1])
        return builder.select(builder.icmp_signed(">", args[0], bound), args[0], bound)

    return a(a, types.int64), codegen


@_intrinsic
def reached(typingctx: Any, a: Any, threshold: Any) -> Any:
    """The lanes that are at least the scalar, as the bits of an int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bound = _spread(builder, _vector(a.dtype), args[1])
        return _bits(builder, builder.icmp_signed(">=", args[0], bound))

    return types.int64(a, types.int64), codegen


@_intrinsic
def below(typingctx: Any, a: Any, floor: Any) -> Any:
    """The lanes that are less than the scalar, as the bits of an int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bound = _spread(builder, _vector(a.dtype), args[1])
        return _bits(builder, builder.icmp_signed("<", args[0], bound))

    return types.int64(a, types.int64), codegen


@_intrinsic
def blend(typingctx: Any, bits: Any, a: Any, b: Any) -> Any:
    """The lanes of ``a`` whose bits are set, and the others of ``b``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        narrow = builder.trunc(args[0], ir.IntType(LANES))
        chosen = builder.bitcast(narrow, ir.VectorType(ir.IntType(1), LANES))
        return builder.select(chosen, *args[1:])

    return a(types.int64, a, a), codegen


@_intrinsic
def lowest(typingctx: Any, bits: Any) -> Any:
    """Index of the lowest set bit; ``bits`` is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


@_intrinsic
def count(typingctx: Any, bits: Any) -> Any:
    """How many bits are set."""
    codegen = lambda context, builder, signature, args: builder.ctpop(args[0])  # noqa: E731
    return types.int64(types.int64), codegen
