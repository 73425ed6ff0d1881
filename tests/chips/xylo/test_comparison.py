"""``auto`` against rockpool's quantizers: the committed table, and a part of it computed anew.

Rockpool itself is not here. What it computes is told again in ``tests/oracles``, held against
digests of its own integers that `make compare` recorded.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cases import each
from tests.oracles.rockpool_quantizers import METHODS, digest, specification, told
from tests.oracles.xylo_compared import EACH, KINDS, agreement, random_case
from tests.oracles.xylo_trained import FIXTURES, RECIPES, trained_case
from toolchain import deploy
from toolchain.chips.xylo import XyloProgram
from toolchain.ir import Neuron
from toolchain.ir.neuron import time_constant
from toolchain.runs.interpret import interpret

RECORD = Path(__file__).parents[2] / "oracles" / "data" / "xylo_quantizers.json"
FOUND = json.loads(RECORD.read_text(encoding="utf-8"))
ROWS = {row["network"]: row for row in FOUND["table"]}
THEIRS = ("rockpool global", "rockpool channel")
RANDOM = range(len(KINDS) * EACH)
PART = (1, 6, 11, 12, 16, 21)
"""Random networks that are compared here: two of each kind."""


@pytest.fixture(scope="session", params=sorted(FIXTURES))
def trained(request):
    """A network trained once and kept in pytest's cache, with its accuracy in percent."""
    return trained_case(request.param, Path(request.config.cache.mkdir("trained")))


def compared(case, spikes):
    """Agreements of rockpool's two quantizers and of ``auto`` with the float network."""
    spec = specification(case.graph)
    programs = {
        f"rockpool {method}": XyloProgram.from_specification("xylo_a2", **told(method, spec))
        for method in METHODS
    }
    auto = deploy(case.graph, "xylo_a2", calibration=case.calibration, quantizer="auto")
    return {
        name: agreement(case.graph, program, spikes)
        for name, program in {**programs, "auto": auto}.items()
    }


def value(row, name):
    """A recorded agreement; 0 where the quantizer failed."""
    return row[name] if isinstance(row[name], float) else 0.0


def test_all_thirty_networks_are_recorded():
    assert [*ROWS] == [*(random_case(i).name for i in RANDOM), *RECIPES]


def lead(row):
    """By how much ``auto`` is better than the better one of rockpool's on held-out spikes."""
    found = row["held_out"]
    return found["auto"] - max(value(found, theirs) for theirs in THEIRS)


def test_auto_is_at_least_as_good_as_both_on_all_and_better_on_most():
    assert len(ROWS) == len(RANDOM) + len(RECIPES)
    assert not [name for name, row in ROWS.items() if lead(row) < 0]
    assert sum(lead(row) > 0 for row in ROWS.values()) >= 20


@pytest.mark.parametrize("series", sorted(FOUND["others"]))
def test_it_is_so_on_other_networks_too(series):
    rows = FOUND["others"][series]
    assert len(rows) == len(RANDOM)
    assert not {row["network"] for row in rows} - {random_case(i).name for i in RANDOM}
    assert sum(lead(row) > 0 for row in rows) >= 20


@each("index", RANDOM)
def test_what_is_told_of_rockpool_is_what_it_gave(index):
    case = random_case(index)
    spec = specification(case.graph)
    given = {method: digest(told(method, spec)) for method in METHODS}
    assert given == ROWS[case.name]["integers"]


@pytest.mark.parametrize("index", PART)
def test_a_random_network_compares_as_recorded(index):
    case = random_case(index)
    found = compared(case, case.held_out)
    recorded = ROWS[case.name]["held_out"]
    assert found == pytest.approx({name: recorded[name] for name in found}, abs=1e-4)
    assert found["auto"] >= max(found[name] for name in THEIRS)


def test_auto_is_at_least_as_good_on_a_network_trained_here(trained):
    case, accuracy = trained
    assert accuracy > 60
    found = compared(case, case.held_out)
    assert found["auto"] >= max(found[name] for name in THEIRS)
    assert found["auto"] > 0.8


# ---- the networks ----


@each("index", RANDOM)
def test_every_layer_of_a_random_network_fires_moderately(index):
    case = random_case(index)
    layers = interpret(case.graph, case.held_out[:16], record=True).layers
    for layer in layers.values():
        assert 0.01 < layer.spikes.mean() < 0.17
    assert len(case.held_out) >= 64
    assert not np.array_equal(case.held_out[:16], case.calibration)


def test_the_random_networks_have_what_trained_ones_have():
    graphs = [random_case(index).graph for index in RANDOM]
    layers = [[*graph.of(Neuron).values()] for graph in graphs]
    on_grid = [all(np.log2(1 - node.alpha_mem) % 1 == 0 for node in nodes) for nodes in layers]
    assert sum(on_grid) == len(RANDOM) / 2
    assert sum(any(np.any(node.bias) for node in nodes) for nodes in layers) == len(RANDOM) / 3
    assert sum(any(node.synapses == 2 for node in nodes) for nodes in layers) == 4
    assert sum(graph.recurrent for graph in graphs) == EACH
    assert {len(nodes) for nodes in layers} == {2, 3, 4, 5}
    shortest = min(float(time_constant(n.alpha_mem, 1.0)) for nodes in layers for n in nodes)
    assert shortest > 2**0.5  # rockpool would round it to a bit shift of 0
