"""Maps as dense weights, and factors folded into what is beside them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import chain
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
    MembraneReadout,
    Neuron,
    Output,
    Scale,
    Sensor,
    SumPool2d,
)
from toolchain.passes import fold_scale, unroll
from toolchain.runs.interpret import interpret


def respond(graph, x):
    y = interpret(graph, x).spikes
    return y.reshape(*y.shape[:2], -1)


def maps(seed, pool=SumPool2d):
    """Two dimensions, whole numbers, with a recurrent and a late connection."""
    rng = np.random.default_rng(seed)

    def whole(*shape):
        return rng.integers(-3, 4, shape).astype(float)

    nodes = {
        "input": Input(shape=(2, 6, 5)),
        "conv": Conv2d(weight=whole(4, 1, 3, 2), bias=whole(4), padding=(1, 0), groups=2),
        "scale": Scale(scale=whole(4, 1, 1)),
        "lif": Neuron(shape=(4, 6, 4), v_threshold=1 + rng.random((4, 1, 1)), v_min=-4.0),
        "pool": pool(kernel=2, stride=2),
        "flat": Flatten(),
        "fc": Linear(weight=whole(3, 24)),
        "add": Add(),
        "out": Neuron(shape=(3,), v_threshold=4.0, alpha_syn=np.full((3, 1), 0.5)),
        "rec": Linear(weight=whole(3, 3)),
        "output": Output(),
    }
    chain = ("input", "conv", "scale", "lif", "pool", "flat", "fc", "add", "out", "output")
    edges = [Edge(a, b) for a, b in pairwise(chain)]
    edges += [Edge("out", "rec", 1), Edge("rec", "add")]
    return Graph(nodes, edges, dt=1e-3, provenance={"framework": "torch"})


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_unrolling_keeps_the_response(seed):
    graph = maps(seed)
    before = str(graph)
    x = np.random.default_rng(seed).integers(0, 3, (2, 12, 2, 6, 5))
    unrolled = unroll(graph)
    np.testing.assert_array_equal(respond(unrolled, x), respond(graph, x))
    assert str(graph) == before
    assert str(unroll(unrolled)) == str(unrolled)
    assert not [n for n in unrolled.nodes.values() if isinstance(n, (Conv2d, SumPool2d, Scale))]
    assert unrolled.dt == graph.dt
    assert unrolled.provenance == graph.provenance


def test_the_layers_keep_their_names_and_the_input_its_shape():
    unrolled = unroll(maps(0, AvgPool2d))
    assert unrolled.shape("input") == (2, 6, 5)
    assert unrolled.shape("input.flatten") == (60,)
    assert unrolled.shape("lif") == (96,)
    assert unrolled["pool"].weight.sum() == pytest.approx(24)
    assert unrolled["lif"].v_min.shape == ()
    assert unrolled["lif"].v_threshold.shape == (96,)


def test_a_convolution_along_one_axis_becomes_dense():
    rng = np.random.default_rng(0)
    graph = chain(
        (2, 9),
        conv=Conv1d(weight=rng.normal(size=(3, 2, 3)), bias=rng.normal(size=3), stride=2),
        leak=MembraneReadout(shape=(3, 4), alpha_mem=0.5, gain=rng.random((3, 4))),
    )
    x = rng.normal(size=(2, 7, 2, 9))
    np.testing.assert_allclose(respond(unroll(graph), x), respond(graph, x), rtol=1e-12)


def test_whole_weights_stay_whole():
    weight = np.arange(-4, 5, dtype=np.int8).reshape(1, 1, 3, 3)
    graph = chain((1, 4, 4), conv=Conv2d(weight=weight))
    assert unroll(graph)["conv"].weight.dtype == np.int8


def test_what_is_too_large_or_unknown_is_left_as_it_is():
    graph = maps(0)
    numbers = 60 * 96 + 96 * 96 + 96 * 24
    assert str(unroll(graph, most=numbers - 1)) == str(graph)
    assert str(unroll(graph, most=numbers)) != str(graph)
    nodes = {"input": Input(shape=(1, 4, 4)), "camera": Sensor(size=(4, 4))}
    graph = Graph.chain({**nodes, "conv": Conv2d(weight=np.ones((1, 1, 1, 1))), "output": Output()})
    assert str(unroll(graph)) == str(graph)


def test_a_batch_norm_between_maps_becomes_a_diagonal():
    rng = np.random.default_rng(1)
    norm = BatchNorm(**{k: rng.random(2) for k in ("mean", "var", "gamma", "beta")}, eps=1e-3)
    graph = chain((2, 3, 2), norm=norm)
    x = rng.normal(size=(2, 7, 2, 3, 2))
    np.testing.assert_allclose(respond(unroll(graph), x), respond(graph, x), rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_convolution_is_written_out(data):
    def pair(low, high):
        return tuple(data.draw(st.integers(low, high)) for _ in range(2))

    groups, size = data.draw(st.integers(1, 3)), pair(3, 6)
    kernel, stride, dilation, padding = pair(1, 3), pair(1, 3), pair(1, 2), pair(1, 3)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    weight = rng.integers(-3, 4, (2 * groups, 2, *kernel)).astype(float)
    rest = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    conv = Conv2d(weight=weight, bias=rng.integers(0, 3, 2 * groups).astype(float), **rest)
    input_ = Input(shape=(2 * groups, *size))
    graph = Graph.chain({"input": input_, "conv": conv, "output": Output()})
    x = rng.integers(0, 3, (1, 2, *input_.shape))
    np.testing.assert_array_equal(respond(unroll(graph), x), respond(graph, x))


# ---- factors ----

FACTOR = np.array([0.5, 2.0, 4.0])


@pytest.mark.parametrize(
    "graph",
    [
        chain((3,), fc=Linear(weight=np.eye(3), bias=np.ones(3)), scale=Scale(scale=FACTOR)),
        chain((3,), scale=Scale(scale=FACTOR), fc=Linear(weight=np.ones((2, 3)), bias=np.ones(2))),
    ],
    ids=["weight before", "weight behind"],
)
def test_a_factor_moves_into_its_neighbour(graph):
    before = str(graph)
    folded = fold_scale(graph)
    assert not folded.of(Scale)
    assert str(graph) == before
    x = np.random.default_rng(0).integers(0, 3, (2, 20, 3))
    np.testing.assert_array_equal(respond(folded, x), respond(graph, x))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("first", [True, False])
def test_a_factor_of_each_channel_moves_into_a_convolution(groups, first):
    rng = np.random.default_rng(0)
    conv = Conv2d(weight=rng.integers(-4, 5, (4, 4 // groups, 2, 2)) / 4, groups=groups)
    scale = Scale(scale=np.array([1.0, 2, 4, 8]).reshape(4, 1, 1))
    pair = {"scale": scale, "conv": conv} if first else {"conv": conv, "scale": scale}
    graph = Graph.chain({"input": Input(shape=(4, 3, 3))} | pair | {"output": Output()})
    x = rng.integers(0, 3, (2, 5, 4, 3, 3))
    assert not fold_scale(graph).of(Scale)
    np.testing.assert_array_equal(respond(fold_scale(graph), x), respond(graph, x))


@pytest.mark.parametrize("factor", [FACTOR.reshape(3, 1, 1), np.arange(1.0, 28).reshape(3, 3, 3)])
def test_a_factor_passes_pools_and_flattening(factor):
    rng = np.random.default_rng(0)
    pools = {"pool": SumPool2d(kernel=2, stride=1)} if factor.size == 3 else {}
    inputs = 12 if pools else 27
    nodes = {"input": Input(shape=(3, 3, 3)), "scale": Scale(scale=factor), **pools}
    nodes |= {"flat": Flatten(), "fc": Linear(weight=rng.integers(-3, 4, (2, inputs)))}
    graph = Graph.chain({**nodes, "output": Output()})
    x = rng.integers(0, 3, (2, 5, 3, 3, 3))
    assert not fold_scale(graph).of(Scale)
    np.testing.assert_array_equal(respond(fold_scale(graph), x), respond(graph, x))


def test_a_factor_of_each_pixel_does_not_pass_a_pool():
    nodes = {
        "input": Input(shape=(1, 2, 2)),
        "scale": Scale(scale=np.arange(1.0, 5).reshape(1, 2, 2)),
        "pool": SumPool2d(kernel=2, stride=2),
        "conv": Conv2d(weight=np.ones((1, 1, 1, 1))),
        "output": Output(),
    }
    assert str(fold_scale(Graph.chain(nodes))) == str(Graph.chain(nodes))


@pytest.mark.parametrize(
    "graph",
    [
        chain((3,), scale=Scale(scale=FACTOR)),
        chain(
            (1, 2, 2),
            scale=Scale(scale=np.arange(1.0, 5).reshape(1, 2, 2)),
            conv=Conv2d(weight=np.ones((1, 1, 1, 1))),
        ),
        chain((3,), scale=Scale(scale=FACTOR), lif=Neuron(shape=(3,), v_threshold=1.0)),
    ],
    ids=["no neighbour", "differs within a channel", "neurons behind"],
)
def test_a_factor_without_a_place_stays(graph):
    assert str(fold_scale(graph)) == str(graph)


def test_a_factor_stays_where_one_of_its_readers_cannot_take_it():
    nodes = {
        "input": Input(shape=(3,)),
        "scale": Scale(scale=FACTOR),
        "fc": Linear(weight=np.ones((3, 3))),
        "add": Add(),
        "output": Output(),
    }
    edges = [("input", "scale"), ("scale", "fc"), ("fc", "add"), ("scale", "add")]
    graph = Graph(nodes, [*edges, ("add", "output")])
    assert str(fold_scale(graph)) == str(graph)
