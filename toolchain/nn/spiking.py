r"""Integrate-and-fire layers on ``(batch, time, *features)``.

Per timestep, with ``x`` the input and ``n`` the spikes::

    i = alpha_syn (i + x)        add, then decay; i = x without tau_syn
    v = alpha_mem v + gain i     gain = 1 - alpha_mem with norm_input, else 1
    n = spike_fn(v)              fires at v >= spike_threshold
    v = reset_fn(v, n)
    v = max(v, min_v_mem)        after the reset

Time constants are in timesteps: ``alpha = exp(-1 / tau)``.

Source: sinabs as observed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from toolchain.nn.activation import MembraneSubtract, MultiSpike, ResetFn, SpikeFn
from toolchain.nn.arguments import argument
from toolchain.nn.membrane import Decays, MembraneLayer
from toolchain.nn.state import constant
from toolchain.nn.surrogate import SingleExponential, SurrogateFn

__all__ = ["IAF", "LIF", "ExpLeak", "SpikingLayer"]


class SpikingLayer(MembraneLayer):
    """Base of the layers whose membrane spikes at a threshold."""

    does_spike = True
    spike_threshold: Tensor
    spike_fn: SpikeFn
    reset_fn: ResetFn
    surrogate_grad_fn: SurrogateFn

    def _set_spikes(
        self,
        spike_threshold: float | Tensor,
        spike_fn: SpikeFn,
        reset_fn: ResetFn,
        surrogate_grad_fn: SurrogateFn,
    ) -> None:
        constant(self, "spike_threshold", spike_threshold, trained=False)
        self.spike_fn = spike_fn
        self.reset_fn = reset_fn
        self.surrogate_grad_fn = surrogate_grad_fn

    @property
    def arg_dict(self) -> dict[str, Any]:
        """Arguments by name that build a layer like this one, with the values as trained."""
        return {
            "spike_threshold": argument(self.spike_threshold),
            "spike_fn": self.spike_fn,
            "reset_fn": self.reset_fn,
            "surrogate_grad_fn": self.surrogate_grad_fn,
            **super().arg_dict,
        }

    def forward(self, data: Tensor) -> Tensor:
        """Return the spikes ``(batch, time, *features)`` for inputs of the same shape."""
        spikes = super().forward(data)
        self._fired(spikes)
        return spikes

    def _fire(self, v: Tensor, b: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        n = self.spike_fn.apply(v, self.spike_threshold, self.surrogate_grad_fn)
        return n, self._floor(self.reset_fn(n, v, self.spike_threshold)), b


class IAF(SpikingLayer):
    """Integrate-and-fire without leak: ``v = v + x``.

    >>> import torch
    >>> from toolchain.nn import IAF
    >>> layer = IAF(spike_threshold=1.0, record_states=True)
    >>> data = torch.tensor([0.5, 0.75, 2.0]).reshape(1, 3, 1)  # (batch, time, features)
    >>> layer(data).int().flatten().tolist()
    [0, 1, 2]
    >>> layer.recordings["v_mem"].flatten().tolist()
    [0.5, 0.25, 0.25]

    Args:
        spike_threshold: fires at ``v >= spike_threshold``, > 0; scalar or broadcastable to the
            features. Pass an ``nn.Parameter`` to train it.
        spike_fn: ``MultiSpike``, ``MaxSpike(k)`` or ``SingleSpike``.
        reset_fn: ``MembraneSubtract`` or ``MembraneReset``.
        surrogate_grad_fn: gradient of a spike with respect to v.
        tau_syn: time constant of a synaptic current, timesteps, > 0, trained; if None, the input
            is added to the membrane directly.
        min_v_mem: lower limit of the membrane after the reset, or None.
        shape: (batch, *features) of the states, or None for those of the first call.
        record_states: store ``v_mem`` of every timestep in ``recordings``.

    Raises:
        ValueError: a time constant that is not positive.

    Source: sinabs as observed.
    """

    def __init__(
        self,
        spike_threshold: float | Tensor = 1.0,
        spike_fn: SpikeFn = MultiSpike,
        reset_fn: ResetFn = MembraneSubtract(),  # noqa: B008 (frozen)
        surrogate_grad_fn: SurrogateFn = SingleExponential(),  # noqa: B008 (frozen)
        tau_syn: float | Tensor | None = None,
        min_v_mem: float | Tensor | None = None,
        shape: Sequence[int] | None = None,
        record_states: bool = False,
    ) -> None:
        super().__init__(record_states, shape)
        self._set_tau("syn", tau_syn)
        self._set_floor(min_v_mem)
        self._set_spikes(spike_threshold, spike_fn, reset_fn, surrogate_grad_fn)

    @property
    def arg_dict(self) -> dict[str, Any]:
        """Arguments by name that build a layer like this one, with the values as trained."""
        return {"tau_syn": argument(self.tau_syn), **super().arg_dict}

    def decays(self) -> Decays:
        """Return ``alpha_syn = exp(-1 / tau_syn)``, or no factors without ``tau_syn``."""
        return Decays(alpha_syn=None if self.tau_syn is None else torch.exp(-1.0 / self.tau_syn))


class _Leaky(MembraneLayer):
    """Base of LIF and ExpLeak with their decay factors."""

    norm_input: bool
    train_alphas: bool

    def _set_decays(
        self,
        tau_mem: float | Tensor,
        tau_syn: float | Tensor | None,
        train_alphas: bool,
        norm_input: bool,
    ) -> None:
        self.train_alphas = train_alphas
        self.norm_input = norm_input
        self._set_tau("mem", tau_mem, as_alpha=train_alphas)
        self._set_tau("syn", tau_syn, as_alpha=train_alphas)

    @property
    def arg_dict(self) -> dict[str, Any]:
        """Arguments by name that build a layer like this one, with the values as trained."""
        return {
            "tau_mem": self._tau("mem"),
            "tau_syn": self._tau("syn"),
            **super().arg_dict,
            "train_alphas": self.train_alphas,
            "norm_input": self.norm_input,
        }

    def _tau(self, name: str) -> Tensor | None:
        """Return the time constant of a state, timesteps."""
        alpha = self._alpha(name) if self.train_alphas else None
        if alpha is None:
            value: Tensor | None = getattr(self, f"tau_{name}", None)
            return value if value is None else value.detach().clone()
        return -1.0 / torch.log(alpha.detach())

    @property
    def tau_mem_calculated(self) -> Tensor | None:
        """Time constant of the membrane, timesteps, also where its factor is what trains."""
        return self._trained_tau("mem")

    @property
    def tau_syn_calculated(self) -> Tensor | None:
        """Time constant of the synapse, timesteps, or None without one."""
        return self._trained_tau("syn")

    @property
    def alpha_mem_calculated(self) -> Tensor | None:
        """Factor of the membrane in a timestep, also where its time constant is what trains."""
        return self._alpha("mem")

    @property
    def alpha_syn_calculated(self) -> Tensor | None:
        """Factor of the synapse in a timestep, or None without one."""
        return self._alpha("syn")

    def _trained_tau(self, name: str) -> Tensor | None:
        alpha = self._alpha(name) if self.train_alphas else None
        return getattr(self, f"tau_{name}", None) if alpha is None else -1.0 / torch.log(alpha)

    def decays(self) -> Decays:
        """Return ``alpha = exp(-1 / tau)``, and a gain of ``1 - alpha_mem`` with ``norm_input``."""
        alpha_mem, alpha_syn = self._alpha("mem"), self._alpha("syn")
        assert alpha_mem is not None
        return Decays(alpha_mem, alpha_syn, 1.0 - alpha_mem if self.norm_input else None)

    def _alpha(self, name: str) -> Tensor | None:
        """Return the factor by which a state decays in a timestep, None if there is no state."""
        value: Tensor | None = getattr(self, f"{'alpha' if self.train_alphas else 'tau'}_{name}")
        return value if value is None or self.train_alphas else torch.exp(-1.0 / value)


class LIF(_Leaky, SpikingLayer):
    """Leaky integrate-and-fire, with a synaptic current if ``tau_syn`` is given.

    >>> import torch
    >>> from toolchain.nn import LIF
    >>> layer = LIF(tau_mem=10.0, norm_input=False)
    >>> data = torch.full((1, 6, 1), 0.4)  # (batch, time, features)
    >>> layer(data).int().flatten().tolist()
    [0, 0, 1, 0, 0, 1]
    >>> round(layer.v_mem.item(), 3)  # the state after the call
    0.156

    Args:
        tau_mem, tau_syn: time constants, timesteps, > 0; trained. Scalar or broadcastable to the
            features. Without ``tau_syn`` the input is added to the membrane directly.
        train_alphas: train the decay factors themselves rather than the time constants.
        norm_input: scale the current by ``1 - alpha_mem``, so that v converges to a constant
            input x.
        spike_threshold, spike_fn, reset_fn, surrogate_grad_fn, min_v_mem, shape, record_states: as
            for :class:`IAF`; recordings also contain ``i_syn``.

    Raises:
        ValueError: a time constant that is not positive.

    Source: sinabs as observed.
    """

    def __init__(
        self,
        tau_mem: float | Tensor,
        tau_syn: float | Tensor | None = None,
        spike_threshold: float | Tensor = 1.0,
        spike_fn: SpikeFn = MultiSpike,
        reset_fn: ResetFn = MembraneSubtract(),  # noqa: B008 (frozen)
        surrogate_grad_fn: SurrogateFn = SingleExponential(),  # noqa: B008 (frozen)
        min_v_mem: float | Tensor | None = None,
        train_alphas: bool = False,
        shape: Sequence[int] | None = None,
        norm_input: bool = True,
        record_states: bool = False,
    ) -> None:
        super().__init__(record_states, shape)
        self._set_decays(tau_mem, tau_syn, train_alphas, norm_input)
        self._set_floor(min_v_mem)
        self._set_spikes(spike_threshold, spike_fn, reset_fn, surrogate_grad_fn)


class ExpLeak(_Leaky):
    """Leaky integrator without spikes; its output is the membrane v.

    >>> import torch
    >>> from toolchain.nn import ExpLeak
    >>> data = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1)
    >>> [round(v, 3) for v in ExpLeak(tau_mem=10.0)(data).flatten().tolist()]
    [1.0, 0.905, 0.819]

    Args:
        tau_mem, shape, train_alphas, min_v_mem, record_states, tau_syn: as for :class:`LIF`.
        norm_input: as for :class:`LIF`, but off by default.

    Source: sinabs as observed.
    """

    def __init__(
        self,
        tau_mem: float | Tensor,
        shape: Sequence[int] | None = None,
        train_alphas: bool = False,
        min_v_mem: float | Tensor | None = None,
        norm_input: bool = False,
        record_states: bool = False,
        tau_syn: float | Tensor | None = None,
    ) -> None:
        super().__init__(record_states, shape)
        self._set_decays(tau_mem, tau_syn, train_alphas, norm_input)
        self._set_floor(min_v_mem)

    def _fire(self, v: Tensor, b: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        return v, self._floor(v), b
