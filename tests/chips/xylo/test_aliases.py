"""Layers that hand their spikes on: the same network for fewer connections."""

import numpy as np
import pytest
import torch

from tests.cases import each
from tests.chips.xylo import contract
from tests.chips.xylo.graphs import (
    in_network_order,
    in_whole_numbers,
    integers,
    lif,
    readout,
    residual,
    wired,
)
from toolchain import deploy
from toolchain.chips.load import load_chip
from toolchain.chips.xylo import simulate
from toolchain.chips.xylo.approximations import approximate
from toolchain.chips.xylo.lower.aliases import received_by
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.lower.place import arrange
from toolchain.chips.xylo.rules.graph import check_graph
from toolchain.chips.xylo.simulate.twin import simulate_slow
from toolchain.diagnostics import Severity
from toolchain.ir import Linear
from toolchain.nn import CubaLIF, Merge
from toolchain.runs.interpret import interpret

A2, IMU, A3 = map(load_chip, ("xylo_a2", "xylo_imu", "xylo_a3"))
SQUARE, ROWS = np.eye(2), np.ones((2, 2))


def without(chip):
    """The same chip, but without aliases."""
    none = chip.limits.alias_targets.model_copy(update={"value": 0})
    return chip.model_copy(
        update={"limits": chip.limits.model_copy(update={"alias_targets": none})}
    )


def on_time(graph, chip=A2):
    """The graph as the chip times it."""
    return approximate(graph, chip, ("delays->hops",))[0]


def net(connections, *, sizes=None, **changes):
    """Layers of two neurons, named by ``connections``, with an output layer ``out``."""
    names = {n for pre, post, *_ in connections for n in (*pre.split("+"), post)}
    sizes = sizes or {}
    layers = {n: lif(sizes.get(n, 2), **changes) for n in sorted(names - {"input", "out"})}
    layers["out"] = readout(2)
    rows = {n: node.shape[0] * node.synapses for n, node in layers.items()}
    weights = [
        (pre, post, np.ones((rows[post], sizes.get(pre.split("+")[0], 2))), *delay)
        for pre, post, *delay in connections
    ]
    return wired(2, layers, weights)


BLOCK = [("input", "a"), ("a", "b"), ("a+b", "c"), ("c", "out")]
NESTED = [("input", "a"), ("a", "b"), ("a+b", "c"), ("a+b+c", "d"), ("d", "out")]


def aliases(graph, chip=A2):
    return dict(arrange(read_layers(on_time(graph)), chip).aliases)


def messages(graph, rule, chip=A2):
    return [f"{f.where}: {f.message}" for f in check_graph(on_time(graph), chip) if f.rule == rule]


# ---- which layers ----


def test_the_layer_around_a_block_is_an_alias_of_the_block():
    assert aliases(net(BLOCK)) == {"a": "b"}


def test_blocks_in_blocks_are_a_chain():
    assert aliases(net(NESTED)) == {"a": "b", "b": "c"}


def test_branches_side_by_side_are_joined_in_their_order():
    parallel = [("input", "a"), ("input", "b"), ("input", "c"), ("a+b+c", "d"), ("d", "out")]
    assert aliases(net(parallel)) == {"a": "b", "b": "c"}


def test_a_layer_that_comes_later_in_the_network_can_be_the_source():
    more = [("input", "a"), ("input", "b"), ("a+b", "c"), ("b", "d"), ("c", "out"), ("d", "out")]
    graph = net(more)
    assert aliases(graph) == {"b": "a"}
    program = lower(in_whole_numbers(graph), A2)
    assert [p.name for p in program.populations] == ["b", "a", "c", "d", "out"]
    assert program.aliases[:4] == ((2,), (3,), (), ())


def test_of_two_targets_the_one_that_feeds_more_is_taken():
    graph = net(
        [
            ("input", "a"),
            ("input", "b"),
            ("input", "e"),
            ("a+b", "c"),
            ("a+e", "d"),
            ("c", "out"),
            ("d", "out"),
        ],
        sizes={"d": 3},
    )
    assert aliases(graph) == {"a": "e"}


def test_layers_before_the_outputs_can_be_joined_too():
    graph = net([("input", "a"), ("a", "b"), ("a+b", "out")])
    assert aliases(graph) == {"a": "b"}
    assert messages(graph, "aliases") == [
        "a: passes its spikes on through aliases of 'b', which saves up to 4 output weights"
    ]


DENSE = {
    "the block hears itself": [*BLOCK, ("b", "b", 1)],
    "each has weights of its own": [
        ("input", "a"),
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
        ("c", "out"),
    ],
    "the block feeds more": [*BLOCK[:3], ("b", "d"), ("d", "c"), ("c", "out")],
    "one after the other": [("input", "a"), ("a", "b"), ("b", "c"), ("c", "out")],
}


@pytest.mark.parametrize("connections", DENSE.values(), ids=DENSE)
def test_connections_stay_where_an_alias_would_be_heard_elsewhere(connections):
    assert aliases(net(connections)) == {}


def test_a_block_that_hears_the_sum_of_both_is_joined():
    looped = [("input", "a"), ("a+b", "b", 1), ("a+b", "c"), ("c", "out")]
    assert aliases(net(looped)) == {"b": "a"}


def test_a_chip_without_aliases_gets_connections():
    assert aliases(net(BLOCK), without(A2)) == {}


# ---- the same network ----


def whole(seed, synapses=1):
    """A random residual network in integers, timed as the chip times it."""
    rng = np.random.default_rng(seed)
    graph = on_time(residual(rng, depth=3 + seed % 3, synapses=synapses))
    return integers(rng, graph, weights=(-24, 28), threshold=20 * synapses)


def both(graph, chip=A2):
    """Input, and program and records with aliases and without, up to the cap of either."""
    programs = [lower(graph, c) for c in (chip, without(chip))]
    raster = np.random.default_rng(0).poisson(1.0, (1, 150, programs[0].inputs)).clip(0, 15)
    totals = simulate(programs[0], raster, record=True).hidden_spikes[0].max(axis=1)
    raster = raster[:, : int(np.argmax(np.append(totals, 31) == 31))]
    assert raster.shape[1] > 30
    return raster, programs, [run(program, raster) for program in programs]


def run(program, raster):
    return contract.simulate(program, raster, record=True, timing="clocked")


@each("chip", [A2, IMU, A3])
@each("seed", range(16))
def test_a_network_with_aliases_is_the_one_with_all_its_connections(chip, seed):
    graph = whole(seed, 1 if chip is IMU else 1 + seed % 2)
    raster, programs, (one, other) = both(graph, chip)
    assert not any(one.saturations.values())
    assert programs[0].fan_out().sum() <= programs[1].fan_out().sum()
    for name, layer in one.layers.items():
        for field in ("spikes", "v_mem", "i_syn", "i_syn_2"):
            got, want = getattr(layer, field), getattr(other.layers[name], field)
            np.testing.assert_array_equal(got, want, err_msg=f"{name}.{field}")
    slow = simulate_slow(programs[0], raster[:, :40])
    np.testing.assert_array_equal(slow.spikes, one.spikes[:, :40])


def test_these_networks_have_all_kinds_of_joints_and_spike():
    kinds, spiking = set(), 0
    for seed in range(16):
        graph = whole(seed)
        found = arrange(read_layers(graph), A2).aliases
        kinds |= {"chain" if set(found) & set(found.values()) else "single"} if found else {"none"}
        sums = {tuple(sorted(p.pre for p in into)) for into in summed(graph)}
        kinds |= {"mixed"} if found and len(sums) > len(found) else set()
        spiking += sum(layer.spikes.any() for layer in both(graph)[2][0].layers.values()) > 2
    assert kinds == {"chain", "single", "none", "mixed"}
    assert spiking > 10


def summed(graph):
    """The projections of each weight that reads a sum of layers."""
    layers = read_layers(graph)
    by_weight = [[p for p in layers.projections if p.name == w] for w in graph.of(Linear)]
    return [projections for projections in by_weight if len(projections) > 1]


@each("seed", range(16))
def test_every_layer_spikes_as_in_the_network_after_its_lag(seed):
    graph = whole(seed)
    raster, _, (got, _) = both(graph)
    wanted = in_network_order(graph, raster[0])
    assert len(wanted["out"]) == raster.shape[1]
    for name, lag in read_layers(graph).lags().items():
        late, want = got.layers[name].spikes[0, lag:], wanted[name][: raster.shape[1] - lag]
        np.testing.assert_array_equal(late, want, err_msg=name)


def test_in_numbers_that_hardly_round_the_chip_is_the_float_network():
    thresholds = {"a": 3000, "b": 2500, "c": 3500}
    half = {"alpha_mem": 0.5, "alpha_syn": [0.5]}
    layers = {name: lif(2, v_threshold=v, **half) for name, v in thresholds.items()}
    layers["out"] = readout(2, v_threshold=3500, **half)
    weight = 2**12 * np.eye(2, dtype=int)
    connections = [(pre, post, weight) for pre, post in BLOCK]
    graph = on_time(wired(2, layers, connections))
    program = lower(graph, A2)
    assert program.aliases == ((2,), (3,), (), (), (), ())
    spikes = np.zeros((1, 30, 2), int)
    spikes[0, [0, 2, 3, 5, 6, 7, 8, 15, 16, 17], 0] = 1
    spikes[0, [1, 7, 20], 1] = 1
    wanted = interpret(graph, spikes, record=True)
    got = contract.simulate(program, spikes, record=True, timing="clocked")
    assert not any(got.saturations.values())
    for name, lag in read_layers(graph).lags().items():
        late, want = got.layers[name], wanted.layers[name]
        assert want.spikes[:, : 30 - lag].sum() > 3
        np.testing.assert_array_equal(late.spikes[:, lag:], want.spikes[:, : 30 - lag])
        np.testing.assert_allclose(late.v_mem[:, lag:], want.v_mem[:, : 30 - lag], atol=8)


# ---- what is told ----


def test_the_cap_holds_for_the_sum():
    layers = {n: lif(1, alpha_mem=0.5, alpha_syn=[0.5], v_threshold=10) for n in "abc"}
    layers["out"] = readout(1, v_threshold=1)
    connections = [(pre, post, [[20]]) for pre, post in BLOCK]
    graph = on_time(wired(1, layers, connections))
    program, dense = lower(graph, A2), lower(graph, without(A2))
    spikes = np.full((1, 20, 1), 15)
    total = simulate(program, spikes, record=True).hidden_spikes
    one, other = run(program, spikes), run(dense, spikes)
    assert total[0, -1, 1] == 31
    assert one.layers["a"].spikes[0, -1] + one.layers["b"].spikes[0, -1] == 31
    assert other.layers["a"].spikes[0, -1] + other.layers["b"].spikes[0, -1] > 31


def test_the_cap_of_the_sum_is_told_with_all_that_it_holds_for():
    text = "exact while no neuron spikes more than 31 times per step, spikes passed on from {} "
    assert messages(net(NESTED), "spike_caps") == [
        "b: " + text.format("'a'") + "included",
        "c: " + text.format("'a' and 'b'") + "included",
    ]
    assert messages(net(BLOCK, max_spikes=None), "spike_caps") == [
        "a: exact while no neuron spikes more than 31 times per step",
        "b: " + text.format("'a'") + "included",
        "c: exact while no neuron spikes more than 31 times per step",
    ]
    assert received_by("c", {"a": "b", "b": "c"}) == ("a", "b")


def test_what_aliases_save_is_told():
    assert messages(net(NESTED), "aliases") == [
        "a: passes its spikes on through aliases of 'b', which saves up to 8 recurrent entries",
        "b: passes its spikes on through aliases of 'c', which saves up to 4 recurrent entries",
    ]
    dense = lower(in_whole_numbers(net(NESTED)), without(A2))
    sparse = lower(in_whole_numbers(net(NESTED)), A2)
    assert dense.fan_out().sum() - sparse.fan_out().sum() == 12


def test_a_weight_of_both_synapses_is_one_entry_and_a_zero_is_none():
    graph = net(BLOCK, synapses=2)
    weight = Linear(weight=[[1, 0], [2, 0], [0, 0], [3, 4]])
    assert messages(
        graph.replace({"a+b_c": weight, "a_b": weight, "input_a": weight}), "aliases"
    ) == ["a: passes its spikes on through aliases of 'b', which saves up to 3 recurrent entries"]


def test_placement_says_where_spikes_are_passed_on():
    graph = on_time(net(BLOCK))
    program = lower(in_whole_numbers(graph), A2)
    assert contract.placement(program) == {
        "a": "hidden 0..1 -> 2..3",
        "b": "hidden 2..3",
        "c": "hidden 4..5",
        "out": "output 0..1",
    }
    assert [r.used for r in contract.resources(program, A2) if r.resource == "widest fan-out"] == [
        2,
        2,
        0,
    ]


def test_as_many_weights_are_passed_with_aliases_as_without():
    graph = integers(np.random.default_rng(0), on_time(net(NESTED)), threshold=40)
    spikes = np.random.default_rng(0).poisson(0.7, (2, 60, 2))
    rates = {"input": 50.0, "a": 20.0, "b": 30.0, "c": 10.0, "d": 40.0, "out": 5.0}
    programs = [lower(graph, chip) for chip in (A2, without(A2))]
    counted = [contract.activity(program, spikes).synops_per_step for program in programs]
    assumed = [contract.activity_at(program, rates, 100).synops_per_step for program in programs]
    assert counted[0] == pytest.approx(counted[1])
    assert assumed[0] == pytest.approx(assumed[1])
    assert counted[0] > 0


# ---- what becomes possible ----


@pytest.mark.parametrize("chip", [IMU, A3], ids=lambda chip: chip.name)
def test_a_block_before_the_outputs_is_within_reach_of_them_alone(chip):
    sizes = {"a": 100, "b": 100}
    graph = on_time(net([("input", "a"), ("a", "b"), ("a+b", "out")], sizes=sizes))
    assert [f.rule for f in refused(graph, chip)] == []
    assert [f.rule for f in refused(graph, without(chip))] == ["output_expansion"]


def refused(graph, chip):
    program = lower(in_whole_numbers(graph), chip)
    return [f for f in contract.check(program, chip) if f.severity is Severity.ERROR]


def test_a_wide_block_has_half_the_fan_out():
    sizes = {"a": 20, "b": 20, "c": 40}
    graph = on_time(net(BLOCK, sizes=sizes))
    assert [f.rule for f in refused(graph, A2)] == []
    more = on_time(net(BLOCK, sizes={**sizes, "c": 45}))
    assert [f.rule for f in refused(more, A2)] == []
    assert [f.rule for f in refused(more, without(A2))] == ["fan_out"]


# ---- the whole road ----


class Block(torch.nn.Module):
    """input -> a -> b, the sum of both -> out."""

    def __init__(self, recurrent):
        super().__init__()
        constants = {"tau_mem": 10e-3, "tau_syn": 5e-3, "dt": 1e-3}
        self.first = torch.nn.Linear(4, 12, bias=False)
        self.a = CubaLIF(12, max_spikes_per_dt=31, **constants)
        self.second = torch.nn.Linear(12, 12, bias=False)
        self.b = CubaLIF(12, max_spikes_per_dt=31, has_rec=recurrent, **constants)
        self.merge = Merge()
        self.third = torch.nn.Linear(12, 3, bias=False)
        self.out = CubaLIF(3, max_spikes_per_dt=1, **constants)

    def forward(self, data):
        around = self.a(self.first(data))
        return self.out(self.third(self.merge(self.b(self.second(around)), around)))


@pytest.mark.parametrize(
    ("recurrent", "passed_on"), [(False, True), (True, False)], ids=["block", "recurrent block"]
)
def test_a_trained_block_walks_to_the_chip(recurrent, passed_on):
    torch.manual_seed(0)
    model = Block(recurrent)
    spikes = np.random.default_rng(0).poisson(0.4, (4, 60, 4))
    sample = torch.as_tensor(spikes).float()
    d = deploy(model, chip="xylo", sample=sample, calibration=spikes, allow=("delays->hops",))
    assert any(d.program.aliases) == passed_on
    chip, graph = d.simulate(spikes, record=True), d.reference_quantized(spikes, record=True)
    for name, layer in graph.layers.items():
        wanted, got = layer.spikes.sum(), chip.layers[name].spikes.sum()
        assert abs(got - wanted) < 0.1 * wanted
