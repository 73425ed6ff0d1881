"""When spikes arrive: what Xylo refuses of it, and what it tells."""

import numpy as np
import pytest

from tests.chips.xylo.graphs import lif, readout, sequence, wired
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.rules.graph import check_graph
from toolchain.diagnostics import Severity

A2 = load_chip("xylo_a2")
SQUARE = np.eye(2)
HINT = '\n  hint: accept an approximation: allow=("delays->hops",)'


def errors(graph):
    return [str(f) for f in check_graph(graph, A2) if f.severity is Severity.ERROR]


# ---- lengths of paths ----


def skip(delay, back=None):
    """input -> a -> b -> out, and a -> out directly, ``delay`` steps later."""
    layers = {"a": lif(2), "b": lif(2), "out": readout(2)}
    pairs = [("input", "a"), ("a", "b"), ("b", "out")]
    connections = [(pre, post, SQUARE) for pre, post in pairs] + [("a", "out", SQUARE, delay)]
    if back is not None:
        connections.append(("b", "a", SQUARE, back))
    return wired(2, layers, connections)


def test_a_way_around_a_layer_is_a_step_too_fast():
    assert errors(skip(0)) == [
        "error[path_lengths] out: receives 'b' through 'b_out' 1 timestep later than its other "
        "inputs; each hop on xylo_a2 takes one timestep" + HINT
    ]


def test_feedback_of_one_step_arrives_a_step_late():
    graph = skip(0, back=1)
    assert errors(graph)[:1] == [
        "error[path_lengths] a: receives 'b' through 'b_a' 1 timestep later than its other "
        "inputs; each hop on xylo_a2 takes one timestep" + HINT
    ]


def test_an_input_that_skips_two_layers_is_two_steps_ahead():
    layers = {"a": lif(2), "b": lif(2), "c": lif(2), "out": readout(2)}
    pairs = [("a", "b"), ("b", "c"), ("c", "out"), ("input", "a"), ("input", "c")]
    (text,) = errors(wired(2, layers, [(pre, post, SQUARE) for pre, post in pairs]))
    assert "c: receives 'b' through 'b_c' 2 timesteps later than its other inputs" in text


def test_feedback_that_takes_as_long_in_the_network_as_on_the_chip_is_taken():
    layers = {"a": lif(2), "b": lif(2), "out": readout(2)}
    pairs = [("input", "a"), ("a", "b"), ("b", "out")]
    connections = [(pre, post, SQUARE) for pre, post in pairs] + [("b", "a", SQUARE, 2)]
    assert errors(wired(2, layers, connections)) == []


def test_recurrence_of_one_step_is_taken():
    connections = [("input", "h", SQUARE), ("h", "h", SQUARE, 1), ("h", "out", SQUARE)]
    assert errors(wired(2, {"h": lif(2), "out": readout(2)}, connections)) == []


def test_recurrence_of_two_steps_is_refused():
    connections = [("input", "h", SQUARE), ("h", "h", SQUARE, 2), ("h", "out", SQUARE)]
    (text,) = errors(wired(2, {"h": lif(2), "out": readout(2)}, connections))
    assert "h: receives 'h' through 'h_h' 1 timestep earlier than its other inputs" in text


# ---- when outputs come ----


def lag_of(graph):
    return [f.message for f in check_graph(graph, A2) if f.rule == "lag"]


def test_how_late_the_outputs_are_is_told():
    assert lag_of(sequence(2, 3, 2)) == [
        (
            "outputs are delayed by 1 timestep, one per hop; comparisons correct for this "
            "(Deployment.lag)"
        )
    ]
    assert lag_of(sequence(2, 3, 3, 3, 2)) == [
        "outputs are delayed by 3 timesteps, one per hop; comparisons correct for this "
        "(Deployment.lag)"
    ]


def test_delays_that_the_chip_need_not_wait_for_make_its_outputs_early():
    connections = [("input", "h", SQUARE, 3), ("h", "out", SQUARE, 1)]
    assert lag_of(wired(2, {"h": lif(2), "out": readout(2)}, connections)) == [
        "outputs are 3 timesteps early, since xylo_a2 does not preserve the network's delays; "
        "comparisons correct for this (Deployment.lag)"
    ]


def test_outputs_on_time_are_not_mentioned():
    connections = [("input", "h", SQUARE), ("h", "out", SQUARE, 1)]
    assert lag_of(wired(2, {"h": lif(2), "out": readout(2)}, connections)) == []


def test_where_paths_disagree_there_is_no_lag():
    assert lag_of(skip(0)) == []


@pytest.mark.parametrize(
    ("delay", "text"),
    [
        (0, []),
        (2, ["acts 2 timesteps less before its input arrives, since xylo_a2 does not preserve"]),
    ],
)
def test_a_bias_before_an_input_that_waits_in_the_network_alone_is_told(delay, text):
    connections = [("input", "h", SQUARE, delay), ("h", "out", SQUARE)]
    graph = wired(2, {"h": lif(2, bias=0.1), "out": readout(2)}, connections)
    found = [f.message for f in check_graph(graph, A2) if f.rule == "early_bias"]
    # 0.1 and 0.875 of it
    rest = "by then membranes are up to 18.8 % of the threshold behind, and the first spikes may"
    assert found == [f"its bias {part} the network's delays; {rest} differ" for part in text]
