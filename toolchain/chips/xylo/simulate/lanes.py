"""Thirty-two int16 lanes as one value, for functions that numba compiles.

The chip's states have 16 bits and numba's arithmetic 64: a loop over int16 arrays spends its time
widening, and LLVM gives up on vectorising it where many arrays might overlap. Here a vector of 32
lanes is a type of its own and each function a few LLVM instructions on all lanes; LLVM fits it to
the machine at hand (one AVX-512 register, two of AVX2, four of NEON).

The functions work inside ``numba.njit`` code only. ``load``, ``load_bytes`` and ``store`` take
contiguous arrays with 32 elements from the offset on; nothing checks it.

They are compiled into the kernel: its ``INLINED`` changes with this file
(:mod:`toolchain.chips.compiled.cache`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic, models, register_model

__all__ = [
    "LANES",
    "add",
    "add_sat",
    "add_three_sat",
    "add_times_sat",
    "both",
    "cut",
    "cut_three",
    "either",
    "greater_equal",
    "leak",
    "load",
    "load_bytes",
    "lowest",
    "nonzero",
    "not_equal",
    "prefetch",
    "shift_left",
    "store",
    "subtract",
    "zeros",
]

LANES = 32

# called with other arguments than it is written with, which no type can say
_intrinsic: Callable[[Callable[..., Any]], Any] = intrinsic

_i16, _i32 = ir.IntType(16), ir.IntType(32)
_bytes = ir.VectorType(ir.IntType(8), LANES)
_words = ir.VectorType(_i16, LANES)
_wide = ir.VectorType(_i32, LANES)


class LanesType(types.Type):
    """numba's view of a vector of 32 int16."""

    def __init__(self) -> None:
        super().__init__(name="lanes_of_32_int16")


_lanes = LanesType()


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    """LLVM's view of it."""

    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _words)  # type: ignore[no-untyped-call]


def _all(kind: Any, value: int) -> Any:
    """The same constant in every lane."""
    return ir.Constant(kind, [value] * LANES)


def _spread(builder: Any, kind: Any, scalar: Any) -> Any:
    """An int64 in every lane, cut to the lane's width."""
    narrow = builder.trunc(scalar, kind.element)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), narrow, _i32(0))
    order = _all(ir.VectorType(_i32, LANES), 0)
    return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), order)


def _address(context: Any, builder: Any, kind: Any, array_type: Any, array: Any, at: Any) -> Any:
    """Where the vector of ``kind`` lies that starts at ``array[at]``."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), kind.as_pointer())


def _clamp(builder: Any, wide: Any) -> Any:
    """32-bit lanes within 16 bits, still 32 bits wide."""
    top, bottom = _all(_wide, 32767), _all(_wide, -32768)
    low = builder.select(builder.icmp_signed("<", wide, top), wide, top)
    return builder.select(builder.icmp_signed(">", low, bottom), low, bottom)


@_intrinsic
def load(typingctx: Any, array: Any, at: Any) -> Any:
    """``array[at : at + 32]`` of an int16 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, _words, signature.args[0], *args)
        return builder.load(where, align=2)

    return _lanes(array, types.intp), codegen


@_intrinsic
def load_bytes(typingctx: Any, array: Any, at: Any) -> Any:
    """``array[at : at + 32]`` of an int8 array, widened with its sign."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, _bytes, signature.args[0], *args)
        return builder.sext(builder.load(where, align=1), _words)

    return _lanes(array, types.intp), codegen


@_intrinsic
def store(typingctx: Any, array: Any, at: Any, lanes: Any) -> Any:
    """``array[at : at + 32] = lanes`` for an int16 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, _words, signature.args[0], *args[:2])
        builder.store(args[2], where, align=2)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), codegen


@_intrinsic
def prefetch(typingctx: Any, array: Any, at: Any) -> Any:
    """Asks for the cache line of ``array[at]`` in an int8 array, without waiting for it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name = "llvm.prefetch.p0"
        flags = [_i32, _i32, _i32]
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), *flags])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        where = _address(context, builder, ir.IntType(8), signature.args[0], *args)
        # to read, into the nearest cache, as data
        builder.call(function, [where, _i32(0), _i32(3), _i32(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@_intrinsic
def zeros(typingctx: Any) -> Any:
    """0 in every lane."""
    return _lanes(), lambda context, builder, signature, args: _all(_words, 0)


@_intrinsic
def add(typingctx: Any, a: Any, b: Any) -> Any:
    """``a + b``, wrapping."""
    return _lanes(_lanes, _lanes), lambda context, builder, signature, args: builder.add(*args)


@_intrinsic
def subtract(typingctx: Any, a: Any, b: Any) -> Any:
    """``a - b``, wrapping."""
    return _lanes(_lanes, _lanes), lambda context, builder, signature, args: builder.sub(*args)


@_intrinsic
def both(typingctx: Any, a: Any, b: Any) -> Any:
    """Bitwise and."""
    return _lanes(_lanes, _lanes), lambda context, builder, signature, args: builder.and_(*args)


@_intrinsic
def either(typingctx: Any, a: Any, b: Any) -> Any:
    """Bitwise or."""
    return _lanes(_lanes, _lanes), lambda context, builder, signature, args: builder.or_(*args)


@_intrinsic
def add_sat(typingctx: Any, a: Any, b: Any) -> Any:
    """``a + b`` within 16 bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name = f"llvm.sadd.sat.v{LANES}i16"
        kind = ir.FunctionType(_words, [_words, _words])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, args)

    return _lanes(_lanes, _lanes), codegen


@_intrinsic
def add_three_sat(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """``a + b + c`` within 16 bits, limited once."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b, c = (builder.sext(x, _wide) for x in args)
        return builder.trunc(_clamp(builder, builder.add(builder.add(a, b), c)), _words)

    return _lanes(_lanes, _lanes, _lanes), codegen


@_intrinsic
def add_times_sat(typingctx: Any, a: Any, b: Any, times: Any) -> Any:
    """``a + times * b`` within 16 bits; ``times`` is a scalar of at most 16 bits.

    As many saturating additions of ``b`` end at the same value: they all go one way.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b = (builder.sext(x, _wide) for x in args[:2])
        total = builder.add(a, builder.mul(b, _spread(builder, _wide, args[2])))
        return builder.trunc(_clamp(builder, total), _words)

    return _lanes(_lanes, _lanes, types.intp), codegen


@_intrinsic
def cut(typingctx: Any, a: Any, b: Any, times: Any) -> Any:
    """-1 in the lanes where ``a + times * b`` does not fit 16 bits, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b = (builder.sext(x, _wide) for x in args[:2])
        total = builder.add(a, builder.mul(b, _spread(builder, _wide, args[2])))
        return builder.sext(builder.icmp_signed("!=", total, _clamp(builder, total)), _words)

    return _lanes(_lanes, _lanes, types.intp), codegen


@_intrinsic
def cut_three(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """-1 in the lanes where ``a + b + c`` does not fit 16 bits, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b, c = (builder.sext(x, _wide) for x in args)
        total = builder.add(builder.add(a, b), c)
        return builder.sext(builder.icmp_signed("!=", total, _clamp(builder, total)), _words)

    return _lanes(_lanes, _lanes, _lanes), codegen


@_intrinsic
def shift_left(typingctx: Any, a: Any, bits: Any) -> Any:
    """``a << bits``, wrapping; ``bits`` is a scalar in 0..15."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.shl(args[0], _spread(builder, _words, args[1]))

    return _lanes(_lanes, types.intp), codegen


@_intrinsic
def leak(typingctx: Any, state: Any, dash: Any) -> Any:
    """``state >> dash``, but 1 where that is 0 and the state is above 0; dash in 0..15.

    The shift rounds down, so that no state below 0 shifts to 0.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lost, zero = builder.ashr(*args), _all(_words, 0)
        stuck = builder.icmp_signed("==", lost, zero)
        above = builder.icmp_signed(">", args[0], zero)
        return builder.add(lost, builder.zext(builder.and_(stuck, above), _words))

    return _lanes(_lanes, _lanes), codegen


@_intrinsic
def greater_equal(typingctx: Any, a: Any, b: Any) -> Any:
    """-1 in the lanes where ``a >= b``, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sext(builder.icmp_signed(">=", *args), _words)

    return _lanes(_lanes, _lanes), codegen


@_intrinsic
def not_equal(typingctx: Any, a: Any, b: Any) -> Any:
    """-1 in the lanes where ``a != b``, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sext(builder.icmp_signed("!=", *args), _words)

    return _lanes(_lanes, _lanes), codegen


@_intrinsic
def nonzero(typingctx: Any, a: Any) -> Any:
    """The lanes that are not 0, as the bits of an int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.icmp_signed("!=", args[0], _all(_words, 0))
        return builder.zext(builder.bitcast(bits, ir.IntType(LANES)), ir.IntType(64))

    return types.int64(_lanes), codegen


@_intrinsic
def lowest(typingctx: Any, bits: Any) -> Any:
    """Index of the lowest set bit; ``bits`` is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen
