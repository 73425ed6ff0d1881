"""Rockpool's two quantizers, ``channel`` and ``global``, without their faults.

Both leave the shape of the network alone: weights, biases and thresholds are multiplied and
rounded half to even, bit shifts are the nearest in ``log2(tau / dt)``, nothing makes up for
decays that the chip cannot hold, no weight is shifted, and no data is looked at.

Source: Rockpool documentation (``global_quantize``, ``channel_quantize``), rockpool 3.1.0 as
observed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.once import once
from toolchain.chips.xylo.dashes import NO_MEMORY, formulas
from toolchain.chips.xylo.quantize.plan import XyloWords
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph, Membrane
from toolchain.passes.quantize import QuantizationScale, WordWidths, rounded, scales

__all__ = ["channel", "one_scale"]


def channel(graph: Graph, chip: XyloChip) -> tuple[Graph, dict[str, QuantizationScale]]:
    """Quantize with one scale a neuron, for all its weights, its bias and its threshold.

    Rockpool's ``channel_quantize`` differs in that it leaves hidden biases unscaled where neurons
    have one synapse, lets a bias outgrow its 8 bit, rounds the threshold of a neuron without
    weights at a scale of 1 (0.3 becomes 0, at which it fires without end), raises an IndexError
    for some large thresholds, and changes the arrays it is given.

    Returns:
        Integers, and the scale of each layer with what limits it.
    """
    by_neuron = partial(_by_neuron, graph, chip)
    return once(by_neuron, "xylo channel", graph, _widths(chip), XyloWords.of(chip).dash)


def _by_neuron(graph: Graph, chip: XyloChip) -> tuple[Graph, dict[str, QuantizationScale]]:
    found = scales(graph, bits=_widths(chip), per="neuron")
    return rounded(with_nearest_shifts(graph, chip), found), found


def one_scale(graph: Graph, chip: XyloChip) -> tuple[Graph, dict[str, QuantizationScale]]:
    """Quantize with one scale for all hidden neurons and one for the outputs (``global``).

    Rockpool's ``global_quantize`` differs in that it scales the biases of the outputs as hidden
    ones, scales recurrent weights again where a threshold of the outputs outgrows 16 bit, leaves
    biases behind where a hidden one does, and rounds twice in these cases.

    Returns:
        Integers, and the scale of each layer with what limits it.
    """
    by_role = partial(_by_role, graph, chip)
    return once(by_role, "xylo global", graph, _widths(chip), XyloWords.of(chip).dash)


def _by_role(graph: Graph, chip: XyloChip) -> tuple[Graph, dict[str, QuantizationScale]]:
    found = scales(graph, bits=_widths(chip), per="layer")
    hidden = [name for name in found if name not in graph.outputs]
    if hidden:
        tightest = found[min(hidden, key=lambda name: float(found[name].factor))]
        found |= dict.fromkeys(hidden, tightest)
    return rounded(with_nearest_shifts(graph, chip), found), found


def with_nearest_shifts(graph: Graph, chip: XyloChip) -> Graph:
    """Round decays as rockpool does, by ``log2(tau / dt)``, but to a shift of 0 only what is 0.

    Decay factors of 0 and 1 are kept: membranes may have 0, and the rules refuse the others.
    """
    top = XyloWords.of(chip).dash

    def nearest(alpha: Array) -> Array:
        inside = (alpha > 0) & (alpha < 1)
        shift = formulas(np.where(inside, alpha, 0.5))["log2(tau/dt)"].clip(1, top)
        return np.where(inside, 1 - 2.0**-shift, alpha)

    def rounded_node(_: str, node: Membrane) -> Membrane:
        syn = None if node.alpha_syn is None else nearest(node.alpha_syn)
        mem = np.where(node.alpha_mem < NO_MEMORY, 0.0, nearest(node.alpha_mem))
        return replace(node, alpha_mem=mem, alpha_syn=syn)

    return graph.map(Membrane, rounded_node)


def _widths(chip: XyloChip) -> WordWidths:
    """Return the widths of the chip's words, bit."""
    limits = chip.limits
    return WordWidths(
        weight=int(limits.weight_width.value),
        bias=None if limits.bias_width is None else int(limits.bias_width.value),
        threshold=int(limits.threshold_width.value),
        state=int(limits.state_width.value),
    )
