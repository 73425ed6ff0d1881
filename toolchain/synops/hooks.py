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
from toolchain.synops.layers import CONVOLUTIONS, TRANSPOSED, is_squeezed, keys, survey
from toolchain.synops.watch import Watch

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
        self._shown: list[dict[str, Any]] = []
        self._costs: dict[str, list[Cost]] = {}
        self._rows: dict[str, int] = {}
        self.reset()
        self._watch = Watch(model, layers, self, skip_zero_weights)

    def remove(self) -> None:
        """Take the hooks away; what they found stays in ``hook_data``."""
        self._watch.remove()

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
        for ran in list(self._kept):
            self._add_up(ran)
        sums = dict.fromkeys(self._steps, torch.zeros((), dtype=torch.float64))
        for ran, synops in self._sums.items():
            for path, one in zip(ran, synops, strict=True):
                sums[path] = sums[path] + one
        steps = torch.tensor([*self._steps.values()])
        return self._figures(tuple(sums), torch.stack([*sums.values()]) / steps.to(one), {})

    def reset(self) -> None:
        """Forget the passes so far."""
        self._steps: dict[str, int] = {}
        # by the layers that ran; the last passes are added up only once there are some of them
        self._sums: dict[tuple[str, ...], Tensor] = {}
        self._kept: dict[tuple[str, ...], list[Tensor]] = {}

    # ---- what the watch tells ----

    def begin(self) -> None:
        """Drop the last pass, and with it what it keeps of its graph."""
        self._costs, self._rows = {}, {}
        for data in self._shown:
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
        ran = tuple(path for path in self._modules if path in self._costs or path in self._rows)
        if not ran:
            return
        steps = [self._steps_of(path) for path in ran]
        totals = torch.stack([self._total(path) for path in ran])
        self._keep(ran, totals.detach(), steps)
        alike = len(set(steps)) == 1
        means = totals / (steps[0] if alike else torch.tensor(steps).to(totals))
        figures = self._figures(ran, means, self._dense_means(ran))
        self._shown = [hook_data(self._model)]
        self._shown[0].update(figures)
        for path in ran:
            data = hook_data(self._modules[path])
            for key in _KEYS[:2]:
                if key in figures:
                    data[key] = figures[key][self._keys[path]]
            self._shown.append(data)
        self._costs = {}

    def _steps_of(self, path: str) -> int:
        """Time steps of all samples over which a layer's synops of this pass are."""
        costs, rows = self._costs.get(path, []), self._rows.get(path, 0)
        if rows or self._branches or len(costs) == 1:
            return rows or costs[0].rows
        return sum(cost.rows for cost in costs)

    def _total(self, path: str) -> Tensor:
        """Synops of a layer in this pass, ()."""
        costs = self._costs.get(path)
        if costs is None:  # a single step, which feeds nothing back
            return torch.zeros((), device=next(self._modules[path].parameters()).device)
        if len(costs) == 1:
            return costs[0].total()
        return torch.stack([cost.total() for cost in costs]).sum()

    def _dense_means(self, ran: tuple[str, ...]) -> dict[str, Tensor]:
        calls = {path: self._costs[path] for path in ran if path not in self._rows}
        return {
            path: costs[0].mean()
            for path, costs in calls.items()
            if len(costs) == 1 and isinstance(costs[0].fan_out, int)
        }

    def _keep(self, ran: tuple[str, ...], totals: Tensor, steps: list[int]) -> None:
        for path, n in zip(ran, steps, strict=True):
            self._steps[path] = self._steps.get(path, 0) + n
        kept = self._kept.setdefault(ran, [])
        kept.append(totals)
        if len(kept) == _KEEP:
            self._add_up(ran)

    def _add_up(self, ran: tuple[str, ...]) -> None:
        synops = torch.stack(self._kept.pop(ran)).sum(0, dtype=torch.float64)
        before = self._sums.get(ran)
        self._sums[ran] = synops if before is None else before + synops

    def _figures(
        self, ran: tuple[str, ...], means: Tensor, instead: dict[str, Tensor]
    ) -> dict[str, Any]:
        """Contents of ``hook_data``: of the layers that ran, with other tensors for some."""
        by_path = dict(zip(ran, means.unbind(), strict=True)) | instead
        per_step = {self._keys[path]: by_path[path] for path in ran}
        found: dict[str, Any] = {
            "synops_per_timestep": per_step,
            "total_synops_per_timestep": means.sum(),
        }
        if self._dt is not None:
            per_second = {key: synops / self._dt for key, synops in per_step.items()}
            found["synops_per_second"] = per_second
            found["total_synops_per_second"] = torch.stack([*per_second.values()]).sum()
        return found


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
