"""What a user may accept: what each rewrite changes, says, and leaves alone."""

import numpy as np
import pytest

from tests.chips.xylo import contract
from tests.chips.xylo.graphs import (
    in_network_order,
    integers,
    layered,
    lif,
    readout,
    residual,
    sequence,
    wired,
)
from toolchain import DeployError, deploy
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.approximations import APPROXIMATIONS, approximate
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.rules import graph_hints
from toolchain.chips.xylo.rules.graph import check_graph
from toolchain.chips.xylo.simulate.twin import simulate_slow
from toolchain.diagnostics import Severity
from toolchain.ir import Edge, Graph, Linear
from toolchain.runs.interpret import interpret

A2, IMU, A3 = map(load_chip, ("xylo_a2", "xylo_imu", "xylo_a3"))
SQUARE = np.eye(2)


def changed(graph, name, chip=A2):
    """The graph after one approximation, and what it says."""
    after, found = approximate(graph, chip, (name,))
    assert {f.rule for f in found} <= {name}
    assert {f.severity for f in found} <= {Severity.WARNING}
    return after, [f"{f.where}: {f.message}" for f in found]


def one(**neuron):
    """Two inputs, a hidden layer ``h`` of two with ``neuron``, two outputs."""
    layers = {"h": lif(2, **neuron), "out": readout(2)}
    rows = 2 * max(1, layers["h"].synapses)
    return wired(2, layers, [("input", "h", np.ones((rows, 2))), ("h", "out", SQUARE)])


def errors(graph, chip=A2):
    return [f for f in check_graph(graph, chip) if f.severity is Severity.ERROR]


# ---- by name ----


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError, match=r"unknown approximation skip for Xylo; available: gt->ge, delaye"
    ):
        deploy(one(), chip="xylo", allow=("skip",))


@pytest.mark.parametrize("name", APPROXIMATIONS)
def test_nothing_changes_where_there_is_nothing_to_change(name):
    for graph in (one(), sequence(4, 5, 6, 2)):
        after, messages = changed(graph, name)
        assert (str(after), messages) == (str(graph), [])


def test_only_what_is_named_is_changed():
    graph = one(compare="gt", alpha_mem=1.0)
    after, _ = changed(graph, "gt->ge")
    assert [f.rule for f in errors(after)] == ["time_constants"]
    assert errors(approximate(graph, A2, ("gt->ge", "no_leak->slowest_leak"))[0]) == []


def test_every_remedy_of_a_rule_is_an_approximation():
    assert {name for names in graph_hints.APPROXIMATIONS.values() for name in names} == set(
        APPROXIMATIONS
    )


# ---- comparison and leak ----


def test_a_neuron_that_fires_above_fires_at_its_threshold():
    after, messages = changed(one(compare="gt"), "gt->ge")
    assert after["h"].compare == "ge"
    assert messages == [
        "h: spikes when v_mem > v_threshold, on xylo_a2 when v_mem >= v_threshold; this adds a "
        "spike wherever both are equal"
    ]


def test_the_comparison_matters_only_at_the_threshold():
    graph = one(compare="gt", alpha_mem=0.5, alpha_syn=[0.5], v_threshold=[0.5, 0.6])
    after, _ = changed(graph, "gt->ge")
    spikes = np.zeros((1, 4, 2))
    spikes[0, 0, 0] = 1
    before, then = (interpret(g, spikes, record=True).layers["h"].spikes for g in (graph, after))
    assert (before.sum(), then.sum()) == (0, 1)


@pytest.mark.parametrize("alpha", [1.0, 1 - 2.0**-16])
def test_a_membrane_that_leaks_too_little_gets_the_slowest_leak(alpha):
    after, messages = changed(one(alpha_mem=[0.875, alpha]), "no_leak->slowest_leak")
    np.testing.assert_array_equal(after["h"].alpha_mem, [0.875, 1 - 2.0**-15])
    assert errors(after) == []
    was = "infinite" if alpha == 1 else "65.5 s"
    assert messages == [
        f"h: tau_mem {was} becomes 32.8 s in 1 of 2 neurons, dash 15; in integers xylo_a2 also "
        "reduces every state that is not 0 by at least 1 a timestep"
    ]


def test_a_synapse_can_have_the_slowest_leak_too():
    after, messages = changed(one(alpha_syn=[[1.0], [0.5]]), "no_leak->slowest_leak")
    np.testing.assert_array_equal(after["h"].alpha_syn, [[1 - 2.0**-15], [0.5]])
    assert [text[:32] for text in messages] == ["h: tau_syn infinite becomes 32.8"]


def test_the_last_dash_that_the_chip_has_is_no_approximation():
    graph = one(alpha_mem=1 - 2.0**-15)
    assert str(changed(graph, "no_leak->slowest_leak")[0]) == str(graph)


# ---- resets ----


@pytest.mark.parametrize("reset", ["value", "additive"])
def test_a_membrane_that_returns_to_zero_keeps_the_rest(reset):
    after, messages = changed(one(reset=reset, v_threshold=[1.0, 0.5]), "reset_to_zero->subtract")
    assert (after["h"].reset, after["h"].reset_when) == ("subtract", "same")
    assert messages == [
        "h: resets to 0 after a spike; xylo_a2 subtracts the threshold and keeps the remainder, "
        "up to 200 % of the threshold after one input spike"
    ]
    assert errors(after) == []


def test_weights_that_only_inhibit_leave_nothing_that_could_be_told():
    graph = one(reset="value").replace({"input_h": Linear(weight=-SQUARE)})
    assert changed(graph, "reset_to_zero->subtract")[1][0].endswith("keeps the remainder")


@pytest.mark.parametrize("fields", [{"reset": "value", "v_reset": 0.1}, {"reset": "none"}])
def test_other_resets_are_left_for_the_rules(fields):
    graph = one(**fields)
    for name in ("reset_to_zero->subtract", "delayed_reset->same_step"):
        assert changed(graph, name)[1] == []
    assert [f.hint for f in errors(graph)] == [""]


LATE = {
    "undecayed": (
        {"reset_when": "next_undecayed", "alpha_mem": [0.9, 0.75]},
        "the amount subtracted decays with the membrane, so up to 25 % of the threshold more is "
        "left after each spike",
    ),
    "corrected": (
        {"reset_when": "next_corrected"},
        "results differ where a membrane is above its threshold right after a spike",
    ),
    "erased": (
        {"reset_when": "next_erase_all", "reset": "value"},
        "the chip keeps the input of that timestep, which the network erases",
    ),
    "emptied": (
        {"reset_when": "next_undecayed", "reset": "value"},
        "in the network the membrane decays for one more timestep before its reset",
    ),
}


@pytest.mark.parametrize(("fields", "text"), LATE.values(), ids=LATE)
def test_a_late_reset_is_done_at_once(fields, text):
    after, messages = changed(one(**fields), "delayed_reset->same_step")
    assert after["h"].reset_when == "same"
    assert messages == [
        f"h: is reset in the timestep after a spike, on xylo_a2 in the same timestep: {text}"
    ]


def test_a_late_reset_differs_by_what_is_said():
    """The first spike at t; one step later the membranes are apart by (1 - alpha) thresholds."""
    graph = one(reset_when="next_undecayed", alpha_mem=0.75, alpha_syn=[0.5], max_spikes=1)
    after, _ = changed(graph, "delayed_reset->same_step")
    spikes = np.zeros((1, 3, 2))
    spikes[0, 0] = 1
    late, at_once = (interpret(g, spikes, record=True).layers["h"] for g in (graph, after))
    assert late.spikes[0, 0].tolist() == at_once.spikes[0, 0].tolist() == [1, 1]
    np.testing.assert_allclose(at_once.v_mem[0, 1] - late.v_mem[0, 1], 0.25)


# ---- caps, floors, starts ----


def test_a_cap_becomes_the_chips():
    graph = one(max_spikes=3)
    after, messages = changed(graph, "spike_cap->chip_cap")
    assert [after[name].max_spikes for name in ("h", "out")] == [31, 1]
    assert messages == ["h: spikes at most 3 times per timestep, on xylo_a2 up to 31 times"]
    assert changed(one(max_spikes=1), "spike_cap->chip_cap")[1] == [
        "h: spikes at most once per timestep, on xylo_a2 up to 31 times"
    ]
    for cap in (None, 31, 40):
        assert changed(one(max_spikes=cap), "spike_cap->chip_cap")[1] == []


def test_a_floor_is_left_out():
    after, messages = changed(one(v_min=[-1.0, -0.5], v_threshold=[1.0, 2.0]), "v_min->none")
    assert after["h"].v_min is None
    assert messages == [
        "h: limits membranes to at least -0.25 times the threshold; xylo_a2 has no limit above "
        "that of 16 bit"
    ]


def test_membranes_start_at_zero():
    after, messages = changed(one(v_init=[-0.5, 0.25]), "v_init->zero")
    assert not np.any(after["h"].v_init)
    assert messages == [
        (
            "h: starts at up to 50 % of its threshold; xylo_a2 starts at 0, so the first spikes "
            "may differ"
        )
    ]


# ---- no synapse ----


def test_input_without_synapse_goes_through_the_fastest():
    after, messages = changed(one(alpha_syn=None), "no_synapse->fastest_synapse")
    np.testing.assert_array_equal(after["h"].alpha_syn, [0.5])
    assert errors(after) == []
    assert messages == [
        "h: input is instantaneous; xylo_a2 passes it through a synapse: 50 % in the same "
        "timestep, 25 % in the next, and so on, 1 timestep later on average, 100 % in the end"
    ]


def test_the_fastest_synapse_hands_on_everything_one_step_later_on_average():
    after, _ = changed(one(alpha_syn=None, v_threshold=1e9), "no_synapse->fastest_synapse")
    spikes = np.zeros((1, 60, 2))
    spikes[0, 0, 0] = 1
    current = interpret(after, spikes, record=True).layers["h"].i_syn[0, :, 0]
    np.testing.assert_allclose(current.sum(), 1)
    np.testing.assert_allclose(current @ np.arange(60), 1)
    assert current[0] == 0.5


# ---- all the way ----

ROADS = {
    "gt->ge": {"compare": "gt"},
    "delayed_reset->same_step": {"reset_when": "next_undecayed"},
    "reset_to_zero->subtract": {"reset": "value"},
    "spike_cap->chip_cap": {"max_spikes": 2},
    "v_min->none": {"v_min": -1.0},
    "v_init->zero": {"v_init": 0.5},
    "no_synapse->fastest_synapse": {"alpha_syn": None},
    "no_leak->slowest_leak": {"alpha_mem": 1.0},
    "fast_leak->fastest_leak": {"alpha_syn": [0.1]},
}


@pytest.mark.parametrize(("name", "fields"), ROADS.items(), ids=ROADS)
def test_what_is_accepted_is_told_entered_and_simulated_bit_for_bit(name, fields):
    graph = one(v_threshold=3.0, **fields)
    with pytest.raises(DeployError) as refused:
        deploy(graph, chip="xylo")
    assert all(f'allow=("{name}",)' in f.hint for f in refused.value.diagnostics)
    assert refused.value.ledger["h"].fidelity.value == "unsupported"
    spikes = np.random.default_rng(0).poisson(0.5, (3, 40, 2))
    d = deploy(graph, chip="xylo", allow=[name], calibration=spikes)
    assert [(f.rule, f.where) for f in d.diagnostics if f.rule == name] == [(name, "h")]
    assert {change.allowed for change in d.ledger["h"].changes} == {"", name}
    assert all(change.allowed != name for change in d.ledger["out"].changes)
    slow = simulate_slow(d.program, spikes)
    np.testing.assert_array_equal(d.simulate(spikes).spikes, slow.spikes)


# ---- biases of weights ----


def biased(bias, **neuron):
    graph = one(**neuron)
    return graph.replace({"input_h": Linear(weight=graph["input_h"].weight, bias=bias)})


def test_a_bias_of_the_weights_becomes_what_its_current_settles_at():
    graph = biased([0.1, -0.2], alpha_syn=[[0.75], [0.5]], v_threshold=[1.0, 0.5])
    after, messages = changed(graph, "linear_bias->neuron_bias")
    assert after["input_h"].bias is None
    np.testing.assert_allclose(after["h"].bias, [0.3, -0.2])
    # 0.75 ** 17 < 0.01
    assert messages == [
        "input_h: its bias acts directly on the membranes of 'h', the only biases of xylo_a2, by "
        "up to 40 % of the threshold per step; through the synapse it took 17 timesteps to reach "
        "99 % of that"
    ]
    assert errors(after) == []


@pytest.mark.parametrize("order", ["add_decay", "decay_add"])
@pytest.mark.parametrize("synapses", [1, 2])
def test_membranes_settle_where_they_did(order, synapses):
    bias = np.linspace(0.01, 0.04, 2 * synapses)
    graph = biased(bias, synapses=synapses, syn_order=order, v_threshold=1e9)
    after, _ = changed(graph, "linear_bias->neuron_bias")
    still = np.zeros((1, 300, 2))
    wanted, got = (interpret(g, still, record=True).layers["h"].v_mem for g in (graph, after))
    np.testing.assert_allclose(got[0, -1], wanted[0, -1], rtol=1e-6)
    assert (np.abs(wanted[0, -1]) > 0.01).all()


def test_the_steps_it_took_are_those_of_the_current():
    graph = biased([0.5, 0.0], alpha_syn=[0.875], v_threshold=1e9)
    _, (text,) = changed(graph, "linear_bias->neuron_bias")
    current = interpret(graph, np.zeros((1, 200, 2)), record=True).layers["h"].i_syn[0, :, 0]
    steps = int(np.argmax(current >= 0.99 * current[-1])) + 1
    assert f"took {steps} timesteps" in text


def test_a_bias_that_never_settles_is_left_for_the_rules():
    graph = biased([0.1, 0.1], alpha_syn=[1.0])
    assert str(changed(graph, "linear_bias->neuron_bias")[0]) == str(graph)


def test_a_chip_without_biases_keeps_the_error():
    none = A2.model_copy(update={"limits": A2.limits.model_copy(update={"bias_width": None})})
    graph = biased([0.1, 0.1])
    assert str(changed(graph, "linear_bias->neuron_bias", none)[0]) == str(graph)
    (finding,) = errors(graph, none)
    assert (finding.rule, finding.hint) == ("linear_bias", "")


def test_a_biased_network_walks_to_the_chip():
    graph = biased([0.1, 0.05])
    with pytest.raises(
        DeployError, match=r'hint: accept an approximation: allow=\("linear_bias->neuron_bias",\)'
    ):
        deploy(graph, chip="xylo")
    d = deploy(graph, chip="xylo", allow=("linear_bias->neuron_bias",))
    assert (d.program.bias > 0).all()
    spikes = np.zeros((1, 400, 2), int)
    wanted, got = d.reference(spikes, record=True), d.simulate(spikes, record=True)
    counts = wanted.layers["h"].spikes[0, 50:].sum(axis=0)
    np.testing.assert_allclose(got.layers["h"].spikes[0, 50:].sum(axis=0), counts, rtol=0.1)
    assert counts.min() > 20


# ---- paths of different length ----


def skip(*extra, delay=0):
    """input -> a -> b -> out, and a -> out directly."""
    layers = {"a": lif(2), "b": lif(2), "out": readout(2)}
    pairs = [("input", "a"), ("a", "b"), ("b", "out")]
    connections = [(pre, post, SQUARE) for pre, post in pairs]
    return wired(2, layers, [*connections, ("a", "out", SQUARE, delay), *extra])


def delays(graph):
    """Delays of the projections, by their ends."""
    return {(p.pre, p.post): p.delay for p in read_layers(graph).projections}


def test_what_goes_around_a_layer_keeps_its_time_and_the_block_is_late():
    after, messages = changed(skip(), "delays->hops")
    assert delays(after) == {
        ("input", "a"): 0,
        ("a", "b"): 0,
        ("b", "out"): 1,
        ("a", "out"): 0,
    }
    assert messages == [
        "out: receives 'b' through 'b_out' 1 timestep later than in the network, since each hop "
        "on xylo_a2 takes one timestep"
    ]
    assert contract.lag(after) == 1


def test_a_skip_that_waits_already_is_kept():
    graph = skip(delay=3)
    after, _ = changed(graph, "delays->hops")
    lags = read_layers(after).lags()
    assert lags["a"] == 0
    assert delays(after)["b", "out"] - delays(after)["a", "out"] == 1


def test_recurrence_of_two_steps_becomes_one():
    connections = [("input", "h", SQUARE), ("h", "h", SQUARE, 2), ("h", "out", SQUARE)]
    after, messages = changed(
        wired(2, {"h": lif(2), "out": readout(2)}, connections), "delays->hops"
    )
    assert delays(after)["h", "h"] == 1
    assert messages == [
        "h: receives 'h' through 'h_h' 1 timestep earlier than in the network, since each hop on "
        "xylo_a2 takes one timestep"
    ]


def test_feedback_of_one_step_takes_as_long_as_its_hops():
    graph = skip(("b", "a", SQUARE, 1))
    after, messages = changed(graph, "delays->hops")
    assert delays(after)["b", "a"] == 2
    assert [text.split(" ", 1)[0] for text in messages] == ["a:", "out:"]


def test_a_network_that_is_joined_wrongly_is_left_to_the_rules():
    graph = skip().replace({"a_b": lif(2)})
    assert str(changed(graph, "delays->hops")[0]) == str(graph)


def tangled(rng):
    """Any causal network: skips, feedback, recurrence, delays of any length, several readouts."""
    graph = residual(rng, depth=int(rng.integers(1, 5)), recurrent=0.5)
    edges = [
        Edge(e.pre, e.post, e.delay + int(rng.integers(0, 3)) * int(rng.random() < 0.3))
        for e in graph.edges
    ]
    return Graph(graph.nodes, edges, dt=graph.dt)


@pytest.mark.parametrize("seed", range(40))
def test_any_network_becomes_one_that_the_chip_keeps(seed):
    graph = whole(tangled(np.random.default_rng(seed)))
    after, messages = changed(graph, "delays->hops")
    assert errors(after) == []
    assert (messages == []) == (errors(graph) == [])
    assert str(changed(after, "delays->hops")[0]) == str(after)
    assert graph.nodes.keys() == after.nodes.keys()
    spikes = np.random.default_rng(0).poisson(1.0, (2, 50, 3))
    runs = [
        contract.simulate(lower(g, A2), spikes, record=False, timing="clocked")
        for g in (graph, after)
    ]
    np.testing.assert_array_equal(runs[0].spikes, runs[1].spikes)


def whole(graph):
    return integers(np.random.default_rng(0), graph, weights=(-24, 28), threshold=20)


@pytest.mark.parametrize("seed", range(12))
def test_a_network_that_the_chip_keeps_is_unchanged(seed):
    graph, _ = layered(np.random.default_rng(seed))
    after, messages = changed(graph, "delays->hops")
    assert (str(after), messages) == (str(graph), [])


@pytest.mark.parametrize("chip", [A2, A3], ids=lambda chip: chip.name)
@pytest.mark.parametrize("seed", range(20))
def test_what_is_rewritten_is_what_the_chip_computes(chip, seed):
    graph = changed(whole(tangled(np.random.default_rng(seed))), "delays->hops")[0]
    program = lower(graph, chip)
    spikes = np.random.default_rng(seed).poisson(1.0, (80, program.inputs)).clip(0, 15)
    wanted = in_network_order(graph, spikes)
    got = contract.simulate(program, spikes[None], record=True, timing="clocked")
    steps = min(len(wanted["out"]), _capped(got, program))
    assert steps > 20
    for name, lag in read_layers(graph).lags().items():
        first, last = max(0, lag), steps + min(0, lag)
        late = got.layers[name].spikes[0, first:last]
        np.testing.assert_array_equal(late, wanted[name][first - lag : last - lag], err_msg=name)


def _capped(got, program):
    """Timesteps before any neuron may have reached its cap with what it passes on."""
    if not any(program.aliases):
        return got.spikes.shape[1]
    total = sum(layer.spikes[0].max(axis=1) for layer in got.layers.values())
    return int(np.argmax(np.append(total, 31) >= 31))


def test_the_reference_of_the_integers_follows_the_chip_step_by_step():
    rng = np.random.default_rng(0)
    layers = {"a": lif(30, v_threshold=6.0), "b": lif(30, v_threshold=6.0)}
    layers["out"] = readout(4, v_threshold=20.0)
    connections = [
        ("input", "a", rng.normal(0.2, 1, (30, 8))),
        ("a", "b", rng.normal(0.1, 0.3, (30, 30))),
        ("a+b", "out", rng.normal(0.1, 0.5, (4, 30))),
    ]
    spikes = rng.poisson(0.5, (4, 100, 8)).clip(0, 15)
    graph = wired(8, layers, connections)
    with pytest.raises(
        DeployError, match=r'hint: accept an approximation: allow=\("delays->hops",\)'
    ):
        deploy(graph, chip="xylo")
    d = deploy(graph, chip="xylo", calibration=spikes, allow=("delays->hops",))
    chip, exact, trained = d.simulate(spikes), d.reference_quantized(spikes), d.reference(spikes)
    late = chip.spikes[:, d.lag :]
    agreement = [(late == other.spikes[:, : 100 - d.lag]).mean() for other in (exact, trained)]
    assert agreement[0] > 0.9
    assert agreement[0] > agreement[1]
