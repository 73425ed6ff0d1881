"""Figures and their arithmetic."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.estimate import (
    BASES,
    Figure,
    total,
    unknown,
    weakest,
)
from toolchain.hardware import Price, Quantity

numbers = st.floats(0, 1e9, allow_nan=False)


@st.composite
def figures(draw):
    low, nominal, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    return Figure(
        low=low,
        nominal=draw(st.sampled_from([nominal, None])),
        high=high,
        unit="µW",
        basis=draw(st.sampled_from(BASES)),
        source=draw(st.sampled_from(["", "a", "b"])),
    )


def figure(low, nominal, high, basis="measured", unit="µW", source="a"):
    return Figure(low=low, nominal=nominal, high=high, unit=unit, basis=basis, source=source)


def in_order(f):
    return f.low <= f.high and (f.nominal is None or f.low <= f.nominal <= f.high)


@given(figures(), figures())
def test_a_sum_keeps_the_order_and_takes_the_weaker_basis(a, b):
    found = a + b
    assert in_order(found)
    assert BASES.index(found.basis) == max(BASES.index(a.basis), BASES.index(b.basis))
    assert (found.nominal is None) == (a.nominal is None or b.nominal is None)


@given(figures(), figures())
def test_a_sum_does_not_depend_on_the_order(a, b):
    assert replace(a + b, source="") == replace(b + a, source="")


@given(figures(), st.floats(0, 1e6))
def test_a_product_keeps_the_order_and_the_basis(f, factor):
    found = f.times(factor, "µJ")
    assert in_order(found)
    assert (found.unit, found.basis, found.source) == ("µJ", f.basis, f.source)
    assert (found.nominal is None) == (f.nominal is None)


@given(st.lists(figures(), max_size=5))
def test_a_total_is_the_sum_of_its_parts(parts):
    found = total(parts, "µW")
    assert in_order(found)
    assert found.low == pytest.approx(sum(f.low for f in parts))
    assert found.basis == weakest(f.basis for f in parts)


@given(st.lists(st.sampled_from(BASES), min_size=1), st.randoms())
def test_the_weakest_basis_does_not_depend_on_the_order(bases, random):
    shuffled = random.sample(bases, len(bases))
    assert weakest(bases) == weakest(shuffled)
    assert weakest(bases) in bases


def test_bases_weaken_from_published_to_unknown():
    assert weakest(["measured", "published"]) == "measured"
    assert weakest(["derived", "assumed", "measured"]) == "assumed"
    assert weakest(["assumed", "unknown"]) == "unknown"
    assert weakest([]) == "published"


def test_sources_of_a_sum_are_named_once():
    one, two = figure(0, 0, 0, source="a"), figure(0, 0, 0, source="b")
    assert (one + two + one).source == "a; b"
    assert (one + one).source == "a"
    assert (one + figure(0, 0, 0, source="")).source == "a"


def test_figures_of_other_units_are_not_added():
    with pytest.raises(ValueError, match=r"^µW and ms cannot be added$"):
        figure(1, 1, 1) + figure(1, 1, 1, unit="ms")


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf")])
def test_a_figure_is_multiplied_by_what_keeps_its_order(factor):
    with pytest.raises(
        ValueError, match=f"^the factor of a figure must be a number >= 0, got {factor}$"
    ):
        figure(1, 2, 3).times(factor, "µW")


NAN, INF = float("nan"), float("inf")
NO_RANGES = [
    (-1, 0, 1),
    (NAN, None, 1),
    (0, NAN, 1),
    (0, None, NAN),
    (2, None, 1),
    (0, 2, 1),
    (2, 1, 3),
    (INF, None, INF),
]


@pytest.mark.parametrize("numbers", NO_RANGES)
def test_numbers_that_are_no_range_are_refused(numbers):
    low, nominal, high = numbers
    message = f"^a figure needs 0 <= low <= nominal <= high, got {low}, {nominal}, {high} µW$"
    with pytest.raises(ValueError, match=message):
        figure(*numbers)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (figure(216, 271, 300), "271 µW (216 to 300, measured)"),
        (figure(10, None, 930, "assumed"), "10 to 930 µW (assumed)"),
        (figure(5, 5, 5, "published"), "5 µW (published)"),
        (unknown("µW"), "unknown"),
        (unknown("µW") + figure(100, 110, 120), "at least 100 µW (unknown)"),
    ],
)
def test_a_figure_reads_as_text(shown, text):
    assert str(shown) == text


def test_what_is_unknown_stays_so():
    found = unknown("µW") + figure(100, 110, 120)
    assert (found.low, found.nominal, found.basis) == (100, None, "unknown")
    assert found.times(2.0, "µJ").low == 200
    assert str(found.times(2.0, "µJ")) == "at least 200 µJ (unknown)"
    assert found.times(0.0, "µJ").high == 0


def quantity(basis, **range_):
    return Quantity(value=2, unit="mW", source="s", basis=basis, **range_)


def test_a_specified_number_is_taken_over_in_its_unit():
    found = Figure.of(quantity("measured", low=1, high=4), "µW", "a document")
    assert (found.low, found.nominal, found.high) == (1000, 2000, 4000)
    assert (found.unit, found.basis, found.source) == ("µW", "measured", "a document")


def test_an_assumed_number_stays_a_range():
    found = Figure.of(quantity("assumed", low=1, high=4), "µW", "")
    assert (found.low, found.nominal, found.high) == (1000, None, 4000)


def test_a_price_without_value_has_a_range_alone():
    price = Price(
        low=1, high=4, unit="mW", source="s", basis="assumed", scope="idle", conditions="why"
    )
    found = Figure.of(price, "µW", "a document")
    assert (found.low, found.nominal, found.high, found.basis) == (1000, None, 4000, "assumed")
