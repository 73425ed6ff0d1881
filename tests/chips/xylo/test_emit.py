"""The vendor's attribute tree of a program."""

import json

import numpy as np
import pytest

from tests.chips.xylo.programs import quiet
from toolchain.chips.xylo.emit import configuration
from toolchain.hardware import load_chip

A2, IMU, A3 = map(load_chip, ("xylo_a2", "xylo_imu", "xylo_a3"))


def program(rng=None, **changes):
    rng = rng or np.random.default_rng(0)
    fields = {
        "inputs": 3,
        "hidden": 200,
        "outputs": 2,
        "weights_in": rng.integers(-128, 128, (3, 200, 1)) * (np.arange(200) < 128)[:, None],
        "weights_rec": rng.integers(-128, 128, (200, 200, 1)),
        "weights_out": rng.integers(-128, 128, (200, 2)) * (np.arange(200) >= 72)[:, None],
        "dash_mem": rng.integers(0, 16, 200),
        "dash_syn": rng.integers(0, 16, 200),
        "threshold": rng.integers(1, 32768, 200),
        "weight_shift_in": 1,
        "weight_shift_rec": 2,
        "weight_shift_out": 3,
    }
    return quiet(**fields | changes)


def keys(tree):
    """Every path of a tree, of lists the first item's."""
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        return {f"[].{path}" for path in keys(tree[0])}
    if not isinstance(tree, dict):
        return {""}
    return {f"{name}.{path}".rstrip(".") for name, part in tree.items() for path in keys(part)}


COMMON = {
    "bias_enable",
    "enable_hibernation_mode",
    "operation_mode",
    "input.weights",
    "input.weight_bit_shift",
    "HIDDEN.weights",
    "HIDDEN.weight_bit_shift",
    "HIDDEN.aliasing",
    "HIDDEN.neurons.[].i_syn_decay",
    "HIDDEN.neurons.[].v_mem_decay",
    "HIDDEN.neurons.[].threshold",
    "HIDDEN.neurons.[].alias_target",
    "readout.weights",
    "readout.weight_bit_shift",
    "readout.neurons.[].i_syn_decay",
    "readout.neurons.[].v_mem_decay",
    "readout.neurons.[].threshold",
}
SECOND = {"synapse2_enable", "HIDDEN.neurons.[].i_syn2_decay"}
OWN = {
    "xylo_a2": SECOND
    | {
        "debug.isyn_clock_enable",
        "debug.isyn2_clock_enable",
        "debug.ra_clock_enable",
        "debug.bias_clock_enable",
        "debug.hm_clock_enable",
        "debug.ram_power_enable",
    },
    "xylo_imu": {"imu_if_input_enable", "debug.always_update_omp_stat"},
    "xylo_a3": SECOND | {"input_source", "debug.always_update_omp_stat"},
}


@pytest.mark.parametrize("chip", [A2, IMU, A3], ids=lambda chip: chip.name)
def test_the_tree_has_the_fields_of_the_chips_configuration(chip):
    hidden = "reservoir" if chip.name == "xylo_a2" else "hidden"
    wanted = {path.replace("HIDDEN", hidden) for path in COMMON | OWN[chip.name]}
    assert keys(configuration(program(), chip)) == wanted


@pytest.mark.parametrize("chip", [A2, IMU, A3], ids=lambda chip: chip.name)
def test_the_tree_is_plain_data(chip):
    tree = configuration(program(bias=np.arange(200) % 2), chip)
    assert json.loads(json.dumps(tree, allow_nan=False)) == tree


def test_on_audio_2_matrices_have_full_height():
    made = program()
    tree = configuration(made, A2)
    assert np.array_equal(tree["input"]["weights"], made.weights_in[..., 0])
    assert np.array_equal(tree["reservoir"]["weights"], made.weights_rec[..., 0])
    assert np.array_equal(tree["readout"]["weights"], made.weights_out)


@pytest.mark.parametrize("chip", [IMU, A3], ids=lambda chip: chip.name)
def test_elsewhere_they_end_where_the_reach_does(chip):
    made = program()
    tree = configuration(made, chip)
    assert np.array_equal(tree["input"]["weights"], made.weights_in[:, :128, 0])
    assert np.shape(tree["hidden"]["weights"]) == (200, 200)
    assert np.array_equal(tree["readout"]["weights"], made.weights_out[72:])


@pytest.mark.parametrize("chip", [IMU, A3], ids=lambda chip: chip.name)
def test_a_small_network_is_all_within_reach(chip):
    tree = configuration(quiet(inputs=3, hidden=5, outputs=2), chip)
    assert np.shape(tree["input"]["weights"]) == (3, 5)
    assert np.shape(tree["readout"]["weights"]) == (5, 2)


def test_shifts_and_constants_are_where_they_belong():
    made = program(threshold_out=np.array([5, 6]), dash_mem_out=np.array([3, 4]))
    tree = configuration(made, A2)
    shifts = [tree[part]["weight_bit_shift"] for part in ("input", "reservoir", "readout")]
    assert shifts == [1, 2, 3]
    neuron = tree["reservoir"]["neurons"][17]
    assert neuron["i_syn_decay"] == made.dash_syn[17]
    assert neuron["v_mem_decay"] == made.dash_mem[17]
    assert neuron["threshold"] == made.threshold[17]
    assert [n["threshold"] for n in tree["readout"]["neurons"]] == [5, 6]
    assert [n["v_mem_decay"] for n in tree["readout"]["neurons"]] == [3, 4]
    assert len(tree["reservoir"]["neurons"]) == 200


@pytest.mark.parametrize("chip", [A2, IMU, A3], ids=lambda chip: chip.name)
def test_the_bias_of_hidden_neurons_arrives(chip):
    hidden = "reservoir" if chip is A2 else "hidden"
    tree = configuration(quiet(bias=np.array([25, -128])), chip)
    assert tree["bias_enable"] is True
    assert [n["v_mem_bias"] for n in tree[hidden]["neurons"]] == [25, -128]
    assert [n["v_mem_bias"] for n in tree["readout"]["neurons"]] == [0]


def test_a_bias_of_the_outputs_alone_arrives():
    tree = configuration(quiet(bias_out=np.array([9])), IMU)
    assert tree["bias_enable"] is True
    assert [n["v_mem_bias"] for n in tree["hidden"]["neurons"]] == [0, 0]
    assert tree["readout"]["neurons"][0]["v_mem_bias"] == 9


def test_without_any_bias_its_stage_is_off():
    tree = configuration(quiet(), A2)
    assert tree["bias_enable"] is False
    assert tree["debug"]["bias_clock_enable"] is False
    assert "v_mem_bias" not in tree["reservoir"]["neurons"][0]


def test_an_alias_is_a_hidden_id_or_none():
    tree = configuration(quiet(hidden=3, aliases=((), (0,), ())), A3)
    assert tree["hidden"]["aliasing"] is True
    assert [n["alias_target"] for n in tree["hidden"]["neurons"]] == [None, 0, None]
    assert configuration(quiet(), A3)["hidden"]["aliasing"] is False


@pytest.mark.parametrize("chip", [A2, A3], ids=lambda chip: chip.name)
def test_the_second_synapse_has_its_own_weights_and_decay(chip):
    rng = np.random.default_rng(0)
    made = quiet(
        hidden=2,
        synapses=2,
        weights_in=rng.integers(-128, 128, (1, 2, 2)),
        weights_rec=rng.integers(-128, 128, (2, 2, 2)),
        dash_syn_2=np.array([7, 8]),
    )
    tree = configuration(made, chip)
    hidden = tree["reservoir" if chip is A2 else "hidden"]
    assert tree["synapse2_enable"] is True
    assert np.array_equal(tree["input"]["syn2_weights"], made.weights_in[..., 1])
    assert np.array_equal(hidden["syn2_weights"], made.weights_rec[..., 1])
    assert [n["i_syn2_decay"] for n in hidden["neurons"]] == [7, 8]


def test_audio_2_clocks_only_what_is_used():
    one = configuration(quiet(), A2)["debug"]
    two = configuration(quiet(synapses=2, bias=np.array([1, 0])), A2)["debug"]
    assert (one["isyn2_clock_enable"], one["bias_clock_enable"]) == (False, False)
    assert (two["isyn2_clock_enable"], two["bias_clock_enable"]) == (True, True)
    assert one["ram_power_enable"] is True


def test_spikes_come_from_the_host_as_fast_as_steps_run():
    assert configuration(quiet(), IMU)["imu_if_input_enable"] is False
    assert configuration(quiet(), A3)["input_source"] == "SpikeEvents"
    assert configuration(quiet(), A2)["operation_mode"] == "AcceleratedTime"
