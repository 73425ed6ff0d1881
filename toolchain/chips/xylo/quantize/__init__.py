"""Quantizers of Xylo: ``auto``, ``channel`` and ``global``.

``channel`` and ``global`` are rockpool's two quantizers (:mod:`.baselines`). ``auto`` searches, on
calibration spikes, for integers with which the chip spikes as the float network does
(:mod:`.auto`), and is never worse than the other two on the spikes that it used. A network that
the chip refuses in any case is quantized without a search (:mod:`.unfit`).

    >>> QUANTIZERS
    ('auto', 'channel', 'global')
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from toolchain.arrays import Array
from toolchain.chips.contract import Options
from toolchain.chips.once import once
from toolchain.chips.uncalibrated import findings_on_guess, has_spikes
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.quantize import report
from toolchain.chips.xylo.quantize.auto import SearchResult, search
from toolchain.chips.xylo.quantize.baselines import channel, one_scale
from toolchain.chips.xylo.quantize.evaluator import Evaluator
from toolchain.chips.xylo.quantize.guess import choose_on_guess
from toolchain.chips.xylo.quantize.limits import XyloQuantizerLimits
from toolchain.chips.xylo.quantize.readout import quantize_readout, read_out
from toolchain.chips.xylo.quantize.unfit import unfit
from toolchain.chips.xylo.simulate.raster import as_counts
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Graph

__all__ = ["QUANTIZERS", "quantize", "unfit"]

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

    Requires: a network for which ``unfit`` returns None.

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
    if (name := read_out(graph)) is not None:
        spiking = partial(_of_spiking, chip=chip, calibration=calibration, method=method)
        return quantize_readout(graph, chip, name, calibration, spiking)
    pairs = {"channel": channel(graph, chip), "global": one_scale(graph, chip)}
    rivals = {name: result for name, (result, _) in pairs.items()}
    levels = {name: report.known(result, scales) for name, (result, scales) in pairs.items()}
    limits_read = XyloQuantizerLimits.of(chip)
    if not has_spikes(calibration):
        choose = partial(choose_on_guess, graph, chip, rivals, method)
        choice, plan = once(choose, "xylo choice on guessed spikes", graph, method, limits_read)
        own = report.searched(plan) if plan else levels[choice.shown]
        scales = report.guessed(choice.shown, chip, method)
        limits = own if method in rivals else (*own, report.shifts(lower(choice.graph, chip)))
        return choice.graph, (*limits, *findings_on_guess(choice, scales))
    if method in rivals:
        return rivals[method], levels[method]
    as_counts(lower(rivals["channel"], chip), calibration.reshape(*calibration.shape[:2], -1))
    searched = partial(_search, graph, chip, calibration, rivals)
    found = once(searched, "xylo search", graph, calibration, limits_read)
    own = report.searched(found.plan) if found.chosen == "auto" else levels[found.chosen]
    shifts = report.shifts(lower(found.graph, chip))
    return found.graph, (*own, shifts, report.compared(found))


def _search(
    graph: Graph, chip: XyloChip, calibration: Array, rivals: Mapping[str, Graph]
) -> SearchResult:
    return search(Evaluator(graph, chip, calibration, copies=True), rivals)


def _of_spiking(
    graph: Graph, chip: XyloChip, calibration: Array | None, method: str
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Quantize a network whose output spikes in place of a readout, without a search if unfit."""
    if unfit(graph, chip, method, Options(), calibration is not None) is None:
        return quantize(graph, chip, calibration, method)
    integers, scales = (one_scale if method == "global" else channel)(graph, chip)
    return integers, report.known(integers, scales)
