"""What counts as shared between modules of two chip families."""

import pytest

from benchmarks import shared_tokens
from benchmarks.shared_tokens import family_folders, pairs, shared, tokens_of

FAMILIES = ("red", "blue")
RED = '''"""What Red does."""

from toolchain.chips.red import program

__all__ = ["lower"]


def lower(graph, chip: RedChip):
    """Return the program."""
    # neurons first
    return RedProgram(chip.neurons, sorted(graph), key=1)
'''
BLUE = '''"""Something else."""

from toolchain.chips.blue import program

__all__ = ["lower"]


def lower(graph, chip: BlueChip):
    return BlueProgram(chip.neurons, sorted(graph), key=22)


def other(x): return x + 1
'''


def test_imports_exports_docstrings_comments_and_signatures_of_the_contract_are_left_out():
    found = tokens_of(RED, FAMILIES, contract={"lower"})
    assert " ".join(found) == (
        "return familyProgram ( chip . neurons , sorted ( graph ) , key = 1 )"
    )


def test_a_signature_that_is_not_of_the_contract_counts():
    found = tokens_of(RED, FAMILIES, contract=())
    assert " ".join(found).startswith("def lower ( graph , chip : familyChip ) : return")


def test_the_share_is_that_of_tokens_in_equal_runs():
    red, blue = (tokens_of(text, FAMILIES, contract={"lower"}) for text in (RED, BLUE))
    # all 16 but the last two, "1 )"
    assert len(red) == 16
    assert shared(red, blue) == 14 / 16


@pytest.mark.parametrize(("length", "share"), [(7, 0.0), (8, 8 / 18)])
def test_a_run_counts_from_eight_tokens_on(length, share):
    same = [f"t{n}" for n in range(length)]
    one = [*"abcde", *same, *"fghij"]
    assert shared(one, [*"klm", *same, *"nop"]) == share


def test_a_module_without_tokens_shares_nothing():
    assert shared([], ["a"] * 20) == 0


def write_families(root, lines, blue=22):
    for name, number in zip(FAMILIES, (1, blue), strict=True):
        (root / name).mkdir()
        (root / name / "family.py").write_text("FUNCTIONS = Functions(lower=graphs.lower)\n")
        body = "\n".join(f"{name}_{n} = {n} + {number}" for n in range(lines))
        (root / name / "sizes.py").write_text(body)
    (root / "rules").mkdir()


def test_families_are_the_folders_that_hold_one(tmp_path):
    write_families(tmp_path, lines=3)
    assert [folder.name for folder in family_folders(tmp_path)] == ["blue", "red"]


@pytest.mark.parametrize(("lines", "compared"), [(80, 0), (81, 1)])
def test_modules_above_80_lines_are_compared(tmp_path, lines, compared):
    write_families(tmp_path, lines)
    assert len(pairs(tmp_path)) == compared


def test_no_two_modules_of_our_families_share_a_fifth():
    found = pairs(shared_tokens.CHIPS)
    assert len(found) > 100
    assert not [pair for pair in found if pair.share >= shared_tokens.MOST]


@pytest.mark.parametrize(("blue", "status"), [(1, 1), (22, 0)])
def test_it_fails_where_a_pair_shares_a_fifth(tmp_path, monkeypatch, capsys, blue, status):
    write_families(tmp_path, lines=81, blue=blue)
    monkeypatch.setattr("sys.argv", ["shared_tokens", "--root", str(tmp_path)])
    assert shared_tokens.main() == status
    assert "blue/sizes.py" in capsys.readouterr().out
