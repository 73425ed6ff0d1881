"""What may help against a finding, by the rule that found it; ``hints`` tries each.

A remedy is a generator of trials: an action in words, and the program as it is after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from toolchain.chips.speck.lower.place import cores_that_fit, crowded, text_of_ids
from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.rules import edits
from toolchain.chips.speck.rules.trial import Case, Remedy

__all__ = ["REMEDIES"]

# ---- smaller layers ----


def fewer_channels(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """As many output channels as fit a core. A network's own outputs are what it is for."""
    core = case.core
    if core.name in case.program.outputs:
        return

    def fits(outputs: int) -> bool:
        smaller = edits.narrower(case.program, core.name, outputs)
        return smaller is not None and bool(cores_that_fit(smaller[core.name], case.chip))

    outputs = core.weight.shape[0]
    if most := _largest(outputs, fits):
        smaller = edits.narrower(case.program, core.name, most)
        assert smaller is not None
        ids = text_of_ids(cores_that_fit(smaller[core.name], case.chip), "or")
        yield f"{outputs} -> {most} output channels fits core {ids}", smaller


def allowed_channels(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """As many channels as a core may have, where they come from."""
    most = int(case.chip.limits.channels.value)
    wide = [case.core.name] + [s.name for s, _ in case.program.sources(case.core.name) if s]
    for name in wide:
        outputs = case.program[name].weight.shape[0]
        if outputs > most and name not in case.program.outputs:
            text = f"{outputs} -> {most} output channels of {_weights(case, name)} are taken"
            yield text, edits.narrower(case.program, name, most)


def pooled_before(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """The smallest pooling before the layer that helps."""
    yield from _pooled_before(case, case.core)


def larger_stride(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """The smallest stride of the layer that helps."""
    yield from _larger_stride(case, case.core)


def _pooled_before(case: Case, core: SpeckCore) -> Iterator[tuple[str, SpeckProgram | None]]:
    sources = [*case.program.sources(core.name)]
    if case.program.sensor is None and any(source is None for source, _ in sources):
        return  # a core can pool what it sends, and nobody but a sensor does so for the input
    now = max(target.pooling for _, target in sources)
    for pooling in case.chip.limits.pooling.values:
        changed = edits.pooled(case.program, core.name, pooling) if pooling > now else None
        if case.helps(changed):
            yield f"sum pooling of {pooling} before {core.weight_name} fits", changed
            return


def _larger_stride(case: Case, core: SpeckCore) -> Iterator[tuple[str, SpeckProgram | None]]:
    for step in case.chip.limits.strides.values:
        if step <= max(core.stride):
            continue
        changed = edits.strided(case.program, core.name, (step, step))
        if case.helps(changed):
            yield f"stride {step} of {core.weight_name} fits", changed
            return


def two_cores(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """Half of the output channels on another core. An output has to stay in one piece."""
    core = case.core
    outputs = core.weight.shape[0]
    if core.name in case.program.outputs or outputs < 2:
        return
    changed = edits.split(case.program, core.name)
    names = {c.name for c in changed.cores} - {c.name for c in case.program.cores} | {core.name}
    if all(cores_that_fit(changed[name], case.chip) for name in names):
        half = outputs // 2
        yield (
            f"{core.weight_name} on two cores, with {half} and {outputs - half} output channels, "
            "gives the same output",
            changed,
        )


def without_bias(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """A layer without biases takes no memory for them."""
    core = case.core
    if core.bias is None:
        return
    lost = (
        "which are all 0" if not core.bias.any() else f"of {core.bias.min()} to {core.bias.max()}"
    )
    yield f"without its biases, {lost}, it fits", edits.without_bias(case.program, core.name)


def _largest(below: int, fits: Callable[[int], bool]) -> int:
    """The largest number from 1 to below ``below`` that fits; 0 if none does."""
    kept, over = 0, below
    while over - kept > 1:
        middle = (kept + over) // 2
        kept, over = (middle, over) if fits(middle) else (kept, middle)
    return kept


# ---- a crowd of layers ----


def smaller_member(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """One layer that goes elsewhere once it is smaller: by channels, by pooling, by stride."""
    layers = _members(case)
    yield from _narrowest(case, layers)
    for smaller in (_pooled_before, _larger_stride):
        yield from islice((trial for core in layers for trial in smaller(case, core)), 1)


def _narrowest(
    case: Case, layers: Sequence[SpeckCore]
) -> Iterator[tuple[str, SpeckProgram | None]]:
    """The layer that has to lose the smallest part of its channels."""
    most = {
        core.name: _most_channels(case, core)
        for core in layers
        if core.name not in case.program.outputs
    }
    kept = {name: many / case.program[name].weight.shape[0] for name, many in most.items()}
    if kept and max(kept.values()) > 0:
        name = max(kept, key=lambda n: kept[n])
        outputs = case.program[name].weight.shape[0]
        changed = edits.narrower(case.program, name, most[name])
        yield f"{outputs} -> {most[name]} output channels of {_weights(case, name)} fits", changed


def _weights(case: Case, name: str) -> str:
    return case.program[name].weight_name


def _most_channels(case: Case, core: SpeckCore) -> int:
    return _largest(
        core.weight.shape[0], lambda n: case.helps(edits.narrower(case.program, core.name, n))
    )


def _members(case: Case) -> Sequence[SpeckCore]:
    """The layers of the crowd; the layer alone where it is about one that fits no core."""
    for layers, _ in crowded(case.program, case.chip, {}):
        if layers[0].name == case.finding.where:
            return layers
    return [case.core]


# ---- other settings ----


def allowed_stride(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """The strides next to the one that is asked for."""
    allowed, own = case.chip.limits.strides.values, case.core.stride
    below = tuple(max(step for step in allowed if step <= s) for s in own)
    above = tuple(min((step for step in allowed if step >= s), default=allowed[-1]) for s in own)
    for height, width in dict.fromkeys((below, above)):
        changed = edits.strided(case.program, case.core.name, (height, width))
        yield f"stride {height}x{width} is taken", changed


def allowed_padding(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """As much padding as a core can be set to."""
    most = int(case.chip.limits.padding.value)
    height, width = (min(most, pad) for pad in case.core.padding)
    changed = edits.padded(case.program, case.core.name, (height, width))
    yield f"padding {height}x{width} is taken", changed


def square_kernel(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """Zeros behind the shorter side."""
    side = max(case.core.weight.shape[2:])
    changed = edits.squared(case.program, case.core.name)
    if changed is not None:
        _, height, width = changed[case.core.name].output_shape
        yield f"a {side}x{side} kernel is taken, with a map of {height}x{width}", changed


def allowed_pooling(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """The largest pooling that there is, for each layer that asks for another."""
    allowed = case.chip.limits.pooling.values
    at_input = case.finding.where == case.program.input_name
    targets = case.program.inputs if at_input else case.core.destinations
    for target in targets:
        if target.pooling not in allowed:
            smaller = max(step for step in allowed if step <= target.pooling)
            changed = edits.pooled(case.program, target.layer, smaller)
            yield f"sum pooling of {smaller} to {target.layer} is taken", changed


def copy_of_layer(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """A second core that computes the same, for the destinations beyond the limit."""
    most = int(case.chip.limits.destinations.value)
    core = case.core
    rest = " and ".join(target.layer for target in core.destinations[most:])
    changed = edits.copied(case.program, core.name, most)
    yield f"a copy of {core.weight_name} and {core.name} for {rest} gives the same output", changed


def usable_floor(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """The largest floor that works."""
    floor = int(case.chip.limits.threshold_low_max.value)
    changed = edits.with_floor(case.program, case.core.name, floor)
    yield f"threshold_low {case.core.threshold_low} -> {floor}", changed


def smaller_scale(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """A layer's integers divided by the smallest power of two that helps."""
    for exponent in range(1, 17):
        changed = edits.rescaled(case.program, case.core.name, 2**exponent)
        if case.helps(changed):
            yield (
                f"all integers of the layer divided by {2**exponent} and rounded fit",
                changed,
            )
            return


def smaller_weights(case: Case) -> Iterator[tuple[str, SpeckProgram | None]]:
    """Weights worth less than two spikes."""
    core, top = case.core, 2 * case.core.threshold_high - 1
    many = int((core.weight > top).sum())
    text = f"{many} of {core.weight.size} weights clipped to {top} leave one spike an event"
    yield text, edits.clipped(case.program, core.name, top)


SMALLER = (two_cores, fewer_channels, pooled_before, larger_stride)
REMEDIES: dict[str, tuple[Remedy, ...]] = {
    "kernel_memory": SMALLER,
    "neuron_memory": SMALLER,
    "bias_memory": (without_bias, two_cores, fewer_channels),
    "placement": (two_cores, smaller_member),
    "kernel_size": (pooled_before,),
    "square_kernel": (square_kernel,),
    "stride": (allowed_stride,),
    "padding": (allowed_padding,),
    "input_size": (pooled_before,),
    "output_size": (pooled_before, larger_stride),
    "channels": (allowed_channels,),
    "pooling": (allowed_pooling,),
    "destinations": (copy_of_layer,),
    "threshold_low": (usable_floor,),
    "threshold_range": (smaller_scale,),
    "weight_range": (smaller_scale,),
    "bias_range": (smaller_scale,),
    "state_range": (smaller_scale,),
    "single_spike": (smaller_weights,),
}
