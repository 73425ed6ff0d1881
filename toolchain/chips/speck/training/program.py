"""A Speck program whose integers change from one pass to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolchain.arrays import Array, Shape
from toolchain.chips.compiled.threads import check_threads
from toolchain.chips.speck.outputs import own_channels
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.session import TIMINGS, read_samples
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.speck.training.parameters import core_parameters
from toolchain.chips.speck.training.tables import ChangingTables
from toolchain.chips.speck.training.tape import SpeckTape
from toolchain.chips.trainable import PassSettings, Trainable, WantedGradients
from toolchain.chips.training import Parameter
from toolchain.ir import Graph

__all__ = ["SpeckTrainable", "trainable"]


def trainable(program: SpeckProgram, chip: SpeckChip, quantized: Graph) -> SpeckTrainable:
    """Return the program with integers that change.

    Raises:
        ValueError: ``program`` was not lowered from ``quantized``, or its layers do not fit each
            other.
    """
    return SpeckTrainable(program, chip, quantized)


class SpeckTrainable(Trainable[SpeckTape]):
    """Implement ``TrainableProgram``, for both timings."""

    def __init__(self, program: SpeckProgram, chip: SpeckChip, quantized: Graph) -> None:
        self._program, self._layers = program, core_parameters(program, chip, quantized)
        self._tables = ChangingTables(program, self._layers)
        self._parameters = {one.name: one for layer in self._layers for one in layer.parameters()}
        self._shapes = {layer.core.name: layer.own_shape for layer in self._layers}

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Implement ``TrainableProgram.parameters``."""
        return self._parameters

    @property
    def layers(self) -> Mapping[str, Shape]:
        """Implement ``TrainableProgram.layers``: (channels, y, x), without unused channels."""
        return self._shapes

    @property
    def outputs(self) -> tuple[str, ...]:
        """Implement ``TrainableProgram.outputs``."""
        return self._program.outputs

    def forward(self, integers: dict[str, Array], spikes: Any, settings: PassSettings) -> SpeckTape:
        """Implement ``Trainable.forward`` for counts and event arrays."""
        # numba takes a third of a second to import
        from toolchain.chips.speck.training.forward import ForwardPass

        timing, threads, gradient = settings.timing, settings.threads, settings.gradient
        if timing not in TIMINGS:
            raise ValueError(f"timing must be {' or '.join(map(repr, TIMINGS))}, got {timing!r}")
        check_threads(threads)
        samples = read_samples(self._program, self._program.dt, spikes, settings.steps)
        found = ForwardPass(
            self._tables,
            self._tables.filled(integers),
            samples,
            timing=timing,
            layers=settings.layers,
            gradient=gradient,
        )
        found.run(threads)
        own = {name: own_channels(self._program, name, v) for name, v in found.values.items()}
        saturations = found.saturations.sum(0).tolist()
        return SpeckTape(
            values=own,
            saturations=dict(zip(self.layers, saturations, strict=True)),
            integers=integers,
            batch=len(samples),
            steps=samples.steps,
            segments=found.segments,
            read=found.read if gradient else None,
            threads=threads,
        )

    def backward(self, tape: Any, wanted: WantedGradients) -> Mapping[str, Array]:
        """Implement ``Trainable.backward``."""
        from toolchain.chips.speck.training.backward import BackwardPass

        if not isinstance(tape, SpeckTape) or tape.read is None:
            raise ValueError("the tape has no record: call run with gradient=True")
        found = BackwardPass(
            self._program,
            self._layers,
            tape,
            wanted.outer,
            wanted.slope,
            of_input=wanted.of_input,
        )
        return found.run(wanted.names)
