"""Changes of a layer from outside: hooks on its input and output, and replaced parameters.

The parameters of such a layer do not determine its output, so that it is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from toolchain.diagnostics import ExtractError
from toolchain.frontends.tracing.returned import leaves_by_path

__all__ = ["LayerChanges"]

_State = list[tuple[int, int]]


class LayerChanges:
    """Detects changes of layers during a run."""

    def __init__(self, names: Mapping[nn.Module, str]) -> None:
        """Start with the layers by name, before the run."""
        self._names = names
        self._parameters = {layer: {**layer._parameters} for layer in names}
        self._inputs: dict[nn.Module, list[_State]] = {layer: [] for layer in self._parameters}
        self._outputs: dict[nn.Module, _State] = {}
        self._hooked: set[nn.Module] = set()

    def hooks(self, module: nn.Module) -> list[Any]:
        """Register hooks that run before those that a layer has; return their handles.

        A layer without hooks needs none: :meth:`enter` is enough.
        """
        if module not in self._parameters or not (
            module._forward_hooks or module._forward_pre_hooks
        ):
            return []
        self._hooked.add(module)
        return [
            module.register_forward_pre_hook(self._before, prepend=True),
            module.register_forward_hook(self._after, prepend=True),
        ]

    def enter(self, module: nn.Module, args: Any) -> None:
        """Record the input of a layer that has no hooks."""
        if module not in self._hooked:
            self._before(module, args)

    def _before(self, module: nn.Module, args: Any) -> None:
        tensors = _tensors(args)
        if any(map(torch._C._functorch.is_functorch_wrapped_tensor, tensors)):
            raise ExtractError(
                f"layer {self._names[module]!r} ({type(module).__name__}): is called inside a "
                "transform of torch.func, such as vmap; call it on the whole batch"
            )
        self._inputs[module].append(_state(tensors))

    def _after(self, module: nn.Module, args: Any, out: Any) -> None:
        self._outputs[module] = _state(out)

    def reason(self, module: nn.Module, args: Any, out: Any) -> str | None:
        """Return the reason to refuse a call, after all hooks of the layer; None if there is none.

        Args:
            module: the layer.
            args: its arguments, after the hooks that may change them.
            out: its result, after the hooks that may change it.
        """
        before, returned = self._inputs[module].pop(), self._outputs.pop(module, None)
        parameters, now = self._parameters[module], module._parameters
        replaced = [name for name, value in parameters.items() if now.get(name) is not value]
        if replaced:
            return (
                f"its {', '.join(replaced)} is replaced while the model runs, as by "
                "torch.func.functional_call; load the values into the layer before"
            )
        if before != _state(args):
            return _changed_by_hook("input")
        if returned is not None and returned != _state(out):
            return _changed_by_hook("output")
        return None


def _changed_by_hook(what: str) -> str:
    return (
        f"a forward hook changes its {what}; write the change as a layer of its own in the model's "
        "forward"
    )


def _state(values: Any) -> _State:
    """Return identity and number of in-place changes of each tensor."""
    return [(id(tensor), tensor._version) for tensor in _tensors(values)]


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    # the usual arguments, read without a look at every kind of container
    if type(values) is tuple and all(isinstance(item, Tensor) for item in values):
        return list(values)
    return [item for _, item in leaves_by_path(values) if isinstance(item, Tensor)]
