from itertools import combinations, product

import networkx as nx
import numpy as np
import pytest

from tests.chips.speck.networks import chain, cnn_sinabs, gesture, lenet, nmnist
from toolchain.chips.speck.place import match, place
from toolchain.hardware import load_chip

CHIP = load_chip("speck2f")


@pytest.mark.parametrize(
    ("network", "kernel", "neuron", "cores"),
    [
        (lenet(), [1024, 20480, 65536, 65536, 8000], [20480, 2048, 512, 500, 10], [0, 3, 5, 6, 1]),
        (
            gesture(),
            [128, 4096, 8192, 16384, 32768, 65536, 65536, 32768, 2048],
            [65536, 65536, 32768, 8192, 4096, 1024, 256, 128, 11],
            [0, 1, 2, 8, 4, 5, 6, 3, 7],
        ),
        (nmnist(), [256, 2048, 4096, 4096], [32768, 16384, 256, 10], [0, 1, 2, 3]),
        (
            cnn_sinabs(),
            [1024, 4096, 2048, 32768, 4096],
            [4096, 4096, 512, 256, 10],
            [0, 1, 2, 3, 4],
        ),
    ],
)
def test_published_networks_need_the_words_and_get_the_cores_that_are_published(
    network, kernel, neuron, cores
):
    assert [core.kernel_words for core in network.cores] == kernel
    assert [core.neuron_words for core in network.cores] == neuron
    assert list(place(network, CHIP).cores.values()) == cores
    assert place(network, CHIP).findings == ()


@pytest.mark.parametrize(
    ("candidates", "cores"),
    [
        ([[0, 1, 2], [0], [1]], [2, 0, 1]),
        ([[1, 3], [4, 6, 1]], [1, 4]),
        ([[0, 1], [0, 1], [0, 1, 2]], [0, 1, 2]),
        ([[2], [2, 3], [3, 4], [4, 0]], [2, 3, 4, 0]),
    ],
)
def test_ties_are_broken_as_documented(candidates, cores):
    matched = match(candidates)
    assert [matched[layer] for layer in range(len(candidates))] == cores


def test_a_placement_is_found_exactly_when_one_exists():
    rng = np.random.default_rng(3)
    infeasible = 0
    for _ in range(500):
        candidates = [
            np.flatnonzero(rng.random(5) < rng.choice([0.2, 0.5])).tolist()
            for _ in range(rng.integers(1, 6))
        ]
        matched = match(candidates)
        assert all(core in candidates[layer] for layer, core in matched.items())
        assert len(set(matched.values())) == len(matched)
        exists = any(len(set(way)) == len(way) for way in product(*candidates))
        assert (len(matched) == len(candidates)) == exists
        graph = nx.Graph(((i, "layer"), c) for i, cores in enumerate(candidates) for c in cores)
        layers = [node for node in graph if isinstance(node, tuple)]
        assert len(matched) == len(nx.bipartite.maximum_matching(graph, layers)) // 2
        infeasible += not exists
    assert 100 < infeasible < 400


def test_a_layer_too_large_for_every_core_is_named_with_need_and_limit():
    network = chain((64, 8, 8), {"outputs": 128, "kernel": 3}, {"outputs": 2, "kernel": 1})
    placement = place(network, CHIP)
    assert placement.cores is None
    assert [str(finding) for finding in placement.findings] == [
        "error[placement] spk0: needs 131 072 kernel words, the largest cores of speck2f have "
        "65 536\n  source: speck2f.yaml, Speck Dev Kit Datasheet tab. 1 (published)"
    ]


def test_a_layer_that_needs_two_memories_of_different_cores_is_named():
    network = chain((64, 64, 64), {"outputs": 64, "kernel": 3, "padding": (1, 1), "stride": (2, 2)})
    placement = place(network, CHIP)
    assert placement.cores is None
    assert [finding.message for finding in placement.findings] == [
        "needs 65 536 kernel and 65 536 neuron and 0 bias words, no core of speck2f has all of them"
    ]


def test_layers_that_share_too_few_cores_are_a_smallest_such_set():
    wide = {"outputs": 16, "kernel": 3, "padding": (1, 1)}
    network = chain((2, 64, 64), wide, wide, wide, wide, {"outputs": 2, "kernel": 1})
    placement = place(network, CHIP)
    assert placement.cores is None
    (finding,) = placement.findings
    assert (finding.need, finding.limit) == (4, 3)
    assert finding.message.startswith(
        "4 layers (spk0, spk1, spk2, spk3) need a core each, of speck2f they fit only cores "
        "0, 1 and 2 (spk0 512 kernel, 65 536 neuron words; "
    )


def test_every_part_of_a_crowd_fits_without_the_rest():
    from toolchain.chips.speck.place import _crowds

    rng = np.random.default_rng(8)
    seen = 0
    for _ in range(300):
        candidates = [
            np.flatnonzero(rng.random(5) < 0.3).tolist() for _ in range(rng.integers(2, 7))
        ]
        if not all(candidates):
            continue
        for layers, cores in _crowds(candidates, match(candidates)):
            assert {core for layer in layers for core in candidates[layer]} == cores
            assert len(layers) == len(cores) + 1
            for part in combinations(sorted(layers), len(layers) - 1):
                assert len(match([candidates[layer] for layer in part])) == len(part)
            seen += 1
    assert seen > 50
