"""Constants of one's own laid over a chip's: round trip, and what is refused with its line."""

import re

import pytest

from toolchain.chips.load import load_chip
from toolchain.diagnostics import ChipFileError
from toolchain.estimate import Measurement, calibrate
from toolchain.hardware import read_overlay

PRICE = (
    "{value: 150, low: 146, high: 154.5, unit: µW, source: own, basis: measured, scope: idle, "
    "conditions: on my desk}"
)
GOOD = f"""chip: xylo_a3
note: mine
sources:
  own: {{title: my board, url: ""}}
constants:
  rails.digital.static: {PRICE}
"""


@pytest.fixture
def overlay(tmp_path):
    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def sweep(static=150.0, slope=30.0, wobble=1.0):
    return [
        Measurement(
            power_uw={"digital": static + slope * mhz + wobble * (-1) ** n},
            clock_hz=mhz * 1e6,
            modes={"configuration": "mapped"},
        )
        for n, mhz in enumerate((6.25, 12.5, 25.0, 50.0))
    ]


def test_a_constant_replaces_the_one_of_its_name_and_no_other(overlay):
    plain, own = load_chip("xylo_a3"), load_chip("XYLO_A3", overlay=overlay(GOOD))
    static = own.power.rails["digital"].static
    assert static.range("µW") == (146, 150, 154.5)
    assert own.cite(static) == "xylo_a3.yaml, my board (measured)"
    assert own.power.rails["digital"].modes == plain.power.rails["digital"].modes
    assert own.power.rails["io"] == plain.power.rails["io"]
    assert own.limits == plain.limits
    assert load_chip("xylo_a3") == plain


def test_what_a_calibration_found_is_what_is_loaded(tmp_path):
    found = calibrate(load_chip("xylo_a3"), sweep())
    path = found.write(tmp_path / "mine.yaml", title="board 7", note="cold day")
    chip = load_chip("syns65302", overlay=path)
    digital = chip.power.rails["digital"]
    loaded = [digital.static, digital.modes["mapped"].clock_slope]
    for fitted, price in zip(found.fitted, loaded, strict=True):
        assert price.range(fitted.unit) == (fitted.low, fitted.value, fitted.high)
        assert (price.basis, price.scope) == ("measured", "idle")
        assert "4 readings" in price.conditions
    assert chip.sources["own_readings"].title == "board 7"
    assert read_overlay(path)[0] == found.overlay(title="board 7", note="cold day")


def test_a_rail_of_one_reading_is_split(tmp_path):
    readings = [
        Measurement(power_uw={"snn_core": 90 + 25 * mhz}, clock_hz=mhz * 1e6)
        for mhz in (6.25, 12.5, 25)
    ]
    names = ["rails.snn_core.clock_slope", "rails.snn_core.static"]
    path = calibrate(load_chip("xylo_a2"), readings, constants=names).write(tmp_path / "a2.yaml")
    rail = load_chip("xylo_a2", overlay=path).power.rails["snn_core"]
    assert (rail.idle, rail.idle_clock) == (None, None)
    assert rail.static.value == pytest.approx(90)
    assert rail.clock_slope.value == pytest.approx(25)


def test_a_calibrated_synop_has_a_nominal_value(tmp_path):
    speck = load_chip("speck2f")
    idle = speck.power.rails["logic"].idle.value
    readings = [
        Measurement(power_uw={"logic": idle + 72.2 * n}, counts={"synop": {"a": 1e6 * n}})
        for n in range(4)
    ]
    path = calibrate(load_chip("speck2f"), readings).write(tmp_path / "mine.yaml")
    energy = load_chip("speck2f", overlay=path).power.actions["synop"].energy
    assert energy.value == pytest.approx(100)
    assert energy.basis == "measured"


def test_writing_again_replaces_an_overlay_of_the_same_chip_alone(tmp_path):
    path = calibrate(load_chip("xylo_a3"), sweep()).write(tmp_path / "mine.yaml")
    calibrate(load_chip("xylo_a3"), sweep(static=200)).write(path)
    static = load_chip("xylo_a3", overlay=path).power.rails["digital"].static
    assert static.value == pytest.approx(200, abs=2)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize("there", ["some notes", GOOD.replace("xylo_a3", "xylo_a2")])
def test_another_file_in_its_place_is_left_alone(overlay, there):
    path = overlay(there)
    with pytest.raises(ChipFileError):
        calibrate(load_chip("xylo_a3"), sweep()).write(path)
    assert path.read_text(encoding="utf-8") == there


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("xylo_a3", "xylo_a2", 1, "chip: is 'xylo_a2', must be 'xylo_a3'"),
        (
            "  own: {",
            "  sweep: {",
            6,
            "constants.rails.digital.static.source: unknown source 'own'",
        ),
        ("digital.static", "digital.rest", 6, "constants: xylo_a3 has no constant rails.digital"),
        ("rails.digital.static", "name", 6, "constants: xylo_a3 has no constant name"),
        ("rails.digital.static", "rails.digital.role", 6, "constants: xylo_a3 has no constant"),
        ("rails.digital.static", "rails.no.static", 6, "constants: xylo_a3 has no constant"),
        ("unit: µW", "unit: pJ/cycle", 6, "power.rails.digital.static: is given in 'pJ/cycle'"),
        ("value: 150", "value: 160", 6, "constants.rails.digital.static: value 160 is outside"),
        ("value: 150", "value: '150'", 6, "constants.rails.digital.static.value: must be a number"),
        ("low: 146", "low: -1", 6, "power.rails.digital.static: must not be negative, got -1 µW"),
        ("value: 150, ", "", 6, "constants.rails.digital.static: needs a value, unless assumed"),
        ("note: mine", "notes: mine", 2, "notes: is not a field of a specification"),
        ("note: mine", "note: &a mine", 2, "anchors and aliases are not allowed"),
        ("on my desk", "''", 6, "constants.rails.digital.static.conditions: must"),
        ("conditions: on my desk", "more: 1", 6, "constants.rails.digital.static.conditions: is"),
    ],
)
def test_a_fault_is_told_with_its_line(overlay, old, new, line, message):
    assert old in GOOD
    path = overlay(GOOD.replace(old, new, 1))
    with pytest.raises(ChipFileError) as caught:
        load_chip("xylo_a3", overlay=path)
    assert re.match(rf"{re.escape(str(path))}: \d faults?\n", str(caught.value))
    assert f"  line {line}: {message}" in str(caught.value)


def test_a_source_key_of_the_chip_is_refused(overlay):
    text = GOOD.replace("  own: {", "  sweep: {").replace("source: own", "source: sweep")
    with pytest.raises(ChipFileError) as caught:
        load_chip("xylo_a3", overlay=overlay(text))
    assert "line 4: sources.sweep: the file of xylo_a3 already has this key" in str(caught.value)


def test_a_missing_overlay_is_refused(tmp_path):
    with pytest.raises(ChipFileError, match="cannot be read: No such file or directory"):
        load_chip("xylo_a3", overlay=tmp_path / "absent.yaml")


def test_an_overlay_of_text_alone_is_refused(overlay):
    with pytest.raises(ChipFileError, match="must be a mapping, got 'hello'"):
        load_chip("xylo_a3", overlay=overlay("hello"))
