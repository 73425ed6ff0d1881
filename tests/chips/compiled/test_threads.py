import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from toolchain.chips.compiled.threads import LARGEST_PART, each, parts

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("threads", [None, 1, 2, 3, 40])
@pytest.mark.parametrize("samples", [0, 1, 2, 7, 100])
def test_results_are_in_the_order_of_the_samples(samples, threads):
    def work(sample):
        time.sleep(0.001 * (sample % 3))
        return sample * sample

    assert each(work, range(samples), threads) == [n * n for n in range(samples)]


def test_as_many_samples_at_a_time_as_there_are_threads():
    together = threading.Barrier(2, timeout=60)
    assert each(lambda sample: together.wait() >= 0, range(2), 2) == [True, True]


def test_one_thread_is_the_callers():
    me = threading.get_ident()
    assert each(lambda sample: threading.get_ident(), range(3), 1) == [me] * 3
    assert each(lambda sample: threading.get_ident(), range(1), 4) == [me]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_first_sample_that_fails_is_named_and_later_ones_are_left_out(threads):
    seen = []

    def work(sample):
        seen.append(sample)
        # the first to fail is the last to notice
        time.sleep(0.05 if sample == 5 else 0.001)
        if sample >= 5:
            raise ValueError(f"sample {sample}")

    for _ in range(3):
        seen.clear()
        with pytest.raises(ValueError, match=r"^sample 5$"):
            each(work, range(1000), threads)
        assert len(seen) < 100


def test_several_callers_and_calls_within_calls_share_the_threads():
    def outer(sample):
        return sum(each(lambda n: n * sample, range(20), 3))

    results = {}
    callers = [
        threading.Thread(target=lambda n=n: results.update({n: each(outer, range(20), 3)}))
        for n in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert list(results.values()) == [[190 * n for n in range(20)]] * 4


@pytest.mark.parametrize("threads", [None, 1, 2, 5])
@pytest.mark.parametrize("samples", [0, 1, 3, 64])
def test_parts_hold_every_sample_once_in_order(samples, threads):
    for size in (0, 10, LARGEST_PART, 3 * LARGEST_PART):
        cut = parts(samples, size, threads)
        assert [sample for part in cut for sample in part] == list(range(samples))
        assert all(part for part in cut)


def test_parts_are_even_and_small_enough_for_interrupts():
    assert [len(part) for part in parts(64, 1, 2)] == [8] * 8
    assert [len(part) for part in parts(64, 1, 1)] == [64]
    assert [len(part) for part in parts(64, LARGEST_PART // 4, 1)] == [4] * 16


# -- in a process of its own ----------------------------------------------------------------------

PREPARE = """
import atexit, multiprocessing, os, signal, sys, threading, time
from toolchain.chips.compiled.threads import each
def squares(n):
    return each(lambda x: (time.sleep(0.001), x * x)[1], range(n), 3)
"""


def in_a_process(code):
    """Run code in a new interpreter, which must end by itself, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PREPARE + code],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout


def test_threads_are_kept_from_call_to_call():
    code = """
squares(9)
kept = {thread.ident for thread in threading.enumerate()}
for _ in range(20): squares(9)
now = {thread.ident for thread in threading.enumerate()}
print(len(kept) > 1, kept <= now, len(now) <= 1 + os.cpu_count())  # one more where all are busy
"""
    assert in_a_process(code) == "True True True\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_makes_threads_of_its_own():
    code = """
print(squares(4), flush=True)
child = os.fork()
if not child:
    print(squares(5), flush=True)
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
print(squares(6), flush=True)
def work(n): print(squares(n), flush=True)
for daemon in (False, True):
    process = multiprocessing.get_context("fork").Process(target=work, args=(3,), daemon=daemon)
    process.start()
    process.join()
    assert process.exitcode == 0
"""
    lines = [[n * n for n in range(stop)] for stop in (4, 5, 6, 3, 3)]
    assert in_a_process(code) == "".join(f"{line}\n" for line in lines)


def test_a_process_that_ends_works_without_threads():
    code = """
atexit.register(lambda: print(squares(4)))
threading.Thread(target=lambda: (time.sleep(0.2), print(squares(3)))).start()
squares(2)
"""
    assert in_a_process(code) == "[0, 1, 4]\n[0, 1, 4, 9]\n"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs the timer of POSIX")
def test_an_interrupt_ends_a_call_between_samples_and_leaves_no_thread():
    code = """
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
seen = []
for delay in (0.05, 0.1, 0.2):
    signal.setitimer(signal.ITIMER_REAL, delay)
    try:
        each(lambda x: (time.sleep(0.01), seen.append(x)), range(10000), 3)
    except KeyboardInterrupt:
        print(threading.active_count(), len(seen) < 200)
print(squares(4))
"""
    assert in_a_process(code) == "1 True\n" * 3 + "[0, 1, 4, 9]\n"
