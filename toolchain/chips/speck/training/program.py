"""A Speck program whose integers change from one pass to the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from toolchain.arrays import Array, Shape
from toolchain.chips.compiled.threads import check_threads
from toolchain.chips.speck.outputs import own_channels
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.session import TIMINGS, read_samples
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.speck.training.parameters import checked_values, core_parameters
from toolchain.chips.speck.training.tables import ChangingTables
from toolchain.chips.speck.training.tape import SpeckTape
from toolchain.chips.training import Parameter, SurrogateSlope
from toolchain.ir import Graph

__all__ = ["SpeckTrainable", "trainable"]


def trainable(program: SpeckProgram, chip: SpeckChip, quantized: Graph) -> SpeckTrainable:
    """Return the program with integers that change.

    Raises:
        ValueError: ``program`` was not lowered from ``quantized``, or its layers do not fit each
            other.
    """
    return SpeckTrainable(program, chip, quantized)


class SpeckTrainable:
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
    ) -> SpeckTape:
        """Implement ``TrainableProgram.run``."""
        # numba takes a third of a second to import
        from toolchain.chips.speck.training.forward import ForwardPass

        if timing not in TIMINGS:
            raise ValueError(f"timing must be {' or '.join(map(repr, TIMINGS))}, got {timing!r}")
        check_threads(threads)
        _check_names("layers", layers, self.layers)
        integers = checked_values(self._layers, values)
        samples = read_samples(self._program, self._program.dt, spikes, steps)
        forward = ForwardPass(
            self._tables,
            self._tables.filled(integers),
            samples,
            timing=timing,
            layers=layers,
            gradient=gradient,
        )
        forward.run(threads)
        own = {name: own_channels(self._program, name, v) for name, v in forward.values.items()}
        saturations = forward.saturations.sum(0).tolist()
        return SpeckTape(
            values=own,
            saturations=dict(zip(self.layers, saturations, strict=True)),
            integers=integers,
            batch=len(samples),
            steps=samples.steps,
            segments=forward.segments,
            read=forward.read if gradient else None,
            threads=threads,
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
        from toolchain.chips.speck.training.backward import BackwardPass

        _check_names("wanted", wanted, self.parameters)
        _check_names("outer", outer, self.layers)
        if not isinstance(tape, SpeckTape) or tape.read is None:
            raise ValueError("the tape has no record: call run with gradient=True")
        backward = BackwardPass(self._program, self._layers, tape, outer, slope, of_input=of_input)
        return backward.run(wanted)


def _check_names(what: str, names: Collection[str], known: Collection[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{what}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
