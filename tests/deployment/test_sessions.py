"""Sessions: pieces equal the whole, states continue, records by name, events in packets."""

import copy
import json
import multiprocessing
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from tests.chips.speck.graphs import conv, iaf
from tests.chips.xylo.programs import as_program
from tests.oracles.speck_networks import random_case, random_event_case
from tests.oracles.xylo_networks import random_network, random_raster
from toolchain import deploy
from toolchain.chips.contract import SessionSettings
from toolchain.chips.speck import EventOptions
from toolchain.chips.speck import simulate as simulate_speck
from toolchain.chips.speck.recording import SpeckSession
from toolchain.chips.speck.simulate import prepared
from toolchain.chips.xylo import simulate as simulate_xylo
from toolchain.chips.xylo.recording import XyloSession
from toolchain.diagnostics import ArtifactError
from toolchain.ir import Graph, Input, Linear, Neuron, Output
from toolchain.runs import ChipState, SparseSpikes

EVENT = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")]
pytestmark = pytest.mark.filterwarnings("ignore::toolchain.DeployWarning")


@pytest.fixture(scope="module")
def xylo():
    rng = np.random.default_rng(0)
    lif = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    nodes = {
        "input": Input(shape=(6,)),
        "fc1": Linear(weight=rng.normal(0.3, 0.5, (10, 6))),
        "lif1": Neuron(shape=(10,), **lif),
        "fc2": Linear(weight=rng.normal(0.3, 0.5, (3, 10))),
        "lif2": Neuron(shape=(3,), **lif),
    }
    return deploy(Graph.chain({**nodes, "output": Output()}, dt=1e-3), "xylo_a2")


@pytest.fixture(scope="module")
def speck():
    rng = np.random.default_rng(0)
    nodes = {"input": Input(shape=(2, 8, 8)), "conv1": conv(4, 2, 3, rng), "spk1": iaf((4, 6, 6))}
    nodes |= {"conv2": conv(2, 4, 3, rng), "spk2": iaf((2, 4, 4))}
    return deploy(Graph.chain({**nodes, "output": Output()}, dt=1e-3), "speck2f")


def random_events(seed, size, end):
    rng = np.random.default_rng(seed)
    events = np.zeros(size, EVENT)
    for name, most in (("x", 8), ("y", 8), ("p", 2)):
        events[name] = rng.integers(0, most, size)
    events["t"] = np.sort(rng.integers(0, end, size))
    return events


def spikes_for(d, steps=20, batch=1):
    shape = d.graph.shape(d.graph.input)
    return (np.random.default_rng(1).random((batch, steps, *shape)) < 0.2).astype(np.uint8)


def joined(runs):
    return np.concatenate([run.spikes for run in runs], axis=1)


# -- pieces of random programs ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_pieces_of_a_speck_program_equal_the_whole(seed):
    """Bias, sensor-like maps, several outputs, saturation and options of event timing."""
    program, streams, steps, choices = random_event_case(seed)
    options = EventOptions(**choices)
    whole = simulate_speck(
        program, streams, steps=steps, timing="event", record=True, options=options
    )
    settings = SessionSettings(
        batch=len(streams), timing="event", record=True, options=options, threads=1
    )
    session = SpeckSession(program, settings)
    runs = []
    for step in range(steps):
        parts = [s[s["t"] // 1000 == step] for s in streams]
        runs.append(session.run(parts, 1))
    for name, layer in whole.layers.items():
        for kind in ("spikes", "v_mem"):
            got = np.concatenate([getattr(run.layers[name], kind) for run in runs], axis=1)
            np.testing.assert_array_equal(got, getattr(layer, kind), err_msg=f"{name}.{kind}")
        assert sum(run.saturations[name] for run in runs) == whole.saturations[name]
    for name, state in session.state().items():
        np.testing.assert_array_equal(state, whole.state[name])
    times = np.concatenate([run.times.t for run in runs])
    wanted = np.concatenate([e["t"] for parts in whole.events.values() for e in parts])
    assert sorted(times.tolist()) == sorted(wanted.tolist())


@pytest.mark.parametrize("seed", range(4))
def test_parts_that_overflow_16_bits_go_on_in_more(seed, monkeypatch):
    program, raster = random_case(seed, steps=8)
    raster = raster.astype(int) * 400
    wanted = simulate_speck(program, raster, record=True)
    monkeypatch.setattr(prepared, "MOST_STEPS", 3)
    monkeypatch.setattr(prepared, "_tables", type(prepared._tables)())
    found = simulate_speck(program, raster, record=True)
    assert found.saturations == wanted.saturations
    for name, layer in wanted.layers.items():
        np.testing.assert_array_equal(found.layers[name].spikes, layer.spikes)
        np.testing.assert_array_equal(found.layers[name].v_mem, layer.v_mem)
        np.testing.assert_array_equal(found.synops[name], wanted.synops[name])
    np.testing.assert_array_equal(found.input_counts, wanted.input_counts)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("core", ["v1", "v2"])
def test_pieces_of_a_xylo_program_equal_the_whole(seed, core):
    """Aliases, two synapses, spikes on their way and sleep."""
    rng = np.random.default_rng(seed)
    net = random_network(rng, core)
    program = as_program(net, core)
    raster = np.stack([random_raster(rng, net, 15) for _ in range(2)])
    whole = simulate_xylo(program, raster, record=True)
    record = {p.name: ("spikes", "v_mem", "i_syn") for p in program.populations}
    sessions = [
        XyloSession(program, SessionSettings(batch=2, record=r)) for r in (True, record, False)
    ]
    cuts = [0, *sorted(rng.integers(0, 16, 3)), 15]
    runs = [[s.run(raster[:, a:b]) for a, b in pairwise(cuts)] for s in sessions]
    for parts, session in zip(runs, sessions, strict=True):
        np.testing.assert_array_equal(joined(parts), whole.spikes)
        for name, array in session.state().items():
            np.testing.assert_array_equal(array, getattr(whole.state, name), err_msg=name)
    for p in program.populations:
        for kind in ("spikes", "v_mem", "i_syn"):
            full = np.concatenate([getattr(r.layers[p.name], kind) for r in runs[0]], axis=1)
            named = np.concatenate([np.asarray(r.recorded[p.name][kind]) for r in runs[1]], axis=1)
            np.testing.assert_array_equal(named, full)
    assert sum(r.saturations["hidden"] for r in runs[1]) == whole.saturations["hidden"]


# -- sessions of a deployment -------------------------------------------------------------------


def test_a_wrong_piece_changes_nothing(speck):
    session = speck.session()
    session.run(spikes_for(speck, 5))
    before = session.state
    late = np.array([(0, 0, 4999, 0)], EVENT)
    for wrong, message in (
        (spikes_for(speck, 3, batch=2), "1 sample, the batch of this session, got 2"),
        (np.full((1, 3, 2, 8, 8), 40_000), "40000"),
        (np.full((1, 3, 2, 8, 8), 0.5), "0.5"),
        (np.zeros((1, 3, 2, 8, 9), int), r"\(batch, time, 2, 8, 8\)"),
        (late, "t = 4999 µs, before t = 5000 µs"),
        ([late, late], "1 sample, the batch of this session, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            session.run(wrong)
    with pytest.raises(ValueError, match="steps requires event arrays"):
        session.run(spikes_for(speck, 3), steps=3)
    with pytest.raises(ValueError, match="after the end of 6 steps"):
        session.run(np.array([(0, 0, 6000, 0)], EVENT), steps=1)
    assert session.state == before
    assert session.run(np.zeros(0, EVENT)).spikes.shape[1] == 0
    assert session.steps == 5


def test_a_network_that_diverges_in_a_piece_changes_nothing(speck):
    session = speck.session(timing="event", options=EventOptions(most_spikes=60))
    session.run(random_events(0, 5, 1000))
    before = session.state
    with pytest.raises(ValueError, match="more than 60 times"):
        session.run(np.full((1, 3, 2, 8, 8), 9))
    assert session.state == before


@pytest.mark.parametrize("timing", ["clocked", "event"])
def test_events_cut_anywhere_are_streamed_in_whole_steps(speck, timing):
    events = random_events(3, 400, 30_000)
    whole = speck.simulate(events, timing=timing)
    session = speck.session(timing=timing)
    cuts = np.sort(np.random.default_rng(4).integers(0, 401, 12))
    runs = [*session.stream(np.split(events, cuts))]
    assert whole.spikes.any()
    np.testing.assert_array_equal(joined(runs), whole.spikes)
    assert session.state == whole.state
    times = [run.events().t for run in runs]
    np.testing.assert_array_equal(np.concatenate(times), whole.events().t)
    session.reset()
    counts = spikes_for(speck, 6)
    runs = [*session.stream([counts[:, :2], counts[:, 2:]])]
    np.testing.assert_array_equal(joined(runs), speck.simulate(counts, timing=timing).spikes)


@pytest.mark.parametrize("name", ["xylo", "speck"])
def test_two_sessions_threads_and_copies_do_not_meet(name, request):
    d = request.getfixturevalue(name)
    spikes = spikes_for(d, 30)
    whole = d.simulate(spikes)
    one, two = d.session(), d.session()
    runs = [(one.run(spikes[:, t : t + 5]), two.run(spikes[:, t : t + 5])) for t in range(0, 30, 5)]
    for parts in zip(*runs, strict=True):
        np.testing.assert_array_equal(joined(parts), whole.spikes)
    again = pickle.loads(pickle.dumps(one))
    assert again.state == one.state == copy.deepcopy(two).state == whole.state
    np.testing.assert_array_equal(again.run(spikes).spikes, two.run(spikes).spikes)
    shared, silent = d.session(), np.zeros_like(spikes[:, :1])
    with ThreadPoolExecutor(4) as pool:
        firsts = [run.first for run in pool.map(lambda _: shared.run(silent), range(40))]
    assert sorted(firsts) == list(range(40))
    assert shared.steps == 40


def test_a_state_of_something_else_is_refused_by_name(xylo, speck):
    spikes = spikes_for(speck)
    state = speck.simulate(spikes).state
    with pytest.raises(ValueError, match="of chip xylo_a2, this is chip speck2f"):
        speck.simulate(spikes, state=xylo.simulate(spikes_for(xylo)).state)
    with pytest.raises(ValueError, match="of timing clocked, this is timing event"):
        speck.simulate(spikes, state=state, timing="event")
    with pytest.raises(ValueError, match="the state has 1 sample, need 2"):
        speck.simulate(spikes_for(speck, batch=2), state=state)
    with pytest.raises(ValueError, match="must be a ChipState, got dict"):
        speck.simulate(spikes, state={})
    other = ChipState(**{**state.metadata(), "program": "0"}, arrays=state.arrays)
    with pytest.raises(ValueError, match="of program 0, this is program"):
        speck.simulate(spikes, state=other)
    for steps in (-3, 2.5):
        wrong = ChipState(**{**state.metadata(), "steps": steps}, arrays=state.arrays)
        with pytest.raises(ValueError, match=f"the state has {steps} steps, need an integer"):
            speck.simulate(spikes, state=wrong)
    for arrays in ({}, {**state.arrays, "more": np.zeros(1)}, {"spk1": state.arrays["spk1"]}):
        wrong = ChipState(**state.metadata(), arrays=arrays)
        with pytest.raises(ValueError, match=r"a state has|has 0 samples"):
            speck.session().restore(wrong)
    assert other != state
    assert json.dumps(state.as_dict())


def test_the_recording_of_names_is_that_of_everything(xylo, speck):
    for d, kinds in ((xylo, ("spikes", "v_mem", "i_syn")), (speck, ("spikes", "v_mem"))):
        spikes = spikes_for(d, 40, batch=2)
        whole = d.simulate(spikes, record=True)
        layer = next(iter(d.placement))
        weights = d.graph.before(layer)
        found = d.simulate(spikes, record={weights: kinds, layer: "spikes"})
        assert not found.layers
        np.testing.assert_array_equal(found.spikes, whole.spikes)
        for kind in kinds:
            wanted = getattr(whole.layers[layer], kind)
            np.testing.assert_array_equal(np.asarray(found.recorded[weights][kind]), wanted)
        assert found.saturations == whole.saturations
        assert str(found)
        assert json.dumps(found.as_dict())
        with pytest.raises(ValueError, match="names layer 'nothing'; the layers are"):
            d.simulate(spikes, record={"nothing": ("spikes",)})
        with pytest.raises(ValueError, match="names 'nothing'; a layer has spikes, v_mem"):
            d.simulate(spikes, record={layer: ("nothing",)})
        for wrong, message in (
            (3, "record must be True, False, or names"),
            (np.array([1, 2]), "record must be True, False, or names"),
            ({layer: None}, f"record of {layer!r} must be names such as 'spikes', got None"),
            ({layer: [["spikes"]]}, "must be names such as 'spikes'"),
            # not the spikes of the layers behind them
            ({"input": "spikes"}, "names layer 'input'; the layers are"),
            ({"output": "spikes"}, "names layer 'output'; the layers are"),
        ):
            with pytest.raises(ValueError, match=message):
                d.simulate(spikes, record=wrong)
    with pytest.raises(ValueError, match="'i_syn_2', but it has one synapse"):
        xylo.simulate(spikes_for(xylo), record={"lif1": ("i_syn_2",)})


def test_quiet_spikes_are_listed_and_busy_ones_an_array(speck):
    quiet = np.zeros((1, 500, 2, 8, 8), np.uint8)
    quiet[0, [3, 400]] = 5
    listed = speck.simulate(quiet, record={"spk1": "spikes"}).recorded["spk1"]["spikes"]
    assert isinstance(listed, SparseSpikes)
    dense = speck.simulate(quiet, record=True).layers["spk1"].spikes
    np.testing.assert_array_equal(listed.dense(), dense)
    assert listed.nbytes < dense.nbytes / 20
    assert listed.sum() == dense.sum()
    busy = speck.simulate(quiet[:, 3:4], record={"spk1": "spikes"}).recorded["spk1"]["spikes"]
    assert isinstance(busy, np.ndarray)


def test_spikes_one_by_one_are_those_of_the_rasters(speck):
    events = random_events(5, 60, 8000)
    for timing in ("clocked", "event"):
        run = speck.simulate(events, record={"conv1": "spikes"}, timing=timing, steps=10)
        assert run.spikes.shape[1] == 10
        found = run.events()
        assert json.dumps(found.as_dict())
        assert "conv1" in str(found)
        layers = {"conv1": np.asarray(run.recorded["conv1"]["spikes"]).reshape(1, 10, -1)}
        layers |= {"spk2": run.spikes} if timing == "event" else {}
        assert set(found.layers) == set(layers)
        for name, dense in layers.items():
            own = found.of_layer(name)
            again = np.zeros_like(dense)
            # in event timing a spike of a tick carries the end of its step
            np.add.at(again, (own.sample, own.t // 1000, own.neuron), 1)
            np.testing.assert_array_equal(again, dense)
    with pytest.raises(ValueError, match="no spikes of 'spk9' were kept"):
        found.of_layer("spk9")


def test_recordings_without_events_and_of_any_length(speck):
    events, silent = random_events(6, 30, 4000), np.zeros(0, EVENT)
    both = speck.simulate([events, silent])
    np.testing.assert_array_equal(both.spikes[:1], speck.simulate(events).spikes)
    assert not speck.simulate(silent, steps=7).spikes.any()
    with pytest.raises(ValueError, match="have no events: give steps"):
        speck.simulate(silent)
    late = np.array([(1, 1, 0, 0), (1, 1, 1_000_000_000, 0)], EVENT)
    run = speck.simulate(late, record={"spk1": "spikes"})
    assert run.spikes.shape[1] == 1_000_001
    state = speck.simulate(events).state
    rest = np.array([(1, 1, 1_000 * state.steps, 0)], EVENT)
    assert speck.simulate(rest, state=state).first == state.steps == 4


def test_a_session_describes_itself(xylo):
    session = xylo.session(record={"lif1": ("spikes",)})
    session.run(spikes_for(xylo, 5))
    assert repr(session) == "Session(chip='xylo_a2', timing='clocked', batch=1, steps=5)"
    assert "5 steps of 1 ms" in str(session)
    assert json.dumps(session.as_dict())
    assert session.time == pytest.approx(0.005)
    for wrong, message in (
        ({"batch": -1}, "batch must be an integer >= 0"),
        ({"timing": "event"}, "timing for xylo_a2 must be clocked"),
        ({"options": EventOptions()}, "has no options"),
        ({"threads": 0}, "threads must be"),
        ({"threads": 1.5}, "threads must be an integer >= 1, or None, got 1.5"),
        ({"threads": True}, "threads must be"),
    ):
        with pytest.raises(ValueError, match=message):
            xylo.session(**wrong)


def test_a_thread_that_waits_finds_the_session_whole(speck):
    session, spikes = speck.session(), spikes_for(speck, 4)
    runs = []
    threads = [threading.Thread(target=lambda: runs.append(session.run(spikes))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs.sort(key=lambda run: run.first)
    whole = speck.simulate(np.concatenate([spikes] * 3, axis=1))
    np.testing.assert_array_equal(joined(runs), whole.spikes)


def test_a_forked_process_continues_while_a_thread_of_its_parent_is_in_a_call(speck):
    session = speck.session()
    before = session.state

    def pieces():
        while not done.is_set():
            yield spikes_for(speck, 200)

    def child(pipe):
        pipe.send((session.state.steps, session.run(spikes_for(speck, 3)).first))

    done, context = threading.Event(), multiprocessing.get_context("fork")
    thread = threading.Thread(target=lambda: [*session.stream(pieces())])
    thread.start()
    try:
        for _ in range(4):
            ours, theirs = context.Pipe()
            process = context.Process(target=child, args=(theirs,))
            process.start()
            answered = ours.poll(5)
            process.kill()
            process.join()
            assert answered
            steps, first = ours.recv()
            assert steps == first
            assert steps % 200 == before.steps
    finally:
        done.set()
        thread.join()


def test_a_piece_that_is_no_event_array_is_refused_by_run_and_stream_alike(speck):
    events = random_events(1, 6, 3000)
    late = events.astype([("x", "i2"), ("y", "i2"), ("t", "f8"), ("p", "i1")])
    late["t"][-1] = np.inf
    for wrong, message in (
        (events.reshape(2, 3), "must be one-dimensional"),
        (late, "t = inf"),
        (events.astype([*EVENT[:2], ("t", "m8[us]"), EVENT[3]]), "must hold whole numbers"),
        (events[["x", "y", "p"]], "with the fields x, y, t, p"),
        ([events, None], "1 sample, the batch of this session, got 2"),
        (np.ma.array(events, mask=[(0, 0, 1, 0)] * 6), "has masked events"),
    ):
        session = speck.session()
        with pytest.raises(ValueError, match=message):
            session.run(wrong)
        with pytest.raises(ValueError, match=message):
            list(session.stream([wrong]))
        assert session.steps == 0
    steps = events["t"][-1] // 1000 + 1
    assert speck.simulate(events, steps=steps).spikes.shape[1] == steps


def test_a_state_and_a_deployment_do_not_replace_each_other(xylo, tmp_path):
    session = xylo.session()
    for first, second in ((xylo, session), (session, xylo)):
        folder = tmp_path / type(first).__name__
        for _ in range(2):
            first.save(folder)
        with pytest.raises(ArtifactError, match="is not replaced, nothing was written"):
            second.save(folder)
    xylo.load(tmp_path / "Deployment")
    session.load(tmp_path / "Session")
