"""The choice among the best integers of each layer, in the whole network.

While a layer's integers are tried, the layers before it do what they did. The cores that its spikes
reach are therefore run alone, on the known spikes of the one core that sends to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.lower.integers import lower
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.quantize.alone import ScoredIntegers
from toolchain.chips.speck.quantize.layer import apply_integers
from toolchain.chips.speck.quantize.measure import narrowed, output_layers, side_by_side
from toolchain.chips.speck.simulate.run import simulate
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Graph
from toolchain.runs.recording import count_agreement

__all__ = ["NetworkTrial", "part_behind", "refine"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkTrial:
    """The whole network on some spikes, and the outputs of the float network on them.

    Attributes:
        graph, chip: the network in floats, and its target.
        spikes: counts (batch, time, channels, y, x).
        wanted: output spikes of the float network, (batch, time, neurons).
    """

    graph: Graph
    chip: SpeckChip
    spikes: Array
    wanted: Array
    _known: dict[str, Array] = field(default_factory=dict)

    def agreement(self, chosen: Mapping[str, ScoredIntegers]) -> float:
        """Return the agreement of the output counts with these integers."""
        return self._agreement(simulate(self._program(chosen), self.spikes).outputs)

    def keep(self, chosen: Mapping[str, ScoredIntegers]) -> float:
        """Return the same, and keep the spikes of every layer."""
        program = self._program(chosen)
        record = {core.name: ("spikes",) for core in program.cores}
        run = simulate(program, self.spikes, record=record)
        for name, kept in run.recorded.items():
            self._known[name] = narrowed(np.asarray(kept["spikes"]))
        return self._agreement(run.outputs)

    def agreement_behind(self, name: str, chosen: Mapping[str, ScoredIntegers]) -> float:
        """Return the agreement if only the integers of layer ``name`` differ from those kept."""
        found = part_behind(self._program(chosen), name)
        if found is None:
            return self.agreement(chosen)
        source, part = found
        run = simulate(part, self._known[source])
        return self._agreement({**self._known, **run.outputs})

    def _program(self, chosen: Mapping[str, ScoredIntegers]) -> SpeckProgram:
        integers = {name: one.integers for name, one in chosen.items()}
        return lower(apply_integers(self.graph, integers), self.chip)

    def _agreement(self, spikes: Mapping[str, Array]) -> float:
        each = [spikes[name] for name in output_layers(self.graph)]
        return count_agreement(self.wanted, side_by_side(each))


def part_behind(program: SpeckProgram, name: str) -> tuple[str, SpeckProgram] | None:
    """Return the cores that spikes of core ``name`` reach, itself included, as a program.

    Returns:
        The core whose spikes are the input of that program, and the program; None if its cores
        have other sources than one core, or reach no output.
    """
    reached = {name}
    for core in program.cores:  # destinations come later
        if core.name in reached:
            reached |= {target.layer for target in core.destinations}
    sources = {
        None if source is None else source.name
        for layer in reached
        for source, _ in program.sources(layer)
    } - reached
    outputs = tuple(output for output in program.outputs if output in reached)
    if len(sources) != 1 or None in sources or not outputs:
        return None
    (source_name,) = sources
    assert source_name is not None
    source = program[source_name]
    part = replace(
        program,
        sensor=None,
        input_shape=source.output_shape,
        cores=tuple(core for core in program.cores if core.name in reached),
        inputs=tuple(target for target in source.destinations if target.layer in reached),
        outputs=outputs,
    )
    return source_name, part


def refine(
    network: NetworkTrial, tried: Mapping[str, list[ScoredIntegers]], done: Callable[[], None]
) -> tuple[dict[str, ScoredIntegers], float]:
    """Choose for each layer its first integers, or others for which the outputs agree better.

    Args:
        network: the network on the spikes of the search.
        tried: integers of each layer, best first.
        done: called after each layer.

    Returns:
        The integers of each layer, and the agreement with them.
    """
    chosen = {name: each[0] for name, each in tried.items()}
    most = network.keep(chosen)
    for name, each in tried.items():
        better = chosen[name]
        for other in each[1:]:
            found = network.agreement_behind(name, {**chosen, name: other})
            if found > most:
                better, most = other, found
        if better is not chosen[name]:
            chosen[name] = better
            network.keep(chosen)
        done()
    return chosen, most
