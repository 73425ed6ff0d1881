"""Search for networks near a refused one that fit its chip.

Each state of the search is a network with edits (``Family.edits``) and accepted approximations. The
state that lost least is continued: one of its errors is removed in every way that is known, until
no error is left. What fits is therefore found in the order of what it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import chain
from itertools import count as numbers

from toolchain.chips.contract import Family, Options
from toolchain.chips.graph_edits import GraphEdit
from toolchain.chips.rules.findings import is_error
from toolchain.diagnostics import Advice, Diagnostic, GraphError
from toolchain.ir import Graph
from toolchain.passes.prune import number_of_weights
from toolchain.report import Brief

__all__ = ["Fitting", "FittingNetwork", "repair_line"]

STEP = 1e-3
"""Cost of an edit or approximation beside the part of the weights that it removes."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FittingNetwork(Brief):
    """A network with edits and approximations; it fits if ``errors`` is empty.

    Attributes:
        graph: float network with the edits, before the approximations.
        allow: approximations to accept.
        edits: the edits in the order in which they were applied.
        errors: what the chip still refuses.
        cost: part of the weights that the edits remove, 0..1, and a little for each of them.
    """

    graph: Graph
    allow: tuple[str, ...] = ()
    edits: tuple[GraphEdit, ...] = ()
    errors: tuple[Diagnostic, ...] = ()
    cost: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of edits and approximations, each once."""
        return (*dict.fromkeys((*self.allow, *(edit.name for edit in self.edits))),)

    @property
    def channels(self) -> tuple[int, ...] | None:
        """Input channels of the given network that are left; None for all."""
        left: tuple[int, ...] | None = None
        for edit in self.edits:
            if edit.channels is not None:
                left = edit.channels if left is None else tuple(left[i] for i in edit.channels)
        return left


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitting:
    """Search for one chip.

    Attributes:
        family: of the chip.
        rewrite: exact passes of the pipeline, before ``Family.shape``.
        method, options: quantizer and options, as for ``deploy``.
        allow: approximations that may be accepted; None for all.
        checks: number of networks that are checked at most.
    """

    family: Family
    rewrite: Callable[[Graph], Graph]
    method: str
    options: Options
    allow: Collection[str] | None = None
    checks: int = 64

    def networks(self, graph: Graph, given: tuple[str, ...] = ()) -> Iterator[FittingNetwork]:
        """Yield networks that fit, the one that loses least first; each kind of edits once.

        Args:
            graph: float network.
            given: approximations that are accepted already.
        """
        start = FittingNetwork(graph=self._shaped(graph), allow=given)
        yield from self.networks_from(self._checked(start))

    def networks_from(self, start: FittingNetwork) -> Iterator[FittingNetwork]:
        """Yield networks that fit, with more changes to one with ``errors``; see ``networks``."""
        order, left = numbers(), self.checks
        queue, seen = [(start.cost, next(order), start)], set[frozenset[str]]()
        while queue:
            _, _, network = heappop(queue)
            if not network.errors:
                if (kind := frozenset(network.names)) not in seen:
                    seen.add(kind)
                    yield network
                continue
            for child in self._continued(network):
                if not left:
                    return
                left -= 1
                checked = self._checked(child)
                if not _same(network.errors, checked.errors):
                    heappush(queue, (checked.cost, next(order), checked))

    def nearest(self, graph: Graph, given: tuple[str, ...] = ()) -> FittingNetwork | None:
        """Return a network that fits by the first change that helps with each error, or None.

        Faster than ``networks``, whose first one may lose less.
        """
        network = self._checked(FittingNetwork(graph=self._shaped(graph), allow=given))
        left = self.checks
        while network.errors and left:
            for child in self._continued(network):
                left -= 1
                checked = self._checked(child)
                if not _same(network.errors, checked.errors):
                    network = checked
                    break
                if not left:
                    return None
            else:
                return None
        return network

    def _continued(self, network: FittingNetwork) -> Iterator[FittingNetwork]:
        """Yield the network with one more change, against the first error that any helps with."""
        for error in network.errors:
            helped = False
            for child in chain(self._approximated(network, error), self._edited(network, error)):
                helped = True
                yield child
            if helped:
                return

    def _approximated(self, network: FittingNetwork, error: Diagnostic) -> Iterator[FittingNetwork]:
        for remedy in error.remedies:
            more = [name for name in remedy.allow if name not in network.allow]
            if more and (self.allow is None or {*more} <= {*self.allow}):
                cost = network.cost + STEP * len(more)
                yield replace(network, allow=(*network.allow, *more), cost=cost)

    def _edited(self, network: FittingNetwork, error: Diagnostic) -> Iterator[FittingNetwork]:
        before = max(1, number_of_weights(network.graph))
        for edit in self.family.edits(network.graph, error):
            try:
                shaped = self._shaped(edit.graph)
            except GraphError:  # the layers that are left do not fit together
                continue
            lost = max(0.0, 1 - number_of_weights(shaped) / before)
            yield FittingNetwork(
                graph=shaped,
                allow=network.allow,
                edits=(*network.edits, replace(edit, graph=shaped)),
                cost=network.cost + (1 - network.cost) * lost + STEP,
            )

    def _shaped(self, graph: Graph) -> Graph:
        return self.family.shape(self.rewrite(graph))

    def _checked(self, network: FittingNetwork) -> FittingNetwork:
        """Return the network with its errors."""
        family = self.family
        floats, _ = family.approximate(network.graph, network.allow)
        findings = family.check_graph(floats)
        if family.can_lower(floats):
            draft = family.unfit(floats, self.method, self.options, calibrated=True)
            if draft is not None:
                on_chip = family.lower(draft, self.options)
                found = (*on_chip.check(), *on_chip.place(self.options)[1])
                # no approximation changes a program; its hints are for the user
                findings += tuple(replace(each, advice=Advice()) for each in found)
        return replace(network, errors=tuple(filter(is_error, findings)))


def _same(before: tuple[Diagnostic, ...], after: tuple[Diagnostic, ...]) -> bool:
    """Return whether a change was of no use: the same errors as before."""
    return [(e.rule, e.where, e.message) for e in before] == [
        (e.rule, e.where, e.message) for e in after
    ]


def repair_line(fitting: Fitting, graph: Graph, given: tuple[str, ...] = ()) -> str:
    """Return the line of a refusal that names ``repair``; empty unless edits were found that fit.

    Args:
        fitting: the search, of few checks.
        graph: the refused network.
        given: approximations that are accepted already.
    """
    network = fitting.nearest(graph, given)
    if network is None or network.errors or not network.edits:
        return ""
    words = "; ".join((*network.allow, *(edit.words for edit in network.edits)))
    verb = f'toolchain.repair(model, "{fitting.family.chip.name}", data, labels)'
    return f"{verb} makes it fit, trains it and measures the loss; what fits: {words}"
