"""Records of one model run: its tensors, and the calls that produced them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from toolchain.frontends.frameworks.adapter import Layer

__all__ = ["Call", "RecordedRun", "RecordedTensor", "Zeros", "leaves", "required_calls"]


@dataclass(frozen=True, slots=True)
class Zeros:
    """Placeholder for a tensor of zeros that does not depend on the sample: nothing fired yet."""

    shape: tuple[int, ...]


@dataclass(slots=True, eq=False)
class RecordedTensor:
    """A tensor that depends on the sample, or that a layer computed from zeros.

    Attributes:
        tensor: the tensor itself, for its identity; a later ``+=`` may have changed its numbers.
        numbers: its numbers when it was recorded; a copy where a later step compares them.
        shape: its shape.
        version: number of in-place changes before it was recorded.
        call: the call that produced it, None for the sample itself.
        index: position of the tensor among the outputs of ``call``.
    """

    tensor: Tensor
    numbers: Tensor
    shape: tuple[int, ...]
    version: int
    call: Call | None = None
    index: int = 0


@dataclass(slots=True, eq=False)
class Call:
    """A recorded call of a layer or a torch function.

    Attributes:
        name: the layer's own dotted name, or that of the module whose forward contains the call.
        op: name of the torch function; empty for a layer.
        module, layer: the layer and its kind, or the reason why it is refused.
        arguments: its arguments in order: a RecordedTensor for each tensor that depends on the
            sample, Zeros for another tensor of zeros, and everything else unchanged.
        options: its arguments by name.
        positional: its arguments by position, nested as they were given, with the same
            RecordedTensors.
        compute: the torch function itself; None for a layer.
        random: True if an argument was drawn at random.
        outputs: the tensors that it returned.
        where: file, line and source text in the user's code; empty for a layer, and where none of
            the user's code is involved.
    """

    name: str
    op: str = ""
    module: nn.Module | None = None
    layer: Layer | str | None = None
    arguments: list[Any] = field(default_factory=list)
    options: Mapping[str, Any] = field(default_factory=dict)
    positional: Sequence[Any] = ()
    compute: Callable[..., Any] | None = None
    random: bool = False
    outputs: list[RecordedTensor] = field(default_factory=list)
    where: str = ""

    @property
    def inputs(self) -> list[RecordedTensor]:
        """Recorded tensors among its arguments, in order."""
        return [item for item in self.arguments if isinstance(item, RecordedTensor)]

    @property
    def others(self) -> list[Any]:
        """All other arguments."""
        return [item for item in self.arguments if not isinstance(item, RecordedTensor)]

    @property
    def function(self) -> str:
        """``op`` without its module: ``add_``, ``reshape``, ``T``."""
        return self.op.removesuffix(".__get__").rsplit(".", maxsplit=1)[-1]

    @property
    def stateful(self) -> bool:
        """True for a layer that keeps a state over time."""
        return isinstance(self.layer, Layer) and self.layer.stateful

    def repeat(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs of the same call with ``tensors`` in the place of its ``inputs``.

        Only for functions and for layers without state; no argument is changed.
        """
        replacements = iter([tensor.clone() if self._in_place else tensor for tensor in tensors])
        args, kwargs = _substitute((self.positional, self.options), replacements)
        module = self.module
        with torch.no_grad():
            if self.compute is None:
                assert module is not None
                return [
                    item for item in leaves(module.forward(*args, **kwargs)) if _is_tensor(item)
                ]
            out = self.compute(*args, **kwargs)
        return [item for item in leaves(out) if _is_tensor(item)]

    @property
    def _in_place(self) -> bool:
        name = self.function
        return name.startswith("__i") or (name.endswith("_") and not name.endswith("__"))

    def __str__(self) -> str:
        """Return ``layer 'conv1' (Conv2d)`` or ``torch.mul at model.py:12 (y = 2 * x)``."""
        if self.module is not None:
            return f"layer {self.name!r} ({type(self.module).__name__})"
        if not self.where:
            return f"{self.op} in {self.name!r}" if self.name else self.op
        return f"{self.op} at {self.where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """Record of one model run: every call in order, the sample, and the outputs.

    Attributes:
        model: name of the model's class.
        calls: the calls, in the order in which they happened.
        sample: the model's input.
        outputs: the tensors that it returned, nested tuples flattened.
        paths: position of each output in what the model returned: keys, fields and indices.
        description: shapes and types of what it returned, for messages.
        problems: messages about what went wrong during the run.
        layers: every layer by name.
    """

    model: str
    calls: list[Call]
    sample: RecordedTensor
    outputs: list[RecordedTensor]
    paths: list[tuple[str | int, ...]]
    description: str
    problems: list[str]
    layers: Mapping[str, nn.Module]


def leaves(nested: Any) -> Iterator[Any]:
    """Return an iterator over the items in nested tuples, lists and dictionaries."""
    if isinstance(nested, Tensor):
        yield nested
        return
    if isinstance(nested, Mapping):
        nested = tuple(nested.values())
    if isinstance(nested, tuple | list):
        for item in nested:
            yield from leaves(item)
    else:
        yield nested


def _is_tensor(item: object) -> bool:
    return isinstance(item, Tensor)


def _substitute(nested: Any, replacements: Iterator[Tensor]) -> Any:
    """Return ``nested`` with each RecordedTensor replaced by the next of ``replacements``."""
    if isinstance(nested, RecordedTensor):
        return next(replacements)
    if isinstance(nested, Mapping):
        return {key: _substitute(value, replacements) for key, value in nested.items()}
    if isinstance(nested, tuple | list):
        items = [_substitute(item, replacements) for item in nested]
        return items if isinstance(nested, list) else tuple(items)
    return nested


def required_calls(calls: Sequence[Call], outputs: Sequence[RecordedTensor]) -> list[Call]:
    """Return the calls that ``outputs`` depend on, in the order in which they happened.

    A layer with state is included with all of its calls.
    """
    calls_of: dict[nn.Module | None, list[Call]] = {}
    for call in calls:
        if call.stateful:
            calls_of.setdefault(call.module, []).append(call)
    dependencies: set[Call] = set()
    pending = [output.call for output in outputs]
    while pending:
        current = pending.pop()
        if current is not None and current not in dependencies:
            dependencies.add(current)
            pending += [value.call for value in current.inputs]
            pending += calls_of.pop(current.module, [])
    return [call for call in calls if call in dependencies]
