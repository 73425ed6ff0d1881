"""Arrays of a quantized graph that can be trained, and their places in the cores of a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.speck.lower.dense import dense
from toolchain.chips.speck.outputs import channel_step
from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.readout import SPREAD
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.training import Parameter
from toolchain.chips.words import largest
from toolchain.hardware import Quantity
from toolchain.ir import Conv2d, Graph, Neuron

__all__ = ["CoreParameters", "core_parameters"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoreParameters:
    """Parameters of one core.

    Attributes:
        core: as lowered from the graph.
        weight, bias, threshold: the parameters; bias None where the layer has none.
        places: index of the flat weight parameter for each weight of the core, (outputs, inputs, y,
            x); -1 where the core has a zero that is no weight of the graph.
        step: distance of the channels of the core that the graph has, see ``with_readout``.
    """

    core: SpeckCore
    weight: Parameter
    bias: Parameter | None
    threshold: Parameter
    places: Array
    step: int

    @property
    def own_shape(self) -> tuple[int, int, int]:
        """(channels, y, x) of the neurons, without channels that the graph does not have."""
        channels, height, width = self.core.output_shape
        return -(-channels // self.step), height, width

    def parameters(self) -> Iterator[Parameter]:
        """Yield the parameters of the core, in a fixed order."""
        yield self.weight
        if self.bias is not None:
            yield self.bias
        yield self.threshold

    def weights(self, values: Mapping[str, Array]) -> Array:
        """Return the weights of the core, int8 (outputs, inputs, y, x)."""
        flat = np.append(values[self.weight.name].ravel(), 0)
        return np.asarray(flat[self.places], np.int8)

    def biases(self, values: Mapping[str, Array]) -> Array:
        """Return the biases of the core, int16 (outputs,); zeros where the layer has none."""
        spread = np.zeros(self.core.output_shape[0], np.int16)
        if self.bias is not None:
            spread[:: self.step] = values[self.bias.name]
        return spread

    def weight_gradient(self, of_core: Array) -> Array:
        """Return the gradient of the parameter from that of the weights of the core."""
        found = np.zeros(self.weight.shape, of_core.dtype)
        real = self.places >= 0
        found.ravel()[self.places[real]] = of_core[real]
        return found


def core_parameters(
    program: SpeckProgram, chip: SpeckChip, quantized: Graph
) -> tuple[CoreParameters, ...]:
    """Return the parameters of each core, in the order of the program.

    Raises:
        ValueError: ``program`` was not lowered from ``quantized``.
    """
    return tuple(_of_core(program, core, chip, quantized) for core in program.cores)


def _of_core(
    program: SpeckProgram, core: SpeckCore, chip: SpeckChip, quantized: Graph
) -> CoreParameters:
    conv, neuron = (quantized.nodes.get(name) for name in (core.weight_name, core.name))
    if not isinstance(conv, Conv2d) or not isinstance(neuron, Neuron):
        raise ValueError(
            f"{core.name}: the quantized graph has no convolution {core.weight_name!r} and neurons "
            f"{core.name!r}: it is not the graph that the program was lowered from"
        )
    step = channel_step(program, core.name)
    places = _places(core, conv, chip, quantized, step)
    weight, limits = conv.weight.astype(np.int64), chip.limits
    flat = np.append(weight.ravel(), 0)
    if places.shape != core.weight.shape or not np.array_equal(flat[places], core.weight):
        raise ValueError(
            f"{core.weight_name}: the weights of the quantized graph are not those of the program: "
            "it is not the graph that the program was lowered from"
        )
    most = largest(limits.weight_width)
    biases = _holds_biases(core, chip)
    return CoreParameters(
        core=core,
        weight=Parameter(
            node=core.weight_name,
            field="weight",
            kind="weight",
            shape=weight.shape,
            step=1,
            # symmetric as in the quantizers, except where the lowest value is in use
            low=min(-most, int(weight.min(initial=0))),
            high=most,
        ),
        bias=_bias(core.weight_name, conv.bias, limits.bias_width) if biases else None,
        threshold=Parameter(
            node=core.name,
            field="v_threshold",
            kind="threshold",
            shape=(),
            step=1,
            low=1,
            high=largest(limits.threshold_width),
        ),
        places=places,
        step=step,
    )


def _bias(node: str, bias: Array | None, width: Quantity) -> Parameter | None:
    if bias is None:
        return None
    most = largest(width)
    low = min(-most, int(bias.min(initial=0)))
    return Parameter(
        node=node, field="bias", kind="bias", shape=bias.shape, step=1, low=low, high=most
    )


def _holds_biases(core: SpeckCore, chip: SpeckChip) -> bool:
    """Return whether there is memory for biases where the layer is placed."""
    words = [c.bias_memory.value for c in chip.cores if core.core in (None, c.id)]
    return bool(max(words, default=0) >= core.weight.shape[0])


def _places(core: SpeckCore, conv: Conv2d, chip: SpeckChip, quantized: Graph, step: int) -> Array:
    """Return ``CoreParameters.places``: what ``dense`` does to indices in place of weights."""
    size = conv.weight.size
    indices = np.arange(1, size + 1).reshape(conv.weight.shape)
    numbered = replace(conv, weight=indices, bias=None)
    shape: tuple[int, ...] = quantized.input_shape_of(core.weight_name)
    found = dense(numbered, shape, chip.limits).weight.astype(np.int64) - 1
    if step == 1:
        return found
    spread = np.full((SPREAD * (len(found) - 1) + 1, *found.shape[1:]), -1)
    spread[::step] = found
    return spread
