"""Who may import whom: the table of the architecture, held against every module."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "toolchain"

# A room may import from itself and from these. Root modules are rooms of one file.
ALLOWED = {
    "diagnostics": set(),
    "hardware": {"diagnostics"},
    "ir": {"diagnostics", "recording"},
    "recording": {"estimate", "ir"},
    "spikes": {"ir"},
    "passes": {"ir"},
    "nn": set(),
    "synops": {"ir", "nn"},
    "frontends": {"diagnostics", "ir", "nn"},
    "estimate": {"hardware"},
    "ledger": set(),
    "fidelity": {"diagnostics", "estimate", "ir", "ledger", "passes", "recording"},
    "chips": {
        "diagnostics",
        "estimate",
        "hardware",
        "ir",
        "ledger",
        "passes",
        "recording",
        "spikes",
    },
    "compare": {"chips", "diagnostics", "ir", "recording"},
    "deployment": {
        "artifact",
        "chips",
        "compare",
        "diagnostics",
        "estimate",
        "fidelity",
        "hardware",
        "ir",
        "ledger",
        "recording",
        "spikes",
        "tables",
    },
    "deploy": {
        "chips",
        "deployment",
        "diagnostics",
        "fidelity",
        "frontends",
        "hardware",
        "ir",
        "passes",
        "spikes",
    },
    "across_chips": {
        "chips",
        "deploy",
        "deployment",
        "diagnostics",
        "estimate",
        "frontends",
        "hardware",
        "ir",
        "recording",
        "spikes",
    },
    "artifact": {"chips", "deployment", "diagnostics", "estimate", "hardware", "ir", "ledger"},
    "tables": {
        "across_chips",
        "chips",
        "compare",
        "deployment",
        "diagnostics",
        "estimate",
        "ledger",
    },
    "plots": {"across_chips", "chips", "compare", "estimate", "recording"},
    "__init__": {"across_chips", "deploy", "deployment", "diagnostics", "frontends", "hardware"},
}
# through a late import: these print as tables, and a saved deployment holds a Graph to load
LATE = {
    ("across_chips", "tables"),
    ("estimate", "tables"),
    ("compare", "tables"),
    ("frontends", "artifact"),
    ("ledger", "tables"),
}
MODULES = sorted(ROOT.rglob("*.py"))


def room(path):
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(path):
    """Dotted names of everything ``path`` imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_the_way_the_table_says(path):
    here = room(path)
    found = {name.split(".")[1] for name in imports(path) if name.startswith("toolchain.")}
    late = {target for source, target in LATE if source == here}
    assert found - late <= ALLOWED[here] | {here}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_torch_stays_at_the_edges(path):
    if room(path) not in ("nn", "synops", "frontends"):
        assert not [name for name in imports(path) if name.split(".")[0] == "torch"]


def test_a_chip_family_imports_no_other():
    for family in ("xylo", "speck"):
        for path in (ROOT / "chips" / family).rglob("*.py"):
            others = [
                name
                for name in imports(path)
                if name.startswith("toolchain.chips.")
                and name.split(".")[2]
                not in (
                    family,
                    "allow",
                    "boards",
                    "compiled",
                    "conditions",
                    "family",
                    "progress",
                    "rules",
                    "tally",
                    "vendor",
                )
            ]
            assert not others


def test_no_module_imports_the_vendor_sdk_by_name():
    for path in MODULES:
        assert not [name for name in imports(path) if name.split(".")[0] in ("samna", "samnagui")]


def fresh(code):
    """What ``code`` prints in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    return done.stdout


def test_importing_the_package_loads_neither_torch_nor_matplotlib_nor_a_framework():
    loaded = fresh("import sys, toolchain; print(*{m.split('.')[0] for m in sys.modules})").split()
    heavy = {"h5py", "matplotlib", "norse", "numba", "rich", "rockpool", "samna", "sinabs"}
    heavy |= {"snntorch", "spikingjelly", "torch", "pint"}
    assert heavy.isdisjoint(loaded)


def test_importing_the_package_takes_less_than_half_a_second():
    # the interpreter's own clock, and the best of three: another program may be busy
    code = (
        "import time; start = time.process_time(); import toolchain; "
        "print(time.process_time() - start)"
    )
    assert min(float(fresh(code)) for _ in range(3)) < 0.5
