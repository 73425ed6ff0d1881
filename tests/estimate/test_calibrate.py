"""Prices fitted to readings: exact where the readings are, refused where they leave it open."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chips.xylo.test_power import RATES, program
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.power import activity_at, estimate
from toolchain.estimate import Measurement, calibrate, price
from toolchain.estimate.fit import T_95

A2, A3, SPECK = map(load_chip, ("xylo_a2", "xylo_a3", "speck2f"))
MAPPED = {"configuration": "mapped", "microphone": "off"}
STATIC, SLOPE = "rails.digital.static", "rails.digital.modes.mapped.clock_slope"
CYCLE = "actions.cycle.energy"
SYNOP = ("actions.synop.energy", "actions.synop.share.ram", "actions.synop.share.logic")
SAMPLES = "give single samples of the power monitor rather than their mean"


def busy(per_second):
    return {"cycle": {"network": per_second}}


def readings(static, slope, energy, noise=0.0, seed=0):
    """What a chip with these prices would show on its digital rail."""
    rng = np.random.default_rng(seed)
    return [
        Measurement(
            power_uw={"digital": static + slope * mhz + energy * often + noise * rng.normal()},
            clock_hz=mhz * 1e6,
            modes=MAPPED,
            counts=busy(often * 1e6),
        )
        for mhz in (6.25, 12.5, 25, 50)
        for often in (0, 1, 5)
    ]


def by_name(found):
    return {f.constant: f for f in found.fitted}


@given(st.floats(1, 1000), st.floats(0.1, 100), st.floats(0.1, 100))
def test_exact_readings_give_the_prices_back(static, slope, energy):
    found = by_name(calibrate(A3, readings(static, slope, energy)))
    got = [found[name].value for name in (STATIC, SLOPE, CYCLE)]
    assert got == pytest.approx([static, slope, energy], rel=1e-6, abs=1e-6)
    for fitted in found.values():
        assert 0 <= fitted.low <= fitted.value <= fitted.high


def test_intervals_hold_the_truth_as_often_as_they_say():
    truth = {STATIC: 150.0, SLOPE: 30.0, CYCLE: 20.0}
    inside = [
        fitted.low <= truth[name] <= fitted.high
        for seed in range(200)
        for name, fitted in by_name(
            calibrate(A3, readings(*truth.values(), noise=3.0, seed=seed))
        ).items()
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def test_quantiles_fall_towards_the_normal_one():
    assert len(T_95) == 30
    assert list(T_95) == sorted(T_95, reverse=True)
    assert T_95[-1] > 1.96


def test_units_of_fitted_prices_are_those_of_the_model():
    found = by_name(calibrate(A3, readings(150, 30, 20)))
    units = {name: fitted.unit for name, fitted in found.items()}
    assert units == {STATIC: "µW", SLOPE: "µW/MHz", CYCLE: "pJ/cycle"}
    assert found[STATIC].before.nominal == 141
    assert found[CYCLE].before.nominal == 25


def test_only_what_is_named_is_fitted_and_the_rest_is_told():
    found = calibrate(A3, readings(150, 27.96, 25), constants=[STATIC])
    assert list(by_name(found)) == [STATIC]
    assert found.kept == (SLOPE, CYCLE)
    assert by_name(found)[STATIC].value == pytest.approx(150)
    text = str(found)
    assert "fitted rails.digital.static: 150 µW" in text
    assert "before: 141 µW (141 to 152.1, measured)" in text
    assert f"kept   {SLOPE}" in text
    assert "measurement 12, digital: read " in text
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_measurement_of_an_estimate_reads_what_was_estimated():
    network = program()
    found = estimate(network, A3, activity_at(network, RATES, 1), 12.5e6, MAPPED)
    measurement = Measurement.of(found, {"digital": 500.0})
    terms, _ = price(A3, clock_hz=12.5e6, modes=measurement.modes, counts=measurement.counts)
    assert terms == found.terms
    idle = Measurement.of(found, {"digital": 500.0}, running=False)
    assert idle.counts == {}
    assert (idle.clock_hz, idle.modes) == (12.5e6, MAPPED)


def speck_readings(ram, energy, samples=1, noise=0.0, seed=0, rails=("ram", "logic")):
    """What a board would show whose ram draws the part ``ram`` of a synop's energy, pJ."""
    rng = np.random.default_rng(seed)
    idle, part = {"ram": 72.13, "logic": 280.57}, {"ram": ram, "logic": 1 - ram}
    return [
        Measurement(
            power_uw={
                rail: idle[rail] + part[rail] * energy * often + noise * rng.normal()
                for rail in rails
            },
            counts={"synop": {"conv": often * 1e6}} if often else {},
        )
        for often in (0.0, 3.1)
        for _ in range(samples)
    ]


@given(st.floats(0.05, 0.95), st.floats(1, 1000))
def test_energy_and_division_come_back_from_readings_of_both_rails(ram, energy):
    found = calibrate(SPECK, speck_readings(ram, energy, samples=2))
    fitted = by_name(found)
    assert [fitted[name].value for name in SYNOP] == pytest.approx([energy, ram, 1 - ram])
    assert [fitted[name].unit for name in SYNOP] == ["pJ/synop", "fraction", "fraction"]
    assert fitted[SYNOP[0]].before.nominal == 255
    assert (found.degrees_of_freedom, found.kept) == (4, ())
    for each in fitted.values():
        assert 0 <= each.low <= each.value <= each.high


def test_intervals_of_a_division_hold_the_truth_as_often_as_they_say():
    truth = dict(zip(SYNOP, (250.0, 0.3, 0.7), strict=True))
    inside = [
        fitted[name].low <= value <= fitted[name].high
        for seed in range(80)
        for fitted in [by_name(calibrate(SPECK, speck_readings(0.3, 250.0, 4, 20.0, seed)))]
        for name, value in truth.items()
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.05)


def test_the_published_readings_of_a_board_fit_and_replace_the_division(tmp_path):
    means = speck_readings(219.41 / 790.39, 790.39 / 3.1)
    names = "actions.synop.share.ram, rails.ram.idle, actions.synop.share.logic, rails.logic.idle"
    refused(
        f"4 readings cannot determine {names}: an interval needs at least 5; {SAMPLES}",
        SPECK,
        means,
    )
    found = calibrate(SPECK, speck_readings(219.41 / 790.39, 790.39 / 3.1, 20, 5.0))
    energy, ram, _ = (by_name(found)[name] for name in SYNOP)
    assert energy.low < 255 < energy.high
    assert ram.low < 0.2776 < ram.high
    chip = load_chip("speck2f", overlay=found.write(tmp_path / "board.yaml"))
    action = chip.power.actions["synop"]
    assert action.parts["ram"] == (ram.low, ram.value, ram.high)
    assert (action.share["ram"].basis, sum(action.payers.values())) == ("measured", 1)


def test_a_division_that_the_readings_leave_open_is_kept_or_refused():
    ram = speck_readings(0.3, 250.0, 3, 2.0, rails=("ram",))
    found = calibrate(SPECK, ram)
    assert found.kept == ("actions.synop.share.ram",)
    assert by_name(found)[SYNOP[0]].value == pytest.approx(0.3 * 250 / 0.278, rel=0.05)
    names = [*SYNOP, "rails.ram.idle"]
    refused("no reading depends on actions.synop.share.logic", SPECK, ram, constants=names)
    refused(
        "actions.synop.share.ram can only be fitted together with actions.synop.energy, "
        "actions.synop.share.logic",
        SPECK,
        speck_readings(0.3, 250.0, 3, 2.0),
        constants=SYNOP[1:2],
    )
    silent = [Measurement(power_uw={"ram": 70.0 + n, "logic": 280.0 + n}) for n in range(3)]
    refused(f"no reading depends on {', '.join(SYNOP[1:])}", SPECK, silent, constants=SYNOP)
    still = [
        Measurement(power_uw={"ram": 70.0, "logic": 280.0}, counts={"synop": {"a": n * 1e6}})
        for n in range(4)
    ]
    with pytest.raises(ValueError, match=r"(show no energy of synop: |prices are below 0: )"):
        calibrate(SPECK, still)


def test_a_rail_with_its_idle_draw_alone_is_split_by_a_sweep():
    sweep = [
        Measurement(power_uw={"snn_core": 90 + 25 * mhz}, clock_hz=mhz * 1e6)
        for mhz in (6.25, 12.5, 25)
    ]
    names = ["rails.snn_core.static", "rails.snn_core.clock_slope"]
    found = by_name(calibrate(A2, sweep, constants=names))
    assert [found[name].value for name in names] == pytest.approx([90, 25])
    assert found[names[0]].before is None


# ---- what is refused ----


def refused(message, *arguments, **fields):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        calibrate(*arguments, **fields)


def at(mhz, reading, rail="digital", modes=MAPPED, counts=None):
    return Measurement(
        power_uw={rail: reading}, clock_hz=mhz * 1e6, modes=modes, counts=counts or {}
    )


def test_too_few_readings_are_refused():
    refused(
        f"2 readings cannot determine {STATIC}, {SLOPE}: an interval needs at least 3; {SAMPLES}",
        A3,
        [at(6.25, 300), at(12.5, 480)],
    )
    refused(
        f"0 readings cannot determine a constant: an interval needs at least 1; {SAMPLES}", A3, []
    )


def test_constants_that_always_change_together_are_refused():
    refused(
        f"the readings cannot separate {STATIC}, {SLOPE}: vary the clock or the activity",
        A3,
        [at(6.25, 300), at(6.25, 301), at(6.25, 302)],
    )


def test_constants_that_can_be_told_apart_are_not_blamed():
    always_as_busy = [at(mhz, 100 + 30 * mhz, counts=busy(1e6)) for mhz in (6.25, 12.5, 25.0, 50.0)]
    refused(
        f"the readings cannot separate {STATIC}, {CYCLE}: vary the clock or the activity",
        A3,
        always_as_busy,
    )


def test_prices_below_zero_are_refused():
    with pytest.raises(ValueError, match=rf"^fitted prices are below 0: {STATIC} = -50 ± "):
        calibrate(A3, [at(mhz, 100 * mhz - 50) for mhz in (6.25, 12.5, 25)])


def test_a_constant_that_no_reading_depends_on_is_refused():
    sweep = [at(mhz, 141 + 28 * mhz) for mhz in (6.25, 12.5, 25)]
    refused(f"no reading depends on {CYCLE}", A3, sweep, constants=[CYCLE])
    zero = [at(mhz, 141 + 28 * mhz, counts=busy(0.0)) for mhz in (6.25, 12.5, 25)]
    refused(f"no reading depends on {CYCLE}", A3, zero, constants=[CYCLE])
    refused(
        f"xylo_a3 has no constant rails.digital.dynamic; the readings depend on {STATIC}, {SLOPE}",
        A3,
        sweep,
        constants=["rails.digital.dynamic"],
    )


def test_a_mode_has_to_be_said():
    refused(
        "measurement 1: digital depends on configuration; give its mode: mapped, unmapped, "
        "monitored, ram_open",
        A3,
        [at(6.25, 300, modes={})],
    )


def test_a_rail_that_the_chip_has_not_is_refused():
    refused(
        "measurement 1: xylo_a3 has no rail 'core'; there are: io, analog, digital",
        A3,
        [at(6.25, 300, rail="core")],
    )


def test_an_idle_draw_is_not_used_at_another_clock():
    refused(
        "measurement 1: the idle draw of snn_core is in the chip file at another clock only; fit "
        "rails.snn_core.static and rails.snn_core.clock_slope instead",
        A2,
        [at(12.5, 300, rail="snn_core", modes={})],
    )


def test_a_slope_alone_is_refused_where_the_static_draw_is_not_on_file():
    sweep = [at(mhz, 90 + 25 * mhz, rail="snn_core", modes={}) for mhz in (6.25, 6.25, 6.25)]
    slope = "rails.snn_core.clock_slope"
    message = f"^{slope} also needs rails.snn_core.static: the chip file has only their sum$"
    with pytest.raises(ValueError, match=message):
        calibrate(A2, sweep, constants=[slope])


def test_a_price_that_is_a_range_alone_cannot_be_kept():
    running = [
        Measurement(power_uw={"logic": 400.0 + n}, counts={"synop": {"a": 1e6 * n}})
        for n in range(4)
    ]
    refused(
        "measurement 1, logic: rails.logic.idle has only a range in the chip file and must be "
        "fitted too",
        load_chip("speck2e"),
        running,
        constants=["actions.synop.energy"],
    )


def test_a_reading_with_activity_in_it_cannot_be_kept():
    monitored = MAPPED | {"configuration": "monitored"}
    slope = "rails.digital.modes.monitored.clock_slope"
    running = [
        at(mhz, 141 + 30 * mhz + 25 * often, modes=monitored, counts=busy(1e6 * often))
        for mhz in (6.25, 12.5)
        for often in (0, 1, 2)
    ]
    refused(
        f"measurement 1, digital: {slope} was read with a network running (scope all_in), so that "
        "its activity is in it; it must be fitted too",
        A3,
        running,
        constants=[CYCLE],
    )
    found = calibrate(A3, running, constants=[slope, CYCLE])
    assert [fit.value for fit in found.fitted] == pytest.approx([30, 25])
    assert found.scopes[slope] == "idle"


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("reading", [-1.0, NAN, INF, "1", True, None])
def test_readings_that_are_none_are_refused(reading):
    message = f"^reading of digital must be a number of µW >= 0, got {reading!r}$"
    with pytest.raises(ValueError, match=message):
        at(6.25, reading)
    with pytest.raises(ValueError, match=r"^a measurement needs a reading of at least one rail$"):
        Measurement(power_uw={})


@pytest.mark.parametrize("wrong", [3, {"digital": 300.0}])
def test_what_is_no_measurement_is_refused(wrong):
    refused(f"measurements must be Measurement objects, got {wrong}", A3, [wrong])
    with pytest.raises(ValueError, match=r"^power_uw must be readings by rail, got \[300\.0\]$"):
        Measurement(power_uw=[300.0])
    with pytest.raises(ValueError, match=r"^constants must be names in a list: \['rails.io.static"):
        calibrate(A3, [at(6.25, 300)], constants="rails.io.static")


def test_readings_of_any_number_type_in_any_iterable_give_the_same_prices():
    wanted = calibrate(A3, [at(mhz, 141 + 28 * mhz) for mhz in (6.25, 12.5, 25)])
    found = calibrate(A3, (at(mhz, np.float32(141 + 28 * mhz)) for mhz in (6.25, 12.5, 25)))
    assert found.fitted == wanted.fitted


def test_a_label_is_shown_without_control_characters():
    wrong = Measurement(power_uw={"digital": 1.0}, clock_hz=1, modes=MAPPED, label="a\x1b[2J\u200b")
    with pytest.raises(ValueError, match=r"^a\\x1b\[2J\\u200b: clock_hz 1 Hz is below"):
        calibrate(A3, [wrong])


@pytest.mark.parametrize("often", [-1.0, NAN, INF])
def test_counts_that_are_none_are_refused(often):
    refused(
        f"cycle of 'network' must be >= 0 a second, got {often}",
        A3,
        [at(6.25, 1.0, counts=busy(often))],
    )


@pytest.mark.parametrize("clock_hz", [-1.0, NAN, INF, "6.25 MHz"])
def test_clocks_that_are_none_are_refused(clock_hz):
    wrong = Measurement(power_uw={"digital": 1.0}, clock_hz=clock_hz, modes=MAPPED)
    refused(
        "measurement 1: clock_hz must be a number of Hz > 0, such as 6.25e6, got " + repr(clock_hz),
        A3,
        [wrong],
    )


def test_a_clock_in_mhz_is_refused_and_a_clock_that_is_off_is_not():
    with pytest.raises(ValueError, match=r"^measurement 1: clock_hz 6.25 Hz .*mean 6\.25e6\?$"):
        calibrate(A3, [at(6.25e-6, 300)])
    with pytest.raises(ValueError, match=r"^measurement 1: clock_hz is missing, xylo_a3 has a "):
        calibrate(A3, [Measurement(power_uw={"digital": 300.0}, modes=MAPPED)])
    found = calibrate(A3, [at(mhz, 141 + 28 * mhz) for mhz in (0, 6.25, 12.5)])
    assert found.fitted[0].value == pytest.approx(141)
