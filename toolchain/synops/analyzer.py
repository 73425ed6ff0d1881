"""Statistics of a spiking network, layer by layer and of the whole.

Figures are those of the last pass, part of its graph; ``average=True`` gives the mean over all
passes, of which only the last is part of a graph. So backward works again and again, with or
without it.

Source: keys and units of sinabs' ``SNNAnalyzer`` as observed. Other than there: any tree of
modules; factors of average pools are in the model's figures too; without any axis of time an
input counts as one time step, not as none; ``synops/s`` is a mean over all passes of one clock.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from toolchain.synops.counts import Cost
from toolchain.synops.layers import batch_and_time, is_squeezed, survey
from toolchain.synops.monitor import Monitor
from toolchain.synops.pool_factors import tensors

__all__ = ["SNNAnalyzer"]


@dataclass(slots=True)
class _Parameter:
    """One pass of a layer with weights.

    Attributes:
        synops: a sample, mean over the batch, ().
        num_timesteps: steps of a sample.
    """

    synops: Tensor
    num_timesteps: int


@dataclass(slots=True)
class _Spiking:
    """One pass of a spiking layer; arrays (batch, time, *features)."""

    input: Tensor
    output: Tensor


@dataclass(slots=True)
class _Pass:
    """What one pass has told so far.

    Attributes:
        costs: of the calls of each layer with weights.
        feedback: rows and steps of each recurrent weight.
        spiking: calls of spiking layers.
        steps: how many steps a sample has, by the rows they make together.
    """

    costs: dict[str, list[Cost]] = field(default_factory=dict)
    feedback: dict[str, tuple[int, int]] = field(default_factory=dict)
    spiking: dict[str, list[_Spiking]] = field(default_factory=dict)
    steps: dict[int, set[int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Sums:
    """Sums over all passes but the last, cut from their graphs."""

    passes: int = 0
    synops: Tensor | float = 0.0
    num_timesteps: int = 0
    rates: Tensor | float = 0.0


class SNNAnalyzer:
    """Counts synops and spikes of every pass of ``model``, until :meth:`remove`.

    Args:
        model: any tree of modules, see ``register_synops_hooks``. A pass is one call of it.
        dt: length of a time step in **milliseconds**, unlike everywhere else here, where it is
            in seconds: networks and tutorials written for the original say it so.
        skip_zero_weights: weights that are 0 at the time of the call are no synapses.
        ignore: paths and types of modules that are left out.

    Raises:
        ValueError: as ``register_synops_hooks``.

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
        self._dt = dt
        self._paths = {module: path for path, module in layers.spiking.items()}
        self._modules = {**layers.weighted, **layers.recurrent}
        self.reset()
        self._monitor = Monitor(model, layers, self, skip_zero_weights)
        self._handles = [
            module.register_forward_hook(self._record_spikes) for module in layers.spiking.values()
        ]

    def remove(self) -> None:
        """Take every hook away; the statistics stay."""
        self._monitor.remove()
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> SNNAnalyzer:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __getstate__(self) -> dict[str, Any]:
        # hooks are copied along with their model, and torch refuses to copy what is in a graph
        parameters = {
            path: _Parameter(last.synops.detach(), last.num_timesteps)
            for path, last in self._parameters.items()
        }
        spiking = {
            path: _Spiking(last.input.detach(), last.output.detach())
            for path, last in self._spiking.items()
        }
        return {**self.__dict__, "_parameters": parameters, "_spiking": spiking, "_pass": _Pass()}

    def reset(self) -> None:
        """Forget the passes so far."""
        self._pass = _Pass()
        self._parameters: dict[str, _Parameter] = {}
        self._spiking: dict[str, _Spiking] = {}
        self._sums: dict[str, _Sums] = {}

    def get_layer_statistics(self, average: bool = False) -> dict[str, dict[str, dict[str, Any]]]:
        """``{"spiking": {path: ...}, "parameter": {path: ...}}``; layers not yet run are missing.

        Parameter layers:

        - ``synops``: synaptic operations a sample, over its whole length, mean over the batch, ().
        - ``num_timesteps``: time steps of a sample.
        - ``time_window``: its length, ms.
        - ``synops/s``, also as ``SynOps/s``: synops a second of the network's own time, ().

        Spiking layers:

        - ``n_neurons``: neurons.
        - ``input``, ``output``: (batch, time, *features), always of the last pass.
        - ``firing_rate_per_neuron``: spikes a time step, (*features).
        - ``firing_rate``: its mean, ().

        Args:
            average: the mean over all passes rather than the last one.
        """
        return {
            "spiking": {path: self._spiking_figures(path, average) for path in self._spiking},
            "parameter": {path: self._synops_figures(path, average) for path in self._parameters},
        }

    def get_model_statistics(self, average: bool = False) -> dict[str, Any]:
        """Figures of the whole model; zeros before the first pass.

        - ``synops``: synaptic operations a sample, over its whole length, ().
        - ``firing_rate``: spikes a time step and neuron, mean over all neurons, ().
        - ``n_spiking_neurons``: neurons in spiking layers.

        Args:
            average: the mean over all passes rather than the last one.
        """
        layers = self.get_layer_statistics(average)
        rates = [layer["firing_rate_per_neuron"].flatten() for layer in layers["spiking"].values()]
        synops = [layer["synops"] for layer in layers["parameter"].values()]
        return {
            "firing_rate": torch.cat(rates).mean() if rates else torch.zeros(()),
            "synops": torch.stack(synops).sum() if synops else torch.zeros(()),
            "n_spiking_neurons": sum(rate.numel() for rate in rates),
        }

    # ---- what the watch tells ----

    def begin(self) -> None:
        """A new pass; the last one joins the sums."""
        for path, parameter in self._parameters.items():
            sums = self._sums.setdefault(path, _Sums())
            sums.passes += 1
            sums.synops = sums.synops + parameter.synops.detach()
            sums.num_timesteps += parameter.num_timesteps
        for path, spiking in self._spiking.items():
            sums = self._sums.setdefault(path, _Sums())
            sums.passes += 1 if path not in self._parameters else 0
            sums.rates = sums.rates + spiking.output.detach().mean((0, 1))
        self._parameters, self._spiking, self._pass = {}, {}, _Pass()

    def cost(self, path: str, cost: Cost) -> None:
        """One more call of a layer with weights."""
        self._pass.costs.setdefault(path, []).append(cost)
        if cost.steps:
            self._pass.steps.setdefault(cost.rows, set()).add(cost.steps)

    def rows(self, path: str, rows: int, steps: int) -> None:
        """One more call of the layer around a recurrent weight."""
        before, _ = self._pass.feedback.get(path, (0, 0))
        self._pass.feedback[path] = (before + rows, steps)

    def end(self) -> None:
        """Turn what was told into figures."""
        for path in self._modules:
            costs = self._pass.costs.get(path, [])
            rows, steps = self._pass.feedback.get(path, (0, 0))
            if costs or rows:
                self._parameters[path] = self._per_sample(path, costs, rows, steps)
        for path, calls in self._pass.spiking.items():
            self._spiking[path] = _Spiking(
                *(torch.cat([getattr(c, f.name) for c in calls], 1) for f in fields(_Spiking))
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
        else:  # a recurrent weight in a single step, which feeds nothing back
            total = torch.zeros((), device=next(self._modules[path].parameters()).device)
        return _Parameter(total / (rows / steps), steps)

    def _steps(self, path: str, rows: int) -> int:
        """Steps of a sample where ``rows`` is all that is known: as other layers cut them."""
        steps = self._pass.steps.get(rows, {1})
        if len(steps) > 1:
            raise ValueError(f"{path}: layers cut {rows} rows into {sorted(steps)} steps a sample")
        return next(iter(steps))

    def _record_spikes(self, module: nn.Module, args: Any, out: Any) -> None:
        given, spikes = next(tensors(args)), next(tensors(out))
        rows = spikes.shape[0] if is_squeezed(module) else spikes.shape[0] * spikes.shape[1]
        batch, steps = (
            batch_and_time(module, rows) if is_squeezed(module) else tuple(spikes.shape[:2])
        )
        self._pass.steps.setdefault(rows, set()).add(steps)
        squeezed = 1 if is_squeezed(module) else 2
        # an input without batch counts as a batch of one
        arrays = [
            data.reshape(batch, steps, *data.shape[min(squeezed, data.dim() - 1) :])
            for data in (given, spikes)
        ]
        self._pass.spiking.setdefault(self._paths[module], []).append(_Spiking(*arrays))

    # ---- figures ----

    def _synops_figures(self, path: str, average: bool) -> dict[str, Any]:
        last = self._parameters[path]
        sums = self._sums.get(path, _Sums()) if average else _Sums()
        passes = sums.passes + 1
        synops = (last.synops + sums.synops) / passes
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
        rates = (last.output.mean((0, 1)) + sums.rates) / (sums.passes + 1)
        return {
            "n_neurons": rates.numel(),
            "input": last.input,
            "output": last.output,
            "firing_rate": rates.mean(),
            "firing_rate_per_neuron": rates,
        }
