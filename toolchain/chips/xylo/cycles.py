"""Clock cycles of one timestep, from the program and how active it is.

Source: Rockpool documentation, Xylo cycle model (facts restated); golden values 757, 562 and 555
cycles of the documentation's networks are in the tests. Several spikes of one channel in one step
cost what one does. Nothing about its accuracy on silicon is published.
"""

from __future__ import annotations

import numpy as np

from toolchain.chips.xylo.program import XyloProgram
from toolchain.hardware import XyloChip

__all__ = ["cycles_per_step"]


def cycles_per_step(
    program: XyloProgram, chip: XyloChip, *, input_active: float, hidden_active: float
) -> float:
    """Mean clock cycles of a timestep, cycle.

    Args:
        program: what is loaded.
        chip: decides how many hidden neurons the input and output stages walk over: all of them
            where every neuron is within reach (Audio 2), else those with a connection.
        input_active, hidden_active: fraction of channels and hidden neurons with at least one
            spike in a step, 0..1.
    """
    hidden, outputs = program.hidden, program.outputs
    everywhere = chip.limits.input_expansion.value >= chip.limits.hidden_neurons.value
    reached = hidden if everywhere else int(program.weights_in.any(axis=(0, 2)).sum())
    reading = hidden if everywhere else int(program.weights_out.any(axis=1).sum())
    fan_out = float(np.count_nonzero(program.weights_rec[..., 0], axis=1).mean())
    aliased = np.array([len(targets) for targets in program.aliases])
    source = float((aliased > 0).mean())
    target = float(aliased.sum() / hidden)
    update = (
        19
        + 2 * max(hidden_active, target * source)
        + 3 * max(hidden_active * target, target * source)
        + hidden_active
        + max(hidden_active, target) * source
    )
    return (
        program.inputs * (3.5 * input_active * reached + 1)
        + hidden * (7 * fan_out * hidden_active + 3)
        + reading * hidden_active * (1 + 8 * outputs)
        + hidden * update
        + 12 * outputs
    )
