"""Decays at the ends of the chip's range: exact, taken within a factor of 2, or refused."""

from functools import partial

import numpy as np
import pytest

from tests.chips.xylo.graphs import lif, readout, sequence
from toolchain import DeployError, deploy
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.rules.graph import check_graph
from toolchain.chips.xylo.simulate.twin import simulate_slow
from toolchain.diagnostics import Severity
from toolchain.ir import Linear, time_constant
from toolchain.passes import drop_empty_synapses
from toolchain.runs.interpret import interpret

A2 = load_chip("xylo_a2")
SPIKES = np.random.default_rng(0).poisson(0.2, (2, 60, 6))


def network(neurons=10, **hidden):
    return sequence(6, neurons, 3, hidden=partial(lif, **hidden))


# ---- membranes ----


@pytest.mark.parametrize(
    ("none", "quantizer"),
    [(0.0, "global"), (1e-7, "channel"), (np.array([0.0, 0.5] * 5), "auto")],
)
def test_a_membrane_without_memory_has_a_bit_shift_of_0(none, quantizer):
    d = deploy(network(alpha_mem=none), "xylo", quantizer=quantizer, calibration=SPIKES)
    np.testing.assert_array_equal(d.program.dash_mem, np.broadcast_to(np.asarray(none) > 0.1, 10))
    assert bool(d.ledger["l0"].of("tau_mem")) == (quantizer == "channel")
    record = d.simulate(SPIKES, record=True).layers["l0"]
    fired = record.spikes * d.program.threshold
    cleared = d.program.dash_mem == 0
    # the membrane of a step is its current, less the spikes
    np.testing.assert_array_equal((record.v_mem + fired - record.i_syn)[..., cleared], 0)
    np.testing.assert_array_equal(
        d.simulate(SPIKES).spikes, simulate_slow(d.program, SPIKES).spikes
    )


def test_an_output_without_memory_counts_what_arrives_in_its_step():
    # one spike of weight 64 through dash 1: 32, 16, 8, 4, 2, 1 as in floats, then the last unit
    graph = sequence(1, 1, 1, hidden=partial(lif, alpha_mem=0.0, alpha_syn=[0.5]))
    graph = graph.replace(
        {
            "input_l0": Linear(weight=[[64.0]]),
            "l0": lif(1, alpha_mem=0.0, alpha_syn=[0.5], v_threshold=127.0),
        }
    )
    once = np.zeros((1, 7, 1), int)
    once[0, 0] = 1
    d = deploy(graph, "xylo", quantizer="channel")
    scale = d.program.weights_in.item() / 64
    got = d.simulate(once, record=True).layers["l0"].v_mem.ravel() / scale
    want = interpret(graph, once, record=True).layers["l0"].v_mem.ravel()
    np.testing.assert_allclose(got[:5], want[:5], atol=1 / scale)


# ---- one rule at both ends ----


@pytest.mark.parametrize("quantizer", ["auto", "channel", "global"])
def test_no_time_constant_changes_by_more_than_two(quantizer):
    taus = np.geomspace(0.73, 65_000, 50)
    decays = {"alpha_mem": np.exp(-1 / taus), "alpha_syn": np.exp(-1 / taus[::-1, None])}
    graph = sequence(2, 50, 1, hidden=partial(lif, **decays))
    program = deploy(graph, "xylo", quantizer=quantizer).program
    for dash, trained in ((program.dash_mem, taus), (program.dash_syn, taus[::-1])):
        ratio = time_constant(1 - 2.0 ** -dash.astype(float), 1) / trained
        assert ((ratio > 0.5) & (ratio < 2)).all()


@pytest.mark.parametrize("field", ["alpha_mem", "alpha_syn"])
@pytest.mark.parametrize(
    ("tau", "name"), [(0.1, "fast"), (0.71, "fast"), (65_600, "no"), (np.inf, "no")]
)
def test_what_changes_by_more_needs_allow(field, tau, name):
    alpha = np.exp(-1 / np.array([tau, 20.0]))
    (found,) = check_graph(network(2, **{field: alpha[:, None] if "syn" in field else alpha}), A2)[
        :1
    ]
    assert (found.rule, found.severity) == ("time_constants", Severity.ERROR)
    assert "in 1 of 2 neurons (0) is" in found.message
    assert f'allow=("{name}_leak->' in found.hint


@pytest.mark.parametrize(
    ("field", "alphas", "after"),
    [
        ("alpha_mem", [0.1, 0.9, 1.0], [0.0, 0.9, 1 - 2.0**-15]),
        ("alpha_mem", [0.2, 0.9, 0.9], [0.0, 0.9, 0.9]),
        ("alpha_syn", [0.0, 0.2, 1.0], [0.5, 0.5, 1 - 2.0**-15]),
    ],
)
def test_what_is_accepted_changes_those_neurons_alone(field, alphas, after):
    alpha = np.array(alphas)
    graph = sequence(
        2, 3, 1, hidden=partial(lif, **{field: alpha[:, None] if "syn" in field else alpha})
    )
    with pytest.raises(DeployError) as refused:
        deploy(graph, "xylo")
    names = [
        name
        for name in ("no_leak->slowest_leak", "fast_leak->fastest_leak")
        if name in str(refused.value)
    ]
    d = deploy(graph, "xylo", quantizer="channel", allow=names)
    found = [f for f in d.diagnostics if f.rule in names]
    assert {f.rule for f in found} == set(names)
    changed = alpha != after
    assert all(" of 3 neurons" in f.message for f in found) or changed.all()
    dash = getattr(d.program, field.replace("alpha", "dash")).astype(float)
    np.testing.assert_allclose(1 - 2.0 ** -dash[changed], np.array(after)[changed])


# ---- synapses ----


@pytest.mark.parametrize(
    ("empty", "dashes"), [("second", [2] * 10), ("first", [3] * 10), ("mixed", [2, 3] * 5)]
)
def test_a_synapse_without_weights_is_none(empty, dashes):
    graph = network(synapses=2)
    rows = graph["input_l0"].weight.copy().reshape(10, 2, 6)
    for neuron, which in enumerate(
        {"second": [1] * 10, "first": [0] * 10, "mixed": [1, 0] * 5}[empty]
    ):
        rows[neuron, which] = 0
    graph = graph.replace({"input_l0": Linear(weight=rows.reshape(20, 6))})
    less = drop_empty_synapses(graph)
    assert (less["l0"].synapses, less["input_l0"].weight.shape) == (1, (10, 6))
    for layer, record in interpret(graph, SPIKES, record=True).layers.items():
        now = interpret(less, SPIKES, record=True).layers[layer]
        np.testing.assert_array_equal(now.spikes, record.spikes)
    d = deploy(graph, "xylo_imu", quantizer="channel")
    assert (d.program.synapses, d.program.dash_syn.tolist()) == (1, dashes)


def test_synapses_that_one_neuron_uses_both_of_stay():
    graph = network(synapses=2)
    assert drop_empty_synapses(graph)["l0"].synapses == 2
    with pytest.raises(DeployError, match="has 2 synaptic currents per neuron"):
        deploy(graph, "xylo_imu")
    assert readout(3).synapses == 1
