"""For each rule: at the limit it is content, one past it the finding says need and limit."""

import numpy as np
import pytest

from tests.chips.xylo.programs import quiet
from toolchain.chips.xylo import Population, XyloProgram
from toolchain.chips.xylo.cycles import cycles_per_step
from toolchain.chips.xylo.rules import RULES, check
from toolchain.diagnostics import Severity
from toolchain.hardware import load_chip

A2, IMU, A3 = map(load_chip, ("xylo_a2", "xylo_imu", "xylo_a3"))
RULE = {rule.__name__: rule for rule in RULES}
OVERVIEW = "\n  source: {}.yaml, Rockpool documentation, Xylo family overview ({})"
LIMITS = "\n  source: {}.yaml, Rockpool documentation, Deploy to Xylo, table of limits ({})"

REGISTERS = (
    "\n  source: xylo_a2.yaml, Rockpool, devices/xylo/syns61201/xa2_devkit_utils.py (published)"
)


def hidden(number, **changes):
    return quiet(hidden=number, **changes)


def targets(number, size=1100):
    """One hidden neuron that reaches ``number`` others, on one synapse or the other."""
    weights = np.zeros((size, size, 2), int)
    weights[3, :number, 0] = 1
    weights[3, number // 2 : number, 1] = -1
    weights[3, : number // 4, 0] = 0
    weights[3, : number // 4, 1] = 5
    return hidden(size, synapses=2, weights_rec=weights)


def connections(number, size=1000, most=64):
    """``number`` connections, at most ``most`` of one neuron."""
    weights = np.zeros((size, size, 1), int)
    full, rest = divmod(number, most)
    weights[:full, :most] = 1
    weights[full, :rest] = -128
    return hidden(size, weights_rec=weights)


def reached(*ids, size=300):
    weights = np.zeros((2, size, 1), int)
    weights[0, list(ids)] = 1
    return quiet(inputs=2, hidden=size, weights_in=weights)


def reading(*ids, size=300):
    weights = np.zeros((size, 2), int)
    weights[list(ids), 1] = -1
    return quiet(outputs=2, hidden=size, weights_out=weights)


def aliased(number):
    return hidden(4, aliases=((), tuple(range(number)), (0,), ()))


def biased(*values, **changes):
    return hidden(len(values), bias=np.array(values), **changes)


CASES = [
    (
        "input_channels",
        A2,
        quiet(inputs=16),
        quiet(inputs=17),
        "error[input_channels] input: needs 17 input channels, xylo_a2 has 16"
        + OVERVIEW.format("xylo_a2", "published"),
    ),
    (
        "hidden_neurons",
        A2,
        hidden(1000),
        hidden(1001),
        "error[hidden_neurons] hidden: needs 1 001 hidden neurons, xylo_a2 has 1 000"
        + OVERVIEW.format("xylo_a2", "published"),
    ),
    (
        "hidden_neurons",
        IMU,
        hidden(496),
        hidden(497),
        "error[hidden_neurons] hidden: needs 497 hidden neurons, xylo_imu has 496"
        + OVERVIEW.format("xylo_imu", "published")
        + "\n  hint: xylo_a2 or xylo_a3 has enough of these",
    ),
    (
        "hidden_neurons",
        A3,
        hidden(992),
        hidden(993),
        "error[hidden_neurons] hidden: needs 993 hidden neurons, xylo_a3 has 992"
        + OVERVIEW.format("xylo_a3", "published")
        + "\n  hint: xylo_a2 has enough of these",
    ),
    (
        "output_neurons",
        A2,
        quiet(outputs=8),
        quiet(outputs=9),
        "error[output_neurons] output: needs 9 output neurons, xylo_a2 has 8"
        + OVERVIEW.format("xylo_a2", "published")
        + "\n  hint: xylo_a3 or xylo_imu has enough of these",
    ),
    (
        "output_neurons",
        A3,
        quiet(outputs=32),
        quiet(outputs=33),
        "error[output_neurons] output: needs 33 output neurons, xylo_a3 has 32"
        + OVERVIEW.format("xylo_a3", "published"),
    ),
    (
        "synapses",
        IMU,
        quiet(synapses=1),
        quiet(synapses=2),
        "error[synapses] network: needs 2 synaptic currents a neuron, xylo_imu has 1"
        + OVERVIEW.format("xylo_imu", "published")
        + "\n  hint: xylo_a2 or xylo_a3 has enough of these",
    ),
    (
        "input_expansion",
        IMU,
        reached(3, 127),
        reached(3, 128),
        "error[input_expansion] hidden: needs 129 hidden neurons within reach of the input, "
        "xylo_imu has 128"
        + OVERVIEW.format("xylo_imu", "published")
        + "\n  hint: xylo_a2 has enough of these",
    ),
    (
        "output_expansion",
        A3,
        reading(172, 299),
        reading(171),
        "error[output_expansion] hidden: needs 129 hidden neurons within reach of the outputs, "
        "xylo_a3 has 128"
        + OVERVIEW.format("xylo_a3", "published")
        + "\n  hint: xylo_a2 has enough of these",
    ),
    (
        "fan_out",
        A2,
        targets(64),
        targets(65),
        "error[fan_out] hidden: needs 65 recurrent targets a neuron, xylo_a2 has 64"
        + OVERVIEW.format("xylo_a2", "published")
        + "\n  hint: xylo_a3 or xylo_imu has enough of these",
    ),
    (
        "fan_out",
        A3,
        targets(1024),
        targets(1025),
        "error[fan_out] hidden: needs 1 025 recurrent targets a neuron, xylo_a3 has 1 024"
        + OVERVIEW.format("xylo_a3", "published"),
    ),
    (
        "fan_out_memory",
        A2,
        connections(32000),
        connections(32001),
        "error[fan_out_memory] network: needs 32 001 recurrent connections, xylo_a2 has 32 000"
        + OVERVIEW.format("xylo_a2", "derived"),
    ),
    (
        "fan_out_memory",
        A3,
        connections(31744),
        connections(31745),
        "error[fan_out_memory] network: needs 31 745 recurrent connections, xylo_a3 has 31 744"
        "\n  source: xylo_a3.yaml, Rockpool, devices/xylo/syns65302/ram.py (derived)"
        "\n  hint: xylo_a2 has enough of these",
    ),
    (
        "alias_targets",
        A2,
        aliased(1),
        aliased(2),
        "error[alias_targets] hidden: needs 2 aliases a neuron, xylo_a2 has 1"
        + LIMITS.format("xylo_a2", "published"),
    ),
    (
        "thresholds",
        A2,
        hidden(2, threshold=np.array([1, 32767])),
        hidden(2, threshold=np.array([0, 32767])),
        "error[thresholds] hidden: threshold 0 fires every step, xylo_a2 needs at least 1"
        + LIMITS.format("xylo_a2", "published"),
    ),
    (
        "thresholds",
        A2,
        quiet(threshold_out=np.array([1])),
        quiet(threshold_out=np.array([-7])),
        "error[thresholds] output: threshold -7 fires every step, xylo_a2 needs at least 1"
        + LIMITS.format("xylo_a2", "published"),
    ),
    (
        "biases",
        A2,
        biased(-128, 127),
        biased(0, -129),
        "error[biases] hidden: biases need 9 bit, xylo_a2 has 8"
        "\n  source: xylo_a2.yaml, xylosim 0.1.3, neuron header and writer of RAM files (derived)",
    ),
    (
        "biases",
        A2,
        quiet(bias_out=np.array([-128])),
        quiet(bias_out=np.array([128])),
        "error[biases] output: biases need 9 bit, xylo_a2 has 8"
        "\n  source: xylo_a2.yaml, xylosim 0.1.3, neuron header and writer of RAM files (derived)",
    ),
    (
        "weight_shifts",
        A2,
        quiet(weight_shift_rec=7),
        quiet(weight_shift_rec=8),
        "error[weight_shifts] network: weight_shift_rec is 8, xylo_a2 has 0 to 7" + REGISTERS,
    ),
    (
        "real_time",
        A2,
        quiet(dt=(1 + 2 * 22 + 2 * 3 + 2 * 9 + 12 + 7.0) / 50e6),
        quiet(dt=87 / 50e6),
        "warning[real_time] network: needs 88 cycles a step if every neuron spikes, 50 MHz and dt "
        "1.74e-06 s give 87; see estimate() for the load of your data" + REGISTERS,
    ),
]


@pytest.mark.parametrize(
    ("name", "chip", "good", "bad", "text"), CASES, ids=[f"{c[0]}-{c[1].name}" for c in CASES]
)
def test_at_the_limit_passes_and_one_past_it_is_found(name, chip, good, bad, text):
    assert [*RULE[name](good, chip)] == []
    assert [str(finding) for finding in RULE[name](bad, chip)] == [text]


def test_every_rule_has_a_case():
    assert {case[0] for case in CASES} == set(RULE)


@pytest.mark.parametrize(
    ("name", "chip", "good", "bad", "text"), CASES, ids=[f"{c[0]}-{c[1].name}" for c in CASES]
)
def test_a_hint_names_all_chips_on_which_the_same_rule_is_content(name, chip, good, bad, text):
    del good, text
    (finding,) = RULE[name](bad, chip)
    if name in ("thresholds", "biases", "weight_shifts", "real_time"):
        assert finding.hint == ""
        return
    others = [c for c in (A2, A3, IMU) if c.name != chip.name]
    content = [c.name for c in others if not [*RULE[name](bad, c)]]
    assert finding.hint == (f"{' or '.join(content)} has enough of these" if content else "")


def test_a_finding_holds_its_two_numbers():
    (finding,) = RULE["biases"](biased(300), A2)
    assert (finding.need, finding.limit, finding.where) == (10, 8, "hidden")
    (finding,) = RULE["fan_out"](targets(70), A2)
    assert (finding.need, finding.limit) == (70, 64)


@pytest.mark.parametrize(("value", "bits"), [(-1, 1), (-128, 8), (127, 8), (-129, 9), (128, 9)])
def test_a_bias_needs_the_bits_of_its_twos_complement(value, bits):
    chip = A2.model_copy(
        update={
            "limits": A2.limits.model_copy(
                update={"bias_width": A2.limits.bias_width.model_copy(update={"value": bits})}
            )
        }
    )
    assert [*RULE["biases"](biased(value), chip)] == []
    narrower = chip.limits.bias_width.model_copy(update={"value": bits - 1})
    chip = chip.model_copy(
        update={"limits": chip.limits.model_copy(update={"bias_width": narrower})}
    )
    finding, *_ = RULE["biases"](biased(value), chip)
    assert finding.need == bits


def test_a_chip_without_biases_refuses_any():
    chip = A2.model_copy(update={"limits": A2.limits.model_copy(update={"bias_width": None})})
    assert [*RULE["biases"](biased(0, 0), chip)] == []
    (finding,) = RULE["biases"](biased(0, 1), chip)
    assert str(finding) == "error[biases] hidden: has a bias, xylo_a2 has none"


def layers(*sizes):
    """Hidden populations of these sizes and one of outputs."""
    stops = np.cumsum(sizes).tolist()
    return (
        *(
            Population(name=f"l{i}", role="hidden", start=stop - size, stop=stop)
            for i, (size, stop) in enumerate(zip(sizes, stops, strict=True))
        ),
        Population(name="out", role="output", start=0, stop=1),
    )


def test_a_finding_names_the_layer_it_is_about():
    weights = np.zeros((200, 200, 1), int)
    weights[150, :100] = 1
    program = hidden(
        200,
        populations=layers(100, 50, 50),
        weights_rec=weights,
        weights_in=reached(140, size=200).weights_in[:1],
        weights_out=reading(60, size=200).weights_out[:, :1] * 0 + np.eye(200, 1, -60, int),
        aliases=((),) * 120 + ((1, 2),) + ((),) * 79,
        threshold=np.where(np.arange(200) == 199, 0, 5),
    )
    found = {f.rule: f.where for chip in (A2, IMU) for f in check(program, chip)}
    assert found == {
        "fan_out": "l2",
        "input_expansion": "l1",
        "output_expansion": "l0",
        "alias_targets": "l1",
        "thresholds": "l2",
    }


def test_all_inputs_in_reach_say_nothing_of_their_own():
    weights = np.ones((1, 1001, 1), int)
    program = hidden(1001, weights_in=weights, weights_out=np.ones((1001, 1), int))
    assert [f.rule for f in check(program, A2)] == ["hidden_neurons"]


def test_a_network_that_breaks_five_rules_gets_five_errors():
    program = XyloProgram.from_specification(
        chip="xylo_imu",
        weights_in=np.ones((17, 200, 2)),
        weights_rec=np.zeros((200, 200, 2)),
        weights_out=np.ones((20, 17)),
        dash_mem=2,
        dash_syn=2,
        dash_syn_2=2,
        dash_mem_out=2,
        dash_syn_out=2,
        threshold=0,
        threshold_out=9,
        weight_shift_in=9,
        dt=1e-3,
    )
    errors = [f.rule for f in check(program, IMU) if f.severity is Severity.ERROR]
    assert errors == [
        "input_channels",
        "output_neurons",
        "synapses",
        "input_expansion",
        "thresholds",
        "weight_shifts",
    ]


def test_a_small_network_has_no_findings():
    assert check(quiet(dt=1e-3), A2) == ()
    assert check(quiet(dt=None), IMU) == ()


def test_a_program_without_dt_is_not_held_against_real_time():
    assert [*RULE["real_time"](quiet(dt=None), A2)] == []


def test_real_time_is_about_everything_spiking_at_once():
    program = quiet(dt=1e-6)
    (finding,) = RULE["real_time"](program, A2)
    assert finding.need == cycles_per_step(program, A2, input_active=1, hidden_active=1)
