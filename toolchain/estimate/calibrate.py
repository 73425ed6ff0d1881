r"""Calibration: prices fitted to power readings of a user's chip, written as an overlay.

Each reading of a rail is one equation of the power model, :math:`P = \sum_c p_c x_c`, with the
prices p to be found and the multipliers x known. Least squares over all readings; the interval of
a price is that of Student's t at 95 % with the variance of the residuals, cut off at 0. Constants
that the readings cannot determine are refused by name: too few readings, constants that always
change together, prices below 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolchain.arrays import finite
from toolchain.estimate.calibration import Calibration, Fitted, Residual
from toolchain.estimate.constants import on_file, read_at_work, unit_of
from toolchain.estimate.division import divided, energy_and_parts, freed, kept_shares
from toolchain.estimate.figure import Figure
from toolchain.estimate.fit import Fit, least_squares, refuse_negative
from toolchain.estimate.pricing import check_modes, price
from toolchain.estimate.result import Estimate
from toolchain.estimate.terms import Counts
from toolchain.hardware import SpecBase
from toolchain.report import brief, plural, visible

__all__ = ["Measurement", "calibrate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Power readings of a chip in one state.

    Attributes:
        power_uw: mean draw by rail, µW; not every rail needs a reading.
        clock_hz: main clock, Hz, 0 if it was off; None on a chip without one.
        modes: setting of each switch of the rails with a reading.
        counts: number of actions a second, by layer; empty for an idle chip.
        label: name in messages.

    Raises:
        ValueError: no reading, or one that is negative or not a number.

    >>> quiet = {"configuration": "mapped", "microphone": "off"}
    >>> reading = Measurement(power_uw={"digital": 501.0}, clock_hz=12.5e6, modes=quiet)
    >>> reading.power_uw["digital"], reading.counts
    (501.0, {})
    """

    power_uw: Mapping[str, float]
    clock_hz: float | None = None
    modes: Mapping[str, str] = field(default_factory=dict)
    counts: Counts = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        readings: Any = self.power_uw
        if not isinstance(readings, Mapping):
            raise ValueError(f"power_uw must be readings by rail, got {brief(readings)}")
        if not readings:
            raise ValueError("a measurement needs a reading of at least one rail")
        for rail, reading in readings.items():
            number = finite(reading)
            if number is None or number < 0:
                text = f"reading of {rail} must be a number of µW >= 0, got {brief(reading)}"
                raise ValueError(visible(text))

    @classmethod
    def of(
        cls,
        estimate: Estimate,
        power_uw: Mapping[str, float],
        *,
        running: bool = True,
        label: str = "",
    ) -> Measurement:
        """Build a measurement of an estimated program, running or (``running=False``) idle.

        The estimate must have its modes: ``estimate(..., modes={...})``.
        """
        return cls(
            power_uw=power_uw,
            clock_hz=estimate.clock_hz,
            modes={s: mode for s, mode in estimate.modes.items() if mode is not None},
            counts=estimate.counts if running else {},
            label=label,
        )


@dataclass(frozen=True, slots=True)
class _Equation:
    """One reading: its multipliers by constant."""

    label: str
    rail: str
    read: float
    columns: Mapping[str, float]


def calibrate(
    chip: SpecBase | str,
    measurements: Sequence[Measurement],
    *,
    constants: Sequence[str] | None = None,
) -> Calibration:
    """Fit prices of the power model to readings.

    Args:
        chip: its specification, from ``load_chip``; a name is refused.
        measurements: of one chip; more readings than constants, and varied enough.
        constants: names of the constants to fit; None means all that the readings depend on. The
            others keep their nominal value. ``rails.X.static`` and ``rails.X.clock_slope`` may be
            fitted if only the idle draw of rail X is on file. ``actions.X.energy`` is fitted
            together with its division among rails, ``actions.X.share.RAIL``, if these are named,
            or, with None, if all of these rails were read at work.

    Raises:
        ValueError: readings of unknown rails, readings that do not determine the constants, or
            constants with a negative result; each is named. A name instead of a specification.

    >>> from toolchain import load_chip
    >>> quiet = {"configuration": "mapped", "microphone": "off"}
    >>> readings = {6.25: 327.0, 12.5: 501.0, 25.0: 852.0, 50.0: 1550.0}  # MHz: µW
    >>> result = calibrate(
    ...     load_chip("xylo_a3"),
    ...     [
    ...         Measurement(power_uw={"digital": power}, clock_hz=mhz * 1e6, modes=quiet)
    ...         for mhz, power in readings.items()
    ...     ],
    ... )
    >>> [f"{fit.constant} = {fit.value:.1f} {fit.unit}" for fit in result.fitted][0]
    'rails.digital.static = 152.1 µW'
    """
    if isinstance(chip, str):
        raise ValueError(f"calibrate needs a chip's specification: load_chip({chip!r})")
    if isinstance(constants, str):  # a sequence of names, too
        raise ValueError(f"constants must be names in a list: [{brief(constants)}]")
    measurements = _measurements(measurements)
    split = _split(chip, constants or ())
    shared = freed(chip, [(m.power_uw, m.counts) for m in measurements], constants)
    energies = {f"actions.{name}.energy" for name in shared}
    equations = [
        equation
        for number, measurement in enumerate(measurements, 1)
        for equation in _equations(chip, measurement, split, shared, number)
    ]
    touched = list(dict.fromkeys(name for eq in equations for name in eq.columns))
    wanted = touched if constants is None else list(dict.fromkeys(constants))
    wanted = [name for name in wanted if name not in energies]  # the sum of its parts
    _check_wanted(chip, wanted, touched)
    if len(equations) <= len(wanted):
        raise ValueError(
            f"{plural(len(equations), 'reading')} cannot determine "
            f"{', '.join(wanted) or 'a constant'}: an interval needs at least {len(wanted) + 1}; "
            "give single samples of the power monitor rather than their mean"
        )
    before, all_in = on_file(chip), read_at_work(chip)
    kept = [name for name in touched if name not in wanted]
    rest = np.array([eq.read - _known(eq, kept, before, all_in) for eq in equations])
    matrix = np.array([[eq.columns.get(name, 0.0) for name in wanted] for eq in equations])
    fit = least_squares(matrix, rest, wanted)
    refuse_negative(wanted, fit.values, fit.half)
    fitted_uw = [
        eq.read - left for eq, left in zip(equations, rest - matrix @ fit.values, strict=True)
    ]
    found = _results(wanted, fit, shared)
    return Calibration(
        chip=chip.name,
        fitted=tuple(
            Fitted(
                constant=name,
                value=value,
                low=max(0.0, value - width),
                high=min(1.0, value + width) if ".share." in name else value + width,
                unit=unit_of(chip, name),
                before=before.get(name),
            )
            for name, (value, width) in found.items()
        ),
        kept=(*kept, *kept_shares(chip, touched, {eq.rail for eq in equations})),
        residuals=tuple(
            Residual(label=eq.label, rail=eq.rail, read_uw=eq.read, fitted_uw=float(model))
            for eq, model in zip(equations, fitted_uw, strict=True)
        ),
        degrees_of_freedom=len(equations) - len(wanted),
        scopes={name: "incremental" if name.startswith("actions") else "idle" for name in found},
    )


def _results(
    names: Sequence[str], fit: Fit, shared: Collection[str]
) -> dict[str, tuple[float, float]]:
    """Return each constant and half the width of its interval; an energy before its parts."""
    found: dict[str, tuple[float, float]] = {}
    for name, value, width in zip(names, fit.values, fit.half, strict=True):
        action = name.split(".")[1] if ".share." in name else ""
        if action not in shared:
            found[name] = (float(value), float(width))
        elif f"actions.{action}.energy" not in found:
            parts = energy_and_parts(names, fit.values, fit.covariance, action)
            found |= {each: (v, fit.quantile * off) for each, (v, off) in parts.items()}
    return found


# ---- equations ----


def _equations(
    chip: SpecBase, measurement: Measurement, split: set[str], shared: set[str], number: int
) -> list[_Equation]:
    label = visible(measurement.label, one_line=True) or f"measurement {number}"
    check_modes(chip, measurement.modes)
    _check_clock(chip, measurement.clock_hz, label)
    equations = []
    energies = {f"actions.{name}.energy" for name in shared}
    terms, _ = price(
        chip,
        clock_hz=measurement.clock_hz,
        modes=measurement.modes,
        counts=measurement.counts,
    )
    for rail, reading in measurement.power_uw.items():
        _check_rail(chip, rail, measurement, label)
        columns = divided(chip, rail, measurement.counts, shared)
        for term in terms:
            if term.rail != rail or term.constant in energies:
                continue
            if f"rails.{rail}.static" in split and term.kind == "idle":
                columns[f"rails.{rail}.static"] = 1.0
                if f"rails.{rail}.clock_slope" in split:
                    columns[f"rails.{rail}.clock_slope"] = (measurement.clock_hz or 0.0) / 1e6
            elif term.times is None:
                raise ValueError(
                    f"{label}: the idle draw of {rail} is in the chip file at another clock only; "
                    f"fit rails.{rail}.static and rails.{rail}.clock_slope instead"
                )
            else:
                columns[term.constant] = columns.get(term.constant, 0.0) + term.times
        equations.append(_Equation(label, rail, float(reading), columns))
    return equations


def _measurements(given: Any) -> list[Measurement]:
    """Return the measurements of any iterable; ValueError if it has anything else."""
    found = [*given] if isinstance(given, Iterable) else [given]
    for each in found:
        if not isinstance(each, Measurement):
            raise ValueError(f"measurements must be Measurement objects, got {brief(each)}")
    return found


def _check_clock(chip: SpecBase, clock_hz: float | None, label: str) -> None:
    """Check the clock of a measurement: one of the chip's, or 0 for a clock that was off."""
    if chip.clocked and clock_hz is None:
        raise ValueError(f"{label}: clock_hz is missing, {chip.name} has a main clock")
    if clock_hz is None or (chip.clocked and clock_hz == 0):
        return
    try:
        chip.check_clock(clock_hz)
    except ValueError as fault:
        raise ValueError(f"{label}: {fault}") from None


def _check_rail(chip: SpecBase, rail: str, measurement: Measurement, label: str) -> None:
    if rail not in chip.power.rails:
        known = ", ".join(chip.power.rails) or "none"
        raise ValueError(f"{label}: {chip.name} has no rail {rail!r}; there are: {known}")
    switch = chip.power.rails[rail].switch
    if switch and switch not in measurement.modes:
        settings = ", ".join(chip.power.switches[switch])
        raise ValueError(f"{label}: {rail} depends on {switch}; give its mode: {settings}")


def _split(chip: SpecBase, constants: Sequence[str]) -> set[str]:
    """Return the constants that replace a rail's idle draw."""
    splitting = {name for name in constants if _splits(chip, name)}
    for name in sorted(splitting):
        static = f"{name.rpartition('.')[0]}.static"
        if static not in splitting:
            raise ValueError(f"{name} also needs {static}: the chip file has only their sum")
    return splitting


def _splits(chip: SpecBase, name: str) -> bool:
    """Return whether this is the static or clocked part of a rail with only an idle draw."""
    parent, _, last = name.rpartition(".")
    rail = chip.power.rails.get(parent.removeprefix("rails."))
    return rail is not None and rail.idle is not None and last in ("static", "clock_slope")


def _check_wanted(chip: SpecBase, wanted: Sequence[str], touched: Sequence[str]) -> None:
    for name in wanted:
        if name in touched:
            continue
        if name in on_file(chip):
            raise ValueError(f"no reading depends on {name}")
        raise ValueError(
            f"{chip.name} has no constant {name}; the readings depend on {_listed(touched)}"
        )


def _known(
    equation: _Equation,
    kept: Sequence[str],
    before: Mapping[str, Figure],
    all_in: Collection[str],
) -> float:
    """Return the part of a reading that the constants on file explain, µW."""
    explained = 0.0
    for name in kept:
        times = equation.columns.get(name, 0.0)
        nominal = before[name].nominal
        if times and name in all_in:
            raise ValueError(
                f"{equation.label}, {equation.rail}: {name} was read with a network running "
                "(scope all_in), so that its activity is in it; it must be fitted too"
            )
        if times and nominal is None:
            raise ValueError(
                f"{equation.label}, {equation.rail}: {name} has only a range in the chip file "
                "and must be fitted too"
            )
        explained += times * (nominal or 0.0)
    return explained


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
