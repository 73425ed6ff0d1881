"""Agreement of each quantizer with the float network on spikes that none of them was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tests.campaigns import unseen
from tests.campaigns.networks import Network
from toolchain import DeployError, Deployment, deploy, load_chip
from toolchain.arrays import Array
from toolchain.chips.load import family_of
from toolchain.ir import Graph, Neuron
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import aligned

__all__ = ["Verdict", "judge"]

FEWEST = 20
"""Output spikes of a kind, in floats and on any chip, below which it tells nothing."""
DRAWS = 400
"""Bootstrap samples of an interval."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """Counts of each quantizer on each kind of unseen spikes.

    Attributes:
        network: the network.
        apart: for each quantizer and kind, per sample the spikes missing or in surplus, and the
            larger of both counts, summed over neurons: (samples, 2). The float network spikes
            within the limits of the chip.
        trained: the same with the float network as trained.
        spikes: of the float network's outputs, by kind.
        steps: output neurons times timesteps times samples, by kind.
    """

    network: Network
    apart: Mapping[str, Mapping[str, Array]]
    trained: Mapping[str, Mapping[str, Array]]
    spikes: Mapping[str, float]
    steps: Mapping[str, int]

    @property
    def samples(self) -> int:
        """Number of unseen samples."""
        return sum(len(part) for part in self.apart["auto"].values())

    @property
    def telling(self) -> tuple[str, ...]:
        """Kinds on which the network or any of its chips spikes at least ``FEWEST`` times."""
        return tuple(
            kind
            for kind in self.spikes
            if max(parts[kind][:, 1].sum() for parts in self.apart.values()) >= FEWEST
        )

    @property
    def rivals(self) -> tuple[str, ...]:
        """Quantizers other than the default."""
        return tuple(name for name in self.apart if name != "auto")

    def agreement(self, name: str, kind: str | None = None) -> float:
        """Return the agreement on one kind, or the mean over kinds that tell something, in %."""
        kinds = [kind] if kind else self.telling
        return float(np.mean([_agreement(self.apart[name][k]) for k in kinds] or [100.0]))

    @property
    def best(self) -> str:
        """The best rival."""
        return max(self.rivals, key=self.agreement)

    @property
    def lead(self) -> float:
        """Return by how many points ``auto`` is better than the best rival."""
        return self.agreement("auto") - self.agreement(self.best)

    @property
    def lead_as_trained(self) -> float:
        """Return ``lead`` with the float network as trained, its spikes a step unlimited."""
        means = {
            name: float(np.mean([_agreement(parts[k]) for k in self.telling] or [100.0]))
            for name, parts in self.trained.items()
        }
        return means["auto"] - max(means[name] for name in self.rivals)

    def interval(self) -> tuple[float, float]:
        """Return the 95 % bootstrap interval of ``lead`` over samples, within each kind."""
        rng = np.random.default_rng(0)
        leads = np.zeros(DRAWS)
        for kind in self.telling:
            auto = self.apart["auto"][kind]
            picks = rng.integers(0, len(auto), (DRAWS, len(auto)))
            mine, theirs = (_agreement(p[picks]) for p in (auto, self.apart[self.best][kind]))
            leads += (mine - theirs) / len(self.telling)
        low, high = np.percentile(leads, (2.5, 97.5))
        return float(low), float(high)


def judge(network: Network, index: int) -> Verdict:
    """Deploy ``network`` with each quantizer and without calibration; compare on unseen spikes."""
    family = family_of(load_chip(network.chip))
    deployments = {name: _deployed(network, name) for name in family.QUANTIZERS}
    assert deployments["auto"] is not None
    apart: dict[str, dict[str, Array]] = {name: {} for name in deployments}
    trained: dict[str, dict[str, Array]] = {name: {} for name in deployments}
    spikes, steps = {}, {}
    floats = within_caps(network)
    for kind, x in _inputs(network, index).items():
        wanted = _outputs(floats, x)
        free = wanted if floats is network.graph else _outputs(network.graph, x)
        spikes[kind], steps[kind] = float(wanted.sum()), wanted.size
        for name, d in deployments.items():
            got, lag = (0 * wanted, 0) if d is None else (d.simulate(x).spikes, d.lag)
            apart[name][kind] = _apart(*aligned(wanted, got, lag))
            trained[name][kind] = _apart(*aligned(free, got, lag))
    return Verdict(network=network, apart=apart, trained=trained, spikes=spikes, steps=steps)


def _deployed(network: Network, quantizer: str) -> Deployment | None:
    """Return the deployment, or None if it is refused, as where the chip would be silent."""
    try:
        return deploy(network.graph, network.chip, quantizer=quantizer)
    except DeployError:
        return None


def _outputs(graph: Graph, spikes: Array) -> Array:
    return np.concatenate([interpret(graph, part).spikes for part in np.array_split(spikes, 8)])


def within_caps(network: Network) -> Graph:
    """Return the float network with the most spikes a step that its chip can give."""
    limits = load_chip(network.chip).limits
    if not hasattr(limits, "hidden_spikes"):
        return network.graph
    outputs = network.graph.outputs

    def capped(name: str, node: Neuron) -> Neuron:
        cap = int((limits.output_spikes if name in outputs else limits.hidden_spikes).value)
        return replace(node, max_spikes=min(cap, node.max_spikes or cap))

    graph = network.graph.map(Neuron, capped)
    nodes = network.graph.of(Neuron)
    same = all(graph.of(Neuron)[name].max_spikes == node.max_spikes for name, node in nodes.items())
    return network.graph if same else graph


def _inputs(network: Network, index: int) -> dict[str, Array]:
    rng = np.random.default_rng([77, index])
    shape = network.graph.shape(network.graph.input)
    found = {}
    for kind, draw in unseen.KINDS.items():
        if len(shape) == 1:
            found[kind] = draw(rng, shape[0])
        else:
            found[kind] = unseen.maps(rng, kind, shape, unseen.EACH)
    if network.recordings is not None:
        found["recordings"] = network.recordings
    return found


def _apart(wanted: Array, got: Array) -> Array:
    n, m = (x.reshape(*x.shape[:2], -1).sum(axis=1) for x in (wanted, got))
    return np.stack([np.abs(n - m).sum(axis=1), np.maximum(n, m).sum(axis=1)], axis=1)


def _agreement(apart: Array) -> Array:
    """Return the agreement of counts over the samples (..., samples, 2), in %."""
    missing, most = apart[..., 0].sum(axis=-1), apart[..., 1].sum(axis=-1)
    return np.asarray(100 * (1 - missing / np.maximum(most, 1e-9)) * (most > 0) + 100 * (most == 0))
