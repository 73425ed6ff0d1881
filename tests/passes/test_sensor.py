"""Pools behind the camera folded into it: the same response, and left alone where it is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import chain, pool
from tests.ir.test_sensor import sensors
from toolchain.ir import Add, AvgPool2d, Conv2d, Graph, Input, Output, Sensor
from toolchain.passes import fold_average_pool, fold_sensor_pool
from toolchain.runs.interpret import interpret


@given(sensors(), st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(0, 2**32))
def test_the_response_is_the_same_and_the_input_untouched(case, kernel, seed):
    node, shape = case
    height, width = node.output_shape(shape)[1:]
    kernel = min(kernel[0], height), min(kernel[1], width)
    graph = chain(shape, dvs=node, pool=pool(kernel))
    before = str(graph)
    folded = fold_sensor_pool(graph)
    counts = np.random.default_rng(seed).poisson(0.5, (1, 2, *shape))
    np.testing.assert_array_equal(interpret(folded, counts).spikes, interpret(graph, counts).spikes)
    assert str(graph) == before
    assert str(fold_sensor_pool(folded)) == str(folded)
    k_y, k_x = kernel[::-1] if node.swap_xy else kernel
    (top, left), (rows, columns) = node.origin, node.size
    whole = not (top % k_y or left % k_x)
    whole &= not ((node.flip_y and rows % k_y) or (node.flip_x and columns % k_x))
    assert ("pool" not in folded) == whole


def test_chained_pools_multiply():
    node = Sensor(size=(13, 9), merge=True, pixel_array=True)
    graph = chain((2, 13, 9), dvs=node, first=pool((2, 1)), then=pool((2, 4)))
    assert str(fold_sensor_pool(graph)) == (
        "graph\ninput = Input(shape=[2, 13, 9])\n"
        "dvs = Sensor(merge=True, pool=[4, 4], size=[3, 2], pixel_array=True) <- input\n"
        "output = Output() <- dvs"
    )


def test_an_average_leaves_its_factor_in_the_weights():
    rng = np.random.default_rng(0)
    conv = Conv2d(weight=rng.normal(size=(3, 2, 2, 2)), bias=rng.normal(size=3))
    average = AvgPool2d(kernel=(2, 4), stride=(2, 4))
    graph = chain((2, 8, 12), dvs=Sensor(size=(8, 12), flip_x=True), pool=average, conv=conv)
    folded = fold_sensor_pool(fold_average_pool(graph))
    assert list(folded.nodes) == ["input", "dvs", "conv", "output"]
    assert folded["dvs"].pool == (2, 4)
    np.testing.assert_array_equal(folded["conv"].weight, conv.weight / 8)
    np.testing.assert_array_equal(folded["conv"].bias, conv.bias)
    counts = rng.poisson(1.0, (2, 3, 2, 8, 12))
    np.testing.assert_allclose(
        interpret(folded, counts).spikes, interpret(graph, counts).spikes, rtol=1e-12
    )


def branches(one, other):
    """The sensor through two pools into a sum of two weights."""
    weight = Conv2d(weight=np.ones((1, 1, 1, 1)))
    nodes = {"input": Input(shape=(1, 4, 4)), "dvs": Sensor(size=(4, 4)), "a": one, "b": other}
    nodes |= {"wa": weight, "wb": weight, "add": Add(), "output": Output()}
    edges = [("input", "dvs"), ("dvs", "a"), ("dvs", "b"), ("a", "wa"), ("b", "wb")]
    return Graph(nodes, [*edges, ("wa", "add"), ("wb", "add"), ("add", "output")])


def test_pools_side_by_side_are_folded_if_they_are_alike():
    folded = fold_sensor_pool(branches(pool(2), pool(2)))
    assert folded["dvs"].pool == (2, 2)
    assert {"a", "b"}.isdisjoint(folded.nodes)


@pytest.mark.parametrize(
    "graph",
    [
        chain((1, 4, 4), dvs=Sensor(size=(4, 4)), pool=pool(2, (1, 1))),
        chain((1, 4, 4), dvs=Sensor(size=(4, 4)), pool=AvgPool2d(kernel=2, stride=2)),
        chain((1, 4, 4), dvs=Sensor(size=(3, 4), origin=(1, 0)), pool=pool(2)),
        chain((1, 4, 5), dvs=Sensor(size=(4, 5), flip_x=True), pool=pool(2)),
        chain((1, 4, 4), pool=pool(2)),
    ],
    ids=["overlap", "average", "crop", "mirror", "no sensor"],
)
def test_other_pools_are_left(graph):
    assert str(fold_sensor_pool(graph)) == str(graph)


def test_pools_that_meet_in_one_sum_are_left():
    nodes = {"input": Input(shape=(1, 4, 4)), "dvs": Sensor(size=(4, 4))}
    nodes |= {"a": pool(2), "b": pool(2), "add": Add(), "output": Output()}
    edges = [("input", "dvs"), ("dvs", "a"), ("dvs", "b"), ("a", "add"), ("b", "add")]
    graph = Graph(nodes, [*edges, ("add", "output")])
    assert str(fold_sensor_pool(graph)) == str(graph)
