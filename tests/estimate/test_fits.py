"""Xylo Audio 3's constants are what its published readings say: every fit from its four points."""

import numpy as np
import pytest

from toolchain.chips.load import load_chip
from toolchain.estimate import Measurement, calibrate

A3 = load_chip("xylo_a3")
CLOCKS = np.array([6.25, 12.5, 25.0, 50.0])
"""MHz."""

# digital rail, µW: state, readings at the four clocks, intercept, slope, largest error in %
DIGITAL = [
    ("no configuration", [296.4, 449.5, 756.6, 1375.8], 141.2, 24.68, 0.3),
    ("default, nothing mapped", [302.0, 455.5, 773.1, 1407.2], 141.5, 25.30, 0.8),
    ("nothing mapped, microphone, triggered", [306, 481, 797, 1448], 148.9, 25.99, 1.7),
    ("mapped, not triggered", [327, 501, 852, 1550], 152.1, 27.96, 0.1),
    ("mapped, real-time, not triggered", [327, 489, 836, 1523], 151.1, 27.42, 1.4),
    ("mapped, real-time, triggered", [330, 509, 869, 1599], 146.6, 29.02, 0.6),
]
PADS = [
    ("no input", [36, 67, 128, 236], 10, 4.55),
    ("real-time", [69, 132, 257, 492], 11, 9.65),
    ("real-time, triggered", [1437, 1492, 1598, 1842], 1375, 9.3),
]


def line(readings):
    slope, intercept = np.polyfit(CLOCKS, readings, 1)
    return float(intercept), float(slope)


@pytest.mark.parametrize(("readings", "intercept", "slope", "error"), [d[1:] for d in DIGITAL])
def test_the_digital_rail_is_a_line_over_the_clock(readings, intercept, slope, error):
    found = line(readings)
    assert found[0] == pytest.approx(intercept, abs=0.06)
    assert found[1] == pytest.approx(slope, abs=0.006)
    off = 100 * np.abs((found[0] + found[1] * CLOCKS) / readings - 1)
    assert off.max() == pytest.approx(error, abs=0.06)


@pytest.mark.parametrize(("readings", "intercept", "slope"), [p[1:] for p in PADS])
def test_the_pads_are_a_line_over_the_clock(readings, intercept, slope):
    found = line(readings)
    assert found[0] == pytest.approx(intercept, rel=0.15)
    assert found[1] == pytest.approx(slope, rel=0.02)


def test_the_file_has_these_slopes():
    digital, pads = A3.power.rails["digital"], A3.power.rails["io"]

    def slopes(rail, mode):
        return rail.price("clock_slope", mode)[1].range("µW/MHz")

    by_state = {state: slope for state, _, _, slope, _ in DIGITAL}
    mapped = [s for state, s in by_state.items() if state.startswith("mapped")]
    others = [s for state, s in by_state.items() if not state.startswith("mapped")]
    assert slopes(digital, "mapped") == (
        25.3,  # a network of three neurons, below
        by_state["mapped, not triggered"],
        max(mapped),
    )
    usual = by_state["default, nothing mapped"]
    assert slopes(digital, "unmapped") == (min(others), usual, max(others))
    assert slopes(pads, "off")[1] == PADS[0][3]
    assert slopes(pads, "on") == (PADS[2][3], PADS[1][3], PADS[1][3])


def test_the_static_draw_read_with_the_clock_off_is_where_the_lines_meet_the_axis():
    low, nominal, high = A3.power.rails["digital"].static.range("µW")
    assert nominal == 141
    assert high == max(intercept for _, _, intercept, _, _ in DIGITAL)
    assert low <= min(intercept for _, _, intercept, _, _ in DIGITAL)


@pytest.mark.parametrize(("mhz", "read"), [(12.5, 458), (25, 777), (50, 1406)])
def test_three_neurons_draw_as_if_nothing_were_mapped(mhz, read):
    assert 141 + 25.3 * mhz == pytest.approx(read, rel=0.005)


def test_open_memory_on_the_same_static_draw_is_held_out_at_the_fastest_clock():
    _, slope = A3.power.rails["digital"].price("clock_slope", "ram_open")
    low, nominal, high = slope.range("µW/MHz")
    assert 141 + nominal * 6.25 == pytest.approx(542.9, abs=0.1)  # the reading behind the value
    assert 141 + nominal * 50 == pytest.approx(3357, rel=0.001)
    for read in (3260, 3437, 3534):
        assert 141 + low * 50 <= read <= 141 + high * 50
        assert 141 + nominal * 50 == pytest.approx(read, rel=0.1)


@pytest.mark.parametrize(("state", "readings", "intercept", "slope", "error"), DIGITAL)
def test_calibration_finds_the_same_lines(state, readings, intercept, slope, error):
    mode = "mapped" if state.startswith("mapped") else "unmapped"
    found = calibrate(
        A3,
        [
            Measurement(
                power_uw={"digital": read}, clock_hz=mhz * 1e6, modes={"configuration": mode}
            )
            for mhz, read in zip(CLOCKS, readings, strict=True)
        ],
    )
    static, slopes = found.fitted
    assert static.constant == "rails.digital.static"
    assert slopes.constant == f"rails.digital.modes.{mode}.clock_slope"
    assert (static.value, slopes.value) == pytest.approx(line(readings))
    assert static.low <= static.value <= static.high
    assert slopes.low < slopes.value < slopes.high
    assert found.degrees_of_freedom == 2
    assert found.kept == ()
    off = [abs(r.fitted_uw / r.read_uw - 1) for r in found.residuals]
    assert 100 * max(off) == pytest.approx(error, abs=0.06)
