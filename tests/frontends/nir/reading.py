"""Reads every file of a folder in a small process, and says what came of it and what it took.

``python -m tests.frontends.nir.reading FOLDER`` prints JSON: by file the outcome and the processor
seconds of the process that read it; and the most memory that such a process held, in bytes.
"""

import json
import resource
import sys
from pathlib import Path

from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir.flat import flatten
from toolchain.frontends.nir.read import read_several

BATCH, ENOUGH = 20, 0.9
ENDED = {"processor time": "given up", "the HDF5 library crashed": "crashed", "could not": "lost"}


def outcome(found, path):
    """In a word or two; anything but a file or an error of the right kind is a fault."""
    if isinstance(found, ModelFileError):
        assert str(found).startswith(f"{path}: ")
        ends = [word for text, word in ENDED.items() if text in str(found)]
        return f"refused, {ends[0]}" if ends else "refused"
    try:
        flatten(found.graph)
    except ModelFileError:
        return "read, edges refused"
    return "read"


def used():
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken.ru_utime + taken.ru_stime


def timed(paths):
    """Outcomes and the processor time of reading all ``paths`` at once."""
    before = used()
    found = [outcome(got, path) for got, path in zip(read_several(paths), paths, strict=True)]
    return found, used() - before


def timings(paths):
    """By name, outcome and time of each file, or of a batch that took less than is allowed."""
    found, seconds = timed(paths)
    if len(paths) == 1 or seconds < ENOUGH:
        return {path.name: (word, seconds) for path, word in zip(paths, found, strict=True)}
    slow = [path for path, word in zip(paths, found, strict=True) if word == "refused, given up"]
    rest = [path for path in paths if path not in slow]
    parts = [[path] for path in slow] + ([rest] if slow else [[path] for path in rest])
    return {name: entry for part in parts if part for name, entry in timings(part).items()}


def main():
    paths = sorted(Path(sys.argv[1]).iterdir())
    files = {}
    for first in range(0, len(paths), BATCH):
        files |= timings(paths[first : first + BATCH])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    json.dump({"files": files, "peak": peak}, sys.stdout)


if __name__ == "__main__":
    main()
