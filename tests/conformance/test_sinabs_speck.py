"""The compiled simulation, its twin and sinabs' layers give the same spikes and membranes."""

import numpy as np
import pytest

from tests.oracles.speck_networks import random_case
from toolchain.chips.speck import simulate
from toolchain.chips.speck.twin import simulate_densely

SEEDS = range(120)

pytestmark = [
    pytest.mark.conformance,
    # Said by the packages under comparison, not by this project.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_compiled_simulation_twin_and_sinabs_agree_on_every_layer(seed):
    from tests.oracles import sinabs_oracle

    program, raster = random_case(seed, branches=seed % 5 == 0)
    compiled = simulate(program, raster, record=True)
    dense = simulate_densely(program, raster)
    spikes, v_mem = sinabs_oracle.run(program, raster)
    assert compiled.saturations == dense.saturations
    assert sum(counts.sum() for counts in compiled.spike_counts.values()) > 0
    for name, layer in compiled.layers.items():
        np.testing.assert_array_equal(layer.spikes, dense.layers[name].spikes)
        np.testing.assert_array_equal(layer.v_mem, dense.layers[name].v_mem)
        if not any(compiled.saturations.values()):
            np.testing.assert_array_equal(layer.spikes, spikes[name])
            np.testing.assert_array_equal(layer.v_mem, v_mem[name])


def test_at_least_a_hundred_cases_stay_within_16_bits_and_are_held_against_sinabs():
    results = [simulate(*random_case(seed, branches=seed % 5 == 0)) for seed in SEEDS]
    assert sum(not any(result.saturations.values()) for result in results) >= 100
