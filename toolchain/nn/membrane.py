"""Membrane, synapse and the loop over time, which all layers named as in sinabs share.

The equations of a timestep are in ``spiking``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from toolchain.nn.arguments import argument
from toolchain.nn.state import StatefulLayer, constant

__all__ = ["Decays", "MembraneLayer"]


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
    """Base of the layers: membrane, synapse and the loop over time.

    Attributes:
        rec_connect: only of a recurrent layer: module that feeds the last timestep's output back;
            its output is given the shape of the layer's input. In the first timestep of a call
            nothing is fed back, not even its bias.
    """

    rec_connect: nn.Module
    tau_syn: Tensor | None
    min_v_mem: Tensor | None

    def __init__(self, record_states: bool = False, shape: Sequence[int] | None = None) -> None:
        super().__init__(None, record_states, shape)

    def _set_floor(self, min_v_mem: float | Tensor | None) -> None:
        if min_v_mem is None:
            self.register_buffer("min_v_mem", None)
        else:
            constant(self, "min_v_mem", min_v_mem, trained=False)

    def _set_tau(self, state: str, tau: float | Tensor | None, *, as_alpha: bool = False) -> None:
        """Register the time constant of a state, or its factor ``exp(-1 / tau)``, to be trained.

        Without that of the synapse the layer has no synaptic current.
        """
        key = f"alpha_{state}" if as_alpha else f"tau_{state}"
        if tau is None:
            self.register_parameter(key, None)
            if state == "syn":
                self.i_syn = None
            return
        value = torch.as_tensor(tau)
        if not bool((value > 0).all()):
            raise ValueError(f"tau_{state} must be > 0 timesteps, got {value.min():g}")
        constant(self, key, torch.exp(-1.0 / value) if as_alpha else tau, trained=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.decays().alpha_syn is None:
            self.i_syn = None

    def _saved_states(self) -> tuple[str, ...]:
        return tuple(self._states())

    @property
    def shape(self) -> torch.Size | None:
        """Shape of the states, (batch, *features), or None before the first call."""
        return self.v_mem.shape if self.is_state_initialised() else None

    @property
    def arg_dict(self) -> dict[str, Any]:
        """Arguments by name that build a layer like this one, with the values as trained."""
        arguments = {
            "min_v_mem": argument(self.min_v_mem),
            "shape": self.shape,
            "record_states": self.record_states,
        }
        return {"rec_connect": self.rec_connect, **arguments} if self._recurrent() else arguments

    def _recurrent(self) -> bool:
        return "rec_connect" in self._modules

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
        b = self._start("b", data[:, 0]) if "b" in self.state_names else None
        out: Tensor | None = None
        steps: dict[str, list[Tensor]] = {name: [] for name in ("out", "v_mem", "i_syn", "b")}
        for x in data.unbind(1):
            current = x if out is None else self._with_feedback(x, out)
            if alpha_syn is not None and i is not None:
                i = current = alpha_syn * (i + current)
                steps["i_syn"].append(i)
            decayed = v if alpha_mem is None else alpha_mem * v
            out, v, b = self._fire(decayed + (current if gain is None else gain * current), b)
            steps["out"].append(out)
            steps["v_mem"].append(v)
            if b is not None:
                steps["b"].append(b)
        self._finish(steps, v_mem=v, i_syn=i, b=b)
        return torch.stack(steps["out"], dim=1)

    def _finish(self, steps: dict[str, list[Tensor]], **last: Tensor | None) -> None:
        """Store the states of the last timestep, and all of them if they are recorded."""
        self._keep(**{name: last[name] for name in self.state_names if name in last})
        self._record(**{name: steps[name] for name in self.state_names if name in steps})

    def _with_feedback(self, x: Tensor, out: Tensor) -> Tensor:
        """Return the input of a timestep with the output of the last one fed back."""
        if not self._recurrent():
            return x
        back: Tensor = self.rec_connect(out)
        if back.numel() != x.numel():
            raise ValueError(
                f"rec_connect of {type(self).__name__} returns shape {tuple(back.shape)} for an "
                f"input of {tuple(x.shape)}; it must return as many numbers as it gets"
            )
        return x + back.reshape(x.shape)

    def _fire(self, v: Tensor, b: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return output, membrane and adaptation after the timestep."""
        raise NotImplementedError

    def _floor(self, v: Tensor) -> Tensor:
        return v if self.min_v_mem is None else torch.maximum(v, self.min_v_mem)
