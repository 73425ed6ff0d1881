"""Rows of the table about Xylo.

Held-out rows are truly held out: their constants are fitted here, only to the readings that the
line names, with ``calibrate`` and an overlay, as a user would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from toolchain.chips.load import load_chip
from toolchain.chips.xylo import XyloProgram
from toolchain.chips.xylo.cycles import worst_case_cycles
from toolchain.chips.xylo.power import activity_at, estimate
from toolchain.chips.xylo.spec import XyloChip
from toolchain.estimate import Estimate, Figure, Measurement, calibrate, price, total
from validation import networks
from validation.lines import SHIPPED, Line, line
from validation.readings import Kind, Load, measurements
from validation.refit import as_read, energy_of_a_cycle, laid_over, refitted

__all__ = ["fitted_to_one_run", "rows"]

Modes = Mapping[str, str]

UNMAPPED: Modes = {"configuration": "unmapped", "microphone": "off"}
MAPPED: Modes = {"configuration": "mapped", "microphone": "off"}
RAM_OPEN: Modes = {"configuration": "ram_open", "microphone": "off"}
MONITORED: Modes = {"configuration": "monitored", "microphone": "on"}
STATIC = "rails.digital.static"
SLOPE = "rails.digital.modes.{}.clock_slope"
CYCLE = "actions.cycle.energy"


def rows(folder: Path) -> Iterator[Line]:
    """Yield all lines about Xylo; ``folder`` may contain the published network."""
    yield from v1()
    yield from v2_to_v5()
    yield from v6_to_v8()
    yield from v9(folder)
    yield from v10()
    yield from v11()
    yield from v18()


# ---- cycles ----


def v1() -> Iterator[Line]:
    """Yield the cycles of the documentation's networks."""
    for name, inputs, zeros in (
        ("imu_cycles", 15, 0),
        ("a3_cycles", 2, 0),
        ("a3_cycles_rounded", 2, 1),
    ):
        reading = measurements().readings[name]
        chip = _chip(reading.chip)
        cycles = worst_case_cycles(networks.residual(chip.name, inputs, zeros), chip)
        (network,) = reading.values
        figure = Figure(low=cycles, nominal=cycles, high=cycles, unit="cycle", basis="derived")
        yield line("V1", reading.chip, network, reading.only, reading.grade, figure, None, "")


# ---- Audio 3, with the access to RAM closed ----


def v2_to_v5() -> Iterator[Line]:
    """Yield the power at four clocks, without a network and with almost idle networks."""
    chip = _chip("xylo_a3")
    sweep = _idle_readings("a3_unmapped", UNMAPPED)
    slope = SLOPE.format("unmapped")
    fitted = refitted(chip, sweep, STATIC, slope)
    yield _idle_line("V2", fitted, "a3_clock_off", 0.0, UNMAPPED, "V3")

    slow = [
        taken
        for name in ("a3_unconfigured", "a3_unmapped")
        for taken in _idle_readings(name, UNMAPPED, most=12.5)
    ]
    from_slow = refitted(chip, slow, STATIC, slope)
    for mhz in (25.0, 50.0):
        fitted_on = "V3 at 6.25 and 12.5 MHz, with and without a configuration"
        yield _idle_line("V3", from_slow, "a3_unmapped", mhz, UNMAPPED, fitted_on)
    yield from _idle_lines("V3", chip, "a3_unmapped", UNMAPPED, SHIPPED)
    yield from _idle_lines("V4", fitted, "a3_mapped", UNMAPPED, "V3")
    yield from _idle_lines("V4", chip, "a3_mapped", MAPPED, SHIPPED)

    toy = networks.dense("xylo_a3", 3, 3, 3)
    load = measurements().loads["a3_toy"]
    for mhz in measurements().readings["a3_toy"].by_clock:
        found = _running(toy, fitted, load, mhz, UNMAPPED)
        yield _power_line("V5", found, "a3_toy", mhz, "V3")
    from_mapped = refitted(
        chip, _idle_readings("a3_mapped", MAPPED), STATIC, SLOPE.format("mapped")
    )
    for mhz in measurements().readings["a3_toy"].by_clock:
        found = _running(toy, from_mapped, load, mhz, MAPPED)
        fitted_on = "V4, as if it were its 72 neurons"
        yield _power_line("V5", found, "a3_toy", mhz, fitted_on, kind="N")


# ---- Audio 3 as the documentation runs it ----


def v6_to_v8() -> Iterator[Line]:
    """Yield the documentation's network at two clocks, and its power monitor."""
    chip, loads = _chip("xylo_a3"), measurements().loads
    network, load = networks.residual("xylo_a3", 2), loads["a3_doc"]
    yield _idle_line("V6", chip, "a3_doc_idle", 6.25, RAM_OPEN, SHIPPED)
    found = _running(network, chip, load, 6.25, RAM_OPEN)
    yield _power_line("V6", found, "a3_doc_active", 6.25, SHIPPED)
    found = _running(network, chip, load, 6.25, {})
    yield _power_line(
        "V6", found, "a3_doc_real_time", 6.25, "", kind="N", what="in real time, mode not said"
    )

    idle = [
        taken
        for name in ("a3_doc_idle", "a3_doc_idle_lowest", "a3_doc_idle_highest")
        for taken in _idle_readings(name, RAM_OPEN)
    ]
    fitted = refitted(chip, idle, SLOPE.format("ram_open"))
    found = _running(network, fitted, load, 50.0, RAM_OPEN)
    for number in (1, 2, 3):
        fitted_on, what = "V6, idle, three revisions of the page", f"reading {number} of 3"
        yield _power_line("V7", found, f"a3_doc_fast_{number}", 50.0, fitted_on, what=what)

    mapped = refitted(chip, _idle_readings("a3_mapped", MAPPED), STATIC, SLOPE.format("mapped"))
    monitor = networks.synnet("xylo_a3", 16, (63, 63, 63), 4)
    found = _running(monitor, mapped, loads["a3_monitor"], 12.5, MAPPED)
    for name, of in (("a3_monitor_lowest", "lowest"), ("a3_monitor_highest", "highest")):
        what = f"{of} reading; estimate of silence"
        yield _power_line("V8", found, name, 12.5, "V4, energy of a cycle on V6", what=what)
    found = _running(monitor, chip, loads["a3_monitor"], 12.5, MONITORED)
    for name, of in (("a3_monitor_lowest", "lowest"), ("a3_monitor_highest", "highest")):
        what = f"{of} reading; estimate in the mode monitored"
        yield _power_line("V8", found, name, 12.5, SHIPPED, what=what)


# ---- Audio 2 and IMU ----


def v9(folder: Path) -> Iterator[Line]:
    """Yield the one reading of Audio 2 that its constants were not fitted to."""
    fitted = fitted_to_one_run("xylo_a2", "a2_doc", 2, "a2_doc_idle", "a2_doc_active")
    published = networks.braille(folder)
    network = networks.braille_counted() if published is None else published
    load = measurements().loads["braille"]
    found = _running(network, fitted, load, 6.25, {})
    yield _power_line("V9", found, "a2_braille", 6.25, "V10")


def v10() -> Iterator[Line]:
    """Yield the readings that the constants of Audio 2 were set with."""
    chip, network = _chip("xylo_a2"), networks.residual("xylo_a2", 2)
    found = _running(network, chip, measurements().loads["a2_doc"], 6.25, {})
    yield _idle_line("V10", chip, "a2_doc_idle", 6.25, {}, SHIPPED)
    yield _power_line("V10", found, "a2_doc_active", 6.25, SHIPPED)


def v11() -> Iterator[Line]:
    """Yield each of two runs with constants from the other one."""
    network, load = networks.residual("xylo_imu", 15), measurements().loads["imu_doc"]
    for run, other in ((2, 1), (1, 2)):
        fitted = fitted_to_one_run(
            "xylo_imu", "imu_doc", 15, f"imu_idle_{other}", f"imu_active_{other}"
        )
        fitted_on = f"V11, run {other}"
        found = _running(network, fitted, load, 6.25, {})
        yield _idle_line("V11", fitted, f"imu_idle_{run}", 6.25, {}, fitted_on, what=f"run {run}")
        yield _power_line("V11", found, f"imu_active_{run}", 6.25, fitted_on, what=f"run {run}")


def fitted_to_one_run(
    name: str, load_name: str, inputs: int, idle_name: str, active_name: str
) -> XyloChip:
    """Return the chip with idle draw and energy of a cycle fitted to one run."""
    readings = measurements().readings
    chip, network = _chip(name), networks.residual(name, inputs)
    idle, active = readings[idle_name], readings[active_name]
    rail = f"rails.{idle.rail}.idle"
    at_rest = as_read("µW", {rail: idle.only})
    known = laid_over(chip, at_rest)
    ends = []
    for state in _running(network, known, measurements().loads[load_name], 6.25, {}):
        taken = [
            Measurement.of(state, {idle.rail: idle.only}, running=False),
            Measurement.of(state, {active.rail: active.only}),
        ]
        ends.append(calibrate(known, taken, constants=[CYCLE]).fitted[0].value)
    return laid_over(chip, at_rest, energy_of_a_cycle(min(ends), max(ends)))


def v18() -> Iterator[Line]:
    """Yield readings at an unknown clock, computed at 6.25 MHz."""
    chip, readings = _chip("xylo_a2"), measurements().readings
    for name, counts, used in (
        ("a2_others_idle", {}, SHIPPED),
        ("a2_scene_idle", {}, ""),
        ("a2_ambient", {"cycle": {"network": 6.25e6}}, ""),
        ("a2_seizure", {"cycle": {"network": 6.25e6}}, ""),
        ("a2_aloha", {"cycle": {"network": 6.25e6}}, ""),
        ("a2_scene", {"cycle": {"network": 6.25e6}}, ""),
    ):
        terms, _ = price(chip, clock_hz=6.25e6, modes={}, counts=counts)
        idle = total([t.power for t in terms if t.rail == "snn_core" and t.kind == "idle"], "µW")
        most = total([t.power for t in terms if t.rail == "snn_core"], "µW")
        # between resting and every cycle busy
        span = replace(most, low=idle.low, nominal=idle.nominal if not counts else None)
        for what, value in readings[name].to("µW").items():
            yield line(
                "V18", chip.name, what, value, readings[name].grade, span, idle.nominal, used
            )


# ---- from readings and networks to lines ----


def _chip(name: str) -> XyloChip:
    chip = load_chip(name)
    assert isinstance(chip, XyloChip)
    return chip


def _idle_readings(name: str, modes: Modes, most: float = 50.0) -> list[Measurement]:
    """Return the idle readings of a series, up to the clock ``most``, MHz."""
    reading = measurements().readings[name]
    return [
        Measurement(power_uw={reading.rail: value}, clock_hz=mhz * 1e6, modes=modes, label=name)
        for mhz, value in reading.by_clock.items()
        if mhz <= most
    ]


def _running(
    program: XyloProgram, chip: XyloChip, load: Load, mhz: float, modes: Modes
) -> list[Estimate]:
    """Return the estimates at the lowest, most likely and highest activity."""
    found = []
    for entry, hidden in load.ends():
        rates = {program.input_name: entry / load.dt}
        rates |= {
            p.name: hidden / load.dt if p.role == "hidden" else 0.0 for p in program.populations
        }
        timed = replace(program, dt=load.dt)
        counted = activity_at(timed, rates, int(load.steps.value))
        found.append(estimate(timed, chip, counted, mhz * 1e6, modes))
    return found


def _idle_line(
    row: str,
    chip: XyloChip,
    name: str,
    mhz: float,
    modes: Modes,
    fitted_on: str,
    what: str = "",
) -> Line:
    """Return the line of an idle chip at one clock."""
    reading = measurements().readings[name]
    terms, _ = price(chip, clock_hz=mhz * 1e6, modes=modes, counts={})
    figure = total([term.power for term in terms if term.rail == reading.rail], "µW")
    description = ", ".join(part for part in ("idle", what, _at(mhz)) if part)
    measured = reading.by_clock[mhz]
    return line(
        row, chip.name, description, measured, reading.grade, figure, figure.nominal, fitted_on
    )


def _idle_lines(
    row: str, chip: XyloChip, name: str, modes: Modes, fitted_on: str
) -> Iterator[Line]:
    for mhz in measurements().readings[name].by_clock:
        yield _idle_line(row, chip, name, mhz, modes, fitted_on)


def _power_line(
    row: str,
    states: list[Estimate],
    name: str,
    mhz: float,
    fitted_on: str,
    *,
    what: str = "",
    kind: Kind | None = None,
) -> Line:
    """Return the line of a running chip, from its lowest to its highest load."""
    reading = measurements().readings[name]
    least, likeliest, most = (state.power_by_rail[reading.rail] for state in states)
    figure = replace(likeliest, low=least.low, high=most.high)
    idle = states[1].idle[reading.rail].nominal
    description = ", ".join(part for part in ("running", what, _at(mhz)) if part)
    measured = reading.by_clock[mhz]
    return line(
        row, reading.chip, description, measured, reading.grade, figure, idle, fitted_on, kind
    )


def _at(mhz: float) -> str:
    return f"{mhz:g} MHz" if mhz else ""
