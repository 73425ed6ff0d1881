"""Replays what xylosim did with small random networks, recorded by ``tests/oracles``."""

import numpy as np
import pytest

from tests.chips.xylo.programs import STATES, as_program
from tests.oracles.xylo_vectors import CORES, DATA, SEEDS, unpack
from toolchain.chips.xylo import simulate
from toolchain.chips.xylo.twin import simulate_slow

RECORDS = unpack()


def program_of(found):
    given = {k: v for k, v in found.items() if not k.startswith("want_") and k != "raster"}
    return as_program(given, given.pop("core"))


@pytest.mark.parametrize("run", [lambda p, r: simulate(p, r, record=True), simulate_slow])
def test_every_recorded_state_is_reproduced(run):
    assert len(RECORDS) == len(CORES) * len(SEEDS)
    for number, found in enumerate(RECORDS):
        got = run(program_of(found), found["raster"])
        names = {name for name in STATES if getattr(got, name) is not None}
        assert {f"want_{name}" for name in names} == {k for k in found if k.startswith("want_")}
        for name in names:
            np.testing.assert_array_equal(
                getattr(got, name)[0], found[f"want_{name}"], err_msg=f"network {number} {name}"
            )


def test_the_recorded_networks_reach_rails_caps_and_multiple_spikes():
    spikes = np.concatenate([found["want_hidden_spikes"].ravel() for found in RECORDS])
    currents = np.concatenate([found["want_i_syn"].ravel() for found in RECORDS])
    left = [found["want_v_mem_out"] >= found["threshold_out"] for found in RECORDS]
    counts = [sum(simulate(program_of(f), f["raster"], record=True).saturations.values())
              for f in RECORDS]  # fmt: skip
    assert np.sum(spikes > 1) > 1000
    assert np.sum(spikes == 31) > 100
    assert np.sum(np.abs(currents.astype(int)) > 30000) > 100
    assert sum(map(np.sum, left)) > 100
    assert sum(counts) > 1000
    assert sum(bool(np.any(f["bias"]) or np.any(f["bias_out"])) for f in RECORDS) > 5
    assert sum(any(f["aliases"]) for f in RECORDS) > 10
    assert sum("want_i_syn_2" in f for f in RECORDS) > 10


def test_the_recording_is_small():
    assert DATA.stat().st_size < 300_000
