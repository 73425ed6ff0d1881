"""A Speck program whose integers change from one pass to the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.chips.speck.outputs import own_channels
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.simulate.raster import Samples
from toolchain.chips.speck.simulate.run import samples_of
from toolchain.chips.speck.simulate.session import SpeckStream
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.speck.training.backward import gradients
from toolchain.chips.speck.training.parameters import checked_values, core_parameters
from toolchain.chips.speck.training.tape import LayerRecord, SpeckTape
from toolchain.chips.training import Parameter, Slope
from toolchain.ir import Graph

__all__ = ["SpeckTrainable", "trainable"]


def trainable(program: SpeckProgram, chip: SpeckChip, quantized: Graph) -> SpeckTrainable:
    """Return the program with integers that change.

    Raises:
        ValueError: ``program`` was not lowered from ``quantized``.
    """
    return SpeckTrainable(program, chip, quantized)


class SpeckTrainable:
    """Implement ``TrainableProgram``, for both timings."""

    def __init__(self, program: SpeckProgram, chip: SpeckChip, quantized: Graph) -> None:
        self._program = program
        self._layers = core_parameters(program, chip, quantized)
        self.parameters: Mapping[str, Parameter] = {
            one.name: one for layer in self._layers for one in layer.parameters()
        }
        self.outputs = program.outputs

    @property
    def layers(self) -> Mapping[str, Shape]:
        """Shape (channels, y, x) of each neuron layer by name, without unused channels."""
        found = {}
        for layer in self._layers:
            channels, height, width = layer.core.output_shape
            found[layer.core.name] = (-(-channels // layer.step), height, width)
        return found

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
        self._check_names("layers", layers, [layer.core.name for layer in self._layers])
        checked = checked_values(self._layers, values)
        cores = tuple(layer.with_values(checked) for layer in self._layers)
        program = replace(self._program, cores=cores)
        everything = gradient or not {*layers} <= {*program.outputs}
        stream = SpeckStream(
            program,
            samples_of(program, spikes),
            timing=timing,
            record=everything,
            threads=threads,
        )
        piece = stream.run(spikes, steps)
        records = {}
        if gradient:
            for name, layer in piece.recording({}).layers.items():
                records[name] = LayerRecord(
                    spikes=np.moveaxis(layer.spikes, 2, -1), v_mem=np.moveaxis(layer.v_mem, 2, -1)
                )
        return SpeckTape(
            values={name: own_channels(program, name, piece.spikes[name]) for name in layers},
            saturations=piece.saturations(),
            program=program,
            counts=_counts(piece.samples, program.input_map) if gradient else None,
            layers=records,
        )

    def gradients(
        self,
        tape: SpeckTape,
        outer: Mapping[str, Array],
        *,
        wanted: Collection[str],
        slope: Slope | None = None,
        of_input: bool = False,
    ) -> Mapping[str, Array]:
        """Implement ``TrainableProgram.gradients``."""
        self._check_names("wanted", wanted, self.parameters)
        self._check_names("outer", outer, [layer.core.name for layer in self._layers])
        if tape.counts is None:
            raise ValueError("the pass has no record: call run with gradient=True")
        return gradients(self._layers, tape, outer, wanted, slope, of_input=of_input)

    def _check_names(self, what: str, names: Collection[str], known: Collection[str]) -> None:
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"{what}: unknown {', '.join(unknown)}; known are {', '.join(known)}")


def _counts(samples: Samples, shape: tuple[int, int, int]) -> Array:
    """Return the counts (batch, time, y, x, channels) behind the sensor, int32."""
    channels, height, width = shape
    found = np.zeros((len(samples), samples.steps, height, width, channels), np.int32)
    for sample, counts in enumerate(found):
        step, y, column, count = samples.events(sample)
        channel, x = np.divmod(column, width)
        np.add.at(counts, (step, y, x, channel), count)
    return found
