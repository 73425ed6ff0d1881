"""Neurons whose threshold rises with their own spikes; for training only, no chip supports it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from toolchain.nn.activation import MembraneSubtract, ResetFn, SingleSpike, SpikeFn
from toolchain.nn.arguments import argument
from toolchain.nn.membrane import Decays
from toolchain.nn.spiking import LIF
from toolchain.nn.state import constant
from toolchain.nn.surrogate import SingleExponential, SurrogateFn

__all__ = ["ALIF", "ALIFRecurrent"]


class ALIF(LIF):
    """Leaky integrate-and-fire with an adaptive threshold on ``(batch, time, *features)``.

    In the step of :class:`LIF` the threshold is ``b0 + adapt_scale b``, and then::

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
        tau_syn, surrogate_grad_fn, min_v_mem, train_alphas, shape, norm_input, record_states: as
            for :class:`LIF`; recordings also contain ``b`` and ``spike_threshold``.
        adapt_scale: rise of the threshold per unit of b.
        spike_threshold: threshold b0 without spikes, > 0.
        spike_fn: as for :class:`LIF`, but by default at most one spike per timestep.
        reset_fn: as for :class:`LIF`; a subtraction subtracts the raised threshold.

    Attributes:
        b0, adapt_scale, min_v_mem: constants; not in the ``state_dict``, unless given as an
            ``nn.Parameter``.
        spike_threshold: the threshold of each neuron after the last call, a state as b.

    Raises:
        ValueError: a time constant that is not positive.

    Source: sinabs' ``ALIF`` as observed; Bellec et al. 2018 for the model.
    """

    STATES = (*LIF.STATES, "b", "spike_threshold")
    b: Tensor
    b0: Tensor
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
        shape: Sequence[int] | None = None,
        train_alphas: bool = False,
        norm_input: bool = True,
        record_states: bool = False,
    ) -> None:
        super(LIF, self).__init__(record_states, shape)
        self.train_alphas, self.norm_input = train_alphas, norm_input
        for name, tau in (("mem", tau_mem), ("adapt", tau_adapt), ("syn", tau_syn)):
            self._set_tau(name, tau, as_alpha=train_alphas)
        _unsaved(self, "b0", spike_threshold)
        _unsaved(self, "adapt_scale", adapt_scale)
        if min_v_mem is None:
            self.register_buffer("min_v_mem", None)
        else:
            _unsaved(self, "min_v_mem", min_v_mem)
        self.spike_fn, self.reset_fn = spike_fn, reset_fn
        self.surrogate_grad_fn = surrogate_grad_fn

    @property
    def arg_dict(self) -> dict[str, Any]:
        """Arguments by name that build a layer like this one, with the values as trained."""
        constants = {
            "tau_adapt": self._tau("adapt"),
            "adapt_scale": argument(self.adapt_scale),
            "spike_threshold": argument(self.b0),
        }
        return {"tau_mem": None, **constants, **super().arg_dict, **constants}

    def decays(self) -> Decays:
        """Return the decays of :class:`LIF`; with a synapse the gain is part of ``alpha_syn``."""
        alpha_mem, alpha_syn, gain = super().decays()
        if alpha_syn is None or gain is None:
            return Decays(alpha_mem, alpha_syn, gain)
        return Decays(alpha_mem, gain * alpha_syn)

    def _fire(self, v: Tensor, b: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        alpha = self._alpha("adapt")
        assert alpha is not None
        assert b is not None
        rise = self.adapt_scale * b
        n = self.spike_fn.apply(v, self.b0 + rise.detach(), self.surrogate_grad_fn)
        return n, self._floor(self.reset_fn(n, v, self.b0 + rise)), alpha * b + (1 - alpha) * n

    def _finish(self, steps: dict[str, list[Tensor]], **last: Tensor | None) -> None:
        needed = steps["b"] if self.record_states else steps["b"][-1:]
        thresholds = [self.b0 + self.adapt_scale * b for b in needed]
        steps = {**steps, "spike_threshold": thresholds}
        super()._finish(steps, **last, spike_threshold=thresholds[-1])

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        # earlier releases saved the constants, the threshold under its argument's name
        if f"{prefix}adapt_scale" not in state_dict:
            super()._load_from_state_dict(state_dict, prefix, *rest)
            return
        constants = {
            "spike_threshold": "b0",
            "adapt_scale": "adapt_scale",
            "min_v_mem": "min_v_mem",
        }
        others = dict(state_dict)
        for name, attribute in constants.items():
            value, own = others.pop(prefix + name, None), getattr(self, attribute)
            if value is not None and own is not None:
                own.data.copy_(value)
        super()._load_from_state_dict(others, prefix, *rest)

    def __setstate__(self, state: dict[str, Any]) -> None:
        buffers = dict(state["_buffers"])
        if "adapt_scale" in buffers and "state_names" not in state:
            buffers["b0"] = buffers.pop("spike_threshold")
            unsaved = {*state["_non_persistent_buffers_set"], "b0", "adapt_scale", "min_v_mem"}
            state = {**state, "_buffers": buffers, "_non_persistent_buffers_set": unsaved}
        super().__setstate__(state)


class ALIFRecurrent(ALIF):
    """An :class:`ALIF` layer with recurrent connections.

    >>> import torch
    >>> from toolchain.nn import ALIFRecurrent
    >>> excitation = torch.nn.Linear(1, 1, bias=False)
    >>> _ = excitation.weight.data.fill_(1.5)
    >>> layer = ALIFRecurrent(5.0, 50.0, excitation, adapt_scale=5.0, norm_input=False)
    >>> layer(torch.eye(8)[None, :, :1] * 1.5).int().flatten().tolist()
    [1, 1, 1, 1, 1, 1, 1, 1]

    Args:
        tau_mem, tau_adapt: time constants, timesteps, > 0; trained.
        rec_connect: module from spikes ``(batch, *features)`` to as many numbers, which are given
            the shape of the layer's input.
        args, rest: as for :class:`ALIF`.
    """

    def __init__(
        self,
        tau_mem: float | Tensor,
        tau_adapt: float | Tensor,
        rec_connect: nn.Module,
        *args: Any,
        **rest: Any,
    ) -> None:
        super().__init__(tau_mem, tau_adapt, *args, **rest)
        self.rec_connect = rec_connect


def _unsaved(layer: nn.Module, name: str, value: float | Tensor) -> None:
    """Register a constant that has no place in the ``state_dict``, a parameter as it is."""
    constant(layer, name, value, trained=False)
    if name in layer._buffers:
        layer._non_persistent_buffers_set.add(name)
