"""Two thousand edited artifacts: each is refused or loads bit-equal, fast and in little memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.campaign

ROOT = Path(__file__).parents[2]
ARTIFACTS, SECONDS, BYTES = 2000, 1.0, 500 * 2**20
# in a process of its own, whose memory is that of these artifacts alone
SCRIPT = """
import collections, json, resource, sys, time, warnings
from pathlib import Path
from tests.edited_artifacts import edited, recorded, result, same, write

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

artifacts, folder = recorded(), Path("edited").absolute()
wanted = [result(write(files, folder)) for files in artifacts]
warnings.simplefilter("error")
before, slowest, counts, wrong = peak(), (0.0, 0), collections.Counter(), []
for seed in range(int(sys.argv[1])):
    what, _, files = edited(seed, artifacts)
    write(files, folder)
    start = time.process_time()
    found = result(folder)
    slowest = max(slowest, (time.process_time() - start, seed))
    how = "refused" if isinstance(found, str) else "loaded"
    if how == "loaded" and not any(same(found, each) for each in wanted):
        wrong.append(seed)
    counts[f"{what} {how}"] += 1
report = {"slowest": slowest, "bytes": peak() - before, "wrong": wrong}
print(json.dumps(report | {"counts": dict(sorted(counts.items()))}))
"""


def test_every_edited_artifact_is_refused_or_loads_bit_equal(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(ARTIFACTS)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr  # any error but ArtifactError ends it
    report = json.loads(done.stdout)
    sys.stdout.write(f"{json.dumps(report, indent=1)}\n")
    assert report["wrong"] == []
    assert report["slowest"][0] < SECONDS, report
    assert report["bytes"] < BYTES, report
    assert sum(report["counts"].values()) == ARTIFACTS
