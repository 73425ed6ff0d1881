"""Comparison of one estimate with one reading."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.estimate import Figure
from validation.readings import Kind, measurements

__all__ = ["SHIPPED", "Line", "line"]

SHIPPED = "itself"
"""Value of ``fitted_on`` if the constants were set with this reading itself."""

TELLING = 10
"""Largest ratio between the ends of a range that still says something about a reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One estimate and one reading.

    Attributes:
        row: key of the row in ``measurements.yaml``.
        chip: name of the chip.
        what: the measurement.
        measured: value of the reading, in the unit of ``estimate``.
        grade: grade of the reading, A, B or D; see ``Reading``.
        estimate: result of the estimator; without nominal value if only a range is known.
        idle_only: nominal estimate of the idle chip, same unit; None if it is not a power, or only
            a range is known.
        fitted_on: readings that the constants were fitted to; ``SHIPPED`` if this one is among
            them, empty if none was used.
        kind: kind of the row, or N if the row does not require this line.
        tolerance: largest relative error; None if there is none.
        factor: largest ratio between estimate and reading, instead of ``tolerance``.
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
        """Relative error of the nominal estimate; None for a range."""
        return self._off(self.estimate.nominal)

    @property
    def idle_error(self) -> float | None:
        """Relative error of the idle draw alone."""
        return self._off(self.idle_only)

    @property
    def idle_passes(self) -> bool:
        """True if the idle draw alone is within the tolerance."""
        return self.idle_error is not None and self._tolerated(self.idle_error)

    @property
    def in_range(self) -> bool:
        """True if the reading is within the range of the estimate."""
        return self.estimate.low <= self.measured <= self.estimate.high

    @property
    def verdict(self) -> str:
        """Result: ``exact``, ``within`` (its tolerance), ``consistency`` or ``miss``.

        Of a range without nominal value: ``contradicts`` the reading, ``not contradicted``, or
        ``cannot tell`` where the range is so wide that most readings would be in it.
        """
        if self.error is None:
            if not self.in_range:
                return "contradicts"
            wide = self.estimate.high > TELLING * self.estimate.low
            return "cannot tell" if wide else "not contradicted"
        if not self._tolerated(self.error):
            return "miss"
        if self.kind != "R":
            return "consistency"
        return "exact" if self.tolerance == 0 else "within"

    @property
    def fails(self) -> bool:
        """True if the line is of kind R and a miss."""
        return self.kind == "R" and self.verdict == "miss"

    @property
    def used(self) -> str:
        """Text on the use of the reading in a fit, and the other readings of the fit."""
        if self.fitted_on == SHIPPED:
            return "yes"
        return f"no; fitted on {self.fitted_on}" if self.fitted_on else "no"

    @property
    def evidence(self) -> bool:
        """True if the line supports the model: no miss, and the reading was not used for a fit."""
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
    """Return a line with title, tolerance and kind of its row; ``kind`` overrides the row's."""
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
