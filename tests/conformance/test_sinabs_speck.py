"""The compiled simulation, its twin and sinabs' layers give the same spikes and membranes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.oracles.speck_networks import random_case, random_event_case
from toolchain.chips.speck import Destination, simulate
from toolchain.chips.speck.simulate.twin import simulate_densely

SEEDS = range(220)
STEPS = 50

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

    program, raster = random_case(seed, branches=seed % 3 == 0, steps=STEPS)
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


def test_at_least_two_hundred_cases_stay_within_16_bits_and_are_held_against_sinabs():
    cases = [random_case(seed, branches=seed % 3 == 0, steps=STEPS) for seed in SEEDS]
    held = [p for p, raster in cases if not any(simulate(p, raster).saturations.values())]
    assert len(held) >= 200
    assert sum(any(len([*p.sources(core.name)]) > 1 for core in p.cores) for p in held) >= 30


@pytest.mark.parametrize("seed", SEEDS[:40])
def test_event_timing_is_sinabs_with_an_event_a_step_where_no_weight_passes_the_threshold(seed):
    """Then a neuron fires in the step that its event is in, or not at all."""
    from tests.oracles import sinabs_oracle

    program, streams, *_ = random_event_case(seed)
    core = next(core for core in program.cores if core.input_shape == program.input_shape)
    most = max(1, int(np.abs(core.weight.astype(int)).max()))
    core = replace(
        core, bias=None, initial=None, threshold_high=most, destinations=(), monitor=True
    )
    single = replace(
        program,
        cores=(core,),
        inputs=(Destination(layer=core.name),),
        outputs=(core.name,),
    )
    for stream in streams:
        apart = stream.copy()
        apart["t"] = 1000 * np.arange(stream.size)
        raster = np.zeros((1, stream.size, *program.input_shape), np.uint8)
        raster[0, np.arange(stream.size), stream["p"], stream["y"], stream["x"]] = 1
        found = simulate(single, apart, timing="event", dt=1e-3, steps=stream.size, record=True)
        spikes, v_mem = sinabs_oracle.run(single, raster)
        np.testing.assert_array_equal(found.layers[core.name].spikes, spikes[core.name])
        np.testing.assert_array_equal(found.layers[core.name].v_mem, v_mem[core.name])
