"""Xylo programs: what they take, what they refuse, and how they travel."""

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from tests.chips.xylo.programs import CAPS, as_program, quiet
from tests.oracles.xylo_networks import random_network
from toolchain.chips.xylo import Population, XyloProgram, simulate
from toolchain.chips.xylo.specification import program_fields
from toolchain.chips.xylo.store import from_arrays, to_arrays

SPEC = {
    "weights_in": np.ones((2, 3)),
    "weights_out": np.ones((3, 1)),
    "dash_mem": 4,
    "dash_syn": [1, 2, 3],
    "dash_mem_out": 4,
    "dash_syn_out": 2,
    "threshold": 100,
    "threshold_out": 200,
}


def program(core="v2", **changes):
    fields = program_fields(SPEC | changes, "xylo_test")
    return XyloProgram(**fields, chip="xylo_test", core=core, **CAPS)


def refusal(call, *args, **kwargs):
    with pytest.raises(ValueError, match=r"^this is not a valid \w+ program:\n") as error:
        call(*args, **kwargs)
    return [line.strip() for line in str(error.value).splitlines()[1:]]


def test_single_values_are_spread_over_the_neurons():
    p = program()
    assert (p.inputs, p.hidden, p.outputs, p.synapses) == (2, 3, 1, 1)
    assert p.dash_mem.tolist() == [4, 4, 4]
    assert p.dash_syn.tolist() == [1, 2, 3]
    assert p.threshold.tolist() == [100, 100, 100]
    assert p.threshold.dtype == np.int16
    assert p.weights_in.dtype == p.dash_mem.dtype == np.int8
    assert not p.has_bias
    assert p.aliases == ((), (), ())
    assert [(q.name, q.role, q.start, q.stop) for q in p.populations] == [
        ("hidden", "hidden", 0, 3),
        ("output", "output", 0, 1),
    ]


def test_input_weights_reach_the_first_and_output_weights_leave_the_last_neurons():
    p = program(weights_rec=np.zeros((5, 5)), dash_syn=1)
    assert p.weights_in[0, :, 0].tolist() == [1, 1, 1, 0, 0]
    assert p.weights_out[:, 0].tolist() == [0, 0, 1, 1, 1]


def test_a_matrix_without_synapse_axis_belongs_to_the_first_synapse():
    p = program(weights_rec=np.ones((3, 3, 2)), dash_syn_2=5)
    assert p.synapses == 2
    assert p.weights_in[0, 0].tolist() == [1, 0]
    assert p.dash_syn_2.tolist() == [5, 5, 5]


def test_the_mapped_graph_is_taken_and_ignored():
    assert str(program(mapped_graph=object())) == str(program())


def test_unknown_keys_are_named():
    with pytest.raises(TypeError, match=r"unknown keys bias_hidden, tau; a Xylo specification has"):
        program(bias_hidden=3, tau=1)


def test_missing_keys_are_all_named():
    spec = {k: v for k, v in SPEC.items() if k not in ("dash_mem", "threshold")}
    faults = refusal(program_fields, spec, "xylo_test")
    assert faults == ["dash_mem: missing", "threshold: missing"]


def test_a_second_synapse_needs_its_decay():
    assert refusal(program, weights_in=np.ones((2, 3, 2))) == [
        "dash_syn_2: missing, the weights have two synapses"
    ]


def test_every_wrong_value_is_named_at_once():
    faults = refusal(
        program,
        weights_in=np.full((2, 3), 128),
        weights_out=np.full((3, 1), 0.5),
        dash_mem=16,
        threshold=40000,
        bias=np.nan,
        weight_shift_in=-1,
        dt=0.0,
    )
    assert faults == [
        "weights_in: must be in -128..127 (8 bit), got 128..128 (6 of 6 values, the first at [0, "
        "0, 0])",
        "weights_out: must hold whole numbers, got 0.5 (3 of 3 values, the first at [0, 0])",
        "dash_mem: must be in 0..15 (4 bit, for time constants up to 32 768 steps), got 16..16 "
        "(3 of 3 values, the first at [0])",
        "threshold: must be in -32768..32767 (16 bit), got 40000..40000 (3 of 3 values, the "
        "first at [0])",
        "bias: must hold whole numbers, got nan (3 of 3 values, the first at [0])",
        "weight_shift_in: must be a whole number in 0..15, got -1",
        "dt: must be > 0 s or None, got 0.0",
    ]


@pytest.mark.parametrize(
    ("name", "good", "bad", "text"),
    [
        ("dash_syn", 15, 16, "0..15 (4 bit, for time constants up to 32 768 steps), got 3..16"),
        ("dash_mem", 0, -1, "0..15 (4 bit, for time constants up to 32 768 steps), got -1..3"),
        ("threshold", 32767, 32768, "-32768..32767 (16 bit), got 3..32768"),
        ("threshold", -32768, -32769, "-32768..32767 (16 bit), got -32769..3"),
        ("bias", 32767, 32768, "-32768..32767 (16 bit), got 3..32768"),
    ],
)
def test_a_register_takes_its_limits_and_nothing_beyond(name, good, bad, text):
    values = np.array([3, 3, good])
    assert getattr(program(**{name: values}), name).tolist() == [3, 3, good]
    values[2] = bad
    assert refusal(program, **{name: values}) == [
        f"{name}: must be in {text} (1 of 3 values, the first at [2])"
    ]


@pytest.mark.parametrize(
    ("name", "place", "shown"),
    [("weights_in", (1, 2), "[1, 2, 0]"), ("weights_out", (2, 0), "[2, 0]")],
)
def test_a_weight_takes_its_limits_and_nothing_beyond(name, place, shown):
    weights = np.array(SPEC[name])
    for good in (-128, 127):
        weights[place] = good
        assert getattr(program(**{name: weights}), name)[place] == good
    for bad, span in ((-129, "-129..1"), (128, "1..128")):
        weights[place] = bad
        assert refusal(program, **{name: weights}) == [
            f"{name}: must be in -128..127 (8 bit), got {span} (1 of {weights.size} values, the "
            f"first at {shown})"
        ]


def test_an_infinite_weight_is_no_whole_number():
    assert refusal(program, weights_out=np.array([[1], [np.inf], [1]])) == [
        "weights_out: must hold whole numbers, got inf (1 of 3 values, the first at [1, 0])"
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"dash_syn": [1, 2]}, "dash_syn: must be (hidden) = (3,), got shape (2,)"),
        (
            {"weights_in": np.ones(3)},
            "weights_in: must be (pre, post) or (pre, post, 1 or 2), got shape (3,)",
        ),
        ({"weights_out": np.ones(3)}, "weights_out: must be (hidden, outputs), got shape (3,)"),
        (
            {"weights_out": np.ones((4, 1))},
            "weights_out: reaches 4 hidden neurons, the network has 3",
        ),
        (
            {"weights_rec": np.ones((2, 2))},
            "weights_in: reaches 3 hidden neurons, the network has 2",
        ),
        (
            {"weights_rec": np.ones((3, 4))},
            "weights_rec: must have as many rows as columns, got shape (3, 4)",
        ),
        (
            {"weights_in": "x"},
            "weights_in: must be (pre, post) or (pre, post, 1 or 2), got shape ()",
        ),
        ({"threshold": "x"}, "threshold: must hold integers, got <U1"),
        ({"aliases": [[1]]}, "aliases: must have one entry a hidden neuron = 3, got 1"),
        ({"aliases": [[3], [], []]}, "aliases: neuron 0 names 3, hidden neurons are 0..2"),
        ({"weight_shift_out": 1.5}, "weight_shift_out: must be a whole number in 0..15, got 1.5"),
    ],
)
def test_a_wrong_value_is_named(changes, fault):
    assert fault in refusal(program, **changes)


def test_core_v1_takes_no_bias():
    assert refusal(program, core="v1", bias=1) == [
        "bias: core v1 has no bias, every value must be 0"
    ]


def test_an_unknown_core_is_refused():
    assert refusal(program, core="v3") == ["core: must be 'v1' or 'v2', got 'v3'"]


def test_arrays_are_copied_and_read_only():
    threshold = np.array([100, 100, 100], np.int16)
    p = program(threshold=threshold)
    threshold[0] = 1
    assert p.threshold[0] == 100
    with pytest.raises(ValueError, match="read-only"):
        p.threshold[0] = 1


def test_fan_out_counts_a_target_once_for_both_synapses():
    recurrent = np.zeros((3, 3, 2), int)
    recurrent[0, 1] = 5, -5
    recurrent[0, 2] = 0, 1
    recurrent[2, 0] = 1, 0
    p = program(weights_rec=recurrent, dash_syn_2=1)
    assert p.fan_out().tolist() == [2, 0, 1]


def test_populations_hold_each_neuron_once():
    def layer(name, start, stop, role="hidden"):
        return Population(name=name, role=role, start=start, stop=stop)

    out = layer("out", 0, 1, "output")
    p = quiet(hidden=3, populations=(layer("a", 0, 2), layer("b", 2, 3), out))
    assert simulate(p, np.zeros((2, 1)), record=True).saturations == {"a": 0, "b": 0, "out": 0}
    gap = (layer("a", 0, 1), layer("b", 2, 3), out)
    assert refusal(quiet, hidden=3, populations=gap) == [
        "populations: hidden neurons 0..2 must each be in one, got [(0, 1), (2, 3)]"
    ]
    twins = (layer("a", 0, 2), layer("a", 2, 3), out)
    assert refusal(quiet, hidden=3, populations=twins) == [
        "populations: names must differ, got a, a, out"
    ]


def test_a_program_comes_back_from_arrays_and_json_unchanged():
    net = random_network(np.random.default_rng(3), "v2")
    p = as_program(net, dt=1e-3, input_name="mic")
    arrays, metadata = to_arrays(p)
    back = from_arrays(load(save(arrays)), json.loads(json.dumps(metadata)))
    assert str(back) == str(p)
    assert back.aliases == p.aliases
    assert back.populations == p.populations
    for name in arrays:
        np.testing.assert_array_equal(getattr(back, name), getattr(p, name))


def test_arrays_of_another_format_or_with_fields_missing_are_refused():
    arrays, metadata = to_arrays(program())
    with pytest.raises(ValueError, match="format 'other' is not 'xylo-program/1'"):
        from_arrays(arrays, metadata | {"format": "other"})
    del arrays["bias"]
    with pytest.raises(ValueError, match=r"missing fields \['bias'\], unknown fields \['x'\]"):
        from_arrays(arrays | {"x": 1}, metadata)


def test_the_text_of_a_program_changes_with_any_array():
    assert str(program()).splitlines()[0] == "XyloProgram xylo_test core v2"
    assert "weights_in: int8 (2, 3, 1)" in str(program())
    assert str(program(threshold=[100, 100, 99])) != str(program(threshold=[100, 99, 100]))


def test_a_chip_name_gives_core_and_spikes_a_step():
    p = XyloProgram.from_specification("xylo_a2", **SPEC, dt=1e-3)
    assert (p.chip, p.core, p.dt) == ("xylo_a2", "v2", 1e-3)
    assert (p.max_input_spikes, p.max_hidden_spikes, p.max_output_spikes) == (15, 31, 1)


def test_a_chip_of_another_family_is_refused():
    with pytest.raises(ValueError, match="speck2f is a speck chip, this is a program for Xylo"):
        XyloProgram.from_specification("speck2f", **SPEC)
