"""The ledger: every difference is in it, with the fidelity it deserves, and it can be kept."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain import DeployError, Deployment, deploy
from toolchain.chips.load import load_family
from toolchain.fidelity import accepted, exact_rewrites, rounded
from toolchain.fidelity.ledger import UNCHECKED, Change, Entry, Fidelity, Ledger, weakest
from toolchain.ir import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    Neuron,
    Output,
    SumPool2d,
)

EXACT, ON_DATA, APPROXIMATED, UNSUPPORTED = Fidelity
RNG = np.random.default_rng(0)
HELD = {"alpha_mem": 1 - 2.0**-3, "alpha_syn": np.array([1 - 2.0**-2])}


def dense(hidden=None, last=None, *, weight=None, dt=1e-3, **rest):
    """Six inputs, a hidden layer ``h`` of eight, two outputs; on Xylo as they are."""
    nodes = {"input": Input(shape=(6,))}
    weight = np.random.default_rng(1).normal(0.1, 0.5, (8, 6)) if weight is None else weight
    nodes["w1"] = Linear(weight=weight)
    nodes["h"] = Neuron(
        **{"shape": (8,), "v_threshold": 1.0, "max_spikes": 31, **HELD} | (hidden or {})
    )
    nodes["w2"] = Linear(weight=np.random.default_rng(2).normal(0.1, 0.4, (2, 8)))
    nodes["out"] = Neuron(
        **{"shape": (2,), "v_threshold": 1.0, "max_spikes": 1, **HELD} | (last or {})
    )
    return Graph.chain({**nodes, "output": Output()}, dt=dt, **rest)


def image(**neuron):
    """Two convolutions, batch norm, dropout, an average pool and a dense layer, for Speck."""
    rng = np.random.default_rng(3)
    fields = {"v_threshold": 1.0, "v_min": -1.0} | neuron
    norm = {"mean": np.zeros(4), "var": np.full(4, 0.5), "gamma": np.ones(4), "beta": np.zeros(4)}
    nodes = {
        "input": Input(shape=(2, 8, 8)),
        "conv": Conv2d(weight=rng.normal(0.1, 0.5, (4, 2, 3, 3)), padding=1),
        "bn": BatchNorm(**norm, eps=1e-5),
        "if1": Neuron(shape=(4, 8, 8), **fields),
        "drop": Identity(was="Dropout"),
        "pool": AvgPool2d(kernel=2, stride=2),
        "flat": Flatten(),
        "fc": Linear(weight=rng.normal(0.05, 0.3, (3, 64))),
        "if2": Neuron(shape=(3,), **fields),
        "output": Output(),
    }
    return Graph.chain(nodes, dt=1e-3)


def spikes(*shape, rate=0.2, seed=0):
    return np.random.default_rng(seed).poisson(rate, shape)


SPIKES = spikes(4, 50, 6)


def only(ledger, layer, what):
    (change,) = ledger[layer].of(what)
    return change


def fidelities(ledger):
    return {entry.layer: entry.fidelity for entry in ledger.entries}


# ---- the data ----


def test_a_layer_is_as_weak_as_the_weakest_of_its_changes():
    order = [EXACT, ON_DATA, APPROXIMATED, UNSUPPORTED]
    for low, high in pairwise(order):
        assert weakest([high, low, EXACT]) is high
    assert weakest([]) is EXACT
    entry = Entry(layer="a", kind="Linear", changes=(Change(what="x", fidelity=ON_DATA),))
    ledger = Ledger(chip="c", entries=(entry, Entry(layer="b", kind="Add")), provenance={})
    assert fidelities(ledger) == {"a": ON_DATA, "b": EXACT}
    assert ledger.fidelity is ON_DATA


def test_an_unknown_layer_is_told_with_those_there_are():
    ledger = Ledger(chip="c", entries=(Entry(layer="a", kind="Add"),), provenance={})
    with pytest.raises(KeyError, match="no layer 'b'; there are a"):
        ledger["b"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"before": 10.0, "after": 7.488, "unit": "ms", "error": -0.2511},
            "10 -> 7.49 ms (-25.1 %)",
        ),
        ({"error": 0.0031, "note": "rms"}, "0.31 %, rms"),
        ({"before": None, "after": 31, "allowed": "a->b"}, "none -> 31, allowed as a->b"),
        ({"before": "gt", "after": "ge"}, "gt -> ge"),
    ],
)
def test_a_change_is_told_in_one_line(change, text):
    assert str(Change(what="x", fidelity=EXACT, **change)) == f"x: {text}"


def test_as_plain_data_it_comes_back():
    ledger = deploy(image(), "speck", calibration=spikes(2, 10, 2, 8, 8)).ledger
    text = json.dumps(ledger.as_dict(), allow_nan=False)
    assert Ledger.from_dict(json.loads(text)) == ledger
    assert json.loads(text)["layers"][3]["fidelity"] == "approximated"


def spread():
    """A ledger whose neurons differ in their time constants, as plain data."""
    taus = np.exp(-1 / np.linspace(5, 12, 8))
    return deploy(dense({"alpha_mem": taus}), "xylo", quantizer="channel").ledger


def test_a_ledger_of_an_earlier_version_is_read_without_what_it_lacks():
    ledger = spread()
    data = json.loads(json.dumps(ledger.as_dict()))
    assert Ledger.from_dict(data) == ledger
    assert only(ledger, "h", "tau_mem").span
    assert only(ledger, "w1", "weights").threshold
    for layer in data["layers"]:
        for change in layer["changes"]:
            del change["span"], change["threshold"]
    assert str(Ledger.from_dict(data)) == str(ledger)


@pytest.mark.parametrize(
    "wrong",
    [
        {"span": 1.0},
        {"span": [1.0]},
        {"span": [1.0, None]},
        {"span": ["1", "2"]},
        {"threshold": "5"},
        {"threshold": 5.5},
    ],
    ids=str,
)
def test_a_damaged_figure_of_a_change_is_refused(wrong):
    data = spread().as_dict()
    data["layers"][1]["changes"][0] |= wrong
    with pytest.raises((TypeError, ValueError)):
        Ledger.from_dict(data)


def test_it_is_saved_with_the_deployment(tmp_path):
    d = deploy(dense(provenance={"framework": "x 1.0"}), "xylo", calibration=SPIKES)
    d.save(tmp_path / "net")
    assert Deployment.load(tmp_path / "net").ledger == d.ledger


# ---- a network on a chip ----


def test_there_is_an_entry_for_every_layer_in_the_networks_order():
    for graph, chip in ((dense(), "xylo"), (image(), "speck")):
        ledger = deploy(graph, chip).ledger
        assert [e.layer for e in ledger.entries] == [n for n in graph.nodes if n != "output"]
        assert all(e.kind == type(graph[e.layer]).__name__ for e in ledger.entries)


def test_it_tells_where_the_network_came_from():
    provenance = {"framework": "snntorch 1.0.0", "dialect": "snntorch", "reset": "inferred"}
    ledger = deploy(dense(provenance=provenance), "xylo").ledger
    assert dict(ledger.provenance) == {**provenance, "dt": "0.001 s"}
    assert "framework: snntorch 1.0.0\ndialect: snntorch\nreset: inferred\ndt: 0.001 s" in str(
        ledger
    )
    assert deploy(dense(dt=None), "xylo").ledger.provenance["dt"] == "none"


def test_what_is_an_identity_is_exact():
    ledger = deploy(image(), "speck").ledger
    for layer in ("bn", "drop", "pool", "flat"):
        assert ledger[layer].fidelity is EXACT, layer
        assert ledger[layer].changes
    assert only(ledger, "drop", "layer").note == "no effect at inference, was Dropout"
    assert only(ledger, "pool", "kind").after == "SumPool2d"
    fused, _ = ledger["conv"].of("weights")
    assert (fused.fidelity, fused.after) == (EXACT, pytest.approx(np.sqrt(2), rel=1e-4))
    divided, _ = ledger["fc"].of("weights")
    assert (divided.fidelity, divided.after) == (EXACT, pytest.approx(0.25))


def test_integers_that_are_a_multiple_are_exact():
    whole = dense(weight=np.random.default_rng(0).integers(-127, 128, (8, 6)) / 128)
    assert only(deploy(whole, "xylo", quantizer="channel").ledger, "w1", "weights").error != 0
    rows = np.random.default_rng(0).integers(-126, 127, (8, 6))
    rows[:, 0] = 127
    exact = dense({"v_threshold": 2.0}, weight=rows / 128)
    ledger = deploy(exact, "xylo", quantizer="channel").ledger
    assert fidelities(ledger)["w1"] is EXACT
    assert only(ledger, "h", "v_threshold").error == 0
    assert fidelities(ledger)["w2"] is APPROXIMATED


def test_rounding_is_told_with_its_size():
    d = deploy(dense(), "xylo", quantizer="channel")
    weights, new = d.graph["w1"].weight, d.quantized["w1"].weight
    scale = (weights * new).sum(1, keepdims=True) / (weights**2).sum(1, keepdims=True)
    rms = np.sqrt(((new / scale - weights) ** 2).sum() / (weights**2).sum())
    change = only(d.ledger, "w1", "weights")
    assert change.error == pytest.approx(rms)
    assert change.fidelity is APPROXIMATED
    threshold = only(d.ledger, "h", "v_threshold")
    errors = d.quantized["h"].v_threshold / scale[:, 0] - 1
    assert threshold.error == pytest.approx(errors[np.argmax(np.abs(errors))])


def test_a_time_constant_is_told_in_ms_and_in_steps_without_dt():
    for dt, unit, was in ((1e-3, "ms", 9.4912), (None, "steps", 9.4912)):
        ledger = deploy(dense({"alpha_mem": 0.9}, dt=dt), "xylo", quantizer="channel").ledger
        change = only(ledger, "h", "tau_mem")
        assert (change.unit, change.before) == (unit, pytest.approx(was, rel=1e-4))
        assert change.after == pytest.approx(7.4889, rel=1e-4)
        assert change.error == pytest.approx(change.after / change.before - 1)
    assert deploy(dense(), "xylo").ledger["h"].of("tau_mem") == ()


def test_a_float_that_folds_into_weights_is_exact():
    hidden = {"gain": 0.5, "syn_order": "decay_add"}
    ledger = deploy(dense(hidden), "xylo").ledger
    assert [only(ledger, "h", what).fidelity for what in ("gain", "syn_order")] == [EXACT, EXACT]
    assert ledger["w1"].of("weights")[0].fidelity is EXACT


# ---- conditions on data ----


def test_without_calibration_conditions_are_not_checked_and_never_exact():
    ledger = deploy(dense({"max_spikes": None}), "xylo").ledger
    for layer, what in (("input", "input spikes"), ("h", "spike cap"), ("h", "states")):
        change = only(ledger, layer, what)
        assert (change.fidelity, change.note) == (APPROXIMATED, UNCHECKED)
    assert ledger.samples is None
    assert all(entry.effect is None for entry in ledger.entries)
    timing = only(deploy(image(), "speck").ledger, "if1", "timing")
    assert (timing.fidelity, timing.note) == (APPROXIMATED, UNCHECKED)


def test_a_cap_that_was_never_met_is_exact_on_the_data():
    ledger = deploy(dense({"max_spikes": None}), "xylo", calibration=SPIKES).ledger
    change = only(ledger, "h", "spike cap")
    assert (change.fidelity, change.before, change.after) == (ON_DATA, "none", 31)
    most = max(ledger["h"].effect.trained_most, ledger["h"].effect.chip_most)
    assert change.note == f"at most {most} on the data"
    assert 1 <= most < 31
    own = only(ledger, "input", "input spikes")
    assert (own.fidelity, own.note) == (ON_DATA, f"at most {SPIKES.max()} on the data")


def test_a_cap_that_was_met_is_an_approximation():
    driven = {"max_spikes": None, "v_threshold": 0.05}
    graph = dense({"v_threshold": 0.2}, driven)
    ledger = deploy(graph, "xylo", calibration=SPIKES).ledger
    change = only(ledger, "out", "spike cap")
    assert change.fidelity is APPROXIMATED
    assert ledger["out"].effect.capped > 0
    assert f"capped {ledger['out'].effect.capped} times" in change.note
    # a layer that has the chip's own cap is no different
    capped = deploy(dense({"v_threshold": 0.2}), "xylo", calibration=SPIKES).ledger
    assert capped["out"].of("spike cap") == ()


def test_an_accepted_cap_that_was_never_met_is_exact_on_the_data():
    quiet, busy = (
        deploy(
            dense({"max_spikes": 1, "v_threshold": threshold}),
            "xylo",
            calibration=SPIKES,
            allow=["spike_cap->chip_cap"],
        ).ledger
        for threshold in (20.0, 0.3)
    )
    change = only(quiet, "h", "max_spikes")
    assert (change.fidelity, change.allowed) == (ON_DATA, "spike_cap->chip_cap")
    assert quiet["h"].effect.chip_most <= 1
    assert only(busy, "h", "max_spikes").fidelity is APPROXIMATED
    assert busy["h"].effect.chip_most > 1


def test_an_accepted_floor_that_was_never_met_is_exact_on_the_data():
    for floor, wanted in ((-40.0, ON_DATA), (-0.05, APPROXIMATED)):
        graph = dense({"v_min": floor})
        ledger = deploy(graph, "xylo", calibration=SPIKES, allow=["v_min->none"]).ledger
        change = only(ledger, "h", "v_min")
        assert change.fidelity is wanted
        assert (ledger["h"].effect.lowest >= floor) == (wanted is ON_DATA)


def test_an_accepted_comparison_without_ties_is_exact_on_the_data():
    tied = dense({"compare": "gt", "v_threshold": 20.0}, weight=np.ones((8, 6)))
    loose = dense({"compare": "gt", "v_threshold": 0.9137})
    for graph, wanted in ((loose, None), (tied, None)):
        ledger = deploy(graph, "xylo", calibration=SPIKES, allow=["gt->ge"]).ledger
        no_ties = ledger["h"].effect.ties == 0
        wanted = ON_DATA if no_ties else APPROXIMATED
        assert only(ledger, "h", "compare").fidelity is wanted


def test_saturation_is_counted_and_its_absence_told_with_its_margin():
    d = deploy(dense(), "xylo", calibration=SPIKES)
    change = only(d.ledger, "h", "states")
    record = d.simulate(SPIKES, record=True).layers["h"]
    peak = max(np.abs(a.astype(int)).max() for a in (record.v_mem, record.i_syn))
    assert d.ledger["h"].effect.peak == peak
    assert change.fidelity is ON_DATA
    assert f"{100 * peak / 32767:.2g} % of the range" in change.note
    loud = spikes(4, 50, 6, rate=12).clip(0, 15)
    full = deploy(dense({"v_threshold": 300.0}, weight=np.ones((8, 6))), "xylo", calibration=SPIKES)
    clamped = full.trace(loud).effects["h"].saturations
    assert clamped == full.simulate(loud, record=True).saturations["h"]


def test_events_one_by_one_are_exact_on_data_only_where_counts_agree():
    single = spikes(4, 30, 2, 8, 8, rate=0.002)
    rare = deploy(image(), "speck", calibration=single).ledger
    dense_ = deploy(image(), "speck", calibration=spikes(4, 30, 2, 8, 8, rate=0.3)).ledger
    for ledger in (rare, dense_):
        for layer in ("if1", "if2"):
            change, effect = only(ledger, layer, "timing"), ledger[layer].effect
            assert change.fidelity is (ON_DATA if effect.one_by_one == 1 else APPROXIMATED)
    assert dense_["if1"].effect.one_by_one < 1


# ---- measured effects ----


def test_effects_are_measured_against_the_network_as_it_came_with_the_lag_undone():
    graph = dense({"reset": "value"})
    d = deploy(graph, "xylo", calibration=SPIKES, allow=["reset_to_zero->subtract"])
    wanted, got = d.reference(SPIKES, record=True), d.simulate(SPIKES, record=True)
    for layer, lag in (("h", 0), ("out", 1)):
        n = wanted.layers[layer].spikes[:, : 50 - lag].sum(axis=1)
        m = got.layers[layer].spikes[:, lag:].sum(axis=1)
        effect = d.ledger[layer].effect
        assert (effect.trained, effect.chip) == (n.sum(), m.sum())
        assert effect.agreement == pytest.approx(1 - np.abs(n - m).sum() / np.maximum(n, m).sum())
        assert effect.trained_most == wanted.layers[layer].spikes.max()
    assert (only(d.ledger, "out", "lag").after, d.ledger["h"].of("lag")) == (1, ())
    assert (d.ledger.samples, d.ledger.steps) == (4, 50)


def test_samples_are_traced_a_few_at_a_time_to_the_same_effect(monkeypatch):
    d = deploy(dense(), "xylo", calibration=SPIKES)
    monkeypatch.setattr("toolchain.fidelity.effects.MOST", 1)
    again = d.trace(SPIKES)
    assert dict(again.effects) == {e.layer: e.effect for e in d.ledger.entries if e.effect}
    np.testing.assert_array_equal(again.chip.spikes, d.simulate(SPIKES).spikes)


@pytest.mark.parametrize("shape", [(0, 20, 6), (2, 0, 6)])
def test_calibration_without_a_sample_or_step_would_measure_nothing(shape):
    with pytest.raises(ValueError, match="which has no timestep: give at least one sample"):
        deploy(dense(), "xylo", calibration=np.zeros(shape, int))


# ---- refusals ----


def test_a_refused_network_has_a_ledger_with_what_is_unsupported():
    graph = dense({"reset": "none", "v_min": -1.0})
    with pytest.raises(DeployError) as refused:
        deploy(graph, "xylo")
    ledger = refused.value.ledger
    assert fidelities(ledger)["h"] is UNSUPPORTED
    assert fidelities(ledger)["out"] is not UNSUPPORTED
    told = [c for c in ledger["h"].changes if c.fidelity is UNSUPPORTED]
    assert [c.what for c in told] == ["reset", "potentials"]
    assert told[0].note == "resets by 'none'; xylo_a2 supports 'subtract' only"
    assert Ledger.from_dict(ledger.as_dict()) == ledger


def test_what_cannot_be_lowered_has_one_too():
    with pytest.raises(DeployError) as refused:
        deploy(image(), "xylo")
    assert refused.value.ledger.fidelity is UNSUPPORTED
    assert {"if1", "conv"} <= {e.layer for e in refused.value.ledger.entries}


def test_a_fault_of_the_whole_has_an_entry_of_its_own():
    rng = np.random.default_rng(0)
    nodes = {"input": Input(shape=(16,)), "w": Linear(weight=rng.normal(size=(900, 16)))}
    lif = {"v_threshold": 1.0, "max_spikes": 31, **HELD}
    nodes |= {"a": Neuron(shape=(900,), **lif), "v": Linear(weight=rng.normal(size=(200, 900)))}
    nodes |= {"b": Neuron(shape=(200,), **lif), "u": Linear(weight=rng.normal(size=(2, 200)))}
    nodes["out"] = Neuron(shape=(2,), **lif | {"max_spikes": 1})
    with pytest.raises(DeployError) as refused:
        deploy(Graph.chain({**nodes, "output": Output()}, dt=1e-3), "xylo", quantizer="channel")
    where = {f.where for f in refused.value.diagnostics}
    assert where <= {e.layer for e in refused.value.ledger.entries}
    assert all(refused.value.ledger[w].fidelity is UNSUPPORTED for w in where)
    kinds = {e.layer: e.kind for e in refused.value.ledger.entries}
    assert kinds.get("network", "network") == "network"


# ---- differences between two graphs ----


def test_delays_are_entered_where_they_end():
    nodes = dict(dense().nodes)
    edges = [Edge("input", "w1"), Edge("w1", "h"), Edge("h", "w2"), Edge("w2", "out", 2)]
    graph = Graph(nodes, [*edges, Edge("out", "output")])
    after = Graph(nodes, [*edges[:3], Edge("w2", "out", 1), Edge("out", "output")])
    (change,) = accepted(graph, after, "delays->hops")["out"]
    assert (change.before, change.after, change.unit) == (2, 1, "timesteps")
    assert (change.fidelity, change.allowed) == (APPROXIMATED, "delays->hops")


FIELDS = [f for f in Neuron.ARRAYS if f != "alpha_syn"]


@pytest.mark.parametrize("field", FIELDS)
def test_any_number_of_a_neuron_that_differs_is_found(field):
    base = dense({"v_min": -1.0, "reset_amount": 1.0})
    node = base["h"]
    other = base.replace(
        {"h": replace(node, **{field: np.asarray(0.7 * getattr(node, field) + 0.1)})}
    )
    for found in (exact_rewrites(base, other), accepted(base, other, "x"), rounded(base, other)):
        aspects = {change.what for change in found["h"]}
        wanted = {field, field.replace("alpha", "tau")}
        assert aspects & wanted, field


@pytest.mark.parametrize(
    "changes",
    [{"compare": "gt"}, {"reset": "none"}, {"max_spikes": 2}, {"reset_when": "next_erase_all"}],
    ids=str,
)
def test_any_option_of_a_neuron_that_differs_is_found(changes):
    base = dense()
    other = base.replace({"h": replace(base["h"], **changes)})
    for found in (exact_rewrites(base, other), accepted(base, other, "x"), rounded(base, other)):
        assert {change.what for change in found["h"]} >= set(changes)


def test_weights_that_are_written_out_are_exact():
    conv = Conv2d(weight=np.ones((1, 1, 2, 2)))
    nodes = {"input": Input(shape=(1, 3, 3)), "w": conv, "flat": Flatten(), "output": Output()}
    before = Graph.chain(nodes)
    nodes = {"input": Input(shape=(1, 3, 3)), "flat": Flatten(), "w": Linear(weight=np.eye(4, 9))}
    found = exact_rewrites(before, Graph.chain({**nodes, "output": Output()}))["w"]
    assert [(c.what, c.before, c.after) for c in found] == [
        ("dense", "Conv2d", "Linear"),
        ("weights", 4, 36),
    ]
    assert {change.fidelity for change in found} == {EXACT}


def test_a_network_that_stays_as_it_is_differs_in_nothing():
    base = dense()
    assert exact_rewrites(base, base) == {}
    assert accepted(base, base, "x") == {}
    found = [change for changes in rounded(base, base).values() for change in changes]
    assert {change.fidelity for change in found} == {EXACT}


# ---- nothing is allowed by accident ----

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "compare": st.just("gt"),
        "reset": st.sampled_from(["value", "additive", "none"]),
        "reset_when": st.sampled_from(["next_undecayed", "next_erase_all"]),
        "v_reset": st.sampled_from([0.0, 0.125]),
        "reset_amount": st.sampled_from([0.5, 1.0]),
        "max_spikes": st.sampled_from([None, 1, 5, 31, 40]),
        "v_min": st.sampled_from([None, -1.0, -0.25]),
        "v_init": st.sampled_from([0.0, 0.25]),
        "v_leak": st.sampled_from([0.0, 0.25]),
        "bias": st.sampled_from([0.0, 0.0625]),
        "gain": st.sampled_from([1.0, 0.5]),
        "spike_scale": st.sampled_from([1.0, 2.0]),
        "alpha_mem": st.sampled_from([1.0, 0.9, 0.875]),
        "alpha_syn": st.sampled_from([None, (0.75,), (0.6,), (1.0,)]),
        "syn_order": st.just("decay_add"),
    },
)
CHIP_HAS = {
    "xylo": {
        "compare": "ge",
        "reset": "subtract",
        "reset_when": "same",
        "max_spikes": 31,
        "v_min": None,
        "v_init": 0.0,
        "v_leak": 0.0,
        "spike_scale": 1.0,
        "gain": 1.0,
        "syn_order": "add_decay",
    },
    "speck": {
        "compare": "ge",
        "reset_when": "same",
        "max_spikes": None,
        "v_leak": 0.0,
        "bias": 0.0,
        "spike_scale": 1.0,
        "gain": 1.0,
        "alpha_mem": 1.0,
        "alpha_syn": None,
    },
}
"""What a neuron of each family is, whatever was trained; what is not here can be set."""
REWRITTEN = {"gain", "syn_order", "v_leak", "v_init", "v_reset", "v_threshold", "reset_when"}
REWRITTEN |= {"spike_scale"}
"""What can be written otherwise exactly; the tests of the passes say when."""
ASPECTS = {"max_spikes": "spike cap", "alpha_mem": "tau_mem", "alpha_syn": "alpha_syn"}


def value(node, field):
    found = getattr(node, field)
    return found.item() if isinstance(found, np.ndarray) and found.size == 1 else found


def ledger_of(graph, family, allow):
    """That of the deployment, or of its refusal."""
    try:
        return deploy(graph, family, allow=allow, quantizer=FAST[family]).ledger
    except DeployError as refused:
        return refused.ledger


FAST = {"xylo": "channel", "speck": "common"}


@pytest.mark.parametrize("family", ["xylo", "speck"])
@settings(max_examples=150, deadline=None)
@given(options=OPTIONS, data=st.data())
def test_a_network_is_refused_or_every_difference_is_entered(family, options, data):
    names = load_family(family).APPROXIMATIONS
    allow = data.draw(st.sets(st.sampled_from(names)) | st.just(set(names)))
    if options.get("alpha_syn") is None and "syn_order" in options:
        options = {key: options[key] for key in options if key != "syn_order"}
    graph = dense(
        {**options, **({} if family == "xylo" else {"alpha_syn": options.get("alpha_syn")})}
    )
    if family == "speck":
        plain = {"alpha_mem": 1.0, "alpha_syn": None, "max_spikes": None}
        graph = dense(plain | options, plain)
    found = ledger_of(graph, family, allow)
    if found.fidelity is UNSUPPORTED:
        return
    node, entry = graph["h"], found["h"]
    for field, own in CHIP_HAS[family].items():
        if value(node, field) == own:
            continue
        changes = [*entry.of(field), *entry.of(ASPECTS.get(field, field))]
        assert changes, field
        weak = weakest(change.fidelity for change in changes)
        assert weak is APPROXIMATED or field in REWRITTEN, field
    assert {c.allowed for c in entry.changes} - {""} <= allow


# ---- nothing is claimed that does not hold ----

BY_EVENTS = {"event_order", "single_spike", "timing"}
"""What only events one by one do; the runs below are clocked."""


def random_weights(rng, *shape):
    """Multiples of 1/64 that the chip's 8 bit hold; now and then others."""
    if rng.random() < 0.2:
        return rng.normal(0.1, 0.7, shape)
    whole = rng.integers(-30, 90, shape)
    whole.flat[0] = 127
    return whole / 64


def random_neurons(rng, *shape):
    fields = {
        "v_threshold": rng.choice([1.0, 2.0, 4.0]),
        "v_min": rng.choice([None, -1.0, -8.0, 0.0]),
        "max_spikes": rng.choice([None, None, None, 1, 3]),
        "reset": str(rng.choice(["subtract", "subtract", "value"])),
        "compare": str(rng.choice(["ge", "ge", "ge", "gt"])),
    }
    return Neuron(shape=shape, **fields)


def random_image(rng):
    """A convolution, perhaps a pool, and a dense layer, for Speck."""
    pool = rng.choice([None, AvgPool2d, SumPool2d])
    nodes = {
        "input": Input(shape=(2, 4, 4)),
        "conv": Conv2d(weight=random_weights(rng, 2, 2, 3, 3), padding=1),
        "if1": random_neurons(rng, 2, 4, 4),
        **({} if pool is None else {"pool": pool(kernel=2, stride=2)}),
        "flat": Flatten(),
        "fc": Linear(weight=random_weights(rng, 3, 32 if pool is None else 8)),
        "if2": random_neurons(rng, 3),
        "output": Output(),
    }
    return Graph.chain(nodes, dt=1e-3)


def first_approximated(ledger, names):
    """Of which layers on something is approximated that a clocked run shows."""
    conditions = (
        any(c.fidelity is APPROXIMATED and c.what not in BY_EVENTS for c in ledger[name].changes)
        for name in names
    )
    return next((n for n, found in enumerate(conditions) if found), len(names))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_layer_differs_before_one_that_is_told_to(seed):
    rng = np.random.default_rng(seed)
    graph = random_image(rng)
    x = rng.poisson(rng.choice([0.02, 0.2]), (2, 12, 2, 4, 4))
    names = load_family("speck").APPROXIMATIONS
    try:
        d = deploy(graph, "speck", calibration=x, allow=names)
    except DeployError:
        return  # refused, which claims nothing
    wanted, got = d.reference(x, record=True), d.simulate(x, record=True)
    layers = [name for name in graph.nodes if name != "output"]
    for name in layers[: first_approximated(d.ledger, layers)]:
        if name in wanted.layers:
            one, other = (run.layers[name].spikes.reshape(2, 12, -1) for run in (wanted, got))
            np.testing.assert_array_equal(one, other, err_msg=name)
