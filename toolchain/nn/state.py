"""States of layers between calls.

- A layer starts at zero and carries its state over to the next call until ``reset_states``.
- A call with another batch size or shape starts at zero again; states are never random.
- States are detached from the autograd graph, so that backward works in every call, and are no
  inference tensors, so that training can follow on ``torch.inference_mode``.
- The second run of a ``torch.utils.checkpoint`` starts as its first, and changes no state.
- States belong to a run, not to the trained network. Where sinabs' layers have states in their
  ``state_dict``, so have these: written as those of a new layer, so that every new network takes
  them; read in any shape.

Source: the methods are those of sinabs' ``StatefulLayer`` as observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from toolchain.nn.arguments import WithArguments
from toolchain.nn.recomputation import recomputes, start_state

__all__ = ["StatefulLayer", "constant", "detach_states", "reset_states", "zero_grad"]


class StatefulLayer(WithArguments, nn.Module):
    """Base of the layers with states.

    >>> import torch
    >>> from toolchain.nn import IAF, StatefulLayer
    >>> net = torch.nn.Sequential(torch.nn.Linear(1, 1), IAF())
    >>> [name for name, module in net.named_modules() if isinstance(module, StatefulLayer)]
    ['1']
    >>> layer = net[1]
    >>> layer.is_state_initialised()
    False
    >>> _ = layer(torch.full((1, 1, 1), 0.75))
    >>> layer.v_mem.item()
    0.75
    >>> layer.reset_states()
    >>> layer.v_mem.item()
    0.0
    >>> layer.reset_states(randomize=True, value_ranges={"v_mem": (0.25, 0.5)})
    >>> 0.25 <= layer.v_mem.item() < 0.5
    True

    Args:
        state_names: names of the states of a layer of your own; by default those of the class.
        record_states: True to fill ``recordings`` in each call.
        shape: (batch, *features) of the first state, or None for that of the first call.

    Attributes:
        STATES: names of the states of the class.
        state_names: names of the state attributes, each ``(batch, *features)``; of shape (0,)
            before the first call. A layer without synapse has None as ``i_syn``.
        record_states: as given.
        recordings: states of the last call by name, each ``(batch, time, *features)``,
            differentiable so that a loss can use them.
        firing_rate: spikes per timestep and neuron, mean over the last call, differentiable, (); of
            a layer that does not spike, and before the first call, None.
        does_spike: True if the output is spikes.
    """

    STATES: ClassVar[tuple[str, ...]] = ("v_mem", "i_syn")
    does_spike: ClassVar[bool] = False
    firing_rate: Tensor | None = None
    v_mem: Tensor
    i_syn: Tensor | None

    def __setattr__(self, name: str, value: Any) -> None:
        # such as min_v_mem = -1.0 of a layer that exists, whose constants are tensors
        if isinstance(value, int | float) and name in self.__dict__.get("_buffers", ()):
            old = self._buffers[name]
            value = torch.tensor(float(value)) if old is None else torch.full_like(old, value)
        super().__setattr__(name, value)

    def __init__(
        self,
        state_names: Sequence[str] | None = None,
        record_states: bool = False,
        shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.record_states = record_states
        self.recordings: dict[str, Tensor] = {}
        self.state_names = self.STATES if state_names is None else tuple(state_names)
        self._first_shape = (0,) if shape is None else tuple(shape)
        for name in self.state_names:
            setattr(self, name, torch.zeros(self._first_shape))

    def is_state_initialised(self) -> bool:
        """Return True if the layer has states, of a call or of ``init_state_with_shape``."""
        return all(state.shape != (0,) for state in self._states().values())

    def state_has_shape(self, shape: Sequence[int]) -> bool:
        """Return True if every state has the shape (batch, *features)."""
        return all(state.shape == tuple(shape) for state in self._states().values())

    def has_trailing_dimension(self, trailing_dim: Sequence[int]) -> bool:
        """Return True if every state has these features, whatever the batch size."""
        return all(state.shape[1:] == tuple(trailing_dim) for state in self._states().values())

    def init_state_with_shape(self, shape: Sequence[int], randomize: bool = False) -> None:
        """Start all states anew in the shape (batch, *features): zeros, or random in 0 to 1."""
        for name, state in self._states().items():
            setattr(self, name, state.new_zeros(tuple(shape)))
        self.reset_states(randomize)

    def reset_states(
        self,
        randomize: bool = False,
        value_ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        """Reset the states, in the shape that they have, and clear the recordings.

        Args:
            randomize: draw uniform values, by default from 0 to 1, rather than zeros.
            value_ranges: (lowest, highest) value of a state by its name.
        """
        if recomputes():
            return  # its first run has reset them
        self.recordings = {}
        for name, state in self._states().items():
            if not randomize:
                setattr(self, name, torch.zeros_like(state))
                continue
            low, high = (value_ranges or {}).get(name, (0.0, 1.0))
            setattr(self, name, torch.rand_like(state) * (high - low) + low)

    def _states(self) -> dict[str, Tensor]:
        states = {name: getattr(self, name) for name in self.state_names}
        return {name: state for name, state in states.items() if state is not None}

    def _saved_states(self) -> tuple[str, ...]:
        """Return the names of the states that have a place in the ``state_dict``."""
        return ()

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        like = [*self.parameters(), *self.buffers(), torch.zeros(0)][0]
        for name in self._saved_states():
            destination[prefix + name] = torch.zeros(self._first_shape).to(like)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        for name in self._saved_states():
            key = prefix + name
            if key in unexpected_keys:
                unexpected_keys.remove(key)
            if key in state_dict:
                state = state_dict[key].detach()
                given = torch.zeros(self._first_shape).to(state) if state.shape == (0,) else state
                setattr(self, name, given.clone())

    def detach_states(self) -> None:
        """Detach recordings and firing rate from the autograd graph; states always are."""
        self.recordings = {name: value.detach() for name, value in self.recordings.items()}
        if self.firing_rate is not None:
            self.firing_rate = self.firing_rate.detach()

    def _fired(self, spikes: Tensor) -> None:
        if not recomputes():
            self.firing_rate = spikes.mean() if spikes.numel() else spikes.new_zeros(())

    def _start(self, name: str, like: Tensor) -> Tensor:
        """Return the stored state, or zeros if there is none of the shape of ``like``."""
        state = start_state(self, name, getattr(self, name))
        if state is None or state.shape != like.shape:
            return torch.zeros_like(like)
        return state.to(like)

    def _keep(self, **states: Tensor | None) -> None:
        if not recomputes():
            for name, value in states.items():
                setattr(self, name, None if value is None else _storable(value))

    def _record(self, **steps: list[Tensor]) -> None:
        if self.record_states and not recomputes():
            self.recordings = {k: torch.stack(v, dim=1) for k, v in steps.items() if v}

    def __getstate__(self) -> dict[str, Any]:
        # torch cannot copy a tensor that is part of an autograd graph; recordings must not make
        # the copy of a network fail
        recordings = {name: value.detach() for name, value in self.recordings.items()}
        rate = None if self.firing_rate is None else self.firing_rate.detach()
        return {**self.__dict__, "recordings": recordings, "firing_rate": rate}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if "state_names" not in state:  # a pickle of an earlier release
            self.state_names, self._first_shape = self.STATES, (0,)
            for name in self.STATES:
                if state.get(name) is None:
                    setattr(self, name, torch.zeros(0))


def _storable(value: Tensor) -> Tensor:
    """Return a state that a later call can start from, in whatever mode it runs."""
    if torch.compiler.is_compiling():
        return value.detach()
    if value.is_inference():
        with torch.inference_mode(False):
            return value.clone()
    return value.detach()


def reset_states(model: nn.Module) -> None:
    """Reset the states of every layer of ``model`` to zero.

    >>> import torch
    >>> from toolchain.nn import IAF, reset_states
    >>> net = torch.nn.Sequential(IAF())
    >>> data = torch.full((1, 1, 1), 0.6)
    >>> int(net(data)), int(net(data))  # the membrane is carried over
    (0, 1)
    >>> reset_states(net)
    >>> int(net(data))
    0
    """
    for module in model.modules():
        if isinstance(module, StatefulLayer):
            module.reset_states()


def detach_states(model: nn.Module) -> None:
    """Detach the recordings of every layer of ``model``, which frees the autograd graph.

    >>> import torch
    >>> from toolchain.nn import LIF, detach_states
    >>> net = torch.nn.Sequential(LIF(10.0, record_states=True))
    >>> _ = net(torch.ones(1, 3, 1))
    >>> net[0].recordings["v_mem"].requires_grad
    True
    >>> detach_states(net)
    >>> net[0].recordings["v_mem"].requires_grad
    False
    """
    for module in model.modules():
        if isinstance(module, StatefulLayer):
            module.detach_states()


def zero_grad(model: nn.Module) -> None:
    """Clear the gradients of every parameter of ``model`` and detach its recordings.

    >>> import torch
    >>> from toolchain.nn import LIF, zero_grad
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), LIF(10.0))
    >>> net(torch.ones(1, 5, 2)).sum().backward()
    >>> all(parameter.grad is not None for parameter in net.parameters())
    True
    >>> zero_grad(net)
    >>> any(parameter.grad is not None for parameter in net.parameters())
    False
    """
    for parameter in model.parameters():
        parameter.grad = None
    detach_states(model)


def constant(module: nn.Module, name: str, value: float | Tensor, *, trained: bool) -> None:
    """Register ``value`` on ``module``: a parameter itself, a number or tensor as a copy.

    A copy, because two layers built from one default tensor must not share it.

    Args:
        module: the layer.
        name: attribute of the layer.
        value: an ``nn.Parameter`` is registered as it is.
        trained: True to register the copy as a parameter, False as a buffer.
    """
    if isinstance(value, nn.Parameter):
        module.register_parameter(name, value)
        return
    given = value if isinstance(value, Tensor) else torch.as_tensor(value)
    tensor = given if given.is_floating_point() else given.to(torch.get_default_dtype())
    tensor = tensor.detach().clone()
    if trained:
        module.register_parameter(name, nn.Parameter(tensor))
    else:
        module.register_buffer(name, tensor)
