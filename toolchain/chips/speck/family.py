"""Speck's implementation of ``Family``; each function delegates to one module."""

from __future__ import annotations

from toolchain.chips.functions import FamilyOf, Functions, own_chip
from toolchain.chips.speck import approximations, conditions, counts, graphs, resources, store
from toolchain.chips.speck.emit.tree import configuration
from toolchain.chips.speck.live.boards import to_samna
from toolchain.chips.speck.options import SpeckOptions
from toolchain.chips.speck.power import estimate
from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.quantize import QUANTIZERS, quantize, rounding, unfit
from toolchain.chips.speck.recording import SpeckSession, order_spread
from toolchain.chips.speck.rules import graph, program, prune
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.speck.training.program import trainable
from toolchain.chips.speck.warm import warm
from toolchain.hardware import SpecBase

__all__ = ["Speck"]

FUNCTIONS = Functions(
    shape=graphs.shape,
    approximate=approximations.approximate,
    check_graph=graph.check_graph,
    can_lower=graph.topology_is_sound,
    quantize=quantize,
    lower=graphs.lower,
    conditions=conditions.conditions,
    lag=graphs.lag,
    lags=graphs.lags,
    check=program.check,
    place=resources.place,
    placement=resources.placement,
    resources=resources.resources,
    session=SpeckSession,
    trainable=trainable,
    activity=counts.activity,
    activity_at=counts.activity_at,
    cost=estimate,
    config=configuration,
    live_config=to_samna,
    pack=store.to_arrays,
    unpack=store.from_arrays,
    order_spread=order_spread,
    rounding=rounding,
    counts=graphs.counts,
    options=resources.options,
    unplaced=resources.unplaced,
    unfit=unfit,
    edits=prune.edits,
)


class Speck(FamilyOf[SpeckProgram, SpeckChip]):
    """The Speck family on one of its chips."""

    NAME = "speck"
    TITLE = "Speck"
    SPEC = SpeckChip
    OPTIONS = SpeckOptions
    QUANTIZERS = QUANTIZERS
    TIMINGS = ("clocked", "event")
    APPROXIMATIONS = tuple(approximations.APPROXIMATIONS)
    DIFFERENCES = conditions.DIFFERENCES
    CAPABILITIES = frozenset({"session", "training"})

    @classmethod
    def on(cls, chip: SpecBase) -> Speck:
        """Return the family for a Speck chip."""
        return cls(own_chip(chip, SpeckChip, cls.TITLE))

    @classmethod
    def warm(cls) -> None:
        """Implement ``Family.warm``."""
        warm(cls)

    def functions(self) -> Functions[SpeckProgram, SpeckChip]:
        """Return the functions of the family, with program and chip as arguments."""
        return FUNCTIONS
