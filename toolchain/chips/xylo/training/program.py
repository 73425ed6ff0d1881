"""The trainable program of Xylo: it implements ``TrainableProgram``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.arrays import Array, Shape
from toolchain.chips.parameter_values import check_names, checked_values
from toolchain.chips.training import Parameter, SurrogateSlope
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.spec import XyloChip
from toolchain.chips.xylo.training.backward import gradients
from toolchain.chips.xylo.training.forward import XyloTape, flat, forward
from toolchain.chips.xylo.training.record import BUDGET
from toolchain.chips.xylo.training.structure import Structure, structure_of
from toolchain.chips.xylo.training.values import parameters_of
from toolchain.ir import Graph

__all__ = ["XyloTrainable", "trainable"]


def trainable(program: XyloProgram, chip: XyloChip, quantized: Graph) -> XyloTrainable:
    """Return ``program``, lowered from ``quantized``, with integers that change.

    Raises:
        ValueError: the graph gives another program, or weights have no range of their own.
    """
    structure = structure_of(program, chip, quantized)
    return XyloTrainable(structure=structure, parameters=parameters_of(structure, chip))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class XyloTrainable:
    """Implement ``TrainableProgram``.

    Attributes:
        structure: the program as layers and connections.
        parameters: see ``TrainableProgram``.
        budget: largest record that is kept for a backward pass, byte; a longer pass is simulated
            again, part by part.
    """

    structure: Structure
    parameters: Mapping[str, Parameter]
    budget: int = BUDGET

    @property
    def layers(self) -> Mapping[str, Shape]:
        """Implement ``TrainableProgram.layers``."""
        return {name: layer.shape for name, layer in self.structure.layers.items()}

    @property
    def outputs(self) -> tuple[str, ...]:
        """Implement ``TrainableProgram.outputs``."""
        return self.structure.outputs

    def run(
        self,
        values: Mapping[str, Array],
        spikes: Any,
        *,
        layers: Collection[str],
        timing: str,
        gradient: bool,
        threads: int | None = None,
        steps: int | None = None,
    ) -> XyloTape:
        """Implement ``TrainableProgram.run`` for counts (batch, time, *features)."""
        if timing != "clocked":
            raise ValueError(
                f"timing for {self.structure.program.chip} must be clocked, got {timing!r}"
            )
        if steps is not None:
            raise ValueError("steps requires event arrays; counts have their own number of steps")
        check_names("layers", layers, self.structure.layers)
        integers = checked_values(self.parameters, values)
        counts = flat(self.structure.program, spikes)
        return forward(
            self.structure,
            integers,
            counts,
            layers=layers,
            gradient=gradient,
            threads=threads,
            budget=self.budget,
        )

    def gradients(
        self,
        tape: Any,
        outer: Mapping[str, Array],
        *,
        wanted: Collection[str],
        slope: SurrogateSlope | None = None,
        of_input: bool = False,
    ) -> Mapping[str, Array]:
        """Implement ``TrainableProgram.gradients``."""
        check_names("outer", outer, self.structure.layers)
        check_names("wanted", wanted, self.parameters)
        return gradients(self.structure, tape, outer, wanted, slope, of_input)
