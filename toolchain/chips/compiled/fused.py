"""Operations on vectors of 32 numbers that are written as Python expressions.

A function marked ``fused`` runs once, while numba compiles its caller: it receives the LLVM values
of its arguments as ``Lanes`` and builds the instructions of its result. It therefore costs no type
inference and no call, and what a caller does not use of its results is not computed.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar, cast

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from toolchain.chips.compiled.lanes import LanesType, saturating_sum, spread

__all__ = ["Lanes", "fused"]

ir: Any = import_module("llvmlite.ir")  # has no type information
F = TypeVar("F", bound=Callable[..., Any])


class Lanes:
    """A vector of 32 integers while the code for it is built.

    Operators work lane by lane and wrap; comparisons give -1 in the lanes where they are true, else
    0. The other operand may be a whole number.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder = builder
        self.value = value

    def _of(self, value: Any) -> Lanes:
        return Lanes(self.builder, value)

    def _operand(self, other: Lanes | int) -> Any:
        kind = self.value.type
        return other.value if isinstance(other, Lanes) else ir.Constant(kind, [other] * kind.count)

    def _compared(self, sign: str, other: Lanes | int) -> Lanes:
        truths = self.builder.icmp_signed(sign, self.value, self._operand(other))
        return self._of(self.builder.sext(truths, self.value.type))

    def __add__(self, other: Lanes | int) -> Lanes:
        return self._of(self.builder.add(self.value, self._operand(other)))

    def __sub__(self, other: Lanes | int) -> Lanes:
        return self._of(self.builder.sub(self.value, self._operand(other)))

    def __mul__(self, other: Lanes | int) -> Lanes:
        return self._of(self.builder.mul(self.value, self._operand(other)))

    def __and__(self, other: Lanes | int) -> Lanes:
        return self._of(self.builder.and_(self.value, self._operand(other)))

    def __or__(self, other: Lanes | int) -> Lanes:
        return self._of(self.builder.or_(self.value, self._operand(other)))

    def __rshift__(self, other: Lanes | int) -> Lanes:
        return self._of(self.builder.ashr(self.value, self._operand(other)))

    def __neg__(self) -> Lanes:
        return self._of(self.builder.neg(self.value))

    def __eq__(self, other: Lanes | int) -> Lanes:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: Lanes | int) -> Lanes:  # type: ignore[override]
        return self._compared("!=", other)

    def __gt__(self, other: Lanes | int) -> Lanes:
        return self._compared(">", other)

    def __ge__(self, other: Lanes | int) -> Lanes:
        return self._compared(">=", other)

    def saturating_add(self, other: Lanes) -> Lanes:
        """Return the sum, limited to the lanes' width."""
        return self._of(saturating_sum(self.builder, self.value, other.value))

    def clip(self, low: int, high: int) -> Lanes:
        """Return the values limited to ``low .. high``."""
        build, value = self.builder, self.value
        for sign, limit in (("<", high), (">", low)):
            bound = self._operand(limit)
            value = build.select(build.icmp_signed(sign, value, bound), value, bound)
        return self._of(value)

    def widen(self) -> Lanes:
        """Return the same integers in lanes of twice the width."""
        kind = self.value.type
        wide = ir.VectorType(ir.IntType(2 * kind.element.width), kind.count)
        return self._of(self.builder.sext(self.value, wide))

    def narrow(self) -> Lanes:
        """Return the integers truncated to lanes of half the width."""
        kind = self.value.type
        half = ir.VectorType(ir.IntType(kind.element.width // 2), kind.count)
        return self._of(self.builder.trunc(self.value, half))


def fused(results: int) -> Callable[[F], F]:
    """Make a function of ``Lanes`` callable in compiled code.

    Args:
        results: number of vectors that it returns, all of the type of its first argument; 1 for a
            single vector, otherwise a tuple.

    The first argument must be a vector. Scalars are truncated to its lanes and copied to each of
    them; ``None`` stays ``None``, so that a caller can leave an argument out.
    """

    def decorate(function: F) -> F:
        def typed(typingctx: Any, *arguments: Any) -> Any:
            lane_type = arguments[0]

            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                kind = args[0].type
                values: list[Lanes | None] = []
                for argument, value in zip(signature.args, args, strict=True):
                    if isinstance(argument, types.NoneType):
                        values.append(None)
                    elif isinstance(argument, LanesType):
                        values.append(Lanes(builder, value))
                    else:
                        values.append(Lanes(builder, spread(builder, kind, value)))
                found = function(*values)
                if results == 1:
                    return found.value
                return cgutils.pack_array(builder, [f.value for f in found])

            wanted = [
                a if isinstance(a, (LanesType, types.NoneType)) else types.int64 for a in arguments
            ]
            result = lane_type if results == 1 else types.UniTuple(lane_type, results)
            return result(*wanted), codegen

        # numba takes the names of the arguments from here
        parameters = inspect.signature(function).parameters.values()
        first = inspect.Parameter("typingctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        cast("Any", typed).__signature__ = inspect.Signature([first, *parameters])
        return cast("F", intrinsic(typed))

    return decorate
