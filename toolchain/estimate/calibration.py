"""Result of a calibration, as data, as text and as an overlay of the chip's file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolchain.estimate.figure import Figure
from toolchain.hardware import Overlay, Price, Source, write_overlay
from toolchain.report import Brief

__all__ = ["Calibration", "Fitted", "Residual"]

SOURCE = "own_readings"
"""Key of the readings among the sources of an overlay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """One fitted constant.

    Attributes:
        constant: its name.
        value, low, high: the fit and its 95 % interval, in ``unit``.
        unit: of all three.
        before: value on file before; None if there was none.

    >>> names = dict(constant="rails.digital.static", unit="µW", before=None)
    >>> fit = Fitted(value=152.1, low=149.3, high=155.0, **names)
    >>> f"{fit.constant}: {fit.value} {fit.unit} ({fit.low} to {fit.high})"
    'rails.digital.static: 152.1 µW (149.3 to 155.0)'
    """

    constant: str
    value: float
    low: float
    high: float
    unit: str
    before: Figure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """One reading and its value in the fitted model.

    Attributes:
        label: of the measurement.
        rail: rail of the reading.
        read_uw, fitted_uw: µW.

    >>> residual = Residual(label="25 MHz", rail="digital", read_uw=852.0, fitted_uw=851.2)
    >>> f"{residual.label}: {residual.fitted_uw - residual.read_uw:+.1f} µW"
    '25 MHz: -0.8 µW'
    """

    label: str
    rail: str
    read_uw: float
    fitted_uw: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Calibration(Brief):
    """Prices of a chip, fitted to readings by ``calibrate``.

    Attributes:
        chip: its name.
        fitted: the fitted constants.
        kept: names of constants that were used with their value on file.
        residuals: every reading.
        degrees_of_freedom: number of readings less number of constants.
        scopes: of each fitted constant.

    >>> interval = dict(value=90.0, low=88.0, high=92.0, unit="µW")
    >>> fit = Fitted(constant="rails.io.idle", before=None, **interval)
    >>> calibration = Calibration(
    ...     chip="xylo_a2",
    ...     fitted=(fit,),
    ...     kept=(),
    ...     residuals=(),
    ...     degrees_of_freedom=3,
    ...     scopes={"rails.io.idle": "idle"},
    ... )
    >>> print(calibration)
    xylo_a2: 3 degrees of freedom
      fitted rails.io.idle: 90 µW (88 to 92); no value in the chip file
    >>> calibration.overlay(title="my board").constants["rails.io.idle"].value
    90.0
    """

    chip: str
    fitted: tuple[Fitted, ...]
    kept: tuple[str, ...]
    residuals: tuple[Residual, ...]
    degrees_of_freedom: int
    scopes: Mapping[str, str]

    def overlay(self, *, title: str = "own readings", note: str = "") -> Overlay:
        """Return the fitted constants as an overlay; ``title`` names the readings."""
        conditions = (
            f"Least squares over {len(self.residuals)} readings of one's own, "
            f"{self.degrees_of_freedom} degrees of freedom, interval of 95 %."
        )
        constants = {
            fit.constant: Price.model_validate(
                {
                    "value": fit.value,
                    "low": fit.low,
                    "high": fit.high,
                    "unit": fit.unit,
                    "source": SOURCE,
                    "basis": "measured",
                    "scope": self.scopes[fit.constant],
                    "conditions": conditions,
                }
            )
            for fit in self.fitted
        }
        sources = {SOURCE: Source(title=title, url="")}
        return Overlay(chip=self.chip, note=note, sources=sources, constants=constants)

    def write(
        self, path: str | os.PathLike[str], *, title: str = "own readings", note: str = ""
    ) -> Path:
        """Write the overlay atomically, for ``load_chip(chip, overlay=path)``.

        Raises:
            ChipFileError: another file exists at ``path``; it is not overwritten.
        """
        return write_overlay(self.overlay(title=title, note=note), Path(path))

    def as_dict(self) -> dict[str, Any]:
        """Return the calibration as plain data."""
        return {
            **asdict(self),
            "scopes": dict(self.scopes),
            "fitted": [
                {**asdict(f), "before": None if f.before is None else f.before.as_dict()}
                for f in self.fitted
            ],
        }

    def __str__(self) -> str:
        """Return the fitted and kept constants and every residual as text."""
        lines = [f"{self.chip}: {self.degrees_of_freedom} degrees of freedom"]
        for f in self.fitted:
            before = "no value in the chip file" if f.before is None else f"before: {f.before}"
            lines.append(
                f"  fitted {f.constant}: {f.value:.4g} {f.unit} ({f.low:.4g} to {f.high:.4g}); "
                f"{before}"
            )
        lines += [f"  kept   {name}" for name in self.kept]
        for r in self.residuals:
            off = f", {100 * (r.fitted_uw / r.read_uw - 1):+.1f} %" if r.read_uw else ""
            lines.append(
                f"  {r.label}, {r.rail}: read {r.read_uw:.4g} µW, fitted {r.fitted_uw:.4g} µW{off}"
            )
        return "\n".join(lines)
