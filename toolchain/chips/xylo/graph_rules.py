"""What Xylo cannot do of what a network asks for: rules on the real-valued graph.

``TOPOLOGY`` asks how layers are joined, ``NEURONS`` what the neurons compute. Each rule is a small
function that yields findings. Sizes and integer ranges are asked of the program, in ``rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from toolchain.chips.xylo.findings import error
from toolchain.chips.xylo.layers import read_layers
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.hardware import XyloChip
from toolchain.ir import Add, Array, Flatten, Graph, Input, Linear, Neuron, Output, time_constant
from toolchain.passes.snap_decays import dashes
from toolchain.passes.weights import weights_of

__all__ = ["NEURONS", "TOPOLOGY", "check_graph", "topology_is_sound"]

GraphRule = Callable[[Graph, XyloChip], Iterator[Diagnostic]]


def check_graph(graph: Graph, chip: XyloChip) -> tuple[Diagnostic, ...]:
    """Every finding about what the network is made of, in rule order."""
    rules = (*TOPOLOGY, *NEURONS)
    if topology_is_sound(graph, chip):
        rules = (*rules, path_lengths, early_bias)
    return tuple(found for rule in rules for found in rule(graph, chip))


def topology_is_sound(graph: Graph, chip: XyloChip) -> bool:
    """Whether the graph can be read as populations and projections."""
    return not any(
        found.severity is Severity.ERROR for rule in TOPOLOGY for found in rule(graph, chip)
    )


# ---- topology of the graph ----


def node_kinds(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """Only dense weights, sums of them and spiking neurons exist on the core."""
    for name, node in graph.nodes.items():
        on_input = isinstance(node, Flatten) and isinstance(graph[graph.before(name)], Input)
        if on_input or isinstance(node, (Input, Output, Linear, Add, Neuron)):
            continue
        yield error(
            "node_kinds",
            name,
            f"{type(node).__name__} does not exist on {chip.name}, which has dense weights and "
            "spiking neurons",
        )


def weights_before_neurons(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """Every neuron is driven by weights alone, and weights by spikes alone."""
    for name, node in graph.nodes.items():
        for kind, wanted in ((Neuron, Linear), (Linear, (Neuron, Input))):
            if not isinstance(node, kind):
                continue
            for source in _sources(graph, name):
                if not isinstance(graph[source], wanted):
                    yield error(
                        "weights_before_neurons",
                        name,
                        f"is driven by {source!r} ({type(graph[source]).__name__}); {chip.name} "
                        "alternates between weights and spiking neurons",
                    )


def own_weights(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A weight drives one layer, so that the layer can have a scale of its own."""
    for name, node in graph.of(Neuron).items():
        driven = all(isinstance(graph[source], Linear) for source in _sources(graph, name))
        if driven and node.shape and weights_of(graph, name) is None:
            yield error(
                "own_weights",
                name,
                f"shares its weights with another layer; {chip.name} stores them once for each "
                "(use two layers)",
            )


def one_connection(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A pair of layers has one weight matrix between them."""
    for post in graph.of(Neuron):
        seen: dict[str, str] = {}
        weights = [name for name in _sources(graph, post) if isinstance(graph[name], Linear)]
        for weight in weights:
            for pre in _sources(graph, weight):
                if pre not in seen:
                    seen[pre] = weight
                    continue
                first = seen[pre]
                how = "twice" if first == weight else f"as {first!r} does"
                yield error(
                    "one_connection",
                    weight,
                    f"joins {pre!r} and {post!r} {how}; {chip.name} holds one weight for each "
                    "pair of neurons",
                )


def readout_layer(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """The last neuron layer is read out, feeds nothing else, and has a hidden layer before it."""
    (output, *more) = graph.outputs
    for name in more:
        yield error("readout_layer", name, f"is a second output; {chip.name} has one")
    if not isinstance(graph[output], Neuron):
        yield error(
            "readout_layer",
            output,
            f"is the network's output but no spiking layer; {chip.name} is read out at spiking "
            "neurons",
        )
        return
    if any(not isinstance(graph[edge.post], Output) for edge in graph.post(output)):
        yield error(
            "readout_layer",
            output,
            f"feeds other layers; output neurons of {chip.name} cannot (train with a separate "
            "readout layer)",
        )
    fed_by_input = [
        w
        for w in _sources(graph, output)
        if isinstance(graph[w], Linear) and graph.input in _sources(graph, w)
    ]
    if fed_by_input:
        yield error(
            "readout_layer",
            output,
            f"is driven by the input through {fed_by_input[0]!r}; output neurons of {chip.name} "
            "listen to hidden neurons only",
        )


def path_lengths(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """All paths to a layer take equally many timesteps, one for each hidden layer passed."""
    layers = read_layers(graph)
    lags = layers.lags()
    for p in layers.projections:
        if p.post in lags and (p.pre in lags or p.pre == layers.input):
            late = layers.lag_after(p, lags) - lags[p.post]
            steps = "timestep" if abs(late) == 1 else "timesteps"
            if late:
                yield error(
                    "path_lengths",
                    p.post,
                    f"gets {p.pre!r} through {p.name!r} {abs(late)} {steps} "
                    f"{'later' if late > 0 else 'earlier'} than its other inputs; each hop "
                    f"on {chip.name} takes one timestep",
                )


def early_bias(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A layer that hears its input later than in the graph has its bias from the first step on."""
    for name, lag in read_layers(graph).lags().items():
        node = graph[name]
        assert isinstance(node, Neuron)
        if lag > 0 and np.any(node.bias):
            yield Diagnostic(
                rule="early_bias",
                severity=Severity.WARNING,
                where=name,
                message=f"its bias acts {lag} {'timestep' if lag == 1 else 'timesteps'} before "
                f"its input arrives, since each hop on {chip.name} takes one; the first spikes "
                "may differ",
            )


def _sources(graph: Graph, name: str, passed: tuple[str, ...] = ()) -> Iterator[str]:
    """What feeds ``name``, looking through sums and a flattened input.

    A sum that feeds itself, some timesteps later, is a source like any other.
    """
    for edge in graph.pre(name):
        node = graph[edge.pre]
        if isinstance(node, (Add, Flatten)) and edge.pre not in passed:
            yield from _sources(graph, edge.pre, (*passed, edge.pre))
        else:
            yield edge.pre


TOPOLOGY: tuple[GraphRule, ...] = (
    node_kinds,
    weights_before_neurons,
    own_weights,
    one_connection,
    readout_layer,
)

# ---- neurons of the graph ----


def reset(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A spike takes its threshold off the membrane, in the same timestep."""
    for name, node in graph.of(Neuron).items():
        if node.reset != "subtract" or node.reset_when != "same":
            how = node.reset if node.reset_when == "same" else f"{node.reset}, {node.reset_when}"
            yield error("reset", name, f"resets by {how!r}, {chip.name} only by 'subtract'")
        elif node.reset_amount is not None and np.any(node.reset_amount != node.v_threshold):
            yield error(
                "reset",
                name,
                f"subtracts something else than its threshold; {chip.name} has one number for both",
            )


def comparison(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A neuron fires at its threshold, not only above it."""
    for name, node in graph.of(Neuron).items():
        if node.compare != "ge":
            yield error("comparison", name, f"fires only above its threshold, {chip.name} at it")


def potentials(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """Membranes start and rest at 0, have no floor and no gain, and a spike counts 1."""
    for name, node in graph.of(Neuron).items():
        for field, usual in (("v_leak", 0), ("v_init", 0), ("spike_scale", 1), ("gain", 1)):
            if np.any(getattr(node, field) != usual):
                yield error(
                    "potentials", name, f"{field} is not {usual}, which {chip.name} cannot hold"
                )
        if node.v_min is not None:
            yield error("potentials", name, f"has a membrane floor (v_min), {chip.name} has none")


def synapse(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """Every neuron has one synaptic current or two; output neurons have one."""
    limits = chip.limits
    for name, node in graph.of(Neuron).items():
        output = name in graph.outputs
        limit = limits.output_synapses if output else limits.hidden_synapses
        if not node.synapses:
            yield error(
                "synapse",
                name,
                f"has no synaptic current; {chip.name} cannot switch its own off (train with "
                "tau_syn)",
            )
        elif node.synapses > limit.value:
            yield error(
                "synapse",
                name,
                f"has {node.synapses} synaptic currents a neuron, {chip.name} has {limit.value}",
                node.synapses,
                limit,
                chip,
            )
        if node.synapses and node.syn_order != "add_decay":
            yield error(
                "synapse",
                name,
                f"decays its current before the input is added, {chip.name} after it; the weights "
                "could not take up the difference",
            )


def time_constants(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """Decays are bit shifts of 1 up to the largest that the register holds."""
    top = 2 ** int(chip.limits.dash_width.value) - 1
    for name, node in graph.of(Neuron).items():
        for field, alpha in (("tau_mem", node.alpha_mem), ("tau_syn", node.alpha_syn)):
            if alpha is None:
                continue
            shifts = dashes(alpha)
            worst = float(shifts.max() if shifts.max() > top + 0.5 else shifts.min())
            if top + 0.5 >= worst > 0:
                continue
            yield error(
                "time_constants",
                name,
                f"{field} {_need(alpha, shifts, worst, graph.dt)}, {chip.name} has shifts of "
                f"1 to {top}",
                None if np.isinf(worst) else worst,
                chip.limits.dash_width,
                chip,
                limit=top,
            )


def _need(alpha: Array, shifts: Array, worst: float, dt: float | None) -> str:
    if np.isinf(worst):
        return "is infinite, the state never decays"
    if worst <= 0:
        return "is 0, the state is cleared every step"
    text = f"needs a bit shift of {worst:.1f}"
    if dt is None:
        return text
    return f"{float(time_constant(alpha[shifts == worst].flat[0], dt)):g} s {text}"


def linear_bias(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A bias acts on the membrane; one on the weights would go through the synapse."""
    for name, node in graph.of(Linear).items():
        if node.bias is not None and np.any(node.bias):
            yield error(
                "linear_bias",
                name,
                f"has a bias, which passes the synapse of the neurons behind it; {chip.name} "
                "adds biases to the membrane (train with bias=False and a bias on the neurons)",
            )


def spike_caps(graph: Graph, chip: XyloChip) -> Iterator[Diagnostic]:
    """A neuron may spike as often in a step as the chip lets it."""
    for name, node in graph.of(Neuron).items():
        output = name in graph.outputs
        limit = chip.limits.output_spikes if output else chip.limits.hidden_spikes
        cap = node.max_spikes
        if cap is not None and cap < limit.value:
            yield error(
                "spike_caps",
                name,
                f"is capped at {cap} spikes a step, {chip.name} at {limit.value}",
                cap,
                limit,
                chip,
            )
        elif cap is None or cap > limit.value:
            yield Diagnostic(
                rule="spike_caps",
                severity=Severity.INFO,
                where=name,
                message=f"exact while no neuron spikes more than {limit.value} times a step",
                limit=limit.value,
                source=chip.cite(limit),
            )


NEURONS: tuple[GraphRule, ...] = (
    reset,
    comparison,
    potentials,
    synapse,
    time_constants,
    linear_bias,
    spike_caps,
)
