"""Deployment of integers that were trained on the chip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from toolchain.arrays import Array, Shape, read_only
from toolchain.chips.contract import OnChip
from toolchain.chips.load import family_of
from toolchain.chips.rules.findings import is_error
from toolchain.chips.training import TrainableProgram
from toolchain.deployment.chip_input import chip_input
from toolchain.deployment.inputs import counts_of
from toolchain.deployment.named import readout_unit
from toolchain.deployment.store import Parts
from toolchain.diagnostics import DeployError, Diagnostic
from toolchain.fidelity import rounded_away, silenced
from toolchain.fidelity.latents import latents_of
from toolchain.fidelity.trained import trained_ledger
from toolchain.ir import Graph, MembraneReadout, Node
from toolchain.report import plural
from toolchain.runs import Activity, InputSpikes

__all__ = ["TrainedParts"]

MEASURED = (
    "agreement",
    "calibration",
    "drives",
    "held_out",
    "levels",
    "no_calibration",
    "no_path",
    "readout",
    "rounding",
    "saturation",
    "silent_layer",
    "silent_outputs",
    "spike_caps",
    "thresholds",
    "trained",
    "zero_weights",
)
"""Rules of findings on the integers of before, or on what they compute."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedParts:
    """A deployment as the source of a module; see ``toolchain.training.source``.

    Attributes:
        parts: the deployment.
    """

    parts: Parts

    @property
    def quantized(self) -> Graph:
        """The network of integers at the start."""
        return self.parts.quantized

    @property
    def latent(self) -> Mapping[str, Array]:
        """Unrounded values by name; of an older artifact, those of the trained network."""
        if self.parts.latent is not None:
            return self.parts.latent
        return latents_of(self.parts.graph, self.parts.quantized)

    @property
    def timings(self) -> Sequence[str]:
        """Timings of the chip's family."""
        return family_of(self.parts.on_chip.chip).TIMINGS

    @property
    def unit(self) -> Array | None:
        """Value of one integer of each output where states are read."""
        graph = self.parts.quantized
        if not all(isinstance(graph[name], MembraneReadout) for name in graph.outputs):
            return None
        return graph.derived(readout_unit)

    def program(self) -> TrainableProgram:
        """Return the program with integers that change."""
        return self.parts.on_chip.trainable(self.parts.quantized)

    def on_chip(self, values: Mapping[str, Array]) -> OnChip:
        """Return the program of other integers, which is not placed on the chip's cores."""
        on_chip, old = self.parts.on_chip, self.parts.quantized
        shapes = {n: _stored_shape(_field(old, n), a, a, changed=True) for n, a in values.items()}
        arrays = {n: _in_shape(array, shapes[n] or ()) for n, array in values.items()}
        family = family_of(on_chip.chip)
        return family.lower(_with_values(old, arrays), on_chip.options() or family.OPTIONS())

    def counts(self, spikes: InputSpikes) -> Array:
        """Return spikes as counts in the shape of the chip's input."""
        graph = self.parts.quantized
        found = counts_of(family_of(self.parts.on_chip.chip), self.parts.graph, spikes, "spikes")
        return found.reshape(*found.shape[:2], *graph.shape(graph.input))

    def spikes(self, given: Any) -> InputSpikes:
        """Return spikes as the chip takes them."""
        return chip_input(self.parts, given)

    def deployment(
        self,
        values: Mapping[str, Array],
        latent: Mapping[str, Array],
        findings: Sequence[Diagnostic],
        activity: Activity | None,
    ) -> Any:
        """Implement ``TrainingSource.deployment``."""
        old = self.parts
        names = [name for name, array in values.items() if _differs(old.quantized, name, array)]
        shapes = {
            name: _stored_shape(
                _field(old.quantized, name), array, latent[name], changed=name in names
            )
            for name, array in values.items()
        }
        stored = {n: _in_shape(latent[n], s) for n, s in shapes.items() if s is not None}
        stored = {n: read_only(array) for n, array in {**self.latent, **stored}.items()}
        if not names:
            own = (*old.diagnostics, *findings)
            return replace(old, latent=stored, diagnostics=own)
        quantized = _with_values(
            old.quantized, {n: _in_shape(values[n], shapes[n] or ()) for n in names}
        )
        on_chip, own = _lowered(old.on_chip, old.quantized, quantized)
        kept = tuple(f for f in old.diagnostics if f.rule not in MEASURED and f not in own)
        conditions = family_of(on_chip.chip).conditions(quantized, quantized, None)
        note = {"trained_on_chip": ", ".join(names)}
        graph, quantized = (_with_provenance(each, note) for each in (old.graph, quantized))
        return replace(
            old,
            on_chip=on_chip,
            graph=graph,
            quantized=quantized,
            diagnostics=(*kept, *own, *findings),
            ledger=trained_ledger(old.ledger, names, graph, on_chip.chip, conditions),
            calibration_activity=activity,
            latent=stored,
        )


def _differs(quantized: Graph, name: str, array: Array) -> bool:
    """Return whether a parameter has other integers than in the graph; no bias is 0."""
    old = _field(quantized, name)
    return bool(np.any(array != (0 if old is None else old)))


def _stored_shape(old: Array | None, array: Array, latent: Array, *, changed: bool) -> Shape | None:
    """Return the shape in which the graph has a parameter; None if it does not have it.

    A parameter may have one value where the graph has one for each neuron, and the reverse. What
    is less than half a step of values that the graph does not have is not stored.
    """
    if old is not None and old.size >= array.size:
        return old.shape
    if changed:
        return array.shape
    return None if old is None or np.ptp(latent) else old.shape


def _in_shape(array: Array, shape: Shape) -> Array:
    return np.broadcast_to(array if array.size <= prod(shape) else array.ravel()[0], shape)


def _field(graph: Graph, name: str) -> Array | None:
    node, _, field = name.rpartition(".")
    found: Array | None = getattr(graph[node], field)
    return found


def _with_values(quantized: Graph, values: Mapping[str, Array]) -> Graph:
    """Return the graph with other integers."""
    fields: dict[str, dict[str, Array]] = {}
    for name, array in values.items():
        node, _, field = name.rpartition(".")
        fields.setdefault(node, {})[field] = array
    return quantized.replace({n: _node(quantized[n], own) for n, own in fields.items()})


def _node(node: Any, fields: Mapping[str, Array]) -> Node:
    """Return the node with other arrays; what is subtracted at a reset follows the threshold."""
    threshold = fields.get("v_threshold")
    amount = getattr(node, "reset_amount", None)
    follows = amount is not None and bool(np.all(amount == node.v_threshold))
    more = {} if threshold is None or not follows else {"reset_amount": threshold}
    changed: Node = replace(node, **fields, **more)
    return changed


def _lowered(
    on_chip: OnChip, before: Graph, quantized: Graph
) -> tuple[OnChip, tuple[Diagnostic, ...]]:
    """Return the placed program of a graph and its findings.

    Raises:
        DeployError: the chip does not take it, or it cannot work: a layer has lost all weights, or
            its outputs all paths from the input.
    """
    family = family_of(on_chip.chip)
    options = on_chip.options() or family.OPTIONS()
    lowered = family.lower(quantized, options)
    lost = tuple(filter(is_error, rounded_away(before, quantized)))
    findings = (*lowered.check(), *lost, *silenced(before, quantized))
    placed, unplaced = lowered.place(options)
    findings += unplaced
    if errors := tuple(filter(is_error, findings)):
        raise DeployError(
            f"the trained integers do not fit {family.chip.name}: {plural(len(errors), 'error')}",
            errors,
        )
    return placed, findings


def _with_provenance(graph: Graph, more: Mapping[str, str]) -> Graph:
    return Graph(graph.nodes, graph.edges, dt=graph.dt, provenance={**graph.provenance, **more})
