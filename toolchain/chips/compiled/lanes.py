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
    "add_products",
    "add_saturating",
    "add_to",
    "at_least",
    "below",
    "blend",
    "both",
    "count",
    "either",
    "element",
    "equal",
    "get",
    "greater",
    "load",
    "load_as",
    "lowest",
    "maximum",
    "minimum",
    "multiply",
    "narrow",
    "nonzero",
    "not_equal",
    "pointer",
    "prefetch",
    "put",
    "select",
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


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Return a pointer to the first element of an array; a pointer is one already."""
    if isinstance(kind, types.CPointer):
        return array
    return context.make_array(kind)(context, builder, array).data


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    """Return a pointer to the vector that starts at ``array[at]``."""
    data = _data(context, builder, array_type, array)
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
def load_as(typingctx: Any, array: Any, at: Any, like: Any) -> Any:
    """Return ``array[at : at + 32]``, sign-extended to the lane type of ``zeros(like)``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        where = _address(context, builder, signature.args[0], *args[:2])
        kind = context.get_data_type(signature.return_type)
        lanes = builder.load(where, align=array.dtype.bitwidth // 8)
        return builder.sext(lanes, kind) if lanes.type != kind else lanes

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
        value = builder.trunc(args[2], where.type.pointee)
        builder.store(value, where, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, lanes), codegen


@_intrinsic
def pointer(typingctx: Any, addresses: Any, at: Any, like: Any) -> Any:
    """Return the address ``addresses[at]`` as a pointer to numbers of the type of ``like``.

    It can be the array of every function that reads or writes memory. A function with one array of
    addresses is compiled in a fraction of the time of one with many arrays.
    """
    kind = types.CPointer(like)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = _data(context, builder, addresses, args[0])
        address = builder.load(builder.gep(data, [args[1]]))
        return builder.inttoptr(address, context.get_value_type(kind))

    return kind(addresses, types.int64, like), codegen


@_intrinsic
def get(typingctx: Any, array: Any, at: Any) -> Any:
    """Return the integer ``array.flat[at]`` of a contiguous array; ``at`` must not be negative."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = _data(context, builder, array, args[0])
        value = builder.load(builder.gep(data, [args[1]]))
        return context.cast(builder, value, array.dtype, types.int64)

    return types.int64(array, types.int64), codegen


@_intrinsic
def put(typingctx: Any, array: Any, at: Any, value: Any) -> Any:
    """Assign the integer ``array.flat[at] = value``; ``at`` must not be negative."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = _data(context, builder, array, args[0])
        value = context.cast(builder, args[2], types.int64, array.dtype)
        builder.store(value, builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


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
def select(typingctx: Any, truths: Any, a: Any, b: Any) -> Any:
    """Select the lanes of ``a`` where a comparison was true, and the others from ``b``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        chosen = builder.icmp_signed("!=", args[0], args[0].type(None))
        return builder.select(chosen, *args[1:])

    return a(truths, a, a), codegen


@_intrinsic
def element(typingctx: Any, a: Any, at: Any) -> Any:
    """Return one lane of integers as int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lane = builder.extract_element(args[0], builder.trunc(args[1], ir.IntType(32)))
        return context.cast(builder, lane, a.dtype, types.int64)

    return types.int64(a, types.int64), codegen


@_intrinsic
def zeros(typingctx: Any, like: Any) -> Any:
    """Return a vector of zeros with the type of ``like``, a number, or of its elements."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_data_type(signature.return_type)(None)

    return LanesType(getattr(like, "dtype", like))(like), codegen


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


# -- products of bytes ----------------------------------------------------------------------------


@_intrinsic
def add_products(
    typingctx: Any, sums: Any, counts: Any, at: Any, weights: Any, weight_at: Any
) -> Any:
    """Return int16 ``sums`` plus products of 4 counts with 16 times 4 weights.

    Lanes 2 i and 2 i + 1 together are the sum of output i: to both are added products of two of
    ``counts[at : at + 4]`` (uint8) with the weights of the output, ``weights[weight_at + 4 * i :]``
    (int8). No sum of products of an output may exceed int16; this is not checked.

    The products are spelled so that LLVM selects ``vpmaddubsw``, which saturates.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total, count_array, start, weight_array, weight_start = args
        few = _data(context, builder, counts, count_array)
        few = builder.bitcast(builder.gep(few, [start]), ir.IntType(32).as_pointer())
        many = _data(context, builder, weights, weight_array)
        kind = ir.VectorType(ir.IntType(8), 2 * LANES)
        many = builder.bitcast(builder.gep(many, [weight_start]), kind.as_pointer())
        quad = builder.load(few, align=1)
        i32 = ir.IntType(32)
        nothing = ir.Constant(ir.VectorType(i32, LANES // 2), ir.Undefined)
        spread = builder.shuffle_vector(
            builder.insert_element(nothing, quad, i32(0)),
            nothing,
            ir.Constant(ir.VectorType(i32, LANES // 2), None),
        )
        spread = builder.bitcast(spread, kind)
        products = _pair_products(builder, spread, builder.load(many, align=1))
        return builder.add(total, products)

    return sums(sums, counts, types.int64, weights, types.int64), codegen


def _pair_products(builder: Any, counts: Any, weights: Any) -> Any:
    """Return the int16 sums of two neighbouring products each, uint8 times int8, saturating."""
    wide = ir.VectorType(ir.IntType(32), LANES)
    low, high = _every_second(builder, counts, 0), _every_second(builder, counts, 1)
    first, second = _every_second(builder, weights, 0), _every_second(builder, weights, 1)
    total = builder.add(
        builder.mul(builder.zext(low, wide), builder.sext(first, wide)),
        builder.mul(builder.zext(high, wide), builder.sext(second, wide)),
    )
    for sign, limit in (("<", 2**15 - 1), (">", -(2**15))):
        limits = ir.Constant(wide, [limit] * LANES)
        total = builder.select(builder.icmp_signed(sign, total, limits), total, limits)
    return builder.trunc(total, ir.VectorType(ir.IntType(16), LANES))


def _every_second(builder: Any, lanes: Any, first: int) -> Any:
    """Return every second lane from ``first`` on."""
    half = lanes.type.count // 2
    chosen = ir.Constant(ir.VectorType(ir.IntType(32), half), [2 * i + first for i in range(half)])
    return builder.shuffle_vector(lanes, ir.Constant(lanes.type, ir.Undefined), chosen)


@_intrinsic
def add_to(typingctx: Any, array: Any, at: Any, sums: Any) -> Any:
    """Add the 16 sums of ``add_products`` to ``array[at : at + 16]``, of 16 bits or more."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = _data(context, builder, array, args[0])
        element = context.get_data_type(array.dtype)
        kind = ir.VectorType(element, LANES // 2)
        where = builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer())
        total = builder.add(*(_every_second(builder, args[2], first) for first in (0, 1)))
        total = builder.sext(total, kind) if total.type != kind else total
        align = array.dtype.bitwidth // 8
        builder.store(builder.add(builder.load(where, align=align), total), where, align=align)
        return context.get_dummy_value()

    return types.void(array, types.int64, sums), codegen


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
