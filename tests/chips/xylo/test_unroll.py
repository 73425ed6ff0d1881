"""Networks on maps on a chip that has none: written out as dense weights, or refused with sizes."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.cases import each
from tests.chips.xylo import contract
from tests.chips.xylo.graphs import CHIP, leaked, lif, readout
from tests.frontends.nir import graphs as nir
from toolchain import DeployError, Deployment, deploy
from toolchain.chips.xylo.lower import maps
from toolchain.fidelity.ledger import Fidelity
from toolchain.frontends.nir.write import write
from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Output,
    Scale,
    SumPool2d,
)
from toolchain.ir.fan_out import conv_fan_out
from toolchain.runs.evaluate import evaluate
from toolchain.runs.interpret import interpret


def chain(**nodes):
    return Graph.chain({**nodes, "output": Output()}, dt=1e-3)


def small(seed=0, pool=AvgPool2d):
    """Two convolutions on 1x4x4, a pool, factors and a batch norm."""
    rng = np.random.default_rng(seed)
    norm = BatchNorm(mean=[0.1] * 3, var=[0.5] * 3, gamma=[1.2] * 3, beta=[0.0] * 3, eps=1e-5)
    return chain(
        input=Input(shape=(1, 4, 4)),
        conv1=Conv2d(weight=rng.normal(0.1, 0.4, (3, 1, 3, 3)), padding=1),
        factor=Scale(scale=rng.uniform(0.5, 1.5, (3, 4, 4))),
        lif1=lif(0, shape=(3, 4, 4)),
        pool=pool(kernel=2, stride=2),
        norm=replace(norm, beta=np.array([0.1] * 3) * 1.2 / np.sqrt(0.5 + 1e-5)),
        conv2=Conv2d(weight=rng.normal(0.1, 0.4, (4, 3, 2, 2))),
        lif2=lif(0, shape=(4, 1, 1)),
        flat=Flatten(),
        fc=Linear(weight=rng.normal(0.2, 0.4, (2, 4))),
        out=readout(2),
    )


SPIKES = np.random.default_rng(5).poisson(0.15, (4, 40, 1, 4, 4))


# ---- exact ----


def whole(seed):
    """A network on maps in whole numbers, as it would come from the quantizer."""
    rng = np.random.default_rng(seed)

    def some(*shape):
        return rng.integers(-12, 25, shape)

    rows = {"v_threshold": np.array(40), "alpha_mem": 1 - 2.0**-2}
    nodes = {
        "input": Input(shape=(2, 3, 2)),
        "conv1": Conv2d(weight=some(4, 1, 2, 2), padding=(1, 0), groups=2),
        "lif1": lif(0, shape=(4, 4, 1), **rows),
        "pool": SumPool2d(kernel=(2, 1), stride=(1, 1)),
        "conv2": Conv2d(weight=some(3, 4, 2, 1), stride=(2, 1)),
        "sum": Add(),
        "lif2": lif(0, shape=(3, 1, 1), **rows | {"v_threshold": np.array(150)}),
        "rec": Conv2d(weight=some(3, 3, 1, 1)),
        "flat": Flatten(),
        "fc": Linear(weight=some(2, 3)),
        "out": readout(2, **rows),
        "output": Output(),
    }
    names = ("input", "conv1", "lif1", "pool", "conv2", "sum", "lif2", "flat", "fc", "out")
    edges = [Edge(a, b) for a, b in pairwise((*names, "output"))]
    return Graph(nodes, [*edges, Edge("lif2", "rec", 1), Edge("rec", "sum")], dt=1e-3)


def on_maps(graph, spikes):
    """Spikes of every layer (time, *maps): the network as it is, in the chip's arithmetic."""
    neurons = graph.of(Neuron)
    current = {name: np.zeros(node.shape, int) for name, node in neurons.items()}
    v = {name: np.zeros(node.shape, int) for name, node in neurons.items()}
    values = {n: np.zeros((len(spikes), *graph.shape(n)), int) for n in graph.nodes}
    values["input"] = spikes
    for t in range(len(spikes)):
        for name, node in graph.nodes.items():
            late = [(values[e.pre], t - e.delay) for e in graph.pre(name)]
            read = [x[s] if s >= 0 else np.zeros_like(x[0]) for x, s in late]
            if isinstance(node, Neuron):
                dash = np.rint(-np.log2(1 - np.array([node.alpha_mem, node.alpha_syn[0]])))
                current[name] = leaked(current[name] + read[0], int(dash[1]))
                v[name] = leaked(v[name], int(dash[0])) + current[name]
                fired = np.clip(v[name] // node.v_threshold, 0, node.max_spikes)
                v[name] -= fired * node.v_threshold
                values[name][t] = fired
            elif read:
                each = [x[None, None] for x in read]
                values[name][t] = evaluate(node, each)[0, 0]
        assert max(np.abs(x).max() for x in v.values()) < 2**15
    return values


@each("seed", range(8))
def test_every_map_spikes_on_the_chip_as_in_the_network(seed):
    graph = whole(seed)
    dense = contract.shape(graph).map(
        Linear, lambda _, node: replace(node, weight=np.rint(node.weight).astype(int))
    )
    spikes = np.random.default_rng(seed).poisson(0.6, (50, 2, 3, 2)).clip(0, 15)
    wanted = on_maps(graph, spikes)
    got = contract.simulate(
        contract.lower(dense, CHIP), spikes[None], record=True, timing="clocked"
    )
    assert all(wanted[name].any() for name in ("lif1", "lif2", "out"))
    for name, lag in contract.lags(dense).items():
        late = got.layers[name].spikes[0, lag:]
        np.testing.assert_array_equal(late, wanted[name].reshape(50, -1)[: 50 - lag], name)


@pytest.mark.parametrize("pool", [SumPool2d, AvgPool2d])
def test_the_float_network_stays_what_it_is(pool):
    graph = small(pool=pool)
    dense = contract.shape(graph)
    assert {type(node) for node in dense.nodes.values()} == {Input, Flatten, Linear, Neuron, Output}
    wanted, got = (interpret(g, SPIKES, record=True) for g in (graph, dense))
    for name in graph.of(Neuron):
        flat = wanted.layers[name].spikes.reshape(4, 40, -1)
        np.testing.assert_array_equal(got.layers[name].spikes, flat, name)
    assert wanted.spikes.any()
    np.testing.assert_array_equal(
        deploy(graph, "xylo", quantizer="channel").reference(SPIKES).spikes, wanted.spikes
    )


def test_a_sum_of_maps_that_is_pooled_is_written_out():
    rng = np.random.default_rng(0)
    conv = {name: Conv2d(weight=rng.normal(size=(1, 1, 1, 1))) for name in ("a", "b")}
    nodes = {"input": Input(shape=(1, 4, 4)), **conv, "sum": Add()}
    nodes |= {
        "pool": AvgPool2d(kernel=2, stride=2),
        "h": lif(0, shape=(1, 2, 2)),
        "flat": Flatten(),
    }
    nodes |= {"fc": Linear(weight=np.ones((1, 4))), "out": readout(1), "output": Output()}
    edges = [("input", "a"), ("input", "b"), ("a", "sum"), ("b", "sum")]
    edges += pairwise(("sum", "pool", "h", "flat", "fc", "out", "output"))
    graph = Graph(nodes, edges, dt=1e-3)
    wanted, got = (interpret(g, SPIKES).spikes for g in (graph, contract.shape(graph)))
    np.testing.assert_array_equal(got, wanted)


def test_a_gain_of_each_pixel_moves_into_the_dense_weights():
    graph = small()
    gain = np.random.default_rng(0).uniform(0.5, 1.5, (3, 4, 4))
    graph = graph.replace({"lif1": replace(graph["lif1"], gain=gain)})
    d = deploy(graph, "xylo", quantizer="channel")
    assert np.all(d.quantized["lif1"].gain == 1)
    wanted, got = (interpret(g, SPIKES).spikes for g in (graph, contract.shape(graph)))
    np.testing.assert_array_equal(got, wanted)


# ---- under the user's names and in the user's shapes ----


def test_layers_keep_their_names_and_spikes_their_shape(tmp_path):
    graph = small()
    d = deploy(graph, "xylo", calibration=SPIKES)
    assert d.placement == {"lif1": "hidden 0..47", "lif2": "hidden 48..51", "out": "output 0..1"}
    assert d.simulate(SPIKES, record=True).layers["lif1"].spikes.shape == (4, 40, 48)
    assert d.reference(SPIKES, record=True).layers["lif1"].spikes.shape == (4, 40, 3, 4, 4)
    compared = d.compare(SPIKES)
    assert [(layer.name, layer.neurons) for layer in compared.layers] == [
        ("lif1", 48),
        ("lif2", 4),
        ("out", 2),
    ]
    assert compared.agreement["clocked"] > 0.9
    again = Deployment.load(d.save(tmp_path / "kept"))
    np.testing.assert_array_equal(again.simulate(SPIKES).spikes, d.simulate(SPIKES).spikes)
    assert d.estimate(rates={"input": 10, "lif1": 5, "lif2": 5, "out": 1}, steps=10).activity
    for wrong in ((4, 40, 16), (4, 40, 4, 4, 1, 4)):
        with pytest.raises(ValueError, match=r"must be \(batch, time, 1, 4, 4\)"):
            d.simulate(np.zeros(wrong, int))


def test_the_ledger_tells_what_was_written_out():
    ledger = deploy(small(), "xylo", quantizer="channel").ledger
    (change,) = ledger["conv1"].of("dense")
    assert (change.before, change.after, change.fidelity) == ("Conv2d", "Linear", Fidelity.EXACT)
    change = ledger["conv1"].of("weights")[0]
    assert (change.before, change.after, change.note) == (27, 48 * 16, "written out")
    for name, kind in (("pool", "AvgPool2d"), ("factor", "Scale"), ("norm", "BatchNorm")):
        (change,) = ledger[name].changes
        assert (change.before, change.after) == (kind, "removed")
        assert change.note.startswith(("folded into the adjacent weights", "in the weights"))
        assert ledger[name].fidelity is Fidelity.EXACT


def test_two_weights_in_a_row_are_told_as_multiplied():
    weight = np.array([[1.0, 0.5], [0.25, 1.0]])
    graph = chain(
        input=Input(shape=(2,)),
        a=Linear(weight=weight),
        b=Linear(weight=weight),
        h=lif(2),
        c=Linear(weight=weight),
        out=readout(2),
    )
    d = deploy(graph, "xylo", quantizer="channel")
    change = d.ledger["b"].of("weights")[0]
    assert (change.note, change.fidelity) == ("multiplied by those of adjacent layers", "exact")
    assert d.ledger["a"].changes[0].note == "folded into the adjacent weights"


# ---- synaptic operations ----


def test_synops_are_those_of_the_convolution():
    rng = np.random.default_rng(0)
    graph = chain(
        input=Input(shape=(2, 8)),
        conv=Conv1d(weight=rng.uniform(0.5, 1, (3, 2, 3)), stride=2, padding=1),
        h=lif(0, shape=(3, 4)),
        flat=Flatten(),
        fc=Linear(weight=rng.uniform(0.5, 1, (2, 12))),
        out=readout(2),
    )
    d = deploy(graph, "xylo", quantizer="channel")
    spikes = rng.poisson(0.3, (3, 20, 2, 8))
    fan_out = conv_fan_out((2, 8), (3, 2, 3), (2,), (1,))
    per_step = (spikes * fan_out).sum() / 60
    (layer,) = (one for one in d.estimate(spikes).activity.layers if one.name == "h")
    assert layer.synops_per_step == pytest.approx(per_step)


# ---- from NIR ----


def test_a_nir_file_with_a_convolution_along_one_axis_is_deployed(tmp_path):
    rng = np.random.default_rng(0)
    conv = {"stride": 2, "padding": 1, "dilation": 1, "groups": 1, "bias": np.zeros(3)}
    mem, syn = (-1e-3 / np.log(1 - 2.0**-shift) for shift in (3, 2))
    rate = {"mem": mem, "syn": syn, "threshold": 0.5, "w_in": 10.0}
    path = write(
        tmp_path / "conv.nir",
        nir.chain(
            (1, 8),
            (2,),
            factor=nir.node("Scale", scale=np.full((1, 8), 2.0)),
            conv=nir.node("Conv1d", weight=rng.normal(0.2, 0.4, (3, 1, 3)), **conv),
            h=nir.cuba((3, 4), **rate),
            flat=nir.node("Flatten", start_dim=0, end_dim=-1, input_type=[3, 4]),
            fc=nir.node("Linear", weight=rng.normal(0.2, 0.4, (2, 12))),
            out=nir.cuba((2,), **rate),
        ),
    )
    spikes = rng.poisson(0.2, (4, 60, 1, 8))
    options = {"dialect": "exact", "reset": "subtract", "dt": 1e-3}
    allow = ["gt->ge", "spike_cap->chip_cap"]
    d = deploy(path, "xylo", calibration=spikes, allow=allow, **options)
    assert d.graph.of(Conv1d)
    assert d.ledger["conv"].of("dense")
    assert [*d.placement] == ["h", "out"]
    wanted = interpret(d.graph, spikes).spikes
    assert wanted.sum() > 100
    np.testing.assert_array_equal(d.reference(spikes).spikes, wanted)
    assert d.compare(spikes).agreement["quantized"] > 0.8


# ---- at the limits ----


def wide(inputs, hidden, last):
    """``inputs`` positions, as many neurons on each in two maps, and outputs."""
    first, second = hidden
    return chain(
        input=Input(shape=(1, inputs)),
        conv=Conv1d(weight=np.linspace(0.5, 1, first).reshape(first, 1, 1)),
        a=lif(0, shape=(first, inputs)),
        pool=Conv1d(weight=np.ones((second, first, inputs))),
        b=lif(0, shape=(second, 1)),
        flat=Flatten(),
        fc=Linear(weight=np.ones((last, second))),
        out=readout(last),
    )


def refusals(graph):
    with pytest.raises(DeployError) as refused:
        deploy(graph, "xylo", quantizer="channel")
    return {f.rule: (f.where, f.need, f.limit) for f in refused.value.diagnostics}


def test_a_network_that_takes_all_of_the_chip_is_taken():
    d = deploy(wide(16, (62, 8), 8), "xylo", quantizer="channel")
    assert d.program.weights_in.shape == (16, 1000, 1)
    assert d.program.outputs == 8


def test_one_more_of_each_is_refused_at_once():
    assert refusals(wide(17, (58, 15), 9)) == {
        "input_channels": ("input", 17, 16),
        "hidden_neurons": ("a, b", 1001, 1000),
        "output_neurons": ("out", 9, 8),
    }


def test_what_is_far_too_large_is_counted_and_not_written_out(monkeypatch):
    monkeypatch.setattr(maps, "unroll", None)
    with pytest.raises(DeployError) as refused:
        deploy(wide(256, (64, 9), 9), "xylo")
    text = "which has dense weights and spiking neurons; as dense weights it would take"
    source = "  source: xylo_a2.yaml, Rockpool documentation, Xylo family overview (published)"
    found = [str(f).split("\n") for f in refused.value.diagnostics]
    assert [lines[0] for lines in found] == [
        f"error[node_kinds] conv: Conv1d does not exist on xylo_a2, {text} 16 384 x 256 weights",
        f"error[node_kinds] pool: Conv1d does not exist on xylo_a2, {text} 9 x 16 384 weights",
        "error[size_of_maps] input: needs 256 input channels, xylo_a2 has 16",
        "error[size_of_maps] out: needs 9 output neurons, xylo_a2 has 8",
        "error[size_of_maps] a, b: needs 16 393 hidden neurons, xylo_a2 has 1 000 (a 16 384, b 9)",
    ]
    assert {lines[1] for lines in found[2:]} == {source}


def test_what_is_written_out_is_bounded():
    def dense(inputs, hidden):
        return not contract.shape(wide(inputs, hidden, 1)).of(Conv1d)

    assert dense(15, (272, 15))  # 4 096 neurons
    assert not dense(15, (272, 16))
    assert dense(2048, (1, 2047))  # 2**23 weights less one row
    assert not dense(2896, (1, 1))


def test_other_chips_of_the_family_take_maps_as_well():
    graph = small().drop("norm")
    assert deploy(graph, "xylo_a3", quantizer="channel").program.hidden == 52
