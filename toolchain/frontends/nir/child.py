"""Subprocess that parses HDF5 files in isolation; run by ``sandbox``, never imported.

Standard input is JSON: the files to read and the limits. For each file, standard output gets eight
bytes with the length of a JSON text, the text, and the bytes of the arrays that it lists. If the
HDF5 library crashes, hangs or runs out of memory, the process ends, and the missing answer shows
it.

The parent packages are replaced by empty modules, whose ``__init__`` would import more than needed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import types
from typing import Any, BinaryIO

POSIX = os.name == "posix"  # on other systems only the timeout of the parent process applies


def main() -> None:
    """Read every file that standard input names and write one answer each."""
    task = json.loads(sys.stdin.buffer.read())
    _confine(task)
    _make_importable(task)
    from toolchain.frontends.nir import hdf5
    from toolchain.frontends.nir.limits import Limits

    limits = Limits(**task["limits"])
    for path in task["paths"]:
        _alarm(limits.seconds)
        found = hdf5.contents(path, limits)
        _alarm(0)
        _answer(found, sys.stdout.buffer)


def _confine(task: dict[str, Any]) -> None:
    """Bound memory, time and output, and disable core files, as far as the system can."""
    if not POSIX:
        return
    import resource

    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    bounds = {
        resource.RLIMIT_AS: task["limits"]["memory_bytes"],
        resource.RLIMIT_CPU: task["processor_seconds"],
        resource.RLIMIT_FSIZE: task["answer_bytes"],
        resource.RLIMIT_CORE: 0,
    }
    for resource_id, bound in bounds.items():
        _, hard = resource.getrlimit(resource_id)
        allowed = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        with contextlib.suppress(OSError, ValueError):  # macOS has no bound on address space
            resource.setrlimit(resource_id, (allowed, hard))


def _make_importable(task: dict[str, Any]) -> None:
    sys.path.extend(task["folders"])
    for name, folder in task["packages"]:
        package = types.ModuleType(name)
        package.__path__ = [folder]
        sys.modules[name] = package


def _alarm(seconds: float) -> None:
    """End this process after ``seconds`` of processor time, even within a library call."""
    if POSIX:
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _answer(found: Any, out: BinaryIO) -> None:
    header = {
        "tree": found.tree,
        "arrays": [[array.dtype.str, list(array.shape)] for array in found.arrays],
        "faults": found.faults,
    }
    text = json.dumps(header).encode()
    out.write(len(text).to_bytes(8, "little"))
    out.write(text)
    for array in found.arrays:
        out.write(array)
    out.flush()


if __name__ == "__main__":
    main()
