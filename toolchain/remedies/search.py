"""Search for the cheapest remedies with which a network fits and works on a chip."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from math import prod

from toolchain.chips.contract import Family, Options
from toolchain.chips.fitting import Fitting, FittingNetwork
from toolchain.chips.progress import steps
from toolchain.deployment import Deployment
from toolchain.diagnostics import DeployError, Diagnostic, Severity
from toolchain.ir import Graph, Membrane
from toolchain.passes.exact import exact_passes
from toolchain.passes.prune import number_of_weights
from toolchain.pipeline import build
from toolchain.remedies.result import Attempt, Repair
from toolchain.remedies.tuning import can_train, tuned
from toolchain.remedies.yardstick import Yardstick, chosen
from toolchain.report import share

__all__ = ["Search"]

CALIBRATION = 256
"""Most samples for the quantizer."""
AS_GIVEN = "as given"


@dataclass(slots=True, kw_only=True, eq=False)
class _Try:
    """A network with its attempt; ``deployment`` is None where it does not fit."""

    network: FittingNetwork
    attempt: Attempt
    deployment: Deployment | None = None
    refusal: DeployError | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """One search; the attributes are the arguments of ``repair``.

    Attributes:
        family, graph, options: chip, float network, and settings of the family.
        quantizer, allow, max_drop, epochs, tries, every, seed: see ``repair``.
        yard: samples and measure.
        until: time after which no other remedy is tried, of ``time.monotonic``.
    """

    family: Family
    graph: Graph
    options: Options
    quantizer: str | None
    allow: Collection[str] | None
    yard: Yardstick
    max_drop: float
    epochs: int
    tries: int
    until: float
    every: bool
    seed: int
    _tried: list[_Try] = field(default_factory=list, init=False)

    def result(self) -> Repair:
        """Try remedies until one is within the loss; return the best.

        Raises:
            DeployError: none fits; it is that of the given network.
        """
        stopped = ""
        with steps(f"repair for {self.family.chip.name}", 2 * self.tries + 1) as step:
            for _ in chain(self._deployed(), self._trained()):
                step()
                if stopped := self._stopped():
                    break
        best = self._best()
        if best is None:
            first, *_ = (each.refusal for each in self._tried if each.refusal is not None)
            raise first
        return self._repair(best, stopped)

    def _stopped(self) -> str:
        """Return why no other remedy is tried; empty if one is."""
        best = self._best()
        if not self.every and best is not None and self._within(best):
            return "it is within the loss: dearer remedies were not tried; every=True tries them"
        if time.monotonic() > self.until and best is not None:
            return "out of time: other remedies were not tried; max_seconds= gives them more"
        return ""

    # ---- deployment ----

    def _deployed(self) -> Iterator[_Try]:
        """Deploy the given network, then those that fit, and measure each."""
        given = FittingNetwork(graph=self.graph)
        first, *others = self._quantizers()
        start = self._try(given, first)
        yield start
        networks = self._networks() if start.deployment is None else iter(())
        near = next(networks, None)
        if start.deployment is not None or (near is not None and not near.names):
            # the chip has room for it: the integers are at fault
            for method in others:
                yield self._try(given, method)
        for network in (near, *networks):
            if network is not None and network.names:
                attempt = self._first_that_fits(network)
                yield attempt
                if attempt.refusal is not None:
                    # its integers have errors that shapes do not show
                    refused = replace(network, errors=attempt.refusal.diagnostics)
                    further = next(self._fitting.networks_from(refused), None)
                    if further is not None:
                        yield self._first_that_fits(further)

    @property
    def _fitting(self) -> Fitting:
        return Fitting(
            family=self.family,
            rewrite=exact_passes,
            method=self._quantizers()[0],
            options=self.options,
            allow=self.allow,
        )

    def _networks(self) -> Iterator[FittingNetwork]:
        yield from islice(self._fitting.networks(self.graph), self.tries)

    def _quantizers(self) -> tuple[str, ...]:
        names = self.family.QUANTIZERS
        if self.quantizer is None:
            return names
        if self.quantizer not in names:
            raise ValueError(f"no quantizer {self.quantizer!r}; there are {', '.join(names)}")
        return (self.quantizer,)

    def _first_that_fits(self, network: FittingNetwork) -> _Try:
        """Return the attempt with the first quantizer that deploys the network."""
        for method in self._quantizers():
            attempt = self._try(network, method)
            if attempt.deployment is not None:
                return attempt
            self._tried.remove(attempt)
        self._tried.append(attempt)
        return attempt

    def _try(self, network: FittingNetwork, method: str) -> _Try:
        """Deploy and measure a network; enter it into the list."""
        start = time.monotonic()
        spikes = chosen(self.yard.spikes, network.channels)
        sizes = network.graph.of(Membrane).values()
        attempt = Attempt(
            name=" + ".join(network.names) or AS_GIVEN,
            words="; ".join((*network.allow, *(edit.words for edit in network.edits))),
            allow=network.allow,
            quantizer=method,
            fits=False,
            weights=number_of_weights(network.graph),
            neurons=sum(prod(each.shape) for each in sizes),
        )
        found = _Try(network=network, attempt=attempt)
        try:
            found.deployment = build(
                _named(network),
                self.family,
                method,
                spikes[:CALIBRATION],
                network.allow,
                self.options,
                leave_out=False,
            )
        except DeployError as error:
            found.refusal = error
            found.attempt = replace(attempt, refusal=_places(error.diagnostics))
        else:
            value = self.yard.value(found.deployment, network.channels)
            found.attempt = replace(attempt, fits=True, before=value)
        self._took(found, start)
        self._tried.append(found)
        return found

    # ---- training ----

    def _trained(self) -> Iterator[_Try]:
        """Train what fits, the cheapest first; of equal networks the best quantizer alone."""
        graphs: dict[int, list[_Try]] = {}
        for each in self._tried:
            if each.deployment is not None:
                graphs.setdefault(id(each.network), []).append(each)
        for same in graphs.values():
            best = max(same, key=lambda each: each.attempt.before or 0.0)
            assert best.deployment is not None
            if not can_train(best.deployment):
                continue
            start, channels = time.monotonic(), best.network.channels
            after = tuned(best.deployment, self.yard, channels, self.epochs, self.seed)
            value = self.yard.value(after, channels)
            if value > (best.attempt.before or 0.0):
                best.deployment = after
            best.attempt = replace(best.attempt, after=value)
            self._took(best, start)
            yield best

    # ---- the best ----

    def _within(self, each: _Try) -> bool:
        value = each.attempt.value
        return value is not None and value >= self.yard.reference - self.max_drop - 1e-9

    def _best(self) -> _Try | None:
        """Return the first that is within the loss, or the nearest; None if none fits."""
        fitting = [each for each in self._tried if each.deployment is not None]
        within = (each for each in fitting if self._within(each))
        nearest = max(fitting, key=lambda each: each.attempt.value or 0.0, default=None)
        return next(within, nearest)

    def _repair(self, best: _Try, stopped: str) -> Repair:
        deployment, attempt = best.deployment, best.attempt
        assert deployment is not None
        result = Repair(
            deployment=deployment,
            attempts=tuple(each.attempt for each in self._tried),
            chosen=attempt,
            what=self.yard.what,
            reference=self.yard.reference,
            max_drop=self.max_drop,
            samples=len(self.yard.others),
            channels=best.network.channels,
            stopped=stopped,
        )
        findings = (*deployment.diagnostics, *_findings(result))
        return replace(result, deployment=replace(deployment, diagnostics=findings))

    @staticmethod
    def _took(each: _Try, start: float) -> None:
        seconds = each.attempt.seconds + time.monotonic() - start
        each.attempt = replace(each.attempt, seconds=seconds)


def _named(network: FittingNetwork) -> Graph:
    """Return the network with its edits in its provenance."""
    graph = network.graph
    if not network.edits:
        return graph
    edits = "; ".join(edit.words for edit in network.edits)
    return Graph(
        graph.nodes, graph.edges, dt=graph.dt, provenance={**graph.provenance, "edits": edits}
    )


def _findings(result: Repair) -> Iterator[Diagnostic]:
    """Yield a warning where too much is lost, and what was changed."""
    value, reference = result.value, result.reference
    if not result.within:
        yield Diagnostic(
            rule="repair",
            severity=Severity.WARNING,
            where="network",
            message=f"{result.what} {share(value)} on {result.samples} samples, "
            f"{100 * (reference - value):.1f} points below the float network; no remedy that was "
            f"tried loses at most the {100 * result.max_drop:g} points that were wanted",
        )
    if result.chosen.words:
        yield Diagnostic(
            rule="repair",
            severity=Severity.INFO,
            where="network",
            message=f"changed to fit: {result.chosen.words}",
        )


def _places(errors: Iterable[Diagnostic]) -> str:
    """Return rules and layers as text."""
    return ", ".join(dict.fromkeys(f"{error.rule} at {error.where}" for error in errors))
