"""The simulation repeats what sinabs' layers were recorded to do."""

import json

import numpy as np

from tests.cases import each
from tests.oracles.speck_networks import many_case
from tests.oracles.speck_vectors import DIGESTS, digest, read
from toolchain.chips.speck import simulate

CASES = {case: rest for case, *rest in read()}


def test_there_are_at_least_twenty_recorded_networks():
    assert len(CASES) >= 20


@each("case", CASES)
def test_every_spike_and_membrane_is_as_recorded(case):
    program, raster, recorded = CASES[case]
    recording = simulate(program, raster, record=True)
    assert not any(recording.saturations.values())
    for name, layer in recording.layers.items():
        np.testing.assert_array_equal(layer.spikes, recorded[f"{name}.spikes"])
        np.testing.assert_array_equal(layer.v_mem, recorded[f"{name}.v_mem"])


MANY = json.loads(DIGESTS.read_text(encoding="utf-8"))


def test_there_are_two_hundred_networks_with_digests_and_merges_among_them():
    programs = [many_case(int(seed))[0] for seed in MANY]
    assert len(programs) >= 200
    merging = [p for p in programs if any(len([*p.sources(c.name)]) > 1 for c in p.cores)]
    assert len(merging) >= 30


@each("seed", MANY)
def test_spikes_and_membranes_of_fifty_steps_have_the_recorded_digest(seed):
    recording = simulate(*many_case(int(seed)), record=True)
    found = {name: digest(layer.spikes, layer.v_mem) for name, layer in recording.layers.items()}
    assert found == MANY[seed]
