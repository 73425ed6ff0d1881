"""The readout block: its settings, spreading, who is who, and what it makes of spikes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.cases import each
from tests.chips.speck import contract
from tests.chips.speck.networks import chain
from tests.oracles.speck_networks import random_case
from toolchain.chips.load import load_chip
from toolchain.chips.speck import Destination, simulate
from toolchain.chips.speck.outputs import OutputNeuron, readout_table, with_readout
from toolchain.chips.speck.readout import Readout
from toolchain.chips.speck.rules.program import check
from toolchain.chips.speck.simulate.readout import MOST, read_out, unpack_word
from toolchain.chips.speck.store import from_arrays, to_arrays

CHIP = load_chip("speck2f")


def classifier(classes, seed=0, **last):
    """Two layers, the second one pixel large."""
    rng = np.random.default_rng(seed)
    return chain(
        (2, 5, 5),
        {"outputs": 3, "kernel": 3, "weight": rng.integers(-40, 80, (3, 2, 3, 3))},
        {
            "outputs": classes,
            "kernel": None,
            "weight": rng.integers(-60, 90, (classes, 3, 3, 3)),
            **last,
        },
    )


def raster(seed=0, steps=20):
    return np.random.default_rng(seed).poisson(0.3, (2, steps, 2, 5, 5))


# ---- spreading ----


@pytest.mark.parametrize(("classes", "channels"), [(1, 1), (2, 5), (12, 45), (15, 57)])
def test_n_classes_are_spread_over_4_times_n_minus_1_plus_1_channels(classes, channels):
    read = with_readout(classifier(classes))
    weight = read["spk1"].weight
    assert weight.shape[0] == channels
    np.testing.assert_array_equal(weight[::4], classifier(classes)["spk1"].weight)
    assert not weight[np.arange(channels) % 4 != 0].any()


@each("timing", ["clocked", "event"])
@each("seed", range(6))
def test_spreading_changes_no_output(seed, timing):
    bias, start = np.arange(-2, 4), np.arange(6).reshape(6, 1, 1) * 30
    program = classifier(6, seed, bias=bias, initial=start)
    read = with_readout(program)
    wanted = contract.simulate(program, raster(seed), record=True, timing=timing)
    got = contract.simulate(read, raster(seed), record=True, timing=timing)
    assert wanted.spikes.any()
    np.testing.assert_array_equal(got.spikes, wanted.spikes)
    np.testing.assert_array_equal(got.layers["spk1"].v_mem, wanted.layers["spk1"].v_mem)
    whole = simulate(read, raster(seed), timing=timing).outputs["spk1"]
    assert whole.shape[2] == 21
    assert not whole[:, :, np.arange(21) % 4 != 0].any()


def test_a_readout_unplaces_what_was_placed():
    read = with_readout(classifier(3).placed({"spk0": 2, "spk1": 3}))
    assert [core.core for core in read.cores] == [None, None]
    placed, findings = contract.place(read, CHIP)
    assert {core.core for core in placed.cores} <= set(range(9))
    assert check(placed, CHIP) == findings


def test_what_cannot_be_read_out_is_refused():
    program = classifier(3)
    with pytest.raises(ValueError, match="the program already has a readout, of 'spk1'"):
        with_readout(with_readout(program))
    with pytest.raises(ValueError, match="'spk0' is not an output; the outputs are spk1"):
        with_readout(program, layer="spk0")
    map_out = chain((1, 4, 4), {"outputs": 5, "kernel": 3})
    with pytest.raises(ValueError, match="one neuron a class, 'spk0' is a map 2x2"):
        with_readout(map_out)
    both = chain(
        (1, 1, 1), {"outputs": 1, "kernel": 1, "monitor": True}, {"outputs": 1, "kernel": 1}
    )
    both = replace(both, outputs=("spk0", "spk1"))
    with pytest.raises(ValueError, match="name the layer to read out: one of spk0, spk1"):
        with_readout(both)
    with pytest.raises(ValueError, match="'spk0' also sends to spk1, which would receive"):
        with_readout(both, layer="spk0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": "other"}, "reads unknown core 'other'"),
        ({"selected": 4, "mode": "selected"}, "class 4 is selected, but 'spk1' has 3"),
    ],
)
def test_a_readout_that_its_program_cannot_feed_is_refused(change, message):
    read = with_readout(classifier(3))
    with pytest.raises(ValueError, match=message):
        replace(read, readout=replace(read.readout, **change))


def test_a_layer_that_is_not_spread_is_refused():
    with pytest.raises(ValueError, match="3 channels of 'spk1' are not 1, 5, 9, "):
        replace(classifier(3), readout=Readout(layer="spk1"))
    with pytest.raises(ValueError, match="between them have weights, biases or membranes"):
        replace(classifier(5), readout=Readout(layer="spk1"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": -1}, "threshold must be an integer from 0 to 65535, got -1"),
        ({"threshold": 65536}, "got 65536"),
        ({"threshold": True}, "got True"),
        ({"window": 8}, "window must be 1, 16 or 32, got 8"),
        ({"mode": "mean"}, "mode must be 'off', 'compare', 'selected' or 'max', got 'mean'"),
        ({"mode": "selected"}, "selected must be given with mode='selected', and only then"),
        ({"selected": 1}, "selected must be given with mode='selected'"),
        ({"mode": "selected", "selected": 0}, "selected must be an integer >= 1, got 0"),
        ({"pins": 1}, "pins must be True or False, got 1"),
    ],
)
def test_settings_that_there_are_none_of_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Readout(layer="spk1", **settings)


def test_a_stored_readout_comes_back():
    read = with_readout(classifier(4), threshold=3, window=16, mode="selected", selected=2)
    arrays, metadata = to_arrays(read)
    back = from_arrays(arrays, json.loads(json.dumps(metadata)))
    assert back.readout == read.readout
    assert str(back) == str(read)
    last = "  readout spk1, threshold 3, window 16, mode selected 2, pins"
    assert str(read).splitlines()[-1] == last
    metadata["readout"]["window"] = 5
    with pytest.raises(ValueError, match="window must be 1, 16 or 32"):
        from_arrays(arrays, metadata)
    metadata["readout"] = {"where": "spk1"}
    with pytest.raises(ValueError, match="damaged Speck program"):
        from_arrays(arrays, metadata)


# ---- what chips refuse ----


def findings(program, chip):
    names = ("readout_block", "readout_size", "readout_destinations", "readout_classes")
    return [
        f"{f.severity.value} {f.rule} {f.where}" for f in check(program, chip) if f.rule in names
    ]


@pytest.mark.parametrize("name", ["speck2e", "speck2f"])
def test_15_classes_are_told_apart_and_16_are_not(name):
    chip = load_chip(name)
    assert findings(with_readout(classifier(15)), chip) == []
    assert findings(with_readout(classifier(16)), chip) == ["error readout_size spk1"]
    (found,) = [f for f in check(with_readout(classifier(16)), chip) if f.rule == "readout_size"]
    assert (found.need, found.limit) == (16, 15)
    assert found.message == f"16 classes, the readout of {name} distinguishes 15"


@pytest.mark.parametrize("name", ["speck2c_mini", "speck2d_mini", "dynapcnn"])
def test_a_chip_without_readout_refuses_one(name):
    chip = load_chip(name)
    assert findings(classifier(3), chip) == []
    assert findings(with_readout(classifier(3)), chip) == ["error readout_block spk1"]


def test_the_readout_takes_one_of_the_two_destinations():
    layer = {"outputs": 1, "kernel": 1}
    row = chain((1, 1, 1), {**layer, "monitor": True}, layer, layer)
    for others, wanted in ((1, []), (2, ["error readout_destinations spk0"])):
        targets = tuple(Destination(layer=f"spk{n}") for n in range(1, others + 1))
        cores = (replace(row.cores[0], destinations=targets), *row.cores[1:])
        if others == 1:
            cores = (
                cores[0],
                replace(cores[1], destinations=(Destination(layer="spk2"),)),
                cores[2],
            )
        program = replace(row, cores=cores, outputs=("spk0", "spk2"), readout=Readout(layer="spk0"))
        assert findings(program, CHIP) == wanted


# ---- who is who ----


def test_the_table_of_a_readout_names_every_channel_that_is_heard():
    read = with_readout(classifier(15)).placed({"spk0": 2, "spk1": 3})
    table = readout_table(read)
    assert [(n.output, n.channel, n.readout_class) for n in table] == [
        (k, 4 * k, k + 1) for k in range(15)
    ]
    assert table[14] == OutputNeuron(
        output=14, layer="spk1", core=3, channel=56, y=0, x=0, readout_class=15
    )


@each("seed", range(10))
def test_the_table_says_where_each_output_of_a_simulation_comes_from(seed):
    program, counts = random_case(seed, branches=True)
    cores = tuple(replace(core, monitor=True) for core in program.cores)
    program = replace(program, cores=cores, outputs=tuple(core.name for core in cores))
    got = contract.simulate(program, counts, record=True, timing="clocked")
    table = readout_table(program)
    assert got.spikes.shape[2] == len(table)
    for neuron in table:
        layer = got.layers[neuron.layer].spikes
        np.testing.assert_array_equal(
            got.spikes[..., neuron.output], layer[:, :, neuron.channel, neuron.y, neuron.x]
        )
    assert {neuron.readout_class for neuron in table} == {None}


# ---- what it makes of spikes ----


def slow(counts, window, threshold):
    """Averages and pins, tick by tick, in plain Python."""
    averages, pins = [], []
    for tick in range(len(counts)):
        seen = counts[max(0, tick - window + 1) : tick + 1]
        means = [sum(min(c[k], MOST) for c in seen) // window for k in range(len(counts[0]))]
        averages.append(means)
        best = max(range(len(means)), key=lambda k: (means[k], -k))
        pins.append(best + 1 if means[best] > threshold else 0)
    return averages, pins


@each("window", [1, 16, 32])
@each("seed", range(4))
def test_averages_and_pins_are_those_of_the_definition(window, seed):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.uniform(0, 9, (2, 1, 5)), (2, 70, 5))
    got = read_out(Readout(layer="x", window=window, threshold=3), counts)
    for sample in range(2):
        averages, pins = slow(counts[sample].tolist(), window, 3)
        assert got.averages[sample].tolist() == averages
        assert got.pins[sample].tolist() == pins
    assert got.pins.any()


def test_a_class_counts_only_above_the_threshold():
    counts = np.array([[[4, 0], [5, 0], [5, 6], [0, 0]]])
    got = read_out(Readout(layer="x", threshold=4), counts)
    assert got.pins.tolist() == [[0, 1, 2, 0]]
    assert got.index.tolist() == [[1, 1, 2, 0]]
    always = read_out(Readout(layer="x", threshold=4, always=True), counts)
    assert always.pins.tolist() == [[1, 1, 2, 0]]


def test_the_lowest_of_several_largest_is_named():
    assert read_out(Readout(layer="x"), [[[0, 3, 3]]]).pins.tolist() == [[2]]


def test_values_carry_what_their_mode_says():
    counts = np.array([[[2, 7, 5]]])

    def word(**settings):
        return unpack_word(
            read_out(Readout(layer="x", threshold=4, **settings), counts).values[0, 0]
        )

    assert (word().valid, word().index, word().payload) == (True, 2, 0b1100)
    assert word(mode="selected", selected=3).payload == 5
    assert (word(mode="max").valid, word(mode="max").payload) == (True, 7)
    off = word(mode="off")
    assert (off.valid, off.index, off.payload) == (False, 0, 0)
    low = read_out(Readout(layer="x", threshold=7, mode="max"), counts)
    assert unpack_word(low.values[0, 0]).valid is False


def test_fifteen_classes_and_the_largest_count_fit_the_word():
    counts = np.zeros((1, 1, 15), int)
    counts[0, 0, 14] = MOST + 5
    got = read_out(Readout(layer="x", mode="max", threshold=MOST - 1), counts)
    word = unpack_word(got.values[0, 0])
    assert (word.valid, word.index, word.payload) == (True, 15, MOST)
    every = read_out(Readout(layer="x"), np.ones((1, 1, 15), int))
    assert unpack_word(every.values[0, 0]).payload == 0xFFFE


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (np.zeros((1, 2, 16), int), r"1 to 15 classes\), got \(1, 2, 16\)"),
        (np.zeros((2, 3), int), r"must have shape .* got \(2, 3\)"),
        (np.zeros((1, 1, 2)), "must be an array of integer counts"),
        (-np.ones((1, 1, 2), int), "integer counts >= 0"),
    ],
)
def test_spikes_that_are_none_are_refused(spikes, message):
    with pytest.raises(ValueError, match=message):
        read_out(Readout(layer="x"), spikes)
    with pytest.raises(ValueError, match="must fit 21 bits"):
        unpack_word(1 << 21)


def test_a_class_that_is_not_there_cannot_be_selected():
    with pytest.raises(ValueError, match="class 3 is selected, but there are 2"):
        read_out(Readout(layer="x", mode="selected", selected=3), np.zeros((1, 1, 2), int))


@pytest.mark.parametrize("window", [1, 16])
def test_pieces_with_the_spikes_before_them_are_read_out_as_the_whole(window):
    spikes = np.random.default_rng(window).integers(0, 5, (2, 40, 3))
    readout = Readout(layer="x", window=window, threshold=1)
    whole = read_out(readout, spikes)
    for start in (0, 1, 2, 20, 40):
        rest = read_out(readout, spikes[:, start:], before=spikes[:, :start])
        np.testing.assert_array_equal(rest.averages, whole.averages[:, start:])
        np.testing.assert_array_equal(rest.values, whole.values[:, start:])
    with pytest.raises(ValueError, match="before has 2 samples of 2 classes"):
        read_out(readout, spikes, before=spikes[..., :2])


def test_no_ticks_and_no_samples_give_nothing():
    for shape in ((0, 4, 3), (2, 0, 3)):
        got = read_out(Readout(layer="x", window=16), np.zeros(shape, int))
        assert got.pins.shape == shape[:2]
