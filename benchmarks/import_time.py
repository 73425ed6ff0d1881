"""Time to import the toolchain, as a ratio to the packages that it needs at once.

    python benchmarks/import_time.py

Each run is a new interpreter that imports these packages first and the toolchain afterwards. Both
times are processor time of the same run; the ratio is the median of several. Fails if the toolchain
takes longer than the packages. All bytecode is written before the first run that counts, as pip
writes it on installation.
"""

import os
import statistics
import subprocess
import sys

RUNS = 7
MOST = 1.0
"""Largest ratio that passes."""
CODE = """
import time
start = time.process_time()
import networkx, numpy, platformdirs, pydantic, ruamel.yaml, safetensors.numpy
packages = time.process_time()
import toolchain
print(packages - start, time.process_time() - packages)
"""


def main() -> int:
    """Print the median times and their ratio; return 1 if it is too large."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(1 + RUNS):
        done = subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=kept
        )
        times.append(tuple(map(float, done.stdout.split())))
    del times[0]  # writes bytecode
    ratio = statistics.median(own / packages for packages, own in times)
    packages, own = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"packages {packages:.2f} s, toolchain {own:.2f} s, ratio {ratio:.2f}")
    return 1 if ratio > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
