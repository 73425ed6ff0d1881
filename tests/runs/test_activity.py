"""Counts: what is refused, and that they are plain data."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.runs import Activity, LayerActivity
from toolchain.runs.activity import spikes_per_step

counts = st.floats(0, 1e12, allow_nan=False)


@st.composite
def activities(draw):
    layers = draw(
        st.lists(
            st.builds(
                LayerActivity,
                name=st.text(max_size=5),
                neurons=st.integers(0, 10_000),
                spikes_per_step=counts,
                active=st.none() | st.floats(0, 1),
                synops_per_step=counts,
                updates_per_step=counts,
                leak_updates_per_step=counts,
            ),
            min_size=1,
            max_size=4,
        )
    )
    dt = draw(st.floats(1e-9, 1e3))
    return Activity(layers=tuple(layers), steps=draw(st.integers(0, 10**9)), dt=dt)


@given(activities())
def test_counts_survive_being_saved(activity):
    assert (
        Activity.from_dict(json.loads(json.dumps(activity.as_dict(), allow_nan=False))) == activity
    )


def layer(**changes):
    fields = {"name": "a", "neurons": 2, "spikes_per_step": 1.0, "active": 0.5}
    return LayerActivity(**fields | {"synops_per_step": 3.0} | changes)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neurons": -1}, "neurons of 'a' must be a number >= 0, got -1"),
        ({"spikes_per_step": NAN}, "spikes_per_step of 'a' must be a number >= 0, got nan"),
        ({"synops_per_step": INF}, "synops_per_step of 'a' must be a number >= 0, got inf"),
        ({"updates_per_step": "1"}, "updates_per_step of 'a' must be a number >= 0, got '1'"),
        ({"leak_updates_per_step": -0.5}, "leak_updates_per_step of 'a' must be a number >= 0"),
        ({"active": 1.5}, "active of 'a' must be in 0..1, got 1.5"),
        ({"active": NAN}, "active of 'a' must be a number >= 0, got nan"),
        ({"neurons": True}, "neurons of 'a' must be a number >= 0, got True"),
        ({"name": 3}, "name of a layer must be text, got 3"),
    ],
)
def test_counts_that_are_none_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        layer(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": ()}, "an activity needs at least the layer of the input"),
        ({"steps": 1.5}, "steps must be a whole number >= 0, got 1.5"),
        ({"steps": -1}, "steps must be a whole number >= 0, got -1"),
        ({"dt": 0.0}, "dt must be > 0 s, got 0.0"),
        ({"dt": NAN}, "dt must be a number >= 0, got nan"),
    ],
)
def test_runs_that_are_none_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Activity(**{"layers": (layer(),), "steps": 1, "dt": 1e-3} | changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("dt"), "Activity: missing or unknown: dt"),
        (lambda d: d.update(more=1), "Activity: missing or unknown: more"),
        (lambda d: d.update(layers="x"), "layers must be a list of at most 10000 layers"),
        (lambda d: d.update(layers=[{}] * 10_001), "layers must be a list of at most 10000 layers"),
        (lambda d: d["layers"].append(7), "LayerActivity must be a mapping, got 7"),
        (lambda d: d["layers"][0].pop("active"), "LayerActivity: missing or unknown: active"),
        (
            lambda d: d["layers"][0].update(neurons=None),
            "neurons of 'a' must be a number >= 0, got None",
        ),
    ],
)
def test_saved_counts_that_were_changed_are_refused(change, message):
    data = Activity(layers=(layer(),), steps=1, dt=1e-3).as_dict()
    change(data)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Activity.from_dict(data)


def test_a_layer_is_found_by_its_name():
    activity = Activity(layers=(layer(), layer(name="b")), steps=1, dt=1e-3)
    assert activity["b"].name == "b"
    with pytest.raises(KeyError, match="no layer 'c'; there are a, b"):
        activity["c"]


def test_rates_become_spikes_a_step():
    assert spikes_per_step({"a": 0, "b": 3.5}, ["b", "a"], 0.5) == {"a": 0, "b": 1.75}


def test_rates_need_the_length_of_a_step():
    with pytest.raises(ValueError, match=r"^an estimate needs the length of a timestep: deploy"):
        spikes_per_step({"a": 0}, ["a"], None)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"a": 1}, "^rates need a, b; missing or unknown: b$"),
        ({"a": 1, "b": 1, "c": 1}, "^rates need a, b; missing or unknown: c$"),
        ({"a": "1", "b": 1}, "^rate of 'a' must be a number of spikes per second >= 0, got '1'$"),
        ({"a": 1, "b": -0.5}, "^rate of 'b' must be a number of spikes per second >= 0, got -0.5$"),
        ({"a": float("nan"), "b": 1}, "^rate of 'a' must be .* got nan$"),
    ],
)
def test_other_rates_are_refused(rates, message):
    with pytest.raises(ValueError, match=message):
        spikes_per_step(rates, ["a", "b"], 1.0)
