"""Placement of layers on cores.

Among all placements in which every layer fits its core, the one chosen has, in this order:

1. as few layers as possible on cores that process events in no fixed order, unless they read the
   input, which these fast cores are intended for;
2. layers that read the input on these cores, the busiest first where that is known;
3. the smallest cores that are large enough, so that large ones stay free;
4. the lowest ids, the first layer's first. So the same program always gets the same cores.

The distance between cores is not published, so traffic between them is no criterion. sinabs uses
the first placement that fits; a placement from sinabs or of the user is given as ``cores``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from toolchain.chips.rules.findings import error
from toolchain.chips.speck import faults
from toolchain.chips.speck.lower.matching import cheapest, hall_violators
from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.spec import SpeckChip, SpeckCoreSpec
from toolchain.diagnostics import Diagnostic
from toolchain.hardware import Quantity
from toolchain.report import count

__all__ = [
    "Placement",
    "cores_that_fit",
    "fits_no_memory",
    "memories",
    "overfull_groups",
    "place",
    "placement_errors",
    "text_of_ids",
    "wrong_core",
]


_placement_error = partial(error, "placement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A core for every layer, or the errors that prevent it.

    Attributes:
        cores: hardware id by name of the layer; None if not every layer has one.
        findings: errors; empty exactly if ``cores`` is not None.
    """

    cores: Mapping[str, int] | None
    findings: tuple[Diagnostic, ...]


def place(
    program: SpeckProgram,
    chip: SpeckChip,
    *,
    cores: Mapping[str, int] | None = None,
    synops: Mapping[str, float] | None = None,
) -> Placement:
    """Find a core for every layer of the program; current cores are ignored.

    Args:
        program: the program to place.
        chip: its specification.
        cores: hardware id by name of the layer, for layers with a fixed core; the others are
            placed on the remaining ones.
        synops: synaptic operations of each layer, synop/step by its name, where known.

    Errors are: a core in ``cores`` that does not fit its layer, a layer that fits no core, and each
    smallest set of layers that fits fewer cores than it has layers.
    """
    pinned = cores or {}
    findings = [*_wrong_pins(program, chip, pinned)] or [*placement_errors(program, chip, pinned)]
    if findings:
        return Placement(cores=None, findings=tuple(findings))
    candidates = [_options(core, chip, pinned) for core in program.cores]
    matched = cheapest(_costs(program, chip, candidates, synops or {}))
    assert matched is not None, "no set of layers lacks cores, so there is a placement"
    return Placement(
        cores={core.name: matched[layer] for layer, core in enumerate(program.cores)}, findings=()
    )


def placement_errors(
    program: SpeckProgram, chip: SpeckChip, pinned: Mapping[str, int] | None = None
) -> Iterator[Diagnostic]:
    """Yield the errors that prevent a placement; none exactly if there is one."""
    for core in program.cores:
        if not cores_that_fit(core, chip):
            yield _no_core_error(core, chip)
    for layers, cores in overfull_groups(program, chip, pinned or {}):
        yield _group_error(layers, chip, pinned or {}, cores)


def overfull_groups(
    program: SpeckProgram, chip: SpeckChip, pinned: Mapping[str, int]
) -> Iterator[tuple[list[SpeckCore], set[int]]]:
    """Yield the smallest sets of layers that fit too few cores, and these cores."""
    placeable = [core for core in program.cores if cores_that_fit(core, chip)]
    for layers, cores in hall_violators([_options(core, chip, pinned) for core in placeable]):
        yield [placeable[index] for index in sorted(layers)], cores


def fits_no_memory(core: SpeckCore, chip: SpeckChip) -> bool:
    """Return whether one of the layer's memories alone exceeds every core."""
    return any(
        all(need > limit.value for need, limit in column)
        for column in zip(
            *([(need, limit) for _, need, limit in memories(core, spec)] for spec in chip.cores),
            strict=True,
        )
    )


def memories(core: SpeckCore, spec: SpeckCoreSpec) -> Iterator[tuple[str, int, Quantity]]:
    """Yield (memory, words needed by the layer, words of the core) for the three memories."""
    yield "kernel", core.kernel_words, spec.kernel_memory
    yield "neuron", core.neuron_words, spec.neuron_memory
    yield "bias", core.bias_words, spec.bias_memory


def cores_that_fit(core: SpeckCore, chip: SpeckChip) -> list[int]:
    """Return the ids of the cores with enough of all three memories, ascending."""
    return [
        spec.id
        for spec in chip.cores
        if all(need <= limit.value for _, need, limit in memories(core, spec))
    ]


def wrong_core(core: SpeckCore, number: object, chip: SpeckChip) -> Iterator[Diagnostic]:
    """Yield why hardware core ``number`` cannot take the layer: unknown, or too small."""
    specs = {spec.id: spec for spec in chip.cores}
    spec = specs.get(-1 if (index := faults.as_int(number)) is None else index)
    if spec is None:
        message = f"placed on core {number}, but {chip.name} has cores {text_of_ids([*specs])}"
        memory = chip.cores[0].kernel_memory
        yield _placement_error(core.name, message, index, memory, chip, limit=len(specs) - 1)
        return
    for memory_name, need, limit in memories(core, spec):
        if need > limit.value:
            message = (
                f"placed on core {number}, needs {count(need)} {memory_name} words, that core has "
                f"{count(limit.value)}"
            )
            yield _placement_error(core.name, message, need, limit, chip)


# ---- costs ----


def _costs(
    program: SpeckProgram,
    chip: SpeckChip,
    candidates: Sequence[Sequence[int]],
    synops: Mapping[str, float],
) -> list[dict[int, int]]:
    """Return the cost of each layer on each core: three numbers in one, the first worth most."""
    specs = {spec.id: spec for spec in chip.cores}
    entries = {target.layer for target in program.inputs}
    busy = {name: 1 + round(1000 * synops.get(name, 0.0)) for name in entries}
    most_bits = 1 + sum(map(_bits, chip.cores))
    most_busy = 1 + sum(busy.values())
    costs = []
    for core, options in zip(program.cores, candidates, strict=True):
        entry, found = core.name in entries, {}
        for number in options:
            orderly = specs[number].deterministic
            unsafe = int(not entry and not orderly)
            slow = busy[core.name] if entry and orderly else 0
            found[number] = (unsafe * most_busy + slow) * most_bits + _bits(specs[number])
        costs.append(found)
    return costs


def _bits(spec: SpeckCoreSpec) -> int:
    """Return the memory of a core, bit: kernel words have 8, the others 16.

    Source: Speck Dev Kit Datasheet, tables 1 and 3.
    """
    words = 8 * spec.kernel_memory.value + 16 * (spec.neuron_memory.value + spec.bias_memory.value)
    return int(words)


# ---- errors ----


def _options(core: SpeckCore, chip: SpeckChip, pinned: Mapping[str, int]) -> list[int]:
    return [pinned[core.name]] if core.name in pinned else cores_that_fit(core, chip)


def _wrong_pins(
    program: SpeckProgram, chip: SpeckChip, pinned: Mapping[str, int]
) -> Iterator[Diagnostic]:
    """Yield the errors of a placement given by the user, whatever the other layers need."""
    layers = {core.name: core for core in program.cores}
    memory = chip.cores[0].kernel_memory
    for name, number in pinned.items():
        if name in layers:
            yield from wrong_core(layers[name], number, chip)
        else:
            message = (
                f"placed on core {number}, but is not a layer; the layers are {', '.join(layers)}"
            )
            yield _placement_error(name, message, None, memory, chip)
    for number in dict.fromkeys(pinned.values()):
        sharing = [name for name, other in pinned.items() if other == number]
        if len(sharing) > 1:
            message = f"placed on core {number} together with {', '.join(sharing[1:])}"
            yield _placement_error(sharing[0], message, len(sharing), memory, chip, limit=1)


def _no_core_error(core: SpeckCore, chip: SpeckChip) -> Diagnostic:
    """Return the error for a layer that fits no core, with the memories that are too small."""
    sizes = [{name: limit for name, _, limit in memories(core, spec)} for spec in chip.cores]
    needs = {name: need for name, need, _ in memories(core, chip.cores[0])}
    largest = {name: max((r[name] for r in sizes), key=lambda q: q.value) for name in needs}
    tight = [name for name in needs if needs[name] > largest[name].value]
    asked = _words(core, tight or [name for name in needs if needs[name]])
    given = " and ".join(f"{count(largest[name].value)}" for name in tight)
    lack = f"the largest cores of {chip.name} have {given}"
    if not tight:
        lack = f"no core of {chip.name} has all of them; {_nearest_core(core, chip)}"
    name = next(iter(tight or needs))
    return _placement_error(core.name, f"needs {asked}, {lack}", needs[name], largest[name], chip)


def _nearest_core(core: SpeckCore, chip: SpeckChip) -> str:
    """Return the core that lacks least, and how much it lacks."""
    lacking = {
        spec.id: {m: n - int(q.value) for m, n, q in memories(core, spec) if n > q.value}
        for spec in chip.cores
    }
    width = {"kernel": 8, "neuron": 16, "bias": 16}
    number = min(lacking, key=lambda i: sum(width[m] * n for m, n in lacking[i].items()))
    short = " and ".join(f"{count(words)} {memory}" for memory, words in lacking[number].items())
    return f"core {number} is the nearest, {short} words too small"


def _group_error(
    members: Sequence[SpeckCore], chip: SpeckChip, pinned: Mapping[str, int], cores: set[int]
) -> Diagnostic:
    names = ", ".join(core.name for core in members)
    fit = f"core {text_of_ids(cores)}" if len(cores) == 1 else f"cores {text_of_ids(cores)}"
    words = "; ".join(_member_text(core, pinned) for core in members)
    message = (
        f"{len(members)} layers ({names}) need a core each, but fit only {fit} of {chip.name} "
        f"({words})"
    )
    memory = chip.cores[0].kernel_memory
    return _placement_error(members[0].name, message, len(members), memory, chip, limit=len(cores))


def _member_text(core: SpeckCore, pinned: Mapping[str, int]) -> str:
    """Return the memory that a layer of a group needs, and its fixed core."""
    names = ["kernel", "neuron", "bias"] if core.bias_words else ["kernel", "neuron"]
    fixed = f", to be on core {pinned[core.name]}" if core.name in pinned else ""
    return f"{core.name} {_words(core, names)}{fixed}"


def _words(core: SpeckCore, names: Sequence[str]) -> str:
    """Return ``512 kernel, 64 neuron and 2 bias words``."""
    needs = {"kernel": core.kernel_words, "neuron": core.neuron_words, "bias": core.bias_words}
    *first, last = [f"{count(needs[name])} {name}" for name in names]
    return f"{', '.join(first)} and {last} words" if first else f"{last} words"


def text_of_ids(ids: set[int] | Sequence[int], joint: str = "and") -> str:
    """Return ``0, 1 and 4``."""
    *first, last = [str(number) for number in sorted(ids)]
    return f"{', '.join(first)} {joint} {last}" if first else last
