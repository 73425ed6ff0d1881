"""Xylo's implementation of the family contract: which function does what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolchain.chips.contract import ProgramFile
from toolchain.chips.functions import FamilyOf, Functions, own_chip
from toolchain.chips.load import load_chip
from toolchain.chips.words import largest
from toolchain.chips.xylo import approximations, counts, graphs, resources, store
from toolchain.chips.xylo.conditions import DIFFERENCES, conditions
from toolchain.chips.xylo.dashes import decay_note
from toolchain.chips.xylo.documents import program_in, recognized
from toolchain.chips.xylo.emit.tree import configuration
from toolchain.chips.xylo.live.boards import to_samna
from toolchain.chips.xylo.network import network_of
from toolchain.chips.xylo.options import XyloOptions
from toolchain.chips.xylo.power import estimate
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.quantize import QUANTIZERS, quantize, unfit
from toolchain.chips.xylo.readout import configured
from toolchain.chips.xylo.recording import XyloSession
from toolchain.chips.xylo.rules.graph import check_graph
from toolchain.chips.xylo.rules.program import check
from toolchain.chips.xylo.rules.prune import edits
from toolchain.chips.xylo.spec import XyloChip
from toolchain.chips.xylo.training.program import trainable
from toolchain.chips.xylo.warm import warm
from toolchain.hardware import SpecBase
from toolchain.runs.ceiling import WeightRounding

__all__ = ["Xylo"]

FUNCTIONS = Functions(
    shape=graphs.shape,
    approximate=approximations.approximate,
    check_graph=check_graph,
    can_lower=graphs.can_lower,
    quantize=quantize,
    lower=graphs.lower,
    conditions=conditions,
    lag=graphs.lag,
    lags=graphs.lags,
    check=check,
    place=resources.place,
    placement=resources.placement,
    resources=resources.resources,
    session=XyloSession,
    trainable=trainable,
    activity=counts.activity,
    activity_at=counts.activity_at,
    cost=estimate,
    config=configuration,
    live_config=to_samna,
    pack=store.to_arrays,
    unpack=store.from_arrays,
    decay_note=decay_note,
    input_limit=counts.input_limit,
    rounding=lambda chip: WeightRounding(levels=largest(chip.limits.weight_width)),
    configured=configured,
    options=lambda _: XyloOptions(),
    network=network_of,
    unplaced=resources.unplaced,
    unfit=unfit,
    edits=edits,
    from_document=program_in,
)


class Xylo(FamilyOf[XyloProgram, XyloChip]):
    """The Xylo family on one of its chips."""

    NAME = "xylo"
    TITLE = "Xylo"
    SPEC = XyloChip
    OPTIONS = XyloOptions
    QUANTIZERS = QUANTIZERS
    APPROXIMATIONS = tuple(approximations.APPROXIMATIONS)
    DIFFERENCES = DIFFERENCES
    CAPABILITIES = frozenset({"session", "training"})

    @classmethod
    def on(cls, chip: SpecBase) -> Xylo:
        """Return the family for a Xylo chip."""
        return cls(own_chip(chip, XyloChip, cls.TITLE))

    @classmethod
    def warm(cls) -> None:
        """Implement ``Family.warm``."""
        warm(cls.on(load_chip("xylo_a2")))

    @classmethod
    def recognizes(cls, document: Mapping[str, Any]) -> ProgramFile | None:
        """Implement ``Family.recognizes``."""
        return recognized(document)

    def functions(self) -> Functions[XyloProgram, XyloChip]:
        """Return what Xylo does, with program and chip as arguments."""
        return FUNCTIONS
