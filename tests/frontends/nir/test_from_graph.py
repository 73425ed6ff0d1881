"""Graphs written as NIR and read back, by us and, without our metadata, as anyone would."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir import NirFile, NirGraph, NirNode, from_graph, save, to_graph
from toolchain.frontends.nir.read import read
from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    MembraneReadout,
    Neuron,
    Output,
    Scale,
    Sensor,
    SumPool2d,
)
from toolchain.runs.interpret import interpret

DT = 1e-3


def line(*nodes, shape=(3,), dt=DT):
    named = {f"n{k}": node for k, node in enumerate(nodes)}
    return Graph.chain({"in": Input(shape=shape), **named, "out": Output()}, dt=dt)


def neuron(size=3, **rest):
    usual = {"shape": (size,), "v_threshold": 1.0, "compare": "gt", "max_spikes": 1}
    return Neuron(**{**usual, **rest})


def again(graph):
    return to_graph(from_graph(graph))


def anyone(graph):
    """What a reader without our metadata has."""
    file = from_graph(graph)
    return NirFile(
        graph=NirGraph(nodes=file.graph.nodes, edges=file.graph.edges),
        version=None,
        where="a.nir",
    )


# ---- back as it was ----

numbers = st.floats(-2, 2, allow_subnormal=False)
parts = st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.123456789])


@st.composite
def neurons(draw, size):
    """Any neuron layer that NIR has a form for."""
    many = draw(st.booleans())

    def each(values):
        return (
            np.array(draw(st.lists(values, min_size=size, max_size=size))) if many else draw(values)
        )

    fields = {"shape": (size,), "gain": each(numbers)}
    leaky = draw(st.booleans())
    if leaky:
        fields |= {"alpha_mem": each(parts), "v_leak": each(numbers), "bias": each(numbers)}
        if draw(st.booleans()):
            fields["alpha_syn"] = np.array(each(parts)).reshape(-1, 1)
            fields["syn_order"] = draw(st.sampled_from(["add_decay", "decay_add"]))
    fields["v_init"] = each(numbers)
    if draw(st.booleans()):
        return MembraneReadout(**fields)
    fields["v_threshold"] = each(st.floats(0.1, 2))
    fields["compare"] = draw(st.sampled_from(["ge", "gt"]))
    fields["max_spikes"] = draw(st.sampled_from([None, 1, 31]))
    fields["v_min"] = draw(st.sampled_from([None, -1.0]))
    fields["reset"] = draw(st.sampled_from(["subtract", "value"]))
    if fields["reset"] == "value":
        fields["v_reset"] = each(st.floats(-1, 0.05))
    else:
        fields["reset_when"] = draw(st.sampled_from(["same", "next_undecayed"]))
        fields["reset_amount"] = draw(st.sampled_from([None, 0.75]))
    return Neuron(**fields)


@st.composite
def graphs(draw):
    """Dense layers and sums, with recurrent and late connections."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    size = draw(st.integers(1, 4))
    integers = draw(st.booleans())

    def weight():
        kept = rng.integers(-3, 4, (size, size))
        return kept.astype(np.int8) if integers else rng.normal(size=(size, size))

    nodes = {"in": Input(shape=(size,)), "fc": Linear(weight=weight())}
    edges = [Edge("in", "fc", draw(st.integers(0, 2)))]
    before = "fc"
    for k in range(draw(st.integers(1, 3))):
        layer, name = draw(neurons(size)), f"lif{k}"
        nodes[name] = layer
        if draw(st.booleans()):
            rec, total = f"rec{k}", f"sum{k}"
            bias = rng.normal(size=size) if draw(st.booleans()) else None
            nodes |= {rec: Linear(weight=weight(), bias=bias), total: Add()}
            edges += [Edge(before, total), Edge(name, rec, draw(st.integers(1, 2)))]
            edges += [Edge(rec, total), Edge(total, name)]
        else:
            edges.append(Edge(before, name, draw(st.integers(0, 1))))
        before = name
    if draw(st.booleans()):
        nodes |= {"all": Add(), "id": Identity(was="Dropout")}
        edges += [Edge(before, "id"), Edge(before, "all"), Edge("id", "all")]
        before = "all"
    nodes["out"] = Output()
    dt = draw(st.sampled_from([None, 1e-3, 1.2345e-4]))
    return Graph(nodes, [*edges, Edge(before, "out")], dt=dt)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_a_graph_comes_back_as_it_was(graph):
    assert str(again(graph)) == str(graph)


def test_maps_come_back_from_a_file(tmp_path):
    rng = np.random.default_rng(0)
    graph = line(
        Conv2d(weight=rng.normal(size=(4, 1, 3, 2)), padding=(1, 0), groups=2),
        Scale(scale=np.arange(1.0, 5).reshape(4, 1, 1)),
        Neuron(shape=(4, 6, 4), v_threshold=1.0, v_min=-1.0),
        SumPool2d(kernel=2, stride=2),
        AvgPool2d(kernel=(3, 1), stride=(1, 1)),
        Flatten(),
        Linear(weight=rng.integers(-3, 4, (2, 8), dtype=np.int8), bias=np.array([1, 2])),
        neuron(2, alpha_mem=0.0, reset="none", v_threshold=2.0),
        shape=(2, 6, 5),
    )
    back = to_graph(read(save(graph, tmp_path / "a.nir")))
    assert str(back) == str(graph)
    assert back.provenance["self_check"] == "writing it again gives the same nodes and edges"


def test_one_axis_comes_back_and_provenance_with_it():
    nodes = {
        "in": Input(shape=(2, 9)),
        "conv": Conv1d(weight=np.ones((3, 2, 3)), bias=np.zeros(3), stride=2),
        "out": Output(),
    }
    graph = Graph.chain(nodes, provenance={"framework": "torch", "odd": 'a "quoted" name'})
    back = again(graph)
    assert str(back) == str(graph)
    assert graph.provenance.items() <= back.provenance.items()


# ---- what others read ----


@pytest.mark.parametrize(
    "node",
    [
        neuron(),
        neuron(gain=0.3),
        neuron(alpha_mem=0.9, gain=0.1, v_leak=0.2),
        neuron(alpha_mem=0.9, bias=0.05),
        neuron(alpha_mem=0.9, alpha_syn=[0.5], syn_order="decay_add"),
        neuron(alpha_mem=0.9, alpha_syn=[0.5], syn_order="add_decay", gain=2.0),
        neuron(alpha_mem=np.array([0.0, 0.5, 0.9]), reset="value", v_reset=-0.3),
        neuron(alpha_mem=0.0, reset="none"),
        MembraneReadout(shape=(3,), alpha_mem=0.9, gain=0.5),
        MembraneReadout(shape=(3,)),
        MembraneReadout(shape=(3,), alpha_mem=0.9, alpha_syn=[0.5]),
    ],
)
def test_what_nir_can_say_is_in_its_own_fields(node):
    graph = line(Linear(weight=np.random.default_rng(0).normal(0.3, 0.5, (3, 3))), node)
    read_by_others = to_graph(anyone(graph), dialect="euler", dt=DT)
    x = np.random.default_rng(1).integers(0, 3, (2, 50, 3))
    wanted, got = interpret(graph, x).spikes, interpret(read_by_others, x).spikes
    np.testing.assert_allclose(got, wanted, atol=1e-9)
    assert np.any(wanted)


def test_recurrence_is_a_loop_to_others():
    rng = np.random.default_rng(0)
    nodes = {
        "in": Input(shape=(3,)),
        "sum": Add(),
        "lif": neuron(alpha_mem=0.9),
        "rec": Linear(weight=rng.normal(size=(3, 3)), bias=rng.normal(size=3)),
        "late": Linear(weight=rng.normal(size=(3, 3))),
        "out": Output(),
    }
    edges = [Edge("in", "sum"), Edge("lif", "rec", 1), Edge("rec", "sum"), Edge("sum", "lif")]
    edges += [Edge("lif", "late", 2), Edge("late", "out")]
    graph = Graph(nodes, edges, dt=DT)
    file = anyone(graph)
    assert {"lif.delay.late"} == set(file.graph.nodes) - {*nodes}
    assert {("lif", "rec"), ("rec", "lif")} <= set(file.graph.edges)
    x = rng.integers(0, 3, (2, 50, 3))
    read_by_others = to_graph(file, dialect="euler", dt=DT)
    np.testing.assert_allclose(
        interpret(read_by_others, x).spikes, interpret(graph, x).spikes, atol=1e-9
    )


def test_without_dt_time_constants_count_steps():
    file = from_graph(line(neuron(alpha_mem=0.9), dt=None))
    np.testing.assert_allclose(file.graph.nodes["n0"].fields["tau"], [10, 10, 10])


def test_what_others_will_not_see_is_logged(caplog):
    node = Neuron(shape=(3,), v_threshold=1.0, v_min=-1.0, reset_amount=0.5, alpha_mem=0.5)
    with caplog.at_level(logging.WARNING, "toolchain.nir"):
        from_graph(line(node))
        from_graph(line(neuron(alpha_mem=0.5, reset="value"), dt=None))
    (message,) = (record.getMessage() for record in caplog.records)
    assert (
        "dt = 0.001 s; n0: several spikes per step, spike when v equals v_threshold, "
        "lower bound of v, " in message
    )
    assert "reset amount" in message


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (Sensor(size=(2, 2)), "n0: NIR has no Sensor"),
        (BatchNorm(mean=[0], var=[1], gamma=[1], beta=[0], eps=0.0), "n0: NIR has no BatchNorm"),
        (neuron((3), reset="none"), "n0: no reset after a spike"),
        (neuron(3, reset="additive", v_reset=0.1), "n0: additive reset with v_reset"),
        (neuron(3, bias=0.1), "n0: bias on a membrane without leak"),
        (neuron(3, alpha_mem=np.array([1.0, 0.5, 0.5])), "n0: membrane without leak"),
        (neuron(3, alpha_syn=[0.5]), "n0: membrane without leak"),
        (neuron(3, alpha_mem=0.5, alpha_syn=[1.0]), "n0: synaptic current without decay"),
    ],
)
def test_what_has_no_nir_form_is_refused_by_name(node, words):
    shape = (1, 2, 2) if isinstance(node, (Sensor, BatchNorm)) else (3,)
    with pytest.raises(ModelFileError, match=words):
        from_graph(line(node, shape=shape))


def test_several_faults_are_refused_at_once():
    lif = neuron(2, alpha_mem=0.5, alpha_syn=[0.5, 0.6])
    none = neuron(2, alpha_mem=0.5, reset="none")
    with pytest.raises(ModelFileError, match="2 errors") as refused:
        from_graph(line(lif, none, shape=(4,)))
    assert "2 synapses per neuron; NIR has one" in str(refused.value)
    assert "no reset after a spike" in str(refused.value)


def test_several_outputs_keep_names_and_order():
    nodes = {
        "in": Input(shape=(3,)),
        "lif": neuron(3, alpha_mem=0.5),
        "head": Linear(weight=np.ones((2, 3))),
        "a": Output(label="position", index=1),
        "b": Output(label="class"),
    }
    edges = [("in", "lif"), ("lif", "head"), ("head", "b"), ("lif", "a")]
    graph = Graph(nodes, edges, dt=DT)
    file = from_graph(graph)
    assert str(to_graph(file)) == str(graph)
    # without our metadata: in the order of the file, under the names of the nodes
    plain = NirFile(graph=replace(file.graph, metadata={}), version=None, where="a.nir")
    again = to_graph(plain, dialect="euler", dt=DT, reset="subtract")
    assert again.output_names == {"a": "a", "b": "b"}
    x = np.random.default_rng(2).poisson(1.0, (2, 30, 3))
    for name, label in (("a", "position"), ("b", "class")):
        wanted = interpret(graph, x).outputs[label]
        assert wanted.any()
        np.testing.assert_array_equal(interpret(again, x).outputs[name], wanted)


# ---- files that something has changed, or damaged ----


def changed(graph, nodes=None, edges=None, text=None):
    file = from_graph(graph)
    original = file.graph
    modified = NirGraph(
        nodes={**original.nodes, **(nodes or {})},
        edges=original.edges if edges is None else edges,
        metadata=original.metadata if text is None else {"toolchain": text},
    )
    return replace(file, graph=modified, where="a.nir")


GRAPH = line(Linear(weight=np.eye(3)), neuron(alpha_mem=0.9))


def test_weights_changed_by_another_tool_are_taken():
    linear = NirNode(type="Linear", fields={"weight": 2 * np.eye(3)})
    graph = to_graph(changed(GRAPH, {"n0": linear}))
    np.testing.assert_array_equal(graph["n0"].weight, 2 * np.eye(3))
    assert graph["n1"].alpha_mem == 0.9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nodes": {"n1": NirNode(type="IF", fields={})}}, "node 'n1' was changed"),
        ({"nodes": {"n2": NirNode(type="IF", fields={})}}, r"added or removed \(n2\)"),
        ({"edges": (("in", "n0"),)}, "edges were changed"),
    ],
)
def test_other_changes_are_found(change, words):
    with pytest.raises(ModelFileError, match=f"a.nir: .*{words}.*pass dialect= to read"):
        to_graph(changed(GRAPH, **change))


def test_a_told_dialect_leaves_our_metadata_aside():
    linear = NirNode(type="Scale", fields={"scale": np.ones(3)})
    graph = to_graph(changed(GRAPH, {"n0": linear}), dialect="euler", dt=DT, reset="subtract")
    assert graph.provenance["nir_dialect"] == "euler (given)"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dt": 2e-3}, "dt=0.002 s was given, but the file has 0.001 s"),
        ({"reset": "value"}, "the file defines its own resets; omit reset="),
    ],
)
def test_what_is_told_must_not_differ_from_our_metadata(options, words):
    with pytest.raises(ModelFileError, match=words):
        to_graph(changed(GRAPH), **options)
    assert to_graph(changed(GRAPH), dt=DT).dt == DT


def test_a_step_can_be_told_where_the_graph_had_none():
    assert to_graph(from_graph(line(neuron(alpha_mem=0.5), dt=None)), dt=DT).dt == DT


def _text(**changes):
    data = json.loads(from_graph(GRAPH).graph.metadata["toolchain"])
    return json.dumps({**data, **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100000,
        "{}",
        _text(format="other/1"),
        _text(graph={}),
        _text(graph=[]),
        _text(arrays=[]),
        _text(arrays={"n1/alpha_mem": {"dtype": "object", "shape": [], "numbers": [1]}}),
        _text(arrays={"n1/alpha_mem": {"dtype": "int8", "shape": [], "numbers": [10**30]}}),
        _text(arrays={"n1/alpha_mem": {"dtype": "float64", "shape": [2], "numbers": [1.0]}}),
        _text(fields=["n7/weight"]),
        _text(fields=["n1/tau"]),
        _text(fields=[3]),
    ],
)
def test_damaged_metadata_ends_in_an_error_that_names_it(text):
    with pytest.raises(ModelFileError, match=r"a\.nir: metadata 'toolchain'"):
        to_graph(changed(GRAPH, text=text))
