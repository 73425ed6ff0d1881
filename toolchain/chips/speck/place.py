"""Which layer goes on which core: a matching of layers with the cores whose memories they fit.

Shortest augmenting paths, tried in a fixed order (layers as in the program, cores by id), so that
a program always gets the same cores; the order is the one that sinabs users know.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.diagnostics import Diagnostic, Severity, count
from toolchain.hardware import Quantity, SpeckChip, SpeckCoreSpec

__all__ = [
    "Placement",
    "cores_that_fit",
    "fits_no_memory",
    "match",
    "memories",
    "place",
    "text_of_ids",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A core for every layer, or why there is none.

    Attributes:
        cores: hardware id by name of the layer; None if not every layer has one.
        findings: errors; empty exactly if ``cores`` is there.
    """

    cores: Mapping[str, int] | None
    findings: tuple[Diagnostic, ...]


def place(program: SpeckProgram, chip: SpeckChip) -> Placement:
    """A core for every layer of the program, whatever its cores are set to now.

    Errors are a layer that fits no core, and each smallest set of layers that share fewer cores
    than they are.

    Source: the order of the search is that of sinabs' automatic placement, as documented.
    """
    homeless = [core for core in program.cores if not cores_that_fit(core, chip)]
    housed = [core for core in program.cores if core not in homeless]
    candidates = [cores_that_fit(core, chip) for core in housed]
    matched = match(candidates)
    findings = [_fits_nowhere(core, chip) for core in homeless]
    findings += [_crowded(housed, chip, *crowd) for crowd in _crowds(candidates, matched)]
    if findings:
        return Placement(cores=None, findings=tuple(findings))
    cores = {housed[layer].name: matched[layer] for layer in sorted(matched)}
    return Placement(cores=cores, findings=())


def fits_no_memory(core: SpeckCore, chip: SpeckChip) -> bool:
    """Whether one of the layer's memories alone exceeds every core, as the memory rules say."""
    return any(
        all(need > limit.value for need, limit in column)
        for column in zip(
            *([(need, limit) for _, need, limit in memories(core, spec)] for spec in chip.cores),
            strict=True,
        )
    )


def memories(core: SpeckCore, spec: SpeckCoreSpec) -> Iterator[tuple[str, int, Quantity]]:
    """(memory, words the layer needs, what the core has) of each of the three memories."""
    yield "kernel", core.kernel_words, spec.kernel_memory
    yield "neuron", core.neuron_words, spec.neuron_memory
    yield "bias", core.bias_words, spec.bias_memory


def cores_that_fit(core: SpeckCore, chip: SpeckChip) -> list[int]:
    """Ids of the cores with room for the layer in all three memories, ascending."""
    return [
        spec.id
        for spec in chip.cores
        if all(need <= limit.value for _, need, limit in memories(core, spec))
    ]


def match(candidates: Sequence[Sequence[int]]) -> dict[int, int]:
    """As many layers as possible on cores of their own: core by index of the layer."""
    matched: dict[int, int] = {}
    while path := _augmenting_path(candidates, matched):
        matched.update(path)
    return matched


def _augmenting_path(
    candidates: Sequence[Sequence[int]], matched: Mapping[int, int]
) -> dict[int, int]:
    """New cores for the layers along one shortest path to a free core; empty if there is none.

    The whole breadth-first search is a queue of layers only: a core that is taken passes the
    search on to the layer it is taken by.
    """
    owner = {core: layer for layer, core in matched.items()}
    waiting = deque(layer for layer in range(len(candidates)) if layer not in matched)
    reached_by: dict[int, int] = {}
    while waiting:
        layer = waiting.popleft()
        for core in candidates[layer]:
            if core in reached_by:
                continue
            reached_by[core] = layer
            if core not in owner:
                return _walk_back(core, reached_by, matched)
            waiting.append(owner[core])
    return {}


def _walk_back(
    core: int, reached_by: Mapping[int, int], matched: Mapping[int, int]
) -> dict[int, int]:
    path = {}
    here: int | None = core
    while here is not None:
        layer = reached_by[here]
        path[layer] = here
        here = matched.get(layer)
    return path


def _crowds(
    candidates: Sequence[Sequence[int]], matched: Mapping[int, int]
) -> Iterator[tuple[set[int], set[int]]]:
    """Layers and the too few cores they share (Hall's condition broken), one a set of cores.

    From a layer left over, follow its cores to the layers on them, and on. These layers fit no
    other cores, and there is one more of them than of cores; without any one they would fit.
    """
    owner = {core: layer for layer, core in matched.items()}
    told: set[frozenset[int]] = set()
    for left_over in range(len(candidates)):
        if left_over in matched:
            continue
        layers, cores, waiting = {left_over}, set[int](), [left_over]
        while waiting:
            for core in candidates[waiting.pop()]:
                cores.add(core)
                if owner[core] not in layers:
                    layers.add(owner[core])
                    waiting.append(owner[core])
        if frozenset(cores) not in told:
            told.add(frozenset(cores))
            yield layers, cores


def _fits_nowhere(core: SpeckCore, chip: SpeckChip) -> Diagnostic:
    """The memories that are too small in every core, or all three if it is their combination."""
    rooms = [{name: limit for name, _, limit in memories(core, spec)} for spec in chip.cores]
    needs = {name: need for name, need, _ in memories(core, chip.cores[0])}
    largest = {name: max((r[name] for r in rooms), key=lambda q: q.value) for name in needs}
    tight = [name for name in needs if needs[name] > largest[name].value]
    asked = " and ".join(f"{count(needs[name])} {name}" for name in tight or needs)
    given = " and ".join(f"{count(largest[name].value)}" for name in tight)
    lack = f"the largest cores of {chip.name} have {given}"
    if not tight:
        lack = f"no core of {chip.name} has all of them"
    name = next(iter(tight or needs))
    return Diagnostic(
        rule="placement",
        severity=Severity.ERROR,
        where=core.name,
        message=f"needs {asked} words, {lack}",
        need=needs[name],
        limit=largest[name].value,
        source=chip.cite(largest[name]),
    )


def _crowded(
    housed: Sequence[SpeckCore], chip: SpeckChip, layers: set[int], cores: set[int]
) -> Diagnostic:
    members = [housed[index] for index in sorted(layers)]
    names = ", ".join(core.name for core in members)
    fit = f"core {text_of_ids(cores)}" if len(cores) == 1 else f"cores {text_of_ids(cores)}"
    needs = "; ".join(
        f"{core.name} {count(core.kernel_words)} kernel, {count(core.neuron_words)} neuron words"
        for core in members
    )
    return Diagnostic(
        rule="placement",
        severity=Severity.ERROR,
        where=members[0].name,
        message=(
            f"{len(members)} layers ({names}) need a core each, "
            f"of {chip.name} they fit only {fit} ({needs})"
        ),
        need=len(members),
        limit=len(cores),
        source=chip.cite(chip.cores[0].kernel_memory),
    )


def text_of_ids(ids: set[int] | Sequence[int], joint: str = "and") -> str:
    """``0, 1 and 4``."""
    *first, last = [str(number) for number in sorted(ids)]
    return f"{', '.join(first)} {joint} {last}" if first else last
