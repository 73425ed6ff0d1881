"""The terms of the glossary are names in the code."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.cases import each
from toolchain.frontends.nir.schema import GRAPH, PRIMITIVES

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TABLES = re.findall(r"^\| (.+) \|$", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL), re.MULTILINE)
ROWS = [row.split(" | ") for row in TABLES]


def names_in(tree):
    """Yield every name, argument, attribute and plain text of a syntax tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg | ast.keyword):
            yield node.arg
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache  # and not on import, which every worker does
def known_names():
    """Return the names of the code and the keys of the chip files."""
    found = set()
    for path in (ROOT / "toolchain").rglob("*.py"):
        found |= {*path.relative_to(ROOT).with_suffix("").parts}
        found |= {*names_in(ast.parse(path.read_text(encoding="utf-8")))}
    for path in (ROOT / "hardware_specs").glob("*.yaml"):
        found |= {*re.findall(r"(\w+):", path.read_text(encoding="utf-8"))}
    return found


@each("text", sorted({text for row in ROWS for text in re.findall(r"`([^`]+)`", " | ".join(row))}))
def test_a_term_in_code_font_is_a_name_in_the_code(text):
    known = known_names()
    words = [text] if text in known else re.findall(r"[A-Za-z_]\w*", text)
    assert words
    assert [word for word in words if word not in known] == []


def test_the_terms_are_sorted_and_each_has_a_definition():
    start = ROWS.index(["term", "meaning", "unit"])
    end = ROWS.index(["primitive", "equation", "node of the IR"])
    rows = [row for row in ROWS[start + 1 : end] if set(row[0]) != {"-", "|"}]
    terms = [row[0].strip("`") for row in rows]
    assert terms == sorted(set(terms), key=str.casefold)
    assert len(terms) >= 50
    for term, meaning, *_ in rows:
        assert meaning.rstrip(" |").endswith("."), term
        assert len(meaning) > 20, term


def test_every_nir_primitive_is_listed():
    start = ROWS.index(["primitive", "equation", "node of the IR"])
    listed = {name for row in ROWS[start + 1 :] for name in re.findall(r"`(\w+)`", row[0])}
    assert listed == {*PRIMITIVES, GRAPH}
