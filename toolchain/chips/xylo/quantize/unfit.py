"""Integers of the weights alone for a network that a chip refuses in any case, before a search."""

from __future__ import annotations

from toolchain.chips.contract import Options
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.quantize.baselines import channel, one_scale
from toolchain.chips.xylo.quantize.readout import as_spiking, draft_readout, read_out
from toolchain.chips.xylo.rules.graph import computes
from toolchain.chips.xylo.rules.program import takes
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph

__all__ = ["unfit"]


def unfit(
    graph: Graph, chip: XyloChip, method: str, options: Options, calibrated: bool
) -> Graph | None:
    """Return integers of the weights alone if the chip refuses them; else None.

    Args:
        graph: float network in the chip's layers.
        chip: the target.
        method: one of ``QUANTIZERS``; the integers are those of ``global``, or of ``channel``.
        options, calibrated: of no effect on what fits.

    >>> import numpy as np
    >>> from toolchain import load_chip
    >>> from toolchain.chips.xylo import XyloOptions
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> lif = dict(v_threshold=1.0, alpha_mem=0.875, alpha_syn=[0.75])
    >>> def layers(hidden):
    ...     nodes = {
    ...         "input": Input(shape=(2,)),
    ...         "fc1": Linear(weight=np.ones((hidden, 2))),
    ...         "lif1": Neuron(shape=(hidden,), **lif),
    ...         "fc2": Linear(weight=np.ones((1, hidden))),
    ...         "lif2": Neuron(shape=(1,), **lif),
    ...         "output": Output(),
    ...     }
    ...     return Graph.chain(nodes, dt=1e-3)
    >>> chip = load_chip("xylo_a2")
    >>> found = [unfit(layers(n), chip, "auto", XyloOptions(), True) for n in (100, 1200)]
    >>> found[0] is None, int(found[1]["lif1"].v_threshold.max())
    (True, 127)
    """
    del options, calibrated
    # one scale for the whole network rounds more weights to 0, and so may fit where others do not
    draft = _draft(graph, chip, "global" if method == "global" else "channel")
    return None if computes(graph, chip) and takes(lower(draft, chip), chip) else draft


def _draft(graph: Graph, chip: XyloChip, method: str) -> Graph:
    """Return integers by a quantizer that reads the weights alone, of a readout as well."""
    quantizer = one_scale if method == "global" else channel
    name = read_out(graph)
    if name is None:
        return quantizer(graph, chip)[0]
    return draft_readout(graph, chip, name, quantizer(as_spiking(graph, name), chip)[0])
