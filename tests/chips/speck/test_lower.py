"""The program of a network: a core a layer, and the same spikes."""

from itertools import pairwise

import numpy as np
import pytest

from tests.chips.speck.graphs import branching, conv, iaf, one
from toolchain.chips.speck import Destination, face
from toolchain.chips.speck.graph_rules import check_graph
from toolchain.chips.speck.lower import lower
from toolchain.diagnostics import Severity
from toolchain.hardware import load_chip
from toolchain.ir import Add, Conv2d, Flatten, Graph, Input, Linear, Output, SumPool2d
from toolchain.ir.interpret import interpret

CHIP = load_chip("speck2f")


def lowered(graph):
    return lower(face.quantize(face.shape(graph), CHIP, None)[0], CHIP)


@pytest.mark.parametrize("seed", range(40))
def test_the_program_spikes_as_the_quantized_network(seed):
    rng = np.random.default_rng(seed)
    graph = branching(rng, biases=seed % 2 == 1)
    errors = [f for f in check_graph(graph, CHIP) if f.severity is Severity.ERROR]
    assert errors == []
    quantized = face.quantize(graph, CHIP, None)[0]
    program = lower(quantized, CHIP)
    spikes = rng.poisson(0.3, (2, 12, *graph.shape("input")))
    wanted = interpret(quantized, spikes, record=True)
    got = face.simulate(program, spikes, record=True, timing="clocked")
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
    quantized = face.quantize(graph, CHIP, None)[0]
    spikes = rng.poisson(0.5, (2, 30, 1, 4, 4))
    wanted = interpret(quantized, spikes, record=True).layers["spk"]
    program = lower(quantized, CHIP)
    got = face.simulate(program, spikes, record=True, timing="clocked").layers["spk"]
    assert wanted.spikes.any()
    np.testing.assert_array_equal(got.spikes, wanted.spikes)
    np.testing.assert_array_equal(got.v_mem, wanted.v_mem)


def test_a_core_holds_its_layer():
    weight = conv(2, 1, 2, stride=(2, 1), padding=(0, 1), bias=[0.5, 0.0])
    (core,) = lowered(one({"v_threshold": 2.0, "v_min": -1.0}, weight)).cores
    assert (core.name, core.weight_name, core.monitor) == ("spk", "conv", True)
    assert (core.stride, core.padding, core.input_shape) == ((2, 1), (0, 1), (1, 4, 4))
    assert (core.threshold_high, core.threshold_low) == (254, -127)
    assert core.weight.tolist() == [[[[127, 127], [127, 127]]]] * 2
    assert core.bias.tolist() == [64, 0]
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
    assert core.weight.shape == (1, 2, 2, 3)
    assert core.weight.ravel().tolist() == np.rint(weight[0] * 127 / 11).tolist()


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
    quantized = face.quantize(one(weight=weight, shape=(4, 7, 7)), CHIP, None)[0]
    spikes = rng.poisson(0.4, (1, 10, 4, 7, 7))
    got = face.simulate(lower(quantized, CHIP), spikes, record=False, timing="clocked")
    wanted = interpret(quantized, spikes).spikes
    np.testing.assert_array_equal(got.spikes, wanted.reshape(1, 10, -1))


def test_a_network_too_large_for_the_chip_still_gives_a_program():
    graph = one(weight=conv(2, 1, 17, stride=3), shape=(1, 200, 200))
    assert lowered(graph).cores[0].weight.shape == (2, 1, 17, 17)
