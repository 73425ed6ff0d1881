"""Replays what xylosim did with small networks, recorded by ``tests/oracles``."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

from tests.chips.xylo.features import features, required
from tests.chips.xylo.programs import as_program, replay
from tests.oracles.xylo_vectors import CORES, DATA, NETWORKS, unpack
from toolchain.chips.xylo import simulate
from toolchain.chips.xylo.simulate.twin import simulate_slow

RECORDS = unpack()


def program_of(found):
    given = {k: v for k, v in found.items() if k not in ("raster", "calls")}
    given = {k: v for k, v in given.items() if not k.startswith("want_")}
    return as_program(given, given.pop("core"))


def wanted(found):
    return {k.removeprefix("want_"): v for k, v in found.items() if k.startswith("want_")}


@pytest.mark.parametrize("run", [partial(simulate, record=True), simulate_slow])
def test_every_recorded_state_is_reproduced(run):
    for number, found in enumerate(RECORDS):
        want = wanted(found)
        got = replay(run, program_of(found), found["raster"], found["calls"])
        assert got.keys() == want.keys()
        for name, states in got.items():
            np.testing.assert_array_equal(states, want[name], err_msg=f"network {number} {name}")


@pytest.mark.parametrize("core", CORES)
def test_the_recordings_reach_every_corner(core):
    found = [f for f in RECORDS if f["core"] == core]
    assert len(found) == NETWORKS
    reached = Counter()
    for f in found:
        states = wanted(f)
        states["hibernation"] = states.get("hibernation", np.empty(0)).astype(bool)
        reached += features(program_of(f), f["raster"], f["calls"], states)
    assert not required(core) - set(reached)


def test_the_recording_is_small():
    assert DATA.stat().st_size < 400_000
