"""Layout of a Xylo program for the kernel: padded rows, with the span of targets of each source.

Weights stay dense int8 rows, with the span of targets that a source really has: at 1000 neurons
and 5 % of the connections a row of zeros is still cheaper than a scattered addition a synapse.
Rows and states are padded to whole vectors; a neuron of the padding has no weights and the
largest threshold.

The types are compiled into the kernel: its ``INLINED`` changes with this file
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

__all__ = ["NO_TRACES", "Aliases", "NeuronConstants", "Rows", "State", "Tables", "Traces", "tables"]


class Rows(NamedTuple):
    """A weight matrix, one padded row for each source and synapse of its targets.

    Attributes:
        weights: int8, flat; row ``source * synapses + synapse``.
        spans: int64 ``(rows, 2)``, first and past-the-last non-zero weight, in whole vectors.
        width: length of a row.
        shift: left shift of each weight.
    """

    weights: Array
    spans: Array
    width: int
    shift: int


class NeuronConstants(NamedTuple):
    """Constants of the hidden or of the output neurons, int16, padded.

    Attributes:
        dash_syn: flat, one padded row a synapse.
        dash_mem, threshold, bias: one entry a neuron.
        neurons: without the padding.
        width: with the padding.
        cap: most spikes of a neuron in a step.
    """

    dash_syn: Array
    dash_mem: Array
    threshold: Array
    bias: Array
    neurons: int
    width: int
    cap: int


class Aliases(NamedTuple):
    """Sources and targets of the aliases.

    Attributes:
        neurons: int64, sources and targets in id order.
        receives: bool, one for each of these: True for a target.
        starts: int64, one more than ``neurons``: where in ``targets`` its targets start.
        targets: int64.
    """

    neurons: Array
    receives: Array
    starts: Array
    targets: Array


class Tables(NamedTuple):
    """A program in the layout of the kernel."""

    rows_in: Rows
    rows_rec: Rows
    rows_out: Rows
    hidden: NeuronConstants
    output: NeuronConstants
    aliases: Aliases
    synapses: int
    first_core: bool
    biased: bool


class State(NamedTuple):
    """The arrays of a ``XyloState``, batch first."""

    i_syn: Array
    v_mem: Array
    i_syn_out: Array
    v_mem_out: Array
    pending_spikes: Array
    hibernating: Array


class Traces(NamedTuple):
    """Arrays of a recording, batch first; ``i_syn_2`` is empty where there is one synapse.

    ``saturations`` is int64 ``(B, Nhid + Nout)``, ``hidden_totals`` int64 ``(B, 2, Nhid)``.
    """

    hidden_spikes: Array
    v_mem: Array
    i_syn: Array
    i_syn_2: Array
    v_mem_out: Array
    i_syn_out: Array
    hibernation: Array
    saturations: Array
    hidden_totals: Array


_nothing = np.empty((0, 0, 0), np.int16)
NO_TRACES = Traces(
    hidden_spikes=np.empty((0, 0, 0), np.int8),
    v_mem=_nothing,
    i_syn=_nothing,
    i_syn_2=_nothing,
    v_mem_out=_nothing,
    i_syn_out=_nothing,
    hibernation=np.empty((0, 0), np.bool_),
    saturations=np.empty((0, 0), np.int64),
    hidden_totals=np.empty((0, 0, 0), np.int64),
)


@lru_cache(maxsize=8)
def tables(program: XyloProgram) -> Tables:
    """Return the program padded and sorted for the kernel; cached, as building is slow."""
    p = program
    pairs = [(pre, post) for pre, targets in enumerate(p.aliases) for post in targets]
    receivers = {post for _, post in pairs}
    neurons = sorted({pre for pre, _ in pairs} | receivers)
    lengths = [len(p.aliases[n]) for n in neurons]
    dashes = (p.dash_syn, p.dash_syn_2)[: p.synapses]
    return Tables(
        rows_in=_rows(p.weights_in, p.weight_shift_in),
        rows_rec=_rows(p.weights_rec, p.weight_shift_rec),
        rows_out=_rows(p.weights_out[:, :, None], p.weight_shift_out),
        hidden=_layer(dashes, p.dash_mem, p.threshold, p.bias, p.max_hidden_spikes),
        output=_layer(
            (p.dash_syn_out,), p.dash_mem_out, p.threshold_out, p.bias_out, p.max_output_spikes
        ),
        aliases=Aliases(
            neurons=np.array(neurons, np.int64),
            receives=np.array([n in receivers for n in neurons], np.bool_),
            starts=np.cumsum([0, *lengths], dtype=np.int64),
            targets=np.array([post for _, post in pairs], np.int64),
        ),
        synapses=p.synapses,
        first_core=p.core == "v1",
        biased=p.has_bias,
    )


def _padded(length: int) -> int:
    """Round ``length`` up to whole vectors."""
    return -(-length // LANES) * LANES


def _rows(weights: Array, shift: int) -> Rows:
    """Return the rows of ``weights (pre, post, synapses)``."""
    pre, post, synapses = weights.shape
    width = _padded(post)
    dense = np.zeros((pre * synapses, width), np.int8)
    dense[:, :post] = weights.transpose(0, 2, 1).reshape(pre * synapses, post)
    used: npt.NDArray[np.bool_] = (dense != 0).reshape(len(dense), -1, LANES).any(axis=2)
    blocks = used.shape[1]
    first = used.argmax(axis=1)
    last = np.where(used.any(axis=1), blocks - used[:, ::-1].argmax(axis=1), first)
    spans = np.stack([first, last], axis=1).astype(np.int64) * LANES
    return Rows(dense.reshape(-1), spans, width, shift)


def _layer(
    dashes: tuple[Array, ...], dash_mem: Array, threshold: Array, bias: Array, cap: int
) -> NeuronConstants:
    """Return padded constants of neurons with one current for each of ``dashes``."""
    neurons = len(dash_mem)
    width = _padded(neurons)

    def pad(values: Array, spare: int = 0) -> Array:
        room = np.full(width, spare, np.int16)
        room[:neurons] = values
        return room

    return NeuronConstants(
        dash_syn=np.concatenate([pad(dash) for dash in dashes]),
        dash_mem=pad(dash_mem),
        threshold=pad(threshold, 32767),
        bias=pad(bias),
        neurons=neurons,
        width=width,
        cap=cap,
    )
