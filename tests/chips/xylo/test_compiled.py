"""Compiled code that is kept on disk belongs to the sources it was compiled from."""

import ast
import hashlib
from pathlib import Path

import pytest

import toolchain
from toolchain.chips.xylo.quantize import kernel as by_themselves
from toolchain.chips.xylo.simulate import kernel

ROOT = Path(toolchain.__file__).parents[1]


def of_the_project(source):
    """The files of the project that ``source`` imports, in the order of their names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("toolchain."):
            path = ROOT.joinpath(*node.module.split("."))
            if path.is_dir():
                found |= {path / f"{alias.name}.py" for alias in node.names}
            else:
                found.add(path.with_suffix(".py"))
    return sorted(found, key=lambda path: path.name)


@pytest.mark.parametrize(
    ("module", "inlined"),
    [(kernel, ["cache.py", "lanes.py", "tables.py"]), (by_themselves, ["cache.py"])],
)
def test_a_compiled_file_changes_with_what_it_inlines(module, inlined):
    """numba compiles again when the contents of the one file change, and only then."""
    files = of_the_project(Path(module.__file__).read_text())
    assert [path.name for path in files] == inlined
    sources = b"".join(path.read_bytes() for path in files)
    assert hashlib.sha256(sources).hexdigest()[:12] == module.INLINED


def test_no_other_file_is_compiled():
    room = ROOT / "toolchain/chips/xylo"
    users = {p for p in room.rglob("*.py") if "@compiled\n" in p.read_text()}
    assert users == {Path(kernel.__file__), Path(by_themselves.__file__)}
    makers = {p.name for p in room.parent.rglob("*.py") if "numba.njit," in p.read_text()}
    assert makers == {"cache.py"}
