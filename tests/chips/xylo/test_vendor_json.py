"""Files of the vendor's library for Xylo Audio 2: read, written, and refused."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import each
from tests.chips.xylo.programs import quiet
from tests.genuine import genuine
from toolchain.chips.load import load_chip
from toolchain.chips.xylo import read_config, write_config
from toolchain.chips.xylo.emit import vendor_document
from toolchain.chips.xylo.emit.vendor_json import DEFAULTS, dumps, loads, parse
from toolchain.diagnostics import ArtifactError, DeployError

A2, A3, ONE = map(load_chip, ("xylo_a2", "xylo_a3", "xylo_1"))


def matrix(rows):
    return {
        "dimensions": {"value0": len(rows), "value1": len(rows[0])},
        "offsets": {"value0": len(rows[0]), "value1": 1},
        "values": [value for row in rows for value in row],
    }


def neuron(threshold, **more):
    return {"threshold": threshold, "vMemDecay": 3, "iSynDecay": 4, "vMemBias": 0, **more}


def hidden(threshold, alias=None):
    target = {"nullopt": True} if alias is None else {"nullopt": False, "data": alias}
    return neuron(threshold, iSyn2Decay=5, aliasTarget=target)


def document():
    """One input, two hidden neurons, one output: every key that a file has, and no other."""
    none = {"nullopt": True}
    return {
        "operationMode": 1,
        "synapse2Enable": True,
        "biasEnable": True,
        "directFetchStateRam": False,
        "enableHibernationMode": False,
        "clearNetworkState": True,
        "timeResolutionWrap": 7,
        "hibernationModeTimeResolutionWrap": 0,
        "input": {
            "weightBitShift": 2,
            "weights": matrix([[-128, 127]]),
            "syn2_weights": matrix([[1, 2]]),
        },
        "reservoir": {
            "weightBitShift": 0,
            "weights": matrix([[3, 4], [5, 6]]),
            "syn2Weights": matrix([[7, 8], [9, 10]]),
            "neurons": [hidden(100), hidden(200, alias=0)],
            "aliasing": True,
        },
        "readout": {
            "weightBitShift": 7,
            "weights": matrix([[11], [12]]),
            "neurons": [neuron(300)],
        },
        "debug": {
            "keepInterrupt": True,
            "alwaysUpdateOmpStat": False,
            "enableRstPadPull": False,
            "rstPadPullSelect": True,
            "ramWakeUpSettleTime": 3,
            "ramPowerEnable": True,
            "monitors": {"value0": 1, "value1": 2, "value2": 3, "value3": 4},
            "isynClockEnable": True,
            "isyn2ClockEnable": True,
            "raClockEnable": True,
            "biasClockEnable": True,
            "hmClockEnable": False,
            "inputWriteSelect": 0,
            "inputReadSelect": 0,
            "inputSelectEnable": False,
            "ramManualSleepControl": 0,
            "ramAutoSleepControl": 0,
            "ramLightSleep": False,
            "ramDeepSleep": False,
            "debugStatusUpdateEnable": False,
            "monitorDebugEnable": False,
            "peInternalSelect": 1,
            "peFsmSelect": 2,
            "peEngineSelect": 3,
            "peAccessRamFsmSelect": 4,
            "memShellRamArbiterSelect": 5,
            "readTimingSelect": 0,
            "writeTimingSelect": 4294967295,
            "monitorNeuronVMem": none,
            "monitorNeuronISyn": none,
            "monitorNeuronISyn2": none,
            "monitorNeuronSpike": none,
        },
    }


def text_of(tree):
    return json.dumps({"value0": tree}, indent=4)


def at(tree, path):
    """The part of a tree that holds the last key of ``path``, and that key."""
    *parents, key = (int(k) if k.isdecimal() else k for k in path.split("."))
    for parent in parents:
        tree = tree[parent]
    return tree, key


def changed(**changes):
    tree = document()
    for path, value in changes.items():
        part, key = at(tree, path)
        part[key] = value
    return text_of(tree)


def refusal(text, read=loads):
    """The lines of the message about ``text``, without the headline."""
    with pytest.raises(ArtifactError) as caught:
        read(text)
    headline, *faults = str(caught.value).split("\n  ")
    assert headline.endswith("this is not a valid configuration of Xylo Audio 2:")
    assert faults
    return faults


# ---- reading ----


def test_the_integers_arrive_where_they_belong():
    xylo_program = loads(text_of(document()))
    assert (xylo_program.chip, xylo_program.core, xylo_program.dt) == ("xylo_a2", "v2", None)
    assert xylo_program.weights_in.tolist() == [[[-128, 1], [127, 2]]]
    assert xylo_program.weights_rec.tolist() == [[[3, 7], [4, 8]], [[5, 9], [6, 10]]]
    assert xylo_program.weights_out.tolist() == [[11], [12]]
    assert (
        xylo_program.weight_shift_in,
        xylo_program.weight_shift_rec,
        xylo_program.weight_shift_out,
    ) == (2, 0, 7)
    assert xylo_program.threshold.tolist() == [100, 200]
    assert xylo_program.threshold_out.tolist() == [300]
    constants = (xylo_program.dash_mem, xylo_program.dash_syn, xylo_program.dash_syn_2)
    assert [values.tolist() for values in constants] == [[3, 3], [4, 4], [5, 5]]
    assert xylo_program.aliases == ((), (0,))
    caps = (
        xylo_program.max_input_spikes,
        xylo_program.max_hidden_spikes,
        xylo_program.max_output_spikes,
    )
    assert caps == (15, 31, 1)


def test_what_is_no_program_is_a_setting():
    found = parse(text_of(document())).settings
    assert found["operationMode"] == 1
    assert found["clearNetworkState"] is True
    assert found["debug.monitors.value2"] == 3
    assert found["debug.writeTimingSelect"] == 2**32 - 1
    assert found["reservoir.aliasing"] is True
    assert not [name for name in found if "weight" in name or "eurons" in name]


def test_a_file_read_and_written_is_the_same_text():
    text = text_of(document())
    assert dumps(*parse(text)[:1], settings=parse(text).settings) == text


def test_keys_may_come_in_any_order():
    text = json.dumps({"value0": document()}, sort_keys=True)
    found = parse(text)
    assert dumps(found.program, settings=found.settings) == text_of(document())


def test_stages_that_run_without_need_are_kept():
    text = changed(**{"reservoir.neurons": [hidden(1), hidden(2)]})
    found = parse(text)
    assert not found.program.has_bias
    assert dumps(found.program, settings=found.settings) == text
    assert json.loads(dumps(found.program))["value0"]["biasEnable"] is False


def test_one_synapse_has_zeros_for_the_second():
    zeros = {"input.syn2_weights": matrix([[0, 0]]), "synapse2Enable": False}
    text = changed(**zeros, **{"reservoir.syn2Weights": matrix([[0, 0], [0, 0]])})
    found = parse(text)
    assert found.program.synapses == 1
    assert found.program.dash_syn_2.tolist() == [5, 5]
    assert dumps(found.program, settings=found.settings) == text


# ---- the one genuine file ----


@pytest.fixture
def vendors():
    return genuine("samna_xylocore2_config.json", "written by the vendor's library")


def test_the_genuine_file_read_and_written_is_the_same_bytes(vendors, tmp_path):
    found = read_config(vendors)
    path = write_config(found.program, tmp_path / "again.json", found.settings)
    assert path.read_bytes() == vendors.read_bytes()


def test_the_genuine_files_settings_are_the_defaults(vendors):
    found = read_config(vendors)
    assert dumps(found.program) == vendors.read_text()
    assert {name: found.settings[name] for name in DEFAULTS} == DEFAULTS


def test_the_genuine_file_holds_its_network(vendors):
    xylo_program = read_config(vendors).program
    assert (
        xylo_program.inputs,
        xylo_program.hidden,
        xylo_program.outputs,
        xylo_program.synapses,
    ) == (3, 5, 2, 2)
    tree = json.loads(vendors.read_text())["value0"]
    assert xylo_program.weights_in[..., 0].ravel().tolist() == tree["input"]["weights"]["values"]
    assert (
        xylo_program.weights_rec[..., 1].ravel().tolist()
        == tree["reservoir"]["syn2Weights"]["values"]
    )
    assert xylo_program.weights_out.ravel().tolist() == tree["readout"]["weights"]["values"]
    assert set(xylo_program.threshold.tolist()) == {128}
    assert set(xylo_program.dash_syn.tolist()) == {4}


# ---- writing ----


def random_program(seed, inputs=3, hidden=4, outputs=2, synapses=1, aliased=False, biased=False):
    rng = np.random.default_rng(seed)

    def dashes(number):
        return rng.integers(0, 16, number)

    target = rng.permutation(hidden)
    return replace(
        quiet(
            inputs=inputs,
            hidden=hidden,
            outputs=outputs,
            synapses=synapses,
            weights_in=rng.integers(-128, 128, (inputs, hidden, synapses)),
            weights_rec=rng.integers(-128, 128, (hidden, hidden, synapses)),
            weights_out=rng.integers(-128, 128, (hidden, outputs)),
            dash_mem=dashes(hidden),
            dash_syn=dashes(hidden),
            dash_syn_2=dashes(hidden),
            dash_mem_out=dashes(outputs),
            dash_syn_out=dashes(outputs),
            threshold=rng.integers(-32768, 32768, hidden),
            threshold_out=rng.integers(-32768, 32768, outputs),
            bias=rng.integers(-128, 128, hidden) * biased,
            bias_out=rng.integers(-128, 128, outputs) * biased,
            weight_shift_in=int(rng.integers(0, 8)),
            weight_shift_rec=int(rng.integers(0, 8)),
            weight_shift_out=int(rng.integers(0, 8)),
            aliases=tuple((int(t),) if aliased and t % 2 == 0 else () for t in target),
        ),
        chip="xylo_a2",
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    inputs=st.integers(1, 16),
    hidden=st.integers(1, 9),
    outputs=st.integers(1, 8),
    synapses=st.integers(1, 2),
    aliased=st.booleans(),
    biased=st.booleans(),
)
def test_a_program_written_and_read_is_the_same(**shape):
    xylo_program = random_program(**shape)
    assert str(loads(dumps(xylo_program))) == str(xylo_program)


@pytest.mark.parametrize("target", [0, 1])
def test_an_alias_survives_whatever_its_target(target):
    xylo_program = quiet(aliases=((), (target,)))
    tree = json.loads(dumps(xylo_program, A2))["value0"]["reservoir"]
    assert tree["aliasing"] is True
    assert tree["neurons"][1]["aliasTarget"] == {"nullopt": False, "data": target}
    assert tree["neurons"][0]["aliasTarget"] == {"nullopt": True}
    assert loads(dumps(xylo_program, A2)).aliases == ((), (target,))


def test_a_full_chip_is_written_and_read():
    xylo_program = random_program(0, 16, 1000, 8, synapses=2, aliased=True, biased=True)
    assert str(loads(dumps(xylo_program))) == str(xylo_program)


def test_the_stages_that_run_are_those_that_the_program_needs():
    plain = parse(dumps(quiet(), A2)).settings
    full = quiet(synapses=2, bias=np.array([1, 0]), aliases=((1,), ()))
    busy = parse(dumps(full, A2)).settings
    stages = ("biasEnable", "reservoir.aliasing", "debug.isyn2ClockEnable", "debug.biasClockEnable")
    assert [plain[name] for name in stages] == [False] * 4
    assert [busy[name] for name in stages] == [True] * 4


def test_settings_are_written_and_the_others_stay_as_they_are():
    found = parse(dumps(quiet(), A2, {"operationMode": 2, "debug.monitors.value1": 9})).settings
    others = {**DEFAULTS, "operationMode": 2, "debug.monitors.value1": 9}
    assert {name: found[name] for name in DEFAULTS} == others


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"debug.turbo": True}, "debug.turbo: is not a setting"),
        ({"input.weightBitShift": 1}, "input.weightBitShift: is not a setting"),
        ({"operationMode": True}, "operationMode: must be a valid integer, got True"),
        ({"operationMode": -1}, "operationMode: must be greater than or equal to 0, got -1"),
        (
            {"debug.ramPowerEnable": False},
            ("debug.ramPowerEnable: is false, but the network needs it"),
        ),
    ],
)
def test_settings_that_are_none_are_refused(given, fault):
    assert refusal({"settings": given}, lambda g: dumps(quiet(), A2, **g)) == [fault]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("biasEnable", {"bias": np.array([1, 0])}),
        ("debug.biasClockEnable", {"bias_out": np.array([1])}),
        ("reservoir.aliasing", {"aliases": ((1,), ())}),
        ("debug.raClockEnable", {"aliases": ((1,), ())}),
        ("debug.isyn2ClockEnable", {"synapses": 2}),
        ("debug.isynClockEnable", {}),
    ],
)
def test_a_setting_that_switches_off_what_the_program_needs_is_refused(name, changes):
    faults = refusal(quiet(**changes), lambda xylo_program: dumps(xylo_program, A2, {name: False}))
    assert faults == [f"{name}: is false, but the network needs it"]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("alias_targets", {"aliases": ((0,), ())}, {"aliases": ((0, 1), ())}),
        ("weight_shifts", {"weight_shift_rec": 7}, {"weight_shift_rec": 8}),
        ("biases", {"bias": np.array([127, -128])}, {"bias": np.array([127, -129])}),
        ("input_channels", {"inputs": 16}, {"inputs": 17}),
        ("hidden_neurons", {"hidden": 1000}, {"hidden": 1001}),
        ("output_neurons", {"outputs": 8}, {"outputs": 9}),
    ],
)
def test_a_program_that_the_file_cannot_hold_is_refused(rule, good, bad):
    assert dumps(quiet(**good), A2)
    with pytest.raises(DeployError) as caught:
        dumps(quiet(**bad), A2)
    assert [finding.rule for finding in caught.value.diagnostics] == [rule]


@pytest.mark.parametrize("chip", [A3, ONE, load_chip("speck2f")], ids=lambda chip: chip.name)
def test_the_layout_of_other_chips_is_not_guessed(chip):
    message = f"^the layout of {chip.name}'s files is not known, only xylo_a2's is$"
    with pytest.raises(ValueError, match=message):
        dumps(quiet(), chip)
    with pytest.raises(ValueError, match=message):
        dumps(replace(quiet(), chip=chip.name))


# ---- files that are wrong ----


@pytest.mark.parametrize(
    ("path", "good", "bad", "fault"),
    [
        ("input.weights.values", [-128, 127], [-129, 127], "input.weights.values[0]: must be gre"),
        ("input.weights.values", [-128, 127], [-128, 128], "input.weights.values[1]: must be les"),
        ("readout.weights.values", [0, 0], [0, 0.0], "readout.weights.values[1]: must be a valid"),
        ("readout.weights.values", [0, 0], [0, True], "readout.weights.values[1]: must be a valid"),
        ("readout.weights.values", [0, 0], [0, None], "readout.weights.values[1]: must be a valid"),
        ("readout.weights.values", [0, 0], [0, "1"], "readout.weights.values[1]: must be a valid"),
        ("readout.weights.values", [0, 0], [0], "readout.weights: 2 x 1 = 2 values are needed"),
        ("readout.weights.offsets.value0", 1, 2, "readout.weights: offsets must be (1, 1)"),
        (
            "readout.neurons.0.threshold",
            32767,
            32768,
            "readout.neurons[0].threshold: must be less than or equal to 32767, got 32768",
        ),
        ("readout.neurons.0.threshold", -32768, -32769, "readout.neurons[0].threshold: must be gr"),
        ("reservoir.neurons.1.vMemDecay", 15, 16, "reservoir.neurons[1].vMemDecay: must be less"),
        ("reservoir.neurons.1.iSynDecay", 0, -1, "reservoir.neurons[1].iSynDecay: must be great"),
        ("reservoir.neurons.1.iSyn2Decay", 15, 16, "reservoir.neurons[1].iSyn2Decay: must be l"),
        (
            "reservoir.neurons.1.vMemBias",
            127,
            128,
            "reservoir.neurons[1].vMemBias: must be in -128..127, got 128",
        ),
        (
            "readout.neurons.0.vMemBias",
            -128,
            -129,
            "readout.neurons[0].vMemBias: must be in -128..127, got -129",
        ),
        ("input.weightBitShift", 7, 8, "input.weightBitShift: must be in 0..7, got 8"),
        (
            "reservoir.neurons.0.aliasTarget",
            {"nullopt": False, "data": 1},
            {"nullopt": False, "data": 2},
            "reservoir.neurons[0].aliasTarget.data: hidden neurons are 0..1, got 2",
        ),
        (
            "reservoir.neurons.0.aliasTarget",
            {"nullopt": True},
            {"nullopt": False},
            'reservoir.neurons[0].aliasTarget: must be {"nullopt": true} or {"nullopt": false, ',
        ),
        (
            "reservoir.neurons.0.aliasTarget",
            {"nullopt": True},
            {"nullopt": True, "data": None},
            'reservoir.neurons[0].aliasTarget: must be {"nullopt": true} or {"nullopt": false, ',
        ),
        (
            "reservoir.neurons.0.aliasTarget",
            {"nullopt": True},
            {"nullopt": False, "data": -1},
            "reservoir.neurons[0].aliasTarget.data: must be greater than or equal to 0, got -1",
        ),
        (
            "debug.monitorNeuronVMem",
            {"nullopt": True},
            {"nullopt": False, "data": {"start": 0}},
            'debug.monitorNeuronVMem: must be {"nullopt": true}: the format of monitored neurons',
        ),
        (
            "debug.writeTimingSelect",
            2**32 - 1,
            2**32,
            "debug.writeTimingSelect: must be less than or equal to 4294967295, got 4294967296",
        ),
        ("debug.keepInterrupt", False, 0, "debug.keepInterrupt: must be a valid boolean, got 0"),
        ("debug", document()["debug"], [], "debug: must be an object"),
        (
            "readout.weights",
            matrix([[1], [2]]),
            matrix([[1], [2], [3]]),
            "readout.weights.dimensions: must be (2, 1) for 1 channels, 2 hidden and 1 output",
        ),
        (
            "input.syn2_weights",
            matrix([[1, 2]]),
            matrix([[1, 2], [3, 4]]),
            "input.syn2_weights.dimensions: must be (1, 2) for 1 channels",
        ),
        (
            "input.weights.dimensions.value1",
            2,
            0,
            "input.weights.dimensions.value1: must be greater than or equal to 1, got 0",
        ),
        (
            "synapse2Enable",
            True,
            False,
            "input.syn2_weights: has weights, but synapse2Enable is fal",
        ),
        (
            "reservoir.aliasing",
            True,
            False,
            ("reservoir.aliasing: is false, but the network needs it"),
        ),
    ],
)
def test_a_good_value_is_read_and_a_bad_one_is_named(path, good, bad, fault):
    assert loads(changed(**{path: good}))
    assert refusal(changed(**{path: bad}))[0].startswith(fault)


def with_neurons(inputs, hidden_neurons, outputs):
    xylo_program = quiet(inputs=inputs, hidden=hidden_neurons, outputs=outputs)
    tree = json.loads(dumps(quiet(), A2))["value0"]
    tree["input"]["weights"] = matrix(xylo_program.weights_in[..., 0].tolist())
    tree["input"]["syn2_weights"] = tree["input"]["weights"]
    tree["reservoir"]["weights"] = matrix(xylo_program.weights_rec[..., 0].tolist())
    tree["reservoir"]["syn2Weights"] = tree["reservoir"]["weights"]
    tree["reservoir"]["neurons"] = [hidden(1)] * hidden_neurons
    tree["readout"]["weights"] = matrix(xylo_program.weights_out.tolist())
    tree["readout"]["neurons"] = [neuron(1)] * outputs
    return json.dumps({"value0": tree})


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        ((16, 2, 1), (17, 2, 1), "input.weights.dimensions.value0: xylo_a2 has 16 channels, got "),
        ((1, 1000, 1), (1, 1001, 1), "reservoir.neurons: xylo_a2 has 1000 neurons, got 1001"),
        ((1, 2, 8), (1, 2, 9), "readout.neurons: xylo_a2 has 8 neurons, got 9"),
    ],
)
def test_a_network_as_large_as_the_chip_is_read_and_a_larger_one_is_not(good, bad, fault):
    xylo_program = loads(with_neurons(*good))
    assert (xylo_program.inputs, xylo_program.hidden, xylo_program.outputs) == good
    assert refusal(with_neurons(*bad))[0].startswith(fault)


def leaves(tree, path=()):
    """The way to every key of a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(key, str):
            yield (*path, key)
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))


KEYS = [".".join(map(str, path)) for path in leaves(document())]


@each("path", KEYS)
def test_a_key_that_is_missing_is_named(path):
    tree = document()
    part, key = at(tree, path)
    if path.endswith("aliasTarget.data"):  # its own form, with both keys
        return
    del part[key]
    where = re.sub(r"\.(\d+)", r"[\1]", path)
    own = where.rpartition(".")[0] if "monitorNeuron" in path and "nullopt" in path else where
    assert any(fault.startswith(f"{own}: ") for fault in refusal(text_of(tree)))


@each("path", KEYS)
def test_a_key_that_is_unknown_is_named(path):
    tree = document()
    part, key = at(tree, path)
    part["weird"] = part[key]
    parent = re.sub(r"\.(\d+)", r"[\1]", path).rpartition(".")[0]
    where = f"{parent}.weird" if parent else "weird"
    if "monitorNeuron" in parent:
        where = parent
    assert any(fault.startswith(f"{where}: ") for fault in refusal(text_of(tree)))


def test_all_faults_are_told_at_once():
    tree = document()
    del tree["operationMode"]
    tree["speed"] = 1
    tree["debug"]["keepInterrupt"] = "no"
    tree["input"]["weights"]["values"][0] = 300
    assert refusal(text_of(tree)) == [
        "operationMode: is missing",
        "input.weights.values[0]: must be less than or equal to 127, got 300",
        "debug.keepInterrupt: must be a valid boolean, got 'no'",
        "speed: is not a key of the file",
    ]


def test_of_many_faults_the_first_are_told():
    tree = document() | {f"extra{n}": 0 for n in range(100)}
    faults = refusal(text_of(tree))
    assert len(faults) == vendor_document.MOST_FAULTS + 1
    assert faults[-1] == "and more"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it is not JSON: "),
        ("{", "it is not JSON: "),
        ("\ufeff{}", "it is not JSON: "),
        ("[]", "the file: must be an object"),
        ("null", "the file: must be an object"),
        ("{}", "value0: is missing"),
        ('{"value0": null}', "value0: must be an object"),
        ('{"value0": NaN}', "it is not JSON: contains NaN, which is not a number of JSON"),
        ('{"value0": 1, "value0": 2}', "it is not JSON: duplicate key 'value0'"),
        ('{"value0": ' + "[" * 4000 + "]" * 4000 + "}", ""),
        ('{"value0": ' + "9" * 5000 + "}", "it is not JSON: "),
        ('{"value0": 1e999}', "value0: must be an object"),
        ("[" * 5001, "it has more names or objects than a full chip"),
        ('"' * 40_001, "it has more names or objects than a full chip"),
        ('{"\\ud800": 1}', "it is not JSON: key '\\ud800' is not plain text"),
    ],
)
def test_text_that_is_no_configuration_is_refused(text, fault):
    assert refusal(text)[0].startswith(fault)


def test_strange_names_are_told_in_plain_letters():
    faults = refusal(json.dumps({"value0": document() | {"\ud800\x00" + "x" * 1000: 1}}))
    assert len(faults) == 1
    assert faults[0].isascii()
    assert len(faults[0]) < 300


def test_text_of_more_than_a_full_chip_is_not_parsed():
    text = text_of(document())
    padded = text + " " * (vendor_document.MOST_CHARACTERS - len(text))
    assert loads(padded)
    limit = f"it has more than {vendor_document.MOST_CHARACTERS} characters"
    assert refusal(padded + " ") == [limit]


def read_or_refused(text):
    """Whatever is read can be written and read again."""
    try:
        xylo_program, found = parse(text)
    except ArtifactError:
        return
    assert str(loads(dumps(xylo_program, settings=found))) == str(xylo_program)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(data):
    text = text_of(document())
    place = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 12))
    junk = data.draw(st.text(alphabet='{}[]",:0123456789-.eE\\ntruefalse \ud800', max_size=12))
    read_or_refused(text[:place] + junk + text[place + length :])


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(KEYS), value=JSON_VALUES)
def test_any_value_anywhere_is_read_or_refused_and_nothing_else(path, value):
    read_or_refused(changed(**{path: value}))


# ---- files ----


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("old")
    assert write_config(random_program(1), path) == path
    assert str(read_config(path).program) == str(random_program(1))
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("old")
    with pytest.raises(DeployError):
        write_config(quiet(weight_shift_in=8), path, chip=A2)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "config.json"
    folder.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_config(random_program(1), folder)
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a file"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (
            b"[]",
            ("this is not a valid configuration of Xylo Audio 2:\n  the file: must be an object"),
        ),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path, content, message):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        read_config(str(path))
    assert str(caught.value) == f"{path}: {message}"


def test_a_file_larger_than_a_full_chip_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole, no disk is filled
    with pytest.raises(ArtifactError, match="it has more than"):
        read_config(path)
