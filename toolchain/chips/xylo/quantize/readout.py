"""Integers of outputs that never fire: one scale for all, as large as their states allow.

The layers before are quantized as if the outputs fired, at a threshold within the range of their
membranes, since that needs the same spikes of them. Then the outputs get

- the bit shifts whose response is nearest to the trained one, with a factor on the weights, fitted
  on the data by least squares;
- one scale, so that integers of different outputs can be compared: the largest at which no state
  saturates on the data and weights fit their words, shifted left while they keep all levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.uncalibrated import has_spikes
from toolchain.chips.words import HEADROOM
from toolchain.chips.xylo.dashes import neighbors
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.quantize.guess import guessed_spikes
from toolchain.chips.xylo.quantize.plan import XyloWords
from toolchain.chips.xylo.quantize.report import shifts
from toolchain.chips.xylo.simulate.run import simulate
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.ir import Graph, Linear, MembraneReadout, Neuron, Node
from toolchain.passes.weights import weights_of
from toolchain.runs.bounded import part_within, values_of
from toolchain.runs.interpret import interpret

__all__ = ["as_spiking", "draft_readout", "quantize_readout", "read_out"]

GraphQuantizer: TypeAlias = Callable[[Graph], tuple[Graph, tuple[Diagnostic, ...]]]
PROXY = 0.3
"""Threshold of the outputs while other layers are quantized, over their largest membrane."""
MOST = 2_000_000
"""Most values of all nodes times timesteps times samples of the spikes that are used."""
TRIES = 8
"""Times that a scale is halved if a state saturates on the data all the same."""
REPLACED = ("agreement", "no_calibration", "silent_outputs", "weight_shifts")
"""Findings on a network whose outputs fire."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedReadout:
    """Readout with the chip's decays, in floats.

    Attributes:
        node: with these decays.
        gain: (neurons,) factor on weights and bias.
        peak: largest magnitude of any state on the data, in the unit of the network.
    """

    node: MembraneReadout
    gain: Array
    peak: float


def read_out(graph: Graph) -> str | None:
    """Return the name of the output layer if it never spikes."""
    (name, *_) = graph.outputs
    return name if isinstance(graph[name], MembraneReadout) else None


def quantize_readout(
    graph: Graph, chip: XyloChip, name: str, calibration: Array | None, quantize: GraphQuantizer
) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """Return ``graph`` in integers, and the findings.

    Args:
        graph: the float network.
        chip: the target.
        name: its output layer, which never spikes.
        calibration: spikes (batch, time, *features), or None: guessed spikes.
        quantize: quantizes a network whose outputs spike.
    """
    node = graph[name]
    assert isinstance(node, MembraneReadout)
    given = has_spikes(calibration)
    spikes = calibration if has_spikes(calibration) else guessed_spikes(graph, chip)
    spikes = part_within(spikes, values_of(graph), MOST)
    membranes = interpret(graph, spikes).spikes / node.v_scale
    level = PROXY * float(np.abs(membranes).max(initial=0)) or 1.0
    quantized, found = quantize(graph.replace({name: _spiking(node, level)}))
    weights = weights_of(graph, name) or ()
    findings = [f for f in found if f.rule not in REPLACED and f.where not in (name, *weights)]
    words = XyloWords.of(chip)
    if node.synapses != 1 or node.syn_order != "add_decay":
        return quantized, found  # the rules refuse the network
    fitted = _fitted(graph, name, spikes, membranes, words.dash)
    floats = {w: graph[w] for w in weights}
    scale, shift = _scale(fitted, floats, words)
    for _ in range(TRIES):
        integers = quantized.replace(_integers(fitted, name, floats, scale, shift, words))
        share = _share(integers, chip, spikes)
        if share is not None:
            break
        scale, shift = scale / 2, max(0, shift - 1)
    levels = {w: int(np.abs(integers[w].parameters()["weight"]).max(initial=0)) for w in weights}
    findings += _report(name, levels, scale, shift, share, guessed=not given)
    return integers, (*findings, shifts(lower(integers, chip)))


def draft_readout(graph: Graph, chip: XyloChip, name: str, quantized: Graph) -> Graph:
    """Return ``quantized`` with integers of the readout ``name`` that its weights alone give.

    Args:
        graph: the float network.
        chip: the target.
        name: its output layer, which never spikes.
        quantized: integers of ``as_spiking(graph, name)``, with decays of the chip.
    """
    node, like = graph[name], quantized[name]
    assert isinstance(node, MembraneReadout)
    assert isinstance(like, Neuron)
    if node.synapses != 1 or node.syn_order != "add_decay":
        return quantized  # the rules refuse the network
    words, size = XyloWords.of(chip), int(np.prod(node.shape))
    with_decays = replace(node, alpha_mem=like.alpha_mem, alpha_syn=like.alpha_syn)
    fitted = FittedReadout(node=with_decays, gain=np.ones(size), peak=0.0)
    floats = {w: graph[w] for w in weights_of(graph, name) or ()}
    scale, shift = _scale(fitted, floats, words)
    return quantized.replace(_integers(fitted, name, floats, scale, shift, words))


def as_spiking(graph: Graph, name: str) -> Graph:
    """Return the graph whose readout ``name`` spikes, at a threshold as large as a weight."""
    node = graph[name]
    assert isinstance(node, MembraneReadout)
    weights = [graph[weight] for weight in weights_of(graph, name) or ()]
    sizes = (float(np.abs(w.weight).max(initial=0)) for w in weights if isinstance(w, Linear))
    return graph.replace({name: _spiking(node, max(sizes, default=0.0) or 1.0)})


def _spiking(node: MembraneReadout, threshold: float) -> Neuron:
    return Neuron(
        shape=node.shape,
        alpha_mem=node.alpha_mem,
        alpha_syn=node.alpha_syn,
        syn_order=node.syn_order,
        bias=node.bias,
        v_threshold=np.asarray(threshold),
        max_spikes=1,
    )


# ---- decays ----


def _fitted(graph: Graph, name: str, spikes: Array, wanted: Array, top: int) -> FittedReadout:
    """Choose for each neuron the shifts with the least squared error after a factor."""
    node = graph[name]
    assert isinstance(node, MembraneReadout)
    assert node.alpha_syn is not None
    size = int(np.prod(node.shape))
    mem = np.broadcast_to(node.alpha_mem, node.shape).ravel()
    syn = np.broadcast_to(node.alpha_syn, (*node.shape, node.synapses)).reshape(size, -1)[:, 0]
    shapes = neighbors(mem, top, membrane=True), neighbors(syn, top, membrane=False)
    want = wanted.reshape(-1, size)
    least, best = np.full(size, np.inf), [np.zeros(size), np.zeros(size), np.ones(size)]
    peaks = np.zeros(size)
    for dash_mem, dash_syn in product(
        *({d.tobytes(): d for d in pair}.values() for pair in shapes)
    ):
        kept = 1 - 2.0**-dash_mem, 1 - 2.0**-dash_syn
        tried = _with_decays(node, *kept)
        run = interpret(graph.replace({name: tried}), spikes, record=True).layers[name]
        got = run.v_mem.reshape(-1, size)
        square = (got * got).sum(axis=0)
        gain = np.divide((got * want).sum(axis=0), square, out=np.ones(size), where=square > 0)
        same = np.isclose(kept[0], mem, atol=1e-9) & np.isclose(kept[1], syn, atol=1e-9)
        gain[same] = 1.0
        error = ((got * gain - want) ** 2).sum(axis=0)
        assert run.i_syn is not None
        # the current before its decay is a state, too
        current = np.abs(run.i_syn.reshape(-1, size)).max(axis=0, initial=0) / kept[1]
        peak = np.maximum(np.abs(got).max(axis=0, initial=0), current) * np.abs(gain)
        better = error < least
        least = np.where(better, error, least)
        peaks = np.where(better, peak, peaks)
        best = [np.where(better, new, old) for new, old in zip((*kept, gain), best, strict=True)]
    return FittedReadout(
        node=_with_decays(node, best[0], best[1]), gain=best[2], peak=float(peaks.max(initial=0))
    )


def _with_decays(node: MembraneReadout, mem: Array, syn: Array) -> MembraneReadout:
    return replace(
        node,
        alpha_mem=_one(mem).reshape(node.shape if np.ptp(mem) else ()),
        alpha_syn=_one(syn).reshape((*node.shape, 1) if np.ptp(syn) else (1,)),
    )


def _one(values: Array) -> Array:
    """Return one number if all values are the same, else all of them."""
    return values if np.ptp(values) else values[:1]


# ---- integers ----


def _scale(fitted: FittedReadout, floats: dict[str, Node], words: XyloWords) -> tuple[float, int]:
    """Return the integer steps for one unit of the network, and the shift of the weights."""
    gain = fitted.gain[:, None]
    largest = max(
        (
            float(np.abs(w.weight * gain).max(initial=0))
            for w in floats.values()
            if isinstance(w, Linear)
        ),
        default=0.0,
    )
    most = words.state / (HEADROOM * fitted.peak) if fitted.peak else np.inf
    bias = float(np.abs(_bias(fitted)).max(initial=0))
    if bias and words.bias:
        most = min(most, words.bias / bias)
    if not largest:
        return (most if np.isfinite(most) else 1.0), 0
    most = min(most, words.weight * 2.0**words.shift / largest)
    shift = int(np.clip(np.floor(np.log2(max(1.0, most * largest / words.weight))), 0, words.shift))
    return min(most, words.weight * 2.0**shift / largest), shift


def _integers(
    fitted: FittedReadout,
    name: str,
    floats: dict[str, Node],
    scale: float,
    shift: int,
    words: XyloWords,
) -> dict[str, Node]:
    node, step = fitted.node, 2**shift
    changes: dict[str, Node] = {}
    for weight, linear in floats.items():
        assert isinstance(linear, Linear)
        levels = np.rint(linear.weight * (fitted.gain[:, None] * scale / step))
        values = np.clip(levels, -words.weight, words.weight).astype(np.int64) * step
        none = None if linear.bias is None else np.zeros(linear.bias.shape, np.int64)
        changes[weight] = replace(linear, weight=values, bias=none)
    bias = np.rint(_bias(fitted) * scale).astype(np.int64)
    zero = np.zeros((), np.int64)
    changes[name] = replace(
        node,
        bias=bias if np.any(bias) else zero,
        v_init=zero,
        v_leak=zero,
        v_scale=node.v_scale / scale,
    )
    return changes


def _bias(fitted: FittedReadout) -> Array:
    node = fitted.node
    return np.asarray(np.broadcast_to(node.bias, node.shape) * fitted.gain.reshape(node.shape))


def _share(integers: Graph, chip: XyloChip, spikes: Array) -> float | None:
    """Return the largest state of the outputs as a part of the word; None if one saturates."""
    program = lower(integers, chip)
    run = simulate(program, spikes.reshape(*spikes.shape[:2], -1), record=True)
    assert run.saturations is not None
    assert run.v_mem_out is not None
    assert run.i_syn_out is not None
    (output,) = (p.name for p in program.populations if p.role == "output")
    if run.saturations[output] or run.spikes.any():
        return None
    states = (run.v_mem_out, run.i_syn_out)
    return max(float(np.abs(s.astype(np.int64)).max(initial=0)) for s in states) / 32768


def _report(
    name: str,
    levels: dict[str, int],
    scale: float,
    shift: int,
    share: float | None,
    *,
    guessed: bool,
) -> list[Diagnostic]:
    """Return the findings on the readout's integers."""
    data = "guessed spikes" if guessed else "the calibration spikes"
    steps = f" in steps of {2**shift}" if shift else ""
    reach = "saturate" if share is None else f"reach {100 * share:.2g} % of their range"
    found = [
        Diagnostic(
            rule="levels",
            severity=Severity.INFO,
            where=weight,
            message=f"weights use {most >> shift} of 127 levels{steps}",
        )
        for weight, most in levels.items()
    ]
    found.append(
        Diagnostic(
            rule="readout",
            severity=Severity.WARNING if share is None else Severity.INFO,
            where=name,
            message=f"one unit of the network is {scale:.4g} integers; states {reach} on {data}",
        )
    )
    if guessed:
        found.append(
            Diagnostic(
                rule="no_calibration",
                severity=Severity.WARNING,
                where="network",
                message="scales are set on guessed spikes or on the weights alone (give "
                "calibration= for scales that follow your data)",
            )
        )
    return found
