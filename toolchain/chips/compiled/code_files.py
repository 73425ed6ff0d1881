"""Files of machine code that numba has compiled: one a function, signature and processor.

They take the place of numba's own cache, which keeps an index beside its files: two processes that
write at once, or an interrupt between index and file, can leave an index that leads to the code of
another signature or of another source. Here the file's name is a digest of everything that the code
depends on, and the file starts with the digest of its content, so that it is either right or
ignored. In addition:

- Folders that cannot be written are read, for instance those of an image that was prepared with
  ``toolchain.warm()`` and is read-only later. A copy of the package with other file times finds its
  code.
- Loading leaves out numba's tables for compilation, which take longer to prepare (0.5 s) than the
  rest of the loading (0.05 s).
- Where code has to be compiled, a line says so (``notice``).
"""

from __future__ import annotations

import hashlib
import pickle
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numba

from toolchain.chips.compiled.notice import say_compiling

__all__ = ["FUNCTIONS", "CodeFiles", "Use"]

SUFFIX = ".machinecode"
DIGEST = 32
"""Bytes of the digest at the start of each file."""

FUNCTIONS: list[CodeFiles] = []
"""Those of all compiled functions of this process, in the order of their definition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Origin of the machine code of one signature in this process.

    Attributes:
        compiled: False if it was read from a file.
        folder: folder of its file; None if it could not be written.
        seconds: wall time of compiling or loading, s.
    """

    compiled: bool
    folder: Path | None
    seconds: float


class CodeFiles:
    """The files of one function, with the methods of numba's caches.

    Attributes:
        function: the function that is compiled.
        title: its name in messages.
        seconds: about the time to compile it, s; 0 for functions not worth a message.
        uses: how each signature came into this process.
    """

    def __init__(self, function: Callable[..., Any], title: str, seconds: float) -> None:
        self.function = function
        self.title = title or f"{function.__module__}.{function.__qualname__}"
        self.seconds = seconds
        self.uses: dict[str, Use] = {}
        self._started: dict[str, tuple[float, Path | None]] = {}

    # -- called by numba's dispatcher --------------------------------------------------------------

    @property
    def cache_path(self) -> str:
        """The first of the folders."""
        return str(next(folders(self.function), ""))

    def enable(self) -> None:
        """Do nothing: always enabled."""

    def disable(self) -> None:
        """Do nothing: always enabled."""

    def flush(self) -> None:
        """Do nothing: files of another source are not found."""

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return the compiled code of a signature; None if it has to be compiled."""
        started = time.perf_counter()
        _prepare_loading(context)
        name = self._name(signature, context.codegen().magic_tuple())
        for folder in folders(self.function) if name else ():
            code = _read(folder / name, context)
            if code is not None:
                spent = time.perf_counter() - started
                self.uses[str(signature)] = Use(compiled=False, folder=folder, seconds=spent)
                return code
        writable = _first_writable(self.function) if name else None
        self._started[str(signature)] = started, writable
        say_compiling(self.title, self.seconds, once=writable is not None)
        return None

    def save_overload(self, signature: Any, code: Any) -> None:
        """Write the compiled code of a signature if possible."""
        started, folder = self._started.pop(str(signature), (time.perf_counter(), None))
        name = self._name(signature, code.target_context.codegen().magic_tuple())
        if folder is not None:
            if _write(folder / name, code):
                _remove_older(folder / name)
            else:
                folder = None
        spent = time.perf_counter() - started
        self.uses[str(signature)] = Use(compiled=True, folder=folder, seconds=spent)

    def _name(self, signature: Any, processor: tuple[Any, ...]) -> str:
        """Return the name of the file of a signature; empty if the source cannot be read.

        The first digest is that of the place in the program and of the machine: a new file replaces
        those with the same one. The second is that of the source.
        """
        function = self.function
        source = _source_digest(_source(function))
        if not source or function.__closure__:
            return ""
        place = (
            function.__qualname__,
            function.__code__.co_firstlineno,
            str(signature),
            processor,
            numba.__version__,
            sys.implementation.cache_tag,
        )
        first = hashlib.sha256(repr(place).encode()).hexdigest()[:16]
        return f"{function.__module__}.{function.__name__}-{first}-{source}{SUFFIX}"


def folders(function: Callable[..., Any]) -> Iterator[Path]:
    """Yield the folders in which machine code is looked for; the first that is writable keeps it.

    That of ``NUMBA_CACHE_DIR`` alone if it is set; else that of Python's bytecode beside the
    source, and the user's cache folder.
    """
    given = vars(numba.config)["CACHE_DIR"]
    if given:
        yield Path(given) / "snn-toolchain"
        return
    yield _source(function).parent / "__pycache__"
    # without a home folder there is none of the user either
    with suppress(RuntimeError, OSError, KeyError):
        yield _users_folder()


@cache
def _users_folder() -> Path:
    import platformdirs  # only where the folder of the source has no code

    return platformdirs.user_cache_path("snn-toolchain", appauthor=False) / "compiled"


def _source(function: Callable[..., Any]) -> Path:
    return Path(function.__code__.co_filename)


@cache
def _source_digest(path: Path) -> str:
    """Return the digest of a file's content; empty if it cannot be read.

    The file's time is no sign of its content: copying an image or a package may change it.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def _prepare_loading(context: Any) -> None:
    """Prepare numba for reading machine code, by the quick way where this release has it.

    numba itself refreshes the whole context, with everything that compiling needs.
    """
    try:
        runtime: Any = import_module("numba.core.runtime")
        runtime.rtsys.initialize(context)
    except (ImportError, AttributeError):
        context.refresh()


def _read(path: Path, context: Any) -> Any:
    """Return the code in a file; None without a file or if it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, data = content[:DIGEST], content[DIGEST:]
    if hashlib.sha256(data).digest() != digest:
        return None
    try:
        compiler: Any = import_module("numba.core.compiler")
        return compiler.CompileResult._rebuild(context, *pickle.loads(data))
    except Exception:  # whatever another release or a moved module raises: compile again
        return None


def _write(path: Path, code: Any) -> bool:
    """Write code to a file, whole or not at all; return False if that is not possible."""
    try:
        serialize: Any = import_module("numba.core.serialize")
        # addresses of this process have no meaning in the next
        fixed = not (code.library.has_dynamic_globals or code.lifted)
        data = serialize.dumps(code._reduce()) if fixed else b""
    except Exception:  # a release of numba that describes its results in another way
        data = b""
    if not data:
        return False
    written = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with written.open("xb") as file:
            file.write(hashlib.sha256(data).digest() + data)
        written.replace(path)
    except OSError:
        # another process that compiled the same may have removed this one's file
        return path.is_file()
    finally:
        with suppress(OSError):
            written.unlink(missing_ok=True)
    return True


def _remove_older(path: Path) -> None:
    """Remove the machine code of earlier sources of a function, and what an interrupt left.

    Only beside the source: in the user's folder it may belong to another installation.
    """
    if path.parent.name != "__pycache__":
        return
    stem = path.name.rpartition("-")[0]
    with suppress(OSError):
        for old in path.parent.glob(f"{stem}-*"):
            if old != path:
                old.unlink(missing_ok=True)


def _first_writable(function: Callable[..., Any]) -> Path | None:
    """Return the first folder in which a file can be made; None if there is none."""
    for folder in folders(function):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
    return None
