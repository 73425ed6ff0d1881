"""Ledger of a network whose integers were trained on the chip."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from toolchain.fidelity.builder import provenance_of
from toolchain.fidelity.ledger import Change, Changes, Entry, Fidelity, Ledger
from toolchain.hardware import SpecBase
from toolchain.ir import Graph

__all__ = ["TRAINED_ON_CHIP", "trained_ledger"]

TRAINED_ON_CHIP = "trained on the chip's integers"
"""Note of the changes of a parameter that was trained."""
ASPECTS = {"weight": "weights"}
"""Aspect of the ledger for a field of a node, where its name differs."""


def trained_ledger(
    ledger: Ledger,
    parameters: Iterable[str],
    graph: Graph,
    chip: SpecBase,
    conditions: Changes,
) -> Ledger:
    """Return the ledger after training.

    Args:
        ledger: of the deployment before.
        parameters: names of those whose integers changed, ``"fc1.weight"``.
        graph: the network, with its new provenance.
        chip: the chip's specification.
        conditions: those of the trained network, not checked on data.

    Ensures: in each changed layer the change replaces that by the quantizer, and in all layers
    ``conditions`` replace those that were checked on the former integers. The effects of these on
    calibration samples are left out.
    """
    fields: dict[str, list[str]] = {}
    for name in parameters:
        node, _, field = name.rpartition(".")
        fields.setdefault(node, []).append(ASPECTS.get(field, field))
    names = [entry.layer for entry in ledger.entries]
    others = [Entry(layer=n, kind="network", changes=()) for n in fields if n not in names]
    entries = [
        _entry(entry, fields.get(entry.layer, ()), conditions.get(entry.layer, ()))
        for entry in (*ledger.entries, *others)
    ]
    return Ledger(
        chip=ledger.chip,
        entries=tuple(entries),
        provenance=provenance_of(graph, chip),
    )


def _entry(entry: Entry, aspects: Collection[str], conditions: Iterable[Change]) -> Entry:
    new = (*_trained(aspects), *conditions)
    replaced = {change.what for change in new}
    kept = (change for change in entry.changes if change.what not in replaced)
    return replace(entry, changes=(*kept, *new), effect=None)


def _trained(aspects: Collection[str]) -> Iterator[Change]:
    for what in aspects:
        yield Change(what=what, fidelity=Fidelity.APPROXIMATED, note=TRAINED_ON_CHIP)
