"""Deployment of a trained network to a chip: the pipeline as a literal list of steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

from toolchain.chips.allow import accepted_names
from toolchain.chips.contract import Family, Options
from toolchain.chips.fitting import Fitting, repair_line
from toolchain.chips.load import family_of, load_chip
from toolchain.chips.once import once
from toolchain.chips.options import merge_options
from toolchain.chips.rules.acceptance import acceptance
from toolchain.chips.rules.findings import info, is_error
from toolchain.chips.rules.numbers import numbers
from toolchain.deployment import Deployment
from toolchain.deployment.ceiling import ceiling_on
from toolchain.deployment.finished import deploy_finished
from toolchain.deployment.held_out import held_out
from toolchain.deployment.inputs import collected, for_quantizer
from toolchain.deployment.retry import Retry, agreement_of_worst
from toolchain.deployment.uncalibrated import without_calibration
from toolchain.deployment.values import input_findings
from toolchain.deployment.warn import warn_of
from toolchain.diagnostics import DeployError, Diagnostic
from toolchain.fidelity import (
    LedgerBuilder,
    accepted,
    changes_of,
    diagnostics_of,
    exact_rewrites,
    rounded,
    rounded_away,
    silenced,
)
from toolchain.fidelity.effects import Trace
from toolchain.fidelity.latents import latents_of
from toolchain.fidelity.on_data import graded, on_calibration
from toolchain.frontends import extract
from toolchain.frontends.files.programs import program_at
from toolchain.frontends.source import as_graph
from toolchain.ir import Graph
from toolchain.passes.exact import exact_passes
from toolchain.report import plural
from toolchain.runs import InputSpikes
from toolchain.runs.collect import Collected

__all__ = ["deploy", "extract"]

HINT_CHECKS = 16
"""Most networks that are checked for the line of a refusal that names ``repair``."""


def deploy(
    model: Any,
    chip: str,
    *,
    sample: Any = None,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
    calibration: InputSpikes | Iterable[Any] | None = None,
    quantizer: str | None = None,
    allow: Collection[str] = (),
    options: Options | None = None,
    placement: Mapping[str, int] | Sequence[int] | None = None,
    readout: Mapping[str, Any] | None = None,
) -> Deployment:
    """Deploy a trained network to a chip.

    Args:
        model: a torch module, a Graph, a ``nir.NIRGraph``, or the path of a file. A file of a
            finished program, such as a quantized specification or the vendor's configuration, is
            loaded unchanged.
        chip: name, alias or vendor id; see ``list_chips()``.
        sample: an input as the model's own ``forward`` takes it; needed for a torch module.
        dt: length of a timestep, s. Needed if the model does not define it and a time matters:
            for estimates, for biases on chips whose slow clock adds them, and for NIR, whose time
            constants are in s.
        dialect, reset: interpretation of a NIR graph; see ``toolchain.frontends.nir``.
        calibration: spikes for the quantizer, which scales by the states reached on them and
            measures the agreement of the output spikes: an array or tensor (batch, time,
            *features); a list of recordings (time, *features), of any length; or a data loader
            or generator of these, alone or in pairs with labels, which is read once and as far
            as ``toolchain.runs.collect.MOST_BYTES``. Without it scales come from the weights
            alone or from random spikes.
        quantizer: name of one of the family's quantizers; by default the first.
        allow: approximations that are accepted, by the names in the refusals;
            ``toolchain.chips.allow`` lists them. Each is reported as a warning and entered in the
            ledger; their effect is measured on ``calibration``.
        options: settings of the chip's family, such as ``toolchain.chips.speck.SpeckOptions``.
        placement, readout: deprecated, options of the family.

    Raises:
        DeployError: the network does not fit; holds every finding.
        ExtractError: the model cannot be turned into a Graph.
        ModelFileError: the file is damaged or ambiguous.
        ValueError: an unknown chip, quantizer or approximation, calibration of another shape, or
            options that the chip does not have.

    Example: a network of ``torch`` layers and ``toolchain.nn`` neurons.

    >>> import torch
    >>> from torch import nn
    >>> from toolchain.nn import CubaLIF
    >>> lif = {"tau_mem": 10e-3, "tau_syn": 5e-3, "dt": 1e-3}
    >>> hidden = nn.Linear(4, 8, bias=False), CubaLIF(8, **lif)
    >>> model = nn.Sequential(*hidden, nn.Linear(8, 2, bias=False), CubaLIF(2, **lif))
    >>> d = deploy(model, "xylo_a2", sample=torch.ones(1, 20, 4))
    >>> d.chip.title, d.placement
    ('Xylo Audio 2', {'1': 'hidden 0..7', '3': 'output 0..1'})
    """
    family = family_of(load_chip(chip))
    method = _one_of(family.QUANTIZERS, quantizer)
    chosen = merge_options(family, options, {"placement": placement, "readout": readout})
    finished = program_at(model, family, dt)
    if finished is not None:
        networks_only = {
            "sample": sample,
            "dialect": dialect,
            "reset": reset,
            "calibration": calibration,
            "quantizer": quantizer,
            "allow": tuple(allow),
        }
        deployment = deploy_finished(*finished, family, chosen, networks_only)
        warn_of(family.chip.name, deployment.diagnostics, stacklevel=2)
        return deployment
    graph = as_graph(model, sample=sample, dt=dt, dialect=dialect, reset=reset)
    deployment = build(graph, family, method, calibration, allow, chosen, sample)
    warn_of(family.chip.name, deployment.diagnostics, stacklevel=2)
    return deployment


def build(
    model: Graph,
    family: Family,
    method: str,
    calibration: InputSpikes | Iterable[Any] | Collected | None,
    allow: Collection[str],
    options: Options,
    sample: Any = None,
    *,
    leave_out: bool = True,
) -> Deployment:
    """Deploy a graph without a Python warning; see ``deploy``, ``method`` is the quantizer.

    With ``leave_out`` a second search measures the agreement on calibration that it does not use.
    """
    graph, asked = family.configured(model, options)
    spikes = None if calibration is None else collected(family, graph, calibration, "calibration")
    _check_numbers(family, graph)
    shaped = family.shape(once(partial(exact_passes, graph), "exact passes", graph))
    ledger = LedgerBuilder(graph=graph, shaped=shaped, chip=family.chip)
    exact = once(partial(exact_rewrites, graph, shaped), "exact rewrites", graph, shaped)
    ledger = ledger.add(exact)
    names = accepted_names(family.TITLE, family.APPROXIMATIONS, allow)
    floats, findings, ledger = _approximated(family, shaped, names, ledger)
    findings += (*asked, *input_findings(family, graph, sample, spikes), *_unproven(graph))
    findings += tuple(_repaired(graph))
    findings += family.check_graph(floats)
    refused = partial(_refused, model, family, names, method, spikes, options)
    if not family.can_lower(floats):
        raise refused(findings, ledger)
    draft = family.unfit(floats, method, options, calibrated=spikes is not None)
    if draft is None:
        counts = None if spikes is None else for_quantizer(family, floats, spikes)
        quantized, scales = family.quantize(floats, counts, method)
    else:
        quantized, scales, counts = draft, (), None
    rounding = rounded(floats, quantized, family.decay_note)
    on_chip = family.lower(quantized, options)
    findings += diagnostics_of(rounding) + scales + on_chip.check()
    for rule in (rounded_away, silenced):
        findings += once(partial(rule, floats, quantized), rule.__name__, floats, quantized)
    on_chip, unplaced = on_chip.place(options)
    findings += unplaced
    different = changes_of(found for found in findings if found.rule in family.DIFFERENCES)
    ledger = ledger.add(rounding, different)
    if any(map(is_error, findings)):
        raise refused(findings, ledger)
    assert draft is None, "a network that the chip refuses in any case has an error"
    deployment = Deployment(
        on_chip=on_chip,
        graph=graph,
        quantized=quantized,
        diagnostics=findings,
        ledger=ledger.build(),
        latent=latents_of(floats, quantized),
    )
    result, ledger = _with_effects(deployment, floats, ledger, spikes)
    if leave_out and counts is not None and not any(map(is_error, result.diagnostics)):
        more = held_out(result, floats, counts, method, options)
        result = replace(result, diagnostics=(*result.diagnostics, *more))
    if any(map(is_error, result.diagnostics)):
        raise refused(result.diagnostics, ledger)
    return result


def _check_numbers(family: Family, graph: Graph) -> None:
    """Check the numbers of the network before anything is computed from them; DeployError."""
    if errors := once(lambda: tuple(numbers(graph)), "numbers", graph):
        what = f"the network does not fit {family.chip.name}: {plural(len(errors), 'error')}"
        raise DeployError(what, errors)


def _approximated(
    family: Family, graph: Graph, names: tuple[str, ...], ledger: LedgerBuilder
) -> tuple[Graph, tuple[Diagnostic, ...], LedgerBuilder]:
    """Apply the accepted approximations, one after the other."""
    findings: tuple[Diagnostic, ...] = ()
    for name in names:
        after, found = family.approximate(graph, (name,))
        findings, ledger = findings + found, ledger.add(accepted(graph, after, name))
        graph = after
    return graph, findings, ledger


def _with_effects(
    deployment: Deployment, floats: Graph, ledger: LedgerBuilder, calibration: Collected | None
) -> tuple[Deployment, LedgerBuilder]:
    """Return the deployment with the chip's conditions and the effects of calibration spikes."""
    family, quantized = deployment.family, deployment.quantized
    if calibration is None:
        ledger = ledger.add(family.conditions(floats, quantized, None))
        findings = without_calibration(deployment)
        trace = ceiling = None
    else:
        trace = _traced(deployment, calibration)
        ledger = ledger.add(family.conditions(floats, quantized, trace.effects))
        ceiling = ceiling_on(deployment, calibration.excerpt())
        lag = deployment.lag_of_neurons
        findings = on_calibration(floats, quantized, trace, lag, ceiling)
    result = replace(
        deployment,
        diagnostics=graded((*deployment.diagnostics, *findings), ceiling),
        ledger=ledger.build(trace),
        calibration_activity=None if trace is None else trace.chip.activity,
    )
    return result, ledger


def _traced(deployment: Deployment, calibration: Collected) -> Trace:
    """Return the trace on the calibration spikes, the same for chips of equal programs."""
    trace, program = partial(deployment.trace, calibration), deployment.on_chip.unplaced()
    if program is None:
        return trace()
    networks = deployment.graph, deployment.quantized
    name = deployment.family.NAME
    return once(trace, "trace", name, *networks, program, calibration.groups)


def _one_of(names: tuple[str, ...], wanted: str | None) -> str:
    if wanted is not None and wanted not in names:
        raise ValueError(f"no quantizer {wanted!r}; there are {', '.join(names)}")
    return names[0] if wanted is None else wanted


def _refused(
    graph: Graph,
    family: Family,
    names: tuple[str, ...],
    method: str,
    calibration: Collected | None,
    options: Options,
    findings: tuple[Diagnostic, ...],
    ledger: LedgerBuilder,
) -> DeployError:
    """Return the error with every finding; hints and the last line are tried when printed.

    Args:
        graph, family, method, calibration, options: arguments of ``build``; the caller may change
            the calibration meanwhile.
        names: approximations that are accepted already.
        findings, ledger: every finding, and the changes so far.
    """
    own = deepcopy(calibration)
    retry = Retry(
        build=partial(build, options=options, leave_out=False),
        graph=graph,
        family=family,
        method=method,
        calibration=own,
        allow=names,
    )
    errors = tuple(retry.advised(finding) for finding in findings if is_error(finding))

    fitting = Fitting(
        family=family, rewrite=exact_passes, method=method, options=options, checks=HINT_CHECKS
    )

    def accept(allow: Collection[str]) -> float | None:
        again = build(graph, family, method, own, allow, options, leave_out=False)
        return agreement_of_worst(again)

    return DeployError(
        f"the network does not fit {family.chip.name}: {plural(len(errors), 'error')}",
        errors,
        ledger.add(changes_of(errors)).build(),
        lambda: acceptance(errors, names, family.APPROXIMATIONS, accept),
        lambda: repair_line(fitting, graph, names),
    )


def _repaired(graph: Graph) -> Iterator[Diagnostic]:
    """Report what a reader of files changed because only one meaning was possible."""
    repairs = graph.provenance.get("repairs")
    if repairs:
        yield info("model_file", "network", f"the file was repaired: {repairs}")


def _unproven(graph: Graph) -> Iterator[Diagnostic]:
    """Report each layer that was silent whenever model and Graph were compared."""
    silent = graph.provenance.get("silent_in_self_check", "").split(", ")
    for name in graph.nodes:
        if name in silent:
            yield info(
                "self_check",
                name,
                "did not spike when the Graph was compared with the model, so its threshold "
                "and its reset were read but not verified",
            )
