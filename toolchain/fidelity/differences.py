"""Every difference between two stages of the road, layer by layer, as the ledger's data.

Nodes are compared field by field, so that whatever a step does to a network is found, whether or
not the step told of it. What has no words of its own is told by the name of its field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from toolchain.arrays import Array
from toolchain.fidelity.fields import by_layer, differing, finite, value_of
from toolchain.fidelity.findings import drive, moved, row_scales
from toolchain.fidelity.ledger import Change, Changes, Fidelity
from toolchain.ir import (
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Graph,
    Identity,
    Linear,
    Neuron,
    Node,
    Scale,
    Sensor,
    SumPool2d,
    time_constant,
)
from toolchain.passes.unroll import UNROLLED

__all__ = ["accepted", "rounded", "written_otherwise"]

EXACT = 1e-9
"""Relative difference up to which integers are a multiple of the trained numbers."""
WEIGHTS = (Linear, Conv2d)
MULTIPLIED = (Linear, Conv1d, Conv2d, Scale, SumPool2d)
"""What is left out where a product of weights does the same."""
LEFT_OUT = {
    Identity: "does nothing at inference",
    Flatten: "a matter of addresses",
    BatchNorm: "in the weights before it",
}
"""Where a layer went that the chip's layers do without."""
FOLDED = {
    "gain": "in the weights",
    "syn_order": "in the weights",
    "bias": "carried to or from its neighbours",
    "v_leak": "by a shift of all potentials, or as a bias",
    "v_init": "by a shift of all potentials",
    "v_reset": "by a shift of all potentials",
    "v_threshold": "by a shift of all potentials",
    "v_min": "by a shift of all potentials",
    "reset_when": "a membrane that is emptied before the next input holds the same",
}
"""How a field is written otherwise, exactly."""


# ---- exact rewrites ----


def written_otherwise(before: Graph, after: Graph) -> Changes:
    """What the passes did, all of it exact in real numbers.

    Args:
        before: the network as it came.
        after: in the chip's layers; names are kept, layers may be gone.
    """
    return by_layer(before, lambda name, node: _exactly(name, node, after))


def _exactly(name: str, node: Node, after: Graph) -> Iterator[Change]:
    exact = Fidelity.EXACT
    if name not in after:
        why = _why_left_out(node, after)
        was = f", was {node.was}" if isinstance(node, Identity) else ""
        kind = type(node).__name__
        yield Change(
            what="layer", fidelity=exact, before=kind, after="left out", note=f"{why}{was}"
        )
        return
    other = after[name]
    if type(node) is not type(other):
        kinds = type(node).__name__, type(other).__name__
        dense = isinstance(node, UNROLLED) and isinstance(other, Linear)
        what, note = ("dense", "written out as one matrix") if dense else ("kind", "")
        yield Change(what=what, fidelity=exact, before=kinds[0], after=kinds[1], note=note)
    for field in differing(node, other):
        old, new = getattr(node, field), getattr(other, field)
        if field == "weight":
            yield _reweighted(node, other)
            continue
        yield Change(
            what=field,
            fidelity=exact,
            before=value_of(old),
            after=value_of(new),
            note=FOLDED.get(field, ""),
        )


def _why_left_out(node: Node, after: Graph) -> str:
    if isinstance(node, SumPool2d) and after.of(Sensor):
        return "done by the sensor"
    if isinstance(node, MULTIPLIED):
        return "multiplied into the weights beside it"
    return next((text for kind, text in LEFT_OUT.items() if isinstance(node, kind)), "")


def _reweighted(node: Node, other: Node) -> Change:
    """Weights as a matrix of another shape, times factors, or times other weights."""
    if isinstance(node, Conv1d):
        node = Linear(weight=node.weight.reshape(len(node.weight), -1))
    assert isinstance(node, WEIGHTS)
    assert isinstance(other, WEIGHTS)
    if node.weight.size != other.weight.size or len(node.weight) != len(other.weight):
        return Change(
            what="weights",
            fidelity=Fidelity.EXACT,
            before=int(node.weight.size),
            after=int(other.weight.size),
            unit="numbers",
            note="written out",
        )
    if moved(node, other) / 100 <= EXACT:
        return _scaled(node, other)
    return Change(
        what="weights", fidelity=Fidelity.EXACT, note="multiplied with those of its neighbours"
    )


def _scaled(node: Node, other: Node) -> Change:
    """Weights that took up a factor of their neighbours."""
    scales = row_scales(node, other)
    scales = scales[scales != 0]
    span = value_of(scales) if scales.size else 1.0
    note = "takes up factors of its neighbours"
    return Change(
        what="weights", fidelity=Fidelity.EXACT, before=1.0, after=span, unit="times", note=note
    )


# ---- accepted approximations ----


def accepted(before: Graph, after: Graph, name: str) -> Changes:
    """What the approximation ``name`` did: fields of layers, and delays on the way to them."""
    found = by_layer(before, lambda layer, node: _otherwise(node, after[layer], before.dt))
    for changes in found.values():
        changes[:] = [_allowed(change, name) for change in changes]
    delays = {(edge.pre, edge.post): edge.delay for edge in after.edges}
    for edge in before.edges:
        late = delays[edge.pre, edge.post]
        if late != edge.delay:
            change = Change(
                what="delay",
                fidelity=Fidelity.APPROXIMATED,
                before=edge.delay,
                after=late,
                unit="timesteps",
                note=f"of what {edge.pre!r} sends",
            )
            found.setdefault(edge.post, []).append(_allowed(change, name))
    return found


def _otherwise(node: Node, other: Node, dt: float | None) -> Iterator[Change]:
    for field in differing(node, other):
        old, new = getattr(node, field), getattr(other, field)
        if field in ("alpha_mem", "alpha_syn") and old is not None and new is not None:
            yield _tau(field, old, new, dt, Fidelity.APPROXIMATED)
            continue
        yield Change(
            what=field,
            fidelity=Fidelity.APPROXIMATED,
            before=value_of(old),
            after=value_of(new),
        )


def _allowed(change: Change, name: str) -> Change:
    return replace(change, allowed=name)


# ---- integers ----


def rounded(before: Graph, after: Graph) -> Changes:
    """What the quantizer did: numbers become integers, and time constants bit shifts.

    Args:
        before: the float graph that the quantizer was given.
        after: the same in integers.
    """

    def one(name: str, node: Node) -> Iterator[Change]:
        other = after[name]
        told: set[str] = set()
        if isinstance(node, WEIGHTS) and isinstance(other, WEIGHTS):
            yield from _weights(node, other)
            told = {"weight", "bias"}
        elif isinstance(node, Neuron) and isinstance(other, Neuron):
            yield from _neurons(before, after, name)
            told = {"alpha_mem", "alpha_syn", *POTENTIALS}
        fields = [field for field in differing(node, other) if field not in told]
        for field in fields:
            old, new = value_of(getattr(node, field)), value_of(getattr(other, field))
            yield Change(what=field, fidelity=Fidelity.APPROXIMATED, before=old, after=new)

    return by_layer(before, one)


POTENTIALS = ("v_threshold", "bias", "v_min", "v_init", "v_leak", "reset_amount", "v_reset")
"""Fields of a neuron that are in units of its membrane."""


def _weights(node: Linear | Conv2d, other: Linear | Conv2d) -> Iterator[Change]:
    rms = moved(node, other) / 100
    levels = int(np.abs(other.weight).max(initial=0))
    yield Change(
        what="weights",
        fidelity=Fidelity.EXACT if rms <= EXACT else Fidelity.APPROXIMATED,
        error=0.0 if rms <= EXACT else rms,
        note=f"root mean square; integers up to {levels}",
    )
    if node.bias is not None and np.any(node.bias):
        held = np.zeros(node.bias.shape) if other.bias is None else other.bias
        yield _potential("bias", node.bias, held, row_scales(node, other))


def _neurons(before: Graph, after: Graph, name: str) -> Iterator[Change]:
    node, other = before[name], after[name]
    assert isinstance(node, Neuron)
    assert isinstance(other, Neuron)
    for field in ("alpha_mem", "alpha_syn"):
        old, new = getattr(node, field), getattr(other, field)
        if old is not None and not np.allclose(old, new, rtol=1e-6, atol=0):
            yield _tau(field, old, new, before.dt, Fidelity.APPROXIMATED)
    yield _threshold(before, after, name)
    scale = other.v_threshold / node.v_threshold
    for field in POTENTIALS[1:]:
        old, new = getattr(node, field), getattr(other, field)
        if old is None or new is None or not (np.any(old) or np.any(new)):
            if (old is None) != (new is None):
                change = Change(what=field, fidelity=Fidelity.APPROXIMATED, before=value_of(old))
                yield change
            continue
        if field == "reset_amount" and np.array_equal(new, other.v_threshold):
            continue  # the threshold, told above
        yield _potential(field, old, new, scale, node.v_threshold)


def _threshold(before: Graph, after: Graph, name: str) -> Change:
    """The threshold against the weights, since only their ratio matters."""
    node, other = before[name], after[name]
    assert isinstance(node, Neuron)
    assert isinstance(other, Neuron)
    ratios = drive(before, after, name)
    errors = 1 / ratios - 1 if len(ratios) else np.zeros(1)
    worst = float(errors[np.argmax(np.abs(errors))])
    least = int(other.v_threshold.min())
    return Change(
        what="v_threshold",
        fidelity=Fidelity.EXACT if abs(worst) <= EXACT else Fidelity.APPROXIMATED,
        error=0.0 if abs(worst) <= EXACT else worst,
        note=f"against its weights; integers from {least}",
    )


def _potential(
    field: str, old: Array, new: Array, scale: Array, threshold: Array | None = None
) -> Change:
    """A potential or bias, of the neuron that changes most, its integers taken back to floats.

    ``error`` is of the threshold where that is given, else of the number itself.
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


def _tau(field: str, old: Array, new: Array, dt: float | None, fidelity: Fidelity) -> Change:
    """A time constant, of the neuron that changes most."""
    step, unit = (1.0, "steps") if dt is None else (1e3 * dt, "ms")
    with np.errstate(divide="ignore", invalid="ignore"):
        was, now = (
            np.ravel(a)
            for a in np.broadcast_arrays(time_constant(old, step), time_constant(new, step))
        )
        apart = np.abs(np.log(now / was))
    worst = int(np.argmax(np.where(np.isnan(apart), 0.0, apart)))
    known = bool(np.isfinite(apart[worst]))
    return Change(
        what=f"tau_{field.removeprefix('alpha_')}",
        fidelity=fidelity,
        before=finite(float(was[worst])),
        after=finite(float(now[worst])),
        unit=unit,
        error=float(now[worst] / was[worst] - 1) if known else None,
    )
