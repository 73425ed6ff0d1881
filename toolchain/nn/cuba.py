"""The current-based leaky integrate-and-fire layer that Xylo computes, in seconds.

Per step, N neurons with S synapses each, input column ``n * S + s``::

    i = beta (i + x + w_rec(spikes of the last step))     add, then decay
    v = alpha v + sum_s i + bias
    n = min(floor(v / threshold) where v >= threshold, max_spikes_per_dt)
    v = v - n threshold

with ``alpha = exp(-dt / tau_mem)`` and ``beta = exp(-dt / tau_syn)``.

Source: rockpool's ``LIFTorch`` as observed, without noise.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn

from toolchain.nn.activation import MaxSpike
from toolchain.nn.state import StatefulLayer, constant
from toolchain.nn.surrogate import PeriodicExponential, SurrogateFn

__all__ = ["CubaLIF"]

_CONSTANTS = ("tau_mem", "tau_syn", "threshold", "bias")


class CubaLIF(StatefulLayer):
    """Leaky integrate-and-fire with exponential synapses; spikes ``(batch, time, neurons)``.

    Args:
        shape: neurons N, or ``(inputs, N)`` with ``inputs = N * S`` for S synapses a neuron.
        tau_mem: membrane time constant, s; scalar or (N,).
        tau_syn: synaptic time constant, s; scalar, (N, S), (1, S), or (N,) where S is 1.
        threshold: fires at ``v >= threshold``, > 0; scalar or (N,).
        bias: added to the membrane every step; scalar or (N,).
        dt: length of a timestep, s.
        has_rec: feed the last step's spikes back through ``w_rec``, which goes on from call to
            call with the other states.
        w_rec: (N, N * S) from neuron to synapse; random where none is given.
        max_spikes_per_dt: most spikes a neuron gives in a step.
        surrogate_grad_fn: gradient of a spike with respect to v.
        trained: which of ``tau_mem, tau_syn, threshold, bias`` train along with the weights.
        record_states: keep ``v_mem`` and ``i_syn`` (batch, time, N[, S]) in ``recordings``.

    Raises:
        ValueError: sizes that do not divide, a time constant, threshold or dt that is not
            positive.

    Source: rockpool's ``LIFTorch`` as observed, without noise.
    """

    STATES = ("v_mem", "i_syn", "spikes")
    spikes: Tensor | None
    tau_mem: Tensor
    tau_syn: Tensor
    threshold: Tensor
    bias: Tensor
    w_rec: nn.Parameter | None

    def __init__(
        self,
        shape: int | tuple[int, ...],
        tau_mem: float | Tensor = 20e-3,
        tau_syn: float | Tensor = 20e-3,
        threshold: float | Tensor = 1.0,
        bias: float | Tensor = 0.0,
        dt: float = 1e-3,
        has_rec: bool = False,
        w_rec: Tensor | None = None,
        max_spikes_per_dt: int = 2**16,
        surrogate_grad_fn: SurrogateFn = PeriodicExponential(),  # noqa: B008 (frozen)
        trained: Collection[str] = _CONSTANTS,
        record_states: bool = False,
    ) -> None:
        super().__init__(record_states)
        self.neurons, self.synapses = _sizes(shape)
        if not (math.isfinite(dt) and dt > 0):
            raise ValueError(f"dt must be > 0 s, got {dt}")
        self.dt = dt
        self.spike_fn = MaxSpike(max_spikes_per_dt)
        self.surrogate_grad_fn = surrogate_grad_fn
        for name, value in zip(_CONSTANTS, (tau_mem, tau_syn, threshold, bias), strict=True):
            constant(self, name, value, trained=name in trained)
            kept: Tensor = getattr(self, name)
            if name != "bias" and not bool((kept > 0).all()):
                raise ValueError(f"{name} must be > 0, got a minimum of {kept.min():g}")
        self.register_parameter("w_rec", self._recurrent_weights(has_rec, w_rec))

    def _recurrent_weights(self, has_rec: bool, given: Tensor | None) -> nn.Parameter | None:
        shape = (self.neurons, self.neurons * self.synapses)
        if not has_rec:
            if given is not None:
                raise ValueError("w_rec is given, but has_rec is False")
            return None
        if given is None:
            given = nn.init.kaiming_uniform_(torch.empty(shape).T).T.contiguous()
        if tuple(given.shape) != shape:
            raise ValueError(f"w_rec must be of shape {shape}, got {tuple(given.shape)}")
        return given if isinstance(given, nn.Parameter) else nn.Parameter(given.detach().clone())

    @property
    def alpha(self) -> Tensor:
        """Factor the membrane keeps over a step, scalar or (N,)."""
        return torch.exp(-self.dt / self.tau_mem)

    @property
    def beta(self) -> Tensor:
        """Factor each synaptic current keeps over a step, broadcasts to (N, S)."""
        tau = self.tau_syn
        if tau.dim() == 1:
            tau = tau.unsqueeze(-1 if self.synapses == 1 else 0)
        return torch.exp(-self.dt / tau)

    def forward(self, data: Tensor) -> Tensor:
        """Spike counts ``(batch, time, N)`` for inputs ``(batch, time, N * S)``."""
        inputs = self.neurons * self.synapses
        if data.dim() != 3 or data.shape[2] != inputs:
            raise ValueError(
                f"CubaLIF takes (batch, time, {inputs}), got shape {tuple(data.shape)}"
            )
        batch, time = data.shape[:2]
        if time == 0:
            return data.new_zeros(batch, 0, self.neurons)
        alpha, beta = self.alpha, self.beta
        v = self._start("v_mem", data.new_empty(batch, self.neurons))
        n = self._start("spikes", data.new_empty(batch, self.neurons))
        i = self._start("i_syn", data.new_empty(batch, self.neurons, self.synapses))
        outs: list[Tensor] = []
        vs: list[Tensor] = []
        currents: list[Tensor] = []
        for x in data.unbind(1):
            current = x if self.w_rec is None else x + n @ self.w_rec
            i = beta * (i + current.view_as(i))
            v = alpha * v + (i.sum(-1) + self.bias)
            n = self.spike_fn.apply(v, self.threshold, self.surrogate_grad_fn)
            v = v - n * self.threshold
            outs.append(n)
            vs.append(v)
            currents.append(i.squeeze(-1))
        self._keep(v_mem=v, i_syn=i, spikes=n)
        self._record(v_mem=vs, i_syn=currents)
        return torch.stack(outs, dim=1)


def _sizes(shape: int | tuple[int, ...]) -> tuple[int, int]:
    """Neurons and synapses a neuron."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if not 1 <= len(sizes) <= 2 or min(sizes) < 1:
        raise ValueError(f"shape is N or (inputs, N), got {shape}")
    inputs, neurons = sizes[0], sizes[-1]
    if inputs % neurons:
        raise ValueError(f"{inputs} inputs are no whole number of synapses for {neurons} neurons")
    return neurons, inputs // neurons
