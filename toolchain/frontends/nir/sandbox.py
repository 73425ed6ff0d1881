"""Reading of HDF5 files in a separate process, since damaged ones can crash or hang the library.

The process has bounded memory and time, imports only numpy and h5py, runs without the user's
environment and shell, and returns plain bytes. If it fails, that is reported as a fault of the
file. Several files may share a process; after a crash the remaining ones get a new one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from math import ceil, prod
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.frontends.nir.faults import NirFault
from toolchain.frontends.nir.limits import Limits

__all__ = ["Group", "read_trees"]

Group: TypeAlias = "dict[str, Group | Array | str]"
"""Members of a group by name; arrays are read-only, arrays of strings have dtype object."""
SIGNATURE = b"\x89HDF\r\n\x1a\n"
HERE = Path(__file__).parent
NEEDED = ("numpy", "h5py")
QUIET = {
    "HDF5_PLUGIN_PRELOAD": "::",  # load no filter plugins
    "OMP_NUM_THREADS": "1",  # every thread uses address space
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
LEAST_SECONDS = 20.0  # wall-clock time for startup on a busy machine


def read_trees(paths: Sequence[Path], limits: Limits) -> Iterator[Group | list[NirFault]]:
    """Yield the contents of each file, or what is wrong with it, in order."""
    checked = [(path, _precheck(path, limits)) for path in paths]
    answers = _answers([path for path, fault in checked if fault is None], limits)
    for _, fault in checked:
        yield [("", fault)] if fault is not None else next(answers)


def _precheck(path: Path, limits: Limits) -> str | None:
    """Return why a file must not be opened by the library, or None."""
    try:
        if not path.is_file():
            return "is not a file" if path.exists() else "does not exist"
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(len(SIGNATURE))
    except OSError as fault:
        return str(fault.strerror)
    if size > limits.file_bytes:
        return f"has {size} bytes, the limit is {limits.file_bytes}"
    return None if start == SIGNATURE else "is not an HDF5 file: wrong signature"


def _answers(paths: Sequence[Path], limits: Limits) -> Iterator[Group | list[NirFault]]:
    """Yield one answer per file, with as many processes as needed."""
    pending = list(paths)
    while pending:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as stderr:
            reason = _run(pending, limits, out, stderr)
            out.seek(0)
            for answer in _frames(out):
                del pending[0]
                yield answer
            if pending:
                del pending[0]
                yield [("", reason or f"could not be read: {_last_line(stderr)}")]


def _run(paths: Sequence[Path], limits: Limits, out: IO[bytes], stderr: IO[bytes]) -> str | None:
    """Run the program; return why it ended early, if the exit code says so."""
    seconds = LEAST_SECONDS + 4 * limits.seconds * len(paths)
    task = {
        "paths": [str(path.absolute()) for path in paths],
        "limits": asdict(limits),
        "folders": _folders(),
        "packages": _packages(),
        "processor_seconds": ceil(LEAST_SECONDS + limits.seconds * len(paths)),
        "answer_bytes": (limits.data_bytes + 2**26) * len(paths),
    }
    command = [sys.executable, "-I", "-S", "-B", str(HERE / "child.py")]
    try:
        process = subprocess.run(
            command,
            input=json.dumps(task).encode(),
            stdout=out,
            stderr=stderr,
            env=_environment(),
            cwd=os.sep,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"could not be read within {seconds:g} s"
    return _exit_reason(process.returncode, limits)


def _exit_reason(code: int, limits: Limits) -> str | None:
    if code >= 0:
        return None
    if -code in (signal.SIGPROF, signal.SIGXCPU):
        return f"is damaged: reading takes more than {limits.seconds:g} s of processor time"
    return f"is damaged: the HDF5 library crashed with {signal.Signals(-code).name}"


def _environment() -> dict[str, str]:
    """Return the user's environment without variables that affect Python or HDF5."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "HDF5_", "LD_PRELOAD", "MALLOC_"))
    }
    return {**inherited, **QUIET}


def _folders() -> list[str]:
    """Return the folders of the libraries that the program imports."""
    found = []
    for name in NEEDED:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        found.append(str(Path(spec.origin).absolute().parent.parent))
    return list(dict.fromkeys(found))


def _packages() -> list[tuple[str, str]]:
    """Return this module's package and its parents, outermost first, with their folders."""
    names = __name__.split(".")[:-1]
    folders = [HERE, *HERE.parents][: len(names)]
    return [
        (".".join(names[: depth + 1]), str(folder))
        for depth, folder in enumerate(reversed(folders))
    ]


def _frames(out: IO[bytes]) -> Iterator[Group | list[NirFault]]:
    """Yield the complete answers."""
    while True:
        header = out.read(int.from_bytes(out.read(8), "little"))
        if not header:
            return
        try:
            answer = json.loads(header)
            arrays = [_array(out, *described) for described in answer["arrays"]]
        except (ValueError, EOFError):  # the process ended while writing
            return
        faults = [(str(place), str(text)) for place, text in answer["faults"]]
        yield faults or _group(answer["tree"], arrays)


def _array(out: IO[bytes], kind: str, shape: list[int]) -> Array:
    dtype = np.dtype(kind)
    wanted = dtype.itemsize * prod(shape)
    data = out.read(wanted)
    if len(data) < wanted:
        raise EOFError
    return np.frombuffer(data, dtype).reshape(shape)


def _group(tree: dict[str, Any], arrays: list[Array]) -> Group:
    return {
        name: _group(value, arrays) if isinstance(value, dict) else _value(value, arrays)
        for name, value in tree.items()
    }


def _value(leaf: list[Any], arrays: list[Array]) -> Array | str:
    if leaf[0] == "array":
        array: Array = arrays[leaf[1]]
        return array
    if leaf[0] == "text":
        return str(leaf[1])
    texts = np.array(leaf[2], dtype=object).reshape(leaf[1])
    texts.flags.writeable = False
    return texts


def _last_line(stderr: IO[bytes]) -> str:
    stderr.seek(0)
    lines = stderr.read(2**16).decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else "the reader returned no answer"
