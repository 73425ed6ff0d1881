"""Every name that a package exports has an example in its docstring, and the examples are right."""

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import toolchain


def exporting():
    """Yield every package whose ``__init__`` exports names, and ``plots``, a module of its own."""
    yield toolchain
    yield importlib.import_module("toolchain.plots")
    for module in pkgutil.walk_packages(toolchain.__path__, "toolchain."):
        if module.ispkg:
            package = importlib.import_module(module.name)
            if hasattr(package, "__all__"):
                yield package


ROOT = Path(toolchain.__file__).parent.parent
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(ROOT.joinpath("toolchain").rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]
PACKAGES = {package.__name__: package for package in exporting()}


def has_own_docstring(value):
    """Return whether a docstring is the value's own: instances and aliases have their class's."""
    return inspect.isclass(value) or inspect.isroutine(value)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_exported_name_has_an_example(name):
    package = PACKAGES[name]
    page = package.__doc__ or ""
    without = []
    for public in package.__all__:
        value = getattr(package, public)
        text = (value.__doc__ or "") if has_own_docstring(value) else page
        lines = [line for line in text.splitlines() if line.lstrip().startswith((">>>", "..."))]
        if not any(public in line for line in lines):
            without.append(public)
    assert without == []


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_print_what_stands_below_them(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted
    assert results.failed == 0
