"""The neurons of :mod:`cuba` with rockpool's name, constructor and return values."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from toolchain.nn.cuba import CubaNeurons, sizes
from toolchain.nn.leaks import LEAKS
from toolchain.nn.module import Constant, Evolved, Named, TorchModule, batched, value_of
from toolchain.nn.surrogate import (
    PeriodicExponential,
    PeriodicExponentialTorch,
    StepPWL,
    SurrogateFn,
)

__all__ = ["LIFTorch"]

ConstantLike = float | Tensor | Constant | None


class LIFTorch(TorchModule, CubaNeurons):
    """Leaky integrate-and-fire with exponential synapses, as :class:`CubaLIF` computes it.

    >>> import torch
    >>> from toolchain.nn import LIFTorch
    >>> layer = LIFTorch((2, 2), tau_mem=20e-3, tau_syn=10e-3, dt=1e-3)
    >>> data = torch.zeros(1, 4, 2)
    >>> data[0, 0] = torch.tensor([0.4, 1.5])
    >>> spikes, state, record = layer(data, record=True)
    >>> spikes[0].int().tolist()
    [[0, 1], [0, 1], [0, 1], [1, 1]]
    >>> sorted(state), sorted(record)
    (['isyn', 'spikes', 'vmem'], ['irec', 'isyn', 'spikes', 'vmem'])
    >>> round(layer.parameters()["tau_mem"].item(), 3)
    0.02

    Args:
        shape: ``(inputs, N)`` with ``inputs = N * S`` for S synapses per neuron.
        leak_mode: ``taus``, ``decays`` or ``bitshifts``.
        tau_mem, tau_syn: s; default 20 ms. alpha, beta: decay factor per timestep; default 0.5.
            dash_mem, dash_syn: bit shift; default 1. Those of the membrane are scalar or (N,),
            those of the synapse scalar, (N, S), (1, S), or (N,) where S is 1. A default has one
            entry per neuron.
        bias: added to the membrane every timestep; scalar or (N,); default 0.
        threshold: fires at ``v >= threshold``, > 0; scalar or (N,); default 1.
        has_rec: feed the spikes of the last timestep back through ``w_rec``.
        w_rec: (N, N * S) from neuron to synapse; random if not given.
        noise_std: standard deviation of the membrane noise, per square root of a second; added in
            training and in evaluation.
        spike_generation_fn: surrogate gradient: the class ``StepPWL`` or ``PeriodicExponential``,
            built with the learning window (the latter as ``PeriodicExponentialTorch``), or any
            surrogate function, used as given.
        learning_window: width of the surrogate gradient.
        max_spikes_per_dt: maximum number of spikes of a neuron per timestep.
        dt: length of a timestep, s.

    Each constant trains unless it is given as a ``Constant``.

    Attributes:
        emits: output of the layer, ``spikes`` or ``vmem``; with ``vmem`` it never fires.

    Raises:
        ValueError: inputs that are not a multiple of the neurons, a constant outside its range or
            of another leak mode, a dt that is not positive.

    Source: rockpool's ``LIFTorch`` as observed.
    """

    emits: Literal["spikes", "vmem"] = "spikes"

    def __init__(
        self,
        shape: int | tuple[int, ...],
        leak_mode: str = "taus",
        tau_mem: ConstantLike = None,
        tau_syn: ConstantLike = None,
        alpha: ConstantLike = None,
        beta: ConstantLike = None,
        dash_mem: ConstantLike = None,
        dash_syn: ConstantLike = None,
        bias: ConstantLike = None,
        threshold: ConstantLike = None,
        has_rec: bool = False,
        w_rec: Tensor | Constant | None = None,
        noise_std: float = 0.0,
        spike_generation_fn: type | SurrogateFn = StepPWL,
        learning_window: float = 0.5,
        max_spikes_per_dt: int = 2**16,
        dt: float = 1e-3,
    ) -> None:
        super().__init__()
        neurons, synapses = sizes(shape)
        self.shape = (neurons * synapses, neurons)
        surrogate = _surrogate(spike_generation_fn, learning_window, int(max_spikes_per_dt))
        self._build_steps(dt, max_spikes_per_dt, noise_std, surrogate)
        given: dict[str, ConstantLike] = {"tau_mem": tau_mem, "tau_syn": tau_syn}
        given |= {"alpha": alpha, "beta": beta, "dash_mem": dash_mem, "dash_syn": dash_syn}
        (mem, mem_default), (syn, syn_default) = LEAKS.get(leak_mode, LEAKS["taus"]).items()
        if given[mem] is None:
            given[mem] = torch.full((neurons,), mem_default)
        if given[syn] is None:
            given[syn] = torch.full((neurons, synapses), syn_default)
        rest: dict[str, float | Tensor | Constant] = {
            "threshold": torch.ones(neurons) if threshold is None else threshold,
            "bias": torch.zeros(neurons) if bias is None else bias,
        }
        trained = [
            name
            for name, value in {**given, **rest}.items()
            if value is not None and not isinstance(value, Constant)
        ]
        leaks = {name: None if x is None else value_of(x) for name, x in given.items()}
        self._build(shape, leak_mode, leaks, {k: value_of(x) for k, x in rest.items()}, trained)
        self._build_recurrence(has_rec, None if w_rec is None else torch.as_tensor(value_of(w_rec)))
        if isinstance(w_rec, Constant) and self.w_rec is not None:
            self.w_rec.requires_grad_(False)

    def forward(self, data: Tensor, record: bool = False) -> Evolved:
        """Return spikes (batch, time, N), state and record for inputs (batch, time, N * S).

        The state holds ``vmem (batch, N)``, ``isyn (batch, N, S)`` and ``spikes (batch, N)``. The
        record holds ``vmem`` and ``spikes`` (batch, time, N), ``isyn`` and the recurrent input
        ``irec`` (batch, time, N, S); the membrane is recorded after the reset.
        """
        trace = self.steps(batched(data, self.shape[0], "LIFTorch"), fires=self.emits == "spikes")
        out = trace.spikes if self.emits == "spikes" else trace.v_mem
        state: Named = {"vmem": self.v_mem, "isyn": self.i_syn, "spikes": self.spikes}
        records: Named = {}
        if record:
            records = {"vmem": trace.v_mem, "isyn": trace.i_syn}
            records |= {"irec": trace.i_rec, "spikes": trace.spikes}
        return out, state, records


def _surrogate(fn: type | SurrogateFn, window: float, max_spikes: int) -> SurrogateFn:
    if fn is PeriodicExponential:
        return PeriodicExponentialTorch(window, max_spikes=max_spikes)
    surrogate: SurrogateFn = fn(window) if isinstance(fn, type) else fn
    return surrogate
