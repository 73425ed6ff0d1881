"""Ten thousand damaged NIR files: each ends within a second and 500 MB, in a typed error or read.

This is about the HDF5 library that h5py brings along, with which a file may do as it likes.
"""

import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.frontends.nir.damage import damaged

pytestmark = pytest.mark.fuzz

FILES, AT_ONCE = 10_000, 500


def read_all(numbers, folder):
    """What came of the files of these numbers."""
    folder.mkdir()
    for number in numbers:
        kind, data = damaged(number)
        (folder / f"{kind}-{number:05}.nir").write_bytes(data)
    command = [sys.executable, "-m", "tests.frontends.nir.reading", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for path in folder.iterdir():
        path.unlink()
    return json.loads(done.stdout)


def test_ten_thousand_damaged_files(tmp_path, record_testsuite_property):
    words, slowest, peak = Counter(), 0.0, 0
    for first in range(0, FILES, AT_ONCE):
        result = read_all(range(first, first + AT_ONCE), tmp_path / str(first))
        words += Counter(word for word, _ in result["files"].values())
        slowest = max(slowest, *(seconds for _, seconds in result["files"].values()))
        peak = max(peak, result["peak"])
    for name, value in {**words, "slowest_s": slowest, "peak_bytes": peak}.items():
        record_testsuite_property(name, value)
    assert words.total() == FILES
    assert words["refused, lost"] == 0
    assert slowest < 1.0
    assert peak < 500e6
