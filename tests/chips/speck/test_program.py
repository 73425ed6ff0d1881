import json
from dataclasses import replace

import numpy as np
import pytest

from tests.chips.speck.networks import chain
from tests.oracles.speck_networks import random_case
from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.store import from_arrays, to_arrays


def core(**fields):
    defaults = {
        "name": "spk",
        "weight_name": "conv",
        "weight": np.ones((2, 1, 3, 3), np.int8),
        "input_shape": (1, 5, 5),
        "threshold_high": 10,
        "threshold_low": -10,
    }
    return SpeckCore(**{**defaults, **fields})


def program(*cores, **fields):
    defaults = {
        "chip": "speck2f",
        "input_shape": (1, 5, 5),
        "inputs": (Destination(layer="spk"),),
        "outputs": ("spk",),
    }
    return SpeckProgram(**{**defaults, **fields}, cores=cores)


def test_arrays_are_copied_typed_and_read_only():
    weight = np.ones((2, 1, 3, 3), np.int64)
    result = core(weight=weight, bias=[1, 2])
    weight[:] = 5
    assert result.weight.dtype == np.int8
    assert result.weight.max() == 1
    assert result.bias.dtype == np.int16
    with pytest.raises(ValueError, match="read-only"):
        result.weight[0] = 2


def test_a_core_is_refused_with_all_its_faults():
    with pytest.raises(ValueError, match="SpeckCore 'spk'") as error:
        core(
            weight=np.full((2, 1, 3, 3), 128),
            bias=np.array([0.5, 1]),
            stride=(0, 1),
            padding=(1, -1),
            threshold_high=0,
            threshold_low=1.5,
            core=-1,
        )
    with pytest.raises(ValueError, match="weight has masked values; give an array without a mask"):
        core(weight=np.ma.array(np.ones((2, 1, 3, 3), int), mask=True))
    for fault in (
        "weight must stay in -128..127, got 128..128",
        "bias must hold integers, got float64",
        "stride must be 2 integers >= 1, got (0, 1)",
        "padding must be 2 integers >= 0, got (1, -1)",
        "threshold_high must be an integer >= 1, got 0",
        "threshold_low must be an integer <= 0, got 1.5",
        "core must be an integer >= 0 or None, got -1",
    ):
        assert fault in str(error.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight": np.ones((2, 1, 3))}, "weight must have shape"),
        ({"input_shape": (2, 5, 5)}, "weight takes 1 input channels, input_shape has 2"),
        ({"bias": [1]}, r"bias must have shape \(2,\), got \(1,\)"),
        ({"bias": [40000, 0]}, r"bias must stay in -32768\.\.32767"),
        ({"initial": np.zeros((2, 5, 5), int)}, r"initial must have shape \(2, 3, 3\)"),
        ({"input_shape": (1, 2, 5)}, "a 3x3 kernel does not fit on a 2x5 map padded by 0x0"),
        ({"input_shape": (1, True, 5)}, "input_shape must be 3 integers >= 1"),
    ],
)
def test_a_core_whose_parts_disagree_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        core(**fields)


def test_a_program_is_refused_with_all_its_faults():
    first = core(destinations=(Destination(layer="spk"), Destination(layer="nowhere")))
    with pytest.raises(ValueError, match="SpeckProgram") as error:
        program(first, core(name="deaf", core=1), core(name="deaf", core=1), dt=-1)
    for fault in (
        "name used twice: deaf",
        "hardware core used twice: 1",
        "dt must be > 0 s, got -1",
        "spk sends spikes to 'spk', which is not later in the order",
        "spk sends spikes to unknown core 'nowhere'",
        "no spikes are sent to: deaf",
        "output 'spk' is not monitored",
    ):
        assert fault in str(error.value)


def test_placed_sets_the_core_of_every_layer():
    network = chain((1, 8, 8), {"outputs": 2, "kernel": 3}, {"outputs": 2, "kernel": 3})
    placed = network.placed({"spk0": 4, "spk1": 2})
    assert [c.core for c in placed.cores] == [4, 2]
    assert [c.core for c in network.cores] == [None, None]
    with pytest.raises(ValueError, match="must name every core once"):
        network.placed({"spk0": 4})
    with pytest.raises(ValueError, match="hardware core used twice: 4"):
        network.placed({"spk0": 4, "spk1": 4})


@pytest.mark.parametrize("seed", range(8))
def test_arrays_and_back_is_the_same_program(seed):
    program = random_case(seed, branches=True)[0]
    arrays, metadata = to_arrays(program)
    back = from_arrays(arrays, json.loads(json.dumps(metadata)))
    assert str(back) == str(program)
    for ours, theirs in zip(program.cores, back.cores, strict=True):
        assert ours.weight.tobytes() == theirs.weight.tobytes()
        assert ours.destinations == theirs.destinations


@pytest.mark.parametrize("damage", ["format", "cores", "outputs"])
def test_damaged_metadata_is_refused(damage):
    arrays, metadata = to_arrays(chain((1, 8, 8), {"outputs": 2, "kernel": 3}))
    del metadata[damage]
    with pytest.raises(ValueError, match="Speck program"):
        from_arrays(arrays, metadata)


def test_missing_and_unknown_arrays_are_refused():
    arrays, metadata = to_arrays(chain((1, 8, 8), {"outputs": 2, "kernel": 3}))
    with pytest.raises(ValueError, match=r"damaged Speck program: 'spk0\.weight'"):
        from_arrays({}, metadata)
    with pytest.raises(ValueError, match="arrays that belong to no core: other"):
        from_arrays({**arrays, "other": arrays["spk0.weight"]}, metadata)


def test_text_is_canonical():
    network = chain((1, 8, 8), {"outputs": 2, "kernel": 3, "pool": 2}, {"outputs": 3, "kernel": 3})
    assert str(network) == (
        "SpeckProgram for speck2f, dt 0.001 s\n"
        "  input 1x8x8 to spk0\n"
        "  conv0 > spk0: 1x8x8 -> 2x6x6, weight int8[2x1x3x3]:60daa3a5, bias -, stride 1x1 "
        "padding 0x0, threshold 100 floor -100 reset subtract, initial -, to spk1 (sum 2), core -\n"
        "  conv1 > spk1: 2x3x3 -> 3x1x1, weight int8[3x2x3x3]:ea659cdc, bias -, stride 1x1 "
        "padding 0x0, threshold 100 floor -100 reset subtract, initial -, to -, core -, monitored\n"
        "  output spk1"
    )


def test_word_counts_round_addresses_up_as_documented():
    conv = core(weight=np.zeros((32, 16, 3, 3), int), input_shape=(16, 64, 64), padding=(1, 1))
    assert (conv.kernel_words, conv.neuron_words, conv.bias_words) == (8192, 131072, 0)
    odd = core(
        weight=np.zeros((65, 64, 3, 3), int), input_shape=(64, 19, 7), bias=np.zeros(65, int)
    )
    assert (odd.kernel_words, odd.neuron_words, odd.bias_words) == (131072, 65 * 32 * 8, 65)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling": 0}, "pooling to 'spk' must be an integer >= 1, got 0"),
        ({"pooling": 1.0}, "pooling to 'spk' must be an integer >= 1, got 1.0"),
        ({"feature_shift": -1}, "feature_shift to 'spk' must be an integer >= 0, got -1"),
        ({"feature_shift": True}, "feature_shift to 'spk' must be an integer >= 0, got True"),
    ],
)
def test_a_destination_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Destination(layer="spk", **fields)


def shifted():
    network = chain((1, 4, 4), {"outputs": 2, "kernel": 1}, {"outputs": 1, "kernel": 1})
    first, last = network.cores
    beside = Destination(layer="spk1", pooling=2, feature_shift=1)
    wide = replace(last, weight=np.ones((1, 3, 1, 1), int), input_shape=(3, 2, 2))
    inputs = (Destination(layer="spk0"), Destination(layer="spk1", pooling=2))
    return replace(network, cores=(replace(first, destinations=(beside,)), wide), inputs=inputs)


def test_shifted_channels_stand_in_the_text_and_are_stored():
    program = shifted()
    assert "to spk1 (sum 2, channels +1)" in str(program)
    arrays, metadata = to_arrays(program)
    back = from_arrays(arrays, json.loads(json.dumps(metadata)))
    assert back.cores[0].destinations == program.cores[0].destinations


def test_maps_find_their_place_where_all_channels_are_reached():
    program = shifted()
    straight, beside = program.inputs[1], program.cores[0].destinations[0]
    assert program.takes(straight, (1, 4, 4))
    assert program.takes(beside, (2, 5, 4))  # the fifth row is lost in pooling
    assert not program.takes(beside, (3, 4, 4))
    assert not program.takes(beside, (2, 6, 4))
    alone = replace(program, inputs=program.inputs[:1])
    assert not alone.takes(beside, (2, 4, 4))
