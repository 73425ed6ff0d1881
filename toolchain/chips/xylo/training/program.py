"""The trainable program of Xylo: it implements ``TrainableProgram``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.arrays import Array, Shape
from toolchain.chips.trainable import PassSettings, Trainable, WantedGradients
from toolchain.chips.training import Parameter
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
class XyloTrainable(Trainable[XyloTape]):
    """Implement ``TrainableProgram``; ``Trainable`` checks what it is given.

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

    def forward(self, integers: dict[str, Array], spikes: Any, settings: PassSettings) -> XyloTape:
        """Implement ``Trainable.forward`` for counts (batch, time, *features)."""
        chip = self.structure.program.chip
        if settings.timing != "clocked":
            raise ValueError(f"timing for {chip} must be clocked, got {settings.timing!r}")
        if settings.steps is not None:
            raise ValueError("steps requires event arrays; counts have their own number of steps")
        return forward(
            self.structure,
            integers,
            flat(self.structure.program, spikes),
            layers=settings.layers,
            gradient=settings.gradient,
            threads=settings.threads,
            budget=self.budget,
        )

    def backward(self, tape: Any, wanted: WantedGradients) -> Mapping[str, Array]:
        """Implement ``Trainable.backward``."""
        return gradients(
            self.structure, tape, wanted.outer, wanted.names, wanted.slope, wanted.of_input
        )
