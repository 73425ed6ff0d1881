"""What average pooling has divided by, carried from the pool to the weights it reaches.

A chip adds up the spikes of a window where a network in training averages them, so an average
counts as the sum it stands for: its value times the factor. The way from a pool to a weight may
lead through reshapes, branches and functions, and neither names nor order say where it goes. So
one run is watched: every tensor that depends on the model's input carries the set of factors that
went into it. A layer that makes spikes starts anew at 1, and what only compares (``v > 1``) makes
spikes too. Where two different factors have mixed there is no single answer, and the layer that
they reach is refused.

Source: sinabs' hooks as observed, for one pool in front of one weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["ONE", "PoolFactors", "tensors"]

Factors = frozenset[float | str]
ONE: Factors = frozenset((1.0,))
_NONE: Factors = frozenset()

# results of these are not proportional to what went in: counts or masks of their own
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
_CONVOLUTIONS = tuple(f"conv{how}{n}d" for how in ("", "_transpose") for n in (1, 2, 3))
_MATRICES = ("linear", "bilinear", "matmul", "mm", "bmm", "mv", "addmm", "addmv", "einsum")
_PRODUCTS = frozenset((*_CONVOLUTIONS, *_MATRICES, "tensordot", "__matmul__", "__rmatmul__"))


class PoolFactors(TorchFunctionMode):
    """Follows factors through one run of a model.

    Attributes:
        pooled: whether an average pool was met.
        hidden: for each layer being run, whether its inside is left alone.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._factors: Any = WeakTensorKeyDictionary()
        # what is a weight, or was made from weights alone
        self._weights: Any = WeakTensorKeyDictionary()
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                self._weights[parameter] = name
        self.pooled = False
        self.hidden: list[bool] = []

    def mark(self, given: Any, factors: Factors = ONE) -> None:
        """Every tensor in ``given`` carries ``factors`` from here on."""
        for tensor in tensors(given):
            self._factors[tensor] = factors

    def of(self, given: Any) -> Factors:
        """The factors that the tensors in ``given`` carry together."""
        found = (self._factors.get(tensor, _NONE) for tensor in tensors(given))
        return _NONE.union(*found)

    def factor(self, data: Any, path: str) -> float:
        """What pools on the way to the layer ``path`` have divided its input by.

        Raises:
            ValueError: no single number says it; names the layer.
        """
        if not self.pooled:
            return 1.0
        found = self._factors.get(data)
        if found is None:
            raise ValueError(f"{path}: can not see whether its input was average-pooled")
        reasons = [one for one in found if isinstance(one, str)]
        if reasons:
            raise ValueError(f"{path}: its input comes from {reasons[0]}")
        if len(found) > 1:
            divisors = " and by ".join(f"{one:g}" for one in sorted(map(float, found)))
            raise ValueError(f"{path}: its input mixes values average-pooled by {divisors}")
        return float(next(iter(found), 1.0))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call ``func`` and hand the factors of its inputs on to its outputs."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if self.hidden and self.hidden[-1]:
            return out
        if name == "__setitem__":
            self.mark(args[0], self.of(args))
        elif any(True for _ in tensors(out)):
            given = self.of((args, kwargs))
            self._follow_weights(name, given, (args, kwargs), out)
            self.mark(out, self._after(name, given, args, kwargs))
        return out

    def _after(
        self, name: str, given: Factors, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Factors:
        if name in _DISCRETE:
            return _NONE
        if "avg_pool" not in name:
            return given
        divisor = _divisor(name, args, kwargs)
        if divisor == 1:
            return given
        self.pooled = True
        if isinstance(divisor, str):
            return frozenset((divisor,))
        return frozenset(one if isinstance(one, str) else one * divisor for one in given or ONE)

    def _follow_weights(self, name: str, given: Factors, inputs: Any, out: Any) -> None:
        """Refuse synapses that no layer owns: a product of weights and what depends on the input.

        Names what is made from weights alone after them.
        """
        if given and name not in _PRODUCTS:
            return
        for weight in filter(None, map(self._weights.get, tensors(inputs))):
            if given:
                raise ValueError(
                    f"{weight} is used by {name} outside its own layer, "
                    "where synapses are not counted"
                )
            for tensor in tensors(out):
                self._weights[tensor] = weight


def tensors(given: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries."""
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, Mapping):
        yield from tensors(tuple(given.values()))
    elif isinstance(given, tuple | list):
        for item in given:
            yield from tensors(item)


def _divisor(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | str:
    """What an average pool divides by, or why that is not one number."""
    space = int(name[-2])
    given = dict(zip(_ARGUMENTS[name.startswith("adaptive")], args, strict=False)) | kwargs
    size = tuple(given["input"].shape[-space:])
    if name.startswith("adaptive"):
        return _adaptive(size, _each(given["output_size"], space))
    if given.get("divisor_override"):
        return float(given["divisor_override"])
    kernel = _each(given["kernel_size"], space)
    stride = _each(given.get("stride") or kernel, space)
    padding = _each(given.get("padding", 0), space)
    if any(padding) and not given.get("count_include_pad", True):
        return "an average pool with count_include_pad=False, whose divisor differs at the border"
    rest = [(n + 2 * p - k) % s for n, p, k, s in zip(size, padding, kernel, stride, strict=True)]
    if given.get("ceil_mode") and any(rest):
        return "an average pool with ceil_mode=True, whose divisor differs at the border"
    return float(math.prod(kernel))


def _adaptive(size: tuple[int, ...], wanted: tuple[int | None, ...]) -> float | str:
    outputs = [n if out is None else out for n, out in zip(size, wanted, strict=True)]
    if any(n % out for n, out in zip(size, outputs, strict=True)):
        return f"an adaptive average pool from {size} to {tuple(outputs)}, windows of unequal size"
    return math.prod(size) / math.prod(outputs)


def _each(given: Any, space: int) -> tuple[Any, ...]:
    values = tuple(given) if isinstance(given, tuple | list) else (given,)
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
