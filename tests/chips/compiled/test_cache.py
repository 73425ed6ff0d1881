"""Compiled code that is kept on disk belongs to the sources it was compiled from."""

import ast
import hashlib
import re
from pathlib import Path

import numba
import pytest

import toolchain
from toolchain.chips.compiled.cache import compiled

PACKAGE = Path(toolchain.__file__).parent
COMPILER = re.compile(
    r"^(import|from) (numba|toolchain\.chips\.compiled(\.| import )cache)\b", re.M
)
NUMBA = r"^ *(import|from) numba\b"
COMPILED = sorted(p for p in PACKAGE.rglob("*.py") if re.search(r"^@compiled", p.read_text(), re.M))


def imported(source):
    """Files of the project that ``source`` imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("toolchain."):
            path = PACKAGE.parent.joinpath(*node.module.split("."))
            names = [path / alias.name for alias in node.names] if path.is_dir() else [path]
            yield from (name.with_suffix(".py") for name in names)


def inlined(path):
    """Files that are compiled into ``path``: what it imports, and so on through compiled code.

    A file that compiles nothing gives constants and types alone, and what it imports stays out.
    """
    found, waiting = {path}, [path]
    while waiting:
        new = set(imported(waiting.pop().read_text())) - found
        found |= new
        waiting += [file for file in new if COMPILER.search(file.read_text())]
    return sorted(found - {path})


@pytest.mark.parametrize("path", COMPILED, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_compiled_file_changes_with_what_it_inlines(path):
    """numba compiles again when the contents of the one file change, and only then."""
    files = inlined(path)
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    names = ", ".join(str(file.relative_to(PACKAGE)) for file in files)
    assert f'INLINED = "{digest}"\n' in path.read_text(), (
        f'write INLINED = "{digest}" into {path.relative_to(PACKAGE)}: '
        f"one of the files that are compiled into it has changed ({names})"
    )


def test_files_are_found_through_other_compiled_files():
    simulate = PACKAGE / "chips/speck/simulate"
    assert simulate / "event_kernel.py" in COMPILED
    assert inlined(simulate / "event_kernel.py") == [
        PACKAGE / "chips/compiled/cache.py",
        PACKAGE / "chips/compiled/lanes.py",
        simulate / "kernel.py",
        simulate / "tables.py",
    ]
    assert PACKAGE / "chips/xylo/simulate/arithmetic.py" in inlined(
        PACKAGE / "chips/xylo/simulate/kernel.py"
    )


def test_functions_are_compiled_through_the_cache_alone():
    users = {path for path in PACKAGE.rglob("*.py") if re.search(NUMBA, path.read_text(), re.M)}
    assert users == {PACKAGE / "chips/compiled" / name for name in ("cache.py", "lanes.py")}


@pytest.mark.parametrize("ending", ["nbc", "nbi"])
def test_a_damaged_cache_is_compiled_again_and_mended(ending, tmp_path, monkeypatch):
    def double(number):
        return 2 * number

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert compiled(double)(2) == 4
    (file,) = tmp_path.rglob(f"*.{ending}")
    whole = file.read_bytes()
    for damaged in (whole[:100], b"", b"\x80" * len(whole)):
        file.write_bytes(damaged)
        again = compiled(double)
        assert again(3) == 6
        assert again.stats.cache_misses
        reads = compiled(double)
        assert reads(4) == 8
        assert reads.stats.cache_hits


def test_a_function_runs_if_its_cache_cannot_be_written(tmp_path, monkeypatch):
    def triple(number):
        return 3 * number

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    function = compiled(triple)
    (folder,) = (path for path in tmp_path.rglob("*") if path.is_dir())
    folder.rmdir()
    folder.write_text("in the place of the folder")
    assert function(2) == 6
