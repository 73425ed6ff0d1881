"""For each rule: at the limit it is content, one past it the finding says need and limit."""

from dataclasses import replace

import numpy as np
import pytest

from tests.chips.speck.networks import chain, lenet
from toolchain.chips.load import load_chip
from toolchain.chips.speck import Destination
from toolchain.chips.speck.rules.program import RULES, check
from toolchain.diagnostics import Severity

CHIP = load_chip("speck2f")
CHIPS = [load_chip(n) for n in ("speck2f", "speck2e", "speck2c_mini", "speck2d_mini", "dynapcnn")]
RULE = {rule.__name__: rule for rule in RULES}
LAST = {"outputs": 2, "kernel": 1}


def one(shape, **layer):
    return chain(shape, {"outputs": 1, "kernel": 1, **layer})


def weights(value):
    return np.full((1, 1, 1, 1), value)


def fan_out(number):
    """A core that sends to ``number`` others."""
    targets = tuple(Destination(layer=f"spk{index}") for index in range(1, number + 1))
    network = chain(
        (1, 4, 4),
        *[{"outputs": 1, "kernel": 1, "input_shape": (1, 4, 4)} for _ in range(number + 1)],
    )
    cores = [replace(network.cores[0], destinations=targets)]
    cores += [replace(core, destinations=()) for core in network.cores[1:]]
    return replace(network, cores=tuple(cores))


def sends(pooled, taken):
    return chain(
        (1, 8, 8),
        {"outputs": 1, "kernel": 1, "pool": pooled},
        {"outputs": 1, "kernel": 1, "input_shape": (1, taken, taken)},
    )


def cases(chip):
    """(rule, program at the limit, program one past it, what is said of that)."""
    name, limits = chip.name, chip.limits
    mini = len(chip.cores) == 5

    def says(text, quantity, hint=""):
        hint = f"\n  hint: {hint}" if hint else ""
        return f"{text}\n  source: {chip.cite(quantity)}{hint}"

    kernels, neurons = ("3", "0") if mini else ("5 or 6", "0, 1 or 2")
    last, first = len(chip.cores) - 1, chip.cores[0]
    ids = "0, 1, 2, 3 and 4" if mini else "0, 1, 2, 3, 4, 5, 6, 7 and 8"
    yield (
        "kernel_memory",
        chain((64, 8, 8), {"outputs": 64, "kernel": 3}, LAST),
        chain((64, 8, 8), {"outputs": 65, "kernel": 3}, LAST),
        says(
            f"error[kernel_memory] conv0: needs 131 072 words, the largest core of {name} has "
            "65 536",
            chip.cores[3 if mini else 5].kernel_memory,
            "conv0 on two cores, with 32 and 33 output channels, gives the same output; or 65 "
            f"-> 64 output channels fits core {kernels}",
        ),
    )
    yield (
        "neuron_memory",
        chain((1, 64, 64), {"outputs": 16, "kernel": 1}, LAST),
        chain((1, 64, 64), {"outputs": 17, "kernel": 1}, LAST),
        says(
            f"error[neuron_memory] spk0: needs 69 632 words, the largest core of {name} has 65 536",
            first.neuron_memory,
            "conv0 on two cores, with 8 and 9 output channels, gives the same output; or 17 -> 16 "
            f"output channels fits core {neurons}; or stride 2 of conv0 fits",
        ),
    )
    yield (
        "bias_memory",
        one((1, 1, 1), outputs=1024, bias=np.zeros(1024, int)),
        one((1, 1, 1), outputs=1025, bias=np.zeros(1025, int)),
        says(
            f"error[bias_memory] conv0: needs 1 025 words, the largest core of {name} has 1 024",
            chip.cores[last].bias_memory,
            "without its biases, which are all 0, it fits",
        ),
    )
    yield (
        "kernel_size",
        one((1, 17, 17), kernel=16),
        one((1, 17, 17), kernel=17),
        says(
            f"error[kernel_size] conv0: kernel 17x17, {name} supports at most 16x16",
            limits.kernel_size,
        ),
    )
    yield (
        "square_kernel",
        one((1, 5, 5), weight=np.ones((1, 1, 3, 3), int)),
        one((1, 5, 5), weight=np.ones((1, 1, 3, 2), int)),
        says(
            f"error[square_kernel] conv0: kernel 3x2, {name} supports square kernels only",
            limits.kernel_size,
            "a 3x3 kernel is supported, with a map of 3x3",
        ),
    )
    yield (
        "stride",
        one((1, 9, 9), stride=(8, 4)),
        one((1, 9, 9), stride=(1, 3)),
        says(
            f"error[stride] conv0: stride 1x3, each axis of {name} supports 1, 2, 4 or 8",
            limits.strides,
            "stride 1x2 is supported; or stride 1x4 is supported",
        ),
    )
    yield (
        "stride",
        one((1, 9, 9), stride=(8, 8)),
        one((1, 9, 9), stride=(9, 8)),
        says(
            f"error[stride] conv0: stride 9x8, each axis of {name} supports 1, 2, 4 or 8",
            limits.strides,
            "stride 8x8 is supported",
        ),
    )
    yield (
        "padding",
        one((1, 9, 9), padding=(7, 7)),
        one((1, 9, 9), padding=(0, 8)),
        says(
            f"error[padding] conv0: padding 0x8, each axis of {name} supports at most 7",
            limits.padding,
            "padding 0x7 is supported",
        ),
    )
    yield (
        "input_size",
        one((1, 128, 128), stride=(2, 2)),
        one((1, 128, 129), stride=(4, 4)),
        says(
            f"error[input_size] conv0: input map of 128x129, {name} supports at most 128x128",
            limits.input_size,
        ),
    )
    yield (
        "output_size",
        one((1, 64, 64)),
        one((1, 65, 64)),
        says(
            f"error[output_size] spk0: map of 65x64 neurons, {name} has at most 64x64",
            limits.output_size,
            "stride 2 of conv0 fits",
        ),
    )
    yield (
        "channels",
        one((1024, 1, 1), outputs=16),
        one((1025, 1, 1)),
        says(
            f"error[channels] conv0: 1 025 input channels, {name} supports at most 1 024",
            limits.channels,
        ),
    )
    yield (
        "channels",
        chain((1, 1, 1), {"outputs": 1024, "kernel": 1}),
        chain((1, 1, 1), {"outputs": 1025, "kernel": 1}),
        says(
            f"error[channels] conv0: 1 025 output channels, {name} supports at most 1 024",
            limits.channels,
        ),
    )
    yield (
        "pooling",
        sends(4, 2),
        sends(8, 1),
        says(
            f"error[pooling] spk0: sum pooling of 8 to spk1, {name} supports 1, 2 or 4",
            limits.pooling,
            "sum pooling of 4 to spk1 is supported",
        ),
    )
    yield (
        "pooling_divides",
        chain((1, 8, 8), {"outputs": 1, "kernel": 1, "pool": 2}, LAST),
        chain((1, 8, 9), {"outputs": 1, "kernel": 1, "pool": 2}, LAST),
        says(
            "warning[pooling_divides] spk0: a map of 8x9 is not a multiple of its pooling 2 to "
            f"spk1: the simulation drops 0 rows and 1 columns, {name} may send them on outside the "
            "map",
            limits.pooling,
        ),
    )
    yield (
        "destinations",
        fan_out(2),
        fan_out(3),
        says(
            f"error[destinations] spk0: sends to 3 layers, a core of {name} to at most 2",
            limits.destinations,
            "a copy of conv0 and spk0 for spk3 gives the same output",
        ),
    )
    yield (
        "destination_shape",
        sends(2, 4),
        sends(2, 5),
        says(
            "error[destination_shape] spk0: sends 1x4x4 to spk1, which takes 1x5x5",
            limits.destinations,
        ),
    )
    yield (
        "threshold_range",
        one((1, 1, 1), threshold_high=32767, threshold_low=-32768),
        one((1, 1, 1), threshold_high=32768),
        says(
            f"error[threshold_range] spk0: threshold_high 32 768, {name} stores -32 768 to 32 767",
            limits.threshold_width,
            "all integers of the layer divided by 2 and rounded fit",
        ),
    )
    yield (
        "threshold_range",
        one((1, 1, 1), threshold_high=1, threshold_low=-32768),
        one((1, 1, 1), threshold_low=-32769),
        says(
            f"error[threshold_range] spk0: threshold_low -32 769, {name} stores -32 768 to 32 767",
            limits.threshold_width,
            "all integers of the layer divided by 2 and rounded fit",
        ),
    )
    yield (
        "threshold_low",
        one((1, 1, 1), threshold_low=-1),
        one((1, 1, 1), threshold_low=0),
        says(
            f"error[threshold_low] spk0: threshold_low 0, on {name} it works up to -1",
            limits.threshold_low_max,
            "threshold_low 0 -> -1",
        ),
    )
    yield (
        "core_count",
        chain((1, 4, 4), *[{"outputs": 1, "kernel": 1}] * len(chip.cores)),
        chain((1, 4, 4), *[{"outputs": 1, "kernel": 1}] * (len(chip.cores) + 1)),
        says(
            f"error[core_count] network: {len(chip.cores) + 1} layers with weights, {name} has "
            f"{len(chip.cores)} cores",
            first.kernel_memory,
            "the program fits speck2e or speck2f" if mini else "",
        ),
    )
    if limits.readout_classes is not None:
        yield (
            "readout_classes",
            one((1, 1, 1), outputs=15),
            one((1, 1, 1), outputs=16),
            says(
                f"info[readout_classes] spk0: 16 output channels, the readout of {name} has 15 "
                "classes: read the spikes instead",
                limits.readout_classes,
            ),
        )
    yield (
        "single_spike",
        one((1, 1, 1), weight=weights(99), threshold_high=50),
        one((1, 1, 1), weight=weights(100), threshold_high=50),
        says(
            "warning[single_spike] conv0: largest weight 100, threshold of spk0 50: one event "
            f"causes 2 spikes in the simulation, one on {name}",
            limits.threshold_width,
            "1 of 1 weights clipped to 99 give one spike per event",
        ),
    )
    yield (
        "bias_leak",
        one((1, 1, 1), bias=[0]),
        one((1, 1, 1), bias=[-3]),
        says(
            "info[bias_leak] conv0: biases of -3 to -3 are added by the slow clock of "
            f"{name}: its period must be 1 ms (1000 Hz)",
            limits.bias_width,
        ),
    )
    yield (
        "assigned_core",
        one((1, 64, 64), outputs=4, core=last),
        one((1, 64, 64), outputs=5, core=last),
        says(
            f"error[assigned_core] spk0: placed on core {last}, needs 20 480 neuron words, that "
            "core has 16 384",
            chip.cores[last].neuron_memory,
            "core 0, 1 or 2 fits" if mini else "core 0, 1, 2, 3 or 4 fits",
        ),
    )
    yield (
        "assigned_core",
        one((1, 1, 1), core=last),
        one((1, 1, 1), core=last + 1),
        says(
            f"error[assigned_core] spk0: placed on core {last + 1}, but {name} has cores {ids}",
            first.kernel_memory,
            f"core {ids.replace('and', 'or')} fits",
        ),
    )
    yield (
        "event_order",
        one((1, 16, 16), core=2),
        one((1, 16, 16), core=1),
        says(
            f"info[event_order] spk0: core 1 of {name} processes events in no fixed order: two "
            "runs may differ",
            chip.cores[1].kernel_memory,
            f"core {'2, 3 or 4' if mini else '2, 3, 4, 5, 6, 7 or 8'} keeps the order",
        ),
    )
    if mini:
        yield (
            "assigned_core",
            one((1, 1, 1), bias=[1], core=3),
            one((1, 1, 1), bias=[1], core=2),
            says(
                "error[assigned_core] spk0: placed on core 2, needs 1 bias words, that core has 0",
                chip.cores[2].bias_memory,
                "core 3 or 4 fits",
            ),
        )


CASES = [(chip, *case) for chip in CHIPS for case in cases(chip)]


@pytest.mark.parametrize(
    ("chip", "rule", "good", "bad", "text"), CASES, ids=[f"{c[0].name}-{c[1]}" for c in CASES]
)
def test_at_the_limit_passes_and_one_past_it_is_found(chip, rule, good, bad, text):
    assert [*RULE[rule](good, chip)] == []
    assert [str(finding) for finding in check(bad, chip) if finding.rule == rule] == [text]


NARROW = [
    ("weight", "weight_range", "weight_width", "conv0: weight"),
    ("bias", "bias_range", "bias_width", "conv0: bias"),
    ("initial", "state_range", "state_width", "spk0: initial membranes"),
]


@pytest.mark.parametrize(("part", "rule", "unit", "text"), NARROW)
def test_a_chip_with_narrower_memories_refuses_what_does_not_fit(part, rule, unit, text):
    width = getattr(CHIP.limits, unit).model_copy(update={"value": 5})
    chip = CHIP.model_copy(update={"limits": CHIP.limits.model_copy(update={unit: width})})
    shape = {"weight": (1, 1, 1, 1), "bias": (1,), "initial": (1, 1, 1)}[part]
    at, past = (one((1, 1, 1), **{part: np.full(shape, value)}) for value in (-16, -17))
    assert [*RULE[rule](at, chip)] == []
    (finding,) = [f for f in check(past, chip) if f.rule == rule]
    assert (
        f"{finding.where}: {finding.message}" == f"{text} of -17 to -17, speck2f stores -16 to 15"
    )
    assert (finding.need, finding.limit) == (6, 5)
    assert finding.hint == (
        "all integers of the layer divided by 2 and rounded fit; or the program fits speck2e"
    )


def test_every_rule_has_a_case():
    files = ("rules.cores", "rules.shapes", "rules.values")
    own = {name for name, rule in RULE.items() if rule.__module__.endswith(files)}
    assert {case[1] for case in CASES} | {case[1] for case in NARROW} == own


def test_a_network_that_breaks_five_rules_gets_five_errors():
    network = chain(
        (1, 129, 129),
        {"outputs": 1, "kernel": 17, "stride": (3, 3), "padding": (8, 8), "threshold_low": 0},
    )
    errors = [f.rule for f in check(network, CHIP) if f.severity is Severity.ERROR]
    assert errors == ["kernel_size", "stride", "padding", "input_size", "threshold_low"]


def test_a_published_network_has_no_findings():
    assert check(lenet(), CHIP) == ()
