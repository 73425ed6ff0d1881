"""One network over several chips, a row each: which of them takes it, and at what price.

Each chip is deployed to as ``deploy`` does it, with the family's default quantizer. What an
approximation, a clock or a mode is named for reaches only the chips that know it; a row says what
it took.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any, Literal, TypeAlias

import numpy as np

from toolchain.chips.family import FAMILIES, Resource, load_family
from toolchain.chips.progress import steps
from toolchain.deploy import deploy
from toolchain.deployment import Deployment
from toolchain.diagnostics import DeployError, Diagnostic
from toolchain.estimate import Figure
from toolchain.frontends.source import as_graph
from toolchain.hardware import list_chips, load_chip
from toolchain.ir import Array, Graph
from toolchain.ir.interpret import interpret
from toolchain.recording import aligned, count_agreement
from toolchain.spikes import are_events, fitted

__all__ = ["ChipComparison", "ChipRow", "compare_chips", "most_telling", "tightest"]

AnyChip: TypeAlias = Any
"""A chip of any family."""

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


def compare_chips(
    model: Any,
    chips: str | Collection[str] | None = None,
    *,
    sample: Any = None,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
    calibration: Array | None = None,
    allow: str | Collection[str] = (),
    spikes: Array | None = None,
    clock_hz: float | None = None,
    modes: Mapping[str, str] | None = None,
) -> ChipComparison:
    """One row a chip: fits or why not, tightest resource, agreement, power, energy, latency.

    Args:
        model: what ``deploy`` takes; turned into a Graph once.
        chips: names as ``load_chip`` takes them; all of ``list_chips()`` unless given.
        sample, dialect, reset: as ``deploy`` takes them.
        dt: length of a timestep, s; needed where the model does not know it.
        calibration: spike counts (batch, time, *features) that the quantizers listen to.
        allow: approximations that are accepted, each on the chips of the families that know it.
        spikes: counts of the same form that nobody has listened to: agreement, power, energy and
            pace are of these. Without them they are of ``calibration``, which flatters agreement;
            without either they are left open.
        clock_hz: main clock, Hz, of the chips that have one; each chip's usual one unless given.
        modes: setting by switch, for the chips that have both; see ``chip.power.switches``.

    Raises:
        ExtractError, ModelFileError: the model cannot be turned into a Graph.
        ValueError: what no chip could make sense of: spikes of another shape or as event arrays, no
            dt, a chip or an approximation that there is none of, a clock or a mode that no chip
            here has.
    """
    specs = _specs(chips)
    accepted = _accepted(allow)
    modes = dict(modes or {})
    _check_settings(specs, clock_hz, modes)
    graph = as_graph(model, sample=sample, dt=dt, dialect=dialect, reset=reset)
    if graph.dt is None:
        raise ValueError("power and latency need the length of a timestep: give dt=... in s")
    calibration = _counts(graph, calibration, "calibration")
    held_out = _counts(graph, spikes, "spikes")
    counted = calibration if held_out is None else held_out
    asked = _Asked(
        graph=graph,
        calibration=calibration,
        counted=counted,
        reference=None if counted is None else _flat(interpret(graph, counted).spikes),
        allow=accepted,
        clock_hz=clock_hz,
        modes=modes,
    )
    rows = []
    with steps("deploying to chips", len(specs)) as step:
        for name, spec in specs.items():
            rows.append(_row(asked, name, spec))
            step()
    return ChipComparison(
        rows=tuple(rows),
        counted_on=_source(held_out, calibration),
        samples=0 if counted is None else counted.shape[0],
        steps=0 if counted is None else counted.shape[1],
        dt=graph.dt,
        allow=accepted,
    )


# ---- what is asked ----


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """What every chip is asked; see ``compare_chips``.

    Attributes:
        counted: the spikes that agreement and estimates are of; None if there are none.
        reference: what the float network makes of them, (batch, time, outputs).
    """

    graph: Graph
    calibration: Array | None
    counted: Array | None
    reference: Array | None
    allow: tuple[str, ...]
    clock_hz: float | None
    modes: Mapping[str, str]


def _specs(chips: str | Collection[str] | None) -> dict[str, AnyChip]:
    """What ``deploy`` knows each chip by, to its specification; no chip twice."""
    if chips is None:
        chips = list_chips()
    found: dict[str, tuple[str, AnyChip]] = {}
    for name in [chips] if isinstance(chips, str) else chips:
        spec = load_chip(name)
        found.setdefault(spec.name, (name, spec))
    if not found:
        raise ValueError("no chips to compare; leave chips out for all of them")
    return dict(found.values())


def _accepted(allow: str | Collection[str]) -> tuple[str, ...]:
    """Names of approximations that some family knows; ValueError for one that none does."""
    wanted = [allow] if isinstance(allow, str) else list(dict.fromkeys(allow))
    families = map(load_family, FAMILIES)
    known = list(dict.fromkeys(name for family in families for name in family.APPROXIMATIONS))
    if wrong := [str(name) for name in wanted if name not in known]:
        raise ValueError(
            f"no approximation {', '.join(wrong)} on any chip; there are {', '.join(known)}"
        )
    return tuple(wanted)


def _check_settings(
    specs: Mapping[str, AnyChip], clock_hz: float | None, modes: Mapping[str, str]
) -> None:
    """ValueError for a clock or a mode that none of the chips has."""
    names = ", ".join(spec.name for spec in specs.values())
    if clock_hz is not None and not any(map(_has_clock, specs.values())):
        raise ValueError(f"none of {names} has a main clock; leave clock_hz out")
    for switch, setting in modes.items():
        settings = {each for spec in specs.values() for each in _settings(spec, switch)}
        if not settings:
            raise ValueError(f"none of {names} has a switch {switch!r}")
        if setting not in settings:
            known = ", ".join(sorted(settings))
            raise ValueError(f"{switch} is one of {known}, got {setting!r}")


def _has_clock(spec: AnyChip) -> bool:
    return getattr(spec, "clock", None) is not None


def _settings(spec: AnyChip, switch: str) -> tuple[str, ...]:
    return tuple(spec.power.switches.get(switch, ()))


def _counts(graph: Graph, spikes: Array | None, what: str) -> Array | None:
    """``spikes`` in the shape of the graph's input; ValueError where they are no counts of it."""
    if spikes is None:
        return None
    if are_events(spikes):
        raise ValueError(
            f"{what} must be counts (batch, time, *features): not every chip takes event arrays"
        )
    counts = fitted(graph, spikes, what)
    if counts.dtype.kind not in "biuf" or not np.all((counts >= 0) & (counts == np.rint(counts))):
        raise ValueError(f"{what} must be whole numbers >= 0")
    return counts


def _source(held_out: Array | None, calibration: Array | None) -> Source | None:
    if held_out is not None:
        return "held-out spikes"
    return None if calibration is None else "calibration"


# ---- a row ----


def _row(asked: _Asked, name: str, spec: AnyChip) -> ChipRow:
    known = load_family(spec.family).APPROXIMATIONS
    row = ChipRow(
        chip=spec.name,
        title=spec.title,
        family=spec.family,
        left_out=tuple(name for name in asked.allow if name not in known),
    )
    allow = [name for name in asked.allow if name in known]
    try:
        d = deploy(asked.graph, name, calibration=asked.calibration, allow=allow)
    except DeployError as refusal:
        errors = refusal.diagnostics
        return replace(row, blocker=most_telling(errors), other_errors=len(errors) - 1)
    changed = {finding.rule for finding in d.diagnostics}
    fitting = replace(
        row,
        tightest=tightest(d.resources()),
        took=tuple(name for name in allow if name in changed),
    )
    return _run(asked, d, fitting)


def _run(asked: _Asked, d: Deployment, row: ChipRow) -> ChipRow:
    """The row with what the spikes say, if there are any."""
    if asked.counted is None or asked.reference is None:
        return row
    run = d.simulate(asked.counted, record=True)
    estimate = d.estimate(
        recording=run,
        clock_hz=asked.clock_hz if _has_clock(d.chip) else None,
        modes={k: v for k, v in asked.modes.items() if v in _settings(d.chip, k)},
    )
    return replace(
        row,
        agreement=count_agreement(*aligned(asked.reference, _flat(run.spikes), d.lag)),
        clock_hz=estimate.clock_hz,
        power=estimate.power,
        energy_per_inference=estimate.energy_per_inference,
        latency=estimate.latency,
        keeps_up=estimate.keeps_up,
        always_keeps_up=estimate.always_keeps_up,
    )


def _flat(spikes: Array) -> Array:
    """(batch, time, outputs)."""
    return np.asarray(spikes.reshape(*spikes.shape[:2], int(np.prod(spikes.shape[2:]))))


def most_telling(errors: Sequence[Diagnostic]) -> Diagnostic:
    """The error that says most about why a chip refuses a network.

    One that nothing is known to help against comes before one with a hint; then one about what the
    chip does not have at all before one about how much; then the one furthest beyond its limit;
    then the one that was found first.
    """
    return min(errors, key=lambda error: (bool(error.hint), -_excess(error)))


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
