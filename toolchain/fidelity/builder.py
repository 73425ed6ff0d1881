"""Build the fidelity ledger from the changes of each pipeline step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from toolchain.diagnostics import Diagnostic, Severity
from toolchain.fidelity.effects import Trace
from toolchain.fidelity.ledger import Change, Changes, Effect, Entry, Fidelity, Ledger
from toolchain.hardware import SpecBase
from toolchain.ir import Graph, Neuron, Node, Output
from toolchain.report import times

__all__ = ["LedgerBuilder", "changes_of", "provenance_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LedgerBuilder:
    """The changes of a network up to some step of the pipeline.

    Attributes:
        graph: the trained network, under the user's names.
        shaped: the same network in the chip's layers, exactly equivalent.
        chip: the chip's specification.
        changes: changes by layer of each step, in the order of the steps.

    >>> from toolchain import load_chip
    >>> from toolchain.ir import Graph, Input, Neuron, Output
    >>> lif = Neuron(shape=(2,), v_threshold=1.0)
    >>> graph = Graph.chain({"input": Input(shape=(2,)), "lif": lif, "output": Output()})
    >>> builder = LedgerBuilder(graph=graph, shaped=graph, chip=load_chip("speck2f"))
    >>> change = Change(what="tau_mem", fidelity=Fidelity.APPROXIMATED, before=10.0, after=7.5)
    >>> ledger = builder.add({"lif": [change]}).build()
    >>> {entry.layer: entry.fidelity.value for entry in ledger.entries}
    {'input': 'exact', 'lif': 'approximated'}
    """

    graph: Graph
    shaped: Graph
    chip: SpecBase
    changes: tuple[Changes, ...] = ()

    def add(self, *changes: Changes) -> LedgerBuilder:
        """Return a builder with further changes."""
        return replace(self, changes=(*self.changes, *changes))

    def build(self, trace: Trace | None = None) -> Ledger:
        """Return the ledger, with the effects that ``trace`` measured on calibration samples."""
        changes = _joined(self.changes)
        nodes = self.graph.nodes.items()
        kinds = {name: type(node).__name__ for name, node in nodes if type(node) is not Output}
        kinds |= {name: "network" for name in changes if name not in kinds}
        effects = {} if trace is None else trace.effects
        for name, effect in effects.items():
            node = self.shaped[name]
            changes[name] = [_settled(change, effect, node) for change in changes.get(name, ())]
        return Ledger(
            chip=self.chip.name,
            entries=tuple(
                Entry(
                    layer=name,
                    kind=kind,
                    changes=tuple(changes.get(name, ())),
                    effect=effects.get(name),
                )
                for name, kind in kinds.items()
            ),
            provenance=provenance_of(self.graph, self.chip),
            samples=None if trace is None else trace.samples,
            steps=None if trace is None else trace.steps,
            fewest_steps=None if trace is None else trace.fewest_steps,
        )


def changes_of(findings: Iterable[Diagnostic]) -> Changes:
    """Return findings as changes of their layers; errors become unsupported changes.

    >>> message = "fires only above its threshold"
    >>> warning = Diagnostic(rule="gt->ge", severity=Severity.WARNING, where="lif", message=message)
    >>> print(*changes_of([warning])["lif"])
    gt->ge: fires only above its threshold
    """
    return _joined({finding.where: [_change_of(finding)]} for finding in findings)


def _change_of(finding: Diagnostic) -> Change:
    if finding.severity is not Severity.ERROR:
        return Change(what=finding.rule, fidelity=Fidelity.APPROXIMATED, note=finding.message)
    return Change(
        what=finding.rule,
        fidelity=Fidelity.UNSUPPORTED,
        before=finding.need,
        after=finding.limit,
        note=finding.message,
    )


def _joined(steps: Iterable[Changes]) -> dict[str, list[Change]]:
    """Return all changes of each layer, in their order."""
    by_layer: dict[str, list[Change]] = {}
    for changes in steps:
        for name, more in changes.items():
            by_layer.setdefault(name, []).extend(more)
    return by_layer


def provenance_of(graph: Graph, chip: SpecBase) -> dict[str, str]:
    """Return the origin of a network with its timestep, and that of a chip of one's own."""
    dt = "none" if graph.dt is None else f"{graph.dt:g} s"
    own = {"chip_file": chip.origin} if chip.origin else {}
    return {**graph.provenance, "dt": dt, **own}


# ---- approximations without effect on the data ----


def _settled(change: Change, effect: Effect, node: Node) -> Change:
    """Return ``change``, exact on data if its condition was never violated there."""
    if not change.allowed or not isinstance(node, Neuron):
        return change
    condition = CONDITIONS.get(change.what)
    note = None if condition is None else condition(node, effect)
    return change if note is None else replace(change, fidelity=Fidelity.EXACT_ON_DATA, note=note)


def _no_ties(node: Neuron, effect: Effect) -> str | None:
    del node
    return None if effect.ties else "no membrane of the chip equalled its threshold exactly"


def _never_more(node: Neuron, effect: Effect) -> str | None:
    if node.max_spikes is None or effect.chip_most > node.max_spikes:
        return None
    often = f" more than {times(effect.chip_most)} per step" if effect.chip_most else ""
    return f"no neuron of the chip spiked{often}"


def _never_lower(node: Neuron, effect: Effect) -> str | None:
    if node.v_min is None:
        return None
    floor = float(np.max(node.v_min / node.v_threshold))
    if effect.lowest < floor:
        return None
    return f"no membrane of the chip fell below {effect.lowest:.3g} thresholds, {floor:.3g} allowed"


CONDITIONS = {"compare": _no_ties, "max_spikes": _never_more, "v_min": _never_lower}
"""Note on the margin of a condition that was met on the data, by aspect; None if violated."""
