"""Rules on the arrival of spikes, on graphs that read as layers and projections."""

from __future__ import annotations

import numpy as np

from toolchain.chips.rules.findings import Findings, error, info, warning
from toolchain.chips.rules.graph import GraphRules, only_if
from toolchain.chips.xylo.lower.aliases import saved_entries
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.place import arrange
from toolchain.chips.xylo.rules.topology import topology_is_sound
from toolchain.chips.xylo.spec import XyloChip
from toolchain.ir import Graph, Membrane, Neuron
from toolchain.report import count, plural
from toolchain.runs.outputs import output_lags

__all__ = ["TIMING"]


def path_lengths(graph: Graph, chip: XyloChip) -> Findings:
    """Check that all paths to a layer take equally many timesteps, one for each hidden layer."""
    layers = read_layers(graph)
    lags = layers.lags()
    for p in layers.projections:
        if p.post in lags and (p.pre in lags or p.pre == layers.input):
            late = layers.lag_after(p, lags) - lags[p.post]
            if late:
                yield error(
                    "path_lengths",
                    p.post,
                    f"receives {p.pre!r} through {p.name!r} {plural(abs(late), 'timestep')} "
                    f"{'later' if late > 0 else 'earlier'} than its other inputs; each hop on "
                    f"{chip.name} takes one timestep",
                )


def early_bias(graph: Graph, chip: XyloChip) -> Findings:
    """Check for biases of layers that receive their input later than in the graph."""
    for name, lag in read_layers(graph).lags().items():
        node = graph[name]
        assert isinstance(node, Membrane)
        if not lag or not np.any(node.bias):
            continue
        steps = plural(abs(lag), "timestep")
        if lag > 0:
            reason = f"each hop on {chip.name} takes one timestep"
            when = f"{steps} before its input arrives, since {reason}"
        else:
            reason = f"{chip.name} does not preserve the network's delays"
            when = f"{steps} less before its input arrives, since {reason}"
        yield warning(
            "early_bias",
            name,
            f"its bias acts {when}; by then membranes are up to "
            f"{100 * _gathered(node, abs(lag)):.3g} % of the "
            f"{'threshold' if isinstance(node, Neuron) else 'bias'} "
            f"{'ahead' if lag > 0 else 'behind'}, and the first spikes may differ",
        )


def _gathered(node: Membrane, steps: int) -> float:
    """Return the membrane that a bias alone reaches in so many timesteps, in thresholds.

    Of a membrane that never spikes, in biases.
    """
    whole = node.v_threshold if isinstance(node, Neuron) else np.abs(node.bias).max()
    kept = sum(np.power(node.alpha_mem, step) for step in range(steps))
    return float(np.max(np.abs(node.bias * kept / whole)))


def aliases(graph: Graph, chip: XyloChip) -> Findings:
    """Report layers whose spikes another layer passes on, and the entries that this saves."""
    layers = read_layers(graph)
    for source, target in arrange(layers, chip).aliases.items():
        recurrent, output = saved_entries(layers, target)
        parts = ((recurrent, "recurrent entries"), (output, "output weights"))
        saved = [f"{count(number)} {what}" for number, what in parts if number]
        yield info(
            "aliases",
            source,
            f"passes its spikes on through aliases of {target!r}, which saves up to "
            f"{' and '.join(saved) or 'no entries'}",
        )


def lag(graph: Graph, chip: XyloChip) -> Findings:
    """Report the delay of the outputs against the network."""
    late = read_layers(graph).lag()
    if not late or any(path_lengths(graph, chip)):
        return
    late_by = f"delayed by {plural(late, 'timestep')}, one per hop"
    early_by = (
        f"{plural(-late, 'timestep')} early, since {chip.name} does not preserve the network's "
        "delays"
    )
    found = output_lags(graph, read_layers(graph).lags())
    each = ", ".join(f"{name} by {steps}" for name, steps in found.items())
    one = len({*found.values()}) == 1
    yield info(
        "lag",
        "network",
        f"outputs are {late_by if late > 0 else early_by}{'' if one else f' at most ({each})'}; "
        f"comparisons correct for this (Deployment.{'lag' if one else 'lags'})",
    )


TIMING: GraphRules[XyloChip] = tuple(
    only_if(topology_is_sound, rule) for rule in (path_lengths, early_bias, aliases, lag)
)
"""Rules on graphs that read as layers and projections; in other graphs they find nothing."""
