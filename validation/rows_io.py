"""Rows of the table about the io rail of Xylo, which feeds the pads."""

from __future__ import annotations

from collections.abc import Iterator

from toolchain.chips.load import load_chip
from toolchain.estimate import price, total
from validation.lines import SHIPPED, Line, line
from validation.readings import measurements

__all__ = ["rows"]

ACCELERATED = {"configuration": "ram_open", "microphone": "off"}
READINGS = (
    ("a3_io_off", "no input", {"microphone": "off"}, SHIPPED),
    ("a3_io_on", "microphone on, not triggered", {"microphone": "on"}, SHIPPED),
    ("a3_io_monitor_lowest", "live microphone, lowest reading", {"microphone": "on"}, SHIPPED),
    ("a3_io_monitor_highest", "live microphone, highest reading", {"microphone": "on"}, SHIPPED),
    ("a3_io_earlier_lowest", "earlier monitor, lowest reading", {"microphone": "on"}, ""),
    ("a3_io_earlier_highest", "earlier monitor, highest reading", {"microphone": "on"}, ""),
    ("a3_io_accelerated_idle", "accelerated, idle", ACCELERATED, ""),
    ("a3_io_accelerated", "accelerated, running", ACCELERATED, ""),
    ("a3_io_fast_lowest", "accelerated, running, lowest reading", ACCELERATED, ""),
    ("a3_io_fast_highest", "accelerated, running, highest reading", ACCELERATED, ""),
    ("a2_io_idle", "idle", {}, SHIPPED),
    ("a2_io_active", "running", {}, ""),
    ("imu_io_idle_1", "idle, run 1", {}, SHIPPED),
    ("imu_io_active_1", "running, run 1", {}, ""),
    ("imu_io_idle_2", "idle, run 2", {}, SHIPPED),
    ("imu_io_active_2", "running, run 2", {}, ""),
)
"""Name, description, modes and use of each reading; the price of this rail has no activity."""


def rows() -> Iterator[Line]:
    """Yield all readings of the rail."""
    for name, what, modes, used in READINGS:
        reading = measurements().readings[name]
        chip = load_chip(reading.chip)
        for mhz, measured in reading.by_clock.items():
            terms, _ = price(chip, clock_hz=mhz * 1e6, modes=modes, counts={})
            figure = total([term.power for term in terms if term.rail == reading.rail], "µW")
            described = f"{what}, {mhz:g} MHz"
            yield line(
                "V20", chip.name, described, measured, reading.grade, figure, figure.nominal, used
            )
