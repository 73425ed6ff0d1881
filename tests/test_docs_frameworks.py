"""What the pages "Coming from ..." say is what happens, where their framework is installed.

The pages on torch and NIR need no framework. Each of the others runs in the framework's own
environment, by `make oracles`, and is left out by name elsewhere.
"""

import contextlib
import importlib.util
import io
import re
import sys
import types
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from tests.test_docs import BLOCK, PAGES
from toolchain.frontends.frameworks.kinds import framework_names
from toolchain.frontends.frameworks.native import NATIVE_LAYERS, NATIVE_REFUSED
from toolchain.frontends.frameworks.torch_layers import TORCH_LAYERS
from toolchain.frontends.nir.schema import PRIMITIVES

ROOT = Path(__file__).parent.parent
FOLDER = sorted((ROOT / "docs").glob("coming_from_*.md"))
FRAMEWORKS = {page.stem.removeprefix("coming_from_"): page for page in FOLDER}
NEEDED = {"torch": (), "nir": ()}
"""What a page needs beside this project, where that is not the package of its own name."""


def run(page):
    """What each block of python prints, with the text that the page shows below it."""
    text = page.read_text(encoding="utf-8")
    # the page's names are those of the module that it says its network is in
    module = types.ModuleType("my_network")
    sys.modules[module.__name__] = module
    where = page.relative_to(ROOT).as_posix()  # which an error's message names
    printed = None
    for block in BLOCK.finditer(text):
        language, body = block.groups()
        if language == "python":
            assert not printed, f"is printed and not shown: {printed}"
            line = text[: block.start()].count("\n") + 1
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile("\n" * line + body, where, "exec"), module.__dict__)
            printed = out.getvalue()
        elif language == "text":
            yield printed, body
            printed = ""
    assert not printed, f"is printed and not shown: {printed}"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_its_examples_print_what_is_printed_below_them(framework, tmp_path, monkeypatch):
    for package in NEEDED.get(framework, (framework,)):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}; `make oracles` runs it")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "my_network", None)
    if framework == "rockpool":
        # it imports the vendor's package, whose public version installs another when imported
        monkeypatch.setitem(sys.modules, "samna", types.ModuleType("samna"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the frameworks, about themselves
        shown = list(run(FRAMEWORKS[framework]))
    assert shown
    for printed, body in shown:
        assert printed == body


def layers(framework):
    """Names of the layers that are read."""
    if framework == "torch":
        return {layer.__name__ for layer in [*TORCH_LAYERS, *NATIVE_LAYERS, *NATIVE_REFUSED]}
    if framework == "nir":
        return set(PRIMITIVES)
    return set(import_module(f"toolchain.frontends.frameworks.{framework}").LAYERS)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_page_has_the_same_sections(framework):
    text = FRAMEWORKS[framework].read_text(encoding="utf-8")
    first = "Supported primitives" if framework == "nir" else "Supported layers"
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [first, "Limitations", "Files"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_layer_that_is_read_is_on_its_page(framework):
    names = set(re.findall(r"[A-Za-z0-9_]+", FRAMEWORKS[framework].read_text(encoding="utf-8")))
    assert layers(framework) <= names


@pytest.mark.parametrize("framework", sorted({*FRAMEWORKS} - {"torch", "nir"}))
def test_what_its_page_says_is_refused_is_refused(framework):
    """The first cells of the table of refusals, by name."""
    text = FRAMEWORKS[framework].read_text(encoding="utf-8")
    _, table = text.split("| refused | reason and alternative |\n|---|---|\n")
    refused = import_module(f"toolchain.frontends.frameworks.{framework}").REFUSED
    rows = table.split("\n\n")[0].splitlines()
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert names
    assert set(names) <= set(refused)


def test_there_is_a_page_for_each_framework_and_it_is_run_here_only():
    assert {*framework_names(), "torch", "nir"} == set(FRAMEWORKS)
    assert not set(FOLDER) & set(PAGES)
