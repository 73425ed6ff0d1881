"""Surrogate gradients of a recorded pass, backward in time.

With ``n`` spikes, ``v`` the membrane before firing, ``V`` after it, ``i`` the current, ``k`` the
factors that membrane and current keep over a step, ``g`` the slope of the spikes and ``d x`` the
derivative of the loss with respect to ``x``::

    d n[t] = outer[t] + W' d in[t + 1]          (a hidden spike arrives one step later)
    d V[t] = k_mem d v[t + 1]
    d v[t] = d V[t] + (d n[t] - threshold d V[t]) g[t]
    d in[t] = k_syn (d v[t] + d in[t + 1])      (input decays once before it acts)

The rounding of the decays and the limits of the states are left out.

Samples are computed in parts of ``SAMPLES`` and timesteps in pieces of ``record.STEPS``, whatever
the number of threads and the length of the record, so that the results do not depend on them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.compiled.threads import each
from toolchain.chips.training import SurrogateSlope
from toolchain.chips.xylo.training.forward import XyloTape
from toolchain.chips.xylo.training.part import PartPass
from toolchain.chips.xylo.training.structure import Structure, TrainedLayer

__all__ = ["gradients"]

SAMPLES = 32
"""Samples that are computed together: their states stay in the fastest cache."""


def gradients(
    structure: Structure,
    tape: XyloTape,
    outer: Mapping[str, Array],
    wanted: Collection[str],
    slope: SurrogateSlope | None,
    of_input: bool,
) -> dict[str, Array]:
    """Return the gradients of the parameters ``wanted``; see ``TrainableProgram``.

    Raises:
        ValueError: a tape of a pass without gradients, or derivatives of another shape.
    """
    if tape.record is None:
        raise ValueError("the tape is of a pass without gradient=True")
    given = {name: _given(structure.layers[name], tape, outer[name]) for name in outer}
    entry = np.zeros(tape.counts.shape, np.float32) if of_input else None
    batch = len(tape.counts)
    parts = [range(i, min(batch, i + SAMPLES)) for i in range(0, batch, SAMPLES)]

    def run(samples: range) -> Mapping[str, Array]:
        # a gradient that overflows is found by its values
        with np.errstate(all="ignore"):
            part = PartPass(structure, tape, samples, slope, wanted)
            return part.run(given, entry)

    sums = each(run, parts, tape.threads)
    with np.errstate(all="ignore"):
        found = {name: _total(tape, name, [part[name] for part in sums]) for name in wanted}
    if entry is not None:
        shape = structure.graph.shape(structure.graph.input)
        found["input"] = entry.reshape(*entry.shape[:2], *shape)
    return found


def _given(layer: TrainedLayer, tape: XyloTape, outer: Array) -> Array:
    shape = (*tape.counts.shape[:2], *layer.shape)
    if outer.shape != shape:
        raise ValueError(f"outer of {layer.name} must have shape {shape}, got {outer.shape}")
    return np.asarray(outer, np.float32).reshape(*shape[:2], layer.neurons)


def _total(tape: XyloTape, name: str, parts: list[Array]) -> Array:
    """Return the sum of the parts in the shape of a parameter, in the order of the samples."""
    shape = tape.integers[name].shape
    total = np.zeros(shape)
    for part in parts:
        total += _summed_to(part, shape)
    return total.astype(np.float32)


def _summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Return the gradient of an array of ``shape`` that was broadcast to that of ``gradient``."""
    extra = gradient.ndim - len(shape)
    summed = gradient.sum(axis=tuple(range(extra)))
    wide = tuple(i for i, size in enumerate(shape) if size == 1 and summed.shape[i] != 1)
    return np.asarray(summed.sum(axis=wide, keepdims=True))
