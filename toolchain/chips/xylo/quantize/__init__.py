"""Quantizers of Xylo: ``auto``, ``channel`` and ``global``.

``channel`` and ``global`` are rockpool's two quantizers (:mod:`.baselines`). ``auto`` searches, on
calibration spikes, for integers with which the chip spikes as the float network does
(:mod:`.auto`), and is never worse than the other two on the spikes that it used. A network that
the chip refuses in any case is quantized by ``channel``, so that its sizes can be checked.

    >>> QUANTIZERS
    ('auto', 'channel', 'global')
"""

from __future__ import annotations

from toolchain.arrays import Array
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.quantize import report
from toolchain.chips.xylo.quantize.auto import random_spikes, search
from toolchain.chips.xylo.quantize.baselines import channel, one_scale
from toolchain.chips.xylo.quantize.evaluator import Evaluator
from toolchain.chips.xylo.rules.graph import computes
from toolchain.chips.xylo.rules.program import takes
from toolchain.chips.xylo.simulate.run import as_counts
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Graph

__all__ = ["QUANTIZERS", "quantize"]

QUANTIZERS = ("auto", "channel", "global")


def quantize(
    graph: Graph, chip: XyloChip, calibration: Array | None, method: str
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Return ``graph`` in integers, with findings on what limits each scale.

    Args:
        graph: floats, in the chip's layers (gains folded, synapses that add before they decay).
        chip: the target.
        calibration: spikes (batch, time, *features), or None; used by ``auto`` alone.
        method: one of ``QUANTIZERS``.

    Raises:
        ValueError: calibration that is not made of spike counts the chip accepts.

    >>> import numpy as np
    >>> from toolchain import load_chip
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> decays = dict(alpha_mem=0.875, alpha_syn=np.array([0.75]))
    >>> graph = Graph.chain(
    ...     {
    ...         "input": Input(shape=(2,)),
    ...         "w1": Linear(weight=[[0.5, -0.25]]),
    ...         "hidden": Neuron(shape=(1,), v_threshold=1.0, **decays),
    ...         "w2": Linear(weight=[[1.0]]),
    ...         "out": Neuron(shape=(1,), v_threshold=1.0, **decays),
    ...         "output": Output(),
    ...     }
    ... )
    >>> integers, findings = quantize(graph, load_chip("xylo_a2"), None, "channel")
    >>> integers["w1"].weight.tolist(), integers["hidden"].v_threshold.tolist()
    ([[127, -64]], [254])
    >>> print(findings[0])
    info[levels] w1: weights use 127 of 127 levels
    """
    pairs = {"channel": channel(graph, chip), "global": one_scale(graph, chip)}
    results = {
        name: (result, report.known(result, scales)) for name, (result, scales) in pairs.items()
    }
    if method in results:
        return results[method]
    quantized, findings = results["channel"]
    if not _fits(graph, quantized, chip):
        return quantized, findings
    baselines = {name: rival for name, (rival, _) in results.items()}
    if calibration is None or not calibration.size:
        evaluator = Evaluator(graph, chip, random_spikes(graph))
        found = search(evaluator, baselines, fit=False)
        last = report.guessed(found)
    else:
        flat = calibration.reshape(*calibration.shape[:2], -1)
        as_counts(lower(quantized, chip), flat, "calibration")
        found = search(Evaluator(graph, chip, calibration), baselines, fit=True)
        last = report.compared(found)
    own = report.searched(found) if found.chosen == "auto" else results[found.chosen][1]
    shifts = report.shifts(lower(found.graph, chip))
    return found.graph, (*own, shifts, last)


def _fits(graph: Graph, quantized: Graph, chip: XyloChip) -> bool:
    """Return whether the chip accepts both the float graph and its integers."""
    return computes(graph, chip) and takes(lower(quantized, chip), chip)
