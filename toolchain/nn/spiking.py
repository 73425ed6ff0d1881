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

from typing import NamedTuple

import torch
from torch import Tensor, nn

from toolchain.nn.activation import MembraneSubtract, MultiSpike, ResetFn, SpikeFn
from toolchain.nn.state import StatefulLayer, constant
from toolchain.nn.surrogate import SingleExponential, SurrogateFn

__all__ = ["IAF", "LIF", "Decays", "ExpLeak", "MembraneLayer", "SpikingLayer"]


class Decays(NamedTuple):
    """The factors of one timestep; each broadcasts to the features.

    Attributes:
        alpha_mem: decay factor of the membrane, or None for 1.
        alpha_syn: decay factor of the synaptic current, or None without synapse.
        gain: factor on the current, or None for 1.
    """

    alpha_mem: Tensor | None = None
    alpha_syn: Tensor | None = None
    gain: Tensor | None = None


class MembraneLayer(StatefulLayer):
    """Base of the layers of this module: membrane, synapse and the loop over time.

    Attributes:
        rec_connect: module that feeds the last timestep's output back, or None. In the first
            timestep of a call nothing is fed back, not even its bias.
    """

    rec_connect: nn.Module | None
    min_v_mem: Tensor | None

    def __init__(
        self, min_v_mem: float | Tensor | None = None, record_states: bool = False
    ) -> None:
        super().__init__(record_states)
        self.rec_connect = None
        if min_v_mem is None:
            self.register_buffer("min_v_mem", None)
        else:
            constant(self, "min_v_mem", min_v_mem, trained=False)

    def decays(self) -> Decays:
        """Return the current factors of one timestep."""
        return Decays()

    def forward(self, data: Tensor) -> Tensor:
        """Return the outputs ``(batch, time, *features)`` for inputs of the same shape."""
        if data.dim() < 2:
            raise ValueError(
                f"{type(self).__name__} takes (batch, time, ...), got shape {tuple(data.shape)}"
            )
        if data.shape[1] == 0:
            return torch.zeros_like(data)
        alpha_mem, alpha_syn, gain = self.decays()
        v = self._start("v_mem", data[:, 0])
        i = None if alpha_syn is None else self._start("i_syn", data[:, 0])
        out: Tensor | None = None
        outs: list[Tensor] = []
        vs: list[Tensor] = []
        currents: list[Tensor] = []
        for x in data.unbind(1):
            current = x if out is None or self.rec_connect is None else x + self.rec_connect(out)
            if alpha_syn is not None and i is not None:
                i = current = alpha_syn * (i + current)
                currents.append(i)
            decayed = v if alpha_mem is None else alpha_mem * v
            out, v = self._fire(decayed + (current if gain is None else gain * current))
            outs.append(out)
            vs.append(v)
        self._keep(v_mem=v, i_syn=i)
        self._record(v_mem=vs, i_syn=currents)
        return torch.stack(outs, dim=1)

    def _fire(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return output and membrane after the timestep."""
        raise NotImplementedError

    def _floor(self, v: Tensor) -> Tensor:
        return v if self.min_v_mem is None else torch.maximum(v, self.min_v_mem)


class SpikingLayer(MembraneLayer):
    """Base of the layers whose membrane spikes at a threshold."""

    does_spike = True
    spike_threshold: Tensor

    def __init__(
        self,
        spike_threshold: float | Tensor = 1.0,
        spike_fn: SpikeFn = MultiSpike,
        reset_fn: ResetFn = MembraneSubtract(),  # noqa: B008 (frozen)
        surrogate_grad_fn: SurrogateFn = SingleExponential(),  # noqa: B008 (frozen)
        min_v_mem: float | Tensor | None = None,
        record_states: bool = False,
    ) -> None:
        super().__init__(min_v_mem, record_states)
        constant(self, "spike_threshold", spike_threshold, trained=False)
        self.spike_fn = spike_fn
        self.reset_fn = reset_fn
        self.surrogate_grad_fn = surrogate_grad_fn

    def _fire(self, v: Tensor) -> tuple[Tensor, Tensor]:
        n = self.spike_fn.apply(v, self.spike_threshold, self.surrogate_grad_fn)
        return n, self._floor(self.reset_fn(n, v, self.spike_threshold))


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
        min_v_mem: lower limit of the membrane after the reset, or None.
        record_states: store ``v_mem`` of every timestep in ``recordings``.
        tau_syn: time constant of a synaptic current, timesteps, > 0, trained; if None, the input
            is added to the membrane directly.

    Raises:
        ValueError: a time constant that is not positive.

    Source: sinabs as observed.
    """

    tau_syn: Tensor | None

    def __init__(
        self,
        spike_threshold: float | Tensor = 1.0,
        spike_fn: SpikeFn = MultiSpike,
        reset_fn: ResetFn = MembraneSubtract(),  # noqa: B008 (frozen)
        surrogate_grad_fn: SurrogateFn = SingleExponential(),  # noqa: B008 (frozen)
        min_v_mem: float | Tensor | None = None,
        record_states: bool = False,
        tau_syn: float | Tensor | None = None,
    ) -> None:
        super().__init__(
            spike_threshold, spike_fn, reset_fn, surrogate_grad_fn, min_v_mem, record_states
        )
        if tau_syn is None:
            self.register_parameter("tau_syn", None)
            return
        _check_tau("syn", tau_syn)
        constant(self, "tau_syn", tau_syn, trained=True)

    def decays(self) -> Decays:
        """Return ``alpha_syn = exp(-1 / tau_syn)``, or no factors without ``tau_syn``."""
        return Decays(alpha_syn=None if self.tau_syn is None else torch.exp(-1.0 / self.tau_syn))


def _check_tau(name: str, tau: float | Tensor) -> None:
    value = torch.as_tensor(tau)
    if not bool((value > 0).all()):
        raise ValueError(f"tau_{name} must be > 0 timesteps, got {value.min():g}")


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
        self._set_tau("mem", tau_mem)
        self._set_tau("syn", tau_syn)

    def _set_tau(self, name: str, tau: float | Tensor | None) -> None:
        key = f"alpha_{name}" if self.train_alphas else f"tau_{name}"
        if tau is None:
            self.register_parameter(key, None)
            return
        _check_tau(name, tau)
        alpha = torch.exp(-1.0 / torch.as_tensor(tau))
        constant(self, key, alpha if self.train_alphas else tau, trained=True)

    def decays(self) -> Decays:
        """Return ``alpha = exp(-1 / tau)``, and a gain of ``1 - alpha_mem`` with ``norm_input``."""
        alpha_mem, alpha_syn = self._alpha("mem"), self._alpha("syn")
        assert alpha_mem is not None
        return Decays(alpha_mem, alpha_syn, 1.0 - alpha_mem if self.norm_input else None)

    def _alpha(self, name: str) -> Tensor | None:
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
        spike_threshold, spike_fn, reset_fn, surrogate_grad_fn, min_v_mem, record_states: as for
            :class:`IAF`; recordings also contain ``i_syn``.

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
        norm_input: bool = True,
        record_states: bool = False,
    ) -> None:
        super().__init__(
            spike_threshold, spike_fn, reset_fn, surrogate_grad_fn, min_v_mem, record_states
        )
        self._set_decays(tau_mem, tau_syn, train_alphas, norm_input)


class ExpLeak(_Leaky):
    """Leaky integrator without spikes; its output is the membrane v.

    >>> import torch
    >>> from toolchain.nn import ExpLeak
    >>> data = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1)
    >>> [round(v, 3) for v in ExpLeak(tau_mem=10.0)(data).flatten().tolist()]
    [1.0, 0.905, 0.819]

    Args:
        tau_mem, tau_syn, train_alphas, record_states: as for :class:`LIF`.
        norm_input: as for :class:`LIF`, but off by default.

    Source: sinabs as observed.
    """

    def __init__(
        self,
        tau_mem: float | Tensor,
        tau_syn: float | Tensor | None = None,
        train_alphas: bool = False,
        norm_input: bool = False,
        record_states: bool = False,
    ) -> None:
        super().__init__(None, record_states)
        self._set_decays(tau_mem, tau_syn, train_alphas, norm_input)

    def _fire(self, v: Tensor) -> tuple[Tensor, Tensor]:
        return v, v
