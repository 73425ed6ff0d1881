"""Figures, their arithmetic, and what an estimate makes of them."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.estimate import (
    BASES,
    Activity,
    Estimate,
    Figure,
    LayerActivity,
    check_rates,
    total,
    unknown,
    weakest,
)
from toolchain.hardware import Quantity

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
    with pytest.raises(AssertionError, match=r"^µW \+ ms"):
        figure(1, 1, 1) + figure(1, 1, 1, unit="ms")


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf")])
def test_a_figure_is_multiplied_by_what_keeps_its_order(factor):
    with pytest.raises(AssertionError):
        figure(1, 2, 3).times(factor, "µW")


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


# ---- rates ----


def test_a_rate_for_each_name_is_accepted():
    check_rates({"a": 0, "b": 3.5}, ["b", "a"])


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"a": 1}, "^rates need a, b; missing or unknown: b$"),
        ({"a": 1, "b": 1, "c": 1}, "^rates need a, b; missing or unknown: c$"),
        ({"a": 1, "b": -0.5}, "^rate of 'b' must be a number of spikes per second >= 0, got -0.5$"),
        ({"a": float("nan"), "b": 1}, "^rate of 'a' must be .* got nan$"),
    ],
)
def test_other_rates_are_refused(rates, message):
    with pytest.raises(ValueError, match=message):
        check_rates(rates, ["a", "b"])


# ---- estimates ----


def estimate(**changes):
    layers = tuple(
        LayerActivity(name=name, neurons=2, spikes_per_step=1.0, active=0.5, synops_per_step=synops)
        for name, synops in (("input", 0.0), ("a", 30.0), ("b", 12.0))
    )
    fields = {
        "chip": "some",
        "clock_hz": None,
        "activity": Activity(layers=layers, steps=50, dt=2e-3),
        "idle": {"io": figure(1, 2, 3), "core": figure(10, 20, 30)},
        "dynamic": {"core": figure(4, 5, 6, "derived")},
        "latency": None,
        "load": None,
        "not_priced": (),
    }
    return Estimate(**fields | changes)


def test_counts_a_step_a_second_and_an_inference_are_one():
    found = estimate()
    assert found.activity.synops_per_step == 42
    assert found.synops_per_second == 21_000
    assert found.synops_per_inference == 2100


def test_power_is_idle_and_dynamic_by_rail_and_together():
    found = estimate()
    assert found.idle_power.nominal == 22
    assert found.dynamic_power.nominal == 5
    assert {r: f.nominal for r, f in found.power_by_rail.items()} == {"io": 2, "core": 25}
    assert (found.power.low, found.power.nominal, found.power.high) == (15, 27, 39)
    assert found.basis == "derived"


def test_energy_is_power_over_the_steps_of_an_inference():
    found = estimate()
    assert found.energy_per_inference.nominal == pytest.approx(27 * 0.1)
    assert found.dynamic_energy_per_inference.nominal == pytest.approx(5 * 0.1)
    assert found.energy_per_inference.unit == "µJ"


def test_one_assumed_range_leaves_the_whole_without_nominal_value():
    found = estimate(dynamic={"core": figure(1, None, 9, "assumed")})
    assert found.power.nominal is None
    assert found.idle_power.nominal == 22
    assert found.basis == "assumed"


def test_a_chip_that_nobody_measured_has_no_power_of_zero():
    found = estimate(idle={}, dynamic={})
    for name in ("idle_power", "dynamic_power", "power", "energy_per_inference"):
        assert str(getattr(found, name)) == "unknown"
    assert found.power_by_rail == {}
    assert found.basis == "unknown"


def test_activity_without_a_price_leaves_a_least_power():
    found = estimate(dynamic={})
    assert str(found.power) == "at least 11 µW (unknown)"
    assert found.idle_power.nominal == 22


@pytest.mark.parametrize("changes", [{}, {"idle": {}, "dynamic": {}}], ids=["known", "unknown"])
def test_an_estimate_is_plain_data(changes):
    found = estimate(**changes).as_dict()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["synops_per_inference"] == 2100
    assert again["power"]["high"] == (None if changes else 39)
    assert again["activity"]["layers"][1]["name"] == "a"
    assert again["basis"] == found["basis"]


@pytest.mark.parametrize(
    ("load", "keeps_up"),
    [
        (None, None),
        (figure(0.5, 1.0, 7.0, unit="fraction"), True),
        (figure(0.5, 1.01, 7.0, unit="fraction"), False),
        (figure(0.5, None, 7.0, unit="fraction"), None),
    ],
)
def test_it_keeps_up_where_the_mean_load_is_at_most_one(load, keeps_up):
    assert estimate(load=load).keeps_up is keeps_up
