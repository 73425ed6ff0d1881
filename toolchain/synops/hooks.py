"""Hooks that count the synaptic operations of a whole model while it runs.

Their results are in ``hook_data`` of the layers and of the model: those of the last pass,
differentiable, so that a loss can use them. The next pass replaces them, so backward works after
every pass. ``layer_hooks`` has the hooks of single layers.

Source: the keys of ``hook_data`` are those of sinabs' hooks as observed.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Literal

import torch
from torch import Tensor, nn

from toolchain.synops.counts import Cost, total_of
from toolchain.synops.data import get_hook_data_dict
from toolchain.synops.layers import Key, keys, survey
from toolchain.synops.monitor import Monitor

__all__ = ["SynopsHooks", "register_synops_hooks"]

Calls = Literal["steps", "branches"]
_KEYS = tuple(f"{of}synops_per_{unit}" for of in ("", "total_") for unit in ("timestep", "second"))


def register_synops_hooks(
    model: nn.Module,
    dt: float | None = None,
    *,
    skip_zero_weights: bool = False,
    calls: Calls = "steps",
    ignore: Collection[str | type[nn.Module]] = (),
) -> SynopsHooks:
    """Count the synaptic operations of every pass of ``model``.

    >>> import torch
    >>> from toolchain.synops import register_synops_hooks
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten())
    >>> hooks = register_synops_hooks(model, dt=1e-3)
    >>> _ = model(torch.ones(2, 1, 3, 3))  # 9 pixels x 4 synapses in each of 2 timesteps
    >>> {layer: synops.item() for layer, synops in model.hook_data["synops_per_timestep"].items()}
    {0: 36.0}
    >>> round(model.hook_data["total_synops_per_second"].item())
    36000
    >>> hooks.remove()

    After a pass the following tensors of shape () are available. k is the layer's path, or its
    index if every layer with weights is a direct child of an ``nn.Sequential``:

    - ``layer.hook_data["synops_per_timestep"]``
    - ``model.hook_data["synops_per_timestep"][k]``
    - ``model.hook_data["total_synops_per_timestep"]``
    - with ``dt`` also ``synops_per_second`` and ``total_synops_per_second`` in the same places.

    Each is the mean over all timesteps of all samples: the rows of a convolution's
    (batch * time, channels, *sizes), or batch and time of a dense layer's (batch, time, inputs).
    Recurrent weights count the spikes of the last timestep. Average pools count as sum pools.

    Args:
        model: any tree of modules with ``nn.Linear``, plain and transposed convolutions, the
            layers of ``toolchain.nn``, and modules without parameters. A pass is one call of it.
        dt: length of a timestep, s.
        skip_zero_weights: True to ignore weights that are 0 at the time of the call.
        calls: meaning of several calls of a layer in one pass: ``"steps"`` of a loop over time
            are averaged; the synops of ``"branches"`` that share its weights are summed.
        ignore: paths and types of modules to ignore, with all below them. Their outputs count as
            spikes.

    Returns:
        A handle with ``remove()`` and ``average()`` that is also a context manager.

    Raises:
        ValueError: layers whose synapses cannot be counted, or a dt that is not positive; later,
            in a pass, an input of wrong shape, or one that mixes average-pooled and other values.
            The message contains the layer's path.

    Source: Sorbaro et al. 2020, "Optimizing the energy consumption of spiking neural networks for
    neuromorphic applications", eq. 3; units and averaging of sinabs' hooks as observed.
    """
    return SynopsHooks(model, dt, skip_zero_weights, calls, ignore)


class SynopsHooks:
    """Handle of the hooks of ``register_synops_hooks``; a context manager that removes them.

    >>> import torch
    >>> from toolchain.synops import SynopsHooks, register_synops_hooks
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 5))
    >>> with register_synops_hooks(model) as hooks:
    ...     _ = model(torch.ones(1, 3, 2))
    ...     _ = model(torch.zeros(1, 1, 2))
    ...     isinstance(hooks, SynopsHooks), hooks.average()["total_synops_per_timestep"].item()
    (True, 7.5)
    """

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
            raise ValueError(f"calls must be 'steps' or 'branches', got {calls!r}")
        layers = survey(model, ignore)
        if "" in layers.weighted or "" in layers.recurrent:
            # its hook_data cannot be that of a layer and of a model
            raise ValueError(
                f"{type(model).__name__} is a single layer; wrap it in an nn.Sequential"
            )
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
        """Remove the hooks; their results remain in ``hook_data``."""
        self._monitor.remove()

    def __enter__(self) -> SynopsHooks:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def average(self) -> dict[str, Any]:
        """Return the mean over all timesteps of all passes since the last ``reset``.

        The keys are those of ``model.hook_data``, the values detached float64 tensors of shape ().
        Passes are weighted by their number of timesteps over all samples.

        Raises:
            ValueError: no pass yet.
        """
        passed = {path: sums for path, sums in self._sums.items() if sums[1] > 0}
        if not passed:
            raise ValueError("no pass to average over; call the model first")
        return self._figures({path: synops / steps for path, (synops, steps) in passed.items()})

    def reset(self) -> None:
        """Clear the averages of all passes."""
        # synops and timesteps of all passes, float64 of shape (), added to in place: lists that
        # grow and numbers that count up would make torch.compile compile each pass anew
        self._sums: dict[str, tuple[Tensor, Tensor]] = {
            path: _zeros(next(module.parameters()).device) for path, module in self._modules.items()
        }

    # ---- called by the monitor ----

    def begin(self) -> None:
        """Clear the results of the last pass, which frees its graph."""
        self._costs, self._rows = {}, {}
        for data in self._filled:
            for key in _KEYS:
                data.pop(key, None)

    def cost(self, path: str, cost: Cost) -> None:
        """Record one call of a layer."""
        self._costs.setdefault(path, []).append(cost)

    def rows(self, path: str, rows: int, steps: int) -> None:
        """Record one call of the layer that contains a recurrent weight."""
        self._rows[path] = self._rows.get(path, 0) + rows

    def end(self) -> None:
        """Store the results in ``hook_data``."""
        paths = [path for path in self._modules if path in self._costs or path in self._rows]
        figures = self._figures({path: self._close(path) for path in paths})
        self._filled = [get_hook_data_dict(self._model)]
        self._filled[0].update(figures)
        for path in paths:
            data = get_hook_data_dict(self._modules[path])
            for key in _KEYS[:2]:
                if key in figures:
                    data[key] = figures[key][self._keys[path]]
            self._filled.append(data)
        self._costs = {}

    def _close(self, path: str) -> Tensor:
        """Return the synops per timestep of a layer in this pass, ()."""
        costs, rows = self._costs.get(path, []), self._rows.get(path, 0)
        rows = rows or (costs[0].rows if self._branches else sum(cost.rows for cost in costs))
        if len(costs) == 1:
            total = costs[0].total()
        else:
            total = torch.stack([cost.total() for cost in costs] or [self._nothing(path)]).sum()
        self._add_up(path, total.detach(), rows)
        return (total / rows).to(costs[0].dtype if costs else torch.get_default_dtype())

    def _nothing(self, path: str) -> Tensor:
        # a recurrent weight in a single timestep has no feedback
        return torch.zeros((), device=next(self._modules[path].parameters()).device)

    def _add_up(self, path: str, total: Tensor, rows: int) -> None:
        synops, steps = self._sums[path]
        if synops.device != total.device:  # the model has moved
            before = synops, steps
            synops, steps = self._sums[path] = _zeros(total.device)
            synops += before[0].to(total.device)
            steps += before[1].to(total.device)
        synops += total
        steps += rows

    def _figures(self, by_path: dict[str, Tensor]) -> dict[str, Any]:
        per_step = {self._keys[path]: synops for path, synops in by_path.items()}
        figures = _with_total("timestep", per_step)
        if self._dt is not None:
            figures |= _with_total("second", {key: x / self._dt for key, x in per_step.items()})
        return figures


def _zeros(device: torch.device) -> tuple[Tensor, Tensor]:
    # tensors made in inference mode could not be added to outside of it
    with torch.inference_mode(False):
        synops, steps = (torch.zeros((), dtype=torch.float64, device=device) for _ in range(2))
        return synops, steps


def _with_total(unit: str, synops: dict[Key, Tensor]) -> dict[str, Any]:
    total = total_of([*synops.values()])
    return {f"synops_per_{unit}": synops, f"total_synops_per_{unit}": total}
