from math import inf

import pytest

from toolchain.report import count, percent, plural, share, short, shown, spread, times


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (131072, "131 072"), (2.0, "2"), (0.5, "0.5"), (-1234, "-1 234")],
)
def test_counts_are_grouped_by_thousands(number, text):
    assert count(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (1000, "1 000 steps")],
)
def test_nouns_are_in_the_plural_unless_there_is_one(number, text):
    assert plural(number, "step") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "not at all"), (1, "once"), (2, "twice"), (3, "3 times"), (1000, "1 000 times")],
)
def test_how_often(number, text):
    assert times(number) == text


@pytest.mark.parametrize(
    ("part", "column", "text"),
    [
        (-0.251, "-25.1 %", "-25.1 %"),
        (0.1, "10.0 %", "10.0 %"),
        (0.0991, "9.9 %", "9.9 %"),
        (0.0031, "0.3 %", "0.31 %"),
        (0.0, "0.0 %", "0 %"),
    ],
)
def test_shares_have_one_decimal_and_small_percentages_two_digits(part, column, text):
    assert share(part) == column
    assert percent(part) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), ("int8", "int8"), (7.4911, "7.49"), (65536, "65 536"), (6553.6, "6 550")],
)
def test_values_are_shown_to_three_digits_and_whole_numbers_in_full(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (31249.0, "31 200"),
        (0.0020349, "0.00203"),
        (0, "0"),
        (2.5, "2.5"),
        (1.2e-9, "0.0000000012"),
        (-1234.5, "-1 230"),
        (inf, "inf"),
    ],
)
def test_short_numbers_have_no_exponent(number, text):
    assert short(number) == text


@pytest.mark.parametrize(
    ("low", "nominal", "high", "text"),
    [
        (372, 444, 496, "444 (372 to 496)"),
        (2.76, 2.76, 8.231, "2.76 (to 8.23)"),
        (5, 5, 5, "5"),
        (372, None, 1230, "372 to 1 230"),
        (372, None, inf, "at least 372"),
        (0, None, inf, "unknown"),
    ],
)
def test_ranges_name_their_likeliest_value_if_there_is_one(low, nominal, high, text):
    assert spread(low, nominal, high) == text
