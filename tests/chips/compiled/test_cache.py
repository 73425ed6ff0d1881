"""Compiled code that is kept on disk belongs to the sources it was compiled from."""

import ast
import hashlib
import re
from pathlib import Path

import pytest

import toolchain

PACKAGE = Path(toolchain.__file__).parent
COMPILER = re.compile(
    r"^(import|from) (numba|toolchain\.chips\.compiled(\.| import )cache)\b", re.M
)
NUMBA = r"^ *(import|from) numba\b"
CACHE = PACKAGE / "chips/compiled/cache.py"
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

    A file that compiles nothing gives constants and types alone, and what it imports stays out;
    so do the files and messages behind ``cache``.
    """
    found, waiting = {path}, [path]
    while waiting:
        new = set(imported(waiting.pop().read_text())) - found
        found |= new
        waiting += [file for file in new - {CACHE} if COMPILER.search(file.read_text())]
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
    compiled = [PACKAGE / "chips/compiled" / name for name in ("cache.py", "lanes.py", "width.py")]
    names = ("dense.py", "dense_layout.py", "frame.py", "kernel.py", "tables.py")
    assert inlined(simulate / "event_kernel.py") == [*compiled, *(simulate / n for n in names)]
    assert PACKAGE / "chips/xylo/simulate/arithmetic.py" in inlined(
        PACKAGE / "chips/xylo/simulate/kernel.py"
    )


def test_functions_are_compiled_through_the_cache_alone():
    users = {path for path in PACKAGE.rglob("*.py") if re.search(NUMBA, path.read_text(), re.M)}
    names = ("cache.py", "code_files.py", "fused.py", "lanes.py")
    assert users == {PACKAGE / "chips/compiled" / name for name in names}
