"""The code speaks the field's plain words: docstrings, names, and one definition for each name."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent / "toolchain"
QUESTION = re.compile(r"(What|Whether|How|Which|Where|Who)\b")
PARTICIPLES = {"told", "heard", "said", "held", "made"}
# `held-out` data is a term of the field.
TERMS = {"held_out"}
# The same thing in both families, and layers that NIR and torch name alike.
SHARED = {"AtNode", "LiveRun", "Scratch", "Tables", "SumPool2d"}


@cache  # and not on import, which every worker does
def trees():
    return {
        path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))
    }


def definitions(tree):
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, documented)]


def names(tree):
    """Every name that the module defines or uses: variables, arguments, attributes, functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def test_no_docstring_begins_with_a_question():
    found = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path, tree in trees().items()
        for node in definitions(tree)
        if QUESTION.match(text := ast.get_docstring(node) or "")
    ]
    assert found == []


def test_no_name_is_a_participle():
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, tree in trees().items()
        for name in names(tree)
        if name not in TERMS and PARTICIPLES & set(name.lower().split("_"))
    }
    assert found == set()


def test_a_class_or_alias_is_defined_once():
    places = defaultdict(set)
    for path, tree in trees().items():
        for node in tree.body:
            targets = [node] if isinstance(node, ast.ClassDef) else []
            targets += node.targets if isinstance(node, ast.Assign) else []
            targets += [node.target] if isinstance(node, ast.AnnAssign) else []
            for target in targets:
                name = target.name if isinstance(target, ast.ClassDef) else ast.unparse(target)
                if re.match(r"[A-Z]\w*[a-z]", name):
                    places[name].add(path.relative_to(ROOT).as_posix())
    assert {name for name, where in places.items() if len(where) > 1} == SHARED
