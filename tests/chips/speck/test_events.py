"""Event arrays as input: the same as their raster, and what is refused."""

import numpy as np
import pytest

from tests.cases import each
from tests.chips.speck import contract
from tests.chips.speck.networks import chain
from tests.oracles.speck_networks import random_case, random_event_case
from toolchain.chips.speck import simulate
from toolchain.chips.speck.emit.addresses import to_raster
from toolchain.chips.speck.simulate.events import MOST_STEPS

KINDS = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")]
SMALL = chain((2, 4, 5), {"outputs": 1, "kernel": 3})


def stream(*rows, kinds=KINDS):
    return np.array(list(rows), kinds)


def as_raster(streams, shape, steps, dt):
    raster = np.zeros((len(streams), steps, *shape), np.int32)
    for sample, events in enumerate(streams):
        at = (events["t"] // dt, events["p"], events["y"], events["x"])
        np.add.at(raster[sample], at, 1)
    return raster


@each("seed", range(30))
def test_events_do_what_their_raster_does_clocked(seed):
    program, streams, steps, _ = random_event_case(seed)
    raster = as_raster(streams, program.input_shape, steps, 1000)
    found = simulate(program, streams, dt=1e-3, steps=steps, record=True)
    wanted = simulate(program, raster, record=True)
    for name, layer in wanted.layers.items():
        np.testing.assert_array_equal(found.layers[name].spikes, layer.spikes)
        np.testing.assert_array_equal(found.layers[name].v_mem, layer.v_mem)
        np.testing.assert_array_equal(found.synops[name], wanted.synops[name])
    np.testing.assert_array_equal(found.input_counts, raster.sum((1, 2, 3, 4)))
    assert found.saturations == wanted.saturations


def test_a_raster_in_event_timing_is_its_events_by_channel_y_and_x():
    program, raster = random_case(6, steps=6)
    streams = []
    for sample in raster:
        at = np.argwhere(sample)
        step, channel, y, x = np.repeat(at, sample[tuple(at.T)], axis=0).T
        columns = np.array([x, y, step * 1000, channel])
        streams.append(stream(*map(tuple, columns.T)))
    found = simulate(program, streams, timing="event", steps=6)
    wanted = simulate(program, raster, timing="event")
    assert wanted.spikes.any()
    np.testing.assert_array_equal(found.spikes, wanted.spikes)
    for name in found.events:
        for one, other in zip(found.events[name], wanted.events[name], strict=True):
            np.testing.assert_array_equal(one, other)


def test_steps_end_with_the_last_event_of_all_samples():
    run = simulate(SMALL, [stream((0, 0, 0, 0)), stream((1, 1, 2000, 1))])
    assert run.steps == 3
    assert run.spikes.shape == (2, 3, 1, 2, 3)
    assert run.input_counts.tolist() == [1, 1]
    assert simulate(SMALL, stream((1, 1, 2000, 1)), dt=2.001e-3).steps == 1


@pytest.mark.parametrize("kinds", [("u1", "u1", "u8", "?"), (">i4",) * 4, ("f4",) * 4, ("u8",) * 4])
def test_every_plain_number_type_means_the_same(kinds):
    rows = [(1, 2, 0, 1), (4, 3, 1500, 0)]
    found = simulate(SMALL, stream(*rows, kinds=[*zip("xytp", kinds, strict=True)]))
    wanted = simulate(SMALL, stream(*rows))
    np.testing.assert_array_equal(found.state["spk0"], wanted.state["spk0"])
    assert found.synops["spk0"].tolist() == wanted.synops["spk0"].tolist()


def test_silence_can_be_simulated_where_its_length_is_said():
    for timing in ("clocked", "event"):
        run = simulate(SMALL, stream(), steps=4, timing=timing)
        assert run.spikes.shape == (1, 4, 1, 2, 3)
        assert run.input_counts.tolist() == [0]


FLOATS = [(name, "f8") for name in "xytp"]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (stream((0, 0, 5, 0), (0, 0, 4, 0)), "event 1 of sample 0 is .* t = 4, .* after t = 5"),
        (stream((0, 0, 5, 0), (5, 0, 6, 0)), "event 1 .* x = 5.* x from 0 to 4"),
        (stream((-1, 0, 0, 0)), "event 0 .* x = -1"),
        (stream((0, 4, 0, 0)), "event 0 .* y = 4.* y from 0 to 3"),
        (stream((0, 0, 0, 2)), "event 0 .* p = 2.* p from 0 to 1"),
        (stream((0, 0, 0, -1)), "event 0 .* p = -1"),
        (stream((0, 0, -1, 0)), "event 0 .* t = -1.* >= 0"),
        (stream((0, 0, 2**62 + 1, 0)), "event 0 .* t = 4611686018427387905"),
        (stream((0, 0, 2**61, 0)), "values to record.* times of events are since the start"),
        (stream((0, 0, 0, 0), (np.nan, 0, 0, 0), kinds=FLOATS), "event 1 .* x = nan"),
        (stream((0, 0, np.inf, 0), kinds=FLOATS), "event 0 .* t = inf"),
        (stream((0, 0.5, 0, 0), kinds=FLOATS), "event 0 .* y = 0.5.* whole numbers"),
        (stream((0, 0, np.nan, 0), (0, 0, 3, 0), kinds=FLOATS), "event 0 .* t = nan"),
        (stream((0, 0, 0, 0))[["x", "y", "p", "t"]], "x, y, t, p in this order.*fields x, y, p, t"),
        (stream((0, 0, 0, 0))[["x", "y", "t"]], "fields x, y, t of shape"),
        (stream((0, 0, 0, 0), kinds=[(n, "i8") for n in "abtp"]), "got fields a, b, t, p"),
        (stream((0, 0, 0, "1"), kinds=[*KINDS[:3], ("p", "U1")]), "field 'p' .* dtype <U1"),
        (stream((0, 0, 0, None), kinds=[*KINDS[:3], ("p", "O")]), "field 'p' .* dtype object"),
        (stream((0, 0, 0, (1, 2)), kinds=[*KINDS[:3], ("p", "i1", 2)]), "field 'p'"),
        (stream((0, 0, 0, 0)).reshape(1, 1), r"one-dimensional .* of shape \(1, 1\)"),
        (stream(), "sample 0 has no events: give steps"),
        ([stream(), stream()], "sample 0 has no events: give steps"),
        ([stream((0, 0, 0, 0)), np.zeros(3)], "sample 1: an event array .* got ndarray"),
        ([stream((0, 0, 0, 0)), None], "sample 1: an event array .* got NoneType"),
        ([stream((0, 0, 0, 0)), stream((0, 9, 0, 0))], "event 0 of sample 1 .* y = 9"),
    ],
)
@pytest.mark.parametrize("timing", ["clocked", "event"])
def test_events_that_are_none_are_refused(events, message, timing):
    with pytest.raises(ValueError, match=message):
        simulate(SMALL, events, timing=timing)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 2}, r"event 1 of sample 0 is at t = 2000 µs, after the end of 2 steps"),
        ({"steps": -1}, "steps must be an integer >= 0, got -1"),
        ({"steps": 2.5}, "steps must be an integer >= 0, got 2.5"),
        ({"dt": 1.5e-6}, "whole number of µs, at least 1e-6 s, got 1.5e-06"),
        ({"dt": 0}, "whole number of µs"),
        ({"dt": -1e-3}, "whole number of µs"),
        ({"dt": float("nan")}, "whole number of µs"),
        ({"dt": "1"}, "whole number of µs"),
    ],
)
def test_steps_that_do_not_go_with_the_events_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        simulate(SMALL, stream((0, 0, 0, 0), (0, 0, 2000, 0)), **fields)


@pytest.mark.parametrize("fields", [{}, {"steps": MOST_STEPS + 1}])
def test_a_raster_of_events_has_a_limited_number_of_steps(fields):
    events = stream((0, 0, 0 if fields else 2**61, 0))
    with pytest.raises(ValueError, match=f"at most {MOST_STEPS} steps"):
        to_raster(events, SMALL.input_shape, SMALL.dt, **fields)


def test_events_without_the_length_of_a_step_and_rasters_with_steps_are_refused():
    nameless = chain((1, 1, 1), {"outputs": 1, "kernel": 1}, dt=None)
    with pytest.raises(ValueError, match="event arrays need the length of a step: dt="):
        simulate(nameless, stream((0, 0, 0, 0)))
    with pytest.raises(ValueError, match="steps requires event arrays"):
        simulate(nameless, np.zeros((1, 1, 1, 1)), steps=1)


def test_a_raster_needs_no_length_of_a_step_but_a_sensible_one():
    raster = np.ones((1, 2, 4, 5), int)
    for dt, timed in ((1e-3, True), (1e-7, False), (1.5e-6, False)):
        run = simulate(SMALL, raster, timing="event", dt=dt)
        assert bool(run.events) == timed
    for dt in (0, -1e-3, float("nan"), float("inf"), "1"):
        with pytest.raises(ValueError, match="dt must be > 0 s"):
            simulate(SMALL, raster, dt=dt)


def test_activity_and_the_common_recording_take_events_too():
    streams = [stream((1, 2, 0, 1), (1, 2, 10, 1)), stream((4, 3, 1500, 0))]
    raster = as_raster(streams, SMALL.input_shape, 2, 1000)
    assert contract.activity(SMALL, streams) == contract.activity(SMALL, raster)
    assert contract.activity(SMALL, streams).layers[0].spikes_per_step == 3 / 4
    for timing in ("clocked", "event"):
        found = contract.simulate(SMALL, streams, record=True, timing=timing)
        assert found.spikes.shape == (2, 2, 6)
