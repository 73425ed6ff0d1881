"""Statistics of a spiking network, for each layer and for the whole model.

Statistics are those of the last pass and differentiable; ``average=True`` returns the mean over all
passes, differentiable in the last one only. So backward works after every pass.

Source: keys and units of sinabs' ``SNNAnalyzer`` as observed. Differences: any tree of modules;
factors of average pools are in the model's statistics too; an input without time axis counts as one
timestep, not as none; ``synops/s`` is a mean over all passes with one dt.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from toolchain.synops.counts import Cost, total_of
from toolchain.synops.layers import batch_and_time, is_squeezed, survey
from toolchain.synops.monitor import Monitor
from toolchain.synops.pool_factors import tensors

__all__ = ["SNNAnalyzer"]


@dataclass(slots=True)
class _Parameter:
    """Statistics of a layer with weights in one pass.

    Attributes:
        synops: per sample, mean over the batch, float64 ().
        num_timesteps: timesteps of a sample.
        dtype: type of the layer's input and of the figures that users get.
    """

    synops: Tensor
    num_timesteps: int
    dtype: torch.dtype


@dataclass(slots=True)
class _Spiking:
    """Input and output of a spiking layer in one pass, (batch, time, *features)."""

    input: Tensor
    output: Tensor


@dataclass(slots=True)
class _Pass:
    """Records of the current pass.

    Attributes:
        costs: calls of each layer with weights.
        feedback: rows and timesteps of each recurrent weight.
        spiking: calls of spiking layers.
        steps: number of rows -> the timesteps per sample that layers split them into.
    """

    costs: dict[str, list[Cost]] = field(default_factory=dict)
    feedback: dict[str, tuple[int, int]] = field(default_factory=dict)
    spiking: dict[str, list[_Spiking]] = field(default_factory=dict)
    steps: dict[int, set[int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Sums:
    """Sums over all passes except the last, detached from their graphs."""

    passes: int = 0
    synops: Tensor | float = 0.0
    num_timesteps: int = 0
    rates: Tensor | float = 0.0
    rate: Tensor | float = 0.0


class SNNAnalyzer:
    """Counter of synops and spikes in every pass of ``model``, until :meth:`remove`.

    >>> import torch
    >>> from toolchain.nn import IAF
    >>> from toolchain.synops import SNNAnalyzer
    >>> dense = torch.nn.Linear(2, 3, bias=False)
    >>> _ = dense.weight.data.fill_(0.5)
    >>> model = torch.nn.Sequential(dense, IAF())
    >>> analyzer = SNNAnalyzer(model, dt=1.0)  # ms
    >>> _ = model(torch.ones(1, 4, 2))  # 2 inputs x 4 timesteps x 3 synapses
    >>> statistics = analyzer.get_model_statistics()
    >>> statistics["synops"].item(), statistics["firing_rate"].item()
    (24.0, 1.0)
    >>> analyzer.get_layer_statistics()["parameter"]["0"]["synops/s"].item()
    6000.0

    Args:
        model: any tree of modules, see ``register_synops_hooks``. A pass is one call of it.
        dt: length of a timestep in **milliseconds**, as in sinabs; everywhere else in this package
            it is in seconds.
        skip_zero_weights: True to ignore weights that are 0 at the time of the call.
        ignore: paths and types of modules to ignore.

    Raises:
        ValueError: as for ``register_synops_hooks``, or nothing in the model can be counted.

    Source: sinabs' ``SNNAnalyzer`` as observed; synops as in ``counts``.
    """

    def __init__(
        self,
        model: nn.Module,
        dt: float = 1.0,
        *,
        skip_zero_weights: bool = False,
        ignore: Collection[str | type[nn.Module]] = (),
    ) -> None:
        if not (math.isfinite(dt) and dt > 0):
            raise ValueError(f"dt must be > 0 ms, got {dt}")
        layers = survey(model, ignore)
        if not (layers.weighted or layers.recurrent or layers.spiking):
            raise ValueError(
                f"{type(model).__name__} contains neither layers with weights nor spiking layers "
                "(of toolchain.nn or sinabs): there is nothing to count"
            )
        self._dt = dt
        self._paths = {module: path for path, module in layers.spiking.items()}
        self._modules = {**layers.weighted, **layers.recurrent}
        self.reset()
        # before the monitor's hooks, of which the last ends the pass
        self._handles = [
            module.register_forward_hook(self._record_spikes) for module in layers.spiking.values()
        ]
        self._monitor = Monitor(model, layers, self, skip_zero_weights)

    def remove(self) -> None:
        """Remove all hooks; the statistics remain available."""
        self._monitor.remove()
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> SNNAnalyzer:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __getstate__(self) -> dict[str, Any]:
        # hooks are copied with their model, and torch cannot copy tensors of an autograd graph
        parameters = {
            path: replace(last, synops=last.synops.detach())
            for path, last in self._parameters.items()
        }
        spiking = {
            path: _Spiking(last.input.detach(), last.output.detach())
            for path, last in self._spiking.items()
        }
        return {**self.__dict__, "_parameters": parameters, "_spiking": spiking, "_pass": _Pass()}

    def reset(self) -> None:
        """Clear the statistics of all passes."""
        self._pass = _Pass()
        self._parameters: dict[str, _Parameter] = {}
        self._spiking: dict[str, _Spiking] = {}
        self._sums: dict[str, _Sums] = {}

    def get_layer_statistics(self, average: bool = False) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the statistics of all layers that have run.

        The result is ``{"spiking": {path: ...}, "parameter": {path: ...}}``. Parameter layers have:

        - ``synops``: synaptic operations per sample, over its whole length, batch mean, ().
        - ``num_timesteps``: timesteps of a sample.
        - ``time_window``: length of a sample, ms.
        - ``synops/s``, also as ``SynOps/s``: synops per second of network time, ().

        Spiking layers have:

        - ``n_neurons``: number of neurons.
        - ``input``, ``output``: (batch, time, *features), always of the last pass.
        - ``firing_rate_per_neuron``: spikes per timestep, (*features).
        - ``firing_rate``: its mean, ().

        Args:
            average: True for the mean over all passes, False for the last one.
        """
        return {
            "spiking": {path: self._spiking_figures(path, average) for path in self._spiking},
            "parameter": {path: self._synops_figures(path, average) for path in self._parameters},
        }

    def get_model_statistics(self, average: bool = False) -> dict[str, Any]:
        """Return the statistics of the whole model; zeros before the first pass.

        - ``synops``: synaptic operations per sample, over its whole length, ().
        - ``firing_rate``: spikes per timestep and neuron, mean over all neurons, ().
        - ``n_spiking_neurons``: number of neurons in spiking layers.

        Args:
            average: True for the mean over all passes, False for the last one.
        """
        layers = self.get_layer_statistics(average)
        rates = [layer["firing_rate_per_neuron"].flatten() for layer in layers["spiking"].values()]
        synops = [layer["synops"] for layer in layers["parameter"].values()]
        return {
            "firing_rate": torch.cat(rates).mean() if rates else torch.zeros(()),
            "synops": total_of(synops),
            "n_spiking_neurons": sum(rate.numel() for rate in rates),
        }

    # ---- called by the monitor ----

    def begin(self) -> None:
        """Start a pass and add the last one to the sums."""
        for path, parameter in self._parameters.items():
            sums = self._sums.setdefault(path, _Sums())
            sums.passes += 1
            sums.synops = sums.synops + parameter.synops.detach()
            sums.num_timesteps += parameter.num_timesteps
        for path, spiking in self._spiking.items():
            sums = self._sums.setdefault(path, _Sums())
            sums.passes += 1 if path not in self._parameters else 0
            output = spiking.output.detach()
            sums.rates = sums.rates + output.mean((0, 1))
            sums.rate = sums.rate + output.mean()
        self._parameters, self._spiking, self._pass = {}, {}, _Pass()

    def cost(self, path: str, cost: Cost) -> None:
        """Record one call of a layer with weights."""
        self._pass.costs.setdefault(path, []).append(cost)
        if cost.steps:
            self._pass.steps.setdefault(cost.rows, set()).add(cost.steps)

    def rows(self, path: str, rows: int, steps: int) -> None:
        """Record one call of the layer that contains a recurrent weight."""
        before, _ = self._pass.feedback.get(path, (0, 0))
        self._pass.feedback[path] = (before + rows, steps)

    def end(self) -> None:
        """Compute the statistics of the pass."""
        for path in self._modules:
            costs = self._pass.costs.get(path, [])
            rows, steps = self._pass.feedback.get(path, (0, 0))
            if costs or rows:
                self._parameters[path] = self._per_sample(path, costs, rows, steps)
        for path, calls in self._pass.spiking.items():
            self._spiking[path] = _Spiking(
                torch.cat([call.input for call in calls], 1),
                torch.cat([call.output for call in calls], 1),
            )
        self._pass = _Pass()

    def _per_sample(self, path: str, costs: list[Cost], feedback: int, steps: int) -> _Parameter:
        if feedback:
            rows, steps = feedback, steps or self._steps(path, feedback)
        else:
            rows = sum(cost.rows for cost in costs)
            steps = len(costs) * (costs[0].steps or self._steps(path, costs[0].rows))
        if costs:
            total = torch.stack([cost.total() for cost in costs]).sum()
        else:  # a recurrent weight in a single timestep has no feedback
            total = torch.zeros((), device=next(self._modules[path].parameters()).device)
        dtype = costs[0].dtype if costs else torch.get_default_dtype()
        return _Parameter(total / (rows / steps), steps, dtype)

    def _steps(self, path: str, rows: int) -> int:
        """Return the timesteps per sample into which other layers split ``rows``."""
        steps = self._pass.steps.get(rows, {1})
        if len(steps) > 1:
            raise ValueError(
                f"{path}: layers split {rows} rows into {sorted(steps)} timesteps per sample"
            )
        return next(iter(steps))

    def _record_spikes(self, module: nn.Module, args: Any, out: Any) -> None:
        inputs, spikes = next(tensors(args)), next(tensors(out))
        rows = spikes.shape[0] if is_squeezed(module) else spikes.shape[0] * spikes.shape[1]
        batch, steps = (
            batch_and_time(module, rows) if is_squeezed(module) else tuple(spikes.shape[:2])
        )
        self._pass.steps.setdefault(rows, set()).add(steps)
        squeezed = 1 if is_squeezed(module) else 2
        # an input without batch axis is a batch of one
        arrays = [
            data.reshape(batch, steps, *data.shape[min(squeezed, data.dim() - 1) :])
            for data in (inputs, spikes)
        ]
        self._pass.spiking.setdefault(self._paths[module], []).append(_Spiking(*arrays))

    # ---- statistics ----

    def _synops_figures(self, path: str, average: bool) -> dict[str, Any]:
        last = self._parameters[path]
        sums = self._sums.get(path, _Sums()) if average else _Sums()
        passes = sums.passes + 1
        synops = ((last.synops + sums.synops) / passes).to(last.dtype)
        steps = (last.num_timesteps + sums.num_timesteps) / passes
        per_second = synops / steps / self._dt * 1000
        return {
            "synops": synops,
            "num_timesteps": int(steps) if steps == int(steps) else steps,
            "time_window": steps * self._dt,
            "SynOps/s": per_second,
            "synops/s": per_second,
        }

    def _spiking_figures(self, path: str, average: bool) -> dict[str, Any]:
        last = self._spiking[path]
        sums = self._sums.get(path, _Sums()) if average else _Sums()
        passes = sums.passes + 1
        rates = (last.output.mean((0, 1)) + sums.rates) / passes
        return {
            "n_neurons": rates.numel(),
            "input": last.input,
            "output": last.output,
            # the mean of the rates up to the last bit, which is that of the layer's firing_rate
            "firing_rate": (last.output.mean() + sums.rate) / passes,
            "firing_rate_per_neuron": rates,
        }
