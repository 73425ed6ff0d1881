"""What layers may compute on Speck: rules on the real-valued graph, each yielding findings.

Max pooling has no rule: no Graph holds it, so extraction refuses it by the layer's name.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from toolchain.chips.rules.findings import Rule, info
from toolchain.chips.rules.graph import capped, comparison, each, reset_of, unusual
from toolchain.chips.speck.faults import by
from toolchain.chips.speck.lower.dense import dense
from toolchain.chips.speck.program import kernel_words
from toolchain.diagnostics import Diagnostic, count
from toolchain.hardware import SpeckChip
from toolchain.ir import Array, Conv2d, Graph, Neuron, SumPool2d

__all__ = ["NEURONS"]


@each(Neuron)
def integrate_and_fire(node: Neuron, chip: SpeckChip) -> Iterator[str]:
    """Neurons integrate without exponential leak and without synaptic current."""
    if np.any(node.alpha_mem != 1):
        yield f"decays exponentially; neurons of {chip.name} only integrate"
    if node.alpha_syn is not None:
        yield f"has a synaptic current; neurons of {chip.name} have none"


@each(Neuron)
def reset(node: Neuron, chip: SpeckChip) -> Iterator[str]:
    """After a spike the membrane loses its threshold or returns to zero, in the same step."""
    zero = node.reset in ("value", "additive") and not np.any(node.v_reset)
    subtract = node.reset == "subtract" and (
        node.reset_amount is None or not np.any(node.reset_amount != node.v_threshold)
    )
    if node.reset_when != "same" or not (zero or subtract):
        yield (
            f"resets by {reset_of(node)!r}; {chip.name} subtracts the threshold or returns to "
            "zero, at once"
        )


@each(Neuron)
def one_number_a_core(node: Neuron, chip: SpeckChip) -> Iterator[str]:
    """Threshold and floor are shared by all neurons of a core."""
    for field in ("v_threshold", "v_min"):
        value: Array | None = getattr(node, field)
        if value is not None and np.any(value != value.flat[0]):
            yield (
                f"has {len(np.unique(value))} different values of {field}, a core of {chip.name} "
                "has one"
            )


@each(Neuron)
def membrane_floor(node: Neuron, chip: SpeckChip) -> Iterator[str]:
    """The floor of a membrane is not above its rest."""
    if node.v_min is not None and np.any(node.v_min > 0):
        yield (f"has a membrane floor (v_min) of {node.v_min.max():g}, {chip.name} takes 0 or less")


@each(Neuron)
def plain_neurons(node: Neuron, chip: SpeckChip) -> Iterator[str]:
    """Membranes rest at 0, have no bias of their own, and a spike counts 1."""
    yield from unusual(node, {"v_leak": 0, "bias": 0, "spike_scale": 1, "gain": 1}, chip)
    if node.max_spikes is not None:
        yield f"{capped(node.max_spikes)}; {chip.name} has no such cap"


def dense_kernel(graph: Graph, chip: SpeckChip) -> Iterator[Diagnostic]:
    """A core has no field for groups, dilation and a second side; zeros say the same, at a cost."""
    for name, node in graph.of(Conv2d).items():
        kernel = dense(node, graph.input_shape_of(name), chip.limits)
        own, made = node.weight.shape, kernel.weight.shape
        if own == made:
            continue
        message = (
            f"{_unusual(node)} written as one dense {made[2]}x{made[3]} kernel, exactly: "
            f"{count(kernel.weight.size - node.weight.size)} of {count(kernel.weight.size)} "
            f"weights are zeros. It takes {count(kernel_words(made))} kernel words, of which "
            f"{count(kernel_words(own))} would hold the weights, and on {chip.name} each zero is "
            "an update too"
        )
        source = chip.cite(chip.limits.kernel_size)
        yield info("dense_kernel", name, message, kernel_words(made), source=source)


def _unusual(node: Conv2d) -> str:
    """What a core has no field for: ``2 groups and dilation 1x3``."""
    height, width = node.weight.shape[2:]
    found = [f"{node.groups} groups"] * (node.groups != 1)
    found += [f"dilation {by(node.dilation)}"] * (node.dilation != (1, 1))
    found += [f"kernel {height}x{width}"] * (height != width)
    return " and ".join(found)


@each(SumPool2d)
def square_pooling(node: SumPool2d, chip: SpeckChip) -> Iterator[str]:
    """Pools are square, and their windows do not overlap."""
    if node.kernel[0] != node.kernel[1] or node.stride != node.kernel:
        yield (
            f"pools {node.kernel} with stride {node.stride}; {chip.name} pools squares with the "
            "stride of their side"
        )


NEURONS: tuple[Rule[Graph, SpeckChip], ...] = (
    integrate_and_fire,
    reset,
    comparison,
    one_number_a_core,
    membrane_floor,
    plain_neurons,
    dense_kernel,
    square_pooling,
)
