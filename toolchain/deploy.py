"""The road from a trained network to a chip, as one list of steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from toolchain.chips.allow import accepted_names
from toolchain.chips.family import Family, load_family
from toolchain.chips.rules.acceptance import acceptance
from toolchain.chips.rules.findings import info, is_error
from toolchain.deployment import Deployment, counts_of
from toolchain.diagnostics import DeployError, Diagnostic
from toolchain.fidelity import (
    Book,
    accepted,
    changes,
    entered,
    measured,
    rounded,
    written_otherwise,
)
from toolchain.frontends import extract
from toolchain.frontends.source import as_graph
from toolchain.ir import Array, Graph
from toolchain.passes import (
    drop_identities,
    empty_at_once,
    fold_average_pool,
    fold_gain,
    fold_scale,
    fuse_batch_norm,
    rest_at_zero,
)
from toolchain.spikes import Spikes

__all__ = ["deploy", "extract"]

Pass = Callable[[Graph], Graph]


def deploy(
    model: Any,
    chip: str,
    *,
    sample: Any = None,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
    calibration: Spikes | None = None,
    quantizer: str | None = None,
    allow: Collection[str] = (),
    placement: Mapping[str, int] | None = None,
    readout: Mapping[str, Any] | None = None,
) -> Deployment:
    """Take a trained network onto a chip.

    Args:
        model: a torch module, a Graph, a ``nir.NIRGraph``, or the path of a file.
        chip: name, alias or vendor id; see ``list_chips()``.
        sample: an input as the model's own forward takes it; needed for a torch module.
        dt: length of a timestep, s. Needed where the model does not know it and a time matters:
            for estimates, on Speck for biases, and for NIR, whose time constants are in s.
        dialect, reset: how a NIR graph is to be read; see ``toolchain.frontends.nir``.
        calibration: spikes (batch, time, *features) that the quantizer listens to: scales follow
            the states reached on them, and on Xylo all that the chip cannot hold is chosen by how
            well the spikes still agree. Without it scales come from the weights alone or, on
            Xylo, from random spikes.
        quantizer: how integers are found, one of the family's own; its default unless given.
        allow: approximations that are accepted, by the names that refusals give and
            ``toolchain.chips.allow`` lists. Each is told as a warning and entered in the ledger,
            and ``calibration`` measures what all of them do.
        placement: core ids by layer, for layers that are to be there; the others are placed
            around them, and all of it is held against the same rules. On Speck.
        readout: settings of the block that names the class that fires most, fields of
            ``toolchain.chips.speck.Readout``, and ``layer`` where there are several outputs.
            ``{}`` for the usual ones. On Speck.

    Raises:
        DeployError: the network does not fit; holds every finding.
        ExtractError: the model cannot be turned into a Graph.
        ModelFileError: the file is damaged, or leaves open what it means.
        ValueError: an unknown chip, quantizer or approximation, calibration of another shape, or
            a placement or a readout on a chip that has no such thing.
    """
    from toolchain.hardware import load_chip

    spec = load_chip(chip)
    family = load_family(spec.family)
    method = _one_of(family.QUANTIZERS, quantizer)
    graph = as_graph(model, sample=sample, dt=dt, dialect=dialect, reset=reset)
    to_floats: list[Pass] = [
        drop_identities,
        fold_scale,
        fuse_batch_norm,
        fold_average_pool,
        fold_gain,
        rest_at_zero,
        empty_at_once,
        family.shape,
    ]
    shaped = _walk(graph, to_floats)
    book = Book(
        graph=graph, shaped=shaped, chip=spec.name, found=(written_otherwise(graph, shaped),)
    )
    names = accepted_names(family.TITLE, family.APPROXIMATIONS, allow)
    floats, findings, book = _approximated(family, shaped, spec, names, book)
    findings += (*_unproven(graph), *family.check_graph(floats, spec))
    again = partial(
        deploy,
        graph,
        chip,
        calibration=calibration,
        quantizer=quantizer,
        placement=placement,
        readout=readout,
    )
    refused = partial(_refused, family, names, again)
    if not family.can_lower(floats, spec):
        raise refused(findings, book)
    counts = None if calibration is None else _listened_to(family, floats, calibration)
    quantized, told = family.quantize(floats, spec, counts, method)
    program = family.lower(quantized, spec)
    if readout is not None:
        program = family.with_readout(program, readout)
    findings += changes(floats, quantized) + told + family.check(program, spec)
    program, unplaced = family.place(program, spec, placement)
    findings += unplaced
    book = book.with_(rounded(floats, quantized), entered(findings, family.DIFFERENCES))
    if any(map(is_error, findings)):
        raise refused(findings, book)
    made = Deployment(
        chip=spec,
        graph=graph,
        quantized=quantized,
        program=program,
        diagnostics=findings,
        ledger=book.closed(),
    )
    return _judged(made, floats, book, calibration)


def _approximated(
    family: Family, graph: Graph, chip: Any, names: tuple[str, ...], book: Book
) -> tuple[Graph, tuple[Diagnostic, ...], Book]:
    """The graph with what is accepted, one approximation after the other."""
    findings: tuple[Diagnostic, ...] = ()
    for name in names:
        after, told = family.approximate(graph, chip, (name,))
        findings, book = findings + told, book.with_(accepted(graph, after, name))
        graph = after
    return graph, findings, book


def _judged(
    deployment: Deployment, floats: Graph, book: Book, calibration: Spikes | None
) -> Deployment:
    """The same deployment with its ledger, knowing what it does to the calibration spikes."""
    listened = None if calibration is None else deployment.heard(calibration)
    effects = None if listened is None else listened.effects
    family = deployment.family
    held = family.conditions(floats, deployment.quantized, deployment.chip, effects)
    findings = deployment.diagnostics
    if listened is not None:
        findings += (measured(listened.reference, listened.chip, deployment.lag),)
    return replace(
        deployment,
        diagnostics=findings,
        ledger=book.with_(held).closed(listened=listened),
        calibration_activity=None if listened is None else listened.chip.activity,
    )


def _walk(graph: Graph, steps: list[Pass]) -> Graph:
    for step in steps:
        graph = step(graph)
    return graph


def _one_of(names: tuple[str, ...], wanted: str | None) -> str:
    if wanted is not None and wanted not in names:
        raise ValueError(f"no quantizer {wanted!r}; there are {', '.join(names)}")
    return names[0] if wanted is None else wanted


def _refused(
    family: Family,
    names: tuple[str, ...],
    again: Callable[..., Deployment],
    findings: tuple[Diagnostic, ...],
    book: Book,
) -> DeployError:
    """Return the error with every finding; what accepts them is tried when it is printed.

    Args:
        family: whose approximations may be accepted.
        names: those that are.
        again: deploys the same once more, with an ``allow`` of its own.
        findings, book: what was found.
    """
    errors = tuple(filter(is_error, findings))
    return DeployError(
        f"the network does not fit {book.chip}: {len(errors)} error{'s' * (len(errors) != 1)}",
        errors,
        book.closed(findings),
        lambda: acceptance(
            errors, names, family.APPROXIMATIONS, lambda allow: _agreement(again(allow=allow))
        ),
    )


def _agreement(deployment: Deployment) -> float | None:
    """Return how far the output counts agree on the calibration spikes, the worst output's."""
    effects = (deployment.ledger[name].effect for name in deployment.quantized.outputs)
    return min((effect.agreement for effect in effects if effect is not None), default=None)


def _unproven(graph: Graph) -> Iterator[Diagnostic]:
    """A remark on each layer that was silent whenever model and Graph were compared."""
    silent = graph.provenance.get("silent_in_self_check", "").split(", ")
    for name in graph.nodes:
        if name in silent:
            yield info(
                "self_check",
                name,
                "gave nothing when the Graph was compared with the model, so its threshold "
                "and its reset were read and not tried",
            )


def _listened_to(family: Family, graph: Graph, calibration: Spikes) -> Array:
    """Calibration spikes as counts; ValueError where they are none, or hold nothing."""
    counts = counts_of(family, graph, calibration, "calibration")
    if not counts.size:
        raise ValueError(
            f"calibration has shape {counts.shape}, which holds no timestep: give one sample or "
            "more, or leave calibration= away"
        )
    return counts
