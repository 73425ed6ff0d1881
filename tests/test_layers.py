"""Who may import whom: one order of the packages, held against every import of every module."""

import ast
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).parent.parent / "toolchain"
MODULES = sorted(ROOT.rglob("*.py"))

# From the ground up: a package or module imports itself and what stands before it, wherever in the
# file, for types too. There are no exceptions.
ORDER = (
    "arrays",
    "extras",
    "report",
    "atomic",
    "diagnostics",
    "ir",
    "nn",
    "synops",
    "hardware",
    "runs",
    "passes",
    "estimate",
    "fidelity",
    "archive",
    "chips",
    "training",
    "frontends",
    "deployment",
    "pipeline",
    "remedies",
    "across_chips",
    "plots",
    "__init__",
)
# Families import each other never, and nothing else of chips/ imports a family.
FAMILIES = ("speck", "xylo")
# What names both families on purpose: the table of what is built in.
TABLE = ROOT / "chips" / "plugins.py"
# A program of its own, run in a process where the package is not on the path.
SUBPROCESS = ROOT / "frontends" / "nir" / "child.py"


def package_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@cache
def tree_of(path):
    return ast.parse(path.read_text())


@cache
def imports(path):
    """Modules of the project that ``path`` imports, as paths, and everything else as names."""
    return (*imports_of(tree_of(path)),)


def imports_of(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (target(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            for alias in node.names:
                found = target(f"{node.module}.{alias.name}")
                yield found if isinstance(found, Path) else target(node.module)


@cache
def target(name):
    if name.split(".")[0] != "toolchain":
        return name
    place = ROOT.parent.joinpath(*name.split("."))
    module = place.with_suffix(".py")
    return module if module.is_file() else place / "__init__.py" if place.is_dir() else name


def of_project(path):
    return (found for found in imports(path) if isinstance(found, Path))


def test_every_package_stands_in_the_order():
    assert {package_of(path) for path in MODULES} == set(ORDER)


def test_imports_point_down_the_order():
    upward = [
        f"{path.relative_to(ROOT)} imports {found.relative_to(ROOT)}"
        for path in MODULES
        for found in of_project(path)
        if ORDER.index(package_of(found)) > ORDER.index(package_of(path))
    ]
    assert not upward, "\n".join(upward)


def test_no_modules_import_each_other_in_a_circle():
    graph = nx.DiGraph((path, found) for path in MODULES for found in of_project(path))
    circles = [c for c in nx.strongly_connected_components(graph) if len(c) > 1]
    assert not circles, "\n".join(
        ", ".join(sorted(str(path.relative_to(ROOT)) for path in circle)) for circle in circles
    )
    assert not [*nx.selfloop_edges(graph)]


def late_imports(path):
    """Modules of the project that functions of ``path`` import."""
    for function in ast.walk(tree_of(path)):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from (found for found in imports_of(function) if isinstance(found, Path))


def test_late_imports_are_for_weight_alone():
    """A module that is imported late is heavy itself, or imports something heavy."""
    heavy = {
        "h5py",
        "matplotlib",
        "numba",
        "rich",
        "ruamel",
        "safetensors",
        "torch",
        "platformdirs",
    }
    graph = nx.DiGraph()
    for path in MODULES:
        for found in imports(path):
            name = found if isinstance(found, Path) else found.split(".")[0]
            graph.add_edge(path, name)
    light = [
        f"{path.relative_to(ROOT)}: {found.relative_to(ROOT)}"
        for path in MODULES
        if path != SUBPROCESS  # it makes the package importable before it imports any of it
        for found in late_imports(path)
        if not heavy & {*nx.descendants(graph, found)}
    ]
    assert not light, "\n".join(light)


def test_torch_stays_at_the_edges():
    for path in MODULES:
        if package_of(path) not in ("nn", "synops", "training", "frontends"):
            assert "torch" not in {str(name).split(".")[0] for name in imports(path)}, path


def test_a_chip_family_imports_no_other_and_nothing_neutral_imports_one():
    wrong = []
    for path in MODULES:
        own = path.relative_to(ROOT).parts[1:2] if package_of(path) == "chips" else ()
        for found in of_project(path):
            parts = found.relative_to(ROOT).parts
            family = parts[1] if parts[0] == "chips" and parts[1] in FAMILIES else None
            if family is not None and own != (family,):
                wrong.append(f"{path.relative_to(ROOT)} imports {found.relative_to(ROOT)}")
    assert not wrong, "\n".join(wrong)


def test_a_neutral_module_names_no_chip_family():
    """In code and messages; a docstring may cite a source or show a call."""
    named = []
    for path in MODULES:
        if {*path.relative_to(ROOT).parts[1:2]} & {*FAMILIES, "synsense"} or path == TABLE:
            continue
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                text = token.string.lower()
                docs = token.type == tokenize.STRING and text.startswith(('"""', 'r"""'))
                said = token.type != tokenize.COMMENT and not docs
                if said and any(family in text for family in FAMILIES):
                    named.append(f"{path.relative_to(ROOT)}:{token.start[0]}: {token.string}")
    assert not named, "\n".join(named)


def test_no_module_imports_the_vendor_sdk_by_name():
    for path in MODULES:
        assert not {str(name).split(".")[0] for name in imports(path)} & {"samna", "samnagui"}


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


def test_importing_the_package_loads_no_chip_family():
    loaded = fresh("import sys, toolchain; toolchain.list_chips(); print(*sys.modules)").split()
    assert not [
        name
        for name in loaded
        if name.startswith(("toolchain.chips.xylo", "toolchain.chips.speck"))
    ]
