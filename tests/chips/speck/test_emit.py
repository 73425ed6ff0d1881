import json

import numpy as np
import pytest

from tests.chips.speck.networks import chain
from toolchain.chips.speck.emit import configuration


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
    assert first["destinations"] == [{"layer": 7, "enable": True, "pooling": 2}]


def test_a_layer_without_bias_has_zero_biases_and_no_leak(network):
    last = configuration(network.placed({"spk0": 3, "spk1": 7}))["cnn_layers"]["7"]
    assert last["biases"] == [0, 0, 0, 0]
    assert not last["leak_enable"]
    assert last["return_to_zero"]
    assert last["monitor_enable"]
    assert last["destinations"] == []
    assert last["neurons_initial_value"] == [[[0]]] * 4


def test_the_sensor_is_off_and_everything_is_json(network):
    config = configuration(network.placed({"spk0": 3, "spk1": 7}))
    assert config["dvs_layer"] == {"pass_sensor_events": False}
    assert json.loads(json.dumps(config)) == config


def test_layers_without_a_core_are_refused(network):
    with pytest.raises(ValueError, match="not placed on a core: spk0, spk1"):
        configuration(network)


def test_a_kernel_that_is_not_square_is_refused():
    network = chain((1, 3, 4), {"outputs": 1, "kernel": None}).placed({"spk0": 0})
    with pytest.raises(ValueError, match="conv0: kernel 3x4 is not square"):
        configuration(network)
