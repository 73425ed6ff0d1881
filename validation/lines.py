"""One estimate held against one reading, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.estimate import Figure
from validation.readings import Kind, measurements

__all__ = ["SHIPPED", "Line", "line"]

SHIPPED = "itself"
"""In ``fitted_on``: the constants were set with this very reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One estimate and one reading.

    Attributes:
        row: key of the row in ``measurements.yaml``.
        chip: its name.
        what: was measured.
        measured: in the unit of ``estimate``.
        grade: of the reading, A, B or D; see ``Reading``.
        estimate: what the estimator says; without nominal value where only a range can be said.
        idle_only: nominal estimate of a chip that does nothing, same unit; None where that is no
            draw at all, or has a range only.
        fitted_on: readings that its constants were fitted to; ``SHIPPED`` where this one is among
            them, empty where none was fitted.
        kind: of the row, or N where this line is more than the row asks for.
        tolerance: fraction of ``measured``; None where there is none.
        factor: how many times off, instead.
    """

    row: str
    chip: str
    what: str
    measured: float
    grade: str
    estimate: Figure
    idle_only: float | None
    fitted_on: str
    kind: Kind
    tolerance: float | None
    factor: float | None

    @property
    def error(self) -> float | None:
        """Of the nominal estimate, a fraction of the reading; None of a range."""
        return self._off(self.estimate.nominal)

    @property
    def idle_error(self) -> float | None:
        """Of the idle draw alone."""
        return self._off(self.idle_only)

    @property
    def idle_passes(self) -> bool:
        """Whether the idle draw alone would have done too."""
        return self.idle_error is not None and self._tolerated(self.idle_error)

    @property
    def in_range(self) -> bool:
        """Whether the reading lies in the range of the estimate."""
        return self.estimate.low <= self.measured <= self.estimate.high

    @property
    def verdict(self) -> str:
        """``exact``, ``within`` (its tolerance), ``consistency`` or ``miss``."""
        if self.error is None:
            return "consistency" if self.in_range else "miss"
        if not self._tolerated(self.error):
            return "miss"
        if self.kind != "R":
            return "consistency"
        return "exact" if self.tolerance == 0 else "within"

    @property
    def fails(self) -> bool:
        """Whether the table must not be published as it is."""
        return self.kind == "R" and self.verdict == "miss"

    @property
    def used(self) -> str:
        """Whether the reading was used for a fit, and what was if it was not."""
        if self.fitted_on == SHIPPED:
            return "yes"
        return f"no; fitted on {self.fitted_on}" if self.fitted_on else "no"

    @property
    def evidence(self) -> bool:
        """Whether it says anything for the model: kept, and not by having been fitted to."""
        return self.kind == "R" and self.fitted_on != SHIPPED and not self.fails

    def _off(self, value: float | None) -> float | None:
        return None if value is None else value / self.measured - 1

    def _tolerated(self, error: float) -> bool:
        if self.factor is not None:
            return 1 / self.factor <= 1 + error <= self.factor
        if self.tolerance is None:
            return self.in_range
        return abs(error) <= self.tolerance * (1 + 1e-9)  # at the limit in spite of rounding


def line(
    row: str,
    chip: str,
    what: str,
    measured: float,
    grade: str,
    estimate: Figure,
    idle_only: float | None,
    fitted_on: str,
    kind: Kind | None = None,
) -> Line:
    """A line of a row, with what the row asks for; ``kind`` only where it is another."""
    asked = measurements().rows[row]
    return Line(
        row=row,
        chip=chip,
        what=f"{asked.title}: {what}",
        measured=measured,
        grade=grade,
        estimate=estimate,
        idle_only=idle_only,
        fitted_on=fitted_on,
        kind=kind or asked.kind,
        tolerance=asked.tolerance,
        factor=asked.factor,
    )
