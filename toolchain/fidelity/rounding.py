"""Changes by a quantizer: integers for real numbers, and the decays of the chip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from toolchain.arrays import Array
from toolchain.fidelity.fields import (
    DECAYS,
    EXACT,
    WEIGHTS,
    DecayNote,
    by_layer,
    differing,
    field_change,
    moved,
    row_scales,
    tau_change,
    value_of,
)
from toolchain.fidelity.ledger import Change, Changes, Fidelity
from toolchain.ir import Conv2d, Graph, Linear, Membrane, MembraneReadout, Neuron, Node
from toolchain.passes.weights import weights_of

__all__ = ["rounded"]

POTENTIALS = ("v_threshold", "bias", "v_min", "v_init", "v_leak", "reset_amount", "v_reset")
"""Fields of a neuron that are in units of its membrane."""


def rounded(before: Graph, after: Graph, decay_note: DecayNote | None = None) -> Changes:
    """Return the changes by the quantizer in each layer.

    Args:
        before: the float graph, input of the quantizer.
        after: the same in integers.
        decay_note: describes the decay factor of a neuron on the chip; see
            ``Family.decay_note``.

    >>> from toolchain.ir import Input, Output
    >>> from toolchain.passes import quantize
    >>> from toolchain.passes.quantize import WordWidths
    >>> nodes = {"input": Input(shape=(2,)), "fc": Linear(weight=[[0.5, -0.2]])}
    >>> nodes |= {"lif": Neuron(shape=(1,), v_threshold=1.0), "output": Output()}
    >>> bits = WordWidths(weight=8, bias=8, threshold=16, state=16)
    >>> before = Graph.chain(nodes)
    >>> print(*rounded(before, quantize(before, bits=bits, per="layer"))["fc"])
    weights: 0.14 %, rms error; largest integer 127
    """

    def one(name: str, node: Node) -> Iterator[Change]:
        other = after[name]
        compared: set[str] = set()
        if isinstance(node, WEIGHTS) and isinstance(other, WEIGHTS):
            yield from _weights(node, other, _smallest_threshold(after, name))
            compared = {"weight", "bias"}
        if isinstance(node, Membrane) and isinstance(other, Membrane):
            compared |= {field for field in DECAYS if _both(node, other, field)}
            yield from _decays(node, other, before.dt, decay_note)
        if isinstance(node, Neuron) and isinstance(other, Neuron):
            yield _threshold(node, other, _drive(before, after, name))
            yield from _potentials(node, other)
            compared |= {*POTENTIALS}
        if isinstance(node, MembraneReadout) and isinstance(other, MembraneReadout):
            yield from _readout(node, other)
            compared |= {*POTENTIALS, "v_scale"}
        for field in differing(node, other):
            if field not in compared:
                yield field_change(field, node, other, Fidelity.APPROXIMATED)

    return by_layer(before, one)


def _both(node: Membrane, other: Membrane, field: str) -> bool:
    return getattr(node, field) is not None and getattr(other, field) is not None


def _decays(
    node: Membrane, other: Membrane, dt: float | None, note: DecayNote | None
) -> Iterator[Change]:
    """Yield the changes of time constants."""
    for field in DECAYS:
        if _both(node, other, field):
            old, new = getattr(node, field), getattr(other, field)
            if not np.allclose(old, new, rtol=1e-6, atol=0):
                yield tau_change(field, old, new, dt, note)


def _weights(
    node: Linear | Conv2d, other: Linear | Conv2d, threshold: int | None
) -> Iterator[Change]:
    rms = moved(node, other)
    levels = int(np.abs(other.weight).max(initial=0))
    yield Change(
        what="weights",
        fidelity=Fidelity.EXACT if rms <= EXACT else Fidelity.APPROXIMATED,
        error=0.0 if rms <= EXACT else rms,
        note=f"rms error; largest integer {levels}",
        threshold=threshold,
    )
    if node.bias is not None and np.any(node.bias):
        bias = np.zeros(node.bias.shape) if other.bias is None else other.bias
        yield _potential("bias", node.bias, bias, row_scales(node, other))


def _smallest_threshold(graph: Graph, weights: str) -> int | None:
    """Return the smallest threshold of the neurons that only ``weights`` drives; None if none."""
    driven = graph.after(weights)
    node = None if driven is None else graph[driven]
    return int(node.v_threshold.min()) if isinstance(node, Neuron) else None


def _drive(before: Graph, after: Graph, name: str) -> Array:
    """Return for each neuron with weights the scale of its weights over that of its threshold."""
    old, new = before[name], after[name]
    assert isinstance(old, Neuron)
    assert isinstance(new, Neuron)
    pairs = [(before[w], after[w]) for w in weights_of(before, name) or ()]
    scales = [row_scales(a, b) for a, b in pairs if isinstance(a, Linear)]
    if not scales:
        return np.zeros(0)
    threshold = np.broadcast_to(new.v_threshold / old.v_threshold, old.shape).ravel()
    rows = np.repeat(threshold, max(1, old.synapses))
    return np.concatenate([(scale / rows)[scale > 0] for scale in scales])


def _threshold(node: Neuron, other: Neuron, ratios: Array) -> Change:
    """Compare the threshold with the weights, since only their ratio matters.

    Args:
        node: before quantization.
        other: after quantization.
        ratios: factor of the weights of each neuron, relative to that of its threshold.
    """
    errors = 1 / ratios - 1 if len(ratios) else np.zeros(1)
    worst = float(errors[np.argmax(np.abs(errors))])
    exact = abs(worst) <= EXACT
    return Change(
        what="v_threshold",
        fidelity=Fidelity.EXACT if exact else Fidelity.APPROXIMATED,
        error=0.0 if exact else worst,
        span=(float(errors.min()), float(errors.max())) if len(ratios) else None,
        note=f"relative to its weights; smallest integer {int(other.v_threshold.min())}",
    )


def _potentials(node: Neuron, other: Neuron) -> Iterator[Change]:
    scale = other.v_threshold / node.v_threshold
    for field in POTENTIALS[1:]:
        old, new = getattr(node, field), getattr(other, field)
        if old is None or new is None or not (np.any(old) or np.any(new)):
            if (old is None) != (new is None):
                yield Change(what=field, fidelity=Fidelity.APPROXIMATED, before=value_of(old))
            continue
        if field == "reset_amount" and np.array_equal(new, other.v_threshold):
            continue  # its change is that of the threshold
        yield _potential(field, old, new, scale, node.v_threshold)


def _readout(node: MembraneReadout, other: MembraneReadout) -> Iterator[Change]:
    """Yield the scale of a membrane that is read out, and the change of its bias."""
    scale = node.v_scale / other.v_scale
    steps = float(scale.min())
    if steps != 1:
        yield Change(
            what="readout",
            fidelity=Fidelity.EXACT,
            before="1 unit",
            after=steps,
            unit="integers",
        )
    if np.any(node.bias) or np.any(other.bias):
        yield _potential("bias", node.bias, other.bias, scale)


def _potential(
    field: str, old: Array, new: Array, scale: Array, threshold: Array | None = None
) -> Change:
    """Compare a potential or bias of the neuron that changes most, its integers as floats.

    ``error`` is relative to the threshold if that is given, otherwise to the number itself.
    """
    unit = np.ones(()) if threshold is None else threshold
    old, new, scale, unit = (np.ravel(a) for a in np.broadcast_arrays(old, new, scale, unit))
    back = np.divide(new, scale, out=np.zeros(new.shape), where=scale > 0)
    worst = int(np.argmax(np.abs(back - old) / unit))
    was, now = float(old[worst]), float(back[worst])
    exact = abs(now - was) <= EXACT * max(abs(was), abs(now))
    whole = was if threshold is None else float(unit[worst])
    error = (now - was) / whole if whole else None
    return Change(
        what=field,
        fidelity=Fidelity.EXACT if exact else Fidelity.APPROXIMATED,
        before=was,
        after=was if exact else now,
        error=0.0 if exact else error,
        note="" if exact or threshold is None else "of the threshold",
    )
