"""The simulation repeats what sinabs' layers were recorded to do."""

import numpy as np
import pytest

from tests.oracles.speck_vectors import read
from toolchain.chips.speck import simulate

CASES = {case: rest for case, *rest in read()}


def test_there_are_at_least_twenty_recorded_networks():
    assert len(CASES) >= 20


@pytest.mark.parametrize("case", CASES)
def test_every_spike_and_membrane_is_as_recorded(case):
    program, raster, recorded = CASES[case]
    recording = simulate(program, raster, record=True)
    assert not any(recording.saturations.values())
    for name, layer in recording.layers.items():
        np.testing.assert_array_equal(layer.spikes, recorded[f"{name}.spikes"])
        np.testing.assert_array_equal(layer.v_mem, recorded[f"{name}.v_mem"])
