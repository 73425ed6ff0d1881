"""Neurons of a program, by layer of the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Population", "population_faults", "whole"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Neurons of a program that represent one layer of the user's network.

    Attributes:
        name: the user's own layer name.
        role: ``"hidden"`` or ``"output"``.
        start, stop: half-open range of ids, counted within the role.

    >>> from toolchain.chips.xylo import XyloProgram
    >>> layers = [
    ...     Population(name="fc1", role="hidden", start=0, stop=2),
    ...     Population(name="out", role="output", start=0, stop=1),
    ... ]
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> [p.name for p in program.populations]
    ['hidden', 'output']
    >>> from dataclasses import replace
    >>> [p.name for p in replace(program, populations=layers).populations]
    ['fc1', 'out']
    """

    name: str
    role: Literal["hidden", "output"]
    start: int
    stop: int


def whole(hidden: int, outputs: int) -> tuple[Population, ...]:
    """Return all neurons of a role as one population."""
    return (
        Population(name="hidden", role="hidden", start=0, stop=hidden),
        Population(name="output", role="output", start=0, stop=outputs),
    )


def population_faults(populations: Iterable[Population], hidden: int, outputs: int) -> list[str]:
    """Return faults of populations that share a name, overlap, or leave neurons out."""
    populations = tuple(populations)
    faults = []
    names = [p.name for p in populations]
    if len(set(names)) < len(names):
        faults.append(f"populations: names must differ, got {', '.join(names)}")
    for role, size in (("hidden", hidden), ("output", outputs)):
        spans = sorted((p.start, p.stop) for p in populations if p.role == role)
        ends = [0, *(stop for _, stop in spans)]
        starts = [*(start for start, _ in spans), size]
        if starts != ends or any(stop <= start for start, stop in spans):
            faults.append(
                f"populations: {role} neurons 0..{size - 1} must each be in one, got {spans}"
            )
    return faults
