"""Spike functions and resets of integrate-and-fire layers.

Spike functions return counts per timestep; neurons fire at ``v >= threshold``. Their backward pass
uses the layer's surrogate gradient; the count depends on ``v / threshold`` only, so the gradient
with respect to a trained threshold is ``-v / threshold`` times that of v.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias, cast, overload

import torch
from torch import Tensor

from toolchain.nn.surrogate import SurrogateFn

__all__ = [
    "MaxSpike",
    "MembraneReset",
    "MembraneSubtract",
    "MultiSpike",
    "ResetFn",
    "SingleSpike",
    "SpikeFn",
]

States: TypeAlias = Mapping[str, Tensor]
_REQUIRED = ("v_mem",)
"""Names of the states that the spike functions of this module take, in sinabs' interface."""


class SpikeFn(Protocol):
    """Interface of a spike function: a class or an instance with ``apply``.

    >>> import torch
    >>> from toolchain.nn import LIF, SingleSpike, SpikeFn
    >>> class NeverSpike:
    ...     @staticmethod
    ...     def apply(v_mem, threshold, surrogate):
    ...         return torch.zeros_like(v_mem)
    >>> def spikes(spike_fn: SpikeFn) -> list:
    ...     layer = LIF(10.0, spike_fn=spike_fn, norm_input=False)
    ...     return layer(torch.full((1, 3, 1), 1.5)).int().flatten().tolist()
    >>> spikes(SingleSpike), spikes(NeverSpike)
    ([1, 1, 1], [0, 0, 0])
    """

    def apply(self, v_mem: Tensor, threshold: Tensor, surrogate: SurrogateFn, /) -> Tensor:
        """Return the spike counts, of the shape of ``v_mem``."""


class _Count(torch.autograd.Function):
    """``trunc(v / threshold)`` where v > 0, at most ``limit``."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, threshold: Tensor, limit: int | None, surrogate: SurrogateFn
    ) -> Tensor:
        ctx.save_for_backward(v, threshold)
        ctx.surrogate = surrogate
        if limit == 1:
            return (v >= threshold).to(v)
        return (v / threshold).clamp_(min=0, max=limit).trunc_()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        v, threshold = ctx.saved_tensors
        grad = grads[0] * ctx.surrogate(v, threshold)
        grad_threshold = None
        if ctx.needs_input_grad[1]:
            grad_threshold = (-grad * v / threshold).sum_to_size(threshold.shape)
        return grad, grad_threshold, None, None


def _count(v: Tensor, threshold: Tensor, limit: int | None, surrogate: SurrogateFn) -> Tensor:
    at = torch.as_tensor(threshold, dtype=v.dtype, device=v.device)
    return cast(Tensor, _Count.apply(v, at, limit, surrogate))  # type: ignore[no-untyped-call]


class MultiSpike:
    """Several spikes per timestep: ``trunc(v / threshold)`` where v > 0, else 0.

    >>> import torch
    >>> from toolchain.nn import MultiSpike, SingleExponential
    >>> v, threshold = torch.tensor([-1.0, 0.9, 1.0, 3.7]), torch.tensor(1.0)
    >>> MultiSpike.apply(v, threshold, SingleExponential()).int().tolist()
    [0, 0, 1, 3]

    Source: sinabs as observed.
    """

    required_states: ClassVar[tuple[str, ...]] = _REQUIRED
    max_num_spikes_per_bin: ClassVar[int | None] = None

    @staticmethod
    def apply(v_mem: Tensor, threshold: Tensor, surrogate: SurrogateFn, /) -> Tensor:
        """Return the spike counts, of the shape of ``v_mem``."""
        return _count(v_mem, threshold, None, surrogate)


class SingleSpike:
    """At most one spike per timestep: 1 where ``v >= threshold``, else 0.

    >>> import torch
    >>> from toolchain.nn import SingleExponential, SingleSpike
    >>> v, threshold = torch.tensor([-1.0, 0.9, 1.0, 3.7]), torch.tensor(1.0)
    >>> SingleSpike.apply(v, threshold, SingleExponential()).int().tolist()
    [0, 0, 1, 1]

    Source: sinabs as observed.
    """

    required_states: ClassVar[tuple[str, ...]] = _REQUIRED
    max_num_spikes_per_bin: ClassVar[int | None] = 1

    @staticmethod
    def apply(v_mem: Tensor, threshold: Tensor, surrogate: SurrogateFn, /) -> Tensor:
        """Return the spikes, 0 or 1, of the shape of ``v_mem``."""
        return _count(v_mem, threshold, 1, surrogate)


@dataclass(frozen=True)
class MaxSpike:
    """Several spikes per timestep as ``MultiSpike``, at most ``max_num_spikes_per_bin`` if given.

    >>> import torch
    >>> from toolchain.nn import MaxSpike, SingleExponential
    >>> v, threshold = torch.tensor([-1.0, 0.9, 1.0, 3.7]), torch.tensor(1.0)
    >>> MaxSpike(2).apply(v, threshold, SingleExponential()).int().tolist()
    [0, 0, 1, 2]

    Raises:
        ValueError: a limit below 1.

    Source: sinabs as observed.
    """

    required_states: ClassVar[tuple[str, ...]] = _REQUIRED
    max_num_spikes_per_bin: int | None = None

    def __post_init__(self) -> None:
        """Check the limit."""
        if self.max_num_spikes_per_bin is not None and self.max_num_spikes_per_bin < 1:
            raise ValueError(
                f"max_num_spikes_per_bin must be >= 1, got {self.max_num_spikes_per_bin}"
            )

    def apply(self, v_mem: Tensor, threshold: Tensor, surrogate: SurrogateFn, /) -> Tensor:
        """Return the spike counts, of the shape of ``v_mem``."""
        return _count(v_mem, threshold, self.max_num_spikes_per_bin, surrogate)


class ResetFn(Protocol):
    """Interface of a reset: a callable that returns the membrane after the spikes.

    >>> import torch
    >>> from toolchain.nn import IAF, MembraneSubtract, ResetFn
    >>> def no_reset(spikes, v_mem, threshold):
    ...     return v_mem
    >>> def spikes(reset_fn: ResetFn) -> list:
    ...     return IAF(reset_fn=reset_fn)(torch.ones(1, 3, 1)).int().flatten().tolist()
    >>> spikes(MembraneSubtract()), spikes(no_reset)
    ([1, 1, 1], [1, 2, 3])
    """

    def __call__(self, spikes: Tensor, v_mem: Tensor, threshold: Tensor, /) -> Tensor:
        """Return the membrane after the reset, of the shape of ``v_mem``."""


class _Reset:
    """Base of the resets of this module."""

    @overload
    def __call__(self, spikes: Tensor, v_mem: Tensor, threshold: Tensor) -> Tensor: ...
    @overload
    def __call__(self, spikes: Tensor, v_mem: States, threshold: Tensor) -> dict[str, Tensor]: ...
    def __call__(
        self, spikes: Tensor, v_mem: Tensor | States, threshold: Tensor
    ) -> Tensor | dict[str, Tensor]:
        """Return the membrane after the reset, of the shape of ``v_mem``.

        Of all states by name, as sinabs' layers pass them, return all with another ``v_mem``.
        """
        if isinstance(v_mem, Tensor):
            return self._after(spikes, v_mem, threshold)
        return {**v_mem, "v_mem": self._after(spikes, v_mem["v_mem"], threshold)}

    def _after(self, spikes: Tensor, v_mem: Tensor, threshold: Tensor) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class MembraneSubtract(_Reset):
    """Reset by subtraction: ``v - spikes * threshold``, or ``subtract_value`` per spike if given.

    >>> import torch
    >>> from toolchain.nn import MembraneSubtract
    >>> spikes, v, threshold = torch.tensor([0.0, 2.0]), torch.tensor([0.5, 2.5]), torch.tensor(1.0)
    >>> MembraneSubtract()(spikes, v, threshold).tolist()
    [0.5, 0.5]
    >>> MembraneSubtract(subtract_value=0.5)(spikes, v, threshold).tolist()
    [0.5, 1.5]

    Source: sinabs as observed.
    """

    subtract_value: float | None = None

    def _after(self, spikes: Tensor, v_mem: Tensor, threshold: Tensor) -> Tensor:
        amount = threshold if self.subtract_value is None else self.subtract_value
        return v_mem - spikes * amount


@dataclass(frozen=True)
class MembraneReset(_Reset):
    """Reset to a value: ``v (spikes == 0) + reset_value``.

    A ``reset_value`` other than 0 is added to every neuron in every timestep, whether it spiked or
    not: sinabs computes it so, and networks trained there must give the same spikes here.

    >>> import torch
    >>> from toolchain.nn import MembraneReset
    >>> spikes, v, threshold = torch.tensor([0.0, 2.0]), torch.tensor([0.5, 2.5]), torch.tensor(1.0)
    >>> MembraneReset()(spikes, v, threshold).tolist()
    [0.5, 0.0]
    >>> MembraneReset()(spikes, {"v_mem": v}, threshold)["v_mem"].tolist()
    [0.5, 0.0]

    Source: sinabs as observed.
    """

    reset_value: float = 0.0

    def _after(self, spikes: Tensor, v_mem: Tensor, threshold: Tensor) -> Tensor:
        return v_mem * (spikes == 0) + self.reset_value
