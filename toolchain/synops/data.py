"""``hook_data``: the results of hooks, stored on the layer or the model itself."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["HookData", "get_hook_data_dict"]


class HookData(dict[str, Any]):
    """Dictionary whose copies are detached from the autograd graph.

    The results of hooks are differentiable, so that a loss can use them, and torch cannot copy such
    tensors; a model with hooks must still be copyable.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> HookData:
        return _detached(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return HookData, (dict(_detached(self)),)


def get_hook_data_dict(module: nn.Module) -> HookData:
    """Return the ``hook_data`` of ``module``, created if there is none.

    >>> import torch
    >>> from toolchain.synops import firing_rate_hook, get_hook_data_dict
    >>> layer = torch.nn.Identity()
    >>> _ = layer.register_forward_hook(firing_rate_hook)
    >>> _ = layer(torch.tensor([[0.0, 1.0]]))
    >>> get_hook_data_dict(layer)["firing_rate"].item()
    0.5
    """
    data = getattr(module, "hook_data", None)
    if not isinstance(data, HookData):
        data = HookData(data or {})
        module.hook_data = data  # type: ignore[assignment]
    return data


def _detached(data: dict[Any, Any]) -> HookData:
    return HookData({key: _copy(value) for key, value in data.items()})


def _copy(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return value
