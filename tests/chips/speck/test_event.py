"""Event timing: worked examples, the choices, and the twin."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.cases import each
from tests.chips.speck.networks import chain
from tests.chips.speck.test_simulate import counts, neuron
from tests.oracles.speck_networks import random_event_case
from toolchain.chips.speck import Destination, EventOptions, simulate
from toolchain.chips.speck.simulate.event_twin import simulate_singly


def traces(program, *values, **options):
    chosen = EventOptions(**options)
    recording = simulate(program, counts(*values), record=True, timing="event", options=chosen)
    layer = recording.layers["spk0"]
    return layer.spikes.ravel().tolist(), layer.v_mem.ravel().tolist()


def both_ways(program, raster):
    """(event, clocked): all spikes of the only core, and its last membrane."""
    runs = [simulate(program, raster, timing=timing) for timing in ("event", "clocked")]
    return [(int(r.spike_counts["spk0"][0]), r.state["spk0"].item()) for r in runs]


@each("seed", range(200))
def test_equals_the_twin_on_every_layer(seed):
    program, streams, steps, choices = random_event_case(seed)
    options = EventOptions(**choices)
    fast = simulate(
        program, streams, record=True, timing="event", options=options, dt=1e-3, steps=steps
    )
    for sample, stream in enumerate(streams):
        events = [(int(t) // 1000, int(t), int(p), int(y), int(x)) for x, y, t, p in stream]
        slow = simulate_singly(program, events, steps, options)
        for core in program.cores:
            name = core.name
            spikes = np.zeros((steps, *core.output_shape), int)
            for event in slow.spikes[name]:
                spikes[event.step, event.channel, event.y, event.x] += 1
            np.testing.assert_array_equal(fast.layers[name].spikes[sample], spikes)
            np.testing.assert_array_equal(fast.layers[name].v_mem[sample], slow.v_mem[name])
            assert fast.synops[name][sample] == slow.synops[name]
            assert fast.spike_counts[name][sample] == len(slow.spikes[name])
        for name in program.outputs:
            order = [(event.x, event.y, event.channel) for event in slow.spikes[name]]
            assert fast.events[name][sample][["x", "y", "p"]].tolist() == order


def test_the_cases_of_the_twin_cover_what_they_should():
    cases = [random_event_case(seed) for seed in range(200)]
    cores = [core for program, *_ in cases for core in program.cores]
    assert any(core.return_to_zero for core in cores)
    assert any(core.bias is not None for core in cores)
    assert sum(len(program.inputs) > 1 for program, *_ in cases) >= 10
    assert sum(len(program.outputs) > 1 for program, *_ in cases) >= 10
    assert any(len(core.destinations) > 1 for core in cores)
    assert any(t.pooling > 1 for core in cores for t in core.destinations)
    runs = [
        simulate(p, s, timing="event", options=EventOptions(**o), dt=1e-3, steps=n)
        for p, s, n, o in cases
    ]
    assert sum(any(run.saturations.values()) for run in runs) >= 10
    assert (
        sum(
            bool(run.spike_counts[p.outputs[-1]].sum())
            for run, (p, *_) in zip(runs, cases, strict=True)
        )
        >= 100
    )


@each("seed", range(20))
def test_a_core_is_the_clocked_one_where_events_come_singly_and_no_weight_passes_the_threshold(
    seed,
):
    program, streams, *_ = random_event_case(seed)
    core = next(core for core in program.cores if core.input_shape == program.input_shape)
    most = max(1, int(np.abs(core.weight.astype(int)).max()))
    single = replace(
        program,
        cores=(
            replace(
                core,
                threshold_high=most,
                bias=None,
                initial=None,
                destinations=(),
                monitor=True,
            ),
        ),
        inputs=(Destination(layer=core.name),),
        outputs=(core.name,),
    )
    stream = streams[0].copy()
    stream["t"] = 1000 * np.arange(stream.size)
    clocked, event = (
        simulate(single, stream, steps=stream.size, record=True, timing=timing)
        for timing in ("clocked", "event")
    )
    one, other = clocked.layers[core.name], event.layers[core.name]
    np.testing.assert_array_equal(one.spikes, other.spikes)
    np.testing.assert_array_equal(one.v_mem, other.v_mem)


def test_a_neuron_fires_once_an_event_and_the_residue_waits():
    # +300 three times at a threshold of 127: seven spikes in one sum, three one by one
    program = neuron(weight=100, threshold=127, low=-127, initial=[[[600]]])
    assert both_ways(program, counts(3)) == [(3, 519), (7, 11)]
    assert traces(program, 3, 1, 0, 4) == ([3, 1, 0, 4], [519, 492, 492, 384])


def test_the_floor_holds_after_every_event():
    # +100, three times -100, +100, +100: nothing in one sum
    program = chain(
        (2, 1, 1),
        {
            "outputs": 1,
            "kernel": 1,
            "weight": [[[[100]], [[-100]]]],
            "threshold_high": 127,
            "threshold_low": -127,
        },
    )
    t = np.arange(6) * 1000
    stream = events([0] * 6, [0] * 6, t, [0, 1, 1, 1, 0, 0])
    run = simulate(program, stream, timing="event", dt=1e-2)
    assert (int(run.spike_counts["spk0"][0]), run.state["spk0"].item()) == (0, 73)
    assert simulate(program, stream, dt=1e-2).state["spk0"].item() == 0


def events(x, y, t, p):
    columns = [np.asarray(column) for column in (x, y, t, p)]
    kinds = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")]
    stream = np.empty(len(columns[0]), kinds)
    for (name, _), column in zip(kinds, columns, strict=True):
        stream[name] = column
    return stream


def test_a_weight_as_large_as_the_threshold_gives_a_spike_for_each_event():
    assert both_ways(neuron(weight=127, threshold=127, low=-127), counts(15001))[0] == (15001, 0)


def test_five_fifths_fire_once_and_a_sixth_is_left():
    program = neuron(weight=20, threshold=100, low=-100)
    assert both_ways(program, counts(5))[0] == (1, 0)
    assert both_ways(program, counts(6))[0] == (1, 20)


def test_an_event_updates_as_many_neurons_as_its_fan_out():
    program = chain((1, 5, 5), {"outputs": 2, "kernel": 3})
    run = simulate(program, events([2], [2], [0], [0]), timing="event")
    assert run.synops["spk0"].tolist() == [18]


def test_the_leak_ticks_once_a_step_down_to_the_floor():
    program = neuron(threshold=127, low=-127, bias=[-13], initial=[[[101]]])
    _, v_mem = traces(program, *[0] * 20)
    assert v_mem[:4] == [88, 75, 62, 49]
    assert v_mem[-1] == -127


def test_return_to_zero_forgets_the_residue():
    program = neuron(weight=100, threshold=127, return_to_zero=True, initial=[[[600]]])
    assert traces(program, 1, 1, 1) == ([1, 0, 1], [0, 100, 0])


def test_what_silicon_leaves_open_can_be_chosen():
    waiting = neuron(weight=0, threshold=10, initial=[[[25]]])
    assert traces(waiting, 3) == ([2], [5])
    assert traces(waiting, 3, zero_weights=False) == ([0], [25])
    lifted = neuron(weight=1, threshold=10, bias=[25])
    assert traces(lifted, 0, 1) == ([1, 2], [15, 21])
    assert traces(lifted, 0, 1, leak_fires=False) == ([0, 1], [25, 41])
    assert traces(lifted, 0, 1, leak_first=True) == ([1, 2], [15, 21])
    full = neuron(weight=127, threshold=32767, low=-32768, initial=[[[32700]]])
    assert traces(full, 1) == ([1], [0])
    assert traces(full, 1, overflow="wrap") == ([0], [32700 + 127 - 65536])


def test_rows_beyond_the_last_full_window_are_dropped_or_passed_on():
    program = chain(
        (1, 5, 5),
        {"outputs": 1, "kernel": 1, "weight": [[[[1]]]], "threshold_high": 1, "pool": 2},
        {
            "outputs": 1,
            "kernel": 3,
            "padding": (1, 1),
            "weight": np.ones((1, 1, 3, 3), int),
            "threshold_high": 100,
        },
    )
    corner = np.zeros((1, 1, 5, 5), int)
    corner[0, 0, 4, 4] = 1
    assert not simulate(program, corner, timing="event").state["spk1"].any()
    passed = EventOptions(partial_windows="pass")
    run = simulate(program, corner, timing="event", options=passed)
    assert run.state["spk1"].tolist() == [[[[0, 0], [0, 1]]]]


def test_spikes_of_one_event_come_by_position_or_by_channel():
    program = chain(
        (1, 3, 3),
        {"outputs": 2, "kernel": 2, "weight": np.full((2, 1, 2, 2), 100), "threshold_high": 100},
    )
    stream = events([1], [1], [0], [0])
    orders = {}
    for order in ("position", "channel"):
        options = EventOptions(spike_order=order)
        found = simulate(program, stream, timing="event", options=options).events["spk0"][0]
        orders[order] = found[["y", "x", "p"]].tolist()
    places = list(itertools.product(range(2), range(2)))
    assert orders["position"] == [(y, x, p) for y, x in places for p in range(2)]
    assert orders["channel"] == [(y, x, p) for p in range(2) for y, x in places]


@pytest.mark.parametrize(("merging", "wanted"), [("event", 0), ("time", 1)])
def test_two_ways_into_a_core_are_merged_by_cause_or_by_time(merging, wanted):
    """Channel 0 excites the last core, and inhibits it by way of a relay to channel 1."""
    network = chain(
        (2, 1, 1),
        {"outputs": 2, "kernel": 1, "weight": taps([0, 0], [1, 0]), "threshold_high": 1},
        {"outputs": 1, "kernel": 1, "weight": taps([10, -10]), "threshold_high": 15},
    )
    program = replace(network, inputs=(*network.inputs, Destination(layer="spk1")))
    options = EventOptions(merging=merging)
    run = simulate(program, counts(2) * [[[1]], [[0]]], timing="event", options=options)
    assert run.spikes.item() == wanted


def taps(*rows):
    """Weights of kernels of a single position, (outputs, inputs)."""
    return np.array(rows)[..., None, None]


def test_outputs_carry_the_time_of_the_event_that_caused_them():
    program = neuron(weight=10, threshold=10)
    stream = events([0, 0, 0], [0, 0, 0], [5, 1234, 70000], [0, 0, 0])
    run = simulate(program, stream, timing="event")
    assert run.events["spk0"][0]["t"].tolist() == [5, 1234, 70000]
    assert run.spikes.shape == (1, 71, 1)
    assert run.spikes.ravel().nonzero()[0].tolist() == [0, 1, 70]


def test_a_network_that_runs_away_is_stopped():
    program = neuron(weight=10, threshold=1)
    with pytest.raises(ValueError, match="'spk0' spikes more than 100 times in sample 0"):
        simulate(program, counts(500), timing="event", options=EventOptions(most_spikes=100))
    at_most = EventOptions(most_spikes=500)
    assert simulate(program, counts(500), timing="event", options=at_most).spikes.item() == 500


def test_threads_and_company_change_nothing():
    program, streams, steps, _ = random_event_case(3)
    name, fields = program.outputs[-1], {"timing": "event", "dt": 1e-3, "steps": steps}
    alone = simulate(program, streams[:1], **fields)
    assert alone.outputs[name].any()
    for threads in (1, 3):
        run = simulate(program, streams[:1] * 5, threads=threads, **fields)
        for sample in range(5):
            np.testing.assert_array_equal(run.outputs[name][sample], alone.outputs[name][0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spike_order": "random"}, "spike_order must be 'position' or 'channel', got 'random'"),
        ({"overflow": None}, "overflow must be 'clamp' or 'wrap', got None"),
        ({"leak_first": 1}, "leak_first must be of type bool, got 1"),
        ({"most_spikes": 0}, "most_spikes must be >= 1, got 0"),
    ],
)
def test_choices_that_are_none_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        EventOptions(**fields)
