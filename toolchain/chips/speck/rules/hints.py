"""Hints for findings about a program: actions in words, each with the program after it.

Those that resolve the finding when tried become its hint; see ``toolchain.chips.rules.hints``. All
rules and the placement are run on the program after an action.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeAlias

from toolchain.chips.rules.hints import Edits, EditsOf, fitting_chips, helpful_edits, largest
from toolchain.chips.rules.trial import Case
from toolchain.chips.speck.lower.place import cores_that_fit, overfull_groups, text_of_ids
from toolchain.chips.speck.program import SpeckCore, SpeckProgram
from toolchain.chips.speck.rules import edits
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Remedy

__all__ = ["advise"]

SpeckCase: TypeAlias = Case[SpeckProgram, SpeckChip]


def advise(case: SpeckCase) -> Iterator[Remedy]:
    """Yield remedies: changes to the program, then another chip."""
    yield from helpful_edits(case, EDITS)
    if case.finding.rule in ON_ANOTHER_CHIP:
        # chips that the vendor's tools no longer support are left out
        yield from fitting_chips(
            case.trial.on_other_chips(edits.moved, lambda chip: not chip.vendor_note)
        )


# ---- smaller layers ----


def fewer_channels(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try the most output channels that fit a core; outputs of the network stay."""
    core = _core(case)
    if core.name in case.subject.outputs:
        return

    def fits(outputs: int) -> bool:
        smaller = edits.with_outputs(case.subject, core.name, outputs)
        return smaller is not None and bool(cores_that_fit(smaller[core.name], case.chip))

    outputs = core.weight.shape[0]
    if most := largest(outputs, fits):
        smaller = edits.with_outputs(case.subject, core.name, most)
        assert smaller is not None
        ids = text_of_ids(cores_that_fit(smaller[core.name], case.chip), "or")
        yield f"{outputs} -> {most} output channels fits core {ids}", smaller


def allowed_channels(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try the most channels of a core, in the layers that they come from."""
    most = int(case.chip.limits.channels.value)
    wide = [_core(case).name] + [s.name for s, _ in case.subject.sources(_core(case).name) if s]
    for name in wide:
        outputs = case.subject[name].weight.shape[0]
        if outputs > most and name not in case.subject.outputs:
            text = f"{outputs} -> {most} output channels of {_weights(case, name)} are supported"
            yield text, edits.with_outputs(case.subject, name, most)


def pooled_before(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try the smallest pooling before the layer that helps."""
    yield from _pooled_before(case, _core(case))


def larger_stride(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try the smallest stride of the layer that helps."""
    yield from _larger_stride(case, _core(case))


def _pooled_before(case: SpeckCase, core: SpeckCore) -> Edits[SpeckProgram]:
    sources = [*case.subject.sources(core.name)]
    if case.subject.sensor is None and any(source is None for source, _ in sources):
        return  # cores pool their own output; only a sensor pools the input
    now = max(target.pooling for _, target in sources)
    for pooling in case.chip.limits.pooling.values:
        changed = edits.with_pooling(case.subject, core.name, pooling) if pooling > now else None
        if case.helps(changed):
            yield f"sum pooling of {pooling} before {core.weight_name} fits", changed
            return


def _larger_stride(case: SpeckCase, core: SpeckCore) -> Edits[SpeckProgram]:
    for step in case.chip.limits.strides.values:
        if step <= max(core.stride):
            continue
        changed = edits.with_stride(case.subject, core.name, (step, step))
        if case.helps(changed):
            yield f"stride {step} of {core.weight_name} fits", changed
            return


def two_cores(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try half of the output channels on another core; outputs of the network stay."""
    core = _core(case)
    outputs = core.weight.shape[0]
    if core.name in case.subject.outputs or outputs < 2:
        return
    changed = edits.split(case.subject, core.name)
    names = {c.name for c in changed.cores} - {c.name for c in case.subject.cores} | {core.name}
    if all(cores_that_fit(changed[name], case.chip) for name in names):
        half = outputs // 2
        yield (
            f"{core.weight_name} on two cores, with {half} and {outputs - half} output channels, "
            "gives the same output",
            changed,
        )


def without_bias(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try the layer without biases, which then takes no memory for them."""
    core = _core(case)
    if core.bias is None:
        return
    lost = (
        "which are all 0" if not core.bias.any() else f"of {core.bias.min()} to {core.bias.max()}"
    )
    yield f"without its biases, {lost}, it fits", edits.without_bias(case.subject, core.name)


# ---- layers that share too few cores ----


def smaller_member(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try one smaller layer that fits other cores: by channels, by pooling, by stride."""
    if len(case.subject.cores) > len(case.chip.cores):
        return  # some layers have no core whatever their size
    layers = _members(case)
    yield from _narrowest(case, layers)
    for smaller in (_pooled_before, _larger_stride):
        yield from islice((trial for core in layers for trial in smaller(case, core)), 1)


def _narrowest(case: SpeckCase, layers: Sequence[SpeckCore]) -> Edits[SpeckProgram]:
    """Try the layer that has to lose the smallest part of its channels."""
    most = {
        core.name: _most_channels(case, core)
        for core in layers
        if core.name not in case.subject.outputs
    }
    kept = {name: many / case.subject[name].weight.shape[0] for name, many in most.items()}
    if kept and max(kept.values()) > 0:
        name = max(kept, key=lambda n: kept[n])
        outputs = case.subject[name].weight.shape[0]
        changed = edits.with_outputs(case.subject, name, most[name])
        yield f"{outputs} -> {most[name]} output channels of {_weights(case, name)} fits", changed


def _core(case: SpeckCase) -> SpeckCore:
    """Return the layer that the finding is about."""
    where = case.finding.where
    return next(core for core in case.subject.cores if where in (core.name, core.weight_name))


def _weights(case: SpeckCase, name: str) -> str:
    return case.subject[name].weight_name


def _most_channels(case: SpeckCase, core: SpeckCore) -> int:
    return largest(
        core.weight.shape[0], lambda n: case.helps(edits.with_outputs(case.subject, core.name, n))
    )


def _members(case: SpeckCase) -> Sequence[SpeckCore]:
    """Return the layers of the group, or the layer alone if it fits no core."""
    for layers, _ in overfull_groups(case.subject, case.chip, {}):
        if layers[0].name == case.finding.where:
            return layers
    return [_core(case)]


# ---- other settings ----


def allowed_stride(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try the supported strides next to the one in use."""
    allowed, own = case.chip.limits.strides.values, _core(case).stride
    below = tuple(max(step for step in allowed if step <= s) for s in own)
    above = tuple(min((step for step in allowed if step >= s), default=allowed[-1]) for s in own)
    for height, width in dict.fromkeys((below, above)):
        changed = edits.with_stride(case.subject, _core(case).name, (height, width))
        yield f"stride {height}x{width} is supported", changed


def allowed_padding(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try the largest padding of a core."""
    most = int(case.chip.limits.padding.value)
    height, width = (min(most, pad) for pad in _core(case).padding)
    changed = edits.with_padding(case.subject, _core(case).name, (height, width))
    yield f"padding {height}x{width} is supported", changed


def square_kernel(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try zeros behind the shorter side."""
    side = max(_core(case).weight.shape[2:])
    changed = edits.with_square_kernel(case.subject, _core(case).name)
    if changed is not None:
        _, height, width = changed[_core(case).name].output_shape
        yield f"a {side}x{side} kernel is supported, with a map of {height}x{width}", changed


def allowed_pooling(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try the next smaller supported pooling, for each connection with another."""
    allowed = case.chip.limits.pooling.values
    at_input = case.finding.where == case.subject.input_name
    targets = case.subject.inputs if at_input else _core(case).destinations
    for target in targets:
        if target.pooling not in allowed:
            smaller = max(step for step in allowed if step <= target.pooling)
            changed = edits.with_pooling(case.subject, target.layer, smaller)
            yield f"sum pooling of {smaller} to {target.layer} is supported", changed


def copy_of_layer(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try a second core with the same weights, for the destinations beyond the limit."""
    most = int(case.chip.limits.destinations.value)
    core = _core(case)
    rest = " and ".join(target.layer for target in core.destinations[most:])
    changed = edits.with_copy(case.subject, core.name, most)
    yield f"a copy of {core.weight_name} and {core.name} for {rest} gives the same output", changed


def usable_floor(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try the largest floor that works."""
    floor = int(case.chip.limits.threshold_low_max.value)
    changed = edits.with_floor(case.subject, _core(case).name, floor)
    yield f"threshold_low {_core(case).threshold_low} -> {floor}", changed


def smaller_scale(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try a layer's integers divided by the smallest power of two that helps."""
    for exponent in range(1, 17):
        changed = edits.rescaled(case.subject, _core(case).name, 2**exponent)
        if case.helps(changed):
            yield (
                f"all integers of the layer divided by {2**exponent} and rounded fit",
                changed,
            )
            return


def smaller_weights(case: SpeckCase) -> Edits[SpeckProgram]:
    """Try weights below two thresholds."""
    core, top = _core(case), 2 * _core(case).threshold_high - 1
    many = int((core.weight > top).sum())
    text = f"{many} of {core.weight.size} weights clipped to {top} give one spike per event"
    yield text, edits.with_clipped_weights(case.subject, core.name, top)


ON_ANOTHER_CHIP = (
    "kernel_memory",
    "neuron_memory",
    "bias_memory",
    "placement",
    "core_count",
    "weight_range",
    "bias_range",
    "state_range",
)
"""Rules whose findings another chip may not have."""
SMALLER = (two_cores, fewer_channels, pooled_before, larger_stride)
EDITS: EditsOf[SpeckProgram, SpeckChip] = {
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
