"""Thread pool that runs compiled simulators on the samples of a batch.

Compiled kernels release the interpreter's lock, so threads run in parallel. The pool is reused
between calls, because starting threads costs more than the work of a small batch.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np

__all__ = ["LARGEST_PART", "check_threads", "each", "parts", "processors"]

S = TypeVar("S")
T = TypeVar("T")

LARGEST_PART = 20_000_000
"""Largest work, neurons times steps, between two checks for interrupts: well under a second."""

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def check_threads(threads: Any) -> None:
    """Check a number of threads, or None for one per usable processor; ValueError otherwise."""
    if threads is None:
        return
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise ValueError(f"threads must be an integer >= 1, or None, got {threads!r}")


def parts(samples: int, size: int, threads: int | None) -> list[range]:
    """Split a batch into even parts, several for each thread.

    Args:
        samples: number of samples.
        size: work of one sample, neurons times steps.
        threads: number of threads; None or 0 for one per usable processor.

    Returns:
        Ranges of sample indices.
    """
    workers = threads or processors()
    number = 1 if workers == 1 else 4 * workers
    number = min(samples, max(number, -(-samples * size // LARGEST_PART)))
    return [range(samples * i // number, samples * (i + 1) // number) for i in range(number)]


def each(work: Callable[[S], T], samples: Sequence[S], threads: int | None) -> list[T]:
    """Call ``work`` with every sample, or part of a batch, and return the results in order.

    The caller's thread is one of ``threads``, by default one per usable processor. After an
    interrupt (Ctrl-C) no further sample is started, and all threads end before it is raised.

    Raises:
        Exception: the exception of the first sample that fails.
    """
    workers = min(threads or processors(), len(samples))
    if workers <= 1:
        return [work(sample) for sample in samples]
    waiting = deque(enumerate(samples))
    results: dict[int, T] = {}
    failures: dict[int, Exception] = {}

    def drain() -> None:
        while waiting:
            try:
                index, sample = waiting.popleft()
            except IndexError:  # another thread took the last sample
                return
            try:
                results[index] = work(sample)
            except Exception as error:
                failures[index] = error
                waiting.clear()

    try:
        others = _start(drain, workers - 1)
        drain()
        for other in others:
            # a future that still waits behind another caller's work is not needed any more
            if not other.cancel():
                other.result()
    except BaseException:
        waiting.clear()
        _stop()
        raise
    if failures:
        try:
            # samples start in order, so all samples before this one succeeded
            raise failures[min(failures)]
        finally:
            failures.clear()  # its traceback refers to this frame
    return [results[index] for index in range(len(samples))]


def _start(work: Callable[[], None], threads: int) -> list[Future[None]]:
    """Run ``work`` in up to ``threads`` threads of the pool, fewer if no more are available."""
    global _pool
    started = []
    # RuntimeError: the interpreter is exiting, or the system cannot start more threads
    with _lock, suppress(RuntimeError):
        # an upper bound: the pool starts a thread only if none of its own is idle
        _pool = _pool or ThreadPoolExecutor(os.cpu_count() or 1, "toolchain")
        for _ in range(threads):
            started.append(_pool.submit(work))  # noqa: PERF401
    return started


def _stop() -> None:
    """Shut down the pool after its current work; the next call creates a new one."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.shutdown()


def _forget() -> None:
    """Reset the pool in a forked child process, which has no threads of its parent."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
