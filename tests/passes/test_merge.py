"""Dense weights in a row, multiplied into one."""

import numpy as np
import pytest

from tests.builders import chain
from toolchain.ir import Add, Edge, Graph, Input, Linear, Neuron, Output
from toolchain.passes import merge_weights
from toolchain.runs.interpret import interpret

RNG = np.random.default_rng(0)
X = RNG.integers(0, 3, (2, 8, 3))


def weight(rows, columns, bias=True):
    """Whole numbers, so that sums in any order are the same."""
    numbers = RNG.integers(-3, 4, (rows, columns)).astype(float)
    return Linear(weight=numbers, bias=RNG.integers(1, 4, rows).astype(float) if bias else None)


def same(graph, merged):
    wanted, got = (interpret(g, X).spikes for g in (graph, merged))
    np.testing.assert_array_equal(got, wanted)


def test_a_chain_becomes_its_product():
    graph = chain((3,), dt=1e-3, a=weight(4, 3), b=weight(2, 4), c=weight(5, 2, bias=False))
    before = str(graph)
    merged = merge_weights(graph)
    assert [*merged.of(Linear)] == ["c"]
    same(graph, merged)
    assert str(graph) == before
    assert str(merge_weights(merged)) == str(merged)
    assert merged.dt == graph.dt


def test_the_product_has_the_name_that_is_asked_for():
    graph = chain((3,), a=weight(4, 3), pool=weight(2, 4), b=weight(2, 2), factor=weight(2, 2))
    merged = merge_weights(graph, names=("a", "b"))
    assert [*merged.of(Linear)] == ["b"]
    same(graph, merged)
    assert [
        *merge_weights(chain((3,), a=weight(4, 3), pool=weight(2, 4)), names=("a",)).of(Linear)
    ] == ["a"]


def test_weights_that_others_read_stay_for_these():
    nodes = {"input": Input(shape=(3,)), "pool": weight(4, 3), "a": weight(2, 4), "b": weight(2, 4)}
    nodes |= {"lif": Neuron(shape=(4,), v_threshold=2.0), "c": weight(2, 4), "sum": Add()}
    edges = [("input", "pool"), ("pool", "a"), ("pool", "b"), ("pool", "lif"), ("lif", "c")]
    edges += [("a", "sum"), ("b", "sum"), ("c", "sum"), ("sum", "output")]
    graph = Graph(nodes | {"output": Output()}, edges)
    merged = merge_weights(graph)
    same(graph, merged)
    assert {merged.before(name) for name in ("a", "b", "pool")} == {"input"}


@pytest.mark.parametrize("biased", [True, False])
def test_a_weight_behind_a_sum_moves_into_its_parts(biased):
    nodes = {"input": Input(shape=(3,)), "a": weight(4, 3), "b": weight(4, 3), "sum": Add()}
    nodes |= {"pool": weight(2, 4, bias=biased), "output": Output()}
    edges = [Edge("input", "a"), Edge("input", "b"), Edge("a", "sum", 2), Edge("b", "sum")]
    graph = Graph(nodes, [*edges, Edge("sum", "pool"), Edge("pool", "output")])
    merged = merge_weights(graph)
    assert [*merged.of(Linear)] == ["a", "b"]
    same(graph, merged)


def late(first, second, delay=1):
    nodes = {"input": Input(shape=(3,)), "a": first, "b": second, "output": Output()}
    return Graph(nodes, [Edge("input", "a", 1), Edge("a", "b", delay), Edge("b", "output")])


@pytest.mark.parametrize("names", [(), ("a",)])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_a_bias_acts_in_its_own_timestep(first, second, names):
    graph = late(weight(4, 3, bias=first), weight(2, 4, bias=second))
    merged = merge_weights(graph, names=names)
    same(graph, merged)
    assert len(merged.of(Linear)) == (2 if first and (second or not names) else 1)


@pytest.mark.parametrize("part", ["input", "loop"])
def test_a_sum_with_something_else_in_it_stays(part):
    nodes = {"input": Input(shape=(3,)), "a": weight(3, 3), "sum": Add(), "b": weight(3, 3)}
    edges = [Edge("input", "a"), Edge("a", "sum"), Edge("sum", "b"), Edge("b", "output")]
    nodes["output"] = Output()
    edges.append(Edge("input", "sum") if part == "input" else Edge("b", "sum", 1))
    graph = Graph(nodes, edges)
    assert str(merge_weights(graph)) == str(graph)


def test_a_product_beyond_the_bound_is_not_made():
    graph = chain((3,), a=weight(1, 3), b=weight(4, 1))
    assert str(merge_weights(graph, most=11)) == str(graph)
    assert [*merge_weights(graph, most=12).of(Linear)] == ["b"]
