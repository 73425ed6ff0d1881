"""Numbers with units."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.cases import each
from toolchain.hardware import AllowedValues, Quantity, units
from toolchain.hardware.quantity import FrozenMap
from toolchain.hardware.units import COUNTED, factor, same_dimension


def quantity(value, unit, **rest):
    return Quantity(value=value, unit=unit, source="s", basis="assumed", **rest)


@pytest.mark.parametrize(
    ("value", "unit", "into", "expected"),
    [
        (50, "MHz", "Hz", 50e6),
        (250.1, "µW", "W", 250.1e-6),
        (25.3, "µW/MHz", "pJ", 25.3),
        (45, "pJ/synop", "nJ/synop", 0.045),
        (1.58, "us", "µs", 1.58),
        (1000, "neuron", "neuron", 1000),
    ],
)
def test_a_number_is_given_in_other_units(value, unit, into, expected):
    assert quantity(value, unit).to(into) == pytest.approx(expected, rel=1e-12)


def test_a_number_is_not_given_in_a_unit_of_something_else():
    with pytest.raises(ValueError, match=r"^neuron cannot be converted to word$"):
        quantity(1000, "neuron").to("word")


def test_a_range_without_ends_is_three_times_the_value():
    assert quantity(2, "mW").range("µW") == (2000, 2000, 2000)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_range_keeps_its_order_in_any_unit(a, b, c):
    low, value, high = sorted((a, b, c))
    converted = quantity(value, "mW", low=low, high=high).range("W")
    assert list(converted) == sorted(converted)


@pytest.mark.parametrize("ends", [{"low": 1}, {"high": 3}])
def test_a_range_has_two_ends(ends):
    with pytest.raises(ValidationError, match="has one of low and high, needs both or neither"):
        quantity(2, "mW", **ends)


def test_a_range_holds_its_value():
    with pytest.raises(ValidationError, match="value 4 is outside 1 to 3"):
        quantity(4, "mW", low=1, high=3)


@pytest.mark.parametrize("value", ["4", True, None, float("nan"), float("inf")])
def test_a_value_is_a_finite_number(value):
    with pytest.raises(ValidationError, match="must be"):
        quantity(value, "mW")


@pytest.mark.parametrize("unit", ["", "parsec", "9**9**9", "neuron +", "mW\n", "1", "mW//s"])
def test_an_unknown_unit_is_refused(unit):
    with pytest.raises(ValidationError, match="unknown unit"):
        quantity(1, unit)


@pytest.mark.parametrize("values", [(), (2, 1), (1, 1, 2)])
def test_the_values_of_a_choice_ascend(values):
    with pytest.raises(ValidationError, match="values must be one or more, ascending"):
        AllowedValues(values=values, unit="px", source="s", basis="assumed")


@each("unit", COUNTED)
def test_what_is_counted_is_measured_in_nothing_else(unit):
    others = [other for other in (*COUNTED, "fraction", "bit", "s") if same_dimension(unit, other)]
    assert others == [unit]


def test_usual_units_are_converted_as_pint_does(monkeypatch):
    quick = {}
    for unit, into in product(units._USUAL, repeat=2):
        quick[unit, into] = factor(unit, into) if same_dimension(unit, into) else None
    for cached in (factor, same_dimension):
        cached.cache_clear()
    monkeypatch.setattr(units, "_USUAL", {})
    for (unit, into), value in quick.items():
        assert same_dimension(unit, into) == (value is not None), (unit, into)
        assert value is None or value == units.by_pint(unit, into), (unit, into)


def test_a_factor_and_its_inverse_cancel():
    assert factor("MHz", "Hz") * factor("Hz", "MHz") == pytest.approx(1)


def test_a_frozen_map_equals_the_mapping_it_holds():
    assert FrozenMap({"a": 1}) == {"a": 1}
    assert hash(FrozenMap({"a": 1, "b": 2})) == hash(FrozenMap({"b": 2, "a": 1}))
    assert repr(FrozenMap({"a": 1})) == "FrozenMap({'a': 1})"
