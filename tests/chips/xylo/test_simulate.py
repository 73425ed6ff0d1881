"""The Xylo simulator: equal to its slow twin, right on worked examples, clear about bad input."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chips.xylo.programs import as_program, assert_equal_recordings, quiet
from tests.oracles.xylo_networks import random_network, random_raster
from toolchain.chips.xylo import XyloProgram, XyloState, simulate
from toolchain.chips.xylo.simulate.twin import simulate_slow


def spike_at(step, steps, count=1):
    raster = np.zeros((steps, 1), int)
    raster[step] = count
    return raster


def weight(value, hidden=2, target=0):
    weights = np.zeros((1, hidden, 1), int)
    weights[0, target] = value
    return weights


def started(program, **states):
    """A state of one sample that is zero but for ``states``."""
    zeros = XyloState.zeros(program, 1)
    return XyloState(
        **{
            n: np.array([states[n]], getattr(zeros, n).dtype) if n in states else getattr(zeros, n)
            for n in zeros.__slots__
        }
    )


# -- the twin -----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), core=st.sampled_from(["v1", "v2"]))
def test_kernel_and_twin_agree_in_every_state(seed, core):
    rng = np.random.default_rng(seed)
    net = random_network(rng, core)
    program = as_program(net, core)
    raster = np.stack([random_raster(rng, net, 12) for _ in range(2)])
    want = simulate_slow(program, raster)
    assert_equal_recordings(simulate(program, raster, record=True), want)
    fast = simulate(program, raster)
    np.testing.assert_array_equal(fast.spikes, want.spikes)
    for name in fast.state.__slots__:
        np.testing.assert_array_equal(getattr(fast.state, name), getattr(want.state, name))


@pytest.mark.parametrize("core", ["v1", "v2"])
def test_kernel_and_twin_agree_on_more_neurons_than_fit_one_vector(core):
    rng = np.random.default_rng(7)
    net = random_network(rng, core, most_hidden=150)
    while len(net["threshold"]) < 100:
        net = random_network(rng, core, most_hidden=150)
    program, raster = as_program(net, core), random_raster(rng, net, 10)
    assert_equal_recordings(simulate(program, raster, record=True), simulate_slow(program, raster))


@pytest.mark.parametrize("core", ["v1", "v2"])
@pytest.mark.parametrize("threshold", [0, -1, -20000, -32768])
def test_a_threshold_of_zero_or_less_ends_at_the_cap_or_where_the_membrane_wraps(core, threshold):
    program = quiet(core=core, threshold=[threshold, 1], weights_in=weight(100))
    raster = spike_at(0, 5)
    got = simulate(program, raster, record=True)
    assert_equal_recordings(got, simulate_slow(program, raster))
    if threshold == 0:
        assert got.hidden_spikes[0, :, 0].tolist() == [31] * 5


@pytest.mark.parametrize("core", ["v1", "v2"])
def test_the_most_negative_membrane_with_dash_0_follows_the_twin(core):
    program = quiet(core=core, dash_mem=[0, 0])
    start = started(program, v_mem=[-32768, -32768])
    got = simulate(program, np.zeros((3, 1), int), record=True, state=start)
    assert_equal_recordings(got, simulate_slow(program, np.zeros((3, 1), int), start))
    # v1 clears it; in v2 the increment wraps, so the state stays at the rail
    assert got.v_mem[0, :, 0].tolist() == ([0, 0, 0] if core == "v1" else [-32768] * 3)


# -- worked examples ----------------------------------------------------------------------------


def test_a_current_decays_in_the_step_in_which_its_spike_arrives():
    got = simulate(quiet(weights_in=weight(100)), spike_at(0, 4), record=True)
    assert got.i_syn[0, :, 0].tolist() == [75, 57, 43, 33]
    assert got.i_syn[0, :, 1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("start", "states"), [(7, [6, 5, 4, 3, 2, 1, 0, 0]), (-7, [-5, -3, -2, -1, 0, 0, 0, 0])]
)
def test_states_below_zero_decay_faster(start, states):
    program = quiet()
    state = started(program, v_mem=[start, 0])
    got = simulate(program, np.zeros((8, 1), int), record=True, state=state)
    assert got.v_mem[0, :, 0].tolist() == states


def test_dash_0_clears_the_current_before_it_is_used():
    got = simulate(quiet(weights_in=weight(100), dash_syn=[0, 0]), spike_at(0, 3), record=True)
    assert not got.i_syn.any()
    assert not got.v_mem.any()


@pytest.mark.parametrize(("threshold", "fires"), [(75, 1), (76, 0)])
def test_a_membrane_at_its_threshold_fires(threshold, fires):
    program = quiet(weights_in=weight(100), threshold=[threshold, 9])
    got = simulate(program, spike_at(0, 1), record=True)
    assert got.hidden_spikes[0, 0].tolist() == [fires, 0]
    assert got.v_mem[0, 0, 0] == 75 - 75 * fires


def test_a_spike_takes_one_step_to_the_next_neuron_and_to_the_output():
    recurrent = np.zeros((2, 2, 1), int)
    recurrent[0, 1] = 100
    program = quiet(
        weights_in=weight(100), weights_rec=recurrent, weights_out=[[0], [100]],
        threshold=[75, 75], threshold_out=[75],
    )  # fmt: skip
    got = simulate(program, spike_at(0, 4), record=True)
    assert got.hidden_spikes[0, 0].tolist() == [1, 0]
    assert got.hidden_spikes[0, 1, 1] == 1
    assert np.flatnonzero(got.spikes[0, :, 0])[0] == 2


def test_an_output_at_its_cap_keeps_the_rest_and_drains_one_spike_a_step():
    program = quiet(threshold_out=[100], dash_mem_out=[15])
    state = started(program, v_mem_out=[350])
    got = simulate(program, np.zeros((5, 1), int), record=True, state=state)
    assert got.spikes[0, :, 0].tolist() == [1, 1, 1, 0, 0]
    assert got.v_mem_out[0, :, 0].tolist() == [249, 148, 47, 46, 45]


def test_a_hidden_neuron_fires_31_times_a_step_at_most():
    program = quiet(threshold=[10, 9])
    state = started(program, v_mem=[1000, 0])
    got = simulate(program, np.zeros((1, 1), int), record=True, state=state)
    assert got.hidden_spikes[0, 0, 0] == 31
    assert got.v_mem[0, 0, 0] == 750 - 31 * 10


def test_aliases_to_higher_ids_reach_the_end_of_the_chain_in_the_same_step():
    program = quiet(hidden=3, weights_in=weight(100, 3), threshold=[75] * 3, aliases=[[1], [2], []])
    got = simulate(program, spike_at(0, 2), record=True)
    assert got.hidden_spikes[0].tolist() == [[1, 1, 1], [0, 0, 0]]
    assert got.v_mem[0, 0].tolist() == [0, 0, 0]


def test_aliases_to_lower_ids_are_not_passed_on():
    program = quiet(
        hidden=3, weights_in=weight(100, 3, target=2), threshold=[75] * 3, aliases=[[], [0], [1]]
    )
    got = simulate(program, spike_at(0, 1), record=True)
    assert got.hidden_spikes[0].tolist() == [[0, 1, 1]]


def test_spikes_received_through_an_alias_leave_less_room_for_own_ones():
    program = quiet(threshold=[10, 10], aliases=[[1], []])
    state = started(program, v_mem=[400, 400])
    got = simulate(program, np.zeros((1, 1), int), record=True, state=state)
    assert got.hidden_spikes[0, 0].tolist() == [30, 31]
    assert got.v_mem[0, 0].tolist() == [0, 300 - 10]


@pytest.mark.parametrize(("core", "v_mem"), [("v1", -29999 + 59998), ("v2", -30000 + 32767)])
def test_the_second_core_saturates_what_it_adds_to_the_membrane(core, v_mem):
    slow = [15, 15]
    program = quiet(core=core, synapses=2, dash_syn=slow, dash_syn_2=slow, dash_mem=slow)
    state = started(program, i_syn=[[30000, 30000], [0, 0]], v_mem=[-30000, 0])
    got = simulate(program, np.zeros((1, 1), int), record=True, state=state)
    assert got.v_mem[0, 0, 0] == v_mem
    assert got.saturations["hidden"] == (core == "v2")


def test_biases_are_added_each_step_and_not_shifted():
    program = quiet(bias=[5, 0], dash_mem=[15, 15], weight_shift_in=3)
    got = simulate(program, np.zeros((3, 1), int), record=True)
    assert got.v_mem[0, :, 0].tolist() == [5, 9, 13]


def test_a_shifted_weight_wraps_at_16_bits():
    program = quiet(weights_in=weight(127), weight_shift_in=9, dash_syn=[15, 15])
    got = simulate(program, spike_at(0, 1), record=True)
    # 127 * 512 = 65024, as 16 bits -512, of which the decay takes 1
    assert got.i_syn[0, 0, 0] == -511


def test_the_core_sleeps_when_nothing_moves():
    got = simulate(quiet(weights_in=weight(3)), spike_at(1, 6), record=True)
    assert got.hibernation[0].tolist() == [True, False, False, False, False, True]
    assert got.hibernation[0, -1] == got.state.hibernating[0]
    assert simulate(quiet(core="v1"), spike_at(1, 6), record=True).hibernation is None


def test_additions_that_hit_a_rail_are_counted_for_each_population():
    program = quiet(weights_in=weight(127), weight_shift_in=8, weights_out=[[127], [0]])
    got = simulate(program, spike_at(0, 1, 15), record=True)
    assert got.saturations == {"hidden": 1, "output": 0}
    assert simulate(program, spike_at(0, 1, 1), record=True).saturations["hidden"] == 0


# -- batches and states -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(11)
    net = random_network(rng, "v2")
    net["bias"] = rng.integers(-5, 6, len(net["threshold"]))
    return as_program(net), np.stack([random_raster(rng, net, 30) for _ in range(9)])


def test_two_halves_with_the_state_in_between_give_the_whole(network):
    program, raster = network
    whole = simulate(program, raster, record=True)
    first = simulate(program, raster[:, :13])
    second = simulate(program, raster[:, 13:], record=True, state=first.state)
    np.testing.assert_array_equal(
        np.concatenate([first.spikes, second.spikes], axis=1), whole.spikes
    )
    np.testing.assert_array_equal(second.v_mem, whole.v_mem[:, 13:])
    np.testing.assert_array_equal(second.hibernation, whole.hibernation[:, 13:])
    np.testing.assert_array_equal(second.state.i_syn, whole.state.i_syn)


def test_a_call_without_a_state_starts_from_a_reset(network):
    program, raster = network
    first = simulate(program, raster, record=True)
    assert first.state.v_mem.any()
    assert_equal_recordings(simulate(program, raster, record=True), first)
    zeros = XyloState.zeros(program, len(raster))
    assert_equal_recordings(simulate(program, raster, record=True, state=zeros), first)
    continued = simulate(program, raster, record=True, state=first.state)
    assert (continued.v_mem != first.v_mem).any()


def test_a_core_that_sleeps_goes_on_sleeping_in_the_next_call():
    # a bias of 1 is the least decay, so that the membrane comes to rest
    program = quiet(bias=[1, 1])
    whole = simulate(program, np.zeros((9, 1)), record=True).hibernation[0].tolist()
    first = simulate(program, np.zeros((5, 1)), record=True)
    second = simulate(program, np.zeros((4, 1)), record=True, state=first.state)
    assert first.hibernation[0].tolist() + second.hibernation[0].tolist() == whole
    assert whole[5]


def test_the_state_that_is_passed_in_stays_as_it_is(network):
    program, raster = network
    state = simulate(program, raster).state
    before = state.v_mem.copy()
    simulate(program, raster, state=state)
    np.testing.assert_array_equal(state.v_mem, before)


@pytest.mark.parametrize("record", [False, True])
def test_the_number_of_threads_changes_nothing(network, record):
    program, raster = network
    one = simulate(program, raster, record=record, threads=1)
    for threads in (2, 5, 100, None):
        more = simulate(program, raster, record=record, threads=threads)
        assert_equal_recordings(more, one)


def test_a_sample_does_not_feel_the_others(network):
    program, raster = network
    alone = simulate(program, raster[4], record=True)
    together = simulate(program, raster, record=True)
    np.testing.assert_array_equal(alone.v_mem[0], together.v_mem[4])
    assert alone.spikes.shape == (1, 30, program.outputs)


def test_a_large_batch_is_its_samples_one_by_one(network):
    program, raster = network
    order = np.random.default_rng(5).integers(0, len(raster), 4000)
    together, alone = simulate(program, raster[order, :12]), simulate(program, raster[:, :12])
    np.testing.assert_array_equal(together.spikes, alone.spikes[order])
    np.testing.assert_array_equal(together.state.v_mem, alone.state.v_mem[order])


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_no_samples_or_no_steps_give_empty_arrays(network, shape):
    program, _ = network
    raster = np.zeros((*shape, program.inputs), np.uint8)
    got = simulate(program, raster, record=True)
    assert got.spikes.shape == (*shape, program.outputs)
    assert got.v_mem.shape == got.hidden_spikes.shape == (*shape, program.hidden)
    assert got.hibernation.shape == shape
    assert got.state.v_mem.shape == (shape[0], program.hidden)
    assert set(got.saturations.values()) == {0}
    assert_equal_recordings(got, simulate_slow(program, raster))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.uint64, np.float32, float])
def test_counts_of_any_real_type_are_the_same_counts(network, kind):
    program, raster = network
    want = simulate(program, raster > 0).spikes
    np.testing.assert_array_equal(simulate(program, (raster > 0).astype(kind)).spikes, want)


def test_a_raster_of_any_layout_is_read_by_its_indices(network):
    program, raster = network
    want = simulate(program, raster).spikes
    wide = np.repeat(np.repeat(raster, 2, axis=1), 3, axis=2)
    readonly = raster.astype(np.uint8)
    readonly.flags.writeable = False
    layouts = (
        np.asfortranarray(raster),
        raster[::-1][::-1],
        wide[:, ::2, ::3],
        raster.transpose(2, 0, 1).copy().transpose(1, 2, 0),
        raster.astype(raster.dtype.newbyteorder()),
        readonly,
    )
    for layout in layouts:
        np.testing.assert_array_equal(simulate(program, layout).spikes, want)


# -- bad input ----------------------------------------------------------------------------------


def counts(value, dtype=None):
    raster = np.zeros((2, 4, 3), dtype)
    raster[1, 2, 0] = value
    return raster


@pytest.mark.parametrize(
    ("raster", "message"),
    [
        (
            counts(16, int),
            "raster has 16 spikes at channel 0, step 2, sample 1; "
            "xylo_test supports at most 15 per channel and step",
        ),
        (
            counts(300.0),
            "raster has 300 spikes at channel 0, step 2, sample 1; "
            "xylo_test supports at most 15 per channel and step",
        ),
        (
            counts(-1, int),
            "raster must hold whole numbers of spikes, 0 or more, "
            "got -1 at channel 0, step 2, sample 1",
        ),
        (
            counts(0.5),
            "raster must hold whole numbers of spikes, 0 or more, "
            "got 0.5 at channel 0, step 2, sample 1",
        ),
        (
            counts(np.nan),
            "raster must hold whole numbers of spikes, 0 or more, "
            "got nan at channel 0, step 2, sample 1",
        ),
        (
            counts(-np.inf),
            "raster must hold whole numbers of spikes, 0 or more, "
            "got -inf at channel 0, step 2, sample 1",
        ),
        (counts(1, complex), "raster must hold spike counts, got an array of type complex128"),
        (counts(1, object), "raster must hold spike counts, got an array of type object"),
        (counts(1, "U1"), "raster must hold spike counts, got an array of type <U1"),
        (
            np.zeros(3),
            "raster must be (time, channels) or (batch, time, channels), got shape (3,)",
        ),
        (
            np.zeros((1, 1, 1, 3)),
            "raster must be (time, channels) or (batch, time, channels), got shape (1, 1, 1, 3)",
        ),
        (
            np.zeros((4, 2)),
            "raster must have 3 channels, the inputs of this program, got shape (4, 2)",
        ),
    ],
)
def test_a_raster_that_is_no_counts_is_refused(raster, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        simulate(quiet(inputs=3), raster)
    assert str(error.value) == message


def test_a_state_of_another_batch_is_refused():
    program = quiet()
    with pytest.raises(ValueError, match=r"state\.i_syn must be int16 \(2, 2, 1\), got int16 \(1,"):
        simulate(program, np.zeros((2, 3, 1)), state=XyloState.zeros(program, 1))


def test_pending_spikes_beyond_the_cap_are_refused():
    program = quiet()
    state = started(program, pending_spikes=[32, 0])
    with pytest.raises(ValueError, match=r"pending_spikes must be in 0\.\.31, got 0\.\.32"):
        simulate(program, np.zeros((3, 1)), state=state)


def test_no_threads_are_refused():
    with pytest.raises(ValueError, match="threads must be an integer >= 1, or None, got 0"):
        simulate(quiet(), np.zeros((3, 1)), threads=0)


# -- in a process of its own --------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs the timer of POSIX")
def test_an_interrupted_run_leaves_no_thread_behind_and_the_next_one_is_whole():
    code = """
import signal, threading
import numpy as np
from tests.chips.xylo.programs import quiet
from toolchain.chips.xylo import simulate
program = quiet(hidden=1000, weights_in=np.full((1, 1000, 1), 9), threshold=np.full(1000, 7))
def run(batch):
    return simulate(program, np.ones((batch, 500, 1), np.uint8), threads=2)
before = run(2)
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    run(1000)
except KeyboardInterrupt:
    print("interrupted,", threading.active_count(), "thread")
signal.setitimer(signal.ITIMER_REAL, 0)
print((run(2).state.v_mem == before.state.v_mem).all())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert done.stdout == "interrupted, 1 thread\nTrue\n"


@pytest.mark.parametrize("seed", range(6))
def test_hidden_spikes_are_counted_as_they_are_recorded(seed):
    rng = np.random.default_rng(seed)
    program = XyloProgram.from_specification(
        "xylo_a3",
        weights_in=rng.integers(-60, 128, (3, 40)),
        weights_rec=rng.integers(-40, 40, (40, 40)),
        weights_out=rng.integers(-9, 9, (40, 2)),
        dash_mem=np.full(40, 3),
        dash_syn=np.full(40, 2),
        dash_mem_out=np.full(2, 3),
        dash_syn_out=np.full(2, 2),
        threshold=np.full(40, 300),
        threshold_out=np.full(2, 300),
        aliases=[[20 + n] if n < 5 else [] for n in range(40)],
    )
    got = simulate(program, rng.poisson(0.5, (7, 30, 3)).clip(0, 15), record=True)
    totals, steps = got.hidden_totals[:, 0], got.hidden_totals[:, 1]
    assert totals.sum() > 0
    np.testing.assert_array_equal(totals, got.hidden_spikes.sum(axis=1))
    np.testing.assert_array_equal(steps, (got.hidden_spikes > 0).sum(axis=1))
