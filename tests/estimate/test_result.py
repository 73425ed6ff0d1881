"""What an estimate makes of its terms: power, energy, pace, shares."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.estimate import Estimate, Figure, NotPriced, Pace, Suggestion, Term
from toolchain.runs import Activity, LayerActivity


def figure(low, nominal, high, basis="measured"):
    return Figure(low=low, nominal=nominal, high=high, unit="µW", basis=basis, source="a")


def term(rail, kind, power, layer=""):
    return Term(constant="c", rail=rail, kind=kind, layer=layer, times=1.0, power=power)


IDLE = (term("io", "idle", figure(1, 2, 3)), term("core", "idle", figure(10, 20, 30)))
DYNAMIC = (
    term("core", "dynamic", figure(3, 4, 5, "derived"), "a"),
    term("core", "dynamic", figure(1, 1, 1, "derived"), "b"),
)


def pace(typical, worst, limit=100.0, margin=0.2, unit="cycle/s"):
    return Pace(
        where="network",
        typical=typical,
        worst=worst,
        limit=limit,
        unit=unit,
        margin=margin,
        basis="derived",
        source="s",
    )


def estimate(**changes):
    layers = tuple(
        LayerActivity(name=name, neurons=2, spikes_per_step=1.0, active=0.5, synops_per_step=synops)
        for name, synops in (("input", 0.0), ("a", 30.0), ("b", 12.0))
    )
    fields = {
        "chip": "some",
        "clock_hz": 100.0,
        "modes": {},
        "activity": Activity(layers=layers, steps=50, dt=2e-3),
        "places": {"a": "core 1"},
        "terms": IDLE + DYNAMIC,
        "counts": {},
        "latency": None,
        "pace": (),
        "clock_suggestions": (),
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


def test_energies_of_a_step_a_second_and_an_inference_have_units_of_their_own():
    found = estimate()
    assert found.energy_per_step.nominal == pytest.approx(27 * 2e-3 * 1e3)
    assert found.energy_per_second_of_input.nominal == pytest.approx(27)
    assert found.energy_per_inference.nominal == pytest.approx(27 * 0.1)
    assert found.dynamic_energy_per_inference.nominal == pytest.approx(5 * 0.1)
    units = [
        found.energy_per_step.unit,
        found.energy_per_second_of_input.unit,
        found.energy_per_inference.unit,
    ]
    assert units == ["nJ/step", "µJ/s", "µJ/inference"]
    with pytest.raises(ValueError, match=r"^nJ/step and µJ/inference cannot be added$"):
        found.energy_per_step + found.energy_per_inference


@given(st.floats(0, 1e6), st.floats(1e-6, 10), st.integers(0, 10_000), st.floats(0, 1e3))
def test_energies_agree_with_each_other_whatever_the_pace(watts, dt, steps, work):
    base = estimate()
    found = replace(
        base,
        terms=(term("io", "idle", figure(watts, watts, watts)), *DYNAMIC),
        activity=replace(base.activity, steps=steps, dt=dt),
        pace=(pace(work, work),),
    )
    step = found.energy_per_step.nominal
    assert found.energy_per_inference.nominal == pytest.approx(step * steps * 1e-3)
    assert found.energy_per_second_of_input.nominal == pytest.approx(step / dt * 1e-3)
    assert found.seconds_per_step >= dt


def test_a_core_that_is_too_slow_takes_longer_and_costs_more_a_step():
    found = estimate(pace=(pace(300.0, 300.0),))
    assert found.keeps_up is False
    assert found.seconds_per_step == pytest.approx(6e-3)
    assert found.energy_per_second_of_input.nominal == pytest.approx(27 * 3)
    assert (found.load.nominal, found.duty_cycle.nominal) == (3, 1)


def test_what_a_chip_without_a_clock_does_when_asked_too_much_is_not_guessed():
    found = estimate(clock_hz=None, pace=(pace(300.0, None),))
    assert found.keeps_up is False
    assert found.seconds_per_step == 2e-3


def test_one_assumed_range_leaves_the_whole_without_nominal_value():
    assumed = term("core", "dynamic", figure(1, None, 9, "assumed"), "a")
    found = estimate(terms=(*IDLE, assumed))
    assert found.power.nominal is None
    assert found.idle_power.nominal == 22
    assert found.basis == "assumed"
    assert found.energy_per_inference.nominal is None


FIGURES = ("idle_power", "dynamic_power", "power", "energy_per_step", "energy_per_inference")


def test_a_chip_that_nobody_measured_has_no_power_of_zero():
    found = estimate(terms=())
    for name in FIGURES:
        assert str(getattr(found, name)) == "unknown"
    assert found.power_by_rail == {}
    assert found.basis == "unknown"
    assert {layer.dynamic_share for layer in found.layers} == {None}


def test_activity_without_a_price_leaves_a_least_power():
    found = estimate(terms=IDLE)
    assert str(found.power) == "at least 11 µW (unknown)"
    assert found.idle_power.nominal == 22


def test_a_layer_has_its_share_of_what_activity_adds():
    entry, a, b = estimate().layers
    assert (a.name, a.place, a.spikes_per_second, a.synops_per_second) == ("a", "core 1", 500, 15e3)
    assert (entry.dynamic_share, a.dynamic_share, b.dynamic_share) == (0, 0.8, 0.2)
    assert (a.dynamic_power.low, a.dynamic_power.high) == (3, 5)


def test_layers_that_dominate_are_named_with_what_they_draw_at_most():
    (found,) = estimate().suggestions
    assert (found.about, found.layers) == ("layers", ("a",))
    assert (found.saves.low, found.saves.high) == (3, 5)
    assert str(found) == (
        "80 % of the dynamic power is a: 4 µW (3 to 5, derived), at most 31 % of the total; the "
        "rest is idle draw or other layers"
    )


def test_suggested_clocks_come_first():
    clock = Suggestion(about="clock", text="slower", clock_hz=1e6)
    assert [s.about for s in estimate(clock_suggestions=(clock,)).suggestions] == [
        "clock",
        "layers",
    ]
    assert estimate(terms=IDLE).suggestions == ()


@pytest.mark.parametrize("changes", [{}, {"terms": ()}], ids=["known", "unknown"])
def test_an_estimate_is_plain_data(changes):
    extra = {"pace": (pace(10.0, None),), "not_priced": (NotPriced(what="x", per_second=2.0),)}
    found = estimate(**extra, **changes).as_dict()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["synops_per_inference"] == 2100
    assert again["power"]["high"] == (None if changes else 39)
    assert again["activity"]["layers"][1]["name"] == "a"
    assert again["basis"] == found["basis"]
    assert again["energy_per_step"]["unit"] == "nJ/step"
    assert Activity.from_dict(again["activity"]) == estimate().activity


@pytest.mark.parametrize(
    ("paces", "keeps_up", "always"),
    [
        ((), None, None),
        ((pace(80.0, 83.0),), True, True),
        ((pace(83.3, 84.0),), True, False),
        ((pace(84.0, 84.0),), False, False),
        ((pace(10.0, None),), True, None),
        ((pace(10.0, 10.0), pace(90.0, None)), False, None),
        ((pace(100.0, None, margin=0.0),), True, None),
    ],
)
def test_it_keeps_up_where_all_work_with_its_margin_is_done_in_time(paces, keeps_up, always):
    found = estimate(pace=paces)
    assert (found.keeps_up, found.always_keeps_up) == (keeps_up, always)


def test_load_is_that_of_the_busiest_place():
    found = estimate(pace=(pace(10.0, 50.0), pace(30.0, 40.0)))
    assert (found.load.low, found.load.nominal, found.load.high) == (0.3, 0.3, 0.4)
    assert estimate().load is None
    assert estimate().duty_cycle is None


def test_what_is_not_priced_is_told_with_its_count():
    assert str(NotPriced(what="leak_update", per_second=1200.0, unit="neuron")) == (
        "leak_update: 1200 neuron/s"
    )
    assert str(NotPriced(what="read-out")) == "read-out"
