"""The examples run as they are, in a short form."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_demo_takes_both_networks_the_whole_way(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py", "--out", tmp_path, "--epochs", "2"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "error", "MPLBACKEND": "Agg"},
    )
    for words in ("Speck 2f: fits", "Xylo Audio 2: fits", "test accuracy, 450 digits", "artifact:"):
        assert words in done.stdout
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["digits_speck", "digits_speck.png", "digits_xylo", "digits_xylo.png"]
