"""The camera node: what it means event by event, which shapes it takes, and that it is kept."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import chain
from toolchain.diagnostics import GraphError
from toolchain.ir import Sensor
from toolchain.ir.store import pack_graph, unpack_graph
from toolchain.runs.interpret import interpret

FLAGS = ("merge", "flip_y", "flip_x", "swap_xy")


@st.composite
def sensors(draw):
    """(sensor, shape that it takes)."""
    pool = [draw(st.integers(1, 3)) for _ in "yx"]
    pooled = [draw(st.integers(1, 5)) for _ in "yx"]
    shape = [p * n + draw(st.integers(0, p - 1)) for p, n in zip(pool, pooled, strict=True)]
    origin = [draw(st.integers(0, n - 1)) for n in pooled]
    size = [draw(st.integers(1, n - o)) for n, o in zip(pooled, origin, strict=True)]
    flags = {name: draw(st.booleans()) for name in FLAGS}
    node = Sensor(pool=tuple(pool), origin=tuple(origin), size=tuple(size), **flags)
    return node, (draw(st.integers(1, 2)), *shape)


def event_by_event(node, counts):
    """The same, by following each address on its own."""
    _, _, channels, *_ = counts.shape
    (top, left), (height, width) = node.origin, node.size
    out = np.zeros((*counts.shape[:2], 1 if node.merge else channels, height, width))
    for batch, step, channel, y, x in np.argwhere(counts):
        to_y, to_x = y // node.pool[0] - top, x // node.pool[1] - left
        if not (0 <= to_y < height and 0 <= to_x < width):
            continue
        to_y = height - 1 - to_y if node.flip_y else to_y
        to_x = width - 1 - to_x if node.flip_x else to_x
        to_channel = 0 if node.merge else channel
        out[batch, step, to_channel, to_y, to_x] += counts[batch, step, channel, y, x]
    return out.swapaxes(3, 4) if node.swap_xy else out


@given(sensors(), st.integers(0, 2**32))
def test_counts_go_where_their_events_go(case, seed):
    node, shape = case
    counts = np.random.default_rng(seed).poisson(0.5, (2, 3, *shape))
    graph = chain(shape, dvs=node)
    got = interpret(graph, counts).spikes
    np.testing.assert_array_equal(got, event_by_event(node, counts))
    assert got.shape[2:] == graph.shape("dvs")


@given(sensors())
def test_a_stored_sensor_comes_back(case):
    node, shape = case
    graph = chain(shape, dvs=node)
    arrays, data = pack_graph(graph)
    assert str(unpack_graph(arrays, json.loads(json.dumps(data)))) == str(graph)


def test_the_canonical_text_names_what_is_not_usual():
    node = Sensor(merge=True, pool=(2, 1), origin=(1, 2), size=(4, 7), swap_xy=True)
    assert str(chain((2, 12, 10), dvs=node)).splitlines()[2] == (
        "dvs = Sensor(merge=True, pool=[2, 1], origin=[1, 2], size=[4, 7], swap_xy=True) <- input"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pool": (0, 1)}, "Sensor.pool must be (y, x), each >= 1, got (0, 1)"),
        ({"pool": (1, 1, 1)}, "Sensor.pool must be (y, x), each >= 1, got (1, 1, 1)"),
        ({"origin": (0, -1)}, "Sensor.origin must be (y, x), each >= 0, got (0, -1)"),
        ({"size": (0, 4)}, "Sensor.size must be (y, x), each >= 1, got (0, 4)"),
        ({"merge": 1}, "Sensor.merge must be True or False, got 1"),
        ({"pixel_array": "no"}, "Sensor.pixel_array must be True or False, got 'no'"),
    ],
)
def test_values_without_meaning_are_refused(fields, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (compared in full below)
        Sensor(**{"size": (4, 4), **fields})
    assert str(caught.value) == message


def test_the_crop_ends_with_the_pooled_map():
    inside = Sensor(pool=(2, 2), origin=(1, 2), size=(5, 3))
    assert chain((2, 13, 11), dvs=inside).shape("dvs") == (2, 5, 3)
    with pytest.raises(GraphError, match="crops rows 1 to 5 and columns 2 to 4 of a pooled map of"):
        chain((2, 11, 11), dvs=inside)
    with pytest.raises(GraphError, match=r"columns 2 to 4 of a pooled map of 6 x 4"):
        chain((2, 13, 9), dvs=inside)
    with pytest.raises(GraphError, match=r"needs \(channels, height, width\), got \(4,\)"):
        chain((4,), dvs=inside)


@pytest.mark.parametrize("value", ["two", 1.5, [1], [1.5, 1], None])
def test_a_damaged_file_is_refused(value):
    arrays, data = pack_graph(chain((2, 4, 4), dvs=Sensor(size=(4, 4))))
    (entry,) = [node for node in data["nodes"] if node["kind"] == "Sensor"]
    entry["fields"]["pool"] = value
    with pytest.raises(ValueError, match=r"."):
        unpack_graph(arrays, data)
