"""The decorator that runs one test over many cases."""

import inspect

import pytest

from tests.cases import each


def test_every_case_is_run_in_order_with_fixtures_beside_it(tmp_path):
    seen = []

    @each("number", range(3))
    @each(("letter", "sign"), [("a", 1), ("b", -1)])
    def check(number, letter, sign, folder):
        seen.append((number, letter, sign, folder))

    assert [*inspect.signature(check).parameters] == ["folder"]
    check(folder=tmp_path)
    assert seen == [(n, *rest, tmp_path) for n in range(3) for rest in (("a", 1), ("b", -1))]


@each("number", [1, 2])
@each("word", ["one", "two"])
def test_every_case_has_an_empty_folder_of_its_own(number, word, tmp_path, capsys):
    assert [*tmp_path.iterdir()] == []
    (tmp_path / word).touch()
    assert capsys.readouterr().out == ""


def test_all_that_fail_are_named_with_their_reason():
    @each("number, word", [(1, "one"), (2, "two"), (3, "three")])
    def check(number, word):
        if number == 2:
            with pytest.raises(ValueError, match="never"):
                pass
        assert number == 1, f"{word} is\n too many"

    with pytest.raises(AssertionError) as caught:
        check()
    assert str(caught.value) == (
        "2 of 3 cases fail:\n"
        "case 1, number=2, word='two': Failed: DID NOT RAISE ValueError\n"
        "case 2, number=3, word='three': AssertionError: three is too many assert 3 == 1"
    )
    assert caught.value.__cause__ is not None


def test_a_test_without_cases_or_with_a_slip_in_a_name_is_no_test():
    with pytest.raises(AssertionError, match="a test needs cases"):
        each("number", [])
    with pytest.raises(AssertionError, match="takes no"):
        each("nunber", [1])(lambda number: None)
