"""Saving that is killed, runs out of space, or has company; and the look at what is left.

Children are forked, so that a run costs milliseconds, and always end by ``os._exit``.
"""

import ctypes
import hashlib
import os
import resource
import signal
import time
from collections import Counter
from contextlib import contextmanager

import numpy as np

from tests.oracles.artifacts import DATA
from toolchain import Deployment
from toolchain.atomic import exchange

MOST_SECONDS = 1.0
MOST_BYTES = 500e6
NEW_NAMESPACES = 0x00020000 | 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
REMOUNT = 32


@contextmanager
def protocol(name):
    """Replace folders by ``exchange`` of names, or by ``two renames`` as on other systems."""
    original = exchange.renameat2
    if name == "two renames":
        exchange.renameat2 = lambda: None
    try:
        yield
    finally:
        exchange.renameat2 = original


def deployments():
    """Two deployments with other files, names and sizes."""
    return [Deployment.load(DATA / name) for name in ("xylo_a2-channel", "speck2f-auto")]


def fingerprint(deployment):
    """Hash of everything that is simulated or shipped."""
    arrays, data = deployment.on_chip.pack()
    parts = [np.ascontiguousarray(array).tobytes() for array in arrays.values()]
    text = f"{data}{deployment.graph}{deployment.quantized}{deployment.config()}{deployment}"
    return hashlib.sha256(b"".join([text.encode(), *parts])).hexdigest()


class Place:
    """A folder in which artifacts are saved, and the counts of what was found there."""

    def __init__(self, parent):
        self.folder = parent / "net"
        self.known = deployments()
        self.names = {fingerprint(each): k for k, each in enumerate(self.known)}
        self.counts = Counter()
        self.slowest = 0.0

    def start(self):
        """Let the folder contain the first deployment and nothing else."""
        self.known[0].save(self.folder)
        assert [path.name for path in self.folder.parent.iterdir()] == ["net"]

    def save_second(self):
        self.known[1].save(self.folder)

    def look(self):
        """Count what is loaded: 0 for the first deployment, 1 for the second, else an error."""
        left = len(list(self.folder.parent.glob(".*")))
        assert left <= 2
        began = time.process_time()
        found = self.names[fingerprint(Deployment.load(self.folder))]
        self.slowest = max(self.slowest, time.process_time() - began)
        self.counts["old" if found == 0 else "new"] += 1
        self.counts["with temporary folders beside it"] += left > 0
        return found

    def report(self, title):
        """Print the counts, and check time and memory."""
        memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"\n{title}")
        for what, number in sorted(self.counts.items()):
            print(f"{number:6d}  {what}")
        print(f"{self.slowest:6.2f}  s, slowest load (processor time); {memory / 1e6:.0f} MB")
        assert self.slowest < MOST_SECONDS
        assert memory < MOST_BYTES


def forked(function):
    """Run ``function`` in a child; return its process number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            os._exit(code)
    return child


def ended(child):
    """Wait for a child; return True if it ended by itself without an error, False if killed."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def small_disk(parent):
    """Give this process a disk of its own at ``parent``; False if the system forbids it."""
    libc = ctypes.CDLL(None, use_errno=True)
    spaces = NEW_NAMESPACES if os.getuid() else NEW_NAMESPACES & ~0x10000000
    if libc.unshare(spaces):
        return False
    # changes of mounts stay in this process: MS_REC | MS_PRIVATE
    libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None)
    return libc.mount(b"tmpfs", os.fsencode(parent), b"tmpfs", 0, b"size=64m") == 0


def resize(parent, **limits):
    """Set limits of the disk, such as ``size=`` in bytes or ``nr_inodes=``."""
    libc = ctypes.CDLL(None, use_errno=True)
    text = ",".join(f"{name}={number}" for name, number in limits.items()).encode()
    if libc.mount(b"none", os.fsencode(parent), None, REMOUNT, text):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
