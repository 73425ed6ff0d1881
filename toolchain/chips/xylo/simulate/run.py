"""Simulation of a Xylo program over time, bit for bit as the chip's integer core computes it.

Input and output are spike counts; every state is available on request. The arithmetic is in
``kernel``, its plain reference in ``twin``.

A spike of a hidden neuron arrives, at other hidden neurons and at the outputs, in the next step;
an input spike arrives in its own step.
"""

from __future__ import annotations

import numpy.typing as npt

from toolchain.chips.contract import Record
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate.raster import as_counts
from toolchain.chips.xylo.simulate.recording import XyloRecording, XyloState
from toolchain.chips.xylo.simulate.session import XyloStream

__all__ = ["simulate"]


def simulate(
    program: XyloProgram,
    raster: npt.ArrayLike,
    *,
    record: Record = False,
    state: XyloState | None = None,
    threads: int | None = None,
) -> XyloRecording:
    """Simulate ``program`` on ``raster``, bit-exact.

    Every call starts from a reset core: nothing is kept in the program. To continue where a call
    ended, pass its state to the next; to reset, omit it.

    Args:
        program: the program.
        raster: input spikes per step, ``(T, Nin)`` for one sample or ``(B, T, Nin)``; whole numbers
            in ``0 .. program.max_input_spikes``, of a boolean, integer or float type.
        record: keep every state of every step, or what is named by population,
            ``{"hidden": ("spikes",)}``; otherwise the last state, and of the outputs what the
            program reads.
        state: initial state; zeros unless given. Not changed.
        threads: number of samples processed at a time; one for each usable processor unless given.
            The result does not depend on it.

    An interrupt (Ctrl-C) ends the run within the time of a few samples.

    Raises:
        ValueError: a raster that is not made of counts the program accepts, a state of another
            program or batch size, ``threads`` below 1.

    Source: see :mod:`toolchain.chips.xylo.simulate.twin`.

    >>> from toolchain.chips.xylo import XyloProgram
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> raster = [[1], [0], [0], [0]]
    >>> simulate(program, raster).spikes.shape
    (1, 4, 1)
    >>> first = simulate(program, raster[:2], record=True)
    >>> second = simulate(program, raster[2:], record=True, state=first.state)  # continues
    >>> fresh = simulate(program, raster[2:], record=True)  # starts after a reset
    >>> int(second.hidden_spikes.sum()), int(fresh.hidden_spikes.sum())
    (4, 0)
    """
    counts = as_counts(program, raster)
    stream = XyloStream(program, len(counts), record=record, threads=threads)
    if state is not None:
        stream.restore(state, 0)
    return stream.run_counts(counts)
