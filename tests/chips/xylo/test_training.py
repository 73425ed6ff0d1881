"""Training of the integers of Xylo: the chip's spikes forward, surrogate gradients backward."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cases import each
from tests.chips.xylo import autograd, contract
from tests.chips.xylo.graphs import lif, readout, wired
from tests.chips.xylo.random_integers import network, values_of, with_integers
from tests.chips.xylo.training_law import differences, errors, forward
from toolchain.chips.contract import Options
from toolchain.chips.load import load_chip
from toolchain.chips.xylo import XyloProgram
from toolchain.chips.xylo.family import Xylo
from toolchain.ir import Add, Edge, Flatten, Graph, Input, Linear, Neuron

A2 = Xylo.on(load_chip("xylo_a2"))
RNG = np.random.default_rng(5)


def integers(graph, threshold=300):
    graph = graph.map(Linear, lambda _, node: Linear(weight=node.weight.astype(int)))
    return graph.map(Neuron, lambda _, node: replace(node, v_threshold=np.array(threshold)))


def net(connections, sizes, **changes):
    """A network of integers; ``connections`` are (pre, post, weight) of (post, pre)."""
    layers = {name: lif(size) for name, size in sizes.items()}
    layers["out"] = readout(2)
    return integers(wired(2, layers, connections, **changes))


def drawn(*shape, most=60):
    return RNG.integers(-most, most + 1, shape)


def trainable(graph, family=A2):
    return family.lower(graph, Options()).trainable(graph)


def run(program, graph, spikes, values=None, gradient=True, **rest):
    values = values_of(program, graph) if values is None else values
    given = {"layers": [*program.layers], "timing": "clocked", "threads": 1} | rest
    return program.run(values, spikes, gradient=gradient, **given)


def all_gradients(program, tape):
    rng = np.random.default_rng(0)
    outer = {n: rng.normal(size=v.shape).astype(np.float32) for n, v in tape.values.items()}
    return program.gradients(tape, outer, wanted=[*program.parameters], of_input=True)


# ---- the law ----


@each("seed", [3, 8, 10, 12, 22, 32, 37, 39, 50])
def test_values_are_the_chips_and_gradients_those_of_torch(seed):
    found = forward(seed, gradient=True)
    assert not differences(found)
    assert max(errors(found).values()) < 1e-4


def test_a_pass_without_gradients_has_the_same_outputs():
    on_chip, graph, spikes = network(14)
    program = on_chip.trainable(graph)
    found = run(program, graph, spikes, layers=program.outputs, gradient=False)
    (name,) = program.outputs
    wanted = run(program, graph, spikes)
    np.testing.assert_array_equal(found.values[name], wanted.values[name])
    with pytest.raises(ValueError, match="gradient=True"):
        program.gradients(found, {}, wanted=[])


@each("seed", [8, 24])
def test_results_depend_neither_on_threads_nor_on_the_length_of_the_record(seed):
    on_chip, graph, _ = network(seed)
    program = on_chip.trainable(graph)
    (inputs,) = graph.shape(graph.input)
    spikes = np.random.default_rng(seed).poisson(0.3, (70, 90, inputs)).clip(0, 15)
    tape = run(program, graph, spikes)
    wanted = all_gradients(program, tape)
    for threads, budget in [(2, program.budget), (None, 1), (1, 60 * 3 * 70 * 20)]:
        short = replace(program, budget=budget)
        found = run(short, graph, spikes, threads=threads)
        assert dict(found.saturations) == dict(tape.saturations)
        for name, values in tape.values.items():
            np.testing.assert_array_equal(found.values[name], values)
        gradients = all_gradients(short, found)
        for name, gradient in wanted.items():
            assert gradients[name].tobytes() == gradient.tobytes(), (threads, budget, name)


def test_a_tape_keeps_its_input_and_values():
    weights = np.abs(drawn(3, 2)) + 1, np.abs(drawn(2, 3)) + 1
    graph = net([("input", "a", weights[0]), ("a", "out", weights[1])], {"a": 3})
    program, spikes = trainable(graph), RNG.poisson(2, (2, 40, 2)).astype(np.uint8)
    values = {name: np.array(value) for name, value in values_of(program, graph).items()}
    tape = run(program, graph, spikes, values)
    wanted = all_gradients(program, tape)
    assert wanted["input_a.weight"].any()
    spikes[:] = 0
    values["a_out.weight"][:] = 0
    for name, gradient in all_gradients(program, tape).items():
        np.testing.assert_array_equal(gradient, wanted[name])


# ---- parameters ----


def test_weights_have_the_range_of_the_words_of_their_matrix():
    graph = net([("input", "a", 4 * drawn(3, 2, most=127)), ("a", "out", drawn(2, 3))], {"a": 3})
    graph = with_integers(graph, {"a_out.weight": np.array([[-128, 3, 1], [0, 1, 2]])})
    graph = with_integers(graph, {"input_a.weight": np.array([[508, -508]] * 3)})
    graph = with_integers(graph, {"a.bias": np.array(3)})
    p = trainable(graph).parameters
    names = ["input_a.weight", "a.v_threshold", "a.bias", "a_out.weight", "out.v_threshold"]
    assert [*p] == names
    first, last = p["input_a.weight"], p["a_out.weight"]
    assert (first.low, first.high, first.step) == (-508, 508, 4)
    assert (last.low, last.high, last.step) == (-128, 127, 1)
    assert (p["a.v_threshold"].low, p["a.v_threshold"].high) == (1, 32767)
    assert (p["a.bias"].low, p["a.bias"].high, p["a.bias"].shape) == (-128, 127, ())


def test_a_core_without_biases_has_no_such_parameter():
    graph = net([("input", "a", drawn(3, 2)), ("a", "out", drawn(2, 3))], {"a": 3})
    kinds = {p.kind for p in trainable(graph, Xylo.on(load_chip("xylo_1"))).parameters.values()}
    assert kinds == {"weight", "threshold"}


def parallel(one, other):
    """Two weights between the same layers."""
    extra = {"second": Linear(weight=other)}
    connections = [("input", "a", drawn(2, 2)), ("a", "b", one), ("b", "out", drawn(2, 2))]
    graph = wired(2, {"a": lif(2), "b": lif(2), "out": readout(2)}, connections)
    return integers(_beside(graph, extra))


def _beside(graph, extra):
    edges = [e for e in graph.edges if e != Edge("a_b", "b")]
    edges += [Edge("a", "second"), Edge("a_b", "sum"), Edge("second", "sum"), Edge("sum", "b")]
    return Graph({**graph.nodes, **extra, "sum": Add()}, edges, dt=graph.dt)


def test_weights_in_the_same_registers_share_their_range():
    graph = parallel(np.array([[50, 2], [3, -4]]), np.array([[1, 2], [3, 40]]))
    program = trainable(graph)
    one, other = program.parameters["a_b.weight"], program.parameters["second.weight"]
    assert (one.low, one.high) == (-65, 68)
    assert (other.low, other.high) == (-61, 58)
    values = values_of(program, graph)
    values |= {"a_b.weight": np.full((2, 2), 68), "second.weight": np.full((2, 2), 58)}
    spikes = RNG.poisson(0.5, (3, 30, 2))
    again = A2.lower(with_integers(graph, values), Options())
    wanted = again.simulate(spikes, timing="clocked").spikes
    np.testing.assert_array_equal(run(program, graph, spikes, values).values["out"], wanted)


def test_a_weight_of_several_layers_has_the_gradient_of_all_of_them():
    first, second, third = np.array([[60, 9], [-5, 40]]), np.array([[30, 7], [9, 8]]), np.eye(2)
    graph = net([("input", "a", first), ("a", "out", second)], {"a": 2})
    twice = {"b": graph["a"], "b_out": Linear(weight=20 * third.astype(int)), "sum": Add()}
    edges = [e for e in graph.edges if e != Edge("a_out", "out")]
    edges += [Edge("input_a", "b"), Edge("b", "b_out"), Edge("a_out", "sum")]
    edges += [Edge("b_out", "sum"), Edge("sum", "out")]
    graph = Graph({**graph.nodes, **twice}, edges, dt=1e-3)
    program, spikes = trainable(graph), RNG.poisson(1, (3, 40, 2))
    tape = run(program, graph, spikes)
    outer = {"out": np.ones((3, 40, 2), np.float32)}
    on_chip = A2.lower(graph, Options())
    recording = on_chip.simulate(spikes, record=True, timing="clocked")
    wanted = autograd.gradients(graph, on_chip.program, recording, spikes, outer)
    name = "input_a.weight"
    found = program.gradients(tape, outer, wanted=[name])[name]
    assert np.abs(wanted[name]).max() > 0
    np.testing.assert_allclose(found, wanted[name], rtol=1e-4, atol=1e-4 * wanted[name].max())


def test_weights_that_leave_each_other_no_range_are_refused():
    graph = parallel(np.array([[120, 0], [0, 0]]), np.array([[0, 0], [0, 120]]))
    with pytest.raises(ValueError, match=r"a_b and second .* merge them into one weight"):
        trainable(graph)


def test_an_input_of_several_axes_keeps_them_in_its_gradient():
    graph = net([("input", "a", drawn(3, 2)), ("a", "out", drawn(2, 3))], {"a": 3})
    nodes = graph.nodes | {"input": Input(shape=(2, 1)), "flat": Flatten()}
    edges = [e for e in graph.edges if e != Edge("input", "input_a")]
    graph = Graph(nodes, [*edges, Edge("input", "flat"), Edge("flat", "input_a")], dt=1e-3)
    program = trainable(graph)
    tape = run(program, graph, RNG.poisson(1, (3, 20, 2, 1)))
    assert all_gradients(program, tape)["input"].shape == (3, 20, 2, 1)


# ---- finished programs ----


def finished(**changes):
    fields = {
        "weights_in": np.abs(drawn(2, 3)),
        "weights_rec": drawn(3, 3),
        "weights_out": np.abs(drawn(3, 2)),
        "weight_shift_in": 2,
        "threshold": 200,
        "threshold_out": 300,
        **dict.fromkeys(("dash_mem", "dash_syn", "dash_mem_out", "dash_syn_out"), 3),
    }
    return contract.bound(XyloProgram.from_specification("xylo_a2", **fields | changes))


def test_a_finished_program_is_trained_as_its_network():
    on_chip = finished()
    graph = on_chip.network()
    program, spikes = on_chip.trainable(graph), RNG.poisson(1, (3, 30, 2))
    wanted = on_chip.simulate(spikes, timing="clocked").spikes
    assert wanted.any()
    np.testing.assert_array_equal(run(program, graph, spikes).values["output"], wanted)


def test_a_finished_program_with_aliases_is_refused():
    on_chip = finished(aliases=[[1], [], []])
    with pytest.raises(ValueError, match=r"gives other .*aliases.* deploy the network"):
        on_chip.trainable(on_chip.network())


# ---- refusals ----


@each(
    ("change", "message"),
    [
        ({"timing": "event"}, "must be clocked"),
        ({"steps": 3}, "steps requires event arrays"),
        ({"layers": ["b"]}, r"layers: unknown b; known are a, out"),
        ({"threads": 0}, "threads must be an integer"),
        ({"values": {}}, "missing"),
        ({"values": {"a_out.weight": np.full((2, 3), 128)}}, r"in -127\.\.127, got 128\.\.128"),
        ({"values": {"a_out.weight": np.full((2, 3), 0.5)}}, "must hold integers, got float64"),
        ({"values": {"a_out.weight": np.ones((3, 2), int)}}, "must have shape"),
        ({"values": {"input_a.weight": np.ones((3, 2), int)}}, "multiples of 2"),
    ],
)
def test_what_cannot_be_run_is_refused(change, message):
    weight = np.array([[254, -2], [2, 2], [0, 4]])
    graph = net([("input", "a", weight), ("a", "out", drawn(2, 3))], {"a": 3})
    program = trainable(graph)
    values = change.pop("values", None) if "values" in change else None
    if values:
        values = values_of(program, graph) | values
    with pytest.raises(ValueError, match=message):
        run(program, graph, np.ones((1, 4, 2), int), values, **change)


def test_an_overflow_of_the_gradient_is_found_by_its_values():
    on_chip, graph, spikes = network(198)
    program = on_chip.trainable(graph)
    found = all_gradients(program, run(program, graph, spikes))
    assert found.keys() == {*program.parameters, "input"}
