"""The estimator against published readings: what the table claims, and that it is the one shown."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from tests.cases import each
from tests.genuine import FOLDER, genuine
from toolchain.chips.load import list_chips, load_chip
from toolchain.chips.xylo.cycles import worst_case_cycles
from toolchain.estimate import Figure
from validation import all_lines, networks, refit, rows_speck, rows_xylo
from validation.__main__ import FIRST, LAST, PAGE
from validation.lines import SHIPPED, line
from validation.readings import Load, Measurements, Reading, Row, measurements
from validation.table import as_markdown

LINES = all_lines(FOLDER)
COMPUTED = [line for line in LINES if line.kind == "R"]
ROWS = ("V1", "V2", "V3", "V4", "V5", "V6", "V7", "V9", "V10", "V11", "V12", "V12 total")
HELD_OUT = {"V2": 1, "V3": 2, "V4": 4, "V5": 3, "V7": 3, "V9": 1, "V11": 4}
"""Rows to the lines of them whose readings no constant saw."""


def of(row, lines=COMPUTED):
    return [line for line in lines if line.row == row]


def test_the_page_shows_the_table_as_it_is():
    assert f"{FIRST}\n{as_markdown(LINES)}\n{LAST}" in PAGE.read_text(encoding="utf-8")


def test_the_table_is_the_same_without_the_published_network(tmp_path):
    assert as_markdown(all_lines(tmp_path)) == as_markdown(LINES)


def test_every_row_that_can_be_computed_is_there():
    assert list(dict.fromkeys(line.row for line in COMPUTED)) == list(ROWS)
    assert {line.row for line in LINES} == set(measurements().rows)


@each("line", of("V1"))
def test_cycles_are_exact(line):
    assert line.estimate.nominal == line.measured
    assert line.verdict == "exact"


@each("line", COMPUTED)
def test_computed_rows_are_within_their_tolerance(line):
    assert abs(line.estimate.nominal / line.measured - 1) <= line.tolerance
    assert line.verdict in ("exact", "within")
    assert not line.fails


def test_no_fitted_row_is_called_evidence():
    kept = [line for line in LINES if line.evidence]
    assert {line.row: len(of(line.row, kept)) for line in kept if line.row != "V1"} == HELD_OUT
    for found in LINES:
        if found.fitted_on == SHIPPED:
            assert found.used == "yes"
            assert not found.evidence
    assert {line.row for line in COMPUTED} - {line.row for line in kept} == {
        *("V6", "V10", "V12", "V12 total")
    }


def test_the_idle_draw_alone_stands_beside_every_power():
    for found in LINES:
        if found.estimate.unit == "µW":
            assert found.idle_error is not None
            assert found.idle_only <= found.estimate.high


def test_the_idle_draw_alone_passes_every_reading_of_a_network_at_work():
    # the honest limit: these rows do not validate the price of activity
    busy = [found for row in ("V6", "V9", "V10", "V11") for found in of(row)]
    assert all(found.idle_passes for found in busy)
    assert [round(100 * found.idle_error, 1) for found in of("V9")] == [-9.7]


@pytest.mark.parametrize(
    ("row", "errors"),
    [
        ("V2", [0.3]),
        ("V3", [-1.8, -2.5]),
        ("V4", [-8.4, -8.6, -9.2, -9.3]),
        ("V5", [-0.1, -0.4, 0.0]),
        ("V7", [4.1, -1.2, -4.0]),
        ("V9", [12.2]),
        ("V11", [-2.0, -3.6, 2.0, 3.4]),
    ],
)
def test_held_out_errors_are_those_of_readings_that_were_left_out(row, errors):
    kept = [found for found in of(row) if found.evidence]
    assert [round(100 * found.error, 1) for found in kept] == pytest.approx(errors)


def test_a_line_through_the_readings_left_in_says_the_same():
    """Held out by plain arithmetic, without the estimator."""
    read = measurements().readings
    clocks, idle = zip(*read["a3_unmapped"].by_clock.items(), strict=True)
    slope, static = np.polyfit(clocks, idle, 1)
    (off,) = of("V2")
    assert off.estimate.nominal == pytest.approx(static)
    mapped = [found for found in of("V4") if found.evidence]
    assert [found.estimate.nominal for found in mapped] == pytest.approx(
        [static + slope * mhz for mhz in read["a3_mapped"].by_clock]
    )
    both = [read["a3_unconfigured"].by_clock, read["a3_unmapped"].by_clock]
    slow = [(mhz, series[mhz]) for series in both for mhz in (6.25, 12.5)]
    slope, static = np.polyfit(*zip(*slow, strict=True), 1)
    assert of("V3")[1].estimate.nominal == pytest.approx(static + slope * 50)


def test_what_one_run_shows_is_what_the_other_is_told():
    (_, second, _, first) = of("V11")
    # the energy of a cycle is the middle of two ends, and so is not met exactly
    assert second.estimate.nominal == pytest.approx(188.17 + (201.12 - 188.17), rel=0.003)
    assert first.estimate.nominal == pytest.approx(192.02 + (208.37 - 192.02), rel=0.003)
    assert second.estimate.low < 201.12 < second.estimate.high


def test_the_braille_reading_takes_nothing_from_the_constants_that_saw_it():
    shipped = load_chip("xylo_a2").power.actions["cycle"].energy.low
    (found,) = of("V9")
    fitted = rows_xylo.fitted_to_one_run("xylo_a2", "a2_doc", 2, "a2_doc_idle", "a2_doc_active")
    low, nominal, high = fitted.power.actions["cycle"].energy.range("pJ/cycle")
    assert (low, nominal, high) == pytest.approx((10.1, 16.5, 26.8), abs=0.05)
    assert shipped < low
    assert fitted.power.rails["snn_core"].idle.range("µW") == (250.1, 250.1, 250.1)
    assert not found.in_range


def test_the_published_network_has_the_connections_that_stand_in_for_it():
    genuine(networks.BRAILLE, "github.com/neuromorphs/NIR, paper/03_rnn")
    chip, found = load_chip("xylo_a2"), networks.braille(FOLDER)
    stand_in = networks.braille_counted()
    assert worst_case_cycles(found, chip) == worst_case_cycles(stand_in, chip) == 15941
    assert np.count_nonzero(found.weights_rec) == networks.ENTRIES


def by_row(verdict):
    rows = [found.row.partition(" ")[0] for found in LINES if found.verdict == verdict]
    return {row: rows.count(row) for row in dict.fromkeys(rows)}


def test_misses_are_printed_as_misses():
    assert by_row("miss") == {"V5": 3, "V12": 4, "V13": 1, "V18": 1, "V20": 4}
    assert by_row("contradicts") == {"V14": 2, "V18": 2}
    assert by_row("not contradicted") == {"V18": 2}
    assert by_row("cannot tell") == {"V13": 2, "V14": 10}
    text = as_markdown(LINES)
    assert text.count("| miss |") == 13
    assert "Misses in the second table: 3 of V5, 4 of V12, 1 of V13, 1 of V18, 4 of V20." in text
    assert "that contradict a reading: 2 of V14, 2 of V18; that do not: 2 of V18; too " in text


def test_the_reading_behind_the_energy_of_a_synop_is_no_evidence():
    io, *core = of("V19", LINES)
    assert [found.what.rpartition(" ")[2] for found in core] == ["ram", "logic"]
    assert {found.fitted_on for found in core} == {SHIPPED}
    assert io.fitted_on == ""
    assert not any(found.evidence for found in (io, *core))
    assert [round(100 * found.error, 1) for found in core] == [-5.8, 3.0]


def test_networks_without_a_number_of_synops_get_a_range():
    ranges = [found for found in of("V14", LINES) if found.estimate.nominal is None]
    assert len(ranges) == 12
    assert {found.verdict for found in ranges if "of a second" in found.what} == {"cannot tell"}
    spikes = [found for found in of("V14", LINES) if found.estimate.nominal is not None]
    assert all("a price a spike" in found.what for found in spikes)
    assert {found.kind for found in rows_speck.v14_by_spikes()} == {"P"}
    for found in spikes:
        assert 0.5 <= found.estimate.nominal / found.measured <= 2
        assert found.idle_error < -0.85


def test_a_spike_of_the_published_shape_causes_as_many_synops_as_its_layers_have():
    fewest, most = networks.yao_fan_out()
    assert fewest == 32
    assert 0.96 * 288 < most < 288  # 32 channels of 3 x 3, fewer at the edges


def test_the_live_reading_of_the_io_rail_is_named_as_one_that_is_not_explained():
    live = [found for found in of("V20", LINES) if "live" in found.what]
    assert [found.measured for found in live] == [456, 471]
    for found in live:
        assert found.in_range
        assert (found.verdict, found.fitted_on) == ("miss", SHIPPED)
    assert "456 to 471 µW" in load_chip("xylo_a3").power.note


QUIET = """
import runpy, warnings
import toolchain
warnings.simplefilter("ignore", toolchain.DeployWarning)
runpy.run_module("validation", run_name="__main__")
"""
"""Runs the command without the warnings about its networks, which have no calibration."""


def test_the_command_prints_the_table_and_ends_well():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET],
        cwd=PAGE.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(as_markdown(LINES))


# ---- verdicts ----


def line_of(nominal, row="V4", fitted_on="", measured=100.0, kind=None, low=None, high=None):
    figure = Figure(
        low=nominal if low is None else low,
        nominal=nominal,
        high=nominal if high is None else high,
        unit="µW",
        basis="derived",
    )
    return line(row, "xylo_a3", "x", measured, "A", figure, 50.0, fitted_on, kind)


@pytest.mark.parametrize(
    ("found", "verdict", "fails", "evidence"),
    [
        (line_of(110.0), "within", False, True),
        (line_of(110.1), "miss", True, False),
        (line_of(89.9), "miss", True, False),
        (line_of(95.0, fitted_on=SHIPPED), "within", False, False),
        (line_of(95.0, fitted_on="V3"), "within", False, True),
        (line_of(120.0, kind="N"), "miss", False, False),
        (line_of(105.0, kind="N"), "consistency", False, False),
        (line_of(100.0, row="V1"), "exact", False, True),
        (line_of(100.5, row="V1"), "miss", True, False),
        (line_of(200.0, row="V14"), "consistency", False, False),
        (line_of(201.0, row="V14"), "miss", False, False),
        (line_of(49.0, row="V14"), "miss", False, False),
        (line_of(120.0, row="V18", low=90.0, high=130.0), "consistency", False, False),
        (line_of(120.0, row="V18", low=110.0, high=130.0), "miss", False, False),
    ],
)
def test_a_verdict_follows_from_the_tolerance(found, verdict, fails, evidence):
    assert (found.verdict, found.fails, found.evidence) == (verdict, fails, evidence)


@pytest.mark.parametrize(
    ("low", "verdict"),
    [(90.0, "not contradicted"), (12.9, "cannot tell"), (100.1, "contradicts")],
)
def test_a_range_is_judged_by_whether_it_holds_the_reading(low, verdict):
    found = line_of(120.0, low=low, high=130.0)
    found = replace(found, estimate=replace(found.estimate, nominal=None))
    assert found.verdict == verdict
    assert found.error is None


# ---- the file ----


def test_every_reading_has_its_source_and_belongs_to_a_chip():
    found = measurements()
    used = {reading.source for reading in found.readings.values()}
    used |= {load.seconds.source for load in found.loads.values()}
    assert used == set(found.sources)
    for name, reading in found.readings.items():
        assert reading.chip in list_chips()
        chip = load_chip(reading.chip)
        assert not reading.rail or reading.rail in chip.power.rails, name


def test_no_constant_of_a_chip_is_kept_beside_the_readings():
    assert "pJ" not in {reading.unit for reading in measurements().readings.values()}


READING = {"chip": "xylo_a2", "values": {"6.25": 1.0}, "unit": "µW", "source": "a", "grade": "A"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"values": {}}, "needs numbers >= 0"),
        ({"values": {"6.25": -1.0}}, "needs numbers >= 0"),
        ({"values": {"6.25": float("nan")}}, "must be finite"),
        ({"unit": "miles"}, "unknown unit 'miles'"),
        ({"grade": "C"}, "grade"),
        ({"more": 1}, "more"),
    ],
)
def test_readings_that_are_none_are_refused(change, words):
    Reading.model_validate(READING)
    with pytest.raises(ValidationError, match=words):
        Reading.model_validate(READING | change)


def test_a_row_that_is_computed_has_a_tolerance():
    with pytest.raises(ValidationError, match="is of kind R, needs a tolerance"):
        Row(kind="R", title="x")
    with pytest.raises(ValidationError, match="needs one"):
        Row(kind="P", title="x", tolerance=0.1, factor=2)


def test_a_source_that_is_not_listed_is_refused():
    data = measurements().model_dump(exclude_none=True)
    data["readings"] = {"x": READING}
    with pytest.raises(ValidationError, match="unknown source 'a'"):
        Measurements.model_validate(data, context={"sources": data["sources"]})


def test_a_load_says_how_long_a_step_took():
    load = measurements().loads["braille"]
    assert isinstance(load, Load)
    assert load.dt == pytest.approx(8.59 / 25600)
    assert list(load.ends()) == [(0, 0.0135), (0.05, 0.0135), (0.1, 0.0135)]


def test_refitted_constants_leave_the_chip_as_it_is():
    chip = load_chip("xylo_a2")
    found = refit.laid_over(
        chip, refit.as_read("µW", {"rails.snn_core.idle": 217.0}), refit.energy_of_a_cycle(4, 9)
    )
    assert found.power.rails["snn_core"].idle.range("µW") == (217, 217, 217)
    assert found.power.actions["cycle"].energy.range("pJ/cycle") == (4, 6, 9)
    assert load_chip("xylo_a2") == chip
    assert chip.power.rails["snn_core"].idle.value == 250.1
