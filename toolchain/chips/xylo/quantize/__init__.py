"""How a float network becomes Xylo's integers: ``auto``, ``channel`` and ``global``.

``channel`` and ``global`` are the two known quantizers (:mod:`.baselines`). ``auto`` searches, on
calibration spikes, for integers with which the chip spikes as the float network does
(:mod:`.auto`), and is never worse than these two on the spikes that it looked at. A network that
the chip refuses in any case is quantized by ``channel``, so that its sizes can be judged.
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
    """``graph`` in integers, and what limits each scale.

    Args:
        graph: floats, in the chip's layers (gains folded, synapses that add before they decay).
        chip: where it goes.
        calibration: spikes (batch, time, *features), or None; used by ``auto`` alone.
        method: one of ``QUANTIZERS``.

    Raises:
        ValueError: calibration that is no spike counts the chip takes.
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
        as_counts(lower(quantized, chip), calibration.reshape(*calibration.shape[:2], -1))
        found = search(Evaluator(graph, chip, calibration), baselines, fit=True)
        last = report.compared(found)
    own = report.searched(found) if found.chosen == "auto" else results[found.chosen][1]
    shifts = report.shifts(lower(found.graph, chip))
    return found.graph, (*own, shifts, last)


def _fits(graph: Graph, quantized: Graph, chip: XyloChip) -> bool:
    """Whether nothing is refused of the float graph, and of its integers ``made``."""
    return computes(graph, chip) and takes(lower(quantized, chip), chip)
