"""The program of a network: a core a layer, and the same spikes."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from tests.cases import each
from tests.chips.speck import contract
from tests.chips.speck.branched import branched
from tests.chips.speck.graphs import branching, conv, iaf, one
from tests.chips.speck.networks import chain
from toolchain.chips.load import load_chip
from toolchain.chips.speck import Destination, EventOptions, simulate
from toolchain.chips.speck.lower.integers import lower
from toolchain.chips.speck.rules.graph import check_graph
from toolchain.chips.speck.rules.program import check
from toolchain.chips.speck.simulate.event_twin import simulate_singly
from toolchain.chips.speck.simulate.prepared import check_wiring
from toolchain.chips.speck.simulate.twin import simulate_densely
from toolchain.diagnostics import Severity
from toolchain.ir import Add, AvgPool2d, Conv2d, Flatten, Graph, Input, Linear, Output, SumPool2d
from toolchain.passes import drop_identities, fold_average_pool, fold_gain, fuse_batch_norm
from toolchain.runs.interpret import interpret

CHIP = load_chip("speck2f")


def lowered(graph):
    return lower(contract.quantize(contract.shape(graph), CHIP, None)[0], CHIP)


@each("seed", range(40))
def test_the_program_spikes_as_the_quantized_network(seed):
    rng = np.random.default_rng(seed)
    graph = branching(rng, biases=seed % 2 == 1)
    errors = [f for f in check_graph(graph, CHIP) if f.severity is Severity.ERROR]
    assert errors == []
    quantized = contract.quantize(graph, CHIP, None)[0]
    program = lower(quantized, CHIP)
    spikes = rng.poisson(0.3, (2, 12, *graph.shape("input")))
    wanted = interpret(quantized, spikes, record=True)
    got = contract.simulate(program, spikes, record=True, timing="clocked")
    assert not any(got.saturations.values())
    for name, layer in wanted.layers.items():
        np.testing.assert_array_equal(got.layers[name].spikes, layer.spikes, err_msg=name)
        np.testing.assert_array_equal(got.layers[name].v_mem, layer.v_mem, err_msg=name)
    assert got.spikes.shape == (2, 12, int(np.prod(graph.shape(graph.outputs[0]))))


@pytest.mark.parametrize(
    "changes",
    [
        {"reset": "value"},
        {"reset": "additive", "v_min": -0.5},
        {"v_min": None},
        {"v_init": np.linspace(-0.9, 0.9, 16).reshape(1, 4, 4)},
        {"v_init": 30.0, "v_min": None},
    ],
    ids=["to zero", "additive", "no floor", "start of its own", "start far up"],
)
def test_neurons_that_the_chip_has_spike_as_in_the_network(changes):
    rng = np.random.default_rng(0)
    graph = one(changes, conv(1, 1, 3, rng, padding=1))
    assert check_graph(graph, CHIP) == ()
    quantized = contract.quantize(graph, CHIP, None)[0]
    spikes = rng.poisson(0.5, (2, 30, 1, 4, 4))
    wanted = interpret(quantized, spikes, record=True).layers["spk"]
    program = lower(quantized, CHIP)
    got = contract.simulate(program, spikes, record=True, timing="clocked").layers["spk"]
    assert wanted.spikes.any()
    np.testing.assert_array_equal(got.spikes, wanted.spikes)
    np.testing.assert_array_equal(got.v_mem, wanted.v_mem)


def test_a_core_holds_its_layer():
    weight = conv(2, 1, 2, stride=(2, 1), padding=(0, 1), bias=[0.5, 0.0])
    (core,) = lowered(one({"v_threshold": 2.0, "v_min": -1.0}, weight)).cores
    assert (core.name, core.weight_name, core.monitor) == ("spk", "conv", True)
    assert (core.stride, core.padding, core.input_shape) == ((2, 1), (0, 1), (1, 4, 4))
    assert (core.threshold_high, core.threshold_low) == (252, -126)
    assert core.weight.tolist() == [[[[126, 126], [126, 126]]]] * 2
    assert core.bias.tolist() == [63, 0]
    assert core.return_to_zero is False


def test_a_bias_of_zeros_is_none():
    assert lowered(one(weight=conv(1, 1, bias=[0.0]))).cores[0].bias is None


def test_both_resets_to_zero_are_the_chips():
    for reset in ("value", "additive"):
        assert lowered(one({"reset": reset})).cores[0].return_to_zero is True


def test_without_a_floor_it_is_the_lowest_word():
    assert lowered(one({"v_min": None})).cores[0].threshold_low == -32768


def nested():
    """The input goes to ``a`` and pooled to ``b``; both go on, ``a`` through two pools."""
    shape = (1, 8, 8)
    nodes = {
        "input": Input(shape=shape),
        "wa": conv(2, 1),
        "a": iaf((2, 8, 8)),
        "in_half": SumPool2d(kernel=2, stride=2),
        "wb": conv(2, 1, 2, stride=2),
        "b": iaf((2, 2, 2)),
        "half": SumPool2d(kernel=2, stride=2),
        "quarter": SumPool2d(kernel=2, stride=2),
        "both": Add(),
        "wc": conv(1, 2, 2),
        "c": iaf((1, 1, 1)),
        "output": Output(),
    }
    chains = (
        ("input", "wa", "a", "half", "quarter", "both"),
        ("input", "in_half", "wb", "b", "both", "wc", "c", "output"),
    )
    return Graph(nodes, [e for names in chains for e in pairwise(names)])


def test_sums_and_pools_become_destinations():
    program = lowered(nested())
    assert [core.name for core in program.cores] == ["a", "b", "c"]
    assert program.inputs == (Destination(layer="a"), Destination(layer="b", pooling=2))
    assert program["a"].destinations == (Destination(layer="c", pooling=4),)
    assert program["b"].destinations == (Destination(layer="c"),)
    assert program["c"].destinations == ()
    assert program.outputs == ("c",)


def test_dense_layers_read_maps_in_their_own_order():
    nodes = {"input": Input(shape=(2, 2, 3)), "flat": Flatten()}
    weight = np.arange(12.0)[None]
    nodes |= {"fc": Linear(weight=weight), "spk": iaf((1,)), "output": Output()}
    (core,) = lowered(Graph.chain(nodes)).cores
    # a kernel of 2x3 is written as 3x3, with zeros above and as much padding
    assert (core.weight.shape, core.padding) == ((1, 2, 3, 3), (1, 0))
    assert not core.weight[:, :, 0].any()
    assert (np.diff(core.weight[:, :, 1:].ravel().astype(int)) > 0).all()


def test_a_row_of_inputs_is_a_map_of_one_point():
    nodes = {"input": Input(shape=(3,)), "fc": Linear(weight=np.eye(3)), "spk": iaf((3,))}
    program = lowered(Graph.chain({**nodes, "output": Output()}))
    assert program.input_shape == (3, 1, 1)
    assert program.cores[0].weight.shape == (3, 3, 1, 1)


def test_a_layer_that_is_read_out_twice_is_one_output():
    graph = one()
    nodes = {**graph.nodes, "again": Output()}
    program = lowered(Graph(nodes, [*graph.edges, ("spk", "again")]))
    assert program.outputs == ("spk",)


def test_several_layers_may_be_read_out():
    graph = nested()
    program = lowered(Graph({**graph.nodes, "too": Output()}, [*graph.edges, ("a", "too")]))
    assert set(program.outputs) == {"a", "c"}
    assert [core.monitor for core in program.cores] == [True, False, True]


@pytest.mark.parametrize(("groups", "dilation"), [(2, (1, 1)), (1, (2, 1)), (2, (1, 3))])
def test_gaps_of_groups_and_dilation_are_zeros_in_the_kernel(groups, dilation):
    rng = np.random.default_rng(0)
    weight = Conv2d(
        weight=rng.normal(0.2, 1, (4, 4 // groups, 3, 2)), groups=groups, dilation=dilation
    )
    quantized = contract.quantize(one(weight=weight, shape=(4, 7, 7)), CHIP, None)[0]
    spikes = rng.poisson(0.4, (1, 10, 4, 7, 7))
    got = contract.simulate(lower(quantized, CHIP), spikes, record=False, timing="clocked")
    wanted = interpret(quantized, spikes).spikes
    np.testing.assert_array_equal(got.spikes, wanted.reshape(1, 10, -1))


def test_a_network_too_large_for_the_chip_still_gives_a_program():
    graph = one(weight=conv(2, 1, 17, stride=3), shape=(1, 200, 200))
    assert lowered(graph).cores[0].weight.shape == (2, 1, 17, 17)


SEEDS = range(150)


@cache
def quantized_as_deployed(seed):
    """Take a branched network through the steps of ``deploy``: (shaped, quantized)."""
    graph = branched(seed)
    for step in (drop_identities, fuse_batch_norm, fold_average_pool, fold_gain, contract.shape):
        graph = step(graph)
    return graph, contract.quantize(graph, CHIP, None)[0]


@each("seed", SEEDS)
def test_branched_networks_spike_as_their_quantized_graph(seed):
    shaped, quantized = quantized_as_deployed(seed)
    errors = [f for f in check_graph(shaped, CHIP) if f.severity is Severity.ERROR]
    assert errors == []
    program = lower(quantized, CHIP)
    spikes = np.random.default_rng(seed).poisson(0.25, (2, 10, *shaped.shape("input")))
    wanted = interpret(quantized, spikes, record=True)
    got = contract.simulate(program, spikes, record=True, timing="clocked")
    assert not any(got.saturations.values())
    np.testing.assert_array_equal(got.spikes, wanted.spikes.reshape(*got.spikes.shape))
    for name, layer in wanted.layers.items():
        np.testing.assert_array_equal(got.layers[name].spikes, layer.spikes, err_msg=name)
        np.testing.assert_array_equal(got.layers[name].v_mem, layer.v_mem, err_msg=name)


def traits(program):
    """What of a program's parts the random networks are meant to have."""
    targets = [target for core in program.cores for target in core.destinations]
    sent = [[t.pooling for t in core.destinations] for core in program.cores]
    yield "several destinations", any(len(to) > 1 for to in sent)
    yield "destinations pooled differently", any(len({*to}) > 1 for to in sent)
    yield "one pooled, one not", any(1 in to and {*to} != {1} for to in sent)
    yield "pooled by 4", any(target.pooling == 4 for target in targets)
    yield "merges", any(len([*program.sources(core.name)]) > 1 for core in program.cores)
    yield "several outputs", len(program.outputs) > 1
    yield "initial state", any(core.initial is not None for core in program.cores)
    yield "both resets", {core.return_to_zero for core in program.cores} == {True, False}
    yield "no floor", any(core.threshold_low == -32768 for core in program.cores)
    yield "leaks", any(core.bias is not None for core in program.cores)
    yield "dense", any(core.output_shape[1:] == (1, 1) for core in program.cores)
    yield "not square", any(core.input_shape[1] != core.input_shape[2] for core in program.cores)


def test_the_branched_networks_have_everything():
    programs = [lower(quantized_as_deployed(seed)[1], CHIP) for seed in SEEDS]
    seen = {}
    for program in programs:
        for trait, there in traits(program):
            seen[trait] = seen.get(trait, 0) + there
    assert min(seen.values()) >= 20, seen


def test_several_outputs_lie_side_by_side():
    graph = nested()
    graph = Graph({**graph.nodes, "too": Output()}, [*graph.edges, ("a", "too")])
    quantized = contract.quantize(graph, CHIP, None)[0]
    program = lower(quantized, CHIP)
    spikes = np.random.default_rng(0).poisson(0.3, (2, 9, 1, 8, 8))
    got = contract.simulate(program, spikes, record=True, timing="clocked")
    parts = [got.layers[name].spikes.reshape(2, 9, -1) for name in program.outputs]
    np.testing.assert_array_equal(got.spikes, np.concatenate(parts, axis=2))
    np.testing.assert_array_equal(got.spikes, interpret(quantized, spikes).spikes)
    assert got.spikes.shape == (2, 9, 2 * 8 * 8 + 1)


def meeting(*pools, kernel=1):
    """The same neurons, behind each of these chains of pools, added up and read by a weight."""
    rng = np.random.default_rng(len(pools))
    nodes = {"input": Input(shape=(1, 8, 8)), "both": Add(), "wc": conv(2, 2, kernel, rng)}
    edges = []
    for number, chain_of in enumerate(pools):
        nodes[f"w{number}"] = conv(2, 1, 1, rng)
        nodes[f"n{number}"] = iaf((2, 8, 8))
        names = ["input", f"w{number}", f"n{number}"]
        for place, (kind, side) in enumerate(chain_of):
            names.append(f"pool{number}_{place}")
            nodes[names[-1]] = kind(kernel=(side, side), stride=(side, side))
        edges += [*pairwise([*names, "both"])]
    nodes |= {"c": iaf(nodes["wc"].output_shape((2, 2, 2))), "output": Output()}
    for name in [name for name in nodes if name[0] == "w"]:  # so that they fire
        nodes[name] = replace(nodes[name], weight=np.abs(nodes[name].weight))
    return Graph(nodes, [*edges, *pairwise(["both", "wc", "c", "output"])], dt=1e-3)


AVERAGE, SUM = (AvgPool2d, 2), (SumPool2d, 2)


@pytest.mark.parametrize(
    ("pools", "divisor"),
    [
        ([[(AvgPool2d, 4)], [(AvgPool2d, 4)]], 16),
        ([[AVERAGE, AVERAGE], [(AvgPool2d, 4)], [AVERAGE, AVERAGE]], 16),
        ([[SUM, AVERAGE], [AVERAGE, SUM]], 4),
    ],
)
def test_averages_of_one_size_that_meet_are_divided_by_the_next_weights(pools, divisor):
    graph = meeting(*pools)
    folded = fold_average_pool(graph)
    assert not folded.of(AvgPool2d)
    np.testing.assert_allclose(folded["wc"].weight, graph["wc"].weight / divisor)
    spikes = np.random.default_rng(0).poisson(0.5, (2, 12, 1, 8, 8))
    wanted, got = (interpret(g, spikes, record=True).layers["c"] for g in (graph, folded))
    np.testing.assert_allclose(got.v_mem, wanted.v_mem, atol=1e-12)
    assert wanted.spikes.any()
    assert [f for f in check_graph(folded, CHIP) if f.severity is Severity.ERROR] == []
    program = lower(contract.quantize(folded, CHIP, None)[0], CHIP)
    assert {target.pooling for core in program.cores for target in core.destinations} == {4}


@pytest.mark.parametrize(
    ("pools", "left"),
    [
        ([[(AvgPool2d, 4)], [SUM, SUM]], ["pool0_0"]),
        ([[AVERAGE, AVERAGE], [AVERAGE, SUM]], ["pool0_0", "pool0_1", "pool1_0"]),
    ],
)
def test_averages_that_meet_what_is_divided_otherwise_are_refused_by_name(pools, left):
    folded = fold_average_pool(meeting(*pools))
    assert sorted(folded.of(AvgPool2d)) == left
    found = [f for f in check_graph(folded, CHIP) if f.severity is Severity.ERROR]
    assert sorted(f.where for f in found if f.rule == "node_kinds") == left


def beside(shift, weight):
    """Two layers into a third: the second's channels behind the first's, or on them."""
    rng = np.random.default_rng(0)
    first = {"outputs": 2, "kernel": 3, "weight": rng.integers(-50, 90, (2, 2, 3, 3)), "pool": 2}
    network = chain((2, 6, 6), first, {"outputs": 3, "kernel": 1, "weight": weight,
                                       "input_shape": (weight.shape[1], 2, 2)})  # fmt: skip
    one, last = network.cores
    to = (Destination(layer="spk1", pooling=2, feature_shift=shift),)
    other = replace(one, name="other", weight=one.weight[::-1], destinations=to)
    inputs = (Destination(layer="spk0"), Destination(layer="other"))
    return replace(network, cores=(one, other, last), inputs=inputs)


@each("timing", ["clocked", "event"])
@each("seed", range(10))
def test_channels_that_are_shifted_lie_beside_the_others(seed, timing):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-50, 90, (3, 2, 1, 1))
    spikes = rng.poisson(0.4, (2, 12, 2, 6, 6))
    added = simulate(beside(0, weight), spikes, timing=timing)
    apart = simulate(beside(2, np.tile(weight, (1, 2, 1, 1))), spikes, timing=timing)
    assert added.spikes.any()
    np.testing.assert_array_equal(apart.spikes, added.spikes)
    unlike = beside(2, rng.integers(-50, 90, (3, 4, 1, 1)))
    if timing == "clocked":
        slow = simulate_densely(unlike, spikes)
        np.testing.assert_array_equal(simulate(unlike, spikes).spikes, slow.outputs["spk1"])
        return
    events = [(t, t, c, y, x) for t, c, y, x in np.argwhere(spikes[0]).tolist()]
    slow = simulate_singly(unlike, events, 12, EventOptions())
    fast = simulate(unlike, spikes[:1] > 0, timing="event", record=True)
    np.testing.assert_array_equal(fast.layers["spk1"].v_mem[0], slow.v_mem["spk1"])


def test_channels_that_nobody_sends_are_refused():
    network = chain((1, 2, 2), {"outputs": 2, "kernel": 1}, {"outputs": 1, "kernel": 1})
    first, last = network.cores
    wide = replace(last, weight=np.ones((1, 4, 1, 1), int), input_shape=(4, 2, 2))
    for shift in (0, 1, 2, 3):
        to = (Destination(layer="spk1", feature_shift=shift),)
        program = replace(network, cores=(replace(first, destinations=to), wide))
        assert "destination_shape" in [found.rule for found in check(program, CHIP)]
        with pytest.raises(ValueError, match="spk0 sends"):
            check_wiring(program)
