"""One network over several chips: every column, against the verb that it comes from."""

import io
import json
import math
import sys
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure as Picture
from torch import nn

from tests.test_deploy import DT, leaky, spikes
from toolchain import DeployError, compare_chips, deploy, list_chips, load_chip
from toolchain.across_chips import most_telling, tightest
from toolchain.chips.contract import Resource
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.ir import Conv2d, Graph, Input, Linear, Neuron, Output
from toolchain.nn import CubaLIF
from toolchain.plots import plot_chips
from toolchain.runs.recording import aligned, count_agreement

mpl.use("Agg")

HELD = {"alpha_mem": 1 - 2.0**-4, "alpha_syn": np.array([1 - 2.0**-2]), "max_spikes": 31}
XYLO = ("xylo_1", "xylo_a2", "xylo_a3", "xylo_imu")


def images():
    """A small network for Speck."""
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input(shape=(1, 6, 6)),
        "conv": Conv2d(weight=rng.normal(0.2, 0.4, (4, 1, 3, 3))),
        "if1": Neuron(shape=(4, 4, 4), v_threshold=1.0, v_min=-1.0),
        "fc": Conv2d(weight=rng.normal(0.1, 0.3, (3, 4, 4, 4))),
        "if2": Neuron(shape=(3, 1, 1), v_threshold=1.0, v_min=-1.0),
        "output": Output(),
    }
    return Graph.chain(nodes, dt=DT)


def never_leaking():
    """A chain that Xylo takes only with its slowest leak."""
    return leaky((4, 6, 2), **{**HELD, "alpha_mem": 1.0})


@pytest.fixture(scope="module")
def heard():
    return spikes((4, 60, 8))


@pytest.fixture(scope="module")
def fresh():
    return spikes((3, 60, 8), seed=7)


@pytest.fixture(scope="module")
def xylo(heard, fresh):
    """All chips on a network for Xylo."""
    return compare_chips(leaky(**HELD), calibration=heard, spikes=fresh)


@pytest.fixture(scope="module")
def speck():
    given = spikes((2, 10, 1, 6, 6), 0.2)
    return compare_chips(images(), ["speck2f", "dynapcnn", "xylo_a2"], calibration=given)


def resource(layer, what, used, limit, **rest):
    return Resource(
        layer=layer, place="here", resource=what, used=used, limit=limit, unit="word", **rest
    )


def error(rule, need=None, limit=None, hint=""):
    return Diagnostic(
        rule=rule,
        severity=Severity.ERROR,
        where="fc1",
        message="needs more",
        need=need,
        limit=limit,
        hint=hint,
    )


# ---- rows ----


def test_every_chip_has_a_row_unless_some_are_named(xylo, speck):
    assert [row.chip for row in xylo.rows] == list(list_chips())
    assert xylo.fitting == XYLO
    assert [row.chip for row in speck.rows] == ["speck2f", "dynapcnn", "xylo_a2"]
    assert speck.fitting == ("speck2f", "dynapcnn")
    assert xylo["xylo_a2"].title == load_chip("xylo_a2").title
    with pytest.raises(KeyError, match="no chip 'loihi'; there are dynapcnn"):
        xylo["loihi"]


def test_a_name_and_its_alias_are_one_row():
    found = compare_chips(leaky((4, 6, 2), **HELD), ["xylo", "xylo_a2"])
    assert [row.chip for row in found.rows] == ["xylo_a2"]
    assert compare_chips(leaky((4, 6, 2), **HELD), "xylo") == found


@pytest.mark.parametrize("chip", ["xylo_a2", "xylo_imu"])
def test_every_figure_is_that_of_the_verb_it_comes_from(xylo, heard, fresh, chip):
    row, d = xylo[chip], deploy(leaky(**HELD), chip, calibration=heard)
    wanted, got = aligned(d.reference(fresh).spikes, d.simulate(fresh).spikes, d.lag)
    estimate = d.estimate(fresh)
    assert row.agreement == count_agreement(wanted, got)
    assert row.agreement < 1
    assert row.clock_hz == estimate.clock_hz
    assert row.power == estimate.power
    assert row.energy_per_inference == estimate.energy_per_inference
    assert row.energy_per_inference.nominal == pytest.approx(row.power.nominal * 60 * DT)
    assert row.latency == estimate.latency
    assert (row.keeps_up, row.always_keeps_up) == (
        estimate.keeps_up,
        estimate.always_keeps_up,
    )
    assert (row.blocker, row.other_errors) == (None, 0)
    assert row.tightest == tightest(d.resources())


@pytest.mark.parametrize("chips", [("speck2e", "speck2f"), ("xylo_a3", "xylo_imu")])
def test_chips_that_share_results_have_the_rows_that_each_has_alone(chips, heard):
    graph = images() if "speck2f" in chips else leaky((8, 6, 2), **HELD)
    given = spikes((8, 20, 1, 6, 6)) if "speck2f" in chips else np.tile(heard, (2, 1, 1))
    together = compare_chips(graph, chips, calibration=given)
    alone = [compare_chips(graph, chip, calibration=given)[chip] for chip in chips]
    assert [row.as_dict() for row in together.rows] == [row.as_dict() for row in alone]
    assert together.rows[0].fits


def test_agreement_is_of_held_out_spikes_or_says_that_it_is_not(xylo, heard):
    assert (xylo.counted_on, xylo.samples, xylo.steps) == ("held-out spikes", 3, 60)
    own = compare_chips(leaky(**HELD), ["xylo_a2"], calibration=heard)
    assert (own.counted_on, own.samples, own.steps) == ("calibration spikes", 4, 60)
    d = deploy(leaky(**HELD), "xylo_a2", calibration=heard)
    pair = aligned(d.reference(heard).spikes, d.simulate(heard).spikes, d.lag)
    assert own["xylo_a2"].agreement == count_agreement(*pair)
    assert own["xylo_a2"].agreement != xylo["xylo_a2"].agreement
    assert own["xylo_a2"].power == d.estimate().power


def test_without_spikes_nothing_is_guessed():
    found = compare_chips(leaky((4, 6, 2), **HELD), ["xylo_a2"])
    row = found["xylo_a2"]
    assert (found.counted_on, found.samples, found.steps) == (None, 0, 0)
    assert row.fits
    assert row.tightest.resource == "input channels"
    assert [row.agreement, row.power, row.energy_per_inference, row.latency] == [None] * 4
    assert "no spikes were given: agreement, power, energy and latency were not computed" in str(
        found
    )


def test_a_chip_without_constants_is_unknown_and_not_free(speck):
    row = speck["dynapcnn"]
    for figure in (row.power, row.energy_per_inference):
        assert (figure.nominal, figure.high, figure.basis) == (None, math.inf, "unknown")
    assert row.latency is None
    assert row.keeps_up is None
    assert row.as_dict()["power"]["high"] is None
    power = speck["speck2f"].power
    assert 0 < power.low < power.nominal < power.high < math.inf


# ---- what is in the way ----


def test_a_refusal_is_the_most_telling_error_and_how_many_others(xylo):
    row = xylo["speck2f"]
    with pytest.raises(DeployError) as refusal:
        deploy(leaky(**HELD), "speck2f")
    errors = refusal.value.diagnostics
    assert not row.fits
    assert row.blocker == most_telling(errors)
    assert row.blocker.where == "lif0"
    assert row.other_errors == len(errors) - 1
    empty = [row.tightest, row.agreement, row.power, row.latency, row.keeps_up]
    assert empty == [None] * 5


def test_a_layer_that_is_too_large_is_told_with_its_name():
    big = leaky((8, 2000, 4), **HELD)
    row = compare_chips(big, ["xylo_a2"]).rows[0]
    assert row.blocker.need == 2000
    assert row.blocker.where == "lif0"


def test_what_nothing_helps_against_is_told_first():
    helped = error("helped", hint="less fits")
    large, larger = error("large", 11, 10), error("larger", 5, 1)
    none, absent = error("none_there", 3, 0), error("absent")
    assert most_telling([helped, large, larger, absent]) == absent
    assert most_telling([helped, large, larger]) == larger
    assert most_telling([large, none]) == none
    assert most_telling([error("first"), error("second")]).rule == "first"
    assert most_telling([helped]) == helped


# ---- the tightest resource ----


def test_the_tightest_resource_has_the_largest_share():
    rows = [resource("a", "words", 5, 10), resource("b", "words", 8, 10)]
    assert tightest(rows) == rows[1]
    assert tightest([*rows, resource("c", "words", 8, 10)]) == rows[1]
    assert tightest([resource("a", "words", 0, 0)]) is None
    assert tightest([]) is None


def test_what_layers_share_is_added_up():
    shared = [resource(name, "neurons", 30, 100, shared=True) for name in ("a", "b", "c")]
    found = tightest([*shared, resource("a", "words", 80, 100)])
    assert (found.layer, found.place, found.used) == ("network", "", 90)
    assert tightest(shared[:1]) == shared[0]


def test_hidden_neurons_of_several_layers_are_one_limit():
    d = deploy(leaky(**HELD), "xylo_a2")
    neurons = [r for r in d.resources() if r.resource == "hidden neurons"]
    assert [r.used for r in neurons] == [30, 20]
    found = tightest(neurons)
    assert (found.layer, found.used, found.limit) == ("network", 50, 1000)
    (entries,) = {r.limit for r in d.resources() if r.resource == "recurrent entries"}
    assert all(r.shared for r in d.resources() if r.limit in (1000, entries))


# ---- what reaches which chip ----


def test_an_approximation_reaches_only_the_chips_that_know_it():
    chips = ["speck2f", "xylo_a2", "xylo_a3"]
    refused = compare_chips(never_leaking(), chips)
    assert refused.fitting == ()
    found = compare_chips(never_leaking(), chips, allow=["no_leak->slowest_leak", "gt->ge"])
    assert found.fitting == ("xylo_a2", "xylo_a3")
    assert found["xylo_a2"].took == ("no_leak->slowest_leak",), "gt->ge changes nothing here"
    assert found["xylo_a2"].left_out == ()
    assert "no_leak->slowest_leak" in found["speck2f"].left_out
    assert not found["speck2f"].fits, "for its neurons, not for the name"
    assert found["speck2f"].took == ()
    text = " ".join(str(found).split())
    assert "allow no_leak->slowest_leak: changes the network on xylo_a2, xylo_a3; left out" in text
    assert "allow gt->ge: changes it on no chip that takes it" in text
    single = compare_chips(never_leaking(), "xylo", allow="no_leak->slowest_leak")
    assert single["xylo_a2"].took == single.allow == ("no_leak->slowest_leak",)


def test_a_clock_reaches_the_chips_that_have_one():
    given = spikes((2, 30, 4))
    graph = leaky((4, 6, 2), **HELD)
    found = compare_chips(graph, ["xylo_a3", "speck2f"], calibration=given, clock_hz=20e6)
    d = deploy(graph, "xylo_a3", calibration=given)
    assert found["xylo_a3"].clock_hz == 20e6
    assert found["xylo_a3"].power == d.estimate(clock_hz=20e6).power != d.estimate().power
    assert "main clock 20 MHz: xylo_a3" in str(found)


def test_a_mode_reaches_the_chips_that_have_it(speck):
    given = spikes((2, 10, 1, 6, 6), 0.2)
    chips = ["speck2f", "dynapcnn"]
    found = compare_chips(images(), chips, calibration=given, modes={"dvs": "off"})
    d = deploy(images(), "speck2f", calibration=given)
    assert found["speck2f"].power == d.estimate(modes={"dvs": "off"}).power
    assert found["speck2f"].power.low < speck["speck2f"].power.low
    assert found["dynapcnn"].power.basis == "unknown"


# ---- the user's own errors, once ----


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"chips": ["loihi"]}, "unknown chip 'loihi'"),
        ({"chips": []}, "no chips to compare"),
        ({"allow": ["magic"]}, "no approximation magic on any chip; there are gt->ge"),
        ({"calibration": np.ones((2, 9, 5))}, r"calibration must be \(batch, time, 4\)"),
        ({"spikes": np.ones((2, 9, 5))}, r"spikes must be \(batch, time, 4\), got shape"),
        ({"spikes": -np.ones((2, 9, 4))}, "spikes must be whole numbers >= 0"),
        ({"spikes": np.full((2, 9, 4), np.nan)}, "spikes must be whole numbers >= 0"),
        ({"spikes": np.full((2, 9, 4), 0.5)}, "spikes must be whole numbers >= 0"),
        ({"spikes": np.zeros(3, dtype=[("x", int), ("t", int)])}, "not every chip takes event"),
        ({"chips": ["speck2f"], "clock_hz": 1e6}, "none of speck2f has a main clock"),
        ({"clock_hz": 6.25}, "clock_hz 6.25 Hz is below the 50 kHz of xylo_1 "),
        ({"clock_hz": "6.25 MHz"}, "clock_hz must be a number of Hz > 0, such as 6.25e6, got '6"),
        ({"chips": ["xylo_a2"], "modes": {"dvs": "off"}}, "none of xylo_a2 has a switch 'dvs'"),
        ({"modes": {"dvs": "dim"}}, "dvs is one of off, on, got 'dim'"),
    ],
)
def test_what_no_chip_could_make_sense_of_is_raised_once(options, told):
    with pytest.raises(ValueError, match=told):
        compare_chips(leaky((4, 6, 2), **HELD), **options)


def test_a_network_without_a_timestep_is_refused_once():
    graph = leaky((4, 6, 2), **HELD)
    timeless = Graph(graph.nodes, graph.edges)
    with pytest.raises(ValueError, match=r"need the length of a timestep: give dt=\.\.\. in s"):
        compare_chips(timeless, ["xylo_a2"])
    assert compare_chips(timeless, ["xylo_a2"], dt=2e-3).dt == 2e-3


def test_a_torch_module_needs_its_sample():
    net = nn.Sequential(nn.Linear(4, 3, bias=False), CubaLIF(3, tau_mem=10e-3, tau_syn=5e-3, dt=DT))
    with pytest.raises(ValueError, match="a torch module needs sample="):
        compare_chips(net, ["xylo_a2"])
    found = compare_chips(net, ["xylo_a2"], sample=torch.zeros(1, 5, 4))
    assert (len(found.rows), found.dt) == (1, DT)


# ---- how it looks ----


def test_the_table_says_all_of_it(xylo, speck):
    text = str(xylo)
    assert text.startswith("the network fits 4 of 9 chips\n")
    assert "on held-out spikes: 3 samples of 60 steps of 1 ms" in text
    row = xylo["xylo_a2"]
    part = f"{row.tightest.used} of {row.tightest.limit}"
    assert f"62.5 % of output neurons, lif2 (output 0..4): {part}" in text
    (measured,) = [
        line
        for line in text.splitlines()
        if line.startswith("xylo_a2") and "(" in line and "%" in line and "derived" in line
    ]
    assert f"{100 * row.agreement:.1f} %" in measured
    assert f"{row.power.nominal:.3g} ({row.power.low:.3g} to {row.power.high:.3g})" in measured
    told = " ".join(text.split())
    assert f"lif0: {xylo['speck2f'].blocker.message} [integrate_and_fire];" in told
    assert f"{xylo['speck2f'].other_errors} more errors" in told
    (unknown,) = [line for line in str(speck).splitlines() if "unknown" in line and "dyn" in line]
    assert unknown.split()[0] == "dynapcnn"
    assert unknown.split()[-5:] == ["unknown"] * 5
    assert "on calibration spikes: 2 samples of 10 steps of 1 ms" in str(speck)


def test_it_is_plain_data_too(xylo):
    data = json.loads(json.dumps(xylo.as_dict()))
    assert [row["chip"] for row in data["rows"]] == list(list_chips())
    by_name = {row["chip"]: row for row in data["rows"]}
    assert by_name["xylo_a2"]["fits"] is True
    assert by_name["xylo_a2"]["power"]["nominal"] == xylo["xylo_a2"].power.nominal
    assert by_name["xylo_a2"]["tightest"]["used"] == xylo["xylo_a2"].tightest.used
    assert by_name["speck2f"]["blocker"]["severity"] == "error"
    assert by_name["speck2f"]["power"] is None
    assert (data["counted_on"], data["steps"], data["dt"]) == ("held-out spikes", 60, DT)


def test_a_line_a_chip_for_its_range_and_a_dot_for_its_likeliest_value(xylo):
    axes = Picture().subplots()
    plot_chips(axes, xylo, "power")
    known = [name for name in XYLO if name != "xylo_1"]
    (dots,) = axes.lines
    assert [*dots.get_xdata()] == [xylo[n].power.nominal for n in known]
    assert (axes.get_xscale(), axes.get_xlim()[0]) == ("linear", 0)
    spans = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
    assert spans == [[xylo[n].power.low, xylo[n].power.high] for n in known]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert "speck2f\ndoes not fit" in labels
    assert "xylo_1\nunknown" in labels
    assert f"xylo_a2\n{xylo['xylo_a2'].power}" in labels
    assert axes.get_xlabel() == "power, µW"


def test_far_apart_figures_are_drawn_on_a_scale_of_tens():
    busy = 1000 * spikes((1, 20, 1, 6, 6))
    rows = [
        compare_chips(images(), [chip], spikes=given).rows[0]
        for chip, given in (("speck2e", busy), ("speck2f", busy // 1000))
    ]
    found = replace(compare_chips(images(), ["speck2e"], spikes=busy), rows=tuple(rows))
    axes = Picture().subplots()
    plot_chips(axes, found, "power")
    assert rows[0].power.high > 20 * rows[1].power.low
    assert axes.get_xscale() == "log"
    dots = [line for line in axes.lines if len(line.get_xdata())]
    assert len(dots) == 1, "a range without a likeliest value has no dot"


def test_nothing_is_drawn_of_chips_that_nothing_is_known_of():
    found = compare_chips(leaky((4, 6, 2), **HELD), ["xylo_a2"])
    with pytest.raises(ValueError, match="no energy per inference of any chip is known"):
        plot_chips(Picture().subplots(), found)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_drawn_on_a_terminal_alone(monkeypatch, capsys):
    graph, given = leaky((4, 6, 2), **HELD), spikes((1, 20, 4))
    compare_chips(graph, ["xylo_a2"], calibration=given)
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    compare_chips(graph, ["xylo_a2"], calibration=given)
    assert "deploying to chips" in terminal.getvalue()
    assert "finding integers" in terminal.getvalue(), "the search within has a bar below"
    assert capsys.readouterr().out == ""


def test_a_layer_keeps_its_name_in_the_table():
    """A name that a terminal's markup would swallow is printed as it is."""
    nodes = {
        "input": Input(shape=(2,)),
        "[bold]": Linear(weight=np.ones((20, 2))),
        "[red]": Neuron(shape=(20,), v_threshold=1.0, **HELD),
        "output": Output(),
    }
    assert "[red]" in str(compare_chips(Graph.chain(nodes, dt=DT), ["xylo_a2"]))
