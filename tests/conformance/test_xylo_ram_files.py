"""Memory images against xylosim's own writer on random networks, byte for byte."""

from collections import Counter

import numpy as np
import pytest

from tests.chips.xylo.programs import as_program
from tests.oracles.xylo_networks import random_network, random_raster
from tests.oracles.xylo_ram_files import representable, written
from toolchain.chips.xylo.emit.ram_files import write_ram_files

pytestmark = pytest.mark.conformance

NETWORKS = 40
STEPS = 20


def of_folder(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode("ascii")
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("core", ["v1", "v2"])
def test_every_file_is_the_one_that_xylosim_writes(core, tmp_path):
    seen, wrong = Counter(), []
    for seed in range(NETWORKS):
        rng = np.random.default_rng([seed, 5])
        net = representable(random_network(rng, core))
        raster = random_raster(rng, net, STEPS)
        dt = [None, 1e-3, 0.009994][seed % 3]
        want = written(core, net, raster, dt)
        program = as_program(net, core, dt=dt)
        got = of_folder(write_ram_files(program, tmp_path / str(seed), raster))
        wrong += [
            (seed, name) for name in want.keys() | got.keys() if want.get(name) != got.get(name)
        ]
        seen += Counter(
            files=len(want),
            two_synapses='"N_SYNS": 2' in want["basic_config.json"],
            one_synapse='"N_SYNS": 1' in want["basic_config.json"],
            aliases='"RA": true' in want["basic_config.json"],
        )
    assert wrong == []
    assert seen["files"] > 100 * NETWORKS
    assert min(seen.values()) > 5


def test_the_writer_fails_where_the_documentation_of_ours_says_so():
    rng = np.random.default_rng(0)
    net = random_network(rng, "v2", 4)
    net["weights_out"][:] = 0
    with pytest.raises(ValueError, match="zero-size array"):
        written("v2", net, random_raster(rng, net, 3), None)
