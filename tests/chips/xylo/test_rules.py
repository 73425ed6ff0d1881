"""For each rule: at the limit it is content, one past it the finding is told in full."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.chips.xylo.graphs import lif, readout, wired
from tests.chips.xylo.programs import as_program, quiet
from tests.oracles.xylo_networks import random_network, random_raster
from toolchain import DeployError, deploy
from toolchain.chips.load import load_chip
from toolchain.chips.xylo import Population, XyloProgram, simulate
from toolchain.chips.xylo.cycles import cycles_per_step
from toolchain.chips.xylo.rules.paths import never_fires
from toolchain.chips.xylo.rules.program import RULES, check
from toolchain.diagnostics import Severity

X1, A2, IMU, A3 = map(load_chip, ("xylo_1", "xylo_a2", "xylo_imu", "xylo_a3"))
RULE = {rule.__name__: rule for rule in RULES}
TITLES = {
    "overview": "Rockpool documentation, Xylo family overview",
    "limits": "Rockpool documentation, Deploy to Xylo, table of limits",
    "registers": "Rockpool, devices/xylo/syns61201/xa2_devkit_utils.py",
    "ram": "Rockpool, devices/xylo/syns65302/ram.py",
    "imu": "Rockpool documentation, Introduction to Xylo IMU",
    "reg": "Rockpool, devices/xylo/syns65302/reg.py",
    "rate": "Rockpool, clock divider of devices/xylo/syns63300",
    "bias": "xylosim 0.1.3, neuron header and writer of RAM files",
}


def text(chip, head, document, basis="published", hint=""):
    """A finding as it is printed."""
    lines = [head, f"  source: {chip.name}.yaml, {TITLES[document]} ({basis})"]
    return "\n".join(lines + ([f"  hint: {hint}"] if hint else []))


def number_text(number):
    return f"{number:,}".replace(",", " ")


def messages(program, chip, rule):
    return [str(finding) for finding in check(program, chip) if finding.rule == rule]


def hidden(number, **changes):
    return quiet(hidden=number, **changes)


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


def targets(number, size):
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
    return hidden(4, aliases=((), tuple(range(2, 2 + number)), (), ()))


def two_currents(*, both=True):
    """Two synapses, of which one neuron uses both, or each its own."""
    weights = np.zeros((1, 2, 2), int)
    weights[0, 0] = 3, 4 if both else 0
    weights[0, 1] = 0, 5
    return quiet(synapses=2, weights_in=weights)


def driven(**changes):
    """One neuron of each kind, joined by weights."""
    fields = {"weights_in": [[[1]]], "weights_out": [[1]]}
    arrays = {n: np.array(v) if isinstance(v, list) else v for n, v in (fields | changes).items()}
    return quiet(hidden=1, **arrays)


def narrow(chip, **bits):
    """The chip with narrower fields."""
    fields = {
        name: getattr(chip.limits, name).model_copy(update={"value": value})
        for name, value in bits.items()
    }
    return chip.model_copy(update={"limits": chip.limits.model_copy(update=fields)})


def size_cases():
    """How many there are of a thing."""
    fits = "the program fits"
    for chip in (X1, A2, IMU, A3):
        core = chip.integer_core
        for used, hint in ((17, ""), (15, "it fits without the 2 channels that reach nothing")):
            weights = np.ones((17, 2, 1), int) * (np.arange(17) < used)[:, None, None]
            yield (
                "input_channels",
                chip,
                quiet(inputs=16, core=core),
                quiet(inputs=17, core=core, weights_in=weights),
                f"error[input_channels] input: needs 17 input channels, {chip.name} has 16",
                ("overview", "published"),
                hint,
            )
    for chip, limit, hint in (
        (X1, 1000, ""),
        (A2, 1000, ""),
        (IMU, 496, f"{fits} xylo_a2 or xylo_a3; or "),
        (A3, 992, f"{fits} xylo_a2; or "),
    ):
        over, least = number_text(limit + 1), number_text(limit)
        yield (
            "hidden_neurons",
            chip,
            hidden(limit, core=chip.integer_core),
            hidden(limit + 1, core=chip.integer_core),
            f"error[hidden_neurons] hidden: needs {over} hidden neurons, {chip.name} has {least}",
            ("overview", "published"),
            f"{hint}'hidden' {over} -> {least} neurons fits",
        )
    for chip, limit, hint in (
        (X1, 8, f"{fits} xylo_a3 or xylo_imu"),
        (A2, 8, f"{fits} xylo_a3 or xylo_imu"),
        (IMU, 16, f"{fits} xylo_a3"),
        (A3, 32, ""),
    ):
        yield (
            "output_neurons",
            chip,
            quiet(outputs=limit, core=chip.integer_core),
            quiet(outputs=limit + 1, core=chip.integer_core),
            f"error[output_neurons] output: needs {limit + 1} output neurons, {chip.name} has "
            f"{limit}",
            ("overview", "published"),
            hint,
        )
    yield (
        "synapses",
        IMU,
        quiet(synapses=1),
        two_currents(),
        "error[synapses] hidden: needs 2 synaptic currents per neuron, xylo_imu has 1",
        ("overview", "published"),
        f"{fits} xylo_a2 or xylo_a3",
    )
    yield (
        "synapses",
        IMU,
        quiet(synapses=1),
        two_currents(both=False),
        "error[synapses] hidden: needs 2 synaptic currents per neuron, xylo_imu has 1",
        ("overview", "published"),
        f"{fits} xylo_a2 or xylo_a3; or no neuron uses two currents: with one, the network is the "
        "same",
    )
    yield (
        "synapses",
        IMU,
        quiet(synapses=1),
        quiet(synapses=2),
        "error[synapses] network: needs 2 synaptic currents per neuron, xylo_imu has 1",
        ("overview", "published"),
        f"{fits} xylo_a2 or xylo_a3; or no neuron uses two currents: with one, the network is the "
        "same",
    )


def path_cases():
    """How far things reach."""
    fits = "the program fits xylo_a2"
    numbered = (
        "it fits with neurons renumbered, those fed by the input first and those read out last"
    )
    for chip in (IMU, A3):
        yield (
            "input_expansion",
            chip,
            reached(3, 127),
            reached(3, 128),
            "error[input_expansion] hidden: needs 129 hidden neurons reachable from the input, "
            f"{chip.name} has 128",
            ("overview", "published"),
            f"{fits}; or {numbered}; or 'hidden' 300 -> 128 neurons fits",
        )
        yield (
            "input_expansion",
            chip,
            reached(*range(128)),
            reached(*range(129)),
            "error[input_expansion] hidden: needs 129 hidden neurons reachable from the input, "
            f"{chip.name} has 128",
            ("overview", "published"),
            f"{fits}; or 'hidden' 300 -> 128 neurons fits",
        )
        yield (
            "output_expansion",
            chip,
            reading(172, 299),
            reading(171),
            "error[output_expansion] hidden: needs 129 hidden neurons readable by the "
            f"outputs, {chip.name} has 128",
            ("overview", "published"),
            f"{fits}; or {numbered}; or 'hidden' 300 -> 299 neurons fits",
        )
    for chip, limit, size, hint in (
        (X1, 64, 140, "the program fits xylo_a3; or "),
        (A2, 64, 140, "the program fits xylo_a3; or "),
        (IMU, 512, 600, "the program fits xylo_a3; or "),
        (A3, 1024, 1100, ""),
    ):
        over, least = number_text(limit + 1), number_text(limit)
        yield (
            "fan_out",
            chip,
            replace(targets(limit, size), core=chip.integer_core),
            replace(targets(limit + 1, size), core=chip.integer_core),
            f"error[fan_out] hidden: needs {over} hidden targets per neuron, {chip.name} has "
            f"{least}; 1 of its {number_text(size)} neurons needs more than that",
            ("registers", "derived") if chip is X1 else ("overview", "published"),
            f"{hint}prune each neuron's smallest weights between hidden layers: the largest "
            f"removed is 1 of 127; or 'hidden' {number_text(size)} -> {least} neurons fits",
        )
    for chip, limit, source, hint in (
        (X1, 32000, ("registers", "derived"), ""),
        (A2, 32000, ("overview", "derived"), ""),
        (IMU, 31744, ("imu", "published"), f"{fits}; or "),
        (A3, 31744, ("ram", "derived"), f"{fits}; or "),
    ):
        over, least = number_text(limit + 1), number_text(limit)
        yield (
            "fan_out_memory",
            chip,
            replace(connections(limit), core=chip.integer_core),
            replace(connections(limit + 1), core=chip.integer_core),
            f"error[fan_out_memory] network: needs {over} connections between hidden neurons, "
            f"{chip.name} has {least}",
            source,
            f"{hint}prune the smallest weight between hidden layers: the largest removed is 1 of "
            f"127; or 'hidden' 1 000 -> {limit // 64} neurons fits",
        )
    for chip in (X1, A2, IMU, A3):
        yield (
            "alias_targets",
            chip,
            replace(aliased(1), core=chip.integer_core),
            replace(aliased(2), core=chip.integer_core),
            f"error[alias_targets] hidden: needs 2 aliases per neuron, {chip.name} has 1; 1 of its "
            "4 neurons needs more than that",
            ("limits", "published"),
            "",
        )


def value_cases():
    """What single registers hold."""
    for bad, found in (([0, 32767], 0), ([32767, -7], -7)):
        yield (
            "thresholds",
            A2,
            hidden(2, threshold=np.array([1, 32767]), weights_in=np.ones((1, 2, 1), int)),
            hidden(2, threshold=np.array(bad), weights_in=np.ones((1, 2, 1), int)),
            f"error[thresholds] hidden: threshold {found} in 1 of 2 neurons fires every step, "
            "xylo_a2 needs at least 1",
            ("limits", "published"),
            "",
        )
    yield (
        "thresholds",
        X1,
        driven(core="v1"),
        quiet(threshold_out=np.array([0]), core="v1"),
        "error[thresholds] output: threshold 0 in the only neuron fires every step, xylo_1 needs "
        "at least 1",
        ("limits", "published"),
        "these neurons have no positive input: with threshold 1 they never fire",
    )
    for chip in (A2, IMU, A3):
        for good, bad, span, factor in (
            ((-128, 127), (0, -129), "-129 to 0 need 9", 2),
            ((0, 127), (0, 128), "0 to 128 need 9", 2),
            ((0, 1), (3, 509), "3 to 509 need 10", 4),
        ):
            yield (
                "biases",
                chip,
                hidden(2, bias=np.array(good)),
                hidden(2, bias=np.array(bad)),
                f"error[biases] hidden: biases of {span} bit, {chip.name} has 8",
                ("bias", "derived"),
                f"weights, thresholds and biases of hidden divided by {factor} and rounded fit",
            )
    yield (
        "biases",
        A2,
        quiet(bias_out=np.array([-128])),
        quiet(bias_out=np.array([128]), threshold_out=np.array([1])),
        "error[biases] output: biases of 128 need 9 bit, xylo_a2 has 8",
        ("bias", "derived"),
        "",
    )
    for chip, document, basis in (
        (X1, "registers", "assumed"),
        (A2, "registers", "published"),
        (IMU, "overview", "assumed"),
        (A3, "reg", "assumed"),
    ):
        core = chip.integer_core
        yield (
            "weight_shifts",
            chip,
            driven(weight_shift_rec=7, core=core),
            driven(weight_shift_rec=8, core=core),
            f"error[weight_shifts] network: weight_shift_rec is 8, {chip.name} has 0 to 7",
            (document, basis),
            "weights_rec times 2 with weight_shift_rec 7 are the same numbers",
        )
    yield (
        "weight_shifts",
        A2,
        driven(weight_shift_in=7, weights_in=[[[100]]]),
        driven(weight_shift_in=8, weights_in=[[[100]]]),
        "error[weight_shifts] input: weight_shift_in is 8, xylo_a2 has 0 to 7",
        ("registers", "published"),
        "",
    )
    yield (
        "weight_shifts",
        A2,
        driven(weight_shift_out=7),
        driven(weight_shift_out=9, weights_out=[[-32]]),
        "error[weight_shifts] output: weight_shift_out is 9, xylo_a2 has 0 to 7",
        ("registers", "published"),
        "weights_out times 4 with weight_shift_out 7 are the same numbers",
    )
    yield (
        "widths",
        narrow(A2, weight_width=4),
        driven(weights_in=[[[-8]]], weights_rec=[[[7]]]),
        driven(weights_in=[[[-9]]]),
        "error[widths] network: weights_in of -9 needs 5 bit, xylo_a2 has 4",
        ("limits", "published"),
        "the program fits xylo_a3 or xylo_imu",
    )
    yield (
        "widths",
        narrow(A2, dash_width=2),
        driven(dash_mem=[3]),
        driven(dash_mem=[4]),
        "error[widths] network: dash_mem of 4 needs 3 bit, xylo_a2 has 2",
        ("limits", "published"),
        "the program fits xylo_a3 or xylo_imu",
    )
    yield (
        "widths",
        narrow(A2, threshold_width=10),
        driven(threshold=[511], threshold_out=[511]),
        driven(threshold=[512], threshold_out=[511]),
        "error[widths] network: threshold of 512 needs 11 bit, xylo_a2 has 10",
        ("limits", "published"),
        "the program fits xylo_a3 or xylo_imu",
    )
    yield (
        "same_core",
        A2,
        quiet(),
        replace(quiet(), max_hidden_spikes=32),
        "error[same_core] network: max_hidden_spikes is 32, a hidden neuron of xylo_a2 carries 31 "
        "per step",
        ("limits", "published"),
        "",
    )
    cleared = "clears the current every step before it reaches the membrane: no input has an effect"
    dash = "dash 1 is the shortest decay that keeps a part of the state"
    yield (
        "decays",
        A2,
        driven(dash_syn=[1]),
        driven(dash_syn=[0]),
        f"warning[decays] hidden: dash_syn 0 in the only neuron {cleared}",
        ("limits", "published"),
        dash,
    )
    yield (
        "decays",
        A3,
        driven(dash_mem_out=[1]),
        driven(dash_mem_out=[0]),
        "info[decays] output: dash_mem_out 0 in the only neuron clears the membrane every step, "
        "which then contains only that step's current",
        ("limits", "published"),
        "",
    )
    yield (
        "decays",
        A2,
        replace(two_currents(both=False), dash_syn_2=np.array([0, 1])),
        replace(two_currents(), dash_syn_2=np.array([0, 1])),
        f"warning[decays] hidden: dash_syn_2 0 in 1 of 2 neurons {cleared}",
        ("limits", "published"),
        dash,
    )


def time_cases():
    """How long a step takes."""
    yield (
        "real_time",
        A2,
        quiet(dt=(1 + 2 * 22 + 2 * 3 + 2 * 9 + 12 + 7.0) / 50e6),
        quiet(dt=87 / 50e6),
        "warning[real_time] network: needs 88 cycles per step if every neuron spikes, 50 MHz and "
        "dt 1.74e-06 s give 87; see estimate() for the load of your data",
        ("registers", "published"),
        "dt of 1.76e-06 s or longer",
    )
    yield (
        "real_time_step",
        IMU,
        quiet(dt=5e-3),
        quiet(dt=1e-3),
        "warning[real_time_step] network: dt is 1 ms, in real time xylo_imu steps every 5 ms: this "
        "program runs in accelerated time only",
        ("rate", "published"),
        "dt of 0.005 s",
    )


CASES = [*size_cases(), *path_cases(), *value_cases(), *time_cases()]
IDS = [f"{case[0]}-{case[1].name}" for case in CASES]


@pytest.mark.parametrize(("name", "chip", "good", "bad", "head", "source", "hint"), CASES, ids=IDS)
def test_at_the_limit_passes_and_one_past_it_is_found(name, chip, good, bad, head, source, hint):
    assert messages(good, chip, name) == []
    assert messages(bad, chip, name) == [text(chip, head, *source, hint)]


@pytest.mark.parametrize(("name", "chip", "good", "bad", "head", "source", "hint"), CASES, ids=IDS)
def test_a_finding_that_is_about_numbers_holds_them(name, chip, good, bad, head, source, hint):
    del good, head, source, hint
    (finding,) = RULE[name](bad, chip)
    assert finding.need != finding.limit
    low = name in ("thresholds", "decays") or name == "real_time_step"
    assert (finding.need < finding.limit) == low


# ---- aliases, and neurons without a way ----

LOOP = (
    "within one step spikes return to the neuron that fired them and are counted again; no "
    "publication states that xylo_a2 does the same\n  source: xylosim 0.1.3 as observed"
)
BACK = (
    "to a lower neuron id, which was processed earlier in the step: it delivers these spikes, but "
    "they do not count towards its limit of 31 and are not passed to its own alias"
    "\n  source: xylosim 0.1.3 as observed"
)


@pytest.mark.parametrize(
    ("aliases", "rule", "findings"),
    [
        (((1,), (2,), (3,), ()), "alias_loops", []),
        (
            ((), (1,), (), ()),
            "alias_loops",
            [
                f"warning[alias_loops] l0: loop of aliases l0[1] -> l0[1]: {LOOP}\n  hint: remove "
                "the alias that closes it"
            ],
        ),
        (
            ((2,), (), (3,), (0,)),
            "alias_loops",
            [
                "warning[alias_loops] l0: loop of aliases l0[0] -> l1[0] -> l1[1] -> l0[0]: "
                f"{LOOP}\n  hint: remove the alias that closes it"
            ],
        ),
        (
            ((0,), (1,), (3,), (2,)),
            "alias_loops",
            [
                "warning[alias_loops] l0: 2 loops of aliases, the first l0[0] -> l0[0]: "
                f"{LOOP}\n  hint: remove the 2 aliases that close loops",
                f"warning[alias_loops] l1: loop of aliases l1[0] -> l1[1] -> l1[0]: {LOOP}\n  "
                "hint: remove the alias that closes it",
            ],
        ),
        (((1,), (2,), (3,), ()), "alias_order", []),
        (((1,), (0,), (2,), ()), "alias_order", []),
        (
            ((), (), (), (1,)),
            "alias_order",
            [f"warning[alias_order] l1: the alias l1[1] -> l0[1], leads {BACK}"],
        ),
        (
            ((), (), (1,), (2,)),
            "alias_order",
            [f"warning[alias_order] l1: 2 aliases, the first l1[0] -> l0[1], lead {BACK}"],
        ),
    ],
)
def test_aliases_that_lead_back_are_told_with_what_they_do(aliases, rule, findings):
    program = hidden(4, aliases=aliases, populations=layers(2, 2))
    assert messages(program, A2, rule) == findings


def test_a_long_loop_is_told_by_its_ends():
    program = hidden(9, aliases=(*((n + 1,) for n in range(8)), (0,)), populations=layers(9))
    (finding,) = messages(program, A2, "alias_loops")
    assert "loop of aliases l0[0] -> l0[1] -> l0[2] -> ... -> l0[0]: " in finding


def joined(**changes):
    """Input 0 drives hidden 0 up, which drives 1, which drives the output; 2 and 3 are apart."""
    into, between, out = np.zeros((2, 4, 1), int), np.zeros((4, 4, 1), int), np.zeros((4, 2), int)
    into[0, 0] = between[0, 1] = out[1, 0] = 5
    fields = {"weights_in": into, "weights_rec": between, "weights_out": out}
    populations = (*layers(2, 2)[:2], Population(name="out", role="output", start=0, stop=2))
    return quiet(inputs=2, hidden=4, outputs=2, populations=populations, **fields | changes)


def test_neurons_that_cannot_fire_or_are_not_read_are_told_by_layer():
    assert [str(finding) for finding in check(joined(), A2)] == [
        "info[silent_neurons] l1: all 2 neurons can never fire: no positive weight on a path "
        "from the input, no positive bias",
        "warning[silent_neurons] out: 1 of 2 neurons can never fire: no positive weight on a "
        "path from the input, no positive bias",
        "info[unread_neurons] l1: all 2 neurons cannot reach an output: no path of weights and "
        "aliases leads there",
        "info[unread_channels] input: 1 of 2 channels without any weight: their spikes have no "
        "effect",
    ]


def test_a_bias_or_an_alias_makes_a_neuron_fire_and_inhibition_does_not():
    def silent(**changes):
        found = [f for f in check(joined(**changes), A2) if f.rule == "silent_neurons"]
        return {f.where: f.need for f in found}

    assert silent() == {"l1": 2, "out": 1}
    assert silent(bias=np.array([0, 0, 1, 0])) == {"l1": 1, "out": 1}
    assert silent(aliases=((2,), (), (3,), ())) == {"out": 1}
    assert silent(bias_out=np.array([0, 1])) == {"l1": 2}
    assert silent(weights_rec=-joined().weights_rec) == {"l0": 1, "l1": 2, "out": 2}


def test_a_neuron_is_read_through_others_and_through_aliases():
    def unread(**changes):
        found = [f for f in check(joined(**changes), A2) if f.rule == "unread_neurons"]
        return {f.where: f.need for f in found}

    assert unread() == {"l1": 2}
    assert unread(aliases=((), (), (), (0,))) == {"l1": 1}
    assert unread(weights_out=np.array([[0, 0], [0, 0], [1, 0], [0, 0]])) == {"l0": 2, "l1": 1}


def test_a_neuron_that_cannot_fire_stays_silent():
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(200):
        net = random_network(rng, "v2", most_hidden=12)
        for name in ("weights_in", "weights_rec", "weights_out"):
            net[name] = net[name] * (rng.random(net[name].shape) < 0.15)
        program = as_program(net)
        silent, outputs = never_fires(program)
        run = simulate(program, random_raster(rng, net, 60)[None], record=True)
        assert not run.hidden_spikes[..., silent].any()
        assert not run.spikes[..., outputs].any()
        seen += int(silent.sum()) + int(outputs.sum())
    assert seen > 300


# ---- all together ----


def test_every_rule_has_a_case():
    others = {"alias_loops", "alias_order", "silent_neurons", "unread_neurons", "unread_channels"}
    assert {case[0] for case in CASES} | others == set(RULE)


def test_a_program_for_another_core_is_refused():
    assert messages(quiet(core="v1"), A2, "same_core") == [
        "error[same_core] network: is a program for core v1, xylo_a2 has core v2"
    ]


def test_a_chip_without_biases_refuses_any():
    assert messages(hidden(2), X1, "biases") == []
    assert messages(hidden(2, bias=np.array([0, 1])), X1, "biases") == [
        "error[biases] hidden: 1 of 2 neurons with a bias, xylo_1 has none"
        "\n  hint: the program fits xylo_a2 or xylo_a3 or xylo_imu"
    ]


@pytest.mark.parametrize(("value", "bits"), [(-1, 1), (-128, 8), (127, 8), (-129, 9), (128, 9)])
def test_a_bias_needs_the_bits_of_its_twos_complement(value, bits):
    program = hidden(1, bias=np.array([value]))
    assert messages(program, narrow(A2, bias_width=bits), "biases") == []
    finding, *_ = RULE["biases"](program, narrow(A2, bias_width=bits - 1))
    assert finding.need == bits


def test_a_finding_names_the_layer_it_is_about():
    weights = np.zeros((200, 200, 1), int)
    weights[150, :100] = 1
    program = hidden(
        200,
        populations=layers(100, 50, 50),
        weights_rec=weights,
        weights_in=reached(140, size=200).weights_in[:1],
        weights_out=np.eye(200, 1, -60, int),
        aliases=((),) * 120 + ((1, 2),) + ((),) * 79,
        threshold=np.where(np.arange(200) == 199, 0, 5),
    )
    found = {
        f.rule: f.where
        for chip in (A2, IMU)
        for f in check(program, chip)
        if f.severity is Severity.ERROR
    }
    assert found == {
        "fan_out": "l2",
        "input_expansion": "l1",
        "output_expansion": "l0",
        "alias_targets": "l1",
        "thresholds": "l2",
    }


def test_a_need_is_told_by_the_layers_that_have_it():
    weights = np.zeros((1100, 1100, 1), int)
    weights[:600, 600:630] = weights[:600, 700:740] = weights[600:700, :300] = 1
    program = hidden(1100, populations=layers(600, 100, 400), weights_rec=weights)
    heads = {f.rule: str(f).split("\n")[0] for f in check(program, A2)}
    assert heads["hidden_neurons"] == (
        "error[hidden_neurons] l0, l1, l2: needs 1 100 hidden neurons, xylo_a2 has 1 000 "
        "(l0 600, l1 100, l2 400)"
    )
    assert heads["fan_out_memory"] == (
        "error[fan_out_memory] network: needs 72 000 connections between hidden neurons, xylo_a2 "
        "has 32 000 (l1 -> l0 30 000, l0 -> l2 24 000, l0 -> l1 18 000)"
    )
    fan_out = [str(f).split("\n")[0] for f in check(program, A2) if f.rule == "fan_out"]
    assert fan_out == [
        "error[fan_out] l0: needs 70 hidden targets per neuron, xylo_a2 has 64 (l1 30, l2 40)",
        "error[fan_out] l1: needs 300 hidden targets per neuron, xylo_a2 has 64",
    ]


def test_all_inputs_in_reach_say_nothing_of_their_own():
    weights = np.ones((1, 1001, 1), int)
    program = hidden(1001, weights_in=weights, weights_out=np.ones((1001, 1), int))
    assert [f.rule for f in check(program, A2)] == ["hidden_neurons"]


def test_a_program_that_breaks_six_rules_gets_six_errors():
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


def test_a_network_that_breaks_five_rules_is_refused_with_all_five():
    sizes = {"input": 20, "fc1": 900, "fc2": 300, "out": 12}
    layers = {"fc1": lif(900), "fc2": lif(300), "out": readout(12)}
    ways = [(a, b, np.ones((sizes[b], sizes[a]))) for a, b in pairwise(sizes)]
    with pytest.raises(DeployError) as refusal:
        deploy(wired(20, layers, ways), chip="xylo_a2")
    # what integer a weight becomes is the quantizer's
    found = [
        re.sub(r"removed is \d+ of", "removed is N of", str(f)) for f in refusal.value.diagnostics
    ]
    overview = "\n  source: xylo_a2.yaml, Rockpool documentation, Xylo family overview "
    assert found == [
        "error[input_channels] input: needs 20 input channels, xylo_a2 has 16"
        f"{overview}(published)",
        "error[hidden_neurons] fc1, fc2: needs 1 200 hidden neurons, xylo_a2 has 1 000 "
        f"(fc1 900, fc2 300){overview}(published)"
        "\n  hint: 'fc1' 900 -> 700 neurons fits",
        f"error[output_neurons] out: needs 12 output neurons, xylo_a2 has 8{overview}(published)"
        "\n  hint: xylo_a3 or xylo_imu has enough of these",
        f"error[fan_out] fc1: needs 300 hidden targets per neuron, xylo_a2 has 64"
        f"{overview}(published)"
        "\n  hint: xylo_a3 or xylo_imu has enough of these; or prune up to 236 of each neuron's "
        "smallest weights between hidden layers: the largest removed is N of 127; or "
        "'fc2' 300 -> 64 neurons fits",
        "error[fan_out_memory] network: needs 270 000 connections between hidden neurons, xylo_a2 "
        f"has 32 000{overview}(derived)"
        "\n  hint: prune the 238 000 smallest weights between hidden layers: the largest removed "
        "is N of 127; or 'fc1' 900 -> 106 neurons fits",
    ]


def test_a_small_network_has_no_findings():
    assert check(driven(dt=1e-3), A2) == ()
    assert check(driven(dt=None), IMU) == ()


def test_a_program_without_dt_is_not_held_against_time():
    assert messages(quiet(dt=None), A2, "real_time") == []
    assert messages(quiet(dt=None), IMU, "real_time_step") == []
    assert messages(quiet(dt=1e-3), A2, "real_time_step") == []


def test_real_time_is_about_everything_spiking_at_once():
    program = quiet(dt=1e-6)
    (finding,) = RULE["real_time"](program, A2)
    assert finding.need == cycles_per_step(program, A2, input_active=1, hidden_active=1)
