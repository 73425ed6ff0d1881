"""Regions between neurons as one affine map: small random ones, and single properties."""

import numpy as np
import pytest

from tests.builders import chain, pool
from tests.passes.random_regions import random_region
from toolchain.chips.load import load_chip
from toolchain.chips.speck.rules.graph import check_graph
from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    Membrane,
    Neuron,
    Output,
    Pad,
    Permute,
    Reshape,
    Scale,
    SumPool2d,
)
from toolchain.passes import drop_identities, fold_spike_scale, join_convolutions, merge_regions
from toolchain.passes.regions.region import is_plain
from toolchain.runs.interpret import interpret

RNG = np.random.default_rng(0)


def check_region(seed, *, whole):
    """Compare a random region, and return the operations in it, and how it was merged."""
    case = random_region(seed, whole=whole)
    graph = merge_regions(fold_spike_scale(case.graph))
    assert all(is_plain(graph, name) for name in graph.of(Membrane)), case.graph
    trained, merged = (interpret(one, case.raster).spikes.ravel() for one in (case.graph, graph))
    if whole:
        np.testing.assert_array_equal(merged, trained, err_msg=str(case.graph))
    else:
        top = 1e-9 * np.abs(case.drive).max()
        for found in (trained, merged):
            np.testing.assert_allclose(found, case.drive.ravel(), 0, top, err_msg=str(case.graph))
    kinds = {type(graph[before]).__name__ for before in _weights(graph)}
    return case.used, kinds


def _weights(graph):
    before = graph.before("end")
    return [e.pre for e in graph.pre(before)] if isinstance(graph[before], Add) else [before]


@pytest.mark.parametrize("whole", [True, False])
def test_random_regions_compute_what_torch_computes(whole):
    found = [check_region(seed, whole=whole) for seed in range(40)]
    assert len(set().union(*(used for used, _ in found))) > 20
    assert {"Conv2d", "Linear"} <= set().union(*(kinds for _, kinds in found))


def weight(outputs, inputs, kernel=3, **how):
    return Conv2d(weight=RNG.integers(-2, 3, (outputs, inputs, kernel, kernel)) * 1.0, **how)


def iaf(*shape):
    return Neuron(shape=shape, v_threshold=3.0, v_min=-3.0)


def same(graph, merged, steps=8):
    x = RNG.integers(0, 3, (2, steps, *graph.shape(graph.input)))
    wanted, got = (interpret(one, x).spikes for one in (graph, merged))
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)
    assert wanted.any()


@pytest.mark.parametrize(
    ("nodes", "kernel", "stride", "padding"),
    [
        ([weight(3, 2, padding=1), pool(2)], (4, 4), (2, 2), (1, 1)),
        ([pool(2), weight(3, 2, padding=1)], (6, 6), (2, 2), (2, 2)),
        ([Pad(before=(0, 2, 1), after=(0, 2, 1)), weight(3, 2)], (3, 3), (1, 1), (2, 1)),
        ([weight(3, 2), weight(3, 3)], (5, 5), (1, 1), (0, 0)),
        ([Pad(before=(0, 1, 1), after=(0, 0, 0)), weight(3, 2)], (4, 4), (1, 1), (1, 1)),
        ([weight(3, 2), Flatten(), Reshape(shape=(3, 6, 6))], (3, 3), (1, 1), (0, 0)),
        ([weight(2, 1, groups=2, dilation=2), Permute(axes=(0, 1, 2))], (5, 5), (1, 1), (0, 0)),
        ([SumPool2d(kernel=3, stride=2)], (3, 3), (2, 2), (0, 0)),
    ],
)
def test_what_is_a_convolution_becomes_one(nodes, kernel, stride, padding):
    shape = chain((2, 8, 8), *nodes).input_shape_of("output")
    graph = chain((2, 8, 8), *nodes, lif=iaf(*shape))
    merged = merge_regions(graph)
    same(graph, merged)
    found = merged[merged.before("lif")]
    assert len(merged) == 4
    assert isinstance(found, Conv2d)
    sides = found.weight.shape[2:]
    assert (sides, found.stride, found.padding) == (kernel, stride, padding)


@pytest.mark.parametrize(
    "nodes",
    [
        [weight(3, 2, padding=1), weight(3, 3, padding=1)],  # zeros between them
        [Permute(axes=(1, 0, 2)), weight(3, 8, 1)],
        [Scale(scale=np.arange(128.0).reshape(2, 8, 8)), weight(1, 2)],
        [Reshape(shape=(8, 4, 4)), weight(1, 8)],
        [pool(3), Pad(before=(0, 0, 0), after=(0, 1, 0))],
    ],
)
def test_what_is_none_becomes_dense(nodes):
    shape = chain((2, 8, 8), *nodes).input_shape_of("output")
    graph = chain((2, 8, 8), *nodes, lif=iaf(*shape))
    merged = merge_regions(graph)
    same(graph, merged)
    assert merged["lif"].shape == (np.prod(shape),)
    assert isinstance(merged[merged.before("lif")], Linear)
    assert str(merge_regions(graph, most=64)) == str(graph), "larger than what may be computed"


def test_a_shift_before_zero_padding_becomes_a_bias_of_each_neuron():
    norm = BatchNorm(mean=[1.0], var=[1.0], gamma=[2.0], beta=[0.0], eps=0.0)
    graph = chain((1, 4, 4), norm=norm, conv=weight(1, 1, padding=1), lif=iaf(1, 4, 4))
    merged = merge_regions(graph)
    same(graph, merged)
    assert len(np.unique(merged["lif"].bias)) > 1
    plain = chain((1, 4, 4), norm=norm, conv=weight(1, 1), lif=iaf(1, 2, 2))
    merged = merge_regions(plain)
    same(plain, merged)
    assert not merged["lif"].bias.any()
    assert merged["conv"].bias.shape == (1,)


PLAIN = {
    "pooled": [iaf(2, 8, 8), pool(2), weight(3, 2), iaf(3, 2, 2), Flatten()],
    "chained pools": [iaf(2, 8, 8), pool(2), pool(2), weight(3, 2, 2), iaf(3, 1, 1), Flatten()],
}


@pytest.mark.parametrize("nodes", PLAIN.values(), ids=PLAIN)
def test_a_plain_region_is_not_changed(nodes):
    inputs = np.prod(chain((2, 8, 8), weight(2, 2, padding=1), *nodes).input_shape_of("output"))
    dense = Linear(weight=np.ones((2, int(inputs))))
    graph = chain((2, 8, 8), weight(2, 2, padding=1), *nodes, fc=dense, out=iaf(2))
    assert merge_regions(graph) is graph


def branches(nodes, edges):
    nodes = {"input": Input(shape=(2, 8, 8)), **nodes, "output": Output()}
    return Graph(nodes, edges)


def two_maps(*edges, **more):
    nodes = {"c1": weight(2, 2, padding=1), "a": iaf(2, 8, 8), "b": iaf(2, 8, 8)}
    nodes |= {"c2": weight(2, 2, padding=1)} | more
    start = [("input", "c1"), ("c1", "a"), ("input", "c2"), ("c2", "b")]
    return branches(nodes, [*start, *edges])


def test_maps_that_are_flattened_and_then_added_are_added_first():
    dense = Linear(weight=RNG.integers(-1, 2, (3, 128)) * 1.0)
    graph = two_maps(
        ("a", "fa"), ("b", "fb"), ("fa", "sum"), ("fb", "sum"), ("sum", "fc"), ("fc", "out"),
        ("out", "output"), fa=Flatten(), fb=Flatten(), sum=Add(), fc=dense, out=iaf(3),
    )  # fmt: skip
    merged = merge_regions(graph)
    same(graph, merged)
    assert len(merged.of(Linear)) == 1
    assert [edge.pre for edge in merged.pre("out.sum")] == ["a", "b"]


def test_branches_of_one_layer_become_one_weight():
    graph = two_maps(
        ("a", "c3"), ("c3", "sum"), ("a", "sum"), ("b", "mean"), ("mean", "up"), ("up", "sum"),
        ("sum", "out"), ("out", "output"),
        c3=weight(2, 2, padding=1), mean=AvgPool2d(kernel=2, stride=2), sum=Add(),
        up=Pad(before=(0, 2, 2), after=(0, 2, 2)), out=iaf(2, 8, 8),
    )  # fmt: skip
    merged = merge_regions(graph)
    same(graph, merged)
    assert {*merged.of(Conv2d)} == {"c1", "c2", "c3", "out.weight"}
    assert isinstance(merged["mean"], SumPool2d)


def test_convolutions_of_several_layers_are_joined_side_by_side():
    graph = two_maps(
        ("a", "c3"), ("b", "c4"), ("c3", "sum"), ("c4", "sum"), ("sum", "out"), ("out", "output"),
        c3=weight(2, 2, padding=1), c4=weight(2, 2, 1, bias=[1.0, 2.0]), sum=Add(),
        out=iaf(2, 8, 8),
    )  # fmt: skip
    joined = join_convolutions(graph)
    same(graph, joined)
    assert joined["c3"].weight.shape == (2, 4, 3, 3)
    assert "c4" not in joined


@pytest.mark.parametrize("delay", [0, 1])
def test_delays_and_biases_stay_in_their_timestep(delay):
    nodes = {"input": Input(shape=(3,)), "w": Linear(weight=np.eye(3), bias=[1.0, 0.0, 2.0])}
    nodes |= {"v": Linear(weight=np.eye(3) * 2), "sum": Add(), "lif": iaf(3), "output": Output()}
    edges = [Edge("input", "w", 1), Edge("w", "sum", delay), Edge("input", "v"), Edge("v", "sum")]
    edges += [Edge("lif", "sum", 1), Edge("sum", "lif"), Edge("lif", "output")]
    graph = Graph(nodes, edges)
    merged = merge_regions(graph)
    same(graph, merged)
    assert (str(merged) == str(graph)) == bool(delay), "a late bias is not moved"


def test_a_dropout_on_one_branch_of_a_sum_is_merged():
    nodes = {"input": Input(shape=(2, 8, 8)), "drop": Identity(was="Dropout"), "sum": Add()}
    nodes |= {"out": iaf(2, 8, 8), "output": Output()}
    edges = [("input", "drop"), ("drop", "sum"), ("input", "sum"), ("sum", "out")]
    graph = Graph(nodes, [*edges, ("out", "output")])
    merged = merge_regions(drop_identities(graph))
    same(graph, merged)
    np.testing.assert_array_equal(merged["out.weight"].weight[:, :, 0, 0], 2 * np.eye(2))


def test_graded_spikes_that_leave_the_network_keep_their_value():
    graded = Neuron(shape=(2,), v_threshold=2.0, spike_scale=[0.5, 2.0])
    more = {"fc": Linear(weight=np.ones((2, 2))), "out": iaf(2)}
    inside, last = chain((2,), graded=graded, **more), chain((2,), graded=graded)
    assert fold_spike_scale(last) is last
    folded = fold_spike_scale(inside)
    same(inside, merge_regions(folded))
    assert merge_regions(folded)["fc"].weight.tolist() == [[0.5, 2.0]] * 2


def test_neurons_whose_biases_differ_in_a_channel_are_refused_in_words():
    shift = BatchNorm(mean=[1.0], var=[1.0], gamma=[2.0], beta=[0.0], eps=0.0)
    graph = chain((1, 4, 4), shift=shift, conv=weight(1, 1, padding=1), lif=iaf(1, 4, 4), dt=1e-3)
    (finding,) = check_graph(merge_regions(graph), load_chip("speck2f"))
    assert finding.message.startswith("has biases that differ within a channel")
