"""Changes that exact rewrites and accepted approximations make to a float graph, by layer.

Nodes are compared field by field, so that every change of a step is found, whether or not the
step reports it. A change without a description of its own has the name of its field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from toolchain.fidelity.fields import (
    DECAYS,
    EXACT,
    WEIGHTS,
    by_layer,
    differing,
    field_change,
    moved,
    row_scales,
    tau_change,
    value_of,
)
from toolchain.fidelity.ledger import Change, Changes, Fidelity
from toolchain.ir import (
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Flatten,
    Graph,
    Identity,
    Linear,
    Node,
    Pad,
    Permute,
    Reshape,
    Scale,
    Sensor,
    SumPool2d,
)
from toolchain.passes.unroll import UNROLLED

__all__ = ["accepted", "exact_rewrites"]

MULTIPLIED = (Linear, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Scale, SumPool2d)
"""Layers that a product of weights can replace."""
LEFT_OUT = {
    Identity: "no effect at inference",
    Flatten: "only changes addresses",
    BatchNorm: "in the weights before it",
    Pad: "in the adjacent weights",
    Permute: "only changes addresses",
    Reshape: "only changes addresses",
}
"""Notes on layers that the chip's layers do not need."""
FOLDED = {
    "gain": "in the weights",
    "syn_order": "in the weights",
    "bias": "moved to or from adjacent layers",
    "v_leak": "by a shift of all potentials, or as a bias",
    "v_init": "by a shift of all potentials",
    "v_reset": "by a shift of all potentials",
    "v_threshold": "by a shift of all potentials",
    "v_min": "by a shift of all potentials",
    "stride": "of one convolution with the layers around it",
    "padding": "of one convolution with the layers around it",
    "dilation": "of one convolution with the layers around it",
    "groups": "of one convolution with the layers around it",
    "output_padding": "of one convolution with the layers around it",
    "spike_scale": "in the weights that read the spikes",
    "reset_when": "a reset before the next input has the same result",
}
"""Notes on fields that were rewritten exactly."""


# ---- exact rewrites ----


def exact_rewrites(before: Graph, after: Graph) -> Changes:
    """Return the changes by passes, all of them exact in real numbers.

    Args:
        before: the trained network.
        after: in the chip's layers, under the same names; layers may be left out.

    >>> from toolchain.ir import Input, Output
    >>> from toolchain.passes import drop_identities
    >>> nodes = {"input": Input(shape=(2,)), "drop": Identity(was="Dropout"), "output": Output()}
    >>> graph = Graph.chain(nodes)
    >>> print(*exact_rewrites(graph, drop_identities(graph))["drop"])
    layer: Identity -> removed, no effect at inference, was Dropout
    """
    return by_layer(before, lambda name, node: _rewritten(name, node, after))


def _rewritten(name: str, node: Node, after: Graph) -> Iterator[Change]:
    exact = Fidelity.EXACT
    if name not in after:
        why = _why_left_out(node, after)
        was = f", was {node.was}" if isinstance(node, Identity) else ""
        kind = type(node).__name__
        yield Change(what="layer", fidelity=exact, before=kind, after="removed", note=f"{why}{was}")
        return
    other = after[name]
    if type(node) is not type(other):
        kinds = type(node).__name__, type(other).__name__
        dense = isinstance(node, UNROLLED) and isinstance(other, Linear)
        what, note = ("dense", "expanded to one matrix") if dense else ("kind", "")
        yield Change(what=what, fidelity=exact, before=kinds[0], after=kinds[1], note=note)
    for field in differing(node, other):
        if field == "weight":
            yield _reweighted(node, other)
        else:
            yield field_change(field, node, other, exact, FOLDED.get(field, ""))


def _why_left_out(node: Node, after: Graph) -> str:
    if isinstance(node, SumPool2d) and after.of(Sensor):
        return "done by the sensor"
    if isinstance(node, MULTIPLIED):
        return "folded into the adjacent weights"
    return next((text for kind, text in LEFT_OUT.items() if isinstance(node, kind)), "")


def _reweighted(node: Node, other: Node) -> Change:
    """Return the change of weights: in shape, by factors, or by other weights."""
    if isinstance(node, (ConvTranspose1d, ConvTranspose2d)) or isinstance(other, Conv1d):
        note = "multiplied by those of adjacent layers"
        return Change(what="weights", fidelity=Fidelity.EXACT, note=note)
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
    if moved(node, other) > EXACT:
        note = "multiplied by those of adjacent layers"
        return Change(what="weights", fidelity=Fidelity.EXACT, note=note)
    scales = row_scales(node, other)
    scales = scales[scales != 0]
    return Change(
        what="weights",
        fidelity=Fidelity.EXACT,
        before=1.0,
        after=value_of(scales) if scales.size else 1.0,
        unit="times",
        note="include factors of adjacent layers",
    )


# ---- accepted approximations ----


def accepted(before: Graph, after: Graph, name: str) -> Changes:
    """Return the changes by the approximation ``name``: fields of layers, and delays to them.

    >>> from dataclasses import replace
    >>> from toolchain.ir import Input, Neuron, Output
    >>> lif = Neuron(shape=(2,), v_threshold=1.0, compare="gt")
    >>> before = Graph.chain({"input": Input(shape=(2,)), "lif": lif, "output": Output()})
    >>> after = before.map(Neuron, lambda name, node: replace(node, compare="ge"))
    >>> print(*accepted(before, after, "gt->ge")["lif"])
    compare: gt -> ge, allowed as gt->ge
    """
    by_name = by_layer(before, lambda layer, node: _approximated(node, after[layer], before.dt))
    for changes in by_name.values():
        changes[:] = [replace(change, allowed=name) for change in changes]
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
                note=f"of the spikes of {edge.pre!r}",
                allowed=name,
            )
            by_name.setdefault(edge.post, []).append(change)
    return by_name


def _approximated(node: Node, other: Node, dt: float | None) -> Iterator[Change]:
    for field in differing(node, other):
        old, new = getattr(node, field), getattr(other, field)
        if field in DECAYS and old is not None and new is not None:
            yield tau_change(field, old, new, dt)
        else:
            yield field_change(field, node, other, Fidelity.APPROXIMATED)
