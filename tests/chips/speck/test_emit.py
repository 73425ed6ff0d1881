import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.chips.speck.networks import chain
from tests.chips.speck.surfaces import SURFACES, files, holds, plain
from toolchain.chips.load import load_chip
from toolchain.chips.speck import Destination
from toolchain.chips.speck.emit.extras import DECIMATOR, Extras
from toolchain.chips.speck.emit.tree import configuration, slow_clock_hz
from toolchain.chips.speck.live.boards import to_samna
from toolchain.chips.speck.outputs import with_readout
from toolchain.chips.synsense.vendor import NOTES
from toolchain.diagnostics import DeployError

CHIPS = ["speck2e", "speck2f", "speck2c_mini", "speck2d_mini", "dynapcnn"]
OFF = {"enable": False}


@pytest.fixture
def network():
    rng = np.random.default_rng(0)
    return chain(
        (2, 7, 9),
        {
            "outputs": 3,
            "kernel": 3,
            "stride": (1, 2),
            "padding": (0, 1),
            "weight": rng.integers(-128, 128, (3, 2, 3, 3)),
            "bias": [0, -4, 0],
            "initial": rng.integers(-50, 50, (3, 5, 5)),
            "pool": 2,
        },
        {"outputs": 4, "kernel": None, "return_to_zero": True},
    )


def on(program, first=3, last=4):
    names = [core.name for core in program.cores]
    return program.placed(dict(zip(names, (first, last), strict=True)))


def test_each_core_is_written_with_x_before_y(network):
    layers = configuration(network.placed({"spk0": 3, "spk1": 7}))["cnn_layers"]
    assert list(layers) == ["3", "7"]
    first = layers["3"]
    assert first["dimensions"] == {
        "input_shape": {"feature_count": 2, "size": {"x": 9, "y": 7}},
        "output_shape": {"feature_count": 3, "size": {"x": 5, "y": 5}},
        "kernel_size": 3,
        "stride": {"x": 2, "y": 1},
        "padding": {"x": 1, "y": 0},
    }
    core = network.cores[0]
    assert np.array_equal(first["weights"], core.weight.transpose(0, 1, 3, 2))
    assert np.array_equal(first["neurons_initial_value"], core.initial.transpose(0, 2, 1))
    assert first["biases"] == [0, -4, 0]
    assert first["leak_enable"]
    assert (first["threshold_high"], first["threshold_low"]) == (100, -100)
    assert not first["return_to_zero"]
    assert not first["monitor_enable"]
    assert first["destinations"] == [{"layer": 7, "enable": True, "pooling": 2}, OFF]


def test_a_layer_without_bias_has_zero_biases_and_no_leak(network):
    last = configuration(network.placed({"spk0": 3, "spk1": 7}))["cnn_layers"]["7"]
    assert last["biases"] == [0, 0, 0, 0]
    assert not last["leak_enable"]
    assert last["return_to_zero"]
    assert last["monitor_enable"]
    assert last["destinations"] == [OFF, OFF]
    assert last["neurons_initial_value"] == [[[0]]] * 4


def test_what_is_not_simulated_is_off_and_everything_is_json(network):
    config = configuration(network.placed({"spk0": 3, "spk1": 7}))
    assert config["dvs_layer"] == {"pass_sensor_events": False}
    assert config["readout"] == OFF
    assert "factory_config" not in config
    for layer in config["cnn_layers"].values():
        assert layer["input_congestion_balancer_enable"] is False
        assert layer["output_decimator_enable"] is False
        assert layer["leak_internal_slow_clk_enable"] is False
        assert "output_decimator_interval" not in layer
    assert json.loads(json.dumps(config)) == config


def test_two_destinations_with_different_pooling_and_channels(network):
    first, last = network.cores
    both = (Destination(layer="spk1", pooling=2), Destination(layer="beside", feature_shift=3))
    beside = replace(
        first,
        name="beside",
        weight=np.ones((1, 6, 1, 1), int),
        bias=None,
        initial=None,
        stride=(1, 1),
        padding=(0, 0),
        input_shape=(6, 5, 5),
        destinations=(),
    )
    program = replace(network, cores=(replace(first, destinations=both), last, beside))
    layers = configuration(program.placed({"spk0": 3, "spk1": 7, "beside": 8}))["cnn_layers"]
    assert layers["3"]["destinations"] == [
        {"layer": 7, "enable": True, "pooling": 2},
        {"layer": 8, "enable": True, "pooling": 1, "feature_shift": 3},
    ]


def test_notes_say_who_is_which_output_and_where_input_goes(network):
    notes = configuration(network.placed({"spk0": 3, "spk1": 7}))[NOTES]
    assert notes["outputs"] == {
        "output": [0, 1, 2, 3],
        "layer": ["spk1"] * 4,
        "core": [7] * 4,
        "channel": [0, 1, 2, 3],
        "y": [0] * 4,
        "x": [0] * 4,
        "readout_class": [None] * 4,
    }
    assert notes["inputs"] == [{"layer": "spk0", "pooling": 1, "feature_shift": 0, "core": 3}]
    assert notes["slow_clock_hz"] == pytest.approx(1000)


def test_the_slow_clock_is_asked_for_where_it_is_needed(network):
    plain_cores = tuple(replace(core, bias=None) for core in network.cores)
    silent = replace(network, cores=plain_cores)
    assert slow_clock_hz(silent) is None
    assert slow_clock_hz(with_readout(silent)) == pytest.approx(1000)
    assert slow_clock_hz(replace(network, dt=None)) is None


def test_a_readout_is_fed_by_its_layer_and_set_up(network):
    read = on(with_readout(network, threshold=7, window=32, mode="selected", selected=2))
    config = configuration(read)
    assert config["cnn_layers"]["4"]["destinations"] == [
        {"layer": 12, "enable": True, "pooling": 1},
        OFF,
    ]
    assert config["readout"] == {
        "enable": True,
        "readout_configuration_sel": 3,
        "output_mode_sel": 2,
        "output_neuron_num": 2,
        "threshold": 7,
        "low_pass_filter_disable": False,
        "low_pass_filter32_not16": True,
        "override_threshold_max": False,
        "monitor_enable": False,
        "readout_pin_monitor_enable": True,
        "internal_slow_clk": False,
    }
    assert config[NOTES]["outputs"]["channel"] == [0, 4, 8, 12]
    assert config[NOTES]["outputs"]["readout_class"] == [1, 2, 3, 4]


def test_blocks_that_are_not_simulated_are_switched_on_by_name(network):
    extras = Extras(
        decimate={"spk0": 128}, balance=["spk1"], slow_clock_divider=15, factory={"io_sel": 24}
    )
    config = configuration(on(network), extras=extras)
    first, last = config["cnn_layers"]["3"], config["cnn_layers"]["4"]
    assert (first["output_decimator_enable"], first["output_decimator_interval"]) == (True, 5)
    assert last["output_decimator_enable"] is False
    assert first["input_congestion_balancer_enable"] is False
    assert last["input_congestion_balancer_enable"] is True
    assert first["leak_internal_slow_clk_enable"] is True
    assert config["factory_config"] == {"io_sel": 24, "internal_slow_clk_divider": 15}


@pytest.mark.parametrize("number", [1, 3, 64, 1024])
def test_the_decimator_knows_powers_of_two_but_not_64(number):
    with pytest.raises(
        ValueError, match=f"must pass one spike of 2, 4, 8, 16, 32, 128, .* {number}$"
    ):
        Extras(decimate={"spk0": number})
    assert [*DECIMATOR.values()] == [*range(8)]


@pytest.mark.parametrize("divider", [13, 18])
def test_the_slow_clock_divides_by_2_to_the_14_to_17(divider):
    with pytest.raises(ValueError, match=f"slow_clock_divider must be 14 to 17, got {divider}"):
        Extras(slow_clock_divider=divider)


def test_kill_bits_are_transposed_like_the_weights(network):
    weight = np.array(network.cores[0].weight)
    weight[0, 1, 2, 0] = weight[1, 0, 0, 1] = 0
    network = replace(network, cores=(replace(network.cores[0], weight=weight), network.cores[1]))
    first = configuration(on(network), load_chip("dynapcnn"))["cnn_layers"]["3"]
    killed = np.array(first["weights_kill_bit"])
    np.testing.assert_array_equal(killed, np.array(first["weights"]) == 0)
    assert killed[0, 1, 0, 2]
    assert killed[1, 0, 1, 0]
    assert first["biases_kill_bit"] == [True, False, True]
    assert np.shape(first["neurons_value_kill_bit"]) == (3, 5, 5)
    assert not np.any(first["neurons_value_kill_bit"])
    assert "weights_kill_bit" not in configuration(on(network))["cnn_layers"]["3"]


# ---- what there is no field for ----


def test_layers_without_a_core_are_refused(network):
    with pytest.raises(ValueError, match="not placed on a core: spk0, spk1"):
        configuration(network)


def test_everything_that_has_no_field_is_named_at_once():
    network = chain((1, 3, 4), {"outputs": 1, "kernel": None, "threshold_high": 32768})
    with pytest.raises(DeployError) as caught:
        configuration(network.placed({"spk0": 0}))
    assert {(f.rule, f.where) for f in caught.value.diagnostics} == {
        ("square_kernel", "conv0"),
        ("threshold_range", "spk0"),
    }
    assert str(caught.value).startswith(
        "the configuration of speck2f has no field for a part of this program"
    )


def test_a_core_that_the_chip_does_not_have_is_refused(network):
    with pytest.raises(DeployError, match=r"error\[assigned_core\] spk1: "):
        configuration(network.placed({"spk0": 3, "spk1": 5}), load_chip("speck2c_mini"))


def test_three_destinations_are_refused():
    targets = tuple(Destination(layer=f"spk{n}") for n in (1, 2, 3))
    layer = {"outputs": 1, "kernel": 1}
    network = chain((1, 2, 2), layer, layer, layer, layer)
    cores = (replace(network.cores[0], destinations=targets), *network.cores[1:])
    program = replace(network, cores=cores).placed({f"spk{n}": n for n in range(4)})
    with pytest.raises(DeployError, match=r"error\[destinations\] spk0: sends to 3 layers"):
        configuration(program)


@pytest.mark.parametrize("chip", ["speck2c_mini", "dynapcnn"])
def test_blocks_that_a_chip_is_not_known_to_have_are_refused(chip, network):
    extras = Extras(
        decimate={"spk0": 2}, balance=["spk1"], slow_clock_divider=14, factory={"io_sel": 1}
    )
    with pytest.raises(DeployError) as caught:
        configuration(on(network), load_chip(chip), extras=extras)
    assert [f"{f.where}: {f.message}" for f in caught.value.diagnostics] == [
        f"spk0: needs an output decimator, which {chip} is not known to have",
        f"spk1: needs a congestion balancer, which {chip} is not known to have",
        f"network: needs a slow clock of its own, which {chip} is not known to have",
        f"network: needs factory settings, which {chip} is not known to have",
    ]


def test_extras_of_layers_that_are_not_there_are_refused(network):
    with pytest.raises(DeployError, match=r"error\[extras\] other: is not a layer of the program"):
        configuration(on(network), extras=Extras(balance=["other"]))


def test_a_program_of_another_family_is_refused(network):
    with pytest.raises(ValueError, match="xylo_a2 is a xylo chip, this program is for Speck"):
        configuration(on(replace(network, chip="xylo_a2")))


# ---- against recordings of the vendor's surface ----


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put the vendor's distribution with that module where Python looks first."""

    def put(module):
        info = tmp_path / "samna-0.48.6.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: samna\nVersion: 0.48.6\n")
        own = files(module)
        (info / "RECORD").write_text("".join(f"{name},,\n" for name in own))
        for name, text in own.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))

    yield put
    for name in [name for name in sys.modules if name.split(".")[0] == "samna"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", CHIPS)
def test_every_value_is_taken_by_the_recorded_surface_of_the_chip(name, network, install):
    chip = load_chip(name)
    install(chip.vendor_module)
    read = with_readout(network, threshold=1) if chip.readout else network
    extras = Extras()
    if chip.readout:
        extras = Extras(decimate={"spk0": 512}, factory={"io_sel": 24, "fast_output": True})
    tree = configuration(on(read), chip, extras=extras)
    live = to_samna(tree, chip)
    assert type(live).__name__ == SURFACES[chip.vendor_module][0]
    del tree[NOTES]
    assert holds(plain(live), tree)
    untouched = plain(live)["cnn_layers"][2]
    assert untouched["weights"] == []
    assert untouched["destinations"][0]["enable"] is False
