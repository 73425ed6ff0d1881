"""Counts times prices, term by term."""

import re
from pathlib import Path

import pytest

from toolchain.chips.load import load_chip
from toolchain.estimate import Figure, price, saved_by_clock, total

SPECS = Path(__file__).parents[2] / "hardware_specs"
A2, A3, SPECK, BARE = map(load_chip, ("xylo_a2", "xylo_a3", "speck2f", "xylo_1"))


def terms(chip, counts=None, clock_hz=None, **modes):
    return price(chip, clock_hz=clock_hz, modes=modes, counts=counts or {})


def test_every_product_of_the_model_is_a_term_of_its_own():
    found, missing = terms(
        A3, {"cycle": {"a": 1e6, "b": 2e6}}, 10e6, configuration="ram_open", microphone="on"
    )
    assert [(t.constant, t.rail, t.layer, t.times) for t in found] == [
        ("rails.io.modes.on.static", "io", "", 1),
        ("rails.io.modes.on.clock_slope", "io", "", 10),
        ("rails.analog.static", "analog", "", 1),
        ("rails.digital.static", "digital", "", 1),
        ("rails.digital.modes.ram_open.clock_slope", "digital", "", 10),
        ("actions.cycle.energy", "digital", "a", 1),
        ("actions.cycle.energy", "digital", "b", 2),
    ]
    assert [t.kind for t in found] == ["idle"] * 5 + ["dynamic"] * 2
    assert missing == ()
    assert {t.power.unit for t in found} == {"µW"}


@pytest.mark.parametrize("chip", [A2, A3, SPECK], ids=lambda chip: chip.name)
def test_a_term_is_its_constant_times_its_multiplier(chip):
    clock = None if chip is SPECK else 6.25e6
    action = "synop" if chip is SPECK else "cycle"
    for term in terms(chip, {action: {"a": 3e6}}, clock)[0]:
        assert term.times is not None
        if term.power.nominal is None:
            continue
        kind, thing, *way = term.constant.split(".")
        constant = chip.power.rails[thing] if kind == "rails" else chip.power.actions[thing]
        for part in way:
            constant = constant[part] if hasattr(constant, "keys") else getattr(constant, part)
        assert term.power.nominal == pytest.approx(constant.value * term.times)


def test_where_no_mode_is_said_the_range_spans_all_that_were_measured():
    by_mode = [
        terms(A3, clock_hz=20e6, configuration=mode)[0]
        for mode in A3.power.switches["configuration"]
    ]
    each = [total([t.power for t in one if t.rail == "digital"], "µW") for one in by_mode]
    (usual, *_) = each
    open_to_all = total([t.power for t in terms(A3, clock_hz=20e6)[0] if t.rail == "digital"], "µW")
    assert open_to_all.nominal == usual.nominal
    assert open_to_all.low == min(f.low for f in each)
    assert open_to_all.high == max(f.high for f in each)


def ends(figure):
    return figure.low, figure.nominal, figure.high


def power(chip, rail, counts, clock_hz, kind=None, **modes):
    found, _ = terms(chip, counts, clock_hz, **modes)
    return total([t.power for t in found if t.rail == rail and kind in (None, t.kind)], "µW")


def test_activity_is_not_added_again_to_a_reading_that_has_it():
    busy = {"cycle": {"a": 1e6, "b": 3e6}}
    idle = power(A3, "digital", {}, 12.5e6, configuration="monitored")
    assert idle.nominal == pytest.approx(588)
    found = power(A3, "digital", busy, 12.5e6, configuration="monitored")
    assert ends(found) == (idle.low, idle.nominal, pytest.approx(idle.high + 4 * 38))
    added, _ = terms(A3, busy, 12.5e6, configuration="monitored")
    assert [t.scope for t in added if t.rail == "digital"] == [
        *("idle", "all_in"),
        *("incremental", "incremental"),
    ]
    for mode in ("mapped", "unmapped", "ram_open"):
        idle, found = (
            power(A3, "digital", counts, 12.5e6, configuration=mode) for counts in ({}, busy)
        )
        assert ends(found) == pytest.approx(
            [e + 4 * p for e, p in zip(ends(idle), (16, 25, 38), strict=True)]
        )


@pytest.mark.parametrize("mhz", [6.25, 12.5, 50.0])
@pytest.mark.parametrize("part_busy", [0.0, 0.1, 0.7, 1.0])
def test_without_a_mode_the_range_is_that_of_all_modes_with_their_activity(mhz, part_busy):
    busy = {"cycle": {"a": part_busy * mhz * 1e6}}
    each = [
        power(A3, "digital", busy, mhz * 1e6, configuration=mode)
        for mode in A3.power.switches["configuration"]
    ]
    spanned = power(A3, "digital", busy, mhz * 1e6)
    assert ends(spanned) == pytest.approx(
        (min(f.low for f in each), each[0].nominal, max(f.high for f in each))
    )


def test_a_reading_of_a_running_chip_covers_its_own_rail_only(tmp_path):
    text = (SPECS / "speck2f.yaml").read_text(encoding="utf-8")
    before, ram, after = text.partition("    ram:\n")
    path = tmp_path / "speck2f.yaml"
    path.write_text(before + ram + after.replace("scope: idle", "scope: all_in", 1), "utf-8")
    chip, counts = load_chip(path), {"synop": {"conv": 1e6}}
    shipped = power(SPECK, "logic", counts, None)
    assert power(chip, "logic", counts, None) == shipped
    ram, idle = power(chip, "ram", counts, None), power(chip, "ram", {}, None)
    assert (ram.low, ram.high) == (idle.low, power(SPECK, "ram", counts, None).high)


def test_a_slower_clock_saves_no_activity_that_is_in_a_slope():
    modes = {"configuration": "monitored", "microphone": "off"}
    found = saved_by_clock(A3, clock_hz=12.5e6, slower_hz=6.25e6, modes=modes)
    io = saved_by_clock(A3, clock_hz=12.5e6, slower_hz=6.25e6, modes={"microphone": "off"})
    assert found.nominal is None
    assert found.basis == "assumed"
    least = 6.25 * (24.68 + 4.55)
    assert (found.low, found.high) == pytest.approx((least, 6.25 * (39.8 + 4.6)))
    assert io.nominal == pytest.approx(6.25 * (27.96 + 4.55))


def test_a_mode_that_nobody_measured_counts_only_when_asked_for():
    usual = {t.rail: t.power for t in terms(SPECK)[0]}
    assert usual["pixel_analog"].low == 610.879
    off = {t.rail: t.power for t in terms(SPECK, dvs="off")[0]}
    assert (off["pixel_analog"].low, off["pixel_analog"].nominal) == (0, None)


def test_away_from_its_clock_an_idle_draw_is_no_product():
    found, _ = terms(A2, clock_hz=12.5e6)
    assert {t.times for t in found} == {None}
    assert {t.power.basis for t in found} == {"assumed"}


def test_actions_without_a_price_are_told_with_their_count():
    _, missing = terms(
        A2, {"second_synapse": {"a": 10.0, "b": 5.0}, "input_event": {"x": 0.0}}, 1e6
    )
    assert [(m.what, m.per_second, m.unit) for m in missing] == [("second_synapse", 15, "synop")]
    found, missing = terms(BARE, {"cycle": {"a": 5.0}}, 1e6)
    assert found == ()
    assert str(missing[0]) == "cycle: 5 cycle/s"


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"synop": {"a": 1.0}}, "xylo_a2 has no action 'synop'"),
        ({"cycle": {"a": -1.0}}, "cycle of 'a' must be >= 0 a second, got -1.0"),
        ({"cycle": {"a": float("nan")}}, "cycle of 'a' must be >= 0 a second, got nan"),
        ({"cycle": {"a": float("inf")}}, "cycle of 'a' must be >= 0 a second, got inf"),
    ],
)
def test_counts_that_are_none_are_refused(counts, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        terms(A2, counts, 1e6)


def test_a_slower_clock_saves_its_slope():
    modes = {"configuration": "mapped", "microphone": "off"}
    found = saved_by_clock(A3, clock_hz=50e6, slower_hz=10e6, modes=modes)
    assert found.nominal == pytest.approx(40 * (27.96 + 4.55))
    assert (found.low, found.high) == (pytest.approx(40 * 29.85), pytest.approx(40 * 33.62))


def test_what_a_clock_saves_is_a_range_where_its_share_was_never_measured():
    found = saved_by_clock(A2, clock_hz=6.25e6, slower_hz=3.125e6, modes={})
    assert (found.low, found.nominal, found.basis) == (0, None, "assumed")
    assert found.high == pytest.approx((99.8 + 10.4 + 7.3 + 250.1) / 2)


def test_chips_without_a_clock_save_nothing_by_it():
    nothing = Figure(low=0, nominal=0, high=0, unit="µW", basis="published")
    assert saved_by_clock(SPECK, clock_hz=2.0, slower_hz=1.0, modes={}) == nothing
