"""What a comparison of chips holds: a row each, and what is most telling about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any, Literal, TypeAlias

from toolchain.chips.family import Resource
from toolchain.diagnostics import Diagnostic
from toolchain.estimate import Figure

__all__ = ["ChipComparison", "ChipRow", "Source", "most_telling", "tightest"]

Source: TypeAlias = Literal["held-out spikes", "calibration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipRow:
    """What one chip makes of the network.

    Attributes:
        chip, title, family: its names.
        blocker: the most telling of the errors for which it refuses the network, see
            ``most_telling``; None where the network fits. Everything below is None then, and
            ``took`` is empty.
        other_errors: how many errors there are beside it.
        tightest: the resource of which the largest part is used; see ``tightest``.
        agreement: of the outputs' spike counts with the float network's, 0..1, the chip's lag
            undone; None, as all that follows, where there were no spikes.
        clock_hz: main clock that the figures below hold for, Hz; None on a chip without one.
        power: idle and dynamic, all rails, µW. Of a chip without constants it is unknown, never 0.
        energy_per_inference: µJ/inference.
        latency: from an input spike to the output spike it causes, ms; None where nothing is known.
        keeps_up: whether the counted work is done in real time; None where no limit is known.
        always_keeps_up: whether the most work there can be is; None where that is not known.
        took: the approximations of ``allow`` that changed something.
        left_out: those of ``allow`` that its family does not know.
    """

    chip: str
    title: str
    family: str
    blocker: Diagnostic | None = None
    other_errors: int = 0
    tightest: Resource | None = None
    agreement: float | None = None
    clock_hz: float | None = None
    power: Figure | None = None
    energy_per_inference: Figure | None = None
    latency: Figure | None = None
    keeps_up: bool | None = None
    always_keeps_up: bool | None = None
    took: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the chip takes the network."""
        return self.blocker is None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        figures = {name: getattr(self, name) for name in FIGURES}
        return {
            **asdict(self),
            "fits": self.fits,
            "blocker": None if self.blocker is None else self.blocker.as_dict(),
            **{name: None if each is None else each.as_dict() for name, each in figures.items()},
        }


FIGURES = ("power", "energy_per_inference", "latency")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipComparison:
    """One network over several chips.

    Attributes:
        rows: a chip each, in the order asked for.
        counted_on: which spikes agreement, power, energy and pace are of; None if there were none.
        samples, steps: of these spikes; ``steps`` are one inference. 0 if there were none.
        dt: length of a timestep, s.
        allow: the approximations that were accepted, wherever they are known.
    """

    rows: tuple[ChipRow, ...]
    counted_on: Source | None
    samples: int
    steps: int
    dt: float
    allow: tuple[str, ...]

    def __getitem__(self, chip: str) -> ChipRow:
        """The row of that chip; KeyError lists what there is."""
        for row in self.rows:
            if row.chip == chip:
                return row
        raise KeyError(f"no chip {chip!r}; there are {', '.join(row.chip for row in self.rows)}")

    @property
    def fitting(self) -> tuple[str, ...]:
        """Names of the chips that take the network."""
        return tuple(row.chip for row in self.rows if row.fits)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        own = ("counted_on", "samples", "steps", "dt", "allow")
        return {
            **{name: getattr(self, name) for name in own},
            "rows": [row.as_dict() for row in self.rows],
        }

    def __str__(self) -> str:
        """A table for people; see ``toolchain.tables``."""
        from toolchain.tables import render

        return render(self)


def most_telling(errors: Sequence[Diagnostic]) -> Diagnostic:
    """The error that says most about why a chip refuses a network.

    One that nothing is known to help against comes before one with a hint; then one about what the
    chip does not have at all before one about how much; then the one furthest beyond its limit;
    then the one that was found first.
    """
    furthest = sorted(errors, key=_excess, reverse=True)
    if len(furthest) == 1:
        return furthest[0]  # without trying its remedies
    return next((error for error in furthest if not error.advice), furthest[0])


def _excess(error: Diagnostic) -> float:
    """How many times beyond its limit; infinite where no numbers say it."""
    if error.need is None or error.limit is None:
        return inf
    ends = sorted(map(abs, (error.need, error.limit)))
    return ends[1] / ends[0] if ends[0] else inf


def tightest(resources: Sequence[Resource]) -> Resource | None:
    """The resource of which the largest part is used, the first of several; None if there is none.

    What layers use of a limit that they share is added up, and is the network's.
    """
    together: dict[tuple[str, str], Resource] = {}
    for row in resources:
        key = ("" if row.shared else row.layer, row.resource)
        before = together.get(key)
        if before is not None:
            row = replace(row, layer="network", place="", used=before.used + row.used)
        together[key] = row
    limited = [row for row in together.values() if row.limit]
    return max(limited, key=lambda row: row.used / row.limit, default=None)
