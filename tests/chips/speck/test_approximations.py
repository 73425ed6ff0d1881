"""What a user may accept on Speck: what each rewrite changes, says, and leaves alone."""

import numpy as np
import pytest

from tests.chips.speck.graphs import conv, iaf, one
from toolchain import DeployError, deploy
from toolchain.chips.load import load_chip
from toolchain.chips.speck.approximations import APPROXIMATIONS, approximate
from toolchain.chips.speck.rules.graph import check_graph
from toolchain.chips.speck.simulate.twin import simulate_densely
from toolchain.diagnostics import Severity
from toolchain.ir import Add, Graph, Input, Output
from toolchain.runs.interpret import interpret

CHIP = load_chip("speck2f")


def changed(graph, name):
    """The graph after one approximation, and what it says."""
    after, found = approximate(graph, CHIP, (name,))
    assert {f.rule for f in found} <= {name}
    assert {f.severity for f in found} <= {Severity.WARNING}
    return after, [f"{f.where}: {f.message}" for f in found]


@pytest.mark.parametrize("name", APPROXIMATIONS)
def test_nothing_changes_where_there_is_nothing_to_change(name):
    for graph in (one(), one({"reset": "value", "v_min": None})):
        after, findings = changed(graph, name)
        assert (str(after), findings) == (str(graph), [])


def test_a_neuron_that_fires_above_fires_at_its_threshold():
    after, findings = changed(one({"compare": "gt"}), "gt->ge")
    assert after["spk"].compare == "ge"
    assert findings == [
        "spk: spikes when v_mem > v_threshold, on speck2f when v_mem >= v_threshold; this adds a "
        "spike wherever both are equal"
    ]


def test_a_cap_is_lifted():
    after, findings = changed(one({"max_spikes": 2}), "spike_cap->chip_cap")
    assert after["spk"].max_spikes is None
    assert findings == [
        "spk: spikes at most twice per timestep, on speck2f once per multiple of its threshold"
    ]


@pytest.mark.parametrize("fields", [{}, {"reset": "value"}], ids=["subtract", "to zero"])
def test_a_late_reset_is_done_at_once(fields):
    graph = one({"reset_when": "next_erase_all", **fields})
    after, findings = changed(graph, "delayed_reset->same_step")
    assert after["spk"].reset_when == "same"
    assert after["spk"].reset == graph["spk"].reset
    assert [text.rpartition(": ")[0] for text in findings] == [
        "spk: is reset in the timestep after a spike, on speck2f in the same timestep"
    ]


# ---- leak ----


def test_an_exponential_leak_becomes_what_it_is_at_half_the_threshold():
    leaky = {"alpha_mem": 0.9, "v_threshold": 2.0, "v_min": None}
    graph = one(leaky, weight=conv(2, 1, 3, bias=[0.0, 1.0]))
    after, findings = changed(graph, "exponential_leak->linear_leak")
    np.testing.assert_array_equal(after["spk"].alpha_mem, 1)
    np.testing.assert_allclose(after["conv"].bias, [-0.1, 0.9])
    assert findings == [
        "spk: loses 10 % of its membrane per timestep; on speck2f a constant 5 % of its threshold, "
        "with a floor at 0"
    ]
    assert check_graph(after, CHIP) == ()


def test_the_constant_is_what_is_lost_at_half_the_threshold_and_stops_at_zero():
    graph = one({"alpha_mem": 0.9, "v_init": 0.5})
    after, _ = changed(graph, "exponential_leak->linear_leak")
    still = np.zeros((1, 30, 1, 4, 4))
    wanted, got = (interpret(g, still, record=True).layers["spk"].v_mem for g in (graph, after))
    np.testing.assert_allclose(got[0, 0], wanted[0, 0])
    np.testing.assert_allclose(got[0, -1], 0, atol=1e-5)
    d = deploy(graph, "speck", allow=["exponential_leak->linear_leak"])
    assert d.program["spk"].threshold_low == -1
    assert d.simulate(still.astype(int), record=True).layers["spk"].v_mem[0, -1].tolist() == (
        np.full((1, 4, 4), -1).tolist()
    )


def test_channels_may_leak_differently_and_neurons_within_may_not():
    each = np.array([0.9, 0.8])[:, None, None]
    after, _ = changed(one({"alpha_mem": each}, weight=conv(2, 1)), "exponential_leak->linear_leak")
    np.testing.assert_allclose(after["conv"].bias, [-0.05, -0.1])
    within = one({"alpha_mem": np.array([0.9, 0.8, 0.9, 0.9])})
    assert changed(within, "exponential_leak->linear_leak")[1] == []
    (found,) = check_graph(within, CHIP)
    assert "allow" not in found.hint


def test_synapses_and_shared_weights_are_left_for_the_rules():
    synapse = one({"alpha_mem": 0.9, "alpha_syn": [0.5]})
    assert changed(synapse, "exponential_leak->linear_leak")[1] == []
    nodes = {"input": Input(shape=(1, 4, 4)), "w": conv(1, 1), "sum": Add(), "v": conv(1, 1)}
    leaky = iaf((1, 4, 4), alpha_mem=0.9)
    edges = [("input", "w"), ("w", "a"), ("w", "b"), ("a", "sum"), ("b", "sum"), ("sum", "v")]
    nodes |= {"a": leaky, "b": leaky, "c": iaf((1, 4, 4)), "output": Output()}
    shared = Graph(nodes, [*edges, ("v", "c"), ("c", "output")])
    assert changed(shared, "exponential_leak->linear_leak")[1] == []


# ---- all the way ----

ROADS = {
    "gt->ge": {"compare": "gt"},
    "delayed_reset->same_step": {"reset_when": "next_undecayed"},
    "spike_cap->chip_cap": {"max_spikes": 1},
    "exponential_leak->linear_leak": {"alpha_mem": 0.9},
}


@pytest.mark.parametrize(("name", "fields"), ROADS.items(), ids=ROADS)
def test_what_is_accepted_is_told_entered_and_simulated_bit_for_bit(name, fields):
    graph = one(fields, weight=conv(3, 1, 3, rng=np.random.default_rng(0)))
    with pytest.raises(DeployError) as refused:
        deploy(graph, chip="speck")
    assert all(f'allow=("{name}",)' in f.hint for f in refused.value.diagnostics)
    assert refused.value.ledger["spk"].fidelity.value == "unsupported"
    spikes = np.random.default_rng(0).poisson(0.3, (3, 40, 1, 4, 4))
    d = deploy(graph, chip="speck", allow=[name], calibration=spikes)
    assert [(f.rule, f.where) for f in d.diagnostics if f.rule == name] == [(name, "spk")]
    assert name in {change.allowed for change in d.ledger["spk"].changes}
    slow = simulate_densely(d.program, spikes).layers["spk"].spikes
    np.testing.assert_array_equal(d.simulate(spikes, record=True).layers["spk"].spikes, slow)
