"""The agreement that rounding of the weights alone leaves."""

import numpy as np
import pytest

from tests.oracles.xylo_compared import random_case
from toolchain import deploy, list_chips, load_chip
from toolchain.chips.load import family_of
from toolchain.ir import Linear
from toolchain.runs.ceiling import WeightRounding, ceiling_of, with_noise

EIGHT_BIT = WeightRounding(levels=127)


def test_the_noise_is_that_of_rounding_to_the_levels():
    rng = np.random.default_rng(0)
    for levels in (3, 7, 127):
        weights = rng.uniform(-1, 1, 100_000)
        error = np.rint(weights * levels) / levels - weights
        assert WeightRounding(levels=levels).noise == pytest.approx(error.std(), rel=0.02)


@pytest.mark.parametrize("scale_of", ["neuron", "layer"])
def test_noise_is_relative_to_what_shares_a_scale_and_keeps_zeros(scale_of):
    graph = random_case(8).graph
    rounding = WeightRounding(levels=7, scale_of=scale_of)
    noisy = with_noise(graph, rounding, seed=0)
    for name, node in graph.of(Linear).items():
        moved = noisy[name].weight - node.weight
        largest = np.abs(node.weight).max(axis=1, keepdims=True)
        size = largest if scale_of == "neuron" else largest.max()
        assert not moved[node.weight == 0].any()
        relative = (moved / size)[node.weight != 0]
        assert relative.std() == pytest.approx(rounding.noise, rel=0.15)


def test_fewer_bits_leave_less_and_the_range_contains_the_value():
    case = random_case(0)
    found = [
        ceiling_of(case.graph, case.held_out[:16], WeightRounding(levels=levels))
        for levels in (3, 31, 127, 10**9)
    ]
    assert [each.value for each in found] == sorted(each.value for each in found)
    assert all(each.lowest <= each.value <= each.highest for each in found)
    assert found[-1].value == 1
    assert found[0].text.endswith("reachable: the network itself is this sensitive to rounding")
    assert found[-1].text == "of 100.0 % (100.0 to 100.0) reachable"


def test_silence_has_no_ceiling():
    case = random_case(0)
    assert ceiling_of(case.graph, np.zeros_like(case.held_out[:4]), EIGHT_BIT) is None


@pytest.mark.parametrize("name", list_chips())
def test_every_chip_states_how_it_rounds(name):
    chip = load_chip(name)
    levels = 2 ** (int(chip.limits.weight_width.value) - 1) - 1
    assert family_of(chip).rounding().levels == levels


def test_agreements_are_given_beside_it():
    case = random_case(0)
    deployment = deploy(case.graph, "xylo_a2", calibration=case.calibration)
    by_rule = {each.rule: each.message for each in deployment.diagnostics}
    for rule in ("agreement", "calibration", "held_out"):
        assert "reachable" in by_rule[rule]
    compared = deployment.compare(case.held_out[:8])
    assert compared.ceiling == ceiling_of(case.graph, case.held_out[:8], EIGHT_BIT)
    assert str(compared.ceiling) in " ".join(str(compared).split())
