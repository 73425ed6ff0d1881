"""What a calibration found, as data, as text and as an overlay of the chip's file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolchain.estimate.figure import Figure
from toolchain.hardware import Overlay, Price, Source, write_overlay

__all__ = ["Calibration", "Fitted", "Residual"]

SOURCE = "own_readings"
"""Key of the readings among the sources of an overlay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """One constant that was found.

    Attributes:
        constant: its name.
        value, low, high: with the 95 % interval, in ``unit``.
        unit: of all three.
        before: what was on file; None where there was none.
    """

    constant: str
    value: float
    low: float
    high: float
    unit: str
    before: Figure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """One reading and what the fitted model says of it.

    Attributes:
        label: of the measurement.
        rail: that was read.
        read_uw, fitted_uw: µW.
    """

    label: str
    rail: str
    read_uw: float
    fitted_uw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What readings say of a chip's prices.

    Attributes:
        chip: its name.
        fitted: the constants that were found.
        kept: names of constants that took part with their value on file.
        residuals: every reading.
        degrees_of_freedom: readings less constants.
        scopes: of each fitted constant.
    """

    chip: str
    fitted: tuple[Fitted, ...]
    kept: tuple[str, ...]
    residuals: tuple[Residual, ...]
    degrees_of_freedom: int
    scopes: Mapping[str, str]

    def overlay(self, *, title: str = "own readings", note: str = "") -> Overlay:
        """The fitted constants as an overlay; ``title`` says what was measured."""
        conditions = (
            f"Least squares over {len(self.residuals)} readings of one's own, "
            f"{self.degrees_of_freedom} degrees of freedom, interval of 95 %."
        )
        constants = {
            found.constant: Price.model_validate(
                {
                    "value": found.value,
                    "low": found.low,
                    "high": found.high,
                    "unit": found.unit,
                    "source": SOURCE,
                    "basis": "measured",
                    "scope": self.scopes[found.constant],
                    "conditions": conditions,
                }
            )
            for found in self.fitted
        }
        sources = {SOURCE: Source(title=title, url="")}
        return Overlay(chip=self.chip, note=note, sources=sources, constants=constants)

    def write(
        self, path: str | os.PathLike[str], *, title: str = "own readings", note: str = ""
    ) -> Path:
        """Write the overlay, for ``load_chip(chip, overlay=path)``; whole or not at all.

        Raises:
            ChipFileError: something else lies at ``path``; it is left alone.
        """
        return write_overlay(self.overlay(title=title, note=note), Path(path))

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            **asdict(self),
            "scopes": dict(self.scopes),
            "fitted": [
                {**asdict(f), "before": None if f.before is None else f.before.as_dict()}
                for f in self.fitted
            ],
        }

    def __str__(self) -> str:
        """What was fitted, what was kept, and every residual."""
        lines = [f"{self.chip}: {self.degrees_of_freedom} degrees of freedom"]
        for f in self.fitted:
            before = "nothing on file" if f.before is None else f"before: {f.before}"
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
