"""Synaptic operations and dynamic power of a module's runs, as terms of a loss.

The counts are those of the estimate: the program of the present integers says what a synapse is,
and the chip's prices what the counts cost. Spikes are differentiable, the number of synapses is
not. The power of a run is a function of its counts; the price of each count is the derivative of
that function, computed from it by differences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolchain.arrays import Array
from toolchain.chips.contract import OnChip
from toolchain.runs import Activity, InputSpikes, LayerActivity
from toolchain.training.module import ChipModule
from toolchain.training.run import ModuleRun
from toolchain.training.synapses import synapses_of, synops

__all__ = ["ChipPower"]

COUNTS = ("spikes_per_step", "active", "synops_per_step")
"""Counts of a layer that depend on spikes."""
REFRESH = 10
"""Runs with a gradient after which the prices are computed anew."""
DIFFERENCE = 1e-3
"""Relative difference of a count of which its price is computed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Prices:
    """Power of an activity and its derivative with respect to each count.

    Attributes:
        on_chip: program with the prices.
        template: activity with the counts that do not depend on spikes.
        slopes: derivative by layer and count.
    """

    on_chip: OnChip
    template: Activity
    slopes: Mapping[tuple[str, str], float]


class ChipPower:
    """Counts of a module's runs with gradient, and the dynamic power that they cost.

    Attributes:
        layers: names that ``ChipModule.run`` needs in ``layers``.
        start: dynamic power of the given spikes at the start, µW.
        floor: what remains of it if no layer spikes: the input, and the work of every step.

    >>> import numpy as np
    >>> from toolchain import deploy
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> lif = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    >>> nodes = {"input": Input(shape=(4,)), "fc1": Linear(weight=np.full((3, 4), 0.4))}
    >>> nodes |= {"lif1": Neuron(shape=(3,), **lif), "fc2": Linear(weight=np.eye(2, 3))}
    >>> nodes |= {"lif2": Neuron(shape=(2,), **lif), "output": Output()}
    >>> graph = Graph.chain(nodes, dt=1e-3)
    >>> d, x = deploy(graph, "xylo_a2"), np.ones((1, 20, 4), int)
    >>> module = d.as_module()
    >>> power = ChipPower(module, x)
    >>> run = module.run(x, layers=power.layers)
    >>> bool(abs(power(run) - d.estimate(x).dynamic_power.nominal) < 1e-3)
    True
    >>> round(power.synops(run).item(), 3) == round(d.estimate(x).activity.synops_per_step, 3)
    True
    >>> power.power_loss(run, target=0.9 * power.start).backward()
    >>> bool(module.get_parameter("fc1.weight").grad.any())
    True
    """

    def __init__(
        self,
        module: ChipModule,
        spikes: Any,
        *,
        clock_hz: float | None = None,
        modes: Mapping[str, str] | None = None,
    ) -> None:
        """Compute the prices of a module.

        Args:
            module: the module whose runs are counted.
            spikes: some input, to compare the counts with those of the chip.
            clock_hz, modes: as for ``Deployment.estimate``.

        Raises:
            ValueError: a network without dt, a chip without a price of activity or too slow for
                it, or a network whose synaptic operations are not counted.
        """
        self._module, self._clock, self._modes = module, clock_hz, dict(modes or {})
        self.layers = tuple(module.program.layers)
        given = module.source.spikes(spikes)
        values = module.integers()
        activity = module.source.on_chip(values).activity(given)
        self._names = [layer.name for layer in activity.layers]
        self._uses_active = activity.layers[0].active is not None
        self._of_zeros = self._counts_zeros(given, values)
        self._factors = self._compared(given, values, activity)
        self._runs = 0
        self._prices = self._priced(activity, values)
        if not self._prices.slopes:
            raise ValueError(
                f"no count changes the dynamic power of {self._prices.on_chip.chip.name}: its work "
                "exceeds its clock; give a faster clock_hz"
            )
        self.start = self._power(self._prices.on_chip, activity)
        self.floor = self._power(self._prices.on_chip, self._silent(given, values, activity))

    def __call__(self, run: ModuleRun) -> Tensor:
        """Return the dynamic power of a run as in the estimate, µW, () with gradient."""
        values = self._module.integers()
        counts = self.counts(run, values)
        prices = self._current(counts, values)
        activity = _with_counts(prices.template, counts)
        value = self._power(prices.on_chip, activity)
        linear = sum((slope * counts[key] for key, slope in prices.slopes.items()), torch.zeros(()))
        return linear + (value - linear.detach())

    def power_loss(self, run: ModuleRun, target: float) -> Tensor:
        """Return ``(power / target - 1)^2``, (): a weight of 30 to 100 holds a target.

        Args:
            run: with the spikes of ``layers``.
            target: dynamic power, µW.

        Raises:
            ValueError: a target that no spikes less can reach.
        """
        if target < self.floor:
            raise ValueError(
                f"target is {target:.4g} µW, but {self.floor:.4g} µW remain without a spike of any "
                "layer: give a higher target, or use fewer neurons, channels or a longer timestep"
            )
        return (self(run) / target - 1).square()

    def synops_loss(self, run: ModuleRun, target: float) -> Tensor:
        """Return ``(synops / target - 1)^2``, (), for a target in synop/step."""
        return (self.synops(run) / target - 1).square()

    def synops(self, run: ModuleRun) -> Tensor:
        """Return the synaptic operations of a step of the whole network, () with gradient."""
        counts = self.counts(run, self._module.integers())
        found = [each for (_, count), each in counts.items() if count == "synops_per_step"]
        return torch.stack(found).sum()

    def counts(self, run: ModuleRun, values: Mapping[str, Array]) -> dict[tuple[str, str], Tensor]:
        """Return the counts of a run by layer and field of ``LayerActivity``, () with gradient.

        Raises:
            ValueError: a run without the spikes of all layers.
        """
        if missing := [name for name in self.layers if name not in run.layers]:
            raise ValueError(
                f"the run lacks the spikes of layer {missing[0]!r}; call module.run(x, "
                "layers=power.layers)"
            )
        source = self._module.source
        given = torch.from_numpy(source.counts(run.given)).float()
        return self._counts({self._names[0]: given, **run.layers}, values)

    def _counts(
        self, tensors: Mapping[str, Tensor], values: Mapping[str, Array]
    ) -> dict[tuple[str, str], Tensor]:
        """Return the counts of spikes (batch, time, *shape) of the input and every layer."""
        found: dict[tuple[str, str], Tensor] = {}
        for name in self._names:
            spikes = tensors[name]
            found[name, "spikes_per_step"] = spikes.mean((0, 1)).sum()
            if self._uses_active:
                found[name, "active"] = spikes.clamp(max=1).mean()
        for name, number in self._synops(tensors, values, of_zeros=self._of_zeros).items():
            found[name, "synops_per_step"] = number * self._factors.get(name, 1.0)
        return found

    def _synops(
        self, tensors: Mapping[str, Tensor], values: Mapping[str, Array], *, of_zeros: bool
    ) -> dict[str, Tensor]:
        graph = self._module.source.quantized
        means = {
            graph.input if n == self._names[0] else n: t.mean((0, 1)) for n, t in tensors.items()
        }
        weights = {
            name: values.get(f"{name}.weight", node.weight)
            for name, node in graph.nodes.items()
            if hasattr(node, "weight")
        }
        synapses = {n: synapses_of(each, of_zeros=of_zeros) for n, each in weights.items()}
        return synops(graph, synapses, means)

    # ---- comparison with the counts of the chip ----

    def _counts_zeros(self, given: InputSpikes, values: Mapping[str, Array]) -> bool:
        """Return whether the chip's counts include weights of 0: those of half as many weights."""
        rng = np.random.default_rng(0)
        halved = {
            name: np.where(rng.random(array.shape) < 0.5, array, 0)
            if name.endswith(".weight")
            else array
            for name, array in values.items()
        }
        wanted = self._module.source.on_chip(halved).activity(given)
        errors = [self._error(given, halved, wanted, of_zeros=each) for each in (False, True)]
        return errors[1] < errors[0]

    def _error(
        self, given: InputSpikes, values: Mapping[str, Array], wanted: Activity, *, of_zeros: bool
    ) -> float:
        found = self._synops(self._spikes(given, values), values, of_zeros=of_zeros)
        return sum(abs(float(found[n]) - wanted[n].synops_per_step) for n in found)

    def _compared(
        self, given: InputSpikes, values: Mapping[str, Array], wanted: Activity
    ) -> dict[str, float]:
        """Return the factor of each layer from the synapses of the graph to those of the chip."""
        found = self._synops(self._spikes(given, values), values, of_zeros=self._of_zeros)
        return {
            name: wanted[name].synops_per_step / float(number)
            for name, number in found.items()
            if float(number)
        }

    def _spikes(self, given: InputSpikes, values: Mapping[str, Array]) -> dict[str, Tensor]:
        module = self._module
        tape = module.program.run(
            values, given, layers=self.layers, timing=module.timing, gradient=False
        )
        own = {n: torch.from_numpy(np.asarray(a, np.float32)) for n, a in tape.values.items()}
        first = torch.from_numpy(module.source.counts(given)).float()
        return {self._names[0]: first, **own}

    # ---- prices ----

    def _silent(
        self, given: InputSpikes, values: Mapping[str, Array], activity: Activity
    ) -> Activity:
        """Return the activity of the same input if no layer spikes."""
        first = torch.from_numpy(self._module.source.counts(given)).float()
        shapes = self._module.program.layers
        silent = {name: torch.zeros((1, 1, *shapes[name])) for name in self.layers}
        counts = self._counts({self._names[0]: first, **silent}, values)
        return _with_counts(activity, counts)

    def _current(
        self, counts: Mapping[tuple[str, str], Tensor], values: Mapping[str, Array]
    ) -> _Prices:
        """Return the prices, computed anew after some runs since synapses come and go."""
        if self._runs % REFRESH == 0 or not torch.is_grad_enabled():
            template = _with_counts(self._prices.template, counts)
            self._prices = self._priced(template, values)
        self._runs += torch.is_grad_enabled()
        return self._prices

    def _priced(self, activity: Activity, values: Mapping[str, Array]) -> _Prices:
        on_chip = self._module.source.on_chip(values)
        power = self._power(on_chip, activity)
        slopes = {}
        for layer, name, changed in _changes(activity):
            step = getattr(changed[layer.name], name) - getattr(layer, name)
            slope = (self._power(on_chip, changed) - power) / step
            if slope:
                slopes[layer.name, name] = slope
        return _Prices(on_chip=on_chip, template=activity, slopes=slopes)

    def _power(self, on_chip: OnChip, activity: Activity) -> float:
        """Return the dynamic power of an activity, µW: nominal, or the middle of its range."""
        figure = on_chip.cost(activity, self._clock, self._modes).dynamic_power
        if not np.isfinite(figure.high):
            raise ValueError(f"{on_chip.chip.name} has no price of activity; use synops_loss")
        return (figure.low + figure.high) / 2 if figure.nominal is None else figure.nominal


def _with_counts(activity: Activity, counts: Mapping[tuple[str, str], Tensor]) -> Activity:
    """Return an activity with other counts."""
    layers = []
    for layer in activity.layers:
        own: dict[str, Any] = {
            n: float(counts[layer.name, n].detach()) for n in COUNTS if (layer.name, n) in counts
        }
        layers.append(replace(layer, **own))
    return replace(activity, layers=tuple(layers))


def _changes(activity: Activity) -> Iterator[tuple[LayerActivity, str, Activity]]:
    """Yield each count with a layer and an activity in which it is a little different."""
    for place, layer in enumerate(activity.layers):
        for name in COUNTS:
            count = getattr(layer, name)
            if count is None:
                continue
            step = DIFFERENCE * max(count, DIFFERENCE)
            step = -step if name == "active" and count > 0.5 else step
            changed = replace(layer, **{name: count + step})
            layers = (*activity.layers[:place], changed, *activity.layers[place + 1 :])
            yield layer, name, replace(activity, layers=layers)
