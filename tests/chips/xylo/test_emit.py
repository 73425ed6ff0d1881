"""The vendor's attribute tree of a program."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.chips.xylo.programs import quiet
from tests.chips.xylo.surfaces import SURFACES
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.emit.tree import ROOM, configuration, require_room
from toolchain.chips.xylo.rules.program import RULES
from toolchain.diagnostics import DeployError

ONE, A2, IMU, A3 = map(load_chip, ("xylo_1", "xylo_a2", "xylo_imu", "xylo_a3"))
CHIPS = (ONE, A2, IMU, A3)


def program_for(chip, **changes):
    return quiet(core=chip.integer_core, **changes)


def hidden_part(chip):
    return "reservoir" if chip in (ONE, A2) else "hidden"


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
LATER = {"bias_enable", "enable_hibernation_mode"}
OWN = {
    "xylo_1": SECOND | {"debug.clock_enable", "debug.ram_power_enable"},
    "xylo_a2": SECOND
    | LATER
    | {
        "debug.isyn_clock_enable",
        "debug.isyn2_clock_enable",
        "debug.ra_clock_enable",
        "debug.bias_clock_enable",
        "debug.hm_clock_enable",
        "debug.ram_power_enable",
    },
    "xylo_imu": LATER | {"imu_if_input_enable", "debug.always_update_omp_stat"},
    "xylo_a3": SECOND | LATER | {"input_source", "debug.always_update_omp_stat"},
}


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_the_tree_has_the_fields_of_the_chips_configuration(chip):
    wanted = {path.replace("HIDDEN", hidden_part(chip)) for path in COMMON | OWN[chip.name]}
    assert keys(configuration(program(core=chip.integer_core), chip)) == wanted


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_the_tree_is_plain_data(chip):
    bias = np.arange(200) % 2 * (chip is not ONE)
    tree = configuration(program(bias=bias, core=chip.integer_core), chip)
    assert json.loads(json.dumps(tree, allow_nan=False)) == tree


@pytest.mark.parametrize("chip", [ONE, A2], ids=lambda chip: chip.name)
def test_on_xylo_1_and_audio_2_matrices_have_full_height(chip):
    xylo_program = program(core=chip.integer_core)
    tree = configuration(xylo_program, chip)
    assert np.array_equal(tree["input"]["weights"], xylo_program.weights_in[..., 0])
    assert np.array_equal(tree["reservoir"]["weights"], xylo_program.weights_rec[..., 0])
    assert np.array_equal(tree["readout"]["weights"], xylo_program.weights_out)


@pytest.mark.parametrize("chip", [IMU, A3], ids=lambda chip: chip.name)
def test_elsewhere_they_end_where_the_reach_does(chip):
    xylo_program = program()
    tree = configuration(xylo_program, chip)
    assert np.array_equal(tree["input"]["weights"], xylo_program.weights_in[:, :128, 0])
    assert np.shape(tree["hidden"]["weights"]) == (200, 200)
    assert np.array_equal(tree["readout"]["weights"], xylo_program.weights_out[72:])


@pytest.mark.parametrize("chip", [IMU, A3], ids=lambda chip: chip.name)
def test_a_small_network_is_all_within_reach(chip):
    tree = configuration(quiet(inputs=3, hidden=5, outputs=2), chip)
    assert np.shape(tree["input"]["weights"]) == (3, 5)
    assert np.shape(tree["readout"]["weights"]) == (5, 2)


def test_shifts_and_constants_are_where_they_belong():
    xylo_program = program(threshold_out=np.array([5, 6]), dash_mem_out=np.array([3, 4]))
    tree = configuration(xylo_program, A2)
    shifts = [tree[part]["weight_bit_shift"] for part in ("input", "reservoir", "readout")]
    assert shifts == [1, 2, 3]
    neuron = tree["reservoir"]["neurons"][17]
    assert neuron["i_syn_decay"] == xylo_program.dash_syn[17]
    assert neuron["v_mem_decay"] == xylo_program.dash_mem[17]
    assert neuron["threshold"] == xylo_program.threshold[17]
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


@pytest.mark.parametrize("chip", [ONE, A2, A3], ids=lambda chip: chip.name)
def test_the_second_synapse_has_its_own_weights_and_decay(chip):
    rng = np.random.default_rng(0)
    xylo_program = program_for(
        chip,
        hidden=2,
        synapses=2,
        weights_in=rng.integers(-128, 128, (1, 2, 2)),
        weights_rec=rng.integers(-128, 128, (2, 2, 2)),
        dash_syn_2=np.array([7, 8]),
    )
    tree = configuration(xylo_program, chip)
    hidden = tree[hidden_part(chip)]
    assert tree["synapse2_enable"] is True
    assert np.array_equal(tree["input"]["syn2_weights"], xylo_program.weights_in[..., 1])
    assert np.array_equal(hidden["syn2_weights"], xylo_program.weights_rec[..., 1])
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


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_one_synapse_leaves_the_second_off(chip):
    tree = configuration(program_for(chip), chip)
    assert tree.get("synapse2_enable", False) is False
    assert "syn2_weights" not in tree["input"] | tree[hidden_part(chip)]


@pytest.mark.parametrize("chip", [ONE, A2, A3], ids=lambda chip: chip.name)
def test_the_second_decay_is_written_where_the_chip_has_its_register(chip):
    tree = configuration(program_for(chip, dash_syn_2=np.array([7, 8])), chip)
    assert [n["i_syn2_decay"] for n in tree[hidden_part(chip)]["neurons"]] == [7, 8]


def test_xylo_1_knows_no_bias_and_no_hibernation():
    tree = configuration(program_for(ONE), ONE)
    assert keys(tree).isdisjoint({"bias_enable", "enable_hibernation_mode"})
    assert "v_mem_bias" not in tree["reservoir"]["neurons"][0] | tree["readout"]["neurons"][0]


def test_the_second_synapse_of_audio_3_ends_where_the_reach_does():
    weights = np.ones((3, 200, 2), int) * (np.arange(200) < 128)[:, None]
    tree = configuration(quiet(inputs=3, hidden=200, synapses=2, weights_in=weights), A3)
    assert np.shape(tree["input"]["syn2_weights"]) == (3, 128)


# ---- nothing is dropped, cut or wrapped ----


def reached(*ids, size=300):
    weights = np.zeros((1, size, 1), int)
    weights[0, list(ids)] = 1
    return {"hidden": size, "weights_in": weights}


def reading(*ids, size=300):
    weights = np.zeros((size, 1), int)
    weights[list(ids)] = -1
    return {"hidden": size, "weights_out": weights}


LIMITS = [
    ("alias_targets", ONE, {"aliases": ((1,), ())}, {"aliases": ((0, 1), ())}),
    ("alias_targets", A2, {"aliases": ((1,), ())}, {"aliases": ((0, 1), ())}),
    ("alias_targets", A3, {"aliases": ((1,), (0,))}, {"aliases": ((1,), (0, 1))}),
    ("weight_shifts", A2, {"weight_shift_in": 7}, {"weight_shift_in": 8}),
    ("weight_shifts", IMU, {"weight_shift_rec": 7}, {"weight_shift_rec": 8}),
    ("weight_shifts", ONE, {"weight_shift_out": 7}, {"weight_shift_out": 8}),
    ("biases", A2, {"bias": np.array([-128, 127])}, {"bias": np.array([-128, 128])}),
    ("biases", A3, {"bias_out": np.array([-128])}, {"bias_out": np.array([-129])}),
    ("input_expansion", IMU, reached(127), reached(128)),
    ("input_expansion", A3, reached(0, 127), reached(0, 128)),
    ("output_expansion", IMU, reading(172), reading(171)),
    ("output_expansion", A3, reading(172, 299), reading(171, 299)),
    ("synapses", IMU, {"synapses": 1}, {"synapses": 2}),
    ("input_channels", A2, {"inputs": 16}, {"inputs": 17}),
    ("hidden_neurons", ONE, {"hidden": 1000}, {"hidden": 1001}),
    ("hidden_neurons", IMU, {"hidden": 496}, {"hidden": 497}),
    ("output_neurons", A3, {"outputs": 32}, {"outputs": 33}),
    ("output_neurons", A2, {"outputs": 8}, {"outputs": 9}),
]


@pytest.mark.parametrize(
    ("rule", "chip", "good", "bad"), LIMITS, ids=[f"{case[0]}-{case[1].name}" for case in LIMITS]
)
def test_at_the_limit_it_is_written_and_one_past_it_nothing_is(rule, chip, good, bad):
    assert configuration(program_for(chip, **good), chip)
    with pytest.raises(DeployError) as caught:
        configuration(program_for(chip, **bad), chip)
    assert {finding.rule for finding in caught.value.diagnostics} == {rule}
    headline = f"this program does not fit the configuration of {chip.name}:"
    assert str(caught.value).startswith(headline)


@pytest.mark.parametrize(("chip", "core"), [(ONE, "v2"), (A2, "v1"), (IMU, "v1")])
def test_a_program_of_another_core_is_not_written(chip, core):
    with pytest.raises(DeployError, match=f"is a program for core {core}, {chip.name} has core"):
        configuration(quiet(core=core), chip)


@pytest.mark.parametrize(("name", "cap"), [("input", 15), ("hidden", 31), ("output", 1)])
def test_a_program_that_was_simulated_with_other_caps_is_not_written(name, cap):
    field = f"max_{name}_spikes"
    assert configuration(replace(quiet(), **{field: cap}), A2)
    with pytest.raises(DeployError, match=f"{field} is {cap + 1}, "):
        configuration(replace(quiet(), **{field: cap + 1}), A2)


def test_everything_that_is_lost_is_said_at_once():
    bad = quiet(weight_shift_in=8, aliases=((0, 1), ()), bias=np.array([300, 0]), outputs=9)
    with pytest.raises(DeployError) as caught:
        require_room(bad, A2)
    found = {finding.rule for finding in caught.value.diagnostics}
    assert found == {"weight_shifts", "alias_targets", "biases", "output_neurons"}


def test_what_makes_room_is_asked_of_rules_that_there_are():
    assert set(ROOM) <= {rule.__name__ for rule in RULES}


def test_a_module_of_unknown_layout_is_not_guessed():
    other = A2.model_copy(update={"vendor_module": "samna.xyloNext"})
    message = "^the configuration of samna.xyloNext is not known, only those of samna.xylo, "
    with pytest.raises(ValueError, match=message):
        configuration(quiet(), other)


def test_there_is_a_recorded_surface_for_every_chip():
    assert {chip.vendor_module for chip in CHIPS} == set(SURFACES)


# ---- real time ----


@pytest.mark.parametrize(
    ("chip", "dt", "clock_hz", "cycles"),
    [
        (A2, 1e-3, None, 50_000),
        (A2, 1e-3, 6.25e6, 6250),
        (A2, 1e-4, 50e6 / 3, 1666),  # what is not a whole cycle is cut off
        (A3, 9.994e-3, None, 499_700),
        (IMU, 5e-3, 50e6, 250_000),
        (IMU, 5e-3, 6.25e6, 31_250),
        (ONE, 1e-3, None, 50_000),
    ],
)
def test_in_real_time_a_step_is_dt_in_cycles_of_the_clock(chip, dt, clock_hz, cycles):
    xylo_program = program_for(chip, dt=dt)
    tree = configuration(xylo_program, chip, operation_mode="RealTime", clock_hz=clock_hz)
    assert (tree["operation_mode"], tree["time_resolution_wrap"]) == ("RealTime", cycles)


@pytest.mark.parametrize("mode", ["Manual", "AcceleratedTime"])
def test_without_real_time_a_step_has_no_duration(mode):
    tree = configuration(quiet(dt=1e-3), A2, operation_mode=mode)
    assert tree["operation_mode"] == mode
    assert "time_resolution_wrap" not in tree


def test_only_audio_3_records():
    assert configuration(quiet(), A3, operation_mode="Recording")["operation_mode"] == "Recording"
    modes = "Manual, AcceleratedTime, RealTime"
    message = f"^xylo_a2 has operation modes {modes}, got 'Recording'$"
    with pytest.raises(ValueError, match=message):
        configuration(quiet(), A2, operation_mode="Recording")


@pytest.mark.parametrize(
    ("chip", "dt", "clock_hz", "message"),
    [
        (A2, None, None, "RealTime needs the length of a timestep; this program has no dt"),
        (A2, 1e-3, 51e6, "clock_hz 5.1e+07 Hz is above the 50 MHz of xylo_a2 ("),
        (A2, 1e-3, 20e6, "xylo_a2 cannot set its main clock to 20000000.0 Hz; it has 100 / (2 "),
        (IMU, 5e-3, 0.0, "clock_hz must be a number of Hz > 0, such as 6.25e6, got 0.0"),
        (A3, 1e-3, float("nan"), "clock_hz must be a number of Hz > 0, such as 6.25e6, got nan"),
        (A2, 1e-9, None, "dt 1e-09 s is shorter than a cycle of 5e+07 Hz"),
        (IMU, 5.001e-3, None, "dt is 0.005001 s, in real time xylo_imu has 5 ms (xylo_imu.yaml, "),
    ],
)
def test_a_time_that_the_chip_cannot_keep_is_refused(chip, dt, clock_hz, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        configuration(quiet(dt=dt), chip, operation_mode="RealTime", clock_hz=clock_hz)


def test_a_step_of_one_cycle_is_the_shortest():
    xylo_program = quiet(dt=1 / 50e6)
    tree = configuration(xylo_program, A2, operation_mode="RealTime")
    assert tree["time_resolution_wrap"] == 1


def test_a_clock_without_real_time_is_refused():
    with pytest.raises(ValueError, match=r"^clock_hz is for RealTime; in AcceleratedTime no field"):
        configuration(quiet(dt=1e-3), A2, clock_hz=50e6)


@pytest.mark.parametrize("chip", [A2, IMU, A3], ids=lambda chip: chip.name)
def test_hibernation_is_off_unless_it_is_asked_for(chip):
    assert configuration(quiet(), chip)["enable_hibernation_mode"] is False
    assert configuration(quiet(), chip, hibernation=True)["enable_hibernation_mode"] is True


def test_xylo_1_does_not_hibernate():
    with pytest.raises(ValueError, match=r"^xylo_1 has no hibernation$"):
        configuration(program_for(ONE), ONE, hibernation=True)
