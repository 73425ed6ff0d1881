"""Nothing is lost by kills at any moment, full disks, and many writers and readers at once."""

import errno
import itertools
import os
import random
import signal
import time

import pytest

from tests.campaigns import traced
from tests.campaigns.saving import (
    Place,
    ended,
    fingerprint,
    forked,
    protocol,
    resize,
    small_disk,
)
from tests.file_calls import count, each_call, error_of, failing_at
from toolchain import Deployment
from toolchain.diagnostics import ArtifactError

pytestmark = [
    pytest.mark.saving,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here"),
    pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning"),
]
PROTOCOLS = pytest.mark.parametrize("name", ["exchange", "two renames"])
KILLS = 1000
SECONDS = 60
WRITERS, READERS = 4, 2


def duration(function):
    """The time that a child needs for ``function``, s."""
    began = time.perf_counter()
    assert ended(forked(function))
    return time.perf_counter() - began


@PROTOCOLS
def test_killed_at_a_random_moment(tmp_path, name):
    place, random_moment = Place(tmp_path), random.Random(0).uniform
    with protocol(name):
        place.start()
        longest = 1.2 * min(duration(place.save_second) for _ in range(5))
        while place.counts["killed"] < KILLS:
            place.start()
            child = forked(place.save_second)
            time.sleep(random_moment(0, longest))
            os.kill(child, signal.SIGKILL)
            killed = not ended(child)
            place.counts["killed" if killed else "ended before the kill"] += 1
            assert place.look() == 1 or killed
        place.start()
    place.report(f"SIGKILL at random moments of a save, by {name}")


@PROTOCOLS
def test_killed_before_each_system_call(tmp_path, name):
    if not traced.is_possible():
        pytest.skip("processes cannot be traced here")
    place = Place(tmp_path)
    found = []
    with protocol(name):
        place.start()
        for number in itertools.count():
            place.start()
            if not traced.killed_before(number, place.save_second):
                break
            found.append(place.look())
        place.start()
    place.counts["system calls"] = len(found)
    place.report(f"SIGKILL before each system call of a save, by {name}")
    # the new artifact appears at one call and stays
    assert found == sorted(found)
    assert {*found} == {0, 1}


@PROTOCOLS
@pytest.mark.parametrize("once", [True, False], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT], ids=os.strerror)
def test_a_call_that_fails(tmp_path, name, code, once):
    place = Place(tmp_path)
    with protocol(name):
        place.start()
        calls = count(place.save_second)
        for number in range(len(calls)):
            place.start()
            with each_call(failing_at(number, code, once=once)):
                fault = error_of(place.save_second, ArtifactError)
            found = place.look()
            if fault is None:
                assert found == 1
            else:
                assert str(place.folder) in str(fault)
                place.counts["refused"] += 1
                # what fails from then on cannot be undone either
                assert found == 0 or not once
        place.start()
    place.counts["calls"] = len(calls)
    place.report(
        f"{os.strerror(code)} at each call, by {name}, {'once' if once else 'from then on'}"
    )


@PROTOCOLS
def test_a_full_disk(tmp_path, name):
    def child():
        if not small_disk(tmp_path):
            print("skipped: this system does not allow a disk for one process")
            return
        place = Place(tmp_path)
        with protocol(name):
            for limit, one in (("size", 4096), ("nr_inodes", 1)):
                place.start()
                status = os.statvfs(tmp_path)
                used = {
                    "size": (status.f_blocks - status.f_bfree) * status.f_frsize,
                    "nr_inodes": status.f_files - status.f_ffree,
                }[limit]
                for more in itertools.count():
                    resize(tmp_path, **{limit: used + more * one})
                    fault = error_of(place.save_second, ArtifactError)
                    if fault is None:
                        assert place.look() == 1
                        break
                    assert "No space left on device; free some space" in str(fault)
                    place.counts[f"refused, {limit}"] += 1
                    assert place.look() == 0
                    assert [path.name for path in tmp_path.iterdir()] == ["net"]
                resize(tmp_path, size=2**26, nr_inodes=10000)
        place.report(f"a disk that is full after each page and each file, by {name}")
        assert place.counts["refused, size"] > 20
        assert place.counts["refused, nr_inodes"] > 10

    assert ended(forked(child))


@PROTOCOLS
def test_writers_and_readers_at_once(tmp_path, name):
    place = Place(tmp_path)
    until = time.monotonic() + SECONDS
    results = tmp_path / "results"
    results.mkdir()
    folder = tmp_path / "shared" / "net"

    def write(number):
        saves = 0
        while time.monotonic() < until:
            place.known[(number + saves) % 2].save(folder)
            saves += 1
        (results / f"saves {number}").write_text(f"{saves} 0")

    def read(number):
        reads, slowest = 0, 0.0
        while time.monotonic() < until:
            began = time.process_time()
            assert fingerprint(Deployment.load(folder)) in place.names
            slowest = max(slowest, time.process_time() - began)
            # a temporary folder and a replaced one for each writer
            assert len(list(folder.parent.iterdir())) <= 1 + 2 * WRITERS
            reads += 1
        (results / f"reads {number}").write_text(f"{reads} {slowest}")

    with protocol(name):
        place.known[0].save(folder)
        children = [forked(lambda k=k: write(k)) for k in range(WRITERS)]
        children += [forked(lambda k=k: read(k)) for k in range(READERS)]
        assert [ended(child) for child in children] == [True] * len(children)
        for path in results.iterdir():
            number, slowest = path.read_text().split()
            place.counts[path.name.split()[0]] += int(number)
            place.slowest = max(place.slowest, float(slowest))
        assert fingerprint(Deployment.load(folder)) in place.names
        assert [path.name for path in folder.parent.iterdir()] == ["net"]
    place.report(f"{WRITERS} writers and {READERS} readers for {SECONDS} s, by {name}")
