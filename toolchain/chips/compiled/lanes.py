"""Vectors of 32 numbers for functions that numba compiles.

The chips' states have 16 bits and numba's arithmetic 64: a loop over int16 arrays spends its time
on widening, and LLVM does not vectorise it if arrays may overlap or if only few elements are
contiguous. Here a vector of 32 lanes is a type of its own, and each function is a few LLVM
instructions on all lanes, which LLVM maps to the registers of the machine (for int16 one AVX-512
register, two of AVX2, four of NEON).

The functions work inside ``numba.njit`` code only. Those that read or write memory require
contiguous arrays with at least 32 elements from the offset on; this is not checked. The second of
two operands may be a scalar, which is truncated to the lanes' width and copied to every lane.
Comparisons return -1 in the lanes where they are true, else 0.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from toolchain.chips.compiled.width import LANES

__all__ = [
    "LANES",
    "add",
    "add_saturating",
    "at_least",
    "below",
    "blend",
    "both",
    "count",
    "either",
    "equal",
    "greater",
    "item",
    "load",
    "load_as",
    "lowest",
    "maximum",
    "minimum",
    "multiply",
    "narrow",
    "nonzero",
    "not_equal",
    "prefetch",
    "put",
    "shift_left",
    "shift_right",
    "store",
    "store_as",
    "subtract",
    "widen",
    "zeros",
]

ir: Any = import_module("llvmlite.ir")  # has no type information

# numba calls the decorated function with other arguments than its callers pass
_intrinsic: Callable[[Callable[..., Any]], Any] = intrinsic


class LanesType(types.Type):
    """Numba type of a vector of 32 numbers."""

    def __init__(self, dtype: Any) -> None:
        super().__init__(name=f"{LANES}_lanes_of_{dtype}")
        self.dtype = dtype


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    """LLVM representation of ``LanesType``."""

    def __init__(self, dmm: Any, fe_type: Any) -> None:
        element = dmm.lookup(fe_type.dtype).get_data_type()
        super().__init__(dmm, fe_type, ir.VectorType(element, LANES))


# -- memory ---------------------------------------------------------------------------------------


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    """Return a pointer to the vector that starts at ``array[at]``."""
    data = context.make_array(array_type)(context, builder, array).data
    kind = context.get_data_type(LanesType(array_type.dtype))
    return builder.bitcast(builder.gep(data, [at]), kind.as_pointer())


@_intrinsic
def load(typingctx: Any, array: Any, at: Any) -> Any:
    """Return ``array[at : at + 32]``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, signature.args[0], *args)
        return builder.load(where, align=array.dtype.bitwidth // 8)

    return LanesType(array.dtype)(array, types.int64), codegen


@_intrinsic
def item(typingctx: Any, array: Any, at: Any) -> Any:
    """Return the element ``at`` of a contiguous array of any dimensions, as an int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        value = builder.load(builder.gep(data, [args[1]]))
        if array.dtype.bitwidth == 64:
            return value
        extend = builder.sext if array.dtype.signed else builder.zext
        return extend(value, ir.IntType(64))

    return types.int64(array, types.int64), codegen


@_intrinsic
def put(typingctx: Any, array: Any, at: Any, value: Any) -> Any:
    """Assign ``value`` to the element ``at`` of a contiguous array of any dimensions."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        where = builder.gep(data, [args[1]])
        value = args[2]
        if array.dtype.bitwidth < 64:
            value = builder.trunc(value, where.type.pointee)
        builder.store(value, where)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


@_intrinsic
def load_as(typingctx: Any, array: Any, at: Any, like: Any) -> Any:
    """Return ``array[at : at + 32]`` of int8, sign-extended to the lane type of ``zeros(like)``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, signature.args[0], *args[:2])
        kind = context.get_data_type(signature.return_type)
        return builder.sext(builder.load(where, align=1), kind)

    return LanesType(like.dtype)(array, types.int64, like), codegen


@_intrinsic
def store(typingctx: Any, array: Any, at: Any, lanes: Any) -> Any:
    """Assign ``array[at : at + 32] = lanes``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, signature.args[0], *args[:2])
        builder.store(args[2], where, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, lanes), codegen


@_intrinsic
def store_as(typingctx: Any, array: Any, at: Any, lanes: Any) -> Any:
    """Assign ``array[at : at + 32] = lanes``, truncated to the type of the array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, signature.args[0], *args[:2])
        kind = where.type.pointee
        same = kind.element.width == args[2].type.element.width
        value = args[2] if same else builder.trunc(args[2], kind)
        builder.store(value, where, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, lanes), codegen


@_intrinsic
def prefetch(typingctx: Any, array: Any, at: Any) -> Any:
    """Prefetch the cache line of ``array[at]`` without waiting for it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, signature.args[0], *args)
        where = builder.bitcast(where, ir.IntType(8).as_pointer())
        # to read, into the nearest cache, as data
        flags = [ir.IntType(32)(flag) for flag in (0, 3, 1)]
        _call(builder, "llvm.prefetch.p0", ir.VoidType(), where, *flags)
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


def _call(builder: Any, name: str, result: Any, *args: Any) -> Any:
    """Build a call of an LLVM intrinsic."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


# -- lane by lane ---------------------------------------------------------------------------------


def spread(builder: Any, kind: Any, scalar: Any) -> Any:
    """Copy an int64 to every lane, truncated to the lane's width."""
    narrow = scalar if kind.element.width == 64 else builder.trunc(scalar, kind.element)
    i32 = ir.IntType(32)
    nothing = ir.Constant(kind, ir.Undefined)
    single = builder.insert_element(nothing, narrow, i32(0))
    return builder.shuffle_vector(single, nothing, ir.Constant(ir.VectorType(i32, LANES), None))


def _lanewise(operation: Callable[[Any, Any, Any], Any]) -> Any:
    """Return an intrinsic of two vectors, or of a vector and a scalar, from an LLVM operation."""

    def typed(typingctx: Any, a: Any, b: Any) -> Any:
        scalar = not isinstance(b, LanesType)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            other = spread(builder, args[0].type, args[1]) if scalar else args[1]
            return operation(builder, args[0], other)

        return a(a, types.int64 if scalar else b), codegen

    return _intrinsic(typed)


def _comparison(sign: str) -> Any:
    """Return a comparison intrinsic: -1 in the lanes where it is true, else 0."""
    return _lanewise(lambda builder, a, b: builder.sext(builder.icmp_signed(sign, a, b), a.type))


def _selection(sign: str) -> Any:
    """Return a selection intrinsic: ``a`` in the lanes where the comparison is true, else ``b``."""
    return _lanewise(lambda builder, a, b: builder.select(builder.icmp_signed(sign, a, b), a, b))


def saturating_sum(builder: Any, a: Any, b: Any) -> Any:
    """Build ``a + b``, saturating at the limits of the lane's width."""
    return _call(builder, f"llvm.sadd.sat.v{LANES}i{a.type.element.width}", a.type, a, b)


add = _lanewise(lambda builder, a, b: builder.add(a, b))
"""``a + b``, wrapping."""
subtract = _lanewise(lambda builder, a, b: builder.sub(a, b))
"""``a - b``, wrapping."""
multiply = _lanewise(lambda builder, a, b: builder.mul(a, b))
"""``a * b``, wrapping."""
add_saturating = _lanewise(saturating_sum)
"""``a + b``, saturating at the limits of the lane's width."""
both = _lanewise(lambda builder, a, b: builder.and_(a, b))
"""Bitwise and."""
either = _lanewise(lambda builder, a, b: builder.or_(a, b))
"""Bitwise or."""
shift_left = _lanewise(lambda builder, a, b: builder.shl(a, b))
"""``a << b``, wrapping; ``b`` from 0 to one less than the lane's width."""
shift_right = _lanewise(lambda builder, a, b: builder.ashr(a, b))
"""``a >> b``, rounding down; ``b`` from 0 to one less than the lane's width."""
maximum, minimum = _selection(">"), _selection("<")
at_least, below, greater = _comparison(">="), _comparison("<"), _comparison(">")
equal, not_equal = _comparison("=="), _comparison("!=")


@_intrinsic
def zeros(typingctx: Any, like: Any) -> Any:
    """Return a vector of zeros with the element type of ``like``, a vector or an array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_data_type(signature.return_type)(None)

    return LanesType(like.dtype)(like), codegen


@_intrinsic
def widen(typingctx: Any, a: Any) -> Any:
    """Return the same integers in lanes of twice the width."""
    wide = LanesType(types.Integer.from_bitwidth(2 * a.dtype.bitwidth))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sext(args[0], context.get_data_type(wide))

    return wide(a), codegen


@_intrinsic
def narrow(typingctx: Any, a: Any) -> Any:
    """Return the integers truncated to lanes of half the width."""
    half = LanesType(types.Integer.from_bitwidth(a.dtype.bitwidth // 2))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.trunc(args[0], context.get_data_type(half))

    return half(a), codegen


# -- lanes as bits --------------------------------------------------------------------------------


@_intrinsic
def nonzero(typingctx: Any, a: Any) -> Any:
    """Return an int64 with a set bit for each lane that is not 0; integers or floats."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        differs = builder.icmp_signed
        if isinstance(a.dtype, types.Float):
            differs = builder.fcmp_unordered
        truths = differs("!=", args[0], args[0].type(None))
        return builder.zext(builder.bitcast(truths, ir.IntType(LANES)), ir.IntType(64))

    return types.int64(a), codegen


@_intrinsic
def blend(typingctx: Any, bits: Any, a: Any, b: Any) -> Any:
    """Select the lanes of ``a`` where the bit is set, and the others from ``b``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        narrow = builder.trunc(args[0], ir.IntType(LANES))
        chosen = builder.bitcast(narrow, ir.VectorType(ir.IntType(1), LANES))
        return builder.select(chosen, *args[1:])

    return a(types.int64, a, a), codegen


@_intrinsic
def lowest(typingctx: Any, bits: Any) -> Any:
    """Return the index of the lowest set bit; ``bits`` must not be 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.int64), codegen


@_intrinsic
def count(typingctx: Any, bits: Any) -> Any:
    """Return the number of set bits."""
    codegen = lambda context, builder, signature, args: builder.ctpop(args[0])  # noqa: E731
    return types.int64(types.int64), codegen
