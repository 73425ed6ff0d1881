"""Layout of a Xylo program for the kernels: a few flat arrays, because each costs time a call.

The neurons are the hidden ones and, from the next whole vector on, the output neurons; the sources
are the inputs and, from the next whole vector on, the hidden neurons. 32 neurons of a vector are a
block, and so are 32 sources. A neuron of the padding has no weights and the largest threshold.

The positions are compiled into the kernels: their ``INLINED`` changes with this file
(:mod:`toolchain.chips.compiled.cache`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from toolchain.arrays import Array
from toolchain.chips.compiled.width import LANES
from toolchain.chips.xylo.program import XyloProgram

__all__ = ["Connections", "Tables", "connections", "padded", "tables"]

# -- positions in ``Tables.sizes`` ----------------------------------------------------------------

INPUTS, HIDDEN, OUTPUTS = 0, 1, 2
"""Numbers of channels and neurons."""
INPUT_BLOCKS, HIDDEN_BLOCKS, BLOCKS = 3, 4, 5
"""Blocks of the inputs, of the hidden neurons, and of all neurons."""
HIDDEN_CAP, OUTPUT_CAP = 6, 7
"""Most spikes of a neuron in a step."""
FLUSH = 8
"""Steps after which counters of 16 bits must be emptied."""
BIASED = 9
"""1 if any neuron has a bias."""
INPUTS_FIT, HIDDEN_FIT = 10, 11
"""1 if the product of any weight of these sources and any number of spikes fits 16 bits."""
ALIASES, ALIAS_TABLE = 12, 13
"""Number of neurons with aliases; where their table starts: for each of them, in id order, its id,
whether it receives, the number of its targets, and these."""
RANGES, RANGE = 14, 4
"""Where the table of blocks starts, and its numbers for each block and kind of source (inputs,
hidden): the factor of the weights (their shift), the largest weight after the shift, the first
block of sources and the one past the last."""

# -- rows of ``Tables.constants`` -----------------------------------------------------------------

DASH_SYN, DASH_SYN_2, DASH_MEM, THRESHOLD, BIAS = range(5)

# -- rows of the scratch memory -------------------------------------------------------------------

UNFIRED, CUT, FIRED, ACTIVE_STEPS = range(4)
"""Membranes before firing; cut additions, spikes and steps with spikes that are not yet in the
recording."""
SUMS = CUT
"""The first of the three counters."""


class Tables(NamedTuple):
    """A program in the layout of the kernels.

    Attributes:
        weights: int8, flat; for each synapse one padded row for each source.
        constants: int16, flat; the rows ``DASH_SYN .. BIAS`` with one entry a neuron.
        sizes: int64, flat; see the positions above.
        two: 1 if there are two synapses, else None.
        first_core: 1 if the core is v1, else None.
    """

    weights: Array
    constants: Array
    sizes: Array
    two: int | None
    first_core: int | None


class Connections(NamedTuple):
    """The weights that are not 0, source by source.

    Attributes:
        places: int32; where the connections of each source start in both arrays, one more than
            there are sources (without padding), then the target of each connection: where its 32
            samples start in the state.
        weights: int16; after the shift; not used for the first entries of ``places``.
    """

    places: Array
    weights: Array


def padded(length: int) -> int:
    """Round ``length`` up to whole vectors."""
    return -(-length // LANES) * LANES


@lru_cache(maxsize=8)
def tables(program: XyloProgram) -> Tables:
    """Return the program padded for the kernels; cached, as building is slow."""
    p, weights = program, _weights(program)
    ranges, aliases = _ranges(p, weights), _aliases(p)
    sizes = np.zeros(RANGES + ranges.size + aliases.size, np.int64)
    sizes[[INPUTS, HIDDEN, OUTPUTS]] = p.inputs, p.hidden, p.outputs
    sizes[INPUT_BLOCKS] = padded(p.inputs) // LANES
    sizes[HIDDEN_BLOCKS] = padded(p.hidden) // LANES
    sizes[BLOCKS] = weights.shape[2] // LANES
    sizes[[HIDDEN_CAP, OUTPUT_CAP]] = p.max_hidden_spikes, p.max_output_spikes
    # additions to one neuron in one step
    most = p.synapses * (p.inputs + p.hidden) + 3
    sizes[FLUSH] = max(1, 32767 // max(most, p.max_hidden_spikes))
    sizes[BIASED] = p.has_bias
    sizes[INPUTS_FIT] = _fits(p.weights_in, p.weight_shift_in, p.max_input_spikes)
    sizes[HIDDEN_FIT] = _fits(p.weights_rec, p.weight_shift_rec, p.max_hidden_spikes) and _fits(
        p.weights_out, p.weight_shift_out, p.max_hidden_spikes
    )
    sizes[ALIASES] = len(_with_aliases(p))
    sizes[ALIAS_TABLE] = RANGES + ranges.size
    sizes[RANGES:] = np.concatenate([ranges.reshape(-1), aliases])
    return Tables(
        weights=weights.reshape(-1),
        constants=_constants(p).reshape(-1),
        sizes=sizes,
        two=1 if p.synapses == 2 else None,
        first_core=1 if p.core == "v1" else None,
    )


@lru_cache(maxsize=8)
def connections(program: XyloProgram) -> Connections:
    """Return the connections of a program; cached, as building is slow."""
    p, weights = program, _weights(program).astype(np.int16)
    first_hidden, first_output = padded(p.inputs), padded(p.hidden)
    # a shifted weight wraps at 16 bits
    weights[:, :first_hidden] <<= p.weight_shift_in
    weights[:, first_hidden:, :first_output] <<= p.weight_shift_rec
    weights[:, first_hidden:, first_output:] <<= p.weight_shift_out
    used = [*range(p.inputs), *range(first_hidden, first_hidden + p.hidden)]
    rows = weights.transpose(1, 0, 2)[used].reshape(len(used), -1)
    sources, targets = np.nonzero(rows)
    heads = len(used) + 1
    starts = heads + np.searchsorted(sources, np.arange(heads))
    return Connections(
        places=np.concatenate([starts, targets * LANES]).astype(np.int32),
        weights=np.concatenate([np.zeros(heads, np.int16), rows[sources, targets]]),
    )


def _weights(p: XyloProgram) -> npt.NDArray[np.int8]:
    """Return the weights ``(synapses, sources, neurons)``, padded."""
    first_hidden, first_output = padded(p.inputs), padded(p.hidden)
    shape = (p.synapses, first_hidden + first_output, first_output + padded(p.outputs))
    dense = np.zeros(shape, np.int8)
    dense[:, : p.inputs, : p.hidden] = p.weights_in.transpose(2, 0, 1)
    hidden = dense[:, first_hidden : first_hidden + p.hidden]
    hidden[:, :, : p.hidden] = p.weights_rec.transpose(2, 0, 1)
    hidden[0, :, first_output : first_output + p.outputs] = p.weights_out
    return dense


def _ranges(p: XyloProgram, weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Return ``(blocks, 2, RANGE)``: what each block receives from the inputs and from hidden."""
    synapses, sources, width = weights.shape
    in_blocks, hidden_blocks = padded(p.inputs) // LANES, padded(p.hidden) // LANES
    rows = weights.reshape(synapses, sources // LANES, LANES, width)
    highest, lowest = (
        extreme(extreme(rows, axis=(0, 2)).reshape(-1, width // LANES, LANES), axis=2)
        for extreme in (np.max, np.min)
    )
    largest = np.maximum(highest.astype(np.int64), -lowest.astype(np.int64))
    between = np.full(width // LANES, p.weight_shift_out)
    between[:hidden_blocks] = p.weight_shift_rec
    ranges = np.empty((width // LANES, 2, RANGE), np.int64)
    for kind, start, part, shift in (
        (0, 0, largest[:in_blocks], np.full_like(between, p.weight_shift_in)),
        (1, in_blocks, largest[in_blocks:], between),
    ):
        used = part > 0
        first, last = used.argmax(axis=0), len(used) - used[::-1].argmax(axis=0)
        last[~used.any(axis=0)] = 0
        ranges[:, kind, 0], ranges[:, kind, 1] = 1 << shift, part.max(axis=0) << shift
        ranges[:, kind, 2], ranges[:, kind, 3] = start + first, start + last
    return ranges


def _constants(p: XyloProgram) -> npt.NDArray[np.int16]:
    """Return the rows of constants, ``(5, neurons)``, padded."""
    first_output = padded(p.hidden)
    table = np.zeros((5, first_output + padded(p.outputs)), np.int16)
    table[THRESHOLD] = 32767
    table[:, : p.hidden] = p.dash_syn, p.dash_syn_2, p.dash_mem, p.threshold, p.bias
    output = table[:, first_output : first_output + p.outputs]
    rows = [DASH_SYN, DASH_MEM, THRESHOLD, BIAS]
    output[rows] = p.dash_syn_out, p.dash_mem_out, p.threshold_out, p.bias_out
    return table


def _fits(weights: Array, shift: int, most: int) -> bool:
    """Return whether ``most`` times the largest shifted weight fits 16 bits."""
    largest = max(int(weights.max(initial=0)), -int(weights.min(initial=0)))
    return largest * most << shift <= 32767


def _with_aliases(p: XyloProgram) -> list[int]:
    """Return the hidden neurons that are source or target of an alias, in id order."""
    sources = {pre for pre, targets in enumerate(p.aliases) if targets}
    return sorted(sources.union(*p.aliases))


def _aliases(p: XyloProgram) -> npt.NDArray[np.int64]:
    """Return the table of aliases, flat."""
    receivers: set[int] = set().union(*p.aliases)
    entries: list[int] = []
    for n in _with_aliases(p):
        entries += [n, n in receivers, len(p.aliases[n]), *p.aliases[n]]
    return np.array(entries, np.int64)
