"""Processor and wall time, the least of interleaved runs; memory in a process of its own."""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

__all__ = [
    "Child", "Taken", "circumstances", "in_process", "interleaved", "load", "report", "yardstick",
]  # fmt: skip

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Least times of one call, s: of all threads of the process, and by the clock."""

    cpu: float
    wall: float


def once(work: Callable[[], object]) -> Taken:
    """Time one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Taken(cpu=time.process_time() - cpu, wall=time.perf_counter() - wall)


def interleaved(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Taken]:
    """Call every function in turn, ``repeats`` times after a first round; return the least times.

    Interleaved, a change of the machine's load meets all of them.
    """
    times: dict[str, list[Taken]] = {name: [] for name in works}
    for repeat in range(repeats + 1):
        for name, work in works.items():
            taken = once(work)
            if repeat:
                times[name].append(taken)
    return {
        name: Taken(cpu=min(t.cpu for t in found), wall=min(t.wall for t in found))
        for name, found in times.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """Time and memory of work in a process of its own, beyond its preparation.

    Attributes:
        cpu, wall: times of the work, s.
        growth: growth of the largest memory, MB.
        whole: processor time of the process from its start on, s.
    """

    cpu: float
    wall: float
    growth: float
    whole: float


def report(prepare: Callable[[], Callable[[], object]]) -> None:
    """Prepare, do the work and print what it took, for ``in_process``."""
    work = prepare()
    gc.collect()
    before = _peak()
    taken = once(work)
    print(json.dumps([taken.cpu, taken.wall, _peak() - before, time.process_time()]))


def in_process(*arguments: str, repeats: int = 1, caches: str | None = None) -> Child:
    """Run ``python ARGUMENTS``, whose last line ``report`` prints; return the least of each.

    Args:
        arguments: of the interpreter.
        repeats: number of processes.
        caches: folder of compiled code; by default the user's.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    if caches is not None:
        environment["NUMBA_CACHE_DIR"] = caches
    rows = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *arguments],
            capture_output=True, text=True, check=False, cwd=ROOT, env=environment,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)[:200]} failed:\n{done.stderr[-2000:]}")
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    cpu, wall, growth, whole = (min(column) for column in zip(*rows, strict=True))
    return Child(cpu=cpu, wall=wall, growth=growth, whole=whole)


@cache
def yardstick() -> float:
    """Return the processor time of fixed work of Python and numpy on this machine, s."""

    def work() -> None:
        values = np.random.default_rng(0).random((256, 256))
        for _ in range(10):
            np.einsum("ij,jk->ik", values, values)
        sum(i * i for i in range(300_000))

    return interleaved({"work": work}, 5)["work"].cpu


def load() -> float:
    """Return the load average of the last minute; 0 where the system has none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def circumstances() -> str:
    """Describe processor, load and versions in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = ("numba", "numpy", "torch", "xylosim", "sinabs")
    return (
        f"{_processor()}, {cores} cores, load {load():.1f}; Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in names)
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _peak() -> float:
    """Return the largest memory of this process so far, MB."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
