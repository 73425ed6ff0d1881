"""Biases of weights become biases of neurons: exactly where no synapse lies between."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import chain
from toolchain.ir import (
    Add,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Input,
    Linear,
    MembraneReadout,
    Neuron,
    Output,
)
from toolchain.passes import carry_bias
from toolchain.passes.carry_bias import settled
from toolchain.runs.interpret import interpret


def net(rng, *, delay_in=0, delay_out=0, **neuron):
    """Two biased weights summed before three neurons, and one more layer that hears itself."""

    def dense(outputs, inputs):
        return Linear(weight=rng.normal(size=(outputs, inputs)), bias=rng.normal(size=outputs))

    fields = {"shape": (3,), "alpha_mem": 0.75, "v_threshold": 1.0} | neuron
    rows = 3 * len(np.atleast_1d(fields.get("alpha_syn", 0)))
    nodes = {
        "input": Input(shape=(2,)),
        "a": dense(rows, 2),
        "b": dense(rows, 2),
        "sum": Add(),
        "one": Neuron(**fields),
        "c": dense(3, 3),
        "w_rec": dense(3, 3),
        "both": Add(),
        "two": Neuron(shape=(3,), alpha_mem=[0.5, 0.75, 0.9], v_threshold=2.0, gain=0.5),
        "output": Output(),
    }
    edges = [
        Edge("input", "a", delay_in),
        ("input", "b"),
        Edge("a", "sum", delay_out),
        ("b", "sum"),
        ("sum", "one"),
        ("one", "c"),
        ("c", "both"),
        Edge("two", "w_rec", 1),
        ("w_rec", "both"),
        ("both", "two"),
        ("two", "output"),
    ]
    return Graph(nodes, edges, dt=1e-3)


def biased(graph):
    return [name for name, node in graph.of(Linear).items() if node.bias is not None]


@given(st.integers(0, 2**32 - 1))
def test_without_synapses_nothing_else_changes(seed):
    rng = np.random.default_rng(seed)
    reset = ("subtract", "value", "none")[seed % 3]
    graph = net(rng, v_leak=0.1, v_init=0.3, gain=[1.0, 2.0, 0.5], bias=0.2, reset=reset)
    before = str(graph)
    after = carry_bias(graph)
    assert biased(after) == []
    spikes = rng.poisson(1.0, (2, 30, 2))
    one, other = (interpret(g, spikes, record=True) for g in (graph, after))
    for name in ("one", "two"):
        np.testing.assert_array_equal(one.layers[name].spikes, other.layers[name].spikes)
        np.testing.assert_allclose(one.layers[name].v_mem, other.layers[name].v_mem, atol=1e-9)
    assert str(graph) == before
    assert str(carry_bias(after)) == str(after)


def test_a_bias_that_acts_from_the_first_step_on_is_carried_though_its_input_is_late():
    graph = net(np.random.default_rng(0), delay_in=3)
    after = carry_bias(graph)
    assert biased(after) == []
    spikes = np.random.default_rng(0).poisson(1.0, (1, 20, 2))
    one, other = (interpret(g, spikes).spikes for g in (graph, after))
    np.testing.assert_array_equal(one, other)


def test_a_bias_that_acts_later_stays_unless_it_may_settle():
    graph = net(np.random.default_rng(0), delay_out=2)
    assert biased(carry_bias(graph)) == ["a", "b"]
    assert biased(carry_bias(graph, settle=True)) == []


def test_a_bias_behind_which_there_is_a_synapse_stays_unless_it_may_settle():
    graph = net(np.random.default_rng(0), alpha_syn=[0.5])
    assert biased(carry_bias(graph)) == ["a", "b"]
    after = carry_bias(graph, settle=True)
    # a synapse of 0.5 that adds first carries what it is given, in the end
    np.testing.assert_allclose(after["one"].bias, graph["a"].bias + graph["b"].bias)


def test_a_bias_that_counts_twice_is_carried_twice():
    nodes = {"input": Input(shape=(1,)), "w": Linear(weight=[[1.0]], bias=[0.25])}
    nodes |= {"v": Linear(weight=[[1.0]]), "s": Add(), "t": Add()}
    nodes |= {"h": Neuron(shape=(1,), v_threshold=1.0), "output": Output()}
    edges = [("input", "w"), ("input", "v"), ("w", "s"), ("v", "s"), ("s", "t"), ("w", "t")]
    after = carry_bias(Graph(nodes, [*edges, ("t", "h"), ("h", "output")]))
    np.testing.assert_array_equal(after["h"].bias, [0.5])


def weight(**bias):
    return Linear(weight=np.eye(2), **bias)


LEFT = {
    "no bias": chain((2,), weight(), Neuron(shape=(2,), v_threshold=1.0)),
    "a bias of 0": chain((2,), weight(bias=[0.0, 0.0]), Neuron(shape=(2,), v_threshold=1.0)),
    "no neuron behind it": chain((2,), weight(bias=[1.0, 0.0])),
    "something in between": chain(
        (2,), weight(bias=[1.0, 0.0]), Flatten(), Neuron(shape=(2,), v_threshold=1.0)
    ),
    "a synapse that never settles": chain(
        (2,), weight(bias=[1.0, 0.0]), Neuron(shape=(2,), v_threshold=1.0, alpha_syn=[1.0])
    ),
}


@pytest.mark.parametrize("graph", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("settle", [False, True])
def test_what_cannot_be_carried_is_left(graph, settle):
    assert str(carry_bias(graph, settle=settle)) == str(graph)


def test_a_weight_that_drives_two_layers_keeps_its_bias():
    nodes = {"input": Input(shape=(2,)), "w": weight(bias=[1.0, 0.0]), "both": Add()}
    nodes |= {n: Neuron(shape=(2,), v_threshold=1.0) for n in "ab"} | {"output": Output()}
    edges = [("input", "w"), ("w", "a"), ("w", "b"), ("a", "both"), ("b", "both")]
    graph = Graph(nodes, [*edges, ("both", "output")])
    assert str(carry_bias(graph)) == str(graph)


def test_a_convolution_keeps_its_bias():
    graph = chain(
        (1, 2, 2),
        conv=Conv2d(weight=np.ones((2, 1, 1, 1)), bias=[1.0, 2.0]),
        h=Neuron(shape=(2, 2, 2), v_threshold=1.0),
    )
    assert str(carry_bias(graph)) == str(graph)


def test_a_readout_takes_the_bias_too():
    after = carry_bias(
        chain((2,), weight(bias=[1.0, 2.0]), MembraneReadout(shape=(2,), alpha_mem=0.5))
    )
    np.testing.assert_array_equal(after["n1"].bias, [1.0, 2.0])


@given(
    st.lists(st.floats(0, 0.95), min_size=2, max_size=2),
    st.sampled_from(["add_decay", "decay_add"]),
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
)
def test_currents_settle_where_they_are_said_to(alphas, order, drive):
    node = Neuron(shape=(2,), v_threshold=1e9, alpha_syn=alphas, syn_order=order)
    graph = chain((1,), w=Linear(weight=np.zeros((4, 1)), bias=drive), h=node)
    layer = interpret(graph, np.zeros((1, 400, 1)), record=True).layers["h"]
    wanted = layer.i_syn[0, -1] + layer.i_syn_2[0, -1]
    np.testing.assert_allclose(settled(node, np.array(drive)), wanted, atol=1e-6)
