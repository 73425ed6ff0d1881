"""Edits of a Xylo program, used to try hints.

Each function returns a new program, or None where the edit is impossible. Layers keep their names;
neurons are renumbered where some are removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from toolchain.chips.xylo.faults import REGISTERS
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.rules.paths import Mask
from toolchain.chips.xylo.spec import XyloChip

__all__ = [
    "by_layer",
    "by_neuron",
    "moved",
    "narrower",
    "one_current",
    "rescaled",
    "smaller_shift",
    "strengths",
    "weakest_of_all",
    "weakest_of_each",
    "without_connections",
    "without_neurons",
]

Strengths = npt.NDArray[np.int16]
HIDDEN = [name for name, register in REGISTERS.items() if register.axes == "hidden"]


def without_neurons(program: XyloProgram, gone: Mask) -> XyloProgram | None:
    """Return the program without the hidden neurons in ``gone``; empty layers are removed, too.

    Exact where these neurons never fire or have no path to an output.
    """
    if gone.all():
        return None
    return _chosen(program, np.flatnonzero(~gone), _layers_without(program, gone))


def narrower(program: XyloProgram, layer: Population, size: int) -> XyloProgram | None:
    """Return the program with only the first ``size`` neurons of a hidden layer."""
    gone = np.zeros(program.hidden, bool)
    gone[layer.start + size : layer.stop] = True
    return without_neurons(program, gone)


def without_connections(program: XyloProgram, dropped: Mask) -> XyloProgram:
    """Return the program without the hidden connections in ``dropped`` [pre, post]."""
    return replace(program, weights_rec=np.where(dropped[..., None], 0, program.weights_rec))


def strengths(program: XyloProgram) -> Strengths:
    """Return the larger magnitude of each connection's weights, ``(hidden, hidden)``.

    In 16 bits, of which a stable sort takes time that grows with their number alone.
    """
    return np.asarray(np.abs(program.weights_rec.astype(np.int16)).max(axis=2))


def weakest_of_each(program: XyloProgram, sources: range, most: int) -> Mask:
    """Return the connections of each neuron in ``sources`` beyond its ``most`` strongest.

    Of equal ones the lower target id is dropped first.
    """
    strength = strengths(program)
    dropped = np.zeros(strength.shape, bool)
    for source in sources:
        targets = np.flatnonzero(strength[source])
        order = targets[np.argsort(strength[source, targets], kind="stable")]
        dropped[source, order[: max(0, len(order) - most)]] = True
    return dropped


def weakest_of_all(program: XyloProgram, most: int) -> Mask:
    """Return all connections beyond the ``most`` strongest; of equal ones the first are dropped."""
    flat = strengths(program).ravel()
    entries = np.flatnonzero(flat)
    order = entries[np.argsort(flat[entries], kind="stable")]
    dropped = np.zeros(flat.shape, bool)
    dropped[order[: max(0, len(order) - most)]] = True
    return dropped.reshape(program.hidden, program.hidden)


def one_current(program: XyloProgram) -> XyloProgram | None:
    """Return the same network on one synapse; None where a neuron uses two. Exact."""
    used = np.asarray(program.weights_in.any(axis=0) | program.weights_rec.any(axis=0))
    if program.synapses == 1 or used.all(axis=1).any():
        return None
    second = used[:, 1]
    return replace(
        program,
        # one of the two is 0 everywhere
        weights_in=program.weights_in.sum(axis=2, keepdims=True),
        weights_rec=program.weights_rec.sum(axis=2, keepdims=True),
        dash_syn=np.where(second, program.dash_syn_2, program.dash_syn),
    )


def rescaled(program: XyloProgram, layer: Population, factor: int) -> XyloProgram:
    """Return the program with a layer's integers divided by ``factor``, rounded half to even."""
    ids = (..., slice(layer.start, layer.stop))
    output = layer.role == "output"
    suffix = "_out" if output else ""
    names = ["weights_out"] if output else ["weights_in", "weights_rec"]
    fields = {name: np.moveaxis(getattr(program, name).copy(), 1, -1) for name in names}
    fields |= {n: getattr(program, n + suffix).copy() for n in ("threshold", "bias")}
    for array in fields.values():
        array[ids] = np.rint(array[ids] / factor)
    changes: dict[str, Any] = {name: np.moveaxis(fields[name], -1, 1) for name in names}
    changes |= {n + suffix: fields[n] for n in ("threshold", "bias")}
    return replace(program, **changes)


def smaller_shift(program: XyloProgram, name: str, top: int) -> XyloProgram | None:
    """Return the program with a matrix's shift reduced to ``top`` and its weights increased.

    None where the weights would not fit their register. Exact: both give the same numbers. ``name``
    is that of the shift.
    """
    matrix = name.replace("weight_shift", "weights")
    weights = getattr(program, matrix).astype(np.int64) << (getattr(program, name) - top)
    register = REGISTERS[matrix]
    if weights.min() < register.low or weights.max() > register.high:
        return None
    changes: dict[str, Any] = {matrix: weights, name: top}
    return replace(program, **changes)


def by_layer(program: XyloProgram) -> XyloProgram:
    """Return layers in the order of ``place.allocate`` on a chip whose reach is limited.

    Exact except for the order of spikes where a current saturates, and for aliases.
    """
    return _renumbered(program, range(program.hidden))


def by_neuron(program: XyloProgram) -> XyloProgram:
    """Return ``by_layer``, each layer from neurons fed by the input to those read out."""
    reached, reading = program.weights_in.any(axis=(0, 2)), program.weights_out.any(axis=1)
    ranks = np.where(reading, np.where(reached, 2, 3), np.where(reached, 0, 1))
    return _renumbered(program, ranks.tolist())


def moved(program: XyloProgram, chip: XyloChip) -> XyloProgram | None:
    """Return the program for another chip of the family; None where its core cannot store it.

    Where the chip's reach is limited, layers are reordered for it if every alias still leads to a
    higher id.
    """
    limits = chip.limits
    if chip.integer_core == "v1" and program.has_bias:
        return None
    there = replace(
        program,
        chip=chip.name,
        core=chip.integer_core,
        max_input_spikes=int(limits.input_spikes.value),
        max_hidden_spikes=int(limits.hidden_spikes.value),
        max_output_spikes=int(limits.output_spikes.value),
    )
    reach = min(limits.input_expansion.value, limits.output_expansion.value)
    if reach >= limits.hidden_neurons.value:
        return there
    sorted_ = by_layer(there)
    forward = all(post > pre for pre, posts in enumerate(sorted_.aliases) for post in posts)
    return sorted_ if forward else there


def _renumbered(program: XyloProgram, ranks: Sequence[int]) -> XyloProgram:
    """Return hidden layers sorted by their connections, and in each the neurons by ``ranks``."""
    layers = sorted(
        (p for p in program.populations if p.role == "hidden"), key=lambda p: _rank(program, p)
    )
    order = [n for p in layers for n in sorted(range(p.start, p.stop), key=lambda n: ranks[n])]
    populations, start = [], 0
    for p in layers:
        stop = start + p.stop - p.start
        populations.append(replace(p, start=start, stop=stop))
        start = stop
    outputs = [p for p in program.populations if p.role == "output"]
    return _chosen(program, np.array(order), (*populations, *outputs))


def _rank(program: XyloProgram, layer: Population) -> int:
    """Return 0 after the input, 1 in the middle, 3 before the outputs, 2 for both ends."""
    ids = slice(layer.start, layer.stop)
    if program.weights_out[ids].any():
        return 2 if program.weights_in[:, ids].any() else 3
    return 0 if program.weights_in[:, ids].any() else 1


def _chosen(
    program: XyloProgram, order: npt.NDArray[np.int64], populations: tuple[Population, ...]
) -> XyloProgram:
    """Return the hidden neurons ``order``, in that order; aliases to others are dropped."""
    place = {int(old): new for new, old in enumerate(order)}
    changes: dict[str, Any] = {name: getattr(program, name)[order] for name in HIDDEN}
    return replace(
        program,
        **changes,
        weights_in=program.weights_in[:, order],
        weights_rec=program.weights_rec[np.ix_(order, order)],
        weights_out=program.weights_out[order],
        aliases=tuple(
            tuple(place[t] for t in program.aliases[n] if t in place) for n in order.tolist()
        ),
        populations=populations,
    )


def _layers_without(program: XyloProgram, gone: Mask) -> tuple[Population, ...]:
    left = np.concatenate([[0], np.cumsum(~gone)]).tolist()
    layers = []
    for p in program.populations:
        role: Literal["hidden", "output"] = p.role
        start, stop = (left[p.start], left[p.stop]) if role == "hidden" else (p.start, p.stop)
        if stop > start:
            layers.append(replace(p, start=start, stop=stop))
    return tuple(layers)
