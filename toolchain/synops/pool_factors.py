"""Divisors of average pools, propagated from the pools to the layers with weights.

A chip sums the spikes of a window that a network in training averages, so an average counts as the
sum: its value times the divisor. Between a pool and a layer with weights there may be reshapes,
branches and functions, and neither names nor order of modules determine the path. So one pass is
traced: every tensor that depends on the model's input carries the set of divisors that went into
it. The output of a spiking layer starts again at 1, as does a comparison (``v > 1``), which also
produces spikes. If different divisors are mixed there is no single factor, and the layer that they
reach raises an error.

Source: sinabs' hooks as observed, for one pool in front of one weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["ONE", "PoolFactors", "tensors"]

Factors = frozenset[float | str]
ONE: Factors = frozenset((1.0,))
_NONE: Factors = frozenset()

# the results of these functions are counts or masks, not proportional to their inputs
_COMPARISONS = (
    "gt",
    "ge",
    "lt",
    "le",
    "eq",
    "ne",
    "greater",
    "less",
    "greater_equal",
    "less_equal",
)
_ROUNDINGS = ("heaviside", "sign", "floor", "round", "ceil", "trunc", "argmax", "argmin")
_DISCRETE = frozenset((*_COMPARISONS, *(f"__{name}__" for name in _COMPARISONS), *_ROUNDINGS))
_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", *(f"conv_transpose{n}d" for n in (1, 2, 3)))
_MATRICES = ("linear", "bilinear", "matmul", "mm", "bmm", "mv", "addmm", "addmv", "einsum")
_PRODUCTS = frozenset((*_CONVOLUTIONS, *_MATRICES, "tensordot", "__matmul__", "__rmatmul__"))


class PoolFactors(TorchFunctionMode):
    """Tracer of average-pool divisors through one pass of a model.

    Attributes:
        pooled: True if the pass contained an average pool.
        hidden: for each layer being run, True if its inside is not traced.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._factors: Any = WeakTensorKeyDictionary()
        # weights, and tensors computed from weights alone
        self._weights: Any = WeakTensorKeyDictionary()
        for name, parameter in model.named_parameters():
            if is_lazy(parameter) or parameter.dim() > 1:
                self._weights[parameter] = name
        self.pooled = False
        self.hidden: list[bool] = []

    def mark(self, value: Any, factors: Factors = ONE) -> None:
        """Set the factors of every tensor in ``value``."""
        for tensor in tensors(value):
            self._factors[tensor] = factors

    def of(self, value: Any) -> Factors:
        """Return the union of the factors of the tensors in ``value``."""
        factors = (self._factors.get(tensor, _NONE) for tensor in tensors(value))
        return _NONE.union(*factors)

    def factor(self, data: Any, path: str) -> float:
        """Return the divisor of the pools between the model's input and the layer ``path``.

        Raises:
            ValueError: there is no single divisor; the message contains the path.
        """
        if not self.pooled:
            return 1.0
        factors = self._factors.get(data)
        if factors is None:
            raise ValueError(f"{path}: cannot determine whether its input was average-pooled")
        reasons = [one for one in factors if isinstance(one, str)]
        if reasons:
            raise ValueError(f"{path}: its input comes from {reasons[0]}")
        if len(factors) > 1:
            divisors = " and by ".join(f"{one:g}" for one in sorted(map(float, factors)))
            raise ValueError(f"{path}: its input mixes values average-pooled by {divisors}")
        return float(next(iter(factors), 1.0))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call ``func`` and propagate the factors of its inputs to its outputs."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if self.hidden and self.hidden[-1]:
            return out
        if name == "__setitem__":
            self.mark(args[0], self.of(args))
        elif any(True for _ in tensors(out)):
            factors = self.of((args, kwargs))
            self._follow_weights(name, factors, (args, kwargs), out)
            self.mark(out, self._after(name, factors, args, kwargs))
        return out

    def _after(
        self, name: str, factors: Factors, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Factors:
        if name in _DISCRETE:
            return _NONE
        if "avg_pool" not in name:
            return factors
        divisor = _divisor(name, args, kwargs)
        if divisor == 1:
            return factors
        self.pooled = True
        if isinstance(divisor, str):
            return frozenset((divisor,))
        return frozenset(one if isinstance(one, str) else one * divisor for one in factors or ONE)

    def _follow_weights(self, name: str, factors: Factors, inputs: Any, out: Any) -> None:
        """Raise ValueError for a product of input and weights outside the layer of the weights.

        Tensors computed from weights alone get the name of the weights.
        """
        if factors and name not in _PRODUCTS:
            return
        for weight in filter(None, map(self._weights.get, tensors(inputs))):
            if factors:
                raise ValueError(
                    f"{weight} is used by {name} outside its own layer, "
                    "where synapses are not counted"
                )
            for tensor in tensors(out):
                self._weights[tensor] = weight


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield every tensor in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors(item)


def _divisor(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | str:
    """Return the divisor of an average pool, or the reason why it is not a single number."""
    space = int(name[-2])
    arguments = dict(zip(_ARGUMENTS[name.startswith("adaptive")], args, strict=False)) | kwargs
    size = tuple(arguments["input"].shape[-space:])
    if name.startswith("adaptive"):
        return _adaptive(size, _each(arguments["output_size"], space))
    if arguments.get("divisor_override"):
        return float(arguments["divisor_override"])
    kernel = _each(arguments["kernel_size"], space)
    stride = _each(arguments.get("stride") or kernel, space)
    padding = _each(arguments.get("padding", 0), space)
    if any(padding) and not arguments.get("count_include_pad", True):
        return "an average pool with count_include_pad=False, whose divisor differs at the border"
    rest = [(n + 2 * p - k) % s for n, p, k, s in zip(size, padding, kernel, stride, strict=True)]
    if arguments.get("ceil_mode") and any(rest):
        return "an average pool with ceil_mode=True, whose divisor differs at the border"
    return float(math.prod(kernel))


def _adaptive(size: tuple[int, ...], wanted: tuple[int | None, ...]) -> float | str:
    outputs = [n if out is None else out for n, out in zip(size, wanted, strict=True)]
    if any(n % out for n, out in zip(size, outputs, strict=True)):
        return f"an adaptive average pool from {size} to {tuple(outputs)}, windows of unequal size"
    return math.prod(size) / math.prod(outputs)


def _each(value: Any, space: int) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    return values * space if len(values) == 1 else values


_ARGUMENTS = {
    True: ("input", "output_size"),
    False: (
        "input",
        "kernel_size",
        "stride",
        "padding",
        "ceil_mode",
        "count_include_pad",
        "divisor_override",
    ),
}
