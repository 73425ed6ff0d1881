"""Duplicated code between the modules of different chip families, measured in shared tokens.

    python benchmarks/shared_tokens.py

Two modules share a token if it is part of a run of 8 or more tokens that both have. Family names
count as equal. Imports, ``__all__``, docstrings, comments, and the signatures of functions that
implement the contract, which all families have, are left out. The share of a pair is that of the
smaller module; modules of 80 lines or fewer are not compared. Fails if a pair reaches 20 %.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

CHIPS = Path(__file__).parent.parent / "toolchain" / "chips"
CONTRACT = (CHIPS / "contract.py", CHIPS / "training.py")
RUN = 8
"""Shortest run of equal tokens that counts."""
SMALLEST = 80
"""Modules of so many lines or fewer are not compared."""
MOST = 0.20
"""Share from which on a pair is refused."""
SHOWN = 20
"""Pairs that are printed."""
FORM = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}
"""Tokens of the layout."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
"""Nodes of a syntax tree that may have a docstring."""


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two modules and the fraction of the smaller one's tokens that both have."""

    share: float
    smaller: str
    larger: str


def tokens_of(text: str, families: Collection[str], contract: Collection[str]) -> list[str]:
    """Return the tokens of a module that are compared, family names blanked.

    Args:
        text: the module's source.
        families: names that are blanked, in any case and within other names.
        contract: names of functions whose signature is left out.
    """
    left_out = {place for span in _left_out(ast.parse(text), contract) for place in _lines(span)}
    names = re.compile("|".join(map(re.escape, families)), re.IGNORECASE)
    return [
        names.sub("family", token.string)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in FORM and token.start[0] not in left_out
    ]


def _left_out(tree: ast.Module, contract: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield first and last line of each part that is not compared."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) or _names_exports(node):
            yield node.lineno, node.end_lineno
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in contract:
            yield node.lineno, max(node.lineno, node.body[0].lineno - 1)
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            yield node.body[0].lineno, node.body[0].end_lineno


def _names_exports(node: ast.AST) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _lines(span: tuple[int, int]) -> range:
    return range(span[0], span[1] + 1)


def shared(smaller: Sequence[str], larger: Sequence[str]) -> float:
    """Return the share of ``smaller``'s tokens that lie in a run that ``larger`` has too."""
    if not smaller:
        return 0.0
    runs = set(_runs(larger))
    equal = [start for start, run in enumerate(_runs(smaller)) if run in runs]
    return len({place for start in equal for place in range(start, start + RUN)}) / len(smaller)


def _runs(tokens: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(tokens[i : i + RUN]) for i in range(len(tokens) - RUN + 1))


def family_folders(root: Path) -> list[Path]:
    """Return the folders of ``root`` that hold a chip family."""
    return sorted(path.parent for path in root.glob("*/family.py"))


def contract_names(folders: Collection[Path]) -> set[str]:
    """Return the contract's methods, and the functions with which families implement them."""
    methods = {
        node.name for path in CONTRACT for node in _nodes(path) if isinstance(node, ast.FunctionDef)
    }
    tables = [
        node
        for folder in folders
        for node in _nodes(folder / "family.py")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Functions"
    ]
    entries = {ast.unparse(word.value) for table in tables for word in table.keywords}
    return methods | {entry.split(".")[-1] for entry in entries}


def _nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def pairs(root: Path) -> list[Pair]:
    """Compare every module of a family with every one of another, the most shared first."""
    folders = family_folders(root)
    families, contract = [folder.name for folder in folders], contract_names(folders)
    modules = [_modules(folder, families, contract) for folder in folders]
    found = []
    for one, other in combinations(modules, 2):
        for both in product(one.items(), other.items()):
            (smaller, few), (larger, many) = sorted(both, key=lambda module: len(module[1]))
            found.append(Pair(shared(few, many), smaller, larger))
    return sorted(found, reverse=True)


def _modules(
    folder: Path, families: Collection[str], contract: Collection[str]
) -> dict[str, list[str]]:
    """Return the tokens of a family's modules that are large enough, by path."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}
    return {
        path.relative_to(folder.parent).as_posix(): tokens_of(text, families, contract)
        for path, text in texts.items()
        if len(text.splitlines()) > SMALLEST
    }


def main() -> int:
    """Print the pairs with the largest shares; return 1 if one reaches the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=CHIPS, help="folder with a folder a family")
    parser.add_argument("--shown", type=int, default=SHOWN, help="pairs that are printed")
    given = parser.parse_args()
    found = pairs(given.root)
    for pair in found[: given.shown]:
        print(f"{pair.share:6.1%}  {pair.smaller}  in  {pair.larger}")
    past = sum(pair.share >= MOST for pair in found)
    print(f"{past} of {len(found)} pairs share {MOST:.0%} or more")
    return 1 if past else 0


if __name__ == "__main__":
    sys.exit(main())
