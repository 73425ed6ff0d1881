import numpy as np
import pytest

from tests.cases import each
from tests.chips.speck.networks import chain
from tests.oracles.speck_networks import random_case
from toolchain.chips.speck import Destination, EventOptions, SpeckProgram, simulate
from toolchain.chips.speck.simulate import pack
from toolchain.chips.speck.simulate.twin import simulate_densely


def neuron(weight=1, threshold=10, low=-10, **fields):
    """One neuron with one synapse."""
    return chain(
        (1, 1, 1),
        {
            "outputs": 1,
            "kernel": 1,
            "weight": np.full((1, 1, 1, 1), weight),
            "threshold_high": threshold,
            "threshold_low": low,
            **fields,
        },
    )


def counts(*values, dtype=np.int64):
    return np.array(values, dtype).reshape(-1, 1, 1, 1)


def traces(program, *values, **options):
    recording = simulate(program, counts(*values), record=True, **options)
    layer = recording.layers["spk0"]
    return layer.spikes.ravel().tolist(), layer.v_mem.ravel().tolist()


@each("seed", range(40))
def test_equals_the_dense_twin_on_every_layer(seed):
    program, raster = random_case(seed, branches=seed % 3 == 0, batch=3)
    fast, slow = simulate(program, raster, record=True), simulate_densely(program, raster)
    assert fast.saturations == slow.saturations
    for name in fast.layers:
        np.testing.assert_array_equal(fast.layers[name].spikes, slow.layers[name].spikes)
        np.testing.assert_array_equal(fast.layers[name].v_mem, slow.layers[name].v_mem)
        np.testing.assert_array_equal(fast.state[name], slow.state[name])
        np.testing.assert_array_equal(fast.synops[name], slow.synops[name])
        np.testing.assert_array_equal(fast.spike_counts[name], slow.spike_counts[name])
    np.testing.assert_array_equal(fast.spikes, slow.spikes)


@pytest.mark.parametrize("most", [0, 2**62], ids=["dense", "single spikes"])
def test_dense_convolution_and_single_spikes_equal_the_twin(most, monkeypatch):
    monkeypatch.setattr(pack, "_dense_from", lambda *_: most)
    for seed in range(30):
        program, raster = random_case(seed, branches=seed % 3 == 0)
        raster = raster * (200 if seed % 5 == 0 else 1)  # counts beyond 8 bits
        fast, slow = simulate(program, raster, record=True), simulate_densely(program, raster)
        assert fast.saturations == slow.saturations
        for name, layer in slow.layers.items():
            np.testing.assert_array_equal(fast.layers[name].spikes, layer.spikes)
            np.testing.assert_array_equal(fast.layers[name].v_mem, layer.v_mem)
            np.testing.assert_array_equal(fast.synops[name], slow.synops[name])


def test_fires_at_the_threshold_once_for_each_multiple_of_it():
    assert traces(neuron(), 9, 1, 35) == ([0, 1, 3], [9, 0, 5])


def test_return_to_zero_forgets_what_is_left():
    assert traces(neuron(return_to_zero=True), 35, 9) == ([3, 0], [0, 9])


def test_the_floor_is_applied_after_the_whole_step():
    assert traces(neuron(weight=-1, low=-4), 3, 3, 3) == ([0, 0, 0], [-3, -4, -4])


def test_the_bias_is_added_in_every_step_of_every_neuron():
    assert traces(neuron(bias=[4]), 0, 0, 0, 0) == ([0, 0, 1, 0], [4, 8, 2, 6])


def test_start_values_fire_in_the_first_step_without_input():
    assert traces(neuron(initial=[[[25]]]), 0, 0) == ([2, 0], [5, 5])


def test_a_sum_beyond_16_bits_is_clamped_once_and_counted():
    program = neuron(weight=127, threshold=30000, low=-32768)
    recording = simulate(program, counts(1000, 0, 30000), record=True)
    assert recording.layers["spk0"].v_mem.ravel().tolist() == [2767, 2767, 2767]
    assert recording.layers["spk0"].spikes.ravel().tolist() == [1, 0, 1]
    assert recording.saturations == {"spk0": 2}
    down = simulate(neuron(weight=-128, low=-100), counts(1, 300))
    assert down.saturations == {"spk0": 1}
    assert down.state["spk0"].item() == -100


def test_sums_beyond_32_bits_are_exact():
    rng = np.random.default_rng(1)
    program = chain(
        (8, 20, 20),
        {
            "outputs": 3,
            "kernel": None,
            "weight": rng.choice([-128, 127], (3, 8, 20, 20)),
            "threshold_high": 1,
            "threshold_low": -32768,
        },
        {
            "outputs": 2,
            "kernel": 1,
            "weight": np.array([[127, 127, 127], [1, -1, 1]])[..., None, None],
        },
    )
    raster = rng.integers(32000, 32768, (2, 3, 8, 20, 20))
    fast, slow = simulate(program, raster, record=True), simulate_densely(program, raster)
    for name in fast.layers:
        np.testing.assert_array_equal(fast.layers[name].v_mem, slow.layers[name].v_mem)
        np.testing.assert_array_equal(fast.layers[name].spikes, slow.layers[name].spikes)
    assert fast.saturations == slow.saturations


@each("seed", range(20))
def test_networks_at_the_ends_of_16_bits_equal_the_twin(seed):
    """Some need 32 bits, some of those in the middle of a run; some only a better bound."""
    rng = np.random.default_rng(seed)
    threshold = int(rng.choice([300, 16000, 32767, 40000]))
    low = int(rng.choice([-300, -16000, -32768, -40000]))
    program = chain(
        (2, 6, 7),
        {
            "outputs": 5,
            "kernel": 3,
            "stride": (1, 2),
            "padding": (1, 2),
            "weight": rng.integers(-128, 128, (5, 2, 3, 3)),
            "threshold_high": threshold,
            "threshold_low": low,
            "bias": rng.integers(-3000, 3000, 5) if seed % 2 else None,
            "initial": rng.integers(-32768, 32768, (5, 6, 5)) if seed % 3 else None,
        },
        {"outputs": 40, "kernel": None, "weight": rng.integers(-128, 128, (40, 5, 6, 5))},
    )
    raster = rng.integers(0, rng.choice([2, 20, 200]), (2, 12, 2, 6, 7))
    fast, slow = simulate(program, raster, record=True), simulate_densely(program, raster)
    assert fast.saturations == slow.saturations
    for name, layer in slow.layers.items():
        np.testing.assert_array_equal(fast.layers[name].spikes, layer.spikes)
        np.testing.assert_array_equal(fast.layers[name].v_mem, layer.v_mem)
        np.testing.assert_array_equal(fast.synops[name], slow.synops[name])
        np.testing.assert_array_equal(fast.spike_counts[name], slow.spike_counts[name])


def test_sixteen_bits_hold_exactly_what_they_hold():
    full = neuron(weight=127, threshold=32767, low=-32768)
    assert traces(full, 258, 0) == ([0, 0], [32766, 32766])
    up = neuron(weight=1, threshold=40000, low=-32768, initial=[[[32766]]])
    run = simulate(up, counts(1, 1), record=True)
    assert run.layers["spk0"].v_mem.ravel().tolist() == [32767, 32767]
    assert run.saturations == {"spk0": 1}
    down = neuron(weight=-1, low=-40000, initial=[[[-32767]]])
    run = simulate(down, counts(1, 1), record=True)
    assert run.layers["spk0"].v_mem.ravel().tolist() == [-32768, -32768]
    assert run.saturations == {"spk0": 1}


def test_a_record_larger_than_memory_is_refused():
    program = chain((1, 64, 64), {"outputs": 1024, "kernel": 1})
    late = np.array([(0, 0, 10**8, 0)], [(name, "i8") for name in "xytp"])
    with pytest.raises(ValueError, match=r"100001 steps and 4194304 neurons .* record less"):
        simulate(program, late)


def test_a_core_that_the_tables_cannot_point_into_is_refused():
    program = chain((1, 256, 256), {"outputs": 2**15, "kernel": 1})
    with pytest.raises(ValueError, match="'spk0' is too large to simulate"):
        simulate(program, np.zeros((1, 1, 256, 256), np.uint8))


def test_pooling_drops_what_no_full_window_covers():
    program = chain(
        (1, 5, 5),
        {"outputs": 1, "kernel": 1, "weight": [[[[1]]]], "threshold_high": 1, "pool": 2},
        {"outputs": 1, "kernel": None, "weight": [[[[1, 1], [1, 1]]]], "threshold_high": 100},
    )
    recording = simulate(program, np.ones((1, 1, 5, 5), int))
    assert recording.state["spk1"].item() == 16
    assert recording.synops["spk1"].tolist() == [16]


def test_two_ways_into_one_core_are_summed():
    layer = {"outputs": 1, "kernel": 1, "weight": [[[[3]]]], "threshold_high": 3}
    network = chain((1, 2, 2), layer, {**layer, "threshold_high": 100, "threshold_low": -100})
    both = SpeckProgram(
        chip="speck2f",
        input_shape=(1, 2, 2),
        cores=network.cores,
        inputs=(Destination(layer="spk0"), Destination(layer="spk1")),
        outputs=("spk1",),
    )
    assert (simulate(both, np.ones((1, 1, 2, 2), int)).state["spk1"] == 6).all()


def test_state_handed_on_continues_where_it_stopped():
    program, raster = random_case(6, steps=20)
    whole = simulate(program, raster)
    assert whole.spikes[:, :7].any()
    assert whole.spikes[:, 7:].any()
    first = simulate(program, raster[:, :7])
    rest = simulate(program, raster[:, 7:], state=first.state)
    np.testing.assert_array_equal(np.concatenate([first.spikes, rest.spikes], 1), whole.spikes)
    for name, value in whole.state.items():
        np.testing.assert_array_equal(rest.state[name], value)


@each("dtype", ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"])
def test_every_plain_number_type_means_the_same(dtype):
    program, raster = random_case(1)
    raster = raster > 0
    wanted = simulate(program, raster).spikes
    assert wanted.any()
    np.testing.assert_array_equal(simulate(program, raster.astype(dtype)).spikes, wanted)


def test_a_single_sample_is_a_batch_of_one():
    program, raster = random_case(6)
    single = simulate(program, raster[0])
    assert single.spikes.shape[0] == 1
    assert single.spikes.any()
    np.testing.assert_array_equal(single.spikes[0], simulate(program, raster).spikes[0])


def test_threads_and_memory_layout_change_nothing():
    program, raster = random_case(3, batch=7)
    one = simulate(program, raster, threads=1)
    many = simulate(program, np.asfortranarray(raster), threads=4)
    assert one.spikes.any()
    np.testing.assert_array_equal(one.spikes, many.spikes)
    assert one.saturations == many.saturations
    assert all((one.synops[name] == many.synops[name]).all() for name in one.synops)


@pytest.mark.parametrize("shape", [(0, 4, 1, 6, 6), (2, 0, 1, 6, 6), (0, 1, 6, 6)])
def test_nothing_in_gives_nothing_out(shape):
    program = chain((1, 6, 6), {"outputs": 2, "kernel": 3, "initial": np.full((2, 4, 4), 7)})
    recording = simulate(program, np.zeros(shape, int), record=True)
    batch, steps = (1, *shape)[-5:-3]
    assert recording.spikes.shape == (batch, steps, 2, 4, 4)
    assert recording.layers["spk0"].v_mem.shape == (batch, steps, 2, 4, 4)
    assert recording.state["spk0"].shape == (batch, 2, 4, 4)
    assert (recording.state["spk0"] == 7).all()
    assert recording.synops["spk0"].tolist() == [0] * batch


@pytest.mark.parametrize(
    ("raster", "message"),
    [
        (np.zeros((1, 1, 1), int), r"\(steps, 1, 1, 1\) or \(batch, steps, 1, 1, 1\)"),
        (np.zeros((1, 2, 1, 1), int), r"got \(1, 2, 1, 1\)"),
        (counts(0, -1), "got -1 at sample 0, step 1, channel 0, y 0, x 0"),
        (counts(32768), "whole spike counts from 0 to 32767, got 32768"),
        (counts(0.5, dtype=float), "got 0.5 at"),
        (counts(np.nan, dtype=float), "got nan at"),
        (counts(np.inf, dtype=float), "got inf at"),
        (counts("1", dtype=object), "spike counts as numbers, got dtype object"),
        (counts("1", dtype=str), "got dtype <U"),
        (counts(1j, dtype=complex), "got dtype complex128"),
        (counts(2**63, dtype=np.uint64), "got 9223372036854775808 at"),
    ],
)
def test_a_raster_that_is_no_counts_of_this_shape_is_refused(raster, message):
    with pytest.raises(ValueError, match=message):
        simulate(neuron(), raster)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"spk9": np.zeros((1, 1, 1), int)}, "unknown cores: spk9"),
        ({"spk0": np.zeros((2, 1, 1), int)}, r"state of 'spk0' must have shape \(1, 1, 1, 1\)"),
        ({"spk0": np.full((1, 1, 1), 40000)}, "integers from -32768 to 32767"),
        ({"spk0": np.zeros((1, 1, 1))}, "integers from -32768 to 32767"),
    ],
)
def test_a_state_that_is_no_membrane_of_these_cores_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        simulate(neuron(), counts(1), state=state)


def test_other_timings_choices_without_effect_and_no_threads_are_refused():
    with pytest.raises(ValueError, match="timing must be 'clocked' or 'event', got 'clock'"):
        simulate(neuron(), counts(1), timing="clock")
    with pytest.raises(ValueError, match="options require timing='event'"):
        simulate(neuron(), counts(1), options=EventOptions())
    with pytest.raises(ValueError, match="threads must be an integer >= 1, or None, got 0"):
        simulate(neuron(), counts(1), threads=0)


def test_layers_whose_shapes_disagree_are_refused():
    layer = {"outputs": 1, "kernel": 1}
    program = chain((1, 4, 4), layer, {**layer, "input_shape": (1, 3, 3)})
    with pytest.raises(
        ValueError, match=r"spk0 sends \(1, 4, 4\) to spk1, which takes \(1, 3, 3\)"
    ):
        simulate(program, np.zeros((1, 1, 4, 4), int))


def test_several_outputs_are_told_apart_by_name():
    network = chain(
        (1, 1, 1), {"outputs": 2, "kernel": 1, "monitor": True}, {"outputs": 3, "kernel": 1}
    )
    both = SpeckProgram(
        chip="speck2f",
        input_shape=(1, 1, 1),
        cores=network.cores,
        inputs=network.inputs,
        outputs=("spk0", "spk1"),
    )
    recording = simulate(both, counts(1))
    assert {name: out.shape for name, out in recording.outputs.items()} == {
        "spk0": (1, 1, 2),
        "spk1": (1, 1, 3),
    }
    with pytest.raises(ValueError, match="2 outputs"):
        _ = recording.spikes
