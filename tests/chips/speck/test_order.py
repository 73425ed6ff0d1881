"""What depends on the order of simultaneous events."""

import numpy as np
import pytest

from tests.chips.speck.networks import chain
from tests.chips.speck.test_simulate import counts, neuron
from tests.oracles.speck_networks import random_case, random_event_case
from toolchain.chips.speck import order_sensitivity, simulate


def opposed(threshold=100):
    """One neuron that channel 0 excites and channel 1 inhibits."""
    return chain(
        (2, 1, 1),
        {
            "outputs": 1,
            "kernel": 1,
            "weight": np.array([100, -100]).reshape(1, 2, 1, 1),
            "threshold_high": threshold,
            "threshold_low": -1,
        },
    )


def test_one_order_of_two_events_fires_and_the_other_does_not():
    found = order_sensitivity(opposed(), np.ones((1, 2, 1, 1), int), permutations=20)
    assert found.layers["spk0"].shape == (21, 1)
    # +100 first: it fires, and then falls to the floor; -100 first: floored, then not quite there
    assert set(found.layers["spk0"].ravel()) == {0, 1}
    assert found.layers["spk0"][0] == 1
    assert found.spread("spk0") == [1]
    assert found.clocked_layers["spk0"] == [0]
    assert 0 < found.from_clocked("spk0")[0] < 1
    np.testing.assert_array_equal(found.outputs["spk0"][..., 0], found.layers["spk0"])
    assert found.clocked_outputs["spk0"].tolist() == [[0]]


def test_events_of_different_times_keep_their_order():
    stream = np.array([(0, 0, 10, 1), (0, 0, 20, 0)], [(n, "i8") for n in "xytp"])
    found = order_sensitivity(opposed(), stream, permutations=20)
    assert not found.layers["spk0"].any()


def test_a_single_neuron_with_positive_weights_does_not_care():
    found = order_sensitivity(neuron(weight=7), counts(3, 0, 5), permutations=5)
    assert found.spread("spk0") == [0]
    assert found.decisions("spk0") == [1.0]


def test_the_first_order_is_the_one_given():
    program, raster = random_case(8, branches=True)
    found = order_sensitivity(program, raster[:, :6], permutations=1)
    run = simulate(program, raster[:, :6], timing="event")
    for name, total in run.spike_counts.items():
        np.testing.assert_array_equal(found.layers[name][0], total)


def test_a_seed_repeats_itself_and_another_does_not():
    program, streams, steps, _ = random_event_case(12)
    options = {"permutations": 8, "dt": 1e-3, "steps": steps}
    runs = [order_sensitivity(program, streams, seed=seed, **options) for seed in (1, 1, 2)]
    counted = [np.concatenate([*run.layers.values()], 1) for run in runs]
    np.testing.assert_array_equal(counted[0], counted[1])
    assert not np.array_equal(counted[0], counted[2])


def test_it_prints_a_line_a_core_and_the_decisions():
    text = str(order_sensitivity(opposed(), np.ones((1, 2, 1, 1), int), permutations=3))
    assert text.splitlines()[0].split() == ["core", "clocked", "as", "given", "fewest", "most"]
    assert text.splitlines()[1].split()[:3] == ["spk0", "0", "1"]
    assert text.endswith("the same in 100.0 % of the orders")


@pytest.mark.parametrize("permutations", [0, -1, 1.5, None])
def test_fewer_than_one_permutation_is_refused(permutations):
    with pytest.raises(ValueError, match="permutations must be an integer >= 1"):
        order_sensitivity(neuron(), counts(1), permutations=permutations)
