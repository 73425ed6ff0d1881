"""Integers of the weights alone for a network that a chip refuses in any case, before a search."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from toolchain.chips.contract import Options
from toolchain.chips.once import once
from toolchain.chips.rules.trial import fits
from toolchain.chips.speck.graphs import lower
from toolchain.chips.speck.lower.place import place
from toolchain.chips.speck.options import speck_options
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.quantize.guess import from_weights
from toolchain.chips.speck.quantize.layer import SpeckWords, apply_integers, read_layers
from toolchain.chips.speck.rules.graph import computes
from toolchain.chips.speck.rules.program import RULES, SIZES
from toolchain.chips.speck.spec import SpeckChip
from toolchain.ir import Graph

__all__ = ["unfit"]


def unfit(
    graph: Graph, chip: SpeckChip, method: str, options: Options, calibrated: bool
) -> Graph | None:
    """Return integers of the weights alone if no integers fit the chip; else None.

    Args:
        graph: float network in the chip's layers.
        chip: the target.
        method: one of ``QUANTIZERS``.
        options: the placement and the readout that the user wants.
        calibrated: True if integers can be searched: then shapes alone decide.

    >>> import numpy as np
    >>> from toolchain import load_chip
    >>> from toolchain.chips.speck import SpeckOptions
    >>> from toolchain.ir import Conv2d, Graph, Input, Neuron, Output
    >>> def pixels(side):
    ...     nodes = {
    ...         "input": Input(shape=(1, side, side)),
    ...         "conv": Conv2d(weight=np.ones((8, 1, 1, 1))),
    ...         "spk": Neuron(shape=(8, side, side), v_threshold=1.0),
    ...         "output": Output(),
    ...     }
    ...     return Graph.chain(nodes)
    >>> chip = load_chip("speck2f")
    >>> found = [unfit(pixels(n), chip, "auto", SpeckOptions(), True) for n in (16, 128)]
    >>> found[0] is None, int(found[1]["spk"].v_threshold)
    (True, 127)
    """
    draft = partial(_draft, graph, chip, method)
    quantized = once(draft, "speck draft", graph, method, SpeckWords.of(chip))
    if not computes(graph, chip):
        return quantized
    program = lower(quantized, chip, options)
    return None if _may_fit(program, chip, options, calibrated) else quantized


def _draft(graph: Graph, chip: SpeckChip, method: str) -> Graph:
    return apply_integers(graph, from_weights(read_layers(graph), chip, method))


def _may_fit(program: SpeckProgram, chip: SpeckChip, options: Options, calibrated: bool) -> bool:
    """Return whether the program fits, or with ``calibrated`` one of other integers may."""
    if calibrated:
        # a search may round every bias to 0, which then takes no memory
        program = replace(program, cores=tuple(replace(c, bias=None) for c in program.cores))
    pinned = speck_options(options).cores([core.name for core in program.cores])
    placed = place(program, chip, cores=pinned).cores is not None
    return placed and fits(program, chip, rules=SIZES if calibrated else RULES)
