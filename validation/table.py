"""Lines as text: two tables in Markdown with a summary."""

from __future__ import annotations

from collections.abc import Sequence

from validation.lines import Line
from validation.readings import measurements

__all__ = ["as_markdown", "summary"]

HEADINGS = (
    *("row", "chip", "measurement", "measured", "grade", "estimate", "its range", "error, %"),
    *("idle alone, %", "tolerance", "used for a fit", "verdict"),
)
OUTSIDE = "reading outside"
NUMBERS = {"measured", "estimate", "error, %", "idle alone, %", "tolerance"}


def as_markdown(lines: Sequence[Line]) -> str:
    """Return both tables and the summary, as in the documentation."""
    computed = [line for line in lines if line.kind == "R"]
    others = [line for line in lines if line.kind != "R"]
    return "\n".join(
        [
            "Computed from the chip files and the networks:",
            "",
            *_table(computed),
            "",
            *(f"- {sentence}" for sentence in summary(lines)),
            "",
            "Consistency checks: rows computed only in part, or in more ways than the row defines:",
            "",
            *_table(others),
            "",
            "Not computed:",
            "",
            *(f"- {row}: {why}." for row, why in measurements().not_computed.items()),
        ]
    )


def summary(lines: Sequence[Line]) -> list[str]:
    """Return the summary of the first table as sentences."""
    computed = [line for line in lines if line.kind == "R"]
    found = dict.fromkeys(("exact", "within", "miss"), 0)
    for line in computed:
        found[line.verdict] += 1
    kept = [line for line in lines if line.evidence]
    busy = [line for line in kept if line.idle_only not in (None, line.estimate.nominal)]
    passed = sum(line.idle_passes for line in busy)
    closer = sum(abs(line.error or 0.0) < abs(line.idle_error or 0.0) for line in busy)
    outside = [line for line in kept if _range(line).endswith(OUTSIDE)]
    return [
        f"{len(computed)} lines: {found['exact']} exact, {found['within']} within tolerance, "
        f"{found['miss']} missed. {len(kept)} of them are of readings that were not used for a "
        f"fit; the other {len(computed) - len(kept)} only show how well the constants fit and are "
        "no evidence.",
        f"{len(busy)} of the {len(kept)} are of a running network ({_rows(busy)}). The idle draw "
        f"alone passes {passed} of these; the estimate with its dynamic part is closer on "
        f"{closer}.",
        f"{len(outside)} of the {len(kept)} are within tolerance although the reading is outside "
        f"the range of the estimate ({_rows(outside)}).",
        f"Misses in the second table: {_counted(lines, 'miss')}. Ranges without a nominal value "
        f"that contradict a reading: {_counted(lines, 'contradicts')}; that do not: "
        f"{_counted(lines, 'not contradicted')}; too wide to tell: "
        f"{_counted(lines, 'cannot tell')}.",
    ]


def _rows(lines: Sequence[Line]) -> str:
    return ", ".join(dict.fromkeys(line.row for line in lines))


def _counted(lines: Sequence[Line], verdict: str) -> str:
    rows = [line.row.partition(" ")[0] for line in lines if line.verdict == verdict]
    return ", ".join(f"{rows.count(row)} of {row}" for row in dict.fromkeys(rows)) or "none"


def _table(lines: Sequence[Line]) -> list[str]:
    rule = "".join("---:|" if name in NUMBERS else "---|" for name in HEADINGS)
    return [f"| {' | '.join(HEADINGS)} |", f"|{rule}", *map(_row, lines)]


def _row(line: Line) -> str:
    unit = line.estimate.unit
    nominal = line.estimate.nominal
    cells = (
        line.row.partition(" ")[0],
        line.chip,
        line.what,
        f"{_number(line.measured, 5)} {unit}",
        line.grade,
        "range only" if nominal is None else _number(nominal),
        _range(line),
        _percent(line.error),
        _percent(line.idle_error),
        _tolerance(line),
        line.used,
        line.verdict,
    )
    return f"| {' | '.join(cells)} |"


def _range(line: Line) -> str:
    low, high = line.estimate.low, line.estimate.high
    if low == high:
        return ""
    text = f"{_number(low)} to {_number(high)}"
    return text if line.in_range else f"{text}, {OUTSIDE}"


def _tolerance(line: Line) -> str:
    if line.estimate.nominal is None or line.factor is line.tolerance is None:
        return ""
    if line.factor is not None:
        return f"{line.factor:g} times"
    return f"±{100 * line.tolerance:g}" if line.tolerance else "exact"


def _number(value: float, digits: int = 4) -> str:
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}".replace(",", " ") if rounded >= 1e4 else f"{rounded:g}"


def _percent(part: float | None) -> str:
    if part is None:
        return ""
    text = f"{100 * part:+.1f}"
    return "0.0" if float(text) == 0 else text
