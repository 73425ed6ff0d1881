"""Current-based leaky integrate-and-fire layer as Xylo computes it; time constants in seconds.

Per timestep, N neurons with S synapses each, input column ``n * S + s``::

    i = beta (i + x + w_rec(spikes of the last timestep))     add, then decay
    v = alpha v + sum_s i + bias + noise_std sqrt(dt) N(0, 1)
    n = min(floor(v / threshold) where v >= threshold, max_spikes_per_dt)
    v = v - n threshold

with ``alpha = exp(-dt / tau_mem)`` and ``beta = exp(-dt / tau_syn)``, or decays in another
``leak_mode`` (``leaks``).

Source: rockpool's ``LIFTorch`` as observed.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from toolchain.nn.activation import MaxSpike
from toolchain.nn.leaks import LEAKS, check, factor, of_factor
from toolchain.nn.membrane import Decays
from toolchain.nn.recomputation import recomputes
from toolchain.nn.state import StatefulLayer, constant
from toolchain.nn.surrogate import PeriodicExponentialTorch, SurrogateFn

__all__ = ["CubaLIF", "CubaNeurons", "CubaTrace"]


class CubaTrace(NamedTuple):
    """Spikes and states of every timestep of a call.

    Attributes:
        spikes, v_mem: (batch, time, N); the membrane after the reset.
        i_syn, i_rec: (batch, time, N, S); currents after the decay, and the recurrent input.
    """

    spikes: Tensor
    v_mem: Tensor
    i_syn: Tensor
    i_rec: Tensor


class CubaNeurons(StatefulLayer):
    """Base of :class:`CubaLIF` and ``LIFTorch``: constants, states and the loop over time.

    Attributes:
        tau_mem, tau_syn, alpha, beta, dash_mem, dash_syn: the decays in each of the three leak
            modes; the two of ``leak_mode`` are stored and the others computed from them.
    """

    STATES = ("v_mem", "i_syn", "spikes")
    does_spike = True
    spikes: Tensor
    threshold: Tensor
    bias: Tensor
    w_rec: Tensor | None
    leak_mode: str

    def _build(
        self,
        shape: int | tuple[int, ...],
        leak_mode: str,
        leaks: dict[str, float | Tensor | None],
        rest: dict[str, float | Tensor],
        trained: Collection[str] | None,
    ) -> None:
        """Store the constants: ``leaks`` by name, None for defaults, and ``rest`` by name."""
        self.neurons, self.synapses = sizes(shape)
        if leak_mode not in LEAKS:
            raise ValueError(f"unknown leak_mode {leak_mode!r}; choose from {', '.join(LEAKS)}")
        own = {name: default_or(leaks[name], x) for name, x in LEAKS[leak_mode].items()}
        foreign = [name for name, x in leaks.items() if x is not None and name not in own]
        if foreign:
            raise ValueError(f"{foreign[0]} is given, but leak_mode is {leak_mode!r}")
        values = {**own, **rest}
        unknown = sorted({*(values if trained is None else trained)} - {*values})
        if unknown:
            raise ValueError(
                f"trained contains {unknown[0]!r}; the layer's constants are {', '.join(values)}"
            )
        for name, value in values.items():
            constant(self, name, value, trained=trained is None or name in trained)
        for name in own:
            check(leak_mode, name, getattr(self, name))
        if not bool((self.threshold > 0).all()):
            raise ValueError(f"threshold must be > 0, got a minimum of {self.threshold.min():g}")
        self.leak_mode = leak_mode

    def _build_steps(
        self, dt: float, max_spikes_per_dt: int, noise_std: float, surrogate: SurrogateFn
    ) -> None:
        if not (math.isfinite(dt) and dt > 0):
            raise ValueError(f"dt must be > 0 s, got {dt}")
        if not noise_std >= 0:
            raise ValueError(f"noise_std must be >= 0, got {noise_std}")
        self.dt = dt
        self.noise_std = noise_std
        self.spike_fn = MaxSpike(int(max_spikes_per_dt))
        self.surrogate_grad_fn = surrogate

    def _build_recurrence(self, has_rec: bool, given: Tensor | None) -> None:
        shape = (self.neurons, self.neurons * self.synapses)
        if not has_rec:
            if given is not None:
                raise ValueError("w_rec is given, but has_rec is False")
            self.register_parameter("w_rec", None)
            return
        if given is None:
            given = nn.init.kaiming_uniform_(torch.empty(shape).T).T.contiguous()
        if tuple(given.shape) != shape:
            raise ValueError(f"w_rec must be of shape {shape}, got {tuple(given.shape)}")
        constant(self, "w_rec", given, trained=True)

    def __getattr__(self, name: str) -> Any:
        # called only for attributes that are not stored: the decays in other leak modes
        mode = self.__dict__.get("leak_mode")
        for other, names in LEAKS.items():
            if mode not in (None, other) and name in names:
                stored = getattr(self, list(LEAKS[mode])[list(names).index(name)])
                return of_factor(other, factor(mode, stored, self.dt), self.dt)
        return super().__getattr__(name)

    def decays(self) -> Decays:
        """Return ``alpha_mem``, scalar or (N,), and ``alpha_syn``, which broadcasts to (N, S)."""
        beta = self.beta
        if beta.dim() == 1:
            beta = beta.unsqueeze(-1 if self.synapses == 1 else 0)
        return Decays(self.alpha, beta)

    def steps(self, data: Tensor, fires: bool = True) -> CubaTrace:
        """Run all timesteps of (batch, time, N * S) from the stored state and return the trace."""
        batch, time = data.shape[:2]
        v = self._start("v_mem", data.new_empty(batch, self.neurons))
        n = self._start("spikes", data.new_empty(batch, self.neurons))
        i = self._start("i_syn", data.new_empty(batch, self.neurons, self.synapses))
        if time == 0:
            return CubaTrace(*(x.new_zeros(batch, 0, *x.shape[1:]) for x in (n, v, i, i)))
        alpha, beta, _ = self.decays()
        assert alpha is not None
        assert beta is not None
        trace: list[tuple[Tensor, ...]] = []
        fed_back = torch.zeros_like(i)
        for x in data.unbind(1):
            if self.w_rec is not None:
                fed_back = (n @ self.w_rec).view_as(i)
            i = beta * (i + (x.reshape(i.shape) + fed_back))
            v = alpha * v + (i.sum(-1) + self.bias)
            if self.noise_std:
                v = v + self.noise_std * math.sqrt(self.dt) * torch.randn_like(v)
            if fires:
                n = self.spike_fn.apply(v, self.threshold, self.surrogate_grad_fn)
                v = v - n * self.threshold
            else:
                n = torch.zeros_like(v)
            trace.append((n, v, i, fed_back))
        self._keep(v_mem=v, i_syn=i, spikes=n)
        return CubaTrace(*(torch.stack(x, dim=1) for x in zip(*trace, strict=True)))


class CubaLIF(CubaNeurons):
    """Leaky integrate-and-fire with exponential synapses; spikes ``(batch, time, neurons)``.

    The layer of Xylo networks; the time constants are seconds:

    >>> import torch
    >>> from toolchain.nn import CubaLIF
    >>> layer = CubaLIF(2, tau_mem=20e-3, tau_syn=10e-3, dt=1e-3, record_states=True)
    >>> data = torch.zeros(1, 4, 2)
    >>> data[0, 0] = torch.tensor([0.4, 1.5])
    >>> layer(data)[0].int().tolist()
    [[0, 1], [0, 1], [0, 1], [1, 1]]
    >>> [round(v, 2) for v in layer.recordings["v_mem"][0, :, 0].tolist()]
    [0.36, 0.67, 0.94, 0.16]

    Args:
        shape: neurons N, or ``(inputs, N)`` with ``inputs = N * S`` for S synapses a neuron.
        tau_mem: membrane time constant, s; scalar or (N,); default 20 ms.
        tau_syn: synaptic time constant, s; scalar, (N, S), (1, S), or (N,) where S is 1;
            default 20 ms.
        threshold: fires at ``v >= threshold``, > 0; scalar or (N,).
        bias: added to the membrane every step; scalar or (N,).
        dt: length of a timestep, s.
        has_rec: feed the spikes of the last timestep back through ``w_rec``; they are carried over
            from call to call with the other states.
        w_rec: (N, N * S) from neuron to synapse; random if not given.
        max_spikes_per_dt: maximum number of spikes of a neuron per timestep.
        surrogate_grad_fn: gradient of a spike with respect to v.
        trained: names of the constants (``tau_mem, tau_syn, threshold, bias``, or the two of
            another leak mode) that train along with the weights; None for all.
        record_states: store ``v_mem`` and ``i_syn`` (batch, time, N[, S]) in ``recordings``.
        leak_mode: ``taus``; or ``decays`` with ``alpha`` and ``beta``, default 0.5; or
            ``bitshifts`` with ``dash_mem`` and ``dash_syn``, default 1.
        alpha, beta, dash_mem, dash_syn: shapes as those of the time constants; see ``leaks``.
        noise_std: standard deviation of the membrane noise, per square root of a second; added in
            training and in evaluation.

    Raises:
        ValueError: inputs that are not a multiple of the neurons, a constant outside its range or
            of another leak mode, a dt that is not positive, an unknown name in ``trained``.

    Source: rockpool's ``LIFTorch`` as observed.
    """

    def __init__(
        self,
        shape: int | tuple[int, ...],
        tau_mem: float | Tensor | None = None,
        tau_syn: float | Tensor | None = None,
        threshold: float | Tensor = 1.0,
        bias: float | Tensor = 0.0,
        dt: float = 1e-3,
        has_rec: bool = False,
        w_rec: Tensor | None = None,
        max_spikes_per_dt: int = 2**16,
        surrogate_grad_fn: SurrogateFn = PeriodicExponentialTorch(),  # noqa: B008 (frozen)
        trained: Collection[str] | None = None,
        record_states: bool = False,
        *,
        leak_mode: str = "taus",
        alpha: float | Tensor | None = None,
        beta: float | Tensor | None = None,
        dash_mem: float | Tensor | None = None,
        dash_syn: float | Tensor | None = None,
        noise_std: float = 0.0,
    ) -> None:
        super().__init__(record_states=record_states)
        self._build_steps(dt, max_spikes_per_dt, noise_std, surrogate_grad_fn)
        taus = {"tau_mem": tau_mem, "tau_syn": tau_syn}
        leaks = {**taus, "alpha": alpha, "beta": beta, "dash_mem": dash_mem, "dash_syn": dash_syn}
        rest = {"threshold": threshold, "bias": bias}
        self._build(shape, leak_mode, leaks, rest, trained)
        self._build_recurrence(has_rec, w_rec)

    def forward(self, data: Tensor) -> Tensor:
        """Return the spike counts ``(batch, time, N)`` for inputs ``(batch, time, N * S)``."""
        inputs = self.neurons * self.synapses
        if data.dim() != 3 or data.shape[2] != inputs:
            raise ValueError(
                f"CubaLIF takes (batch, time, {inputs}), got shape {tuple(data.shape)}"
            )
        trace = self.steps(data)
        self._fired(trace.spikes)
        if self.record_states and not recomputes():
            self.recordings = {"v_mem": trace.v_mem, "i_syn": trace.i_syn.squeeze(-1)}
        return trace.spikes


def sizes(shape: int | tuple[int, ...]) -> tuple[int, int]:
    """Return the number of neurons and of synapses per neuron of a layer of ``shape``."""
    given = (shape,) if isinstance(shape, int) else tuple(shape)
    if not 1 <= len(given) <= 2 or min(given) < 1:
        raise ValueError(f"shape must be N or (inputs, N), got {shape}")
    inputs, neurons = given[0], given[-1]
    if inputs % neurons:
        raise ValueError(f"{inputs} inputs are not a multiple of {neurons} neurons")
    return neurons, inputs // neurons


def default_or(given: float | Tensor | None, default: float) -> float | Tensor:
    """Return ``given``, or ``default`` if it is None."""
    return default if given is None else given
