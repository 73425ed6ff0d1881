"""One verb that says where a deployment goes wrong, on both families."""

import json

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_deploy import DT, leaky, small_images, spikes
from toolchain import deploy
from toolchain.chips.speck import SpeckOptions, order_sensitivity, simulate
from toolchain.deployment import side_by_side
from toolchain.ir import Conv2d, Graph, Input, Linear, Neuron, Output
from toolchain.plots import plot_comparison
from toolchain.runs import bounded
from toolchain.runs.recording import aligned, count_agreement

mpl.use("Agg")


@pytest.fixture(scope="module")
def images():
    return spikes((4, 20, 2, 8, 8), 0.2)


@pytest.fixture(scope="module")
def speck(images):
    return deploy(small_images(), chip="speck", calibration=images)


@pytest.fixture(scope="module")
def xylo():
    decays = {"alpha_mem": 1 - 2.0**-4, "alpha_syn": np.array([1 - 2.0**-2])}
    return deploy(leaky(**decays, max_spikes=31), chip="xylo_a3", calibration=spikes((4, 60, 8)))


def counts(recording, name):
    return int(recording.layers[name].spikes.sum())


def events_of(raster):
    """One event array a sample, without counts above 1."""
    for sample in raster:
        events = np.zeros(np.count_nonzero(sample), [(n, "i8") for n in "xytp"])
        step, events["p"], events["y"], events["x"] = np.nonzero(sample)
        events["t"] = 1e6 * DT * step
        yield events


# ---- what it says ----


@pytest.mark.parametrize("size", [1, 3 * 10**4])
def test_pieces_of_any_size_say_the_same(monkeypatch, speck, xylo, size):
    images, sounds = spikes((2, 35, 2, 8, 8), 0.2), spikes((3, 40, 8))
    cases = [(speck, images), (speck, list(events_of(images))), (xylo, sounds)]
    wanted = [d.compare(x).as_dict() for d, x in cases]
    assert wanted[0]["layers"][0]["spikes"]["event"]
    for module in (bounded, side_by_side):
        monkeypatch.setattr(module, "MOST_VALUES", size)
    monkeypatch.setattr(bounded, "MOST_A_STEP", size // 10)
    assert [d.compare(x).as_dict() for d, x in cases] == wanted


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("x", 8, "event 9 of sample 1"), ("t", -1, "event 9 of sample 1"), ("t", 2**50, "1000000")],
)
def test_events_that_are_refused_are_named_as_in_the_whole(monkeypatch, speck, field, value, words):
    events = list(events_of(spikes((2, 90, 2, 8, 8), 0.01)))
    events[1][field][9 if value != 2**50 else -1] = value
    monkeypatch.setattr(side_by_side, "MOST_VALUES", 1)
    with pytest.raises(ValueError, match=words):
        speck.compare(events)


def test_on_speck_every_figure_is_that_of_the_verb_it_comes_from(speck, images):
    found = speck.compare(images)
    runs = {
        "reference": speck.reference(images, record=True),
        "quantized": speck.reference_quantized(images, record=True),
        "clocked": speck.simulate(images, record=True),
        "event": speck.simulate(images, record=True, timing="event"),
    }
    assert (found.samples, found.steps) == (4, 20)
    assert [layer.name for layer in found.layers] == ["if1", "if2"]
    assert [layer.neurons for layer in found.layers] == [256, 3]
    for name in ("if1", "if2"):
        assert found[name].spikes == {
            run: counts(recording, name) for run, recording in runs.items()
        }
        assert found[name].lag == 0
        for run in ("quantized", "clocked", "event"):
            wanted = runs["reference"].layers[name].spikes.reshape(4, 20, -1)
            got = runs[run].layers[name].spikes.reshape(4, 20, -1)
            assert found[name].agreement[run] == count_agreement(wanted, got)
    for run in ("quantized", "clocked", "event"):
        wanted, got = runs["reference"].spikes.sum(axis=1), runs[run].spikes.sum(axis=1)
        assert found.agreement[run] == found["if2"].agreement[run]
        assert found.decisions[run] == (wanted.argmax(1) == got.argmax(1)).mean()
    assert found["if1"].spikes["event"] != found["if1"].spikes["clocked"]
    assert found.departure is None
    assert found.saturations == {}
    assert found.orders is None


def test_where_the_chip_saturates_it_leaves_the_quantized_graph():
    """Many strong events in one step, whose sum is beyond 16 bits."""
    nodes = {
        "input": Input(shape=(2, 1, 1)),
        "conv": Conv2d(weight=np.array([[[[1.0]], [[-1.0]]]])),
        "if1": Neuron(shape=(1, 1, 1), v_threshold=1.0, v_min=-1.0),
        "last": Conv2d(weight=np.ones((1, 1, 1, 1))),
        "if2": Neuron(shape=(1, 1, 1), v_threshold=1.0, v_min=-1.0),
        "output": Output(),
    }
    d = deploy(Graph.chain(nodes, dt=DT), chip="speck")
    x = np.zeros((2, 8, 2, 1, 1), int)
    x[0, :, 0] = 3
    x[1, 4:, 0] = 2000
    found = d.compare(x)
    chip, graph = (run(x, record=True) for run in (d.simulate, d.reference_quantized))
    differs = np.argwhere(chip.layers["if1"].spikes != graph.layers["if1"].spikes)
    assert len(differs)
    step = differs[:, 1].min()
    assert found.saturations["clocked"]["if1"] > 0
    assert found["if1"].differs_at == found["if2"].differs_at == step
    assert (found.departure.layer, found.departure.step) == ("if1", step)
    assert (found.departure.sample, found.departure.neuron) == (1, (0, 0, 0))
    assert found.departure.clocked == chip.layers["if1"].spikes[1, step].sum()
    assert found.departure.quantized == graph.layers["if1"].spikes[1, step].sum()
    first = f"the chip's spikes first differ from the quantized graph in if1, step {step}: neuron"
    assert first in str(found)
    assert "states saturated, chip: if1" in str(found)
    assert found.decisions == {}, "a single output neuron decides nothing"


def test_on_xylo_the_lag_of_every_layer_is_undone(xylo):
    x = spikes((3, 60, 8), seed=7)
    found = xylo.compare(x)
    assert [layer.lag for layer in found.layers] == [0, 1, 2]
    reference, chip = xylo.reference(x, record=True), xylo.simulate(x, record=True)
    for name, lag in (("lif0", 0), ("lif1", 1), ("lif2", 2)):
        wanted = reference.layers[name].spikes[:, : 60 - lag]
        got = chip.layers[name].spikes[:, lag:]
        assert found[name].spikes["reference"] == wanted.sum()
        assert found[name].spikes["clocked"] == got.sum()
        assert found[name].agreement["clocked"] == count_agreement(wanted, got)
    assert found.agreement["clocked"] == found["lif2"].agreement["clocked"]
    assert list(found.agreement) == ["quantized", "clocked"]
    assert found["lif0"].agreement["clocked"] > 0.9


def test_the_first_difference_on_xylo_is_on_the_graphs_time(xylo):
    """A spike train of a later layer is compared with the graph's, not with its own delay."""
    x = np.zeros((1, 40, 8), int)
    x[0, 5] = 15
    found = xylo.compare(x)
    chip, graph = xylo.simulate(x, record=True), xylo.reference_quantized(x, record=True)
    for name, lag in (("lif0", 0), ("lif1", 1), ("lif2", 2)):
        wanted, got = graph.layers[name].spikes[0, : 40 - lag], chip.layers[name].spikes[0, lag:]
        steps = np.flatnonzero((wanted != got).any(axis=1))
        assert found[name].differs_at == (steps[0] if len(steps) else None)
    firsts = [layer.differs_at for layer in found.layers if layer.differs_at is not None]
    assert firsts
    assert found.departure.step == min(firsts)
    assert found.departure.layer == next(
        layer.name for layer in found.layers if layer.differs_at == min(firsts)
    )


# ---- orders of events ----


def test_permutations_tell_what_the_order_of_simultaneous_events_does(speck, images):
    found = speck.compare(images, options=SpeckOptions(permutations=3)).orders
    known = order_sensitivity(speck.program, images, permutations=3)
    totals = known.layers["if1"].sum(axis=1)
    assert found.orders == 4
    assert (found.fewest["if1"], found.most["if1"]) == (totals.min(), totals.max())
    assert totals.min() < totals.max()
    assert found.decisions == known.decisions("if2").mean()
    assert "spikes over 4 orders of simultaneous events: if1" in str(
        speck.compare(images, options=SpeckOptions(permutations=3))
    )


def test_there_is_no_order_of_events_on_xylo(xylo):
    with pytest.raises(
        ValueError, match="xylo_a3 takes options of type XyloOptions, got SpeckOptions"
    ):
        xylo.compare(spikes((1, 20, 8)), options=SpeckOptions(permutations=2))


def test_fewer_than_no_permutations_are_refused(speck, images):
    with pytest.raises(ValueError, match="permutations must be an integer >= 1, got -1"):
        speck.compare(images, options=SpeckOptions(permutations=-1))


# ---- shapes ----


def test_a_dense_network_on_speck_compares_in_its_own_shape():
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input(shape=(6,)),
        "fc": Linear(weight=rng.normal(0.2, 0.4, (5, 6))),
        "out": Neuron(shape=(5,), v_threshold=1.0, v_min=-1.0),
        "output": Output(),
    }
    d = deploy(Graph.chain(nodes, dt=DT), chip="speck")
    found = d.compare(spikes((2, 15, 6), 0.4))
    assert found["out"].neurons == 5
    assert found["out"].spikes["clocked"] == d.simulate(spikes((2, 15, 6), 0.4)).spikes.sum() > 0


def test_several_outputs_have_to_decide_alike():
    rng = np.random.default_rng(1)
    nodes = {
        "input": Input(shape=(2, 4, 4)),
        "conv": Conv2d(weight=rng.normal(0.2, 0.4, (3, 2, 4, 4))),
        "if1": Neuron(shape=(3, 1, 1), v_threshold=1.0, v_min=-1.0),
        "one": Conv2d(weight=rng.normal(0.1, 0.6, (4, 3, 1, 1))),
        "if2": Neuron(shape=(4, 1, 1), v_threshold=1.0, v_min=-1.0),
        "other": Conv2d(weight=rng.normal(0.1, 0.6, (5, 3, 1, 1))),
        "if3": Neuron(shape=(5, 1, 1), v_threshold=1.0, v_min=-1.0),
        "first": Output(),
        "second": Output(),
    }
    edges = [("input", "conv"), ("conv", "if1"), ("if1", "one"), ("one", "if2"), ("if2", "first")]
    edges += [("if1", "other"), ("other", "if3"), ("if3", "second")]
    d = deploy(Graph(nodes, edges, dt=DT), chip="speck", quantizer="common")
    x = spikes((12, 20, 2, 4, 4), 0.3)
    found = d.compare(x)
    wanted, got = d.reference(x, record=True), d.simulate(x, record=True, timing="event")
    alike = [
        wanted.layers[name].spikes.sum(1).reshape(12, -1).argmax(1)
        == got.layers[name].spikes.sum(1).reshape(12, -1).argmax(1)
        for name in ("if2", "if3")
    ]
    assert found.decisions["event"] == np.all(alike, axis=0).mean()
    assert 0 < found.agreement["event"] < 1


def test_silence_compares_too_and_tells_no_agreement(speck, xylo):
    images, sounds = np.zeros((1, 1, 2, 8, 8)), np.zeros((1, 1, 8))
    for found in (speck.compare(images), xylo.compare(sounds)):
        assert (found.samples, found.steps) == (1, 1)
        assert set(found.intervals.values()) == {None}
        assert found.departure is None
        assert "output counts agree: quantized cannot tell" in str(found)
        assert "%" not in str(found)


# ---- how it is shown ----


def test_it_prints_as_a_table_and_dumps_as_json(speck, images):
    found = speck.compare(images, options=SpeckOptions(permutations=1))
    lines = str(found).splitlines()
    assert lines[0].startswith("Speck 2f, 4 samples of 20 steps: spikes, and agreement")
    assert lines[1].split() == [
        *("layer", "neurons", "trained", "quantized", "chip", "event", "by", "event"),
        *("chip", "differs"),
    ]
    assert lines[2].split()[0] == "if1"
    assert max(map(len, lines)) <= 100
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["layers"][0]["spikes"]["event"] == found["if1"].spikes["event"]
    assert plain["orders"]["orders"] == 2


def test_an_unknown_layer_is_told_from_those_there_are(speck, images):
    with pytest.raises(KeyError, match="no layer 'conv'; there are if1, if2"):
        speck.compare(images)["conv"]


def test_a_bar_stands_for_each_run_of_each_layer(speck, images):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    found = speck.compare(images)
    plot_comparison(axes, found)
    heights = [bar.get_height() for bars in axes.containers for bar in bars]
    wanted = [100 * layer.agreement[run] for run in found.agreement for layer in found.layers]
    assert heights == wanted
    assert [label.get_text() for label in axes.get_xticklabels()] == ["if1", "if2"]


# ---- aligning ----


@given(st.integers(0, 6), st.integers(-8, 8))
def test_steps_that_answer_each_other_are_as_many_and_lag_apart(steps, lag):
    times = np.arange(steps)[None]
    wanted, got = aligned(times, times, lag)
    assert wanted.shape == got.shape == (1, max(0, steps - abs(lag)))
    assert ((got - wanted) == lag).all()


def test_the_chip_does_in_events_what_its_simulation_does(speck, images):
    wanted = simulate(speck.program, images, timing="event").outputs["if2"]
    np.testing.assert_array_equal(speck.simulate(images, timing="event").spikes, wanted)
