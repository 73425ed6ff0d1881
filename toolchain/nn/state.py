"""What a layer remembers between calls, by rules that cannot surprise.

- A layer starts at zero and carries its state over to the next call until ``reset_states``.
- A call of another batch size or shape starts at zero again; nothing is ever drawn at random.
- State is cut from the graph that computed it, so that backward works call after call.
- State is in no ``state_dict``: it belongs to a run, not to the trained network.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

__all__ = ["StatefulLayer", "constant", "detach_states", "reset_states", "zero_grad"]


class StatefulLayer(nn.Module):
    """A layer with state over time.

    Attributes:
        STATES: names of the state attributes, each ``(batch, *features)`` or None.
        record_states: whether ``recordings`` is filled at each call.
        recordings: states of the last call by name, each ``(batch, time, *features)``, still part
            of the graph so that a loss can use them.
        does_spike: whether the output is spikes.
    """

    STATES: ClassVar[tuple[str, ...]] = ("v_mem", "i_syn")
    does_spike: ClassVar[bool] = False
    v_mem: Tensor | None
    i_syn: Tensor | None

    def __init__(self, record_states: bool = False) -> None:
        super().__init__()
        self.record_states = record_states
        self.recordings: dict[str, Tensor] = {}
        self.reset_states()

    def reset_states(self) -> None:
        """Start at zero with the next call; forget the recordings."""
        self.recordings = {}
        for name in self.STATES:
            setattr(self, name, None)

    def detach_states(self) -> None:
        """Cut the recordings from the graph that computed them; states always are."""
        self.recordings = {name: value.detach() for name, value in self.recordings.items()}

    def _start(self, name: str, like: Tensor) -> Tensor:
        """The state to go on from: the one kept, or zeros if there is none of that shape."""
        state: Tensor | None = getattr(self, name)
        if state is None or state.shape != like.shape:
            return torch.zeros_like(like)
        return state.to(like)

    def _keep(self, **states: Tensor | None) -> None:
        for name, value in states.items():
            setattr(self, name, None if value is None else value.detach())

    def _record(self, **steps: list[Tensor]) -> None:
        if self.record_states:
            self.recordings = {k: torch.stack(v, dim=1) for k, v in steps.items() if v}

    def __getstate__(self) -> dict[str, Any]:
        # torch refuses to copy a tensor that is part of a graph, and a copied network must not
        # fail because of what was recorded last
        recordings = {name: value.detach() for name, value in self.recordings.items()}
        return {**self.__dict__, "recordings": recordings}


def reset_states(model: nn.Module) -> None:
    """Start every layer of ``model`` at zero with its next call."""
    for module in model.modules():
        if isinstance(module, StatefulLayer):
            module.reset_states()


def detach_states(model: nn.Module) -> None:
    """Cut what the layers of ``model`` recorded from the graph, which frees that graph."""
    for module in model.modules():
        if isinstance(module, StatefulLayer):
            module.detach_states()


def zero_grad(model: nn.Module) -> None:
    """Forget the gradients of every parameter of ``model``, and the graphs of its last call."""
    for parameter in model.parameters():
        parameter.grad = None
    detach_states(model)


def constant(module: nn.Module, name: str, value: float | Tensor, *, trained: bool) -> None:
    """Keep ``value`` on ``module``: a parameter given is kept, else a copy, trained or not.

    Copied, because two layers built from one default tensor must not share it.
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
