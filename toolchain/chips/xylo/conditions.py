"""Differences between Xylo and every network, for the ledger: caps, words, arithmetic, lags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from toolchain.chips.conditions import state_word
from toolchain.chips.xylo.lower.aliases import received_by
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.place import arrange
from toolchain.chips.xylo.readout import readout_of
from toolchain.chips.xylo.spec import XyloChip
from toolchain.fidelity.ledger import UNCHECKED, Change, Changes, Effect, Fidelity
from toolchain.ir import Graph, Membrane, MembraneReadout, Neuron

__all__ = ["DIFFERENCES", "conditions"]

DIFFERENCES = ("early_bias", "alias_order", "alias_loops")
"""Rules whose findings report a difference from the network."""


def conditions(
    graph: Graph, quantized: Graph, chip: XyloChip, effects: Mapping[str, Effect] | None
) -> Changes:
    """Return changes by layer that apply to every network: caps, words, arithmetic, lags.

    Args:
        graph: floats, as the quantizer received them.
        quantized: the same in integers.
        chip: the target.
        effects: effects measured on calibration samples, by layer; None without samples.
    """
    layers = read_layers(quantized)
    lags, aliases = layers.lags(), arrange(layers, chip).aliases
    effect_of = effects or {}
    found = {graph.input: [_input_cap(chip, effect_of.get(graph.input))]}
    for name, readout in quantized.of(MembraneReadout).items():
        found[name] = [*_lag(lags.get(name, 0)), _arithmetic(readout, chip), *_unread(readout)]
    for name, node in quantized.of(Neuron).items():
        trained = graph[name]
        assert isinstance(trained, Neuron)
        effect = effect_of.get(name)
        others = [effect_of[other] for other in received_by(name, aliases) if other in effect_of]
        found[name] = [
            *_lag(lags.get(name, 0)),
            _arithmetic(node, chip),
            *_cap(trained, _limit(quantized, name, chip), effect, others, name in aliases.values()),
            state_word(effect, chip.limits.state_width),
        ]
    return found


def _input_cap(chip: XyloChip, effect: Effect | None) -> Change:
    limit = int(chip.limits.input_spikes.value)
    return Change(
        what="input spikes",
        fidelity=Fidelity.APPROXIMATED if effect is None else Fidelity.EXACT_ON_DATA,
        before="any number",
        after=limit,
        unit="per channel and timestep",
        note=UNCHECKED if effect is None else f"at most {effect.chip_most} on the data",
    )


def _lag(lag: int) -> Iterator[Change]:
    if lag:
        yield Change(
            what="lag",
            fidelity=Fidelity.EXACT,
            before=0,
            after=lag,
            unit="timesteps",
            note="each hop between layers takes one timestep; comparisons correct for this",
        )


def _unread(node: MembraneReadout) -> Iterator[Change]:
    """Yield what is read of the neurons."""
    yield Change(
        what="states",
        fidelity=Fidelity.APPROXIMATED,
        before="no limit",
        after=16,
        unit="bit",
        note=f"read as {readout_of(node)}; a state at the largest value fires and is reset",
    )


def _arithmetic(node: Membrane, chip: XyloChip) -> Change:
    """Return the change of decays to integers, at least 1 per step."""
    if not isinstance(node, Neuron):
        return Change(
            what="decay",
            fidelity=Fidelity.APPROXIMATED,
            before="fraction of the state",
            after="integer, at least 1",
            note=f"per timestep; {chip.name} decays by bit shifts",
        )
    least = float(np.min(node.v_threshold))
    return Change(
        what="decay",
        fidelity=Fidelity.APPROXIMATED,
        before="fraction of the state",
        after="integer, at least 1",
        error=1 / least,
        note=f"relative to the threshold, per timestep; {chip.name} decays by bit shifts",
    )


def _limit(graph: Graph, name: str, chip: XyloChip) -> int:
    limits = chip.limits
    return int((limits.output_spikes if name in graph.outputs else limits.hidden_spikes).value)


def _cap(
    node: Neuron, limit: int, effect: Effect | None, others: list[Effect], shared: bool
) -> Iterator[Change]:
    """Yield the spike cap where the network has none or a wider one, or where aliases share it."""
    if node.max_spikes == limit and not shared:
        return
    with_others = " with those that it passes on" if shared else ""
    if effect is None:
        fidelity, note = Fidelity.APPROXIMATED, UNCHECKED
    else:
        # the largest counts without a cap; spikes that the chip cut are counted in capped
        most = sum(max(e.trained_most, e.chip_most) for e in (effect, *others))
        uncapped = effect.capped == 0 and most <= limit
        fidelity = Fidelity.EXACT_ON_DATA if uncapped else Fidelity.APPROXIMATED
        note = f"at most {most}{with_others} on the data"
        if effect.capped:
            note += f", capped {effect.capped} times"
    yield Change(
        what="spike cap",
        fidelity=fidelity,
        before="none" if node.max_spikes is None else node.max_spikes,
        after=limit,
        unit="spikes per timestep",
        note=note,
    )
