"""Results that chips share are found by the content of what they read, and by nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from tests.oracles.artifacts import dense
from toolchain.chips.once import once, sharing


def computed(*reads):
    """Count the calls, one with each of ``reads``, that compute anything."""
    calls = []
    for each in reads:
        once(lambda each=each: calls.append(each), "example", *each)
    return len(calls)


def test_equal_contents_are_computed_once():
    weights = np.arange(6.0).reshape(2, 3)
    graph = dense((8, 20, 4))
    same = [(weights, graph, 1, "a"), (weights.copy(), graph.replace({}), 1, "a")]
    with sharing():
        assert computed(*same) == 1
        assert computed(*same) == 0
    with sharing():
        assert computed(*same) == 1
    assert computed(*same) == 2


def test_anything_that_differs_is_computed_again():
    weights = np.arange(6.0).reshape(2, 3)
    graph = dense((8, 20, 4))
    name, node = next((n, node) for n, node in graph.nodes.items() if "weight" in node.parameters())
    values = [weights, weights.T, weights.reshape(3, 2), weights.astype(int), weights + 1, 1, 1.0]
    values += [True, "1", b"1", None, (1, 2), ((1,), 2), {"a": 1}, {"b": 1}, 0.0, -0.0]
    values += [
        graph,
        graph.with_dt(2e-3),
        graph.replace({name: replace(node, weight=-node.weight)}),
    ]
    with sharing():
        assert computed(*[(value,) for value in values]) == len(values)


def test_a_part_of_an_array_is_not_the_array():
    spikes = np.zeros((4, 3))
    with sharing():
        assert computed((spikes,), (spikes[:2],), (spikes[2:],), (spikes[::2],)) == 2


def test_what_has_no_known_content_is_not_shared():
    with sharing(), pytest.raises(TypeError, match="content of a object is not known"):
        computed((object(),))
