"""The program of a network: every weight in its place, every layer on time."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from tests.cases import each
from tests.chips.xylo import contract
from tests.chips.xylo.graphs import (
    in_network_order,
    in_whole_numbers,
    integers,
    layered,
    lif,
    readout,
    residual,
    sequence,
    wired,
)
from toolchain.chips.load import load_chip
from toolchain.chips.xylo import simulate
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.place import arrange
from toolchain.chips.xylo.rules.graph import check_graph
from toolchain.chips.xylo.simulate.twin import simulate_slow
from toolchain.diagnostics import Severity
from toolchain.ir import Edge, Flatten, Graph, Input, Linear
from toolchain.runs.interpret import interpret

CHIPS = ("xylo_a2", "xylo_imu", "xylo_a3")
A2, IMU, A3 = map(load_chip, CHIPS)


def lowered(graph, chip=A2):
    return lower(in_whole_numbers(graph), chip)


def ids(program):
    return {p.name: (p.role, p.start, p.stop) for p in program.populations}


@each("seed", range(20))
@each("chip", CHIPS)
def test_a_random_network_is_free_of_errors_and_every_weight_is_in_its_place(chip, seed):
    rng = np.random.default_rng(seed)
    spec = load_chip(chip)
    graph, connections = layered(rng, synapses=1 if chip == "xylo_imu" else 1 + seed % 2)
    assert [f for f in check_graph(graph, spec) if f.severity is Severity.ERROR] == []
    quantized = integers(rng, graph)
    program = lower(quantized, spec)
    want = {
        "weights_in": np.zeros_like(program.weights_in),
        "weights_rec": np.zeros_like(program.weights_rec),
        "weights_out": np.zeros_like(program.weights_out)[:, :, None],
    }
    place = ids(program)
    for pre, post, *_ in connections:
        weight = quantized[f"{pre}_{post}"].weight
        role, start, stop = place[post]
        first = 0 if pre == "input" else place[pre][1]
        kind = "in" if pre == "input" else {"hidden": "rec", "output": "out"}[role]
        synapses = quantized[post].synapses
        for row, values in enumerate(weight):
            neuron, synapse = start + row // synapses, row % synapses
            assert neuron < stop
            want[f"weights_{kind}"][first : first + len(values), neuron, synapse] = values
    for name, matrix in want.items():
        np.testing.assert_array_equal(getattr(program, name).reshape(matrix.shape), matrix)


def test_constants_of_each_layer_are_at_its_ids():
    layers = {
        "a": lif(2, alpha_mem=1 - 2.0**-5),
        "b": lif(1, synapses=2, alpha_syn=[0.5, 1 - 2.0**-7], v_threshold=254),
        "out": readout(1, alpha_syn=[1 - 2.0**-4], v_threshold=127, bias=-32),
    }
    layers["a"] = replace(layers["a"], v_threshold=np.array([381, 508]), bias=np.array([64, 0]))
    connections = [
        ("input", "a", 127 * np.eye(2, dtype=int)),
        ("a", "b", [[1, 2], [3, 4]]),
        ("b", "out", [[5]]),
    ]
    program = lower(wired(2, layers, connections), A2)
    assert program.threshold.tolist() == [381, 508, 254]
    assert program.bias.tolist() == [64, 0, 0]
    assert program.weights_rec[:2, 2].tolist() == [[1, 3], [2, 4]]
    assert program.dash_mem.tolist() == [5, 5, 3]
    assert program.dash_syn.tolist() == [2, 2, 1]
    assert program.dash_syn_2.tolist() == [0, 0, 7]
    assert program.weights_in[..., 0].tolist() == [[127, 0, 0], [0, 127, 0]]
    assert not program.weights_in[..., 1].any()
    assert program.dash_syn_out.tolist() == [4]
    assert program.threshold_out.tolist() == [127]
    assert program.bias_out.tolist() == [-32]
    assert program.dt == 1e-3
    assert program.input_name == "input"


def test_an_image_at_the_input_is_read_row_by_row():
    weight = np.arange(6.0)[None]
    nodes = {"pixels": Input(shape=(1, 2, 3)), "flat": Flatten()}
    nodes |= {"w": Linear(weight=weight), "h": lif(1), "v": Linear(weight=[[1.0]])}
    graph = Graph.chain({**nodes, "out": readout(1), "end": sequence(1, 1, 1)["output"]})
    program = lowered(graph)
    assert program.weights_in[:, 0, 0].tolist() == [0, 25, 51, 76, 102, 127]
    assert program.input_name == "pixels"


def fork():
    """``both`` reads the input and feeds the outputs; the way around it has delays in it."""
    layers = {name: lif(2) for name in ("late", "first", "middle", "both")}
    layers["out"] = readout(1)
    square, row = np.eye(2), np.ones((1, 2))
    connections = [
        ("input", "first", square),
        ("input", "both", square),
        ("first", "middle", square),
        ("middle", "late", square, 2),
        ("both", "out", row),
        ("late", "out", row),
    ]
    return wired(2, layers, connections)


def test_on_audio_2_ids_follow_the_network():
    assert ids(lowered(fork(), A2)) == {
        "both": ("hidden", 0, 2),
        "first": ("hidden", 2, 4),
        "late": ("hidden", 4, 6),
        "middle": ("hidden", 6, 8),
        "out": ("output", 0, 1),
    }


@pytest.mark.parametrize("chip", [IMU, A3], ids=["imu", "a3"])
def test_elsewhere_what_reads_the_input_is_first_and_what_feeds_the_outputs_last(chip):
    program = lowered(fork(), chip)
    assert [p.name for p in program.populations] == ["first", "middle", "both", "late", "out"]
    assert np.flatnonzero(program.weights_out.any(axis=1)).tolist() == [4, 5, 6, 7]
    assert np.flatnonzero(program.weights_in.any(axis=(0, 2))).tolist() == [0, 1, 4, 5]


@pytest.mark.parametrize("chip", [IMU, A3], ids=["imu", "a3"])
def test_a_single_hidden_layer_is_first_and_last(chip):
    program = lowered(sequence(3, 5, 2), chip)
    assert ids(program) == {"l0": ("hidden", 0, 5), "l1": ("output", 0, 2)}


@pytest.mark.parametrize("chip", [IMU, A3], ids=["imu", "a3"])
def test_the_rows_of_the_readout_are_the_last_ids(chip):
    program = lowered(sequence(3, 7, 6, 5, 2), chip)
    assert np.flatnonzero(program.weights_out.any(axis=1)).tolist() == [13, 14, 15, 16, 17]
    assert np.flatnonzero(program.weights_in.any(axis=(0, 2))).tolist() == [*range(7)]


def test_what_is_between_goes_where_there_is_room_for_it():
    """``both`` needs the first 128 ids and the last 128, and the rest divides up around it."""
    sizes = {"first": 20, "both": 70, "last": 8, "m0": 30, "m1": 30, "m2": 20}
    graph = joined(sizes, reads=("first", "both"), feeds=("both", "last"))
    order = [p.name for p in lowered(graph, A3).populations]
    assert order == ["first", "m0", "both", "m1", "m2", "last", "out"]
    assert within(graph, A3)
    assert not within(joined(sizes | {"m2": 21}, reads=("first", "both"), feeds=("both", "last")))


def joined(sizes, reads, feeds):
    """Hidden layers of those sizes, some read by the input and some by the outputs.

    Those that hear no input hear the first that does, those that feed no outputs feed nothing.
    """
    layers = {name: lif(size) for name, size in sizes.items()} | {"out": readout(1)}
    connections = [("input", name, np.ones((sizes[name], 1))) for name in reads]
    connections += [
        (reads[0], name, np.ones((sizes[name], sizes[reads[0]])))
        for name in sizes
        if name not in reads
    ]
    connections += [(name, "out", np.ones((1, sizes[name]))) for name in feeds]
    return wired(1, layers, connections)


def reach(layers, order):
    """Ids that the input needs from the first on, and the outputs up to the last."""
    sizes = {name: node.shape[0] for name, node in layers.neurons.items()}
    reached = {p.post for p in layers.projections if p.pre == layers.input}
    read = {p.pre for p in layers.projections if p.post in layers.outputs}
    last = max(k for k, name in enumerate(order) if name in reached)
    first = min(k for k, name in enumerate(order) if name in read)
    return sum(sizes[n] for n in order[: last + 1]), sum(sizes[n] for n in order[first:])


def within(graph, chip=A3):
    """Whether the ids that layers get are within both windows."""
    arranged = arrange(read_layers(graph), chip)
    order = [p.name for p in arranged.populations if p.role == "hidden"]
    return max(reach(arranged.layers, order)) <= chip.limits.input_expansion.value


@each("seed", range(60))
def test_if_any_order_of_layers_is_within_both_windows_so_is_theirs(seed):
    rng = np.random.default_rng(seed)
    names = [f"l{k}" for k in range(int(rng.integers(2, 7)))]
    sizes = {name: int(rng.integers(5, 90 // len(names) * 3)) for name in names}
    reads = [n for n in names if rng.random() < 0.4] or names[:1]
    feeds = [n for n in names if rng.random() < 0.4] or names[-1:]
    graph = joined(sizes, reads, feeds)
    layers = read_layers(graph)
    possible = any(max(reach(layers, order)) <= 128 for order in permutations(names))
    assert within(graph) == possible


def test_both_answers_are_among_these_networks():
    assert {within(joined({"l0": size, "l1": 60}, ["l0"], ["l0", "l1"])) for size in (68, 69)} == {
        True,
        False,
    }


@each("seed", range(30))
def test_aliases_never_take_a_network_out_of_the_windows(seed):
    rng = np.random.default_rng(seed)
    graph = residual(rng, depth=int(rng.integers(2, 7)), size=int(rng.integers(20, 70)))
    layers = read_layers(graph)
    names = [name for name in layers.neurons if name != "out"]
    possible = any(max(reach(layers, order)) <= 128 for order in permutations(names))
    assert within(graph) >= possible
    places = ids(lowered(graph, A3))
    for source, target in arrange(layers, A3).aliases.items():
        assert places[source][1] < places[target][1]


def test_a_network_too_large_for_the_chip_still_gives_a_program():
    program = lowered(sequence(20, 1001, 9))
    assert (program.inputs, program.hidden, program.outputs) == (20, 1001, 9)


# ---- it does on the chip what it does in the network, each layer late by its lag ----


@each("seed", range(24))
def test_every_layer_spikes_on_the_chip_as_in_the_network_after_its_lag(seed):
    rng = np.random.default_rng(seed)
    graph, _ = layered(rng, synapses=1 + seed % 2, density=0.4)
    graph = integers(rng, graph)
    program = lower(graph, [A2, A3][seed // 2 % 2])
    spikes = rng.poisson(1.0, (80, program.inputs)).clip(0, 15)
    wanted = in_network_order(graph, spikes)
    got = contract.simulate(program, spikes[None], record=True, timing="clocked")
    steps = len(wanted["out"])
    assert sum(layer.any() for layer in wanted.values()) > 2
    for name, lag in read_layers(graph).lags().items():
        late = got.layers[name].spikes[0, lag:steps]
        np.testing.assert_array_equal(late, wanted[name][: steps - lag], err_msg=name)


def test_the_chip_agrees_with_the_float_reference_where_leaks_hardly_round():
    rng = np.random.default_rng(0)
    layers = {"a": lif(40, v_threshold=12.0), "out": readout(8, v_threshold=40.0)}
    weights = [rng.normal(0.2, 1, (40, 8)), rng.normal(0, 0.1, (40, 40)), rng.normal(0, 1, (8, 40))]
    connections = [("input", "a", weights[0]), ("a", "a", weights[1], 1), ("a", "out", weights[2])]
    quantized = in_whole_numbers(wired(8, layers, connections))
    spikes = rng.poisson(0.7, (8, 100, 8)).clip(0, 15)
    wanted = interpret(quantized, spikes, record=True)
    got = contract.simulate(lower(quantized, A2), spikes, record=True, timing="clocked")
    assert wanted.layers["a"].spikes.mean() > 0.05
    for name, lag in (("a", 0), ("out", 1)):
        a, b = wanted.layers[name].spikes.sum(axis=1), got.layers[name].spikes.sum(axis=1)
        assert np.abs(a - b).mean() < 0.1 * a.mean()
        same = [
            (
                wanted.layers[name].spikes[:, : 98 - late] == got.layers[name].spikes[:, late:98]
            ).mean()
            for late in (lag, lag + 1)
        ]
        assert 1 - same[1] > 2 * (1 - same[0])


def test_the_slow_twin_and_the_kernel_agree_on_a_lowered_network():
    program = lowered(layered(np.random.default_rng(5))[0])
    raster = np.random.default_rng(0).poisson(1.0, (1, 30, program.inputs)).clip(0, 15)
    fast, slow = simulate(program, raster, record=True), simulate_slow(program, raster)
    np.testing.assert_array_equal(fast.spikes, slow.spikes)
    np.testing.assert_array_equal(fast.v_mem, slow.v_mem)


# ---- weight shifts ----


def in_integers(weight_in, weight_out):
    """One hidden layer of integers, as a quantizer gives it."""
    layers = {"a": lif(2), "out": readout(1)}
    connections = [("input", "a", np.array(weight_in)), ("a", "out", np.array(weight_out))]
    return lower(wired(2, layers, connections), A2)


def test_weights_wider_than_the_chips_become_a_shift_of_their_matrix():
    program = in_integers([[1016, -8], [0, 16]], [[254, -256]])
    assert (program.weight_shift_in, program.weight_shift_out) == (3, 1)
    np.testing.assert_array_equal(program.weights_in[..., 0].T, [[127, -1], [0, 2]])
    np.testing.assert_array_equal(program.weights_out.T, [[127, -128]])


def test_weights_that_no_shift_makes_short_are_refused():
    with pytest.raises(ValueError, match="weights_in need more than 8 bit"):
        in_integers([[1016, -7], [0, 16]], [[1, 1]])


# ---- lags ----


def test_each_hidden_layer_passed_costs_a_step():
    graph = sequence(2, 3, 3, 3, 1)
    assert read_layers(graph).lags() == {"l0": 0, "l1": 1, "l2": 2, "l3": 3}
    assert contract.lag(graph) == 3


def test_recurrence_costs_nothing():
    layers = {"a": lif(2), "out": readout(1)}
    connections = [("input", "a", np.eye(2)), ("a", "a", np.eye(2), 1), ("a", "out", [[1.0, 1.0]])]
    assert read_layers(wired(2, layers, connections)).lags() == {"a": 0, "out": 1}


def test_a_delay_in_the_network_is_a_step_that_the_chip_need_not_wait():
    layers = {"a": lif(2), "out": readout(1)}
    connections = [("input", "a", np.eye(2), 3), ("a", "out", [[1.0, 1.0]], 1)]
    assert contract.lag(wired(2, layers, connections)) == -3


def test_a_delay_before_the_output_counts():
    graph = sequence(2, 3, 1)
    edges = [Edge(e.pre, e.post, int(e.post == "output")) for e in graph.edges]
    assert contract.lag(Graph(graph.nodes, edges, dt=graph.dt)) == 0
