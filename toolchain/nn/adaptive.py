"""Neurons whose threshold rises with their own spikes; for training only, no chip supports it."""

from __future__ import annotations

from torch import Tensor

from toolchain.nn.activation import MembraneSubtract, ResetFn, SingleSpike, SpikeFn
from toolchain.nn.spiking import LIF, Decays
from toolchain.nn.state import constant
from toolchain.nn.surrogate import SingleExponential, SurrogateFn

__all__ = ["ALIF"]


class ALIF(LIF):
    """Leaky integrate-and-fire with an adaptive threshold on ``(batch, time, *features)``.

    In the step of :class:`LIF` the threshold is ``spike_threshold + adapt_scale b``, and then::

        b = alpha_adapt b + (1 - alpha_adapt) n

    With ``tau_syn`` and ``norm_input`` the gain is applied to the stored current, so it compounds:
    ``i = (1 - alpha_mem) alpha_syn (i + x)``. Gradients reach b through the reset and not through
    the spikes. Both match the source; unlike there, the current is carried over from call to call
    with the other states.

    With a constant input the intervals between spikes become longer:

    >>> import torch
    >>> from toolchain.nn import ALIF
    >>> layer = ALIF(tau_mem=5.0, tau_adapt=50.0, adapt_scale=5.0, norm_input=False)
    >>> spikes = layer(torch.full((1, 20, 1), 0.4))
    >>> spikes.int().flatten().tolist()
    [0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]

    Args:
        tau_mem, tau_adapt: time constants, timesteps, > 0; trained.
        tau_syn, spike_threshold, surrogate_grad_fn, min_v_mem, train_alphas, norm_input,
            record_states: as for :class:`LIF`.
        adapt_scale: rise of the threshold per unit of b.
        spike_fn: as for :class:`LIF`, but by default at most one spike per timestep.
        reset_fn: as for :class:`LIF`; a subtraction subtracts the raised threshold.

    Raises:
        ValueError: a time constant that is not positive.

    Source: sinabs' ``ALIF`` as observed; Bellec et al. 2018 for the model.
    """

    STATES = (*LIF.STATES, "b")
    b: Tensor | None
    adapt_scale: Tensor

    def __init__(
        self,
        tau_mem: float | Tensor,
        tau_adapt: float | Tensor,
        tau_syn: float | Tensor | None = None,
        adapt_scale: float | Tensor = 1.8,
        spike_threshold: float | Tensor = 1.0,
        spike_fn: SpikeFn = SingleSpike,
        reset_fn: ResetFn = MembraneSubtract(),  # noqa: B008 (frozen)
        surrogate_grad_fn: SurrogateFn = SingleExponential(),  # noqa: B008 (frozen)
        min_v_mem: float | Tensor | None = None,
        train_alphas: bool = False,
        norm_input: bool = True,
        record_states: bool = False,
    ) -> None:
        super().__init__(
            tau_mem,
            tau_syn,
            spike_threshold,
            spike_fn,
            reset_fn,
            surrogate_grad_fn,
            min_v_mem,
            train_alphas,
            norm_input,
            record_states,
        )
        constant(self, "adapt_scale", adapt_scale, trained=False)
        self._set_tau("adapt", tau_adapt)

    def forward(self, data: Tensor) -> Tensor:
        """Return the spikes ``(batch, time, *features)`` for inputs of the same shape."""
        stored = self.b
        try:
            if data.dim() >= 2 and data.shape[1]:
                self.b = self._start("b", data[:, 0])
            spikes = super().forward(data)
            reached = self.b
        finally:
            self.b = stored
        self._keep(b=reached)
        return spikes

    def decays(self) -> Decays:
        """Return the decays of :class:`LIF`; with a synapse the gain is part of ``alpha_syn``."""
        alpha_mem, alpha_syn, gain = super().decays()
        if alpha_syn is None or gain is None:
            return Decays(alpha_mem, alpha_syn, gain)
        return Decays(alpha_mem, gain * alpha_syn)

    def _fire(self, v: Tensor) -> tuple[Tensor, Tensor]:
        alpha = self._alpha("adapt")
        assert alpha is not None
        assert self.b is not None
        rise = self.adapt_scale * self.b
        n = self.spike_fn.apply(v, self.spike_threshold + rise.detach(), self.surrogate_grad_fn)
        self.b = alpha * self.b + (1 - alpha) * n
        return n, self._floor(self.reset_fn(n, v, self.spike_threshold + rise))
