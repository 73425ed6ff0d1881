"""``hook_data``: where hooks leave what they found, on the layer or the model itself."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["HookData", "hook_data"]


class HookData(dict[str, Any]):
    """A dictionary whose copies are cut from the graph.

    What hooks find stays part of the graph, so that a loss can use it, and torch refuses to copy
    such tensors; a model must not become impossible to copy because it was counted.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> HookData:
        return _detached(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return HookData, (dict(_detached(self)),)


def hook_data(module: nn.Module) -> HookData:
    """The dictionary of ``module``, made where there is none."""
    data = getattr(module, "hook_data", None)
    if not isinstance(data, HookData):
        data = HookData(data or {})
        module.hook_data = data  # type: ignore[assignment]
    return data


def _detached(given: dict[Any, Any]) -> HookData:
    return HookData({key: _copy(value) for key, value in given.items()})


def _copy(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return value
