"""Random networks on every chip, and what a deployment must say about each of them.

Every bound is computed here, from the integers of the program, the float network and the simulator.
"""

import re
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np

from tests.chips.speck.graphs import conv, iaf
from toolchain import DeployError, DeployWarning, deploy, list_chips, load_chip
from toolchain.chips.load import family_of
from toolchain.ir import Conv2d, Graph, Input, Linear, Neuron, Output, SumPool2d
from toolchain.runs.interpret import interpret

CHIPS = tuple(list_chips())
DEAD = {"zero_weights", "no_path", "silent_outputs"}


def network(rng, family):
    """Return a random network that the family computes; some are nearly or quite dead."""
    graph = dense(rng) if family == "xylo" else maps(rng)
    weights = graph.of(Linear) | graph.of(Conv2d)
    name = rng.choice(list(weights))
    weight, kind = weights[name].weight.copy(), rng.integers(6)
    if kind == 0:  # one outlier
        weight.flat[rng.integers(weight.size)] = np.abs(weight).max() * 10.0 ** rng.uniform(0.5, 4)
    elif kind == 1:  # small beside the threshold
        weight *= 10.0 ** rng.uniform(-4, -0.5)
    elif kind == 2:  # mostly negative
        weight = np.where(rng.random(weight.shape) < 0.9, -np.abs(weight), weight)
    return graph.replace({name: replace(weights[name], weight=weight)})


def dense(rng):
    sizes = rng.integers(2, 9, rng.integers(2, 4))
    wide = int(rng.integers(2, 9))
    nodes = {"input": Input(shape=(wide,))}
    for index, size in enumerate(map(int, sizes)):
        unit = 10.0 ** rng.uniform(-3, 3)
        nodes[f"w{index}"] = Linear(weight=unit * rng.normal(0.1, 0.5, (size, wide)))
        nodes[f"lif{index}"] = Neuron(
            shape=(size,),
            v_threshold=unit * rng.uniform(0.5, 2),
            alpha_mem=1 - 2.0 ** -int(rng.integers(1, 6)) if rng.random() < 0.7 else 0.93,
            alpha_syn=np.full((size, 1), 1 - 2.0 ** -int(rng.integers(1, 4))),
            max_spikes=None,
        )
        wide = size
    return Graph.chain({**nodes, "output": Output()}, dt=1e-3)


def maps(rng):
    channels, side = int(rng.integers(1, 3)), int(rng.choice([4, 6, 8]))
    nodes, shape = {"input": Input(shape=(channels, side, side))}, (channels, side, side)
    for index in range(int(rng.integers(1, 4))):
        kernel = int(rng.integers(1, min(4, shape[1] + 1)))
        weight = conv(int(rng.integers(1, 5)), shape[0], kernel, rng)
        scale = 1 / (kernel * np.sqrt(shape[0]))
        nodes[f"w{index}"] = Conv2d(weight=weight.weight * scale)
        shape = weight.output_shape(shape)
        nodes[f"if{index}"] = iaf(shape, v_threshold=float(rng.choice([0.5, 1.0, 3.0])))
        if shape[1] % 2 == 0 and shape[1] > 2 and rng.random() < 0.4:
            nodes[f"pool{index}"] = SumPool2d(kernel=2, stride=2)
            shape = nodes[f"pool{index}"].output_shape(shape)
    last = list(nodes)[-1]
    if last.startswith("pool"):
        del nodes[last]
    return Graph.chain({**nodes, "output": Output()}, dt=1e-3)


def spikes_for(rng, graph, samples=6, steps=40):
    rate = rng.choice([0.05, 0.2, 0.5])
    return np.minimum(rng.poisson(rate, (samples, steps, *graph.shape(graph.input))), 15)


def judge(number, counts):
    """Deploy the random network of that number and check everything that is said about it."""
    rng = np.random.default_rng(number)
    chip = CHIPS[number % len(CHIPS)]
    family = family_of(load_chip(chip))
    methods = family.QUANTIZERS
    method = methods[(number // len(CHIPS)) % len(methods)]
    graph = network(rng, family.NAME)
    calibration = spikes_for(rng, graph) if (number // len(CHIPS)) % 4 < 2 else None
    counts[family.NAME, method, "calibrated" if calibration is not None else "without"] += 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            d = deploy(graph, chip, calibration=calibration, quantizer=method)
        except DeployError as refusal:
            rules = {finding.rule for finding in refusal.diagnostics}
            assert rules, "a refusal without findings"
            assert not caught, "a refusal needs no warning"
            counts["refused: " + ", ".join(sorted(rules))] += 1
            return
    counts["deployed"] += 1
    loud = [finding for finding in d.diagnostics if finding.severity == "warning"]
    assert [w.category for w in caught] == [DeployWarning] * bool(loud)
    check_weights(d, loud, counts)
    check_words(d)
    if calibration is None:
        assert "no_calibration" in rules_of(loud)
        unseen = spikes_for(np.random.default_rng(10_000 + number), graph)
        trained = interpret(graph, unseen).spikes.sum()
        silent = trained >= 100 and not d.simulate(unseen).spikes.any()
        assert not silent, f"silent on unseen spikes; trained {trained:.0f}"
    else:
        check_run(d, calibration, loud, counts)


def rules_of(findings, where=None):
    return {finding.rule for finding in findings if where in (None, finding.where)}


def check_weights(d, loud, counts):
    """Check that layers that lose weights are named, and that none loses all of them."""
    heavy = np.full((1, 500, *d.graph.shape(d.graph.input)), 15)
    for name, node in (d.quantized.of(Linear) | d.quantized.of(Conv2d)).items():
        trained = d.graph[name].weight.reshape(node.weight.shape)
        lost = ((trained != 0) & (node.weight == 0)).sum()
        part = lost / max(1, (trained != 0).sum())
        if part > 0.1:
            counts["over 10 % of the weights of a layer lost"] += 1
            (found,) = [f for f in loud if f.rule == "zero_weights" and f.where == name]
            assert str(lost) in found.message.replace(" ", "")
        if part == 1:
            run = interpret(d.graph, heavy, record=True)
            counts["all weights lost, and unable to fire as trained"] += 1
            assert not run.layers[d.graph.after(name)].spikes.any()


def check_words(d):
    """Check that no finding of severity info speaks of a low agreement."""
    for finding in d.diagnostics:
        if finding.severity == "info" and finding.where == "network":
            for figure in re.findall(r"agree to ([\d.]+) %", finding.message)[:1]:
                assert float(figure) >= 90, finding


def check_run(d, spikes, loud, counts):
    """Check the findings against runs of the float network and of the chip."""
    wanted, chip = interpret(d.graph, spikes, record=True), d.simulate(spikes, record=True)
    lag, steps = d.lag, spikes.shape[1]
    n = wanted.spikes.reshape(*spikes.shape[:2], -1)[:, : steps - lag].sum(axis=1)
    m = chip.spikes.reshape(*spikes.shape[:2], -1)[:, lag:].sum(axis=1)
    assert m.sum() or not n.sum(), "silent outputs"
    most = np.maximum(n, m).sum()
    if not most:
        counts["calibration that never drives the outputs"] += 1
        assert "calibration" in rules_of(loud)
        return
    agreement = np.minimum(n, m).sum() / most
    if agreement < 0.9 or most < 20:
        counts["agreement below 90 %" if agreement < 0.9 else "too few spikes to tell"] += 1
        assert "calibration" in rules_of(loud)
        (found,) = [f for f in loud if f.rule == "calibration"]
        if most >= 20:
            figure = float(re.search(r"agree to ([\d.]+) %", found.message)[1])
            assert abs(figure - 100 * agreement) < 0.06
    for name, node in d.quantized.of(Neuron).items():
        record, updates = chip.layers[name], np.prod(node.shape) * spikes.shape[0] * steps
        if chip.saturations.get(name, 0) > updates / 1000:
            counts["more than 1 in 1000 states saturated"] += 1
            assert "saturation" in rules_of(loud, name)
        ready = record.v_mem >= np.broadcast_to(node.v_threshold, node.shape)
        if ready.any() and wanted.layers[name].spikes.max() > record.spikes.max():
            output = name in d.quantized.outputs
            counts["capped outputs" if output else "capped hidden neurons"] += 1
            assert "spike_caps" in rules_of(loud, name)


def judge_all(numbers):
    """Return the counts, and what was wrong by number of the network."""
    counts, wrong = Counter(), {}
    for number in numbers:
        try:
            judge(number, counts)
        except AssertionError as error:
            wrong[number] = str(error) or repr(error)
    return counts, wrong
