"""The ledger out of what was found on the road."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from toolchain.diagnostics import Diagnostic, Severity
from toolchain.fidelity.effects import Heard
from toolchain.fidelity.ledger import Change, Changes, Effect, Entry, Fidelity, Ledger
from toolchain.hardware import SpecBase
from toolchain.ir import Graph, Neuron, Node, Output
from toolchain.report import times

__all__ = ["Book", "entered", "joined", "kept"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Book:
    """What a ledger is made of, as far as the road has come.

    Attributes:
        graph: the network as it came.
        shaped: the same in the chip's layers, exactly.
        chip: the chip's specification.
        found: changes by layer, in the order of the road.
    """

    graph: Graph
    shaped: Graph
    chip: SpecBase
    found: tuple[Changes, ...] = ()

    def with_(self, *found: Changes) -> Book:
        """The same with more."""
        return replace(self, found=(*self.found, *found))

    def closed(self, findings: Iterable[Diagnostic] = (), listened: Heard | None = None) -> Ledger:
        """The ledger; see ``kept``."""
        return kept(
            self.graph, self.shaped, self.chip, self.found, findings=findings, heard=listened
        )


def kept(
    graph: Graph,
    shaped: Graph,
    chip: SpecBase,
    found: Iterable[Changes],
    *,
    findings: Iterable[Diagnostic] = (),
    heard: Heard | None = None,
) -> Ledger:
    """The ledger of ``graph``.

    Args:
        graph: the network as it came, under the user's names.
        shaped: the same in the chip's layers, exactly.
        chip: the chip's specification.
        found: changes by layer, in the order of the road.
        findings: what was found about the network; errors make a layer unsupported.
        heard: what calibration samples did.
    """
    changes = joined(*found, _refusals(findings))
    effects = {} if heard is None else heard.effects
    names = {n: type(node).__name__ for n, node in graph.nodes.items() if type(node) is not Output}
    names |= {name: "network" for name in changes if name not in names}
    for name in effects:
        changes[name] = [_settled(c, effects[name], shaped[name]) for c in changes.get(name, ())]
    return Ledger(
        chip=chip.name,
        entries=tuple(
            Entry(
                layer=name,
                kind=kind,
                changes=tuple(changes.get(name, ())),
                effect=effects.get(name),
            )
            for name, kind in names.items()
        ),
        provenance=_provenance(graph, chip),
        samples=None if heard is None else heard.samples,
        steps=None if heard is None else heard.steps,
    )


def entered(findings: Iterable[Diagnostic], rules: Collection[str]) -> Changes:
    """The findings of ``rules``, which tell of something that the network does not do."""
    return joined(
        *(
            {
                found.where: [
                    Change(
                        what=found.rule,
                        fidelity=Fidelity.APPROXIMATED,
                        note=found.message,
                    )
                ]
            }
            for found in findings
            if found.rule in rules
        )
    )


def joined(*found: Changes) -> dict[str, list[Change]]:
    """All changes of each layer, in their order."""
    together: dict[str, list[Change]] = {}
    for changes in found:
        for name, more in changes.items():
            together.setdefault(name, []).extend(more)
    return together


def _refusals(findings: Iterable[Diagnostic]) -> Changes:
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    return joined(
        *(
            {
                error.where: [
                    Change(
                        what=error.rule,
                        fidelity=Fidelity.UNSUPPORTED,
                        before=error.need,
                        after=error.limit,
                        note=error.message,
                    )
                ]
            }
            for error in errors
        )
    )


def _provenance(graph: Graph, chip: SpecBase) -> dict[str, str]:
    dt = "none" if graph.dt is None else f"{graph.dt:g} s"
    own = {"chip_file": chip.origin} if chip.origin else {}
    return {**graph.provenance, "dt": dt, **own}


# ---- approximations that made no difference on the data ----


def _settled(change: Change, effect: Effect, node: Node) -> Change:
    """``change``, exact on data where it is about something that never happened there."""
    if not change.allowed or not isinstance(node, Neuron):
        return change
    never = NEVER.get(change.what)
    note = None if never is None else never(node, effect)
    return change if note is None else replace(change, fidelity=Fidelity.EXACT_ON_DATA, note=note)


def _no_ties(node: Neuron, effect: Effect) -> str | None:
    del node
    return None if effect.ties else "no membrane of the chip met its threshold exactly"


def _never_more(node: Neuron, effect: Effect) -> str | None:
    if node.max_spikes is None or effect.chip_most > node.max_spikes:
        return None
    often = f" more than {times(effect.chip_most)} a step" if effect.chip_most else ""
    return f"no neuron of the chip spiked{often}"


def _never_lower(node: Neuron, effect: Effect) -> str | None:
    if node.v_min is None:
        return None
    floor = float(np.max(node.v_min / node.v_threshold))
    if effect.lowest < floor:
        return None
    return f"no membrane of the chip fell below {effect.lowest:.3g} thresholds, {floor:.3g} allowed"


NEVER = {"compare": _no_ties, "max_spikes": _never_more, "v_min": _never_lower}
"""By what margin a difference was not met, by aspect; None where it was."""
