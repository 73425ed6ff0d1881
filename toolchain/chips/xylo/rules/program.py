"""Every rule on a program: one small function for each limit of the chip, yielding findings.

Each limit is read from the chip's specification. ``values`` checks single registers, ``paths``
aliases and reachable neurons; ``graph`` checks the network itself.

Faults without a rule cannot occur in a program: values outside their register (``faults`` refuses
them), a second synapse of an output neuron, and two entries of one neuron for the same target,
since a matrix has one entry for each pair of neurons. Inputs above 15 spikes a step are refused by
``simulate``. Hibernation is not part of a program.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.rules.findings import Findings, Rule, at_most, parts
from toolchain.chips.rules.hints import check_rules
from toolchain.chips.rules.trial import fits
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.rules.hints import advise
from toolchain.chips.xylo.rules.paths import (
    ALIASES,
    UNREACHED,
)
from toolchain.chips.xylo.rules.values import (
    REAL_TIME,
    VALUES,
)
from toolchain.chips.xylo.spec import XyloChip
from toolchain.hardware import Quantity
from toolchain.report import count

__all__ = ["RULES", "check", "takes"]


def input_channels(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check the number of input channels."""
    limit = chip.limits.input_channels
    where = program.input_name
    yield from at_most("input_channels", chip, where, program.inputs, "input channels", limit)


def hidden_neurons(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check the number of neurons of all hidden layers together."""
    limit = chip.limits.hidden_neurons
    layers = [p for p in program.populations if p.role == "hidden"]
    where = ", ".join(p.name for p in layers)
    sizes = [(p.name, p.stop - p.start) for p in layers]
    yield from at_most(
        "hidden_neurons", chip, where, program.hidden, "hidden neurons", limit, parts(sizes)
    )


def output_neurons(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check the number of output neurons."""
    limit = chip.limits.output_neurons
    where = ", ".join(p.name for p in program.populations if p.role == "output")
    yield from at_most("output_neurons", chip, where, program.outputs, "output neurons", limit)


def synapses(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check the number of synaptic states of hidden neurons."""
    limit = chip.limits.hidden_synapses
    pairs = (program.weights_in, program.weights_rec)
    second = np.any([weights[..., 1:].any(axis=(0, 2)) for weights in pairs], axis=0)
    using = [p.name for p in _hidden(program) if second[p.start : p.stop].any()]
    where = ", ".join(using) or "network"
    what = "synaptic currents per neuron"
    yield from at_most("synapses", chip, where, program.synapses, what, limit)


def input_expansion(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that the input reaches only the first hidden neurons."""
    limit = chip.limits.input_expansion
    reached = np.flatnonzero(program.weights_in.any(axis=(0, 2)))
    if _everywhere(chip, limit) or not len(reached):
        return
    need = int(reached[-1]) + 1
    where = _owner(program, need - 1)
    what = "hidden neurons reachable from the input"
    yield from at_most("input_expansion", chip, where, need, what, limit)


def output_expansion(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that only the last hidden neurons reach the outputs."""
    limit = chip.limits.output_expansion
    reading = np.flatnonzero(program.weights_out.any(axis=1))
    if _everywhere(chip, limit) or not len(reading):
        return
    need = program.hidden - int(reading[0])
    where = _owner(program, int(reading[0]))
    what = "hidden neurons readable by the outputs"
    yield from at_most("output_expansion", chip, where, need, what, limit)


def fan_out(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check the number of hidden targets of each hidden neuron.

    Feed-forward or recurrent: every connection between hidden neurons is an entry.
    """
    limit = chip.limits.fan_out
    targets = program.fan_out()
    for p in _hidden(program):
        own = targets[p.start : p.stop]
        widest = program.weights_rec[p.start + int(own.argmax())].any(axis=1)
        split = [
            (post.name, int(widest[post.start : post.stop].sum())) for post in _hidden(program)
        ]
        note = parts([(name, n) for name, n in split if n]) + _breaking(own, limit)
        what = "hidden targets per neuron"
        yield from at_most("fan_out", chip, p.name, int(own.max()), what, limit, note)


def fan_out_memory(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check that all connections between hidden neurons fit the memory.

    A target that is reached on one synapse or on both is one entry.
    """
    limit = chip.limits.fan_out_memory
    need = int(program.fan_out().sum())
    if need <= limit.value:
        return
    entries = np.asarray(program.weights_rec.any(axis=2))
    pairs = [(pre, post) for pre in _hidden(program) for post in _hidden(program)]
    blocks = [
        (
            f"{pre.name} -> {post.name}",
            int(entries[pre.start : pre.stop, post.start : post.stop].sum()),
        )
        for pre, post in pairs
    ]
    largest = sorted([b for b in blocks if b[1]], key=lambda block: -block[1])
    what = "connections between hidden neurons"
    yield from at_most("fan_out_memory", chip, "network", need, what, limit, parts(largest))


def alias_targets(program: XyloProgram, chip: XyloChip) -> Findings:
    """Check the number of aliases of each neuron."""
    limit = chip.limits.alias_targets
    for p in _hidden(program):
        own = np.array([len(targets) for targets in program.aliases[p.start : p.stop]])
        note = _breaking(own, limit)
        yield from at_most(
            "alias_targets", chip, p.name, int(own.max()), "aliases per neuron", limit, note
        )


RULES: tuple[Rule[XyloProgram, XyloChip], ...] = (
    input_channels,
    hidden_neurons,
    output_neurons,
    synapses,
    input_expansion,
    output_expansion,
    fan_out,
    fan_out_memory,
    alias_targets,
    *VALUES,
    *ALIASES,
    *REAL_TIME,
    *UNREACHED,
)

check = partial(check_rules, rules=RULES, advise=advise)
"""Return every finding about a program."""

takes = partial(fits, rules=RULES)
"""Return whether a program passes all these rules."""

# ---- what the rules share ----


def _breaking(values: Array, limit: Quantity) -> str:
    """Return a note on the number of a layer's neurons that exceed the limit."""
    many = int(np.count_nonzero(values > limit.value))
    if many in (0, len(values)):
        return ""
    verb = "needs" if many == 1 else "need"
    return f"; {many} of its {count(len(values))} neurons {verb} more than that"


def _everywhere(chip: XyloChip, reach: Quantity) -> bool:
    """Return whether every hidden neuron is within reach; then ``hidden_neurons`` is enough."""
    return reach.value >= chip.limits.hidden_neurons.value


def _hidden(program: XyloProgram) -> tuple[Population, ...]:
    return tuple(p for p in program.populations if p.role == "hidden")


def _owner(program: XyloProgram, hidden_id: int) -> str:
    """Return the user's name of the layer of a hidden neuron."""
    return next(p.name for p in _hidden(program) if p.start <= hidden_id < p.stop)
