from dataclasses import replace
from itertools import combinations, product

import networkx as nx
import numpy as np
import pytest

from tests.chips.speck import contract
from tests.chips.speck.networks import chain, cnn_sinabs, gesture, lenet, nmnist
from toolchain.chips.load import load_chip
from toolchain.chips.speck import Destination
from toolchain.chips.speck.lower.matching import cheapest, hall_violators
from toolchain.chips.speck.lower.place import cores_that_fit, place
from toolchain.chips.speck.rules.program import check
from toolchain.diagnostics import Severity

CHIP = load_chip("speck2f")
MINI = load_chip("speck2c_mini")
TABLE = "\n  source: speck2f.yaml, Speck Dev Kit Datasheet tab. 1 (published)"
WIDE = {"outputs": 16, "kernel": 3, "padding": (1, 1)}

PUBLISHED = {
    "lenet": (
        lenet(),
        [1024, 20480, 65536, 65536, 8000],
        [20480, 2048, 512, 500, 10],
        [0, 3, 5, 6, 1],
        [0, 3, 5, 6, 7],
    ),
    "gesture": (
        gesture(),
        [128, 4096, 8192, 16384, 32768, 65536, 65536, 32768, 2048],
        [65536, 65536, 32768, 8192, 4096, 1024, 256, 128, 11],
        [0, 1, 2, 8, 4, 5, 6, 3, 7],
        [0, 1, 2, 7, 3, 5, 6, 4, 8],
    ),
    "nmnist": (
        nmnist(),
        [256, 2048, 4096, 4096],
        [32768, 16384, 256, 10],
        [0, 1, 2, 3],
        [0, 3, 7, 8],
    ),
    "cnn_sinabs": (
        cnn_sinabs(),
        [1024, 4096, 2048, 32768, 4096],
        [4096, 4096, 512, 256, 10],
        [0, 1, 2, 3, 4],
        [0, 3, 7, 4, 8],
    ),
}


@pytest.mark.parametrize(
    ("network", "kernel", "neuron", "theirs", "ours"), PUBLISHED.values(), ids=PUBLISHED
)
def test_published_networks_need_the_words_that_are_published_and_are_placed(
    network, kernel, neuron, theirs, ours
):
    assert [core.kernel_words for core in network.cores] == kernel
    assert [core.neuron_words for core in network.cores] == neuron
    by_hand = dict(zip([core.name for core in network.cores], theirs, strict=True))
    assert place(network, CHIP, cores=by_hand).cores == by_hand
    assert list(place(network, CHIP).cores.values()) == ours
    assert place(network, CHIP).findings == ()


def instances(seed, number, cores):
    """Random layers, each with the cores it fits."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        share = rng.choice([0.2, 0.3, 0.5])
        yield [
            np.flatnonzero(rng.random(cores) < share).tolist() for _ in range(rng.integers(1, 6))
        ]


def test_a_placement_is_found_exactly_when_one_exists():
    infeasible = 0
    for candidates in instances(3, 2000, 5):
        exists = any(len(set(way)) == len(way) for way in product(*candidates))
        matched = cheapest([dict.fromkeys(cores, 0) for cores in candidates])
        assert (matched is not None) == exists == (not [*hall_violators(candidates)])
        if matched is not None:
            assert all(core in candidates[layer] for layer, core in matched.items())
            assert len(set(matched.values())) == len(matched) == len(candidates)
        infeasible += not exists
    assert 400 < infeasible < 1600


def test_the_placement_is_the_cheapest_and_of_those_the_first():
    rng = np.random.default_rng(4)
    for candidates in instances(5, 300, 5):
        costs = [{core: int(rng.integers(0, 3)) for core in cores} for cores in candidates]
        placements = [way for way in product(*candidates) if len(set(way)) == len(way)]
        if not placements:
            continue
        best = min(
            placements,
            key=lambda way: (sum(c[core] for c, core in zip(costs, way, strict=True)), way),
        )
        assert cheapest(costs) == dict(enumerate(best))


def test_costs_are_whole_numbers_of_any_size():
    assert cheapest([{0: 10**40 + 1, 1: 10**40}, {0: 0, 1: 2}]) == {0: 1, 1: 0}
    assert cheapest([]) == {}


def test_every_part_of_a_crowd_fits_without_the_rest():
    seen = 0
    for candidates in instances(8, 2000, 5):
        for layers, cores in hall_violators(candidates):
            assert {core for layer in layers for core in candidates[layer]} == cores
            assert len(layers) == len(cores) + 1
            for part in combinations(sorted(layers), len(layers) - 1):
                assert not [*hall_violators([candidates[layer] for layer in part])]
            seen += 1
    assert seen > 500


def test_there_are_as_many_crowds_as_layers_without_a_core_where_they_share_none():
    # two layers on core 0, three on 1 and 2
    candidates = [[0], [0], [1, 2], [1, 2], [1, 2]]
    assert [*hall_violators(candidates)] == [({0, 1}, {0}), ({2, 3, 4}, {1, 2})]
    graph = nx.Graph((f"layer {i}", c) for i, cores in enumerate(candidates) for c in cores)
    assert len(nx.max_weight_matching(graph, maxcardinality=True)) == 3


# ---- what is preferred ----

SMALL = {"outputs": 1, "kernel": 1}


def test_the_input_goes_to_a_parallel_core_and_nothing_else_does():
    network = chain((1, 4, 4), *[SMALL] * 8)
    assert list(place(network, CHIP).cores.values()) == [0, 2, 3, 4, 5, 6, 7, 8]


def test_large_cores_stay_free():
    network = chain((1, 4, 4), SMALL, SMALL, SMALL)
    assert list(place(network, CHIP).cores.values()) == [0, 7, 8]


def test_only_what_fits_nowhere_else_goes_to_a_core_without_order():
    network = chain((2, 64, 64), SMALL, WIDE, WIDE)
    placed = place(network, CHIP).cores
    assert placed == {"spk0": 0, "spk1": 1, "spk2": 2}
    found, findings = contract.place(network, CHIP)
    assert [str(f) for f in findings] == [
        "info[event_order] spk0: core 0 of speck2f processes events in no fixed order: two runs "
        "may differ" + TABLE + "\n  hint: core 2, 3, 4, 5, 6, 7 or 8 keeps the order",
        "warning[event_order] spk1: core 1 of speck2f processes events in no fixed order: two runs "
        "may differ" + TABLE + "\n  hint: core 2 keeps the order",
    ]
    assert [core.core for core in found.cores] == [0, 1, 2]


def readers(number):
    """Layers that all read the input; the last one is the output."""
    network = chain((1, 4, 4), *[{**SMALL, "input_shape": (1, 4, 4)}] * number)
    cores = [replace(core, destinations=()) for core in network.cores]
    inputs = [Destination(layer=core.name) for core in cores]
    return replace(network, cores=tuple(cores), inputs=tuple(inputs))


def test_of_many_that_read_the_input_the_busiest_get_the_parallel_cores():
    assert list(place(readers(3), CHIP).cores.values()) == [0, 1, 7]
    busy = {"spk0": 1.0, "spk1": 100.0, "spk2": 20.0}
    assert list(place(readers(3), CHIP, synops=busy).cores.values()) == [7, 0, 1]


def test_the_same_program_always_gets_the_same_cores():
    placed = [place(gesture(), CHIP).cores for _ in range(5)]
    assert placed.count(placed[0]) == 5


def test_layers_with_biases_of_the_small_chips_share_two_cores():
    with_bias = {**SMALL, "bias": [1]}
    placed = place(chain((1, 4, 4), with_bias, SMALL, with_bias), MINI).cores
    assert placed == {"spk0": 3, "spk1": 2, "spk2": 4}
    (finding,) = place(chain((1, 4, 4), with_bias, with_bias, with_bias), MINI).findings
    assert str(finding) == (
        "error[placement] spk0: 3 layers (spk0, spk1, spk2) need a core each, but fit "
        "only cores 3 and 4 of speck2c_mini (spk0 1 kernel, 16 neuron and 1 bias words; "
        "spk1 1 kernel, 16 neuron and 1 bias words; spk2 1 kernel, 16 neuron and 1 bias words)\n"
        "  source: speck2c_mini.yaml, sinabs, backend/dynapcnn/chips/speck2cmini.py (published)"
    )


# ---- why there is none ----


def test_a_layer_too_large_for_every_core_is_named_with_need_and_limit():
    network = chain((64, 8, 8), {"outputs": 128, "kernel": 3}, {"outputs": 2, "kernel": 1})
    placement = place(network, CHIP)
    assert placement.cores is None
    assert [str(finding) for finding in placement.findings] == [
        "error[placement] spk0: needs 131 072 kernel words, the largest cores of speck2f have "
        "65 536" + TABLE
    ]


def test_a_layer_that_needs_two_memories_of_different_cores_is_named_with_what_it_lacks():
    network = chain((64, 64, 64), {"outputs": 64, "kernel": 3, "padding": (1, 1), "stride": (2, 2)})
    placed, findings = contract.place(network, CHIP)
    assert placed is network
    assert [str(finding) for finding in findings] == [
        "error[placement] spk0: needs 65 536 kernel and 65 536 neuron words, no core of speck2f "
        "has all of them; core 0 is the nearest, 49 152 kernel words too small"
        + TABLE
        + "\n  hint: stride 4 of conv0 fits"
    ]


def test_layers_that_share_too_few_cores_are_a_smallest_such_set_with_what_helps():
    network = chain((2, 64, 64), WIDE, WIDE, WIDE, WIDE, {"outputs": 2, "kernel": 1})
    _, (finding,) = contract.place(network, CHIP)
    assert (finding.need, finding.limit) == (4, 3)
    assert str(finding) == (
        "error[placement] spk0: 4 layers (spk0, spk1, spk2, spk3) need a core each, but "
        "fit only cores 0, 1 and 2 of speck2f (spk0 512 kernel, 65 536 neuron words; spk1 4 096 "
        "kernel, 65 536 neuron words; spk2 4 096 kernel, 65 536 neuron words; spk3 4 096 "
        "kernel, 65 536 neuron words)"
        + TABLE
        + "\n  hint: conv0 on two cores, with 8 and 8 output channels, gives the same output; "
        "or 16 -> 8 output channels of conv0 fits; or sum pooling of 2 before conv1 fits; "
        "or stride 2 of conv0 fits"
    ).replace("kernel, 65 536 neuron words", "kernel and 65 536 neuron words")


def test_a_program_for_a_larger_chip_is_sent_there():
    network = chain((1, 4, 4), *[SMALL] * 6)
    (count,) = [f for f in check(network, MINI) if f.severity is Severity.ERROR]
    assert count.rule == "core_count"
    assert count.hint == "the program fits speck2e or speck2f"
    assert contract.place(network, MINI)[1] == ()  # said already


# ---- by hand ----


def test_layers_placed_by_hand_stay_and_the_others_go_around_them():
    network = chain((1, 4, 4), SMALL, SMALL, SMALL)
    placed = place(network, CHIP, cores={"spk1": 0}).cores
    assert placed == {"spk0": 1, "spk1": 0, "spk2": 7}


BY_HAND = [
    ({"spk9": 3}, ["spk9: placed on core 3, but is not a layer; the layers are spk0, spk1, spk2"]),
    (
        {"spk0": 9},
        ["spk0: placed on core 9, but speck2f has cores 0, 1, 2, 3, 4, 5, 6, 7 and 8"],
    ),
    ({"spk0": -1}, ["spk0: placed on core -1, but speck2f has cores 0, 1, 2, 3, 4, 5, 6, 7 and 8"]),
    (
        {"spk0": True},
        ["spk0: placed on core True, but speck2f has cores 0, 1, 2, 3, 4, 5, 6, 7 and 8"],
    ),
    ({"spk0": "3"}, ["spk0: placed on core 3, but speck2f has cores 0, 1, 2, 3, 4, 5, 6, 7 and 8"]),
    ({"spk1": 2, "spk0": 2}, ["spk1: placed on core 2 together with spk0"]),
    (
        {"spk1": 5},
        ["spk1: placed on core 5, needs 65 536 neuron words, that core has 16 384"],
    ),
    (
        {"spk1": 5, "spk2": 5, "spk7": 10},
        [
            "spk1: placed on core 5, needs 65 536 neuron words, that core has 16 384",
            "spk7: placed on core 10, but is not a layer; the layers are spk0, spk1, spk2",
            "spk1: placed on core 5 together with spk2",
        ],
    ),
]


@pytest.mark.parametrize(("cores", "texts"), BY_HAND, ids=[str(case[0]) for case in BY_HAND])
def test_every_fault_of_a_hand_made_placement_is_told(cores, texts):
    network = chain((1, 64, 64), SMALL, WIDE, {"outputs": 1, "kernel": 1})
    placement = place(network, CHIP, cores=cores)
    assert placement.cores is None
    assert [f"{f.where}: {f.message}" for f in placement.findings] == texts
    assert {f.rule for f in placement.findings} == {"placement"}


def test_a_wrong_core_comes_with_those_that_are_free():
    network = chain((1, 64, 64), SMALL, WIDE, {"outputs": 1, "kernel": 1})
    _, (finding,) = contract.place(network, CHIP, {"spk1": 5, "spk2": 1})
    assert finding.hint == "core 0 or 2 is free and large enough"


def test_a_placement_by_hand_that_leaves_no_room_says_for_whom():
    network = chain((1, 64, 64), WIDE, WIDE, WIDE, {"outputs": 1, "kernel": 1})
    placement = place(network, CHIP, cores={"spk3": 2})
    (finding,) = placement.findings
    assert finding.message.startswith("4 layers (spk0, spk1, spk2, spk3) need a core each")
    assert finding.message.endswith("neuron words, to be on core 2)")


def test_any_network_is_placed_where_brute_force_places_it():
    rng = np.random.default_rng(6)
    placed = 0
    for _ in range(60):
        layers = [
            {
                "outputs": int(rng.choice([4, 16, 64])),
                "kernel": int(rng.choice([1, 3])),
                "padding": (1, 1),
                "bias": None,
            }
            for _ in range(rng.integers(1, 5))
        ]
        network = chain((2, 24, 24), *layers)
        chip = (CHIP, MINI)[int(rng.integers(2))]
        candidates = [cores_that_fit(core, chip) for core in network.cores]
        exists = any(len(set(way)) == len(way) for way in product(*candidates))
        assert (place(network, chip).cores is not None) == exists
        placed += exists
    assert 10 < placed < 55
