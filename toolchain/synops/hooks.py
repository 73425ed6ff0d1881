"""Hooks that count synaptic operations and firing rates while a model runs.

``register_synops_hooks`` takes a whole model; the others are given to
``layer.register_forward_hook`` of a single layer. What they find is in ``hook_data`` of the layer
or model: figures of the last pass, part of its graph, so that they can go into a loss. The next
pass replaces them, so backward works pass after pass.

Source: the keys of ``hook_data`` are those of sinabs' hooks as observed.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toolchain.synops.counts import Cost, check_input
from toolchain.synops.data import hook_data
from toolchain.synops.layers import CONVOLUTIONS, TRANSPOSED, Key, is_squeezed, keys, survey
from toolchain.synops.monitor import Monitor

__all__ = [
    "SynopsHooks",
    "firing_rate_hook",
    "firing_rate_per_neuron_hook",
    "input_diff_hook",
    "register_synops_hooks",
]

Calls = Literal["steps", "branches"]
_KEYS = tuple(f"{of}synops_per_{unit}" for of in ("", "total_") for unit in ("timestep", "second"))
_KEEP = 64  # passes


def register_synops_hooks(
    model: nn.Module,
    dt: float | None = None,
    *,
    skip_zero_weights: bool = False,
    calls: Calls = "steps",
    ignore: Collection[str | type[nn.Module]] = (),
) -> SynopsHooks:
    """Count the synaptic operations of every pass of ``model``.

    After a pass, with k the layer's path, or its index where every layer with weights is a direct
    child of an ``nn.Sequential``; all tensors of shape ():

    - ``layer.hook_data["synops_per_timestep"]``
    - ``model.hook_data["synops_per_timestep"][k]``
    - ``model.hook_data["total_synops_per_timestep"]``
    - with ``dt`` also ``synops_per_second`` and ``total_synops_per_second`` in the same places.

    Each is the mean over all time steps of all samples: the rows of a convolution's
    (batch * time, channels, *sizes), or batch and time of a dense layer's (batch, time, inputs).
    Recurrent weights count the spikes of the step before. Averages that pools made count as sums.

    Args:
        model: any tree of modules with ``nn.Linear``, plain and transposed convolutions, the
            layers of ``toolchain.nn``, and modules without parameters. A pass is one call of it.
        dt: length of a time step, s.
        skip_zero_weights: weights that are 0 at the time of the call are no synapses.
        calls: what it means that a layer is called more than once in a pass: ``"steps"`` of a
            loop over time, whose mean is taken, or ``"branches"`` that share its weights, whose
            synops add up.
        ignore: paths and types of modules that are left out, with all below them. What leaves
            them counts as spikes.

    Returns:
        A handle with ``remove()``, which is also a context manager, and ``average()``.

    Raises:
        ValueError: here, layers whose synapses cannot be counted, or a dt that is not positive; in
            a pass, an input of wrong shape, or one that mixes average-pooled and other values.
            All name the layer's path.

    Source: Sorbaro et al. 2020, "Optimizing the energy consumption of spiking neural networks for
    neuromorphic applications", eq. 3; units and averaging of sinabs' hooks as observed.
    """
    return SynopsHooks(model, dt, skip_zero_weights, calls, ignore)


class SynopsHooks:
    """The hooks of ``register_synops_hooks``, until :meth:`remove` or the end of a ``with``."""

    def __init__(
        self,
        model: nn.Module,
        dt: float | None,
        skip_zero_weights: bool,
        calls: Calls,
        ignore: Collection[str | type[nn.Module]],
    ) -> None:
        if dt is not None and not (math.isfinite(dt) and dt > 0):
            raise ValueError(f"dt must be > 0 s, got {dt}")
        if calls not in ("steps", "branches"):
            raise ValueError(f"calls is 'steps' or 'branches', got {calls!r}")
        layers = survey(model, ignore)
        self._model = model
        self._dt = dt
        self._branches = calls == "branches"
        self._modules = {**layers.weighted, **layers.recurrent}
        self._keys = keys(model, layers)
        self._filled: list[dict[str, Any]] = []
        self._costs: dict[str, list[Cost]] = {}
        self._rows: dict[str, int] = {}
        self.reset()
        self._monitor = Monitor(model, layers, self, skip_zero_weights)

    def remove(self) -> None:
        """Take the hooks away; what they found stays in ``hook_data``."""
        self._monitor.remove()

    def __enter__(self) -> SynopsHooks:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def average(self) -> dict[str, Any]:
        """As ``model.hook_data``, over all time steps of all passes since the last ``reset``.

        Tensors of shape (), float64, cut from the graph. A pass counts by its time steps, so
        passes of different batch sizes weigh as much as their samples do.

        Raises:
            ValueError: no pass yet.
        """
        if not self._steps:
            raise ValueError("no pass to average over; call the model first")
        for path, _ in list(self._recent):
            self._add_up(path)
        return self._figures({path: self._sums[path] / n for path, n in self._steps.items()})

    def reset(self) -> None:
        """Forget the passes so far."""
        self._sums: dict[str, Tensor] = {}
        self._steps: dict[str, int] = {}
        # of the last passes, not yet in the sums: adding up many at once costs as much as one
        self._recent: dict[tuple[str, float], list[Tensor]] = {}

    # ---- what the watch tells ----

    def begin(self) -> None:
        """Drop the last pass, and with it what it keeps of its graph."""
        self._costs, self._rows = {}, {}
        for data in self._filled:
            for key in _KEYS:
                data.pop(key, None)

    def cost(self, path: str, cost: Cost) -> None:
        """One more call of a layer."""
        self._costs.setdefault(path, []).append(cost)

    def rows(self, path: str, rows: int, steps: int) -> None:
        """One more call of the layer around a recurrent weight."""
        self._rows[path] = self._rows.get(path, 0) + rows

    def end(self) -> None:
        """Leave the figures in ``hook_data``."""
        paths = [path for path in self._modules if path in self._costs or path in self._rows]
        figures = self._figures({path: self._close(path) for path in paths})
        self._filled = [hook_data(self._model)]
        self._filled[0].update(figures)
        for path in paths:
            data = hook_data(self._modules[path])
            for key in _KEYS[:2]:
                if key in figures:
                    data[key] = figures[key][self._keys[path]]
            self._filled.append(data)
        self._costs = {}

    def _close(self, path: str) -> Tensor:
        """Synops a time step of a layer in this pass, ()."""
        costs, rows = self._costs.get(path, []), self._rows.get(path, 0)
        if len(costs) == 1 and not rows:
            rows = costs[0].rows
            mean, total, scale = costs[0].mean()
        else:
            rows = rows or (costs[0].rows if self._branches else sum(cost.rows for cost in costs))
            summed = torch.stack([cost.total() for cost in costs] or [self._nothing(path)]).sum()
            mean, total, scale = summed / rows, summed.detach(), 1.0
        self._steps[path] = self._steps.get(path, 0) + rows
        recent = self._recent.setdefault((path, scale), [])
        recent.append(total)
        if len(recent) == _KEEP:
            self._add_up(path)
        return mean

    def _nothing(self, path: str) -> Tensor:
        # of a recurrent weight in a single step, which feeds nothing back
        return torch.zeros((), device=next(self._modules[path].parameters()).device)

    def _add_up(self, path: str) -> None:
        for name, scale in [key for key in self._recent if key[0] == path]:
            totals = torch.cat([one.reshape(-1) for one in self._recent.pop((name, scale))])
            before = self._sums.get(path, torch.zeros((), dtype=torch.float64))
            self._sums[path] = before + totals.double().sum() * scale

    def _figures(self, by_path: dict[str, Tensor]) -> dict[str, Any]:
        per_step = {self._keys[path]: synops for path, synops in by_path.items()}
        figures = _with_total("timestep", per_step)
        if self._dt is not None:
            figures |= _with_total("second", {key: x / self._dt for key, x in per_step.items()})
        return figures


def _with_total(unit: str, synops: dict[Key, Tensor]) -> dict[str, Any]:
    total = torch.stack([*synops.values()]).sum() if synops else torch.zeros(())
    return {f"synops_per_{unit}": synops, f"total_synops_per_{unit}": total}


def firing_rate_hook(module: nn.Module, given: Any, out: Tensor) -> None:
    """``hook_data["firing_rate"]``: spikes a neuron and time step, mean over the layer, ().

    Source: sinabs' hooks as observed.
    """
    hook_data(module)["firing_rate"] = out.mean()


def firing_rate_per_neuron_hook(module: nn.Module, given: Any, out: Tensor) -> None:
    """``hook_data["firing_rate_per_neuron"]``: spikes a time step of each neuron, (*features).

    The mean over batch and time: the first axis of a squeezed layer's (batch * time, *features),
    the first two of any other's (batch, time, *features).

    Raises:
        ValueError: an output without these axes.

    Source: sinabs' hooks as observed.
    """
    leading = (0,) if is_squeezed(module) else (0, 1)
    if out.dim() < len(leading):
        raise ValueError(
            f"{type(module).__name__} gives shape {tuple(out.shape)}, not (batch, time, ...)"
        )
    hook_data(module)["firing_rate_per_neuron"] = out.mean(leading)


def input_diff_hook(module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
    """``hook_data["diff_output"]``: ``|W| x - |W x + b|``, of the output's shape.

    How much of the input cancels in the sum: 0 where all of it pulls one way, and the smaller it
    is, the less the order of spikes within a time step matters. Bias is in the second term only.

    Raises:
        ValueError: a layer that is neither dense nor a convolution.

    Source: sinabs' hooks as observed.
    """
    check_input(module, given[0], type(module).__name__)
    hook_data(module)["diff_output"] = _all_positive(module, given[0], out) - out.abs()


def _all_positive(module: nn.Module, data: Tensor, out: Tensor) -> Tensor:
    """What a layer gives with the absolute values of its weights and no bias."""
    if isinstance(module, nn.Linear):
        return F.linear(data, module.weight.abs())
    if isinstance(module, CONVOLUTIONS) and not isinstance(module, TRANSPOSED):
        positive: Tensor = module._conv_forward(data, module.weight.abs(), None)
        return positive
    raise ValueError(f"input_diff_hook is for nn.Linear and nn.Conv, got {type(module).__name__}")
