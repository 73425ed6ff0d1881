"""Programs that compile a small function under difficult circumstances, each in its own process.

Run as ``python scenarios.py FOLDER``, without the right to ignore file permissions. One interpreter
prepares numba, which takes most of the time, and forks for every process of a scenario. Prints one
line of JSON: for each scenario what its processes found.
"""

import importlib
import json
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

import numba
from numba.core.cpu import CPUTargetOptions
from numba.core.event import Listener, register

from toolchain.chips.compiled import cache, code_files, notice

SOURCE = """
from toolchain.chips.compiled.cache import compiled
@compiled(title="the doubler", seconds={seconds})
def double(number):
    return {factor} * number
"""
FOLDER = Path(sys.argv[1])


class Lines(logging.Handler):
    """Keeps the lines of the log."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def package(factor=2, seconds=2):
    """Write the module and return its folder of machine code."""
    (FOLDER / "package").mkdir(exist_ok=True)
    source = SOURCE.format(factor=factor, seconds=seconds)
    (FOLDER / "package" / "doubler.py").write_text(source)
    return FOLDER / "package" / "__pycache__"


def files():
    return sorted(path for path in FOLDER.rglob("*") if code_files.SUFFIX in path.name)


def call(prepare=lambda: None):
    """Import the module, call its function, and return what happened."""
    log = Lines()
    notice.LOGGER.addHandler(log)
    notice.LOGGER.propagate = False
    prepare()
    sys.path.insert(0, str(FOLDER / "package"))
    importlib.invalidate_caches()
    double = importlib.import_module("doubler").double
    interrupts = 0
    try:
        value = double(21)
    except KeyboardInterrupt:
        interrupts += 1
        value = double(21)
    (use,) = double._cache.uses.values()
    place = None if use.folder is None else str(use.folder.relative_to(FOLDER))
    return {"value": value, "compiled": use.compiled, "folder": place, "lines": log.lines} | (
        {"interrupts": interrupts} if interrupts else {}
    )


def process(work):
    """Run ``work`` in a forked process; return a function that waits for its result."""
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        os.write(writable, json.dumps(work()).encode())
        os._exit(0)
    os.close(writable)

    def wait():
        with os.fdopen(readable, "rb") as pipe:
            result = json.loads(pipe.read() or b"null")
        os.waitpid(child, 0)
        return result

    return wait


def run(prepare=lambda: None):
    return process(lambda: call(prepare))()


def read_only(paths, mode=0o555):
    for path in paths:
        path.chmod(mode)


def no_home():
    """Leave no folder of the user that can be written."""
    for name in ("HOME", "XDG_CACHE_HOME"):
        os.environ[name] = str(FOLDER / "package" / "doubler.py" / "below a file")


def home():
    os.environ["HOME"] = str(FOLDER / "home")
    os.environ.pop("XDG_CACHE_HOME", None)


class ControlC(Listener):
    """Interrupts this process once, in the middle of a compilation."""

    def __init__(self):
        self.passes = 0

    def on_start(self, event):
        self.passes += 1
        if self.passes == 10:
            os.kill(os.getpid(), signal.SIGINT)

    def on_end(self, event):
        pass


def on_stderr():
    """Compile two functions of the same title, whose machine code no earlier run has kept."""
    numba.config.CACHE_DIR = str(FOLDER / "on stderr")
    for _ in range(2):
        assert cache.compiled(lambda number: number, title="the doubler", seconds=2)(1) == 1


def silenced():
    notice.LOGGER.setLevel("ERROR")
    on_stderr()


def without_nrt():
    """Call functions without counts of references, in a numba that has no such option."""
    for kind in CPUTargetOptions.__mro__:
        if "_nrt" in vars(kind):
            del kind._nrt
    fresh = importlib.reload(cache)
    add = fresh.inline_bare(lambda number: number + 1)
    return fresh.compiled_bare(lambda number: 2 * add(number))(20)


def main():
    # a shell that starts a command in the background ignores the signal for it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    numba.njit(lambda number: number + 1)(1)
    found = {}
    cached = package()
    cached.mkdir()
    found["first"], found["second"] = run(), run()
    read_only((cached, cached.parent))
    found["read-only"] = run(no_home)
    read_only((cached, cached.parent), 0o755)
    os.utime(cached.parent / "doubler.py", (0, 0))
    found["another time of the source"] = run()

    (file,) = files()
    whole = file.read_bytes()
    found["damaged"] = []
    for content in (whole[:100], whole[:-1] + b"\x80"):
        file.write_bytes(content)
        found["damaged"] += [run(), run()]

    found["another numba"] = run(lambda: setattr(numba, "__version__", "0.0"))
    found["another processor"] = run(lambda: setattr(numba.config, "CPU_NAME", "generic"))
    found["neither"] = run()
    found["files of all three"] = len(files())
    package(factor=3)
    found["another source"] = run()
    found["file of the old source"] = file.exists()

    for path in files():
        path.unlink()
    waiting = [process(call) for _ in range(3)]
    found["at once"] = [wait() for wait in waiting]
    found["after that"] = run()

    for path in files():
        path.unlink()
    interrupt = partial(register, "numba:run_pass", ControlC())
    found["interrupted"], found["after an interrupt"] = run(interrupt), run()

    for path in files():
        path.unlink()
    read_only((cached, cached.parent))
    found["no folder"] = run(no_home)
    found["the user's folder"], found["the user's folder again"] = run(home), run(home)
    read_only((cached, cached.parent), 0o755)
    package(factor=4, seconds=0.1)
    found["short"] = run()

    for work in (on_stderr, silenced):
        process(work)()
    found["without _nrt"] = process(without_nrt)()
    found["files left over"] = [f.name for f in files() if f.suffix != code_files.SUFFIX]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
