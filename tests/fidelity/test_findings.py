from dataclasses import replace

import numpy as np
import pytest

from tests.builders import chain, dense
from toolchain.fidelity import diagnostics_of, rounded
from toolchain.fidelity.on_data import measured
from toolchain.ir import Conv2d, Neuron
from toolchain.passes import fold_gain, quantize
from toolchain.passes.quantize import WordWidths
from toolchain.runs.recording import Recording

BITS = WordWidths(weight=8, bias=8, threshold=16, state=16)


def shifted(graph, mem, syn=None, **changes):
    """The network with the decays of these bit shifts."""
    decays = {"alpha_mem": 1 - 2.0**-mem}
    if syn is not None:
        decays["alpha_syn"] = np.array([1 - 2.0**-syn])
    return graph.replace({"lif": replace(graph["lif"], **decays, **changes)})


def percents(trained, stored):
    """A note on a decay factor, as a family may give it."""
    return f"keeps {100 * stored:.3g} % for {100 * trained:.3g} %"


def reported(before, after, note=percents):
    return diagnostics_of(rounded(before, after, note))


def lines(before, after, note=percents):
    found = reported(before, after, note)
    return [(d.severity.value, d.rule, d.where, d.message) for d in found]


def test_a_time_constant_that_changes_is_a_warning_with_its_size():
    graph = dense([[0.5]], alpha_mem=np.exp(-0.1), alpha_syn=np.exp([-0.2]), dt=1e-3)
    assert lines(graph, shifted(graph, 3, 2))[:2] == [
        (
            "warning",
            "time_constants",
            "lif",
            "tau_mem 10 ms becomes 7.49 ms (-25.1 %): keeps 87.5 % for 90.5 %",
        ),
        (
            "warning",
            "time_constants",
            "lif",
            "tau_syn 5 ms becomes 3.48 ms (-30.5 %): keeps 75 % for 81.9 %",
        ),
    ]


def test_a_family_need_not_describe_how_it_holds_a_decay():
    graph = dense([[0.5]], alpha_mem=np.exp(-0.1), dt=1e-3)
    for note in (None, lambda trained, stored: ""):
        (found, *_) = lines(graph, shifted(graph, 3), note)
        assert found[3] == "tau_mem 10 ms becomes 7.49 ms (-25.1 %)"


def test_the_neuron_that_changes_most_is_the_one_that_is_reported():
    graph = dense([[0.5], [0.5]], alpha_mem=[0.75, np.exp(-0.1)], dt=None)
    after = shifted(graph, np.array([2, 3]))
    assert (
        lines(graph, after)[0][3]
        == "tau_mem 10 steps becomes 7.49 steps (-25.1 % at most): keeps 87.5 % for 90.5 %"
    )


def test_a_time_constant_that_the_chip_holds_is_not_mentioned():
    graph = dense([[0.5]], alpha_mem=np.float32(0.75), dt=1e-3)
    assert [d.rule for d in reported(graph, shifted(graph, 2))] == ["rounding"]


def test_a_change_below_one_percent_is_no_warning_and_needs_no_compensation():
    graph = dense([[0.5, 1.0]], alpha_mem=0.8749, dt=1e-3)
    after = quantize(fold_gain(shifted(graph, 3, gain=np.array(1.5))), bits=BITS, per="neuron")
    found = {d.rule: d.severity.value for d in reported(graph, after)}
    assert found == {"time_constants": "info", "rounding": "info"}


def test_rounding_says_how_far_weights_move_and_what_is_left_of_the_threshold():
    graph = dense([[127.0, 0.5]], v_threshold=100.0, dt=1e-3)
    after = quantize(graph, bits=BITS, per="neuron")
    assert lines(graph, after) == [
        (
            "info",
            "rounding",
            "fc",
            "weights change by 0.39 % rms; smallest threshold 100",
        )
    ]


def test_weights_that_are_integers_already_do_not_move():
    graph = dense([[127.0, 3.0], [0.0, 0.0]], dt=1e-3)
    after = quantize(graph, bits=BITS, per="layer")
    assert "change by 0 % rms" in reported(graph, after)[0].message


def test_convolutions_are_judged_too():
    graph = chain(
        (1, 3, 3),
        conv=Conv2d(weight=np.random.default_rng(0).normal(size=(2, 1, 3, 3))),
        **{"if": Neuron(shape=(2, 1, 1), v_threshold=1.0)},
    )
    (found,) = reported(graph, quantize(graph, bits=BITS, per="layer"))
    assert found.where == "conv"


def test_the_measured_effect_is_taken_with_the_lag_undone():
    wanted = np.zeros((1, 5, 2))
    wanted[0, 0, 0] = wanted[0, 4, 1] = 1
    late = np.zeros((1, 5, 2), int)
    late[0, 2, 0] = 1
    found = measured(
        Recording(spikes=wanted), Recording(spikes=late, saturations={"a": 2, "b": 1}), lag=2
    )
    assert found.message == (
        "on the calibration spikes the outputs spike once as trained and once on the chip; "
        "agreement: cannot tell (1 spike); 3 states saturated"
    )
    assert found.severity.value == "warning"


def test_weights_that_make_up_for_decays_are_a_warning_with_their_size():
    graph = dense(
        [[0.5, 1.0], [2.0, 0.0]], alpha_mem=np.exp(-0.1), alpha_syn=np.exp([-0.2]), dt=1e-3
    )
    snapped = shifted(graph, 3, 2, gain=np.array(1.5))
    after = quantize(fold_gain(snapped), bits=BITS, per="neuron")
    (found,) = [d for d in reported(graph, after) if d.rule == "drives"]
    assert found.severity.value == "warning"
    assert found.where == "lif"
    # to the step that rounding weights and threshold leaves
    gain = float(found.message.split()[2])
    assert gain == pytest.approx(1.5, rel=0.02)


def test_weights_are_not_mentioned_where_no_decay_changes():
    graph = dense([[0.5, 1.0]], alpha_mem=0.75, alpha_syn=[0.5], dt=1e-3)
    after = quantize(graph, bits=BITS, per="neuron")
    assert [d.rule for d in reported(graph, after)] == ["rounding"]
