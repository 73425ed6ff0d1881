"""Kernel, slow twin and the live xylosim agree in every state of random networks.

Where xylosim is missing these tests fail: they were asked for by their marker.
"""

from collections import Counter

import numpy as np
import pytest

from tests.chips.xylo.programs import STATES, as_program, assert_equal_recordings
from tests.oracles.xylo_networks import random_network, random_raster
from toolchain.chips.xylo import simulate
from toolchain.chips.xylo.twin import simulate_slow

pytestmark = pytest.mark.conformance

NETWORKS = 300
STEPS = 30


def exercised(program, got):
    """How often a recording reached what is easy to get wrong."""
    most = np.iinfo(np.int16)
    v_mem_out = got.v_mem_out
    return Counter(
        saturations=sum(got.saturations.values()),
        rails=int(np.sum((got.v_mem == most.max) | (got.v_mem == most.min))),
        multi_spikes=int(np.sum(got.hidden_spikes > 1)),
        hidden_caps=int(np.sum(got.hidden_spikes == program.max_hidden_spikes)),
        output_leftovers=int(np.sum(v_mem_out >= program.threshold_out)),
        aliases=sum(map(len, program.aliases)),
        second_synapse=int(program.synapses == 2 and np.any(got.i_syn_2)),
        biases=int(program.has_bias),
        asleep=0 if got.hibernation is None else int(got.hibernation.sum()),
    )


@pytest.mark.parametrize("core", ["v1", "v2"])
def test_random_networks_agree_with_xylosim_in_every_state(core):
    from tests.oracles import xylosim_oracle

    reached, wrong = Counter(), []
    for seed in range(NETWORKS):
        rng = np.random.default_rng([seed, 2])
        net = random_network(rng, core)
        raster = random_raster(rng, net, STEPS)
        program = as_program(net, core)
        want = xylosim_oracle.run(core, net, raster)
        got = simulate(program, raster, record=True)
        assert set(want) == {name for name in STATES if getattr(got, name) is not None}
        wrong += [
            (seed, name)
            for name, states in want.items()
            if not np.array_equal(getattr(got, name)[0], states)
        ]
        assert_equal_recordings(got, simulate_slow(program, raster))
        np.testing.assert_array_equal(simulate(program, raster).spikes, got.spikes)
        reached += exercised(program, got)
    assert not wrong
    missing = {"v1": {"biases", "asleep"}, "v2": set()}[core]
    assert set(reached) == set(exercised(program, got)) - missing


@pytest.mark.parametrize("core", ["v1", "v2"])
def test_a_continued_state_agrees_with_xylosim(core):
    from tests.oracles import xylosim_oracle

    for seed in range(30):
        rng = np.random.default_rng([seed, 3])
        net = random_network(rng, core)
        raster = random_raster(rng, net, STEPS)
        program = as_program(net, core)
        layer, lists = xylosim_oracle.build(core, net)
        state, cut = None, int(rng.integers(1, STEPS))
        for part in (raster[:cut], raster[cut:]):
            want = np.array(layer.evolve(part.tolist()))
            got = simulate(program, part, record=True, state=state)
            state = got.state
            np.testing.assert_array_equal(got.spikes[0], want)
            np.testing.assert_array_equal(got.v_mem[0], np.array(layer.rec_v_mem).T)
            if core == "v2":
                np.testing.assert_array_equal(got.hibernation[0], layer.rec_hibernation_mode)
        del lists
