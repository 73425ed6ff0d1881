"""The camera: addresses, both kinds of input, what is emitted, and what the chip refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import pool
from tests.cases import each
from tests.chips.speck.graphs import conv, iaf
from tests.chips.speck.networks import chain
from tests.ir.test_sensor import sensors
from tests.oracles import nn_cases
from toolchain import DeployError, deploy, extract, nn
from toolchain.chips.load import load_chip
from toolchain.chips.speck import (
    Destination,
    EventFilter,
    SpeckProgram,
    SpeckSensor,
    order_sensitivity,
    simulate,
)
from toolchain.chips.speck.emit.tree import configuration
from toolchain.chips.speck.power import activity, activity_at
from toolchain.chips.speck.rules.graph import check_graph
from toolchain.chips.speck.rules.program import RULES, check
from toolchain.chips.speck.simulate.events import event_array
from toolchain.chips.speck.simulate.twin import simulate_densely
from toolchain.chips.speck.store import from_arrays, to_arrays
from toolchain.deployment import Deployment
from toolchain.diagnostics import Severity
from toolchain.ir import Add, Edge, Graph, Input, Output, Sensor
from toolchain.passes import fold_average_pool, fold_sensor_pool, linear_to_conv

CHIP = load_chip("speck2f")
RULE = {rule.__name__: rule for rule in RULES}
CASES, SHARED, GAVE = nn_cases.read("dvs_sinabs.npz")
OVERVIEW = "\n  source: speck2f.yaml, sinabs documentation, Speck overview (published)"
FILTER = "\n  source: speck2f.yaml, Speck Dev Kit Datasheet, DVS event filter (published)"


def behind(sensor, shape, *layers, **rest):
    """A chain of cores behind a sensor for events of ``shape``."""
    layers = layers or ({"outputs": 1, "kernel": 1},)
    program = chain(sensor.output_shape(shape), *layers)
    return replace(program, input_shape=shape, sensor=sensor, **rest)


def random_program(rng, sensor, shape):
    """Two cores behind a sensor, with random weights."""
    sent = sensor.output_shape(shape)
    kernel = int(rng.integers(1, 1 + min(3, *sent[1:])))
    weight = rng.integers(-40, 60, (3, sent[0], kernel, kernel))
    first = {"outputs": 3, "kernel": kernel, "weight": weight, "threshold_high": 50}
    return behind(sensor, shape, first, {"outputs": 2, "kernel": None, "threshold_high": 1})


def random_events(rng, shape, number=60, end=5000):
    """Events of one sample, times in µs."""
    channels, height, width = shape
    columns = [rng.integers(0, most, number) for most in (width, height, end, channels)]
    columns[2].sort()
    return event_array(*columns)


def as_raster(events, shape, steps=5, dt=1000):
    raster = np.zeros((1, steps, *shape), np.int32)
    np.add.at(raster[0], (events["t"] // dt, events["p"], events["y"], events["x"]), 1)
    return raster


# ---- addresses ----


@given(sensors(), st.integers(0, 2**32))
def test_events_and_rasters_go_to_the_same_addresses(case, seed):
    node, shape = case
    sensor = SpeckSensor.of(node, "dvs")
    events = random_events(np.random.default_rng(seed), shape)
    sent = sensor.output_shape(shape)
    assert sent == node.output_shape(shape)
    np.testing.assert_array_equal(
        as_raster(sensor.of_events(events), sent), sensor.of_raster(as_raster(events, shape))
    )


def test_the_ends_of_the_crop_are_kept_and_their_neighbours_are_not():
    sensor = SpeckSensor(pooling=(2, 1), origin=(1, 2), cut=(3, 4), mirror_y=True)
    y, x = np.array([1, 2, 3, 7, 8, 4, 4]), np.array([3, 2, 2, 4, 4, 1, 5])
    kept, channel, to_y, to_x = sensor.addresses(np.ones_like(y), y, x)
    assert kept.tolist() == [False, True, True, True, False, False, False]
    assert channel[kept].tolist() == [1, 1, 1]
    assert to_y[kept].tolist() == [2, 2, 0]
    assert to_x[kept].tolist() == [0, 0, 2]


def test_event_arrays_of_other_fields_are_refused():
    events = np.zeros(3, [("x", "i2"), ("y", "i2"), ("p", "i2"), ("t", "i8")])
    with pytest.raises(ValueError, match="integer fields x, y, t, p, got"):
        SpeckSensor(cut=(3, 3)).of_events(events)
    with pytest.raises(ValueError, match="integer fields x, y, t, p, got"):
        SpeckSensor(cut=(3, 3)).of_events(np.zeros(3, [(n, "f4") for n in "xytp"]))


@each("case", CASES)
def test_it_sends_on_and_is_set_up_as_sinabs_does(case):
    layer = nn_cases.build(CASES[case], SHARED, vars(nn))
    counts = SHARED["x".join(map(str, layer.input_shape[1:]))][None]
    graph = extract(torch.nn.Sequential(nn.FlattenTime(), layer), counts.astype(np.float32))
    (name,) = graph.of(Sensor)
    sensor = SpeckSensor.of(graph[name], name)
    np.testing.assert_array_equal(sensor.of_raster(counts)[0], GAVE[case]["out"])
    program = behind(sensor, counts.shape[2:]).placed({"spk0": 3})
    yielded = configuration(program)["dvs_layer"]
    assert yielded.pop("destinations") == [{"layer": 3, "enable": True}]
    assert yielded == json.loads(GAVE[case]["config"].tobytes())


# ---- simulation ----


@pytest.mark.parametrize("timing", ["clocked", "event"])
@given(case=sensors(), seed=st.integers(0, 2**32))
def test_events_and_their_raster_do_the_same(timing, case, seed):
    rng = np.random.default_rng(seed)
    node, shape = case
    program = random_program(rng, SpeckSensor.of(node, "dvs"), shape)
    events = random_events(rng, shape)
    # a raster knows no order within a step but this
    events = events[np.lexsort([events[n] for n in "xyp"] + [events["t"] // 1000])]
    events["t"] = events["t"] // 1000 * 1000
    one = simulate(program, events, dt=1e-3, steps=5, timing=timing, record=True)
    other = simulate(program, as_raster(events, shape), timing=timing, record=True)
    for name, layer in other.layers.items():
        np.testing.assert_array_equal(one.layers[name].spikes, layer.spikes)
        np.testing.assert_array_equal(one.layers[name].v_mem, layer.v_mem)
        assert one.synops[name] == other.synops[name]
    assert one.input_counts == other.input_counts == [len(events)]
    for name, streams in other.events.items():
        np.testing.assert_array_equal(one.events[name][0], streams[0])


@given(case=sensors(), seed=st.integers(0, 2**32))
def test_the_simulation_is_the_cores_on_what_the_sensor_sends(case, seed):
    rng = np.random.default_rng(seed)
    node, shape = case
    program = random_program(rng, SpeckSensor.of(node, "dvs"), shape)
    raster = rng.poisson(0.5, (2, 4, *shape))
    yielded = simulate(program, raster, record=True)
    sent = simulate(program.behind_sensor(), program.sensor.of_raster(raster), record=True)
    slow = simulate_densely(program, raster)
    for name, layer in yielded.layers.items():
        for wanted in (sent, slow):
            np.testing.assert_array_equal(layer.spikes, wanted.layers[name].spikes)
            np.testing.assert_array_equal(layer.v_mem, wanted.layers[name].v_mem)
            np.testing.assert_array_equal(yielded.synops[name], wanted.synops[name])
    np.testing.assert_array_equal(yielded.input_counts, raster.sum((1, 2, 3, 4)))
    np.testing.assert_array_equal(slow.input_counts, yielded.input_counts)


@given(case=sensors(), seed=st.integers(0, 2**32))
def test_events_one_by_one_are_the_cores_on_what_the_sensor_sends(case, seed):
    rng = np.random.default_rng(seed)
    node, shape = case
    program = random_program(rng, SpeckSensor.of(node, "dvs"), shape)
    events = random_events(rng, shape)
    yielded = simulate(program, events, timing="event", steps=5)
    sent = program.sensor.of_events(events)
    wanted = simulate(program.behind_sensor(), sent, timing="event", steps=5)
    for name, streams in wanted.events.items():
        np.testing.assert_array_equal(yielded.events[name][0], streams[0])
    assert yielded.synops == wanted.synops


def test_orders_of_the_cameras_events_are_compared_too():
    program = random_program(np.random.default_rng(2), SpeckSensor(cut=(3, 3)), (2, 6, 6))
    raster = np.random.default_rng(3).poisson(0.5, (1, 3, 2, 6, 6))
    found = order_sensitivity(program, raster, permutations=2)
    clocked = simulate(program, raster)
    np.testing.assert_array_equal(found.clocked_layers["spk0"], clocked.spike_counts["spk0"])
    assert found.layers["spk0"].shape == (3, 1)


def test_times_of_spikes_are_those_of_the_events_that_were_kept():
    core = {"outputs": 1, "kernel": 1, "weight": [[[[100]]]], "threshold_high": 100}
    program = behind(SpeckSensor(origin=(1, 0), cut=(1, 3), merge=True), (2, 4, 4), core)
    rows = [(0, 0, 100, 0), (1, 1, 700, 1), (2, 3, 900, 0), (3, 1, 1500, 0)]
    events = event_array(*map(np.array, zip(*rows, strict=True)))
    (spikes,) = simulate(program, events, timing="event").events["spk0"]
    assert spikes.tolist() == [(1, 0, 700, 0), (3, 0, 1500, 0)]


def test_addresses_beyond_the_camera_are_refused_and_not_cropped():
    program = behind(SpeckSensor(cut=(1, 1)), (2, 4, 4))
    with pytest.raises(ValueError, match="x = 4"):
        simulate(program, event_array(*map(np.array, ([4], [0], [0], [0]))))


def test_events_are_counted_and_priced_before_the_sensor():
    rng = np.random.default_rng(5)
    sensor = SpeckSensor(pooling=(2, 4), origin=(1, 0), cut=(2, 1), merge=True, swap=True)
    program = random_program(rng, sensor, (2, 8, 12))
    ones = np.ones((1, 2, 2, 8, 12), np.int64)
    counted = activity(program, ones)
    per_step = counted.layers[0].spikes_per_step
    assert (counted.layers[0].neurons, per_step) == (192, 192)
    rates = {"input": 1000.0, "spk0": 0.0, "spk1": 0.0}
    expected = activity_at(program, rates, steps=2)
    assert expected.layers[0].spikes_per_step == pytest.approx(per_step)
    assert expected.layers[1].synops_per_step == pytest.approx(counted.layers[1].synops_per_step)


# ---- what is emitted ----


def test_the_published_example_is_set_up():
    layer = nn.DVSLayer(
        (128, 128),
        pool=(1, 2),
        crop=((20, 62), (12, 32)),
        merge_polarities=True,
        flip_x=True,
        swap_xy=True,
        disable_pixel_array=False,
    )
    graph = extract(torch.nn.Sequential(nn.FlattenTime(), layer), torch.zeros(1, 2, 2, 128, 128))
    (name,) = graph.of(Sensor)
    sensor = SpeckSensor.of(graph[name], name)
    program = behind(
        sensor,
        (2, 128, 128),
        {"outputs": 1, "kernel": 1},
        {"outputs": 1, "kernel": 1},
    )
    assert program["spk0"].input_shape == (1, 20, 42)
    assert configuration(program.placed({"spk0": 4, "spk1": 2}))["dvs_layer"] == {
        "merge": True,
        "mirror": {"x": True, "y": False},
        "mirror_diagonal": True,
        "origin": {"x": 12, "y": 20},
        "cut": {"x": 31, "y": 61},
        "pooling": {"x": 2, "y": 1},
        "pass_sensor_events": True,
        "destinations": [{"layer": 4, "enable": True}],
    }


def test_the_event_filter_is_written_only_where_it_is_set():
    sensor = SpeckSensor(cut=(3, 3))
    placed = behind(sensor, (2, 4, 4)).placed({"spk0": 0})
    assert "dvs_filter" not in configuration(placed)
    noise = EventFilter(filter_size=(3, 5), threshold=10, hot_pixel_filter_enable=True)
    yielded = configuration(replace(placed, sensor=replace(sensor, filter=noise)))["dvs_filter"]
    wanted = {
        "enable": True,
        "filter_size": {"x": 5, "y": 3},
        "threshold": 10,
        "hot_pixel_filter_enable": True,
        "low_pass_mode_enable": False,
    }
    assert {key: yielded[key] for key in wanted} == wanted


def test_a_pooled_input_is_never_written():
    program = chain(
        (1, 4, 4),
        {"outputs": 1, "kernel": 1, "input_shape": (1, 2, 2)},
        inputs=(Destination(layer="spk0", pooling=2),),
    )
    with pytest.raises(ValueError, match="input"):
        configuration(program.placed({"spk0": 0}))


# ---- what is kept ----


@given(sensors(), st.booleans())
def test_a_stored_program_comes_back(case, filtered):
    node, shape = case
    sensor = replace(SpeckSensor.of(node, "dvs"), filter=EventFilter() if filtered else None)
    program = behind(sensor, shape)
    arrays, data = to_arrays(program)
    again = from_arrays(arrays, json.loads(json.dumps(data)))
    assert str(again) == str(program)
    assert again.sensor == sensor


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"cut": [3, 3]},
        {"cut": [3, 3], "filter": None, "more": 1},
        {"cut": "33", "filter": None},
        {"cut": [30, 3], "filter": None},
        {"cut": [3, 3], "filter": {"threshold": -1}},
        {"cut": [3, 3], "filter": []},
        [],
        "sensor",
        7,
    ],
)
def test_a_damaged_sensor_is_refused(entry):
    arrays, data = to_arrays(behind(SpeckSensor(cut=(3, 3)), (2, 4, 4)))
    with pytest.raises(ValueError, match=r"."):
        from_arrays(arrays, {**data, "sensor": entry})


def test_a_program_tells_of_its_sensor():
    sensor = SpeckSensor(
        name="dvs", pooling=(1, 2), cut=(3, 1), mirror_x=True, filter=EventFilter()
    )
    assert str(behind(sensor, (2, 4, 4))).splitlines()[2] == (
        "  sensor dvs: pooling 1x2, origin 0x0, cut 3x1, mirror_x, filtered"
    )


# ---- what has no meaning ----


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling": (0, 1)}, "pooling must be (y, x), integers >= 1, got (0, 1)"),
        ({"origin": (-1, 0)}, "origin must be (y, x), integers >= 0, got (-1, 0)"),
        ({"cut": (3.0, 3)}, "cut must be (y, x), integers >= 0, got (3.0, 3)"),
        ({"origin": (4, 0)}, "origin (4, 0) must not exceed cut (3, 3)"),
        ({"merge": 1, "swap": None}, "merge must be True or False, got 1; swap must be True or"),
    ],
)
def test_a_sensor_without_meaning_is_refused(fields, message):
    with pytest.raises(ValueError, match="SpeckSensor: ") as caught:
        SpeckSensor(**{"cut": (3, 3), **fields})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filter_size": (0, 1)}, "filter_size must be >= 1 outside low-pass mode, got (0, 1)"),
        ({"filter_size": 3}, "filter_size must be (y, x), integers >= 0, got 3"),
        ({"low_pass_mode_enable": True}, "filter_size must be (0, 0) in low-pass mode, got (1, 1)"),
        ({"threshold": -1}, "threshold must be an integer >= 0, got -1"),
        ({"enable": "on"}, "enable must be True or False, got 'on'"),
        (
            {
                "low_pass_mode_enable": True,
                "filter_size": (0, 0),
                "hot_pixel_filter_enable": True,
            },
            "the low-pass mode and the hot pixel filter exclude each other",
        ),
    ],
)
def test_a_filter_without_meaning_is_refused(fields, message):
    with pytest.raises(ValueError, match="EventFilter: ") as caught:
        EventFilter(**fields)
    assert message in str(caught.value)


def test_a_low_pass_filter_has_no_window():
    assert EventFilter(filter_size=(0, 0), low_pass_mode_enable=True).threshold == 1


def test_the_crop_ends_with_the_pooled_map():
    behind(SpeckSensor(pooling=(2, 1), cut=(1, 3)), (2, 5, 4))
    with pytest.raises(ValueError, match=r"sensor crops up to \(2, 3\), the pooled map is 2x4"):
        behind(SpeckSensor(pooling=(2, 1), cut=(2, 3)), (2, 5, 4))


# ---- what the chip refuses ----


def whole(shape, **fields):
    """A sensor that keeps all of its map."""
    pooling = fields.get("pooling", (1, 1))
    cut = tuple(side // by - 1 for side, by in zip(shape[1:], pooling, strict=True))
    return behind(SpeckSensor(cut=cut, **fields), shape)


def fanned(number, shift=0):
    """A sensor that sends to ``number`` cores."""
    cores = whole((2, 4, 4)).cores
    names = [f"spk{index}" for index in range(number)]
    return SpeckProgram(
        chip="speck2f",
        input_shape=(2, 4, 4),
        sensor=SpeckSensor(name="dvs", cut=(3, 3)),
        cores=[replace(cores[0], name=name) for name in names],
        inputs=[Destination(layer=name, feature_shift=shift) for name in names],
        outputs=names[:1],
    )


def filtered(**fields):
    sensor = SpeckSensor(cut=(3, 3), filter=EventFilter(enable=False, **fields))
    return behind(sensor, (2, 4, 4))


POOLED = Destination(layer="spk0", pooling=2)
LIMITS = {
    "pixels": (
        "sensor",
        whole((2, 128, 128)),
        whole((2, 128, 129)),
        "error[sensor] sensor: map of 128x129 pixels, speck2f has 128x128" + OVERVIEW,
    ),
    "polarities": (
        "sensor",
        whole((2, 4, 4)),
        whole((3, 4, 4)),
        "error[sensor] sensor: 3 input channels, speck2f has 2" + OVERVIEW,
    ),
    "one polarity": (
        "sensor",
        whole((1, 4, 4), pixel_array=True, merge=True),
        whole((1, 4, 4), pixel_array=True),
        "error[sensor] sensor: 1 input channel, but the pixels of speck2f send 2 polarities"
        + OVERVIEW
        + "\n  hint: merge_polarities=True makes them one channel",
    ),
    "pooling": (
        "sensor",
        whole((2, 16, 16), pooling=(1, 4)),
        whole((2, 16, 16), pooling=(3, 4)),
        "error[sensor] sensor: pooling 3x4, each axis of speck2f supports 1, 2 or 4" + OVERVIEW,
    ),
    "more pooling": (
        "sensor",
        whole((2, 16, 16), pooling=(4, 4)),
        whole((2, 16, 16), pooling=(4, 8)),
        "error[sensor] sensor: pooling 4x8, each axis of speck2f supports 1, 2 or 4" + OVERVIEW,
    ),
    "destinations": (
        "sensor_destinations",
        fanned(2),
        fanned(3),
        "error[sensor_destinations] dvs: sends to 3 layers, the sensor of speck2f to at most 2"
        + OVERVIEW,
    ),
    "channels": (
        "sensor_destinations",
        fanned(1),
        fanned(1, shift=1),
        "error[sensor_destinations] dvs: sends to channels of spk0 from 1 on, the sensor of "
        "speck2f only from 0 on" + OVERVIEW,
    ),
    "pooled input": (
        "input_pooling",
        chain((1, 4, 4), {"outputs": 1, "kernel": 1}),
        chain((1, 4, 4), {"outputs": 1, "kernel": 1, "input_shape": (1, 2, 2)}, inputs=(POOLED,)),
        "error[input_pooling] input: sum pooling of 2 to spk0; speck2f pools between cores and in "
        "its sensor, but not events that are sent to a core from outside" + OVERVIEW,
    ),
    "filter window": (
        "event_filter",
        filtered(filter_size=(15, 1)),
        filtered(filter_size=(1, 16)),
        "error[event_filter] sensor: filter window 1x16, speck2f supports at most 15x15" + FILTER,
    ),
    "filter time": (
        "event_filter",
        filtered(threshold=65535),
        filtered(threshold=65536),
        "error[event_filter] sensor: filter threshold of 65 536 ticks, speck2f counts to 65 535"
        + FILTER,
    ),
}


@pytest.mark.parametrize(("rule", "good", "bad", "text"), LIMITS.values(), ids=LIMITS)
def test_at_the_limit_passes_and_one_past_it_is_found(rule, good, bad, text):
    assert [*RULE[rule](good, CHIP)] == []
    assert [str(finding) for finding in check(bad, CHIP) if finding.rule == rule] == [text]


def test_a_chip_without_a_known_sensor_refuses_one():
    chip = CHIP.model_copy(update={"sensor": None})
    assert [str(f) for f in RULE["sensor"](whole((2, 4, 4)), chip)] == [
        "error[sensor] sensor: speck2f has no documented event sensor"
    ]
    assert [*RULE["sensor"](chain((2, 4, 4), {"outputs": 1, "kernel": 1}), chip)] == []


def test_a_filter_that_is_on_is_told_of_because_it_is_not_simulated():
    program = behind(SpeckSensor(cut=(3, 3), filter=EventFilter()), (2, 4, 4))
    (finding,) = RULE["event_filter"](program, CHIP)
    assert finding.severity is Severity.WARNING
    assert finding.message == "the event filter drops events on speck2f, but none in the simulation"


def test_more_pooling_before_the_first_layer_is_a_hint_that_the_sensor_takes():
    program = whole((2, 128, 128))
    (finding,) = (f for f in check(program, CHIP) if f.rule == "output_size")
    assert finding.hint.startswith("sum pooling of 2 before conv0 fits")


# ---- what the chip refuses of a network ----


def network(*before, shape=(2, 8, 8), neurons=None):
    """What is given, then a convolution and neurons; layers are named by their place."""
    nodes = {"input": Input(shape=shape), **{f"n{i}": node for i, node in enumerate(before)}}
    result = shape
    for node in before:
        result = node.output_shape(result)
    nodes |= {"conv": conv(1, result[0]), "spk": iaf((1, *result[1:])), "output": Output()}
    return Graph.chain(nodes, dt=1e-3)


def errors(graph):
    return [str(found) for found in check_graph(fold_sensor_pool(graph), CHIP)]


POOLS = (
    "speck2f pools between cores and in its sensor, but not events that are sent to a core from "
    "outside"
)


def test_a_sensor_and_pools_that_it_takes_over_are_taken():
    assert errors(network(Sensor(size=(8, 8)))) == []
    assert errors(network(Sensor(size=(8, 8)), pool(), pool((1, 2)))) == []


@pytest.mark.parametrize(
    ("shape", "layer", "call"),
    [
        ((2, 8, 8), nn.DVSLayer((8, 8)), "DVSLayer((8, 8))"),
        (
            (1, 8, 8),
            nn.DVSLayer((8, 8), merge_polarities=True),
            "DVSLayer((8, 8), merge_polarities=True)",
        ),
    ],
)
def test_a_pool_on_the_input_is_refused_with_what_helps(shape, layer, call):
    (text,) = errors(network(pool(), shape=shape))
    assert text == (
        f"error[input_pooling] n0: pools the input; {POOLS}\n"
        f"  hint: toolchain.nn.{call} before it can do its pooling"
    )
    # the hint, followed
    model = torch.nn.Sequential(nn.FlattenTime(), layer, nn.SumPool2d(2))
    graph = extract(model, torch.ones(1, 2, *shape))
    assert [*fold_sensor_pool(graph).nodes] == ["input", "1", "output"]


@pytest.mark.parametrize(
    ("side", "shape"), [(3, (2, 9, 9)), (8, (2, 8, 8)), (2, (3, 8, 8)), (2, (2, 8, 130))]
)
def test_no_hint_is_given_where_the_sensor_would_not_help(side, shape):
    (text,) = errors(network(pool(side), shape=shape))
    assert text == f"error[input_pooling] n0: pools the input; {POOLS}"


def test_a_pool_behind_a_crop_is_refused_with_a_crop_that_helps():
    node = Sensor(size=(5, 6), origin=(3, 0))
    inside = "pools (2, 2) of 'n0', which speck2f can only do inside it"
    assert errors(network(node, pool())) == [
        f"error[input_pooling] n1: {inside}, before its crop and mirrors; with a crop of (5, 6) "
        "from (3, 0), its windows are not those of the sensor\n"
        "  hint: crop=((2, 6), (0, 6)) in 'n0' is supported"
    ]
    assert errors(network(replace(node, size=(4, 6), origin=(2, 0)), pool())) == []


def test_overlapping_windows_behind_a_sensor_are_refused():
    found = errors(network(Sensor(size=(8, 8)), pool(2, (1, 1))))
    assert found[0] == (
        "error[input_pooling] n1: pools (2, 2) of 'n0', which speck2f can only do inside it, and "
        "with stride (1, 1) its windows overlap or leave gaps"
    )


def joined(nodes, edges):
    """Two convolutions with neurons, read by the edges given, whose spikes meet."""
    parts = {"ca": conv(1, 2), "cb": conv(1, 2), "a": iaf((1, 8, 8)), "b": iaf((1, 8, 8))}
    parts |= {"add": Add(), "cc": conv(1, 1), "c": iaf((1, 8, 8)), "output": Output()}
    edges = [*edges, ("ca", "a"), ("cb", "b"), ("a", "add"), ("b", "add"), ("add", "cc")]
    graph = {"input": Input(shape=(2, 8, 8)), **nodes, **parts}
    return Graph(graph, [*edges, ("cc", "c"), ("c", "output")], dt=1e-3)


def test_a_sensor_for_two_layers_is_taken():
    dvs = Sensor(size=(8, 8))
    assert errors(joined({"dvs": dvs}, [("input", "dvs"), ("dvs", "ca"), ("dvs", "cb")])) == []


def test_a_second_sensor_and_a_way_past_the_first_are_refused():
    one, two = Sensor(size=(8, 8)), Sensor(size=(8, 8), flip_x=True)
    edges = [("input", "one"), ("input", "two"), ("one", "ca"), ("two", "cb")]
    assert errors(joined({"one": one, "two": two}, edges)) == [
        "error[sensor_first] one: is one of 2 sensors, a chip has one",
        "error[sensor_first] two: is one of 2 sensors, a chip has one",
    ]
    assert errors(joined({"dvs": one}, [("input", "dvs"), ("dvs", "ca"), ("input", "cb")])) == [
        "error[sensor_first] cb: reads the input without 'dvs'; all events of speck2f pass "
        "its sensor"
    ]


def test_a_sensor_behind_neurons_is_refused():
    nodes = {"input": Input(shape=(2, 8, 8)), "c": conv(2, 2), "s": iaf((2, 8, 8))}
    nodes |= {"dvs": Sensor(size=(8, 8)), "c2": conv(1, 2), "s2": iaf((1, 8, 8))}
    found = errors(Graph.chain({**nodes, "output": Output()}, dt=1e-3))
    assert "error[sensor_first] dvs: reads 's'; the sensor of speck2f must be first" in found


def test_a_pool_for_one_of_two_readers_is_refused_by_the_other():
    nodes = {"input": Input(shape=(2, 8, 8)), "dvs": Sensor(size=(8, 8)), "p": pool()}
    nodes |= {"ca": conv(1, 2), "a": iaf((1, 4, 4)), "cb": conv(1, 2, 2, stride=2)}
    nodes |= {"b": iaf((1, 4, 4)), "add": Add(), "cc": conv(1, 1), "c": iaf((1, 4, 4))}
    edges = [("input", "dvs"), ("dvs", "p"), ("p", "ca"), ("ca", "a"), ("dvs", "cb"), ("cb", "b")]
    edges += [("a", "add"), ("b", "add"), ("add", "cc"), ("cc", "c"), ("c", "output")]
    assert errors(Graph({**nodes, "output": Output()}, [Edge(*e) for e in edges], dt=1e-3)) == [
        "error[input_pooling] p: pools (2, 2) of 'dvs', which speck2f can only do inside it, for "
        "all its readers alike: 'cb' reads it, too"
    ]


# ---- the whole road ----


class Model(torch.nn.Module):
    """Layers with names, the first of them those given."""

    def __init__(self, *first, channels, features, batch=2):
        super().__init__()
        self.body = torch.nn.Sequential(
            nn.FlattenTime(),
            *first,
            torch.nn.Conv2d(channels, 4, 3, stride=2, bias=False),
            nn.IAFSqueeze(batch_size=batch, min_v_mem=-1.0),
            nn.SumPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(features, 5, bias=False),
            nn.IAFSqueeze(batch_size=batch, min_v_mem=-1.0),
            nn.UnflattenTime(batch),
        )

    def forward(self, data):
        return self.body(data)


FIRST = {
    "everything": (
        [
            nn.DVSLayer(
                (24, 27),
                pool=(1, 2),
                crop=((2, 20), (1, 11)),
                merge_polarities=True,
                flip_x=True,
                swap_xy=True,
                disable_pixel_array=False,
            )
        ],
        {"channels": 1, "features": 4 * 2 * 4},
    ),
    "average": (
        [nn.DVSLayer((24, 27), flip_y=True), torch.nn.AvgPool2d(2)],
        {"channels": 2, "features": 4 * 2 * 3},
    ),
    "sum": (
        [nn.DVSLayer((24, 27), pool=(1, 2), swap_xy=True), nn.SumPool2d((1, 2))],
        {"channels": 2, "features": 4 * 3 * 2},
    ),
}


@pytest.mark.parametrize(("first", "rest"), FIRST.values(), ids=FIRST)
def test_a_network_behind_a_camera_layer_goes_onto_the_chip(first, rest, tmp_path):
    torch.manual_seed(3)
    spikes = np.random.default_rng(4).poisson(0.3, (2, 8, 2, 24, 27))
    model = Model(*first, **rest)
    with torch.no_grad():
        for layer in model.body:
            if hasattr(layer, "weight"):
                layer.weight.add_(0.1)
    deployed = deploy(model, "speck2f", sample=spikes.astype(np.float32), dt=1e-3)
    assert deployed.program.sensor.name == "body.1"
    assert deployed.program.input_shape == (2, 24, 27)
    yielded, wanted = deployed.simulate(spikes), deployed.reference_quantized(spikes)
    assert yielded.spikes.sum() > 50
    np.testing.assert_array_equal(yielded.spikes, wanted.spikes)
    streams = []
    for sample in spikes:
        step, p, y, x = np.repeat(np.argwhere(sample), sample[sample > 0], axis=0).T
        streams.append(event_array(x, y, step * 1000, p))
    run = simulate(deployed.program, streams, steps=8)
    np.testing.assert_array_equal(run.spikes.reshape(yielded.spikes.shape), yielded.spikes)
    again = Deployment.load(deployed.save(tmp_path / "camera"))
    assert str(again.program) == str(deployed.program)
    assert again.config() == deployed.config()
    np.testing.assert_array_equal(again.simulate(spikes).spikes, yielded.spikes)
    assert deployed.estimate(spikes).activity.layers[0].neurons == 2 * 24 * 27


def test_a_network_that_pools_its_input_has_strided_weights_instead():
    first, rest = FIRST["average"]
    spikes = np.random.default_rng(4).poisson(0.3, (2, 4, 2, 24, 27)).astype(np.float32)
    model = Model(first[1], **rest)
    with torch.no_grad():
        for layer in model.body:
            if hasattr(layer, "weight"):
                layer.weight.add_(0.1)
    deployed = deploy(model, "speck2f", sample=spikes, dt=1e-3)
    np.testing.assert_array_equal(
        deployed.simulate(spikes).spikes, deployed.reference_quantized(spikes).spikes
    )
    graph = linear_to_conv(fold_average_pool(extract(model, sample=spikes)))
    findings = "\n".join(map(str, check_graph(graph, load_chip("speck2f"))))
    assert "hint: toolchain.nn.DVSLayer((24, 27)) before it" in findings


def test_a_sensor_alone_is_no_network_for_a_chip():
    graph = Graph.chain(
        {"input": Input(shape=(2, 8, 8)), "dvs": Sensor(size=(8, 8)), "output": Output()}
    )
    with pytest.raises(DeployError, match="dvs: is the network's output; speck2f is read out at"):
        deploy(graph, "speck2f")


def test_a_chip_without_a_camera_refuses_the_layer_by_name():
    graph = network(Sensor(size=(8, 8)))
    with pytest.raises(DeployError, match="n0: "):
        deploy(graph, "xylo")
