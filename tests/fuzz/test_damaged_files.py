"""Ten thousand damaged and hostile files, each within a second and half a gigabyte."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fuzz

ROOT = Path(__file__).parents[2]
FILES, SECONDS, BYTES = 10_000, 1.0, 500 * 2**20
# in a process of its own, whose memory is that of these files alone
SCRIPT = """
import json, resource, sys, time
from pathlib import Path
import numpy as np
from tests.frontends.files.damaged_files import damaged
from toolchain import load
from toolchain.diagnostics import ModelFileError

marker, path = Path("MARKER").absolute(), Path("file").absolute()

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def tried(seed):
    what, data = damaged(seed, marker, np.random.default_rng(seed))
    path.write_bytes(data)
    start = time.process_time()
    try:
        load(path)
        how = "read"
    except ModelFileError:
        how = "refused"
    return time.process_time() - start, seed, what, how

for seed in range(3):
    tried(seed)  # loads the libraries
before = peak()
results = [tried(seed) for seed in range(int(sys.argv[1]))]
refused = sum(how == "refused" for *_, how in results)
print(json.dumps({"slowest": max(results), "bytes": peak() - before, "refused": refused}))
assert not marker.exists()
"""


def test_ten_thousand_damaged_files(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(FILES)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    sys.stdout.write(f"{result}\n")
    assert result["slowest"][0] < SECONDS, result
    assert result["bytes"] < BYTES, result
    assert FILES * 0.9 < result["refused"] <= FILES, result
