import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CODE = """
from numba.core import caching
for kind in (caching.CompileResultCacheImpl, caching.CodeLibraryCacheImpl, caching.CacheImpl):
    kind._locator_classes = []  # numba finds no place that takes a file
from tests.oracles.artifacts import DATA, spikes
from toolchain import Deployment
deployment = Deployment.load(DATA / "{name}")
print(deployment.simulate(spikes(deployment.graph.shape(deployment.graph.input))).spikes.sum())
"""


@pytest.mark.parametrize("name", ["speck2f-common", "xylo_a2-channel"])
def test_a_chip_is_simulated_where_no_cache_can_be_written(name):
    code = CODE.format(name=name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
