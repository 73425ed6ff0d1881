"""The list of sinabs' tests that are not supported; `make sinabs-tests` runs the tests."""

from tests.sinabs_alias.listed import MOST_TESTS, Listed


def test_few_tests_are_listed_each_with_a_reason():
    listed = Listed.read()
    assert 0 < len(listed.tests) <= MOST_TESTS
    assert all("::" in test for test in listed.tests)
    assert all(len(reason) > 20 for reason in (*listed.files.values(), *listed.tests.values()))
