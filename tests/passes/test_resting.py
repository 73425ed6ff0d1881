"""Membranes that rest at 0 and are emptied at once: the same spikes, where it is done at all."""

import numpy as np
import pytest

from toolchain.ir import Graph, Input, Linear, MembraneReadout, Neuron, Output
from toolchain.passes import empty_at_once, rest_at_zero
from toolchain.runs.interpret import interpret

SPIKES = np.random.default_rng(0).poisson(0.4, (4, 60, 6))


def net(kind=Neuron, **fields):
    """Six inputs and five neurons, numbers on a grid on which sums are exact."""
    weight = np.random.default_rng(1).integers(-16, 28, (5, 6)) / 64
    nodes = {"input": Input(shape=(6,)), "fc": Linear(weight=weight)}
    nodes["n"] = kind(shape=(5,), **fields)
    return Graph.chain({**nodes, "output": Output()})


def respond(graph):
    return interpret(graph, SPIKES).spikes


def once(**fields):
    return {"v_threshold": 1.0, "max_spikes": 1, "reset": "value", "alpha_mem": 0.75} | fields


SHIFTED = {
    "rest": once(v_leak=0.25, v_reset=0.25, v_init=0.25),
    "rest of each neuron": once(
        v_leak=np.arange(5) / 8, v_reset=np.arange(5) / 8, v_init=np.arange(5) / 8
    ),
    "reset below rest": once(v_leak=0.25, v_init=0.25, v_reset=-0.5),
    "floor": once(v_leak=-0.25, v_init=-0.25, v_min=-0.5),
    "no leak": once(alpha_mem=1.0, v_reset=0.25, v_init=0.25, v_leak=7.0),
    "fires above": once(v_leak=0.25, v_init=0.25, compare="gt"),
}


@pytest.mark.parametrize("fields", SHIFTED.values(), ids=SHIFTED)
def test_potentials_are_shifted_where_only_their_differences_count(fields):
    graph = net(**fields)
    after = rest_at_zero(graph)
    assert not np.any(after["n"].v_leak)
    assert not np.any(after["n"].v_init)
    assert not np.any(after["n"].bias)
    np.testing.assert_array_equal(respond(after), respond(graph))
    assert respond(graph).sum() > 20
    assert str(rest_at_zero(after)) == str(after)


BIASED = {
    "subtracts": {"v_threshold": 1.0, "alpha_mem": 0.75, "v_leak": 0.25},
    "subtracts later": {
        "v_threshold": 1.0,
        "alpha_mem": 0.75,
        "v_leak": 0.25,
        "reset_when": "next_undecayed",
    },
    "never resets": {"v_threshold": 1.0, "alpha_mem": 0.75, "v_leak": 0.25, "reset": "none"},
    "starts elsewhere": once(v_leak=0.25, v_init=0.5),
    "erases the next step": once(v_leak=0.25, v_init=0.25, reset_when="next_erase_all"),
    "several spikes": once(v_leak=0.25, v_init=0.25, max_spikes=None),
}


@pytest.mark.parametrize("fields", BIASED.values(), ids=BIASED)
def test_elsewhere_the_rest_becomes_a_bias(fields):
    graph = net(**fields)
    after = rest_at_zero(graph)
    assert not np.any(after["n"].v_leak)
    np.testing.assert_array_equal(after["n"].bias, 0.0625)
    np.testing.assert_array_equal(respond(after), respond(graph))
    assert respond(graph).sum() > 20


def test_a_readout_gives_the_same_membrane():
    graph = net(MembraneReadout, alpha_mem=0.75, v_leak=0.25, v_init=0.25)
    after = rest_at_zero(graph)
    assert not np.any(after["n"].v_leak)
    np.testing.assert_allclose(respond(after), respond(graph), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "fields",
    [
        {"v_threshold": 1.0},
        once(),
        once(reset_when="next_undecayed", v_leak=0.25),
        once(v_init=0.5),
    ],
    ids=["plain", "to zero", "emptied late", "start alone"],
)
def test_what_rests_at_zero_or_cannot_is_left(fields):
    graph = net(**fields)
    assert str(rest_at_zero(graph)) == str(graph)


def test_a_membrane_that_is_emptied_late_is_emptied_at_once():
    graph = net(**once(reset_when="next_undecayed", compare="gt", v_min=-1.0))
    after = empty_at_once(graph)
    assert after["n"].reset_when == "same"
    np.testing.assert_array_equal(respond(after), respond(graph))
    assert respond(graph).sum() > 20
    assert str(empty_at_once(after)) == str(after)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_spikes": None},
        {"v_reset": 0.1},
        {"v_leak": 0.1},
        {"v_min": 0.1},
        {"reset_when": "next_erase_all"},
        {"reset": "subtract"},
    ],
    ids=str,
)
def test_other_late_resets_are_left(changes):
    graph = net(**once(**{"reset_when": "next_undecayed", **changes}))
    assert str(empty_at_once(graph)) == str(graph)
