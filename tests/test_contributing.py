"""CONTRIBUTING.md, SECURITY.md and CITATION.cff are true of this tree."""

import re
import tomllib
from pathlib import Path

from ruamel.yaml import YAML

from tests import test_docs, test_layers
from tests.cases import each
from toolchain import __version__
from toolchain.chips.plugins import BUILT_IN

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
CONTRIBUTING = PAGES[0].read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
TARGETS = set(re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE)[1].split())
OF_FAMILY = re.compile(r"((?:`[\w./]+`(?: and )?)+) (?:of the|of a) family")
PATH = re.compile(r"`([\w.-]+/[\w./-]*|[\w-]+\.(?:toml|md|txt|yaml|cff))`")


def column(text, heading, number=0):
    """The cells of one column of the table with that heading."""
    _, table = text.split(f"\n| {heading} |", maxsplit=1)
    rows = table.split("\n\n")[0].splitlines()[2:]
    return [row.split("|")[number + 1].strip() for row in rows]


@each("page", PAGES)
def test_every_path_that_is_named_is_there(page):
    text = page.read_text(encoding="utf-8")
    named = set(PATH.findall(OF_FAMILY.sub("", text)))
    assert len(named) > 5
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


@each("family", [path.parent.name for path in (test_layers.ROOT / "chips").glob("*/family.py")])
def test_every_module_that_each_family_is_said_to_have_is_there(family):
    named = [name for found in OF_FAMILY.findall(CONTRIBUTING) for name in found.split("`")[1::2]]
    assert {"quantize", "graphs.py", "rules/graph_hints.py"} <= set(named)
    assert not [name for name in named if not (test_layers.ROOT / "chips" / family / name).exists()]


def test_paths_are_recognized():
    text = "`tests/cases.py`, `docs/`, `a/b.py`, `SECURITY.md`, `x.y`, `make test`"
    assert PATH.findall(text) == ["tests/cases.py", "docs/", "a/b.py", "SECURITY.md"]


@each("page", PAGES)
def test_every_make_target_that_is_named_exists(page):
    named = set(re.findall(r"\bmake ([a-z-]+)`|^make ([a-z-]+)", page.read_text(), re.MULTILINE))
    named = {one or other for one, other in named}
    assert named
    assert named <= TARGETS


def test_the_table_of_make_targets_has_all_of_them():
    assert {cell.strip("`").removeprefix("make ") for cell in column(CONTRIBUTING, "target")} == (
        TARGETS
    )


def test_its_examples_print_what_is_printed_below_them(tmp_path, monkeypatch):
    run = test_docs.test_its_examples_print_what_is_printed_below_them
    run(PAGES[0], tmp_path, monkeypatch)


def test_the_map_of_packages_is_the_order_that_is_held():
    assert [cell.strip("`") for cell in column(CONTRIBUTING, "package")] == [*test_layers.ORDER]


def test_the_map_says_which_packages_may_import_torch():
    rows = zip(column(CONTRIBUTING, "package"), column(CONTRIBUTING, "package", 2), strict=True)
    packages = {name.strip("`") for name, rest in rows if rest == "may import torch"}
    importing = {
        test_layers.package_of(path)
        for path in test_layers.MODULES
        if "torch" in {str(name).split(".")[0] for name in test_layers.imports(path)}
    }
    assert packages == importing


def test_one_command_for_one_test_names_tests_that_exist():
    file, word = re.search(r"-m pytest (\S+) -k (\w+)`", CONTRIBUTING).groups()
    assert re.search(rf"^def test_\w*{word}", (ROOT / file).read_text(), re.MULTILINE)


def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_entry_point_groups_that_are_named_exist():
    for page in PAGES:
        named = re.findall(r"`(snn_toolchain\.\w+)`", page.read_text(encoding="utf-8"))
        assert named
        assert set(named) <= set(BUILT_IN)


def test_the_citation_has_what_the_format_requires_and_agrees_with_the_project():
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert all("name" in author for author in citation["authors"])
    project = pyproject()["project"]
    assert (citation["title"], citation["version"]) == (project["name"], __version__)
    assert project["dynamic"] == ["version"]
    assert citation["license"] == project["license"]
