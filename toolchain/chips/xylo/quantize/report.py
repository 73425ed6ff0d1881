"""Findings on a network's integers; nothing is rewritten here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.quantize.auto import SearchResult
from toolchain.chips.xylo.quantize.plan import Plan, PopulationIntegers
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.ir import Graph, Linear
from toolchain.passes.quantize import QuantizationScale
from toolchain.passes.weights import weights_of

__all__ = ["compared", "guessed", "known", "searched", "shifts"]

LEVELS = 127
"""Levels of an 8-bit weight on either side of 0."""
LIMITS = {
    "bias": "the bias limits",
    "state": "states limit",
    "states": "states limit",
    "threshold": "the threshold limits",
    "v_min": "the floor limits",
    "weights": "weights limit",
    "weights in": "weights of the input limit",
    "weights out": "weights of the output limit",
    "weights rec": "weights between neurons limit",
}
"""Phrase for the word that limits a scale."""


def known(graph: Graph, scales: Mapping[str, QuantizationScale]) -> tuple[Diagnostic, ...]:
    """Report the levels of each weight and what limits them, in steps of 1."""
    return tuple(_known_levels(graph, scales))


def searched(plan: Plan) -> tuple[Diagnostic, ...]:
    """Report the levels of each weight, and the states and thresholds of each layer."""
    findings: list[Diagnostic] = []
    for name, choice in plan.choices.items():
        findings += [*_weights(name, choice), *_states(name, choice)]
    return tuple(findings)


def shifts(program: XyloProgram) -> Diagnostic:
    """Report the shift of each matrix."""
    return _info(
        "weight_shifts",
        "network",
        f"weights are shifted left by {program.weight_shift_in} from the input, by "
        f"{program.weight_shift_rec} between hidden neurons, by {program.weight_shift_out} to the "
        "output",
    )


def compared(found: SearchResult) -> Diagnostic:
    """Report the agreement of the outputs, and that of the two baselines."""
    figures = {name: f"{100 * value:.1f} %" for name, value in found.agreements.items()}
    others = ", ".join(f"{name!r}: {figures[name]}" for name in sorted(set(figures) - {"auto"}))
    taken = "" if found.chosen == "auto" else f"; the integers of {found.chosen!r} were used"
    return _info(
        "agreement",
        "network",
        f"output spike counts agree to {figures['auto']} with those of the unquantized network on "
        f"the calibration spikes ({others}){taken}",
    )


def guessed(chosen: str, chip: XyloChip, method: str = "") -> str:
    """Return where the scales come from without calibration."""
    if chosen == "auto":
        most = chip.limits.input_spikes.value
        return f"scales are set on guessed spikes, up to {most:g} a timestep and channel"
    used = f"integers of {chosen!r} are used: " if chosen != method and method else ""
    return f"{used}scales come from the weights alone"


def _known_levels(graph: Graph, scales: Mapping[str, QuantizationScale]) -> Iterator[Diagnostic]:
    for name, scale in scales.items():
        for weight in weights_of(graph, name) or ():
            node = graph[weight]
            if isinstance(node, Linear):
                levels = int(np.abs(node.weight).max(initial=0))
                yield _levels(weight, levels, 1, name, scale.limited_by)


def _weights(name: str, choice: PopulationIntegers) -> Iterator[Diagnostic]:
    for weight, values in choice.weights.items():
        step = choice.steps[weight]
        levels = int(np.abs(values).max(initial=0)) // step
        yield _levels(weight, levels, step, name, choice.limited_by)


def _states(name: str, choice: PopulationIntegers) -> Iterator[Diagnostic]:
    if np.isfinite(choice.depth):
        yield _info(
            "cut_states",
            name,
            f"states saturate beyond {choice.depth:g} thresholds, which allows finer integers",
        )
    moved = 100 * (choice.threshold / choice.nominal - 1)
    if np.abs(moved).max() >= 0.05:
        span = f"{moved.min():+.1f} to {moved.max():+.1f} %"
        message = f"thresholds change by {span} to preserve each neuron's firing rate"
        yield _info("thresholds", name, message)


def _levels(weight: str, levels: int, step: int, layer: str, limited_by: str) -> Diagnostic:
    steps = f" in steps of {step}" if step > 1 else ""
    full = levels == LEVELS and limited_by.startswith("weights")
    limit = "" if full else f"; {LIMITS[limited_by]} the scale of {layer!r}"
    return _info("levels", weight, f"weights use {levels} of {LEVELS} levels{steps}{limit}")


def _info(rule: str, where: str, message: str) -> Diagnostic:
    return Diagnostic(rule=rule, severity=Severity.INFO, where=where, message=message)
