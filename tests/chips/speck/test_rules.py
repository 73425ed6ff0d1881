"""For each rule: at the limit it is content, one past it the finding says need and limit."""

from dataclasses import replace

import numpy as np
import pytest

from tests.chips.speck.networks import chain, lenet
from toolchain.chips.speck import Destination
from toolchain.chips.speck.rules import RULES, check
from toolchain.diagnostics import Severity
from toolchain.hardware import load_chip

CHIP = load_chip("speck2f")
RULE = {rule.__name__: rule for rule in RULES}
LAST = {"outputs": 2, "kernel": 1}
TABLE = "\n  source: speck2f.yaml, Speck Dev Kit Datasheet tab. 1 (published)"
OVERVIEW = "\n  source: speck2f.yaml, sinabs documentation, Speck overview (published)"
CONFIG = "\n  source: speck2f.yaml, Speck Dev Kit Datasheet sec. 3.2.4 (published)"


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


CASES = [
    (
        "kernel_memory",
        chain((64, 8, 8), {"outputs": 64, "kernel": 3}, LAST),
        chain((64, 8, 8), {"outputs": 65, "kernel": 3}, LAST),
        "error[kernel_memory] conv0: needs 131 072 words, the largest core of speck2f has 65 536"
        + TABLE
        + "\n  hint: 65 -> 32 output channels fits core 3, 4, 5 or 6",
    ),
    (
        "neuron_memory",
        chain((1, 64, 64), {"outputs": 16, "kernel": 1}, LAST),
        chain((1, 64, 64), {"outputs": 17, "kernel": 1}, LAST),
        "error[neuron_memory] spk0: needs 69 632 words, the largest core of speck2f has 65 536"
        + TABLE
        + "\n  hint: 17 -> 8 output channels fits core 0, 1, 2, 3 or 4",
    ),
    (
        "bias_memory",
        one((1, 1, 1), outputs=1024, bias=np.zeros(1024, int)),
        one((1, 1, 1), outputs=1025, bias=np.zeros(1025, int)),
        "error[bias_memory] conv0: needs 1 025 words, the largest core of speck2f has 1 024"
        + TABLE,
    ),
    (
        "kernel_size",
        one((1, 17, 17), kernel=16),
        one((1, 17, 17), kernel=17),
        "error[kernel_size] conv0: kernel 17x17, speck2f takes at most 16x16" + OVERVIEW,
    ),
    (
        "square_kernel",
        one((1, 5, 5), kernel=None),
        one((1, 5, 4), kernel=None),
        "error[square_kernel] conv0: kernel 5x4, speck2f takes square kernels only" + OVERVIEW,
    ),
    (
        "stride",
        one((1, 9, 9), stride=(8, 4)),
        one((1, 9, 9), stride=(1, 3)),
        "error[stride] conv0: stride 1x3, each axis of speck2f takes 1, 2, 4 or 8" + OVERVIEW,
    ),
    (
        "padding",
        one((1, 9, 9), padding=(7, 7)),
        one((1, 9, 9), padding=(0, 8)),
        "error[padding] conv0: padding 0x8, each axis of speck2f takes at most 7" + OVERVIEW,
    ),
    (
        "input_size",
        one((1, 128, 128), stride=(2, 2)),
        one((1, 128, 129), stride=(4, 4)),
        "error[input_size] conv0: input map of 128x129, speck2f takes at most 128x128" + OVERVIEW,
    ),
    (
        "output_size",
        one((1, 64, 64)),
        one((1, 65, 64)),
        "error[output_size] spk0: map of 65x64 neurons, speck2f has at most 64x64" + OVERVIEW,
    ),
    (
        "channels",
        one((1024, 1, 1), outputs=1024),
        one((1025, 1, 1)),
        "error[channels] conv0: 1 025 input channels, speck2f takes at most 1 024" + OVERVIEW,
    ),
    (
        "pooling",
        sends(4, 2),
        sends(8, 1),
        "error[pooling] spk0: sum pooling of 8 to spk1, speck2f takes 1, 2 or 4" + OVERVIEW,
    ),
    (
        "pooling_divides",
        chain((1, 8, 8), {"outputs": 1, "kernel": 1, "pool": 2}, LAST),
        chain((1, 8, 9), {"outputs": 1, "kernel": 1, "pool": 2}, LAST),
        "warning[pooling_divides] spk0: a map of 8x9 is no multiple of its pooling 2 to spk1: the "
        "simulation drops 0 rows and 1 columns, speck2f may send them on outside the map"
        + OVERVIEW,
    ),
    (
        "destinations",
        fan_out(2),
        fan_out(3),
        "error[destinations] spk0: sends to 3 layers, a core of speck2f to at most 2" + OVERVIEW,
    ),
    (
        "destination_shape",
        sends(2, 4),
        sends(2, 5),
        "error[destination_shape] spk0: sends 1x4x4 to spk1, which takes 1x5x5" + OVERVIEW,
    ),
    (
        "threshold_range",
        one((1, 1, 1), threshold_high=32767, threshold_low=-32768),
        one((1, 1, 1), threshold_high=32768),
        "error[threshold_range] spk0: threshold_high 32 768, speck2f holds -32 768 to 32 767"
        + CONFIG,
    ),
    (
        "threshold_low",
        one((1, 1, 1), threshold_low=-1),
        one((1, 1, 1), threshold_low=0),
        "error[threshold_low] spk0: threshold_low 0, on speck2f it works up to -1"
        + CONFIG
        + "\n  hint: threshold_low 0 -> -1",
    ),
    (
        "core_count",
        chain((1, 4, 4), *[{"outputs": 1, "kernel": 1}] * 9),
        chain((1, 4, 4), *[{"outputs": 1, "kernel": 1}] * 10),
        "error[core_count] network: 10 layers with weights, speck2f has 9 cores" + TABLE,
    ),
    (
        "readout_classes",
        one((1, 1, 1), outputs=15),
        one((1, 1, 1), outputs=16),
        "info[readout_classes] spk0: 16 output channels, the readout of speck2f tells 15 classes "
        "apart: read the spikes instead" + OVERVIEW,
    ),
    (
        "single_spike",
        one((1, 1, 1), weight=weights(99), threshold_high=50),
        one((1, 1, 1), weight=weights(100), threshold_high=50),
        "warning[single_spike] conv0: largest weight 100, threshold of spk0 50: one event is worth "
        "2 spikes in the simulation, speck2f fires once" + CONFIG,
    ),
    (
        "bias_leak",
        one((1, 1, 1), bias=[0]),
        one((1, 1, 1), bias=[-3]),
        "info[bias_leak] conv0: biases of -3 to -3 are added by the slow clock of speck2f: its "
        "period must be 1 ms (1000 Hz)" + TABLE,
    ),
    (
        "assigned_core",
        one((1, 64, 64), outputs=8, core=4),
        one((1, 64, 64), outputs=9, core=4),
        "error[assigned_core] spk0: placed on core 4, needs 36 864 neuron words, that core has "
        "32 768" + TABLE + "\n  hint: core 0, 1 or 2 fits",
    ),
    (
        "event_order",
        one((1, 64, 64), core=2),
        one((1, 64, 64), core=1, outputs=9),
        "info[event_order] spk0: core 1 of speck2f takes events in no fixed order: two runs may "
        "differ" + TABLE + "\n  hint: core 2 keeps the order",
    ),
]


@pytest.mark.parametrize(("name", "good", "bad", "text"), CASES, ids=[case[0] for case in CASES])
def test_at_the_limit_passes_and_one_past_it_is_found(name, good, bad, text):
    assert [*RULE[name](good, CHIP)] == []
    assert [str(finding) for finding in RULE[name](bad, CHIP)] == [text]


@pytest.mark.parametrize(("part", "unit"), [("weight", "weight_width"), ("bias", "bias_width")])
def test_a_chip_with_narrower_memories_refuses_what_does_not_fit(part, unit):
    width = getattr(CHIP.limits, unit).model_copy(update={"value": 5})
    chip = CHIP.model_copy(update={"limits": CHIP.limits.model_copy(update={unit: width})})
    values = {"weight": weights, "bias": lambda value: [value]}[part]
    assert [*RULE[f"{part}_range"](one((1, 1, 1), **{part: values(-16)}), chip)] == []
    (finding,) = RULE[f"{part}_range"](one((1, 1, 1), **{part: values(-17)}), chip)
    assert finding.message == f"{part} of -17 to -17, speck2f holds -16 to 15"
    assert (finding.need, finding.limit) == (6, 5)


def test_a_core_that_is_not_there_is_refused():
    (finding,) = RULE["assigned_core"](one((1, 1, 1), core=9), CHIP)
    assert finding.message == "placed on core 9, speck2f has 0, 1, 2, 3, 4, 5, 6, 7 and 8"


def test_every_rule_has_a_case():
    assert {case[0] for case in CASES} | {"weight_range", "bias_range"} == set(RULE)


def test_a_network_that_breaks_five_rules_gets_five_errors():
    network = chain(
        (1, 129, 129),
        {"outputs": 1, "kernel": 17, "stride": (3, 3), "padding": (8, 8), "threshold_low": 0},
    )
    errors = [f.rule for f in check(network, CHIP) if f.severity is Severity.ERROR]
    assert errors == ["kernel_size", "stride", "padding", "input_size", "threshold_low"]


def test_a_published_network_has_no_findings():
    assert check(lenet(), CHIP) == ()
