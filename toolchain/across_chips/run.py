"""Comparison of one network on several chips: fit, agreement, power and latency of each.

The network is deployed to each chip by ``deploy``, with the default quantizer of its family.
Approximations, clock and modes are applied to the chips that know them; each row names those that
changed something.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from toolchain.across_chips.rows import ChipComparison, ChipRow, CountedOn, most_telling, tightest
from toolchain.arrays import Array
from toolchain.chips.load import FAMILIES, families, family_of, list_chips, load_chip
from toolchain.chips.once import once, sharing
from toolchain.chips.plugins import BUILT_IN
from toolchain.chips.progress import steps
from toolchain.deployment import Deployment
from toolchain.deployment.inputs import one_array, some_steps
from toolchain.deployment.warn import warn_of
from toolchain.diagnostics import ChipFileError, DeployError, Diagnostic, PluginError, Severity
from toolchain.frontends.source import as_graph
from toolchain.hardware import SpecBase
from toolchain.ir import Graph
from toolchain.pipeline import build
from toolchain.runs.agreement import agreement_of
from toolchain.runs.collect import collect
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import Recording, aligned
from toolchain.runs.spikes import are_events
from toolchain.runs.states import state_agreement

__all__ = ["compare_chips"]


def compare_chips(
    model: Any,
    chips: str | Collection[str] | None = None,
    *,
    sample: Any = None,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
    calibration: Array | Iterable[Any] | None = None,
    allow: str | Collection[str] = (),
    spikes: Array | Iterable[Any] | None = None,
    clock_hz: float | None = None,
    modes: Mapping[str, str] | None = None,
) -> ChipComparison:
    """Deploy a network to several chips and compare fit, agreement, power and latency.

    Args:
        model: what ``deploy`` takes; turned into a Graph once.
        chips: names as ``load_chip`` takes them; all of ``list_chips()`` unless given.
        sample, dialect, reset: as ``deploy`` takes them.
        dt: length of a timestep, s; needed where the model does not know it.
        calibration: spike counts for the quantizers, in any form that ``deploy`` takes, but of
            one length.
        allow: approximations that are accepted, each on the chips of the families that know it.
        spikes: held-out counts of the same form, on which agreement, power, energy and pace are
            measured. Without them ``calibration`` is used, on which agreement is higher than on
            unseen spikes; without either they stay None.
        clock_hz: main clock, Hz, of the chips that have one; by default the usual one of each.
        modes: setting by switch, for the chips that have both; see ``chip.power.switches``.

    Raises:
        ExtractError, ModelFileError: the model cannot be turned into a Graph.
        ValueError: spikes of another shape or event arrays, no dt, an unknown chip or
            approximation, a clock or a mode that none of the chips has.

    >>> import numpy as np
    >>> from toolchain import compare_chips
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> lif = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    >>> graph = Graph.chain(
    ...     {
    ...         "input": Input(shape=(4,)),
    ...         "fc1": Linear(weight=np.eye(3, 4)),
    ...         "lif1": Neuron(shape=(3,), **lif),
    ...         "fc2": Linear(weight=np.eye(2, 3)),
    ...         "lif2": Neuron(shape=(2,), **lif),
    ...         "output": Output(),
    ...     },
    ...     dt=1e-3,
    ... )
    >>> result = compare_chips(graph, ["xylo_a2", "speck2f"], spikes=np.ones((1, 20, 4), int))
    >>> result.fitting
    ('xylo_a2',)
    >>> result["speck2f"].blocker.rule
    'integrate_and_fire'
    """
    specs, broken = _specs(chips)
    accepted = _accepted(allow)
    modes = dict(modes or {})
    _check_settings(specs, clock_hz, modes)
    graph = as_graph(model, sample=sample, dt=dt, dialect=dialect, reset=reset)
    if graph.dt is None:
        raise ValueError("power and latency need the length of a timestep: give dt=... in s")
    calibration = _counts(graph, calibration, "calibration")
    held_out = _counts(graph, spikes, "spikes")
    counted = calibration if held_out is None else held_out
    known = _calibration_samples(held_out, calibration)
    asked = _Asked(
        graph=graph,
        calibration=calibration,
        counted=counted,
        held_out=_source(held_out, calibration, known) == "held-out spikes",
        reference=None if counted is None else _flat(interpret(graph, counted).spikes),
        allow=accepted,
        clock_hz=clock_hz,
        modes=modes,
    )
    rows = []
    with sharing(), steps("deploying to chips", len(specs)) as step:
        for name, spec in specs.items():
            rows.append(_row_or_reason(asked, name, spec, required=chips is not None))
            step()
    rows += [_broken_row(name, reason) for name, reason in broken.items()]
    warn_of("compare_chips", _by_chip(rows), stacklevel=2)
    return ChipComparison(
        rows=tuple(rows),
        counted_on=_source(held_out, calibration, known),
        calibration_samples=known,
        samples=0 if counted is None else counted.shape[0],
        steps=0 if counted is None else counted.shape[1],
        dt=graph.dt,
        allow=accepted,
    )


# ---- arguments of the comparison ----


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """Arguments of the comparison, the same for every chip; see ``compare_chips``.

    Attributes:
        counted: spikes for agreement and estimates; None if there are none.
        held_out: True if they are not the calibration, so that no part of it is left out.
        reference: output spikes of the float network for them, (batch, time, outputs).
    """

    graph: Graph
    calibration: Array | None
    counted: Array | None
    held_out: bool
    reference: Array | None
    allow: tuple[str, ...]
    clock_hz: float | None
    modes: Mapping[str, str]


def _specs(
    chips: str | Collection[str] | None,
) -> tuple[dict[str, SpecBase], dict[str, str]]:
    """Return each chip's specification by the name that ``deploy`` takes, and the broken chips.

    No chip occurs twice. A chip that cannot be loaded is returned with the reason, or raises if
    it was given by name.
    """
    # a specification is iterable too; load_chip states what a chip may be
    one = isinstance(chips, str | os.PathLike | SpecBase) or not isinstance(chips, Iterable)
    wanted: Iterable[Any] = list_chips() if chips is None else [chips] if one else chips
    found: dict[str, tuple[str, SpecBase]] = {}
    broken: dict[str, str] = {}
    for name in wanted:
        spec = _loaded(name, broken, required=chips is not None)
        if spec is not None:
            found.setdefault(spec.name, (name, spec))
    if not found:
        raise ValueError("no chips to compare; leave chips out for all of them")
    return dict(found.values()), broken


def _loaded(name: str, broken: dict[str, str], *, required: bool) -> SpecBase | None:
    try:
        return load_chip(name)
    except (ChipFileError, PluginError) as fault:
        if required:
            raise
        broken[name] = str(fault)
        return None


def _accepted(allow: str | Collection[str]) -> tuple[str, ...]:
    """Return the names of approximations; ValueError for one that no family has."""
    known = list(dict.fromkeys(name for family in families() for name in family.APPROXIMATIONS))
    if not isinstance(allow, Iterable):
        raise ValueError(
            f"allow must be names of approximations, got {allow!r}; there are {', '.join(known)}"
        )
    wanted = [allow] if isinstance(allow, str) else list(dict.fromkeys(allow))
    if wrong := [str(name) for name in wanted if name not in known]:
        raise ValueError(
            f"no approximation {', '.join(wrong)} on any chip; there are {', '.join(known)}"
        )
    return tuple(wanted)


def _check_settings(
    specs: Mapping[str, SpecBase], clock_hz: float | None, modes: Mapping[str, str]
) -> None:
    """Check that at least one chip has the clock and each mode; ValueError otherwise."""
    names = ", ".join(spec.name for spec in specs.values())
    if clock_hz is not None:
        clocked = [spec for spec in specs.values() if spec.clocked]
        if not clocked:
            raise ValueError(f"none of {names} has a main clock; leave clock_hz out")
        for spec in clocked:
            spec.check_clock(clock_hz)
    for switch, setting in modes.items():
        settings = {each for spec in specs.values() for each in _settings(spec, switch)}
        if not settings:
            raise ValueError(f"none of {names} has a switch {switch!r}")
        if setting not in settings:
            known = ", ".join(sorted(settings))
            raise ValueError(f"{switch} is one of {known}, got {setting!r}")


def _settings(spec: SpecBase, switch: str) -> tuple[str, ...]:
    return tuple(spec.power.switches.get(switch, ()))


def _counts(graph: Graph, spikes: Any, what: str) -> Array | None:
    """Return ``spikes`` in the shape of the graph's input; ValueError unless they are counts."""
    if spikes is None:
        return None
    if are_events(spikes):
        raise ValueError(
            f"{what} must be counts (batch, time, *features): not every chip takes event arrays"
        )
    counts = one_array(collect(graph, spikes, what), what)
    if not np.all((counts >= 0) & (counts == np.rint(counts))):
        raise ValueError(f"{what} must be whole numbers >= 0")
    return some_steps(counts, what)


def _source(held_out: Array | None, calibration: Array | None, known: int) -> CountedOn | None:
    """Return what the spikes are, of which ``known`` samples are in the calibration."""
    if held_out is not None and known < len(held_out):
        return "held-out spikes"
    return None if calibration is None else "calibration spikes"


def _calibration_samples(held_out: Array | None, calibration: Array | None) -> int:
    """Return how many samples of ``held_out`` are, or begin like, one of ``calibration``."""
    if held_out is None or calibration is None:
        return 0
    steps = min(held_out.shape[1], calibration.shape[1])
    used = {_digest(sample[:steps]) for sample in calibration}
    return sum(sample[:steps].any() and _digest(sample[:steps]) in used for sample in held_out)


def _digest(sample: Array) -> bytes:
    return sha256(np.ascontiguousarray(sample, dtype=np.float64).tobytes()).digest()


# ---- a row ----


def _by_chip(rows: Iterable[ChipRow]) -> Iterator[Diagnostic]:
    """Yield the warnings of all chips, with the chip before the layer."""
    for row in rows:
        for finding in row.warnings:
            yield replace(finding, where=f"{row.chip}, {finding.where}")


def _broken_row(name: str, reason: str) -> ChipRow:
    """Return the row of a chip whose file or family cannot be loaded."""
    finding = Diagnostic(rule="plug_in", severity=Severity.ERROR, where="network", message=reason)
    return ChipRow(chip=name, title=name, family="", blocker=finding)


def _row_or_reason(asked: _Asked, name: str, spec: SpecBase, *, required: bool) -> ChipRow:
    """Return the row of a chip, or the reason why the family of another package fails."""
    try:
        return _row(asked, name, spec)
    except Exception as fault:  # a plug-in may raise anything
        if required or spec.family in BUILT_IN[FAMILIES]:
            raise
        return _broken_row(name, f"family {spec.family!r} fails: {type(fault).__name__}: {fault}")


def _row(asked: _Asked, name: str, spec: SpecBase) -> ChipRow:
    family = family_of(load_chip(name))
    known = family.APPROXIMATIONS
    row = ChipRow(
        chip=spec.name,
        title=spec.title,
        family=spec.family,
        left_out=tuple(name for name in asked.allow if name not in known),
    )
    allow = [name for name in asked.allow if name in known]
    try:
        method, options = family.QUANTIZERS[0], family.OPTIONS()
        spikes, leave_out = asked.calibration, not asked.held_out
        d = build(asked.graph, family, method, spikes, allow, options, leave_out=leave_out)
    except DeployError as refusal:
        errors = refusal.diagnostics
        return replace(row, blocker=most_telling(errors), other_errors=len(errors) - 1)
    changed = {finding.rule for finding in d.diagnostics}
    fitting = replace(
        row,
        tightest=tightest(d.resources()),
        took=tuple(name for name in allow if name in changed),
        warnings=tuple(f for f in d.diagnostics if f.severity is Severity.WARNING),
    )
    return _run(asked, d, fitting)


def _run(asked: _Asked, d: Deployment, row: ChipRow) -> ChipRow:
    """Return ``row`` with agreement, power and latency on the spikes, if there are any."""
    if asked.counted is None or asked.reference is None:
        return row
    run = _counted_run(d, asked.counted)
    estimate = d.estimate(
        recording=run,
        clock_hz=asked.clock_hz if d.chip.clocked else None,
        modes={k: v for k, v in asked.modes.items() if v in _settings(d.chip, k)},
    )
    pair = aligned(asked.reference, _flat(run.output_values), d.lag_of_neurons)
    found = agreement_of(*pair)
    return replace(
        row,
        agreement=found.value if run.readout is None else state_agreement(*pair),
        interval=found.interval if run.readout is None else None,
        clock_hz=estimate.clock_hz,
        power=estimate.power,
        energy_per_inference=estimate.energy_per_inference,
        latency=estimate.latency,
        keeps_up=estimate.keeps_up,
        always_keeps_up=estimate.always_keeps_up,
    )


def _counted_run(d: Deployment, spikes: Array) -> Recording:
    """Return outputs and activity on the spikes, the same for chips of equal programs."""

    def run() -> Recording:
        return replace(d.simulate(spikes, record=True), layers={})

    program = d.on_chip.unplaced()
    if program is None:
        return run()
    return once(run, "outputs and activity", d.family.NAME, d.quantized, program, spikes)


def _flat(spikes: Array) -> Array:
    """Return spikes as (batch, time, outputs)."""
    return np.asarray(spikes.reshape(*spikes.shape[:2], int(np.prod(spikes.shape[2:]))))
