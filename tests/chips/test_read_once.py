"""A graph is read as the chip's layers once, however many steps of a deployment ask."""

from collections import Counter

import numpy as np
import pytest

from tests.oracles.artifacts import dense, maps, spikes
from toolchain import deploy
from toolchain.chips.speck.quantize import layer as speck
from toolchain.chips.xylo.lower import layers as xylo


@pytest.mark.parametrize(
    ("module", "graph", "chip", "quantizer"),
    [
        (xylo, dense((8, 20, 12, 4)), "xylo_a2", "auto"),
        (xylo, dense((8, 20, 4), recurrent=True), "xylo_a3", "channel"),
        (speck, maps(), "speck2f", "auto"),
        (speck, maps(), "speck2f", "common"),
    ],
)
def test_no_graph_is_read_twice(monkeypatch, module, graph, chip, quantizer):
    read, of = module._read, Counter()
    kept = []  # an id is given again when a graph is gone

    def counting(graph):
        kept.append(graph)
        of[id(graph)] += 1
        return read(graph)

    monkeypatch.setattr(module, "_read", counting)
    d = deploy(graph, chip, calibration=spikes(graph.shape(graph.input)), quantizer=quantizer)
    d.compare(spikes(graph.shape(graph.input)))
    assert set(of.values()) == {1}
    # a search tries many integer graphs; the others see the float graph and its integers
    assert quantizer == "auto" or len(of) <= 4


def test_what_is_derived_is_computed_once_for_each_graph():
    asked = []

    def neurons(graph):
        asked.append(graph)
        return len(graph.nodes)

    one, other = dense((8, 4)), dense((8, 5, 4))
    assert [g.derived(neurons) for g in (one, one, other, one)] == [4, 4, 6, 4]
    assert asked == [one, other]
    assert np.array_equal(one.replace({}).derived(neurons), 4)
    assert len(asked) == 3
