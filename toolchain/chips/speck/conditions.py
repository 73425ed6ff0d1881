"""Differences between Speck and any network, for the fidelity ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from toolchain.chips.conditions import state_word
from toolchain.chips.speck.spec import SpeckChip
from toolchain.fidelity.ledger import UNCHECKED, Change, Changes, Effect, Fidelity
from toolchain.ir import Conv2d, Graph, Neuron
from toolchain.report import percent

__all__ = ["DIFFERENCES", "conditions"]

DIFFERENCES = ("pooling_divides", "single_spike", "event_order")
"""Rules whose findings describe a difference between the chip and the network."""


def conditions(
    graph: Graph, quantized: Graph, chip: SpeckChip, effects: Mapping[str, Effect] | None
) -> Changes:
    """Return the changes by layer that hold for every network: words, timing and the slow clock.

    Args:
        graph: the float graph, input of the quantizer.
        quantized: the same graph in integers.
        chip: the target chip.
        effects: effects measured on calibration samples, by layer; None without samples.
    """
    del graph
    clocks = {name: tuple(_clock(node)) for name, node in quantized.of(Conv2d).items()}
    found = effects or {}
    neurons = {
        name: (state_word(found.get(name), chip.limits.state_width), _timing(found.get(name)))
        for name in quantized.of(Neuron)
    }
    return {**clocks, **neurons}


def _clock(node: Conv2d) -> Iterator[Change]:
    if node.bias is not None and np.any(node.bias):
        yield Change(
            what="bias",
            fidelity=Fidelity.EXACT,
            before="once a timestep",
            after="once a tick",
            note="the slow clock has to tick once a timestep",
        )


def _timing(effect: Effect | None) -> Change:
    """Return the change from whole timesteps to single events."""
    agreement = None if effect is None else effect.one_by_one
    fidelity = Fidelity.EXACT_ON_DATA if agreement == 1 else Fidelity.APPROXIMATED
    note = UNCHECKED
    if agreement is not None:
        note = f"counts agree to {percent(agreement)} with all at once"
    return Change(
        what="timing",
        fidelity=fidelity,
        before="all events of a timestep at once",
        after="one by one",
        error=None if agreement is None else agreement - 1,
        note=note,
    )
