"""Severities of findings, the Python warning, and refusals of dead networks."""

import warnings

import numpy as np
import pytest

from tests.campaigns.severity import judge_all, network
from tests.chips.speck.graphs import conv, one
from tests.chips.xylo.graphs import sequence
from toolchain import DeployError, Deployment, DeployWarning, compare_chips, deploy
from toolchain.chips.speck import SpeckOptions
from toolchain.deployment.warn import apply_options
from toolchain.fidelity.reach import Bounds, can_fire
from toolchain.ir import Conv2d, Graph, Input, Linear, Neuron, Output
from toolchain.runs.agreement import agreement_of
from toolchain.runs.recording import count_agreement


def bursting():
    """A network without spike caps, whose outputs fire several times a step."""
    rng = np.random.default_rng(1)
    lif = {"v_threshold": 1.0, "alpha_mem": 0.5}
    layers = {
        "input": Input(shape=(8,)),
        "w1": Linear(weight=rng.normal(0.1, 0.4, (30, 8))),
        "h": Neuron(shape=(30,), alpha_syn=np.full((30, 1), 0.75), **lif),
        "w2": Linear(weight=rng.normal(0.1, 0.3, (3, 30))),
        "out": Neuron(shape=(3,), alpha_syn=np.full((3, 1), 0.75), **lif),
    }
    return Graph.chain({**layers, "output": Output()}, dt=1e-3), rng.poisson(1.0, (16, 50, 8))


def by_rule(deployment, severity="warning"):
    return {each.rule: each for each in deployment.diagnostics if each.severity == severity}


def test_random_networks_get_the_severities_that_they_deserve():
    counts, wrong = judge_all((12, 14, 16, 20, 41, 50, 51, 52))
    assert counts["deployed"] >= 5
    assert not wrong


def test_capped_outputs_and_low_agreement_warn_once_and_everywhere(tmp_path):
    graph, spikes = bursting()
    with pytest.warns(DeployWarning) as caught:
        d = deploy(graph, "xylo_a2", calibration=spikes)
    (warning,) = caught
    assert warning.filename == __file__
    wanted = d.reference(spikes, record=True).layers["out"].spikes[:, :-1]
    got = d.simulate(spikes).spikes[:, 1:]
    loud = by_rule(d)
    lost = f"{wanted.sum():,.0f} spikes become {got.sum():,}".replace(",", " ")
    assert loud["spike_caps"].message.endswith(lost)
    figure = f"counts agree to {100 * count_agreement(wanted, got):.1f} % ("
    assert figure in loud["calibration"].message
    assert {"agreement", "held_out"} <= set(loud)
    wheres = [line.split("] ")[1].split(":")[0] for line in str(warning.message).splitlines()[1:]]
    assert wheres == sorted(wheres, key=lambda where: where != "network")
    loaded = Deployment.load(d.save(tmp_path / "saved"))
    texts = [str(warning.message), str(loaded), d.to_html(), str(d.as_dict())]
    texts.append(str(d.estimate(spikes)))
    for text in texts:
        assert lost in " ".join(text.split())
    assert "agreement below 90 %" in str(d.compare(spikes))


def test_the_warning_can_stop_a_build_and_no_inner_deployment_warns():
    graph, spikes = bursting()
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeployWarning)
        with pytest.raises(DeployWarning, match=r"xylo_a2: \d warnings\n  \[no_calibration\]"):
            deploy(sequence(3, 4, 2, rng=np.random.default_rng(0)), "xylo_a2")
        with pytest.raises(DeployError) as refused:
            deploy(one({"compare": "gt"}), "speck2f")
        assert 'allow=("gt->ge",)' in str(refused.value)  # tried, with warnings of its own
    with pytest.warns(DeployWarning) as caught:
        table = compare_chips(graph, ["xylo_a2", "xylo_a3"], calibration=spikes, spikes=spikes)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert table.counted_on == "calibration spikes"
    assert "16 of 16 samples are calibration samples" in str(table)
    assert "warnings, xylo_a3: " in str(table)
    low, high = table["xylo_a2"].interval
    assert low < table["xylo_a2"].agreement < high


def test_options_of_the_interpreter_name_the_category():
    with warnings.catch_warnings(record=True) as caught:
        apply_options(["error::RuntimeWarning", "ig", "x::toolchain.DeployWarning"])
        warnings.warn("a", DeployWarning, stacklevel=1)
        apply_options(["ign::toolchain.DeployWarning:m:3"])
        warnings.warn("b", DeployWarning, stacklevel=1)
        apply_options(["error::toolchain.diagnostics.DeployWarning"])
        with pytest.raises(DeployWarning):
            warnings.warn("c", DeployWarning, stacklevel=1)
    assert len(caught) <= 1


def test_weights_behind_an_outlier_are_counted_by_channel():
    weight = np.random.default_rng(0).normal(0, 0.3, (4, 2, 3, 3))
    weight[0, 0, 0, 0] = 100.0
    d = deploy(one(weight=Conv2d(weight=weight), shape=(2, 6, 6)), "speck2f")
    lost = (d.quantized["conv"].weight == 0).reshape(4, -1).sum(axis=1)
    found = by_rule(d)["zero_weights"]
    assert found.where == "conv"
    assert f"{lost.sum()} of 72 weights become 0" in found.message
    assert f"by channel {', '.join(map(str, lost))}" in found.message


def test_a_network_that_is_dead_on_the_chip_is_refused_with_what_revives_it():
    graph = network(np.random.default_rng(52), "xylo")  # layers in units that differ by 10**5
    with pytest.raises(DeployError) as refused:
        deploy(graph, "xylo_a2", quantizer="global")
    rules = {each.rule: each for each in refused.value.diagnostics}
    assert set(rules) == {"zero_weights", "no_path", "silent_outputs"}
    assert rules["zero_weights"].message.startswith("all 30 weights become 0")
    assert 'quantizer="channel" deploys' in rules["zero_weights"].hint
    deploy(graph, "xylo_a2", quantizer="channel")


def test_a_loop_is_followed_until_no_more_neurons_fire():
    nodes = {"input": Input(shape=(1,)), "w": Linear(weight=[[1.0], [0.0]])}
    nodes["lif"] = Neuron(shape=(2,), v_threshold=1.0, alpha_mem=0.5)
    graph = Graph.chain({**nodes, "output": Output()})
    assert can_fire(graph, Bounds(spikes=1, steps=10))["lif"].tolist() == [True, False]


def test_an_agreement_of_few_spikes_is_not_told():
    graph = one(weight=conv(1, 1, 4))
    quiet = np.zeros((8, 20, 1, 4, 4), int)
    d = deploy(graph, "speck2f", calibration=quiet)
    held_out = by_rule(d, "info")["held_out"].message
    assert held_out.endswith("have too few spikes on 2 others to tell the agreement (0)")
    assert "agreement: cannot tell" in by_rule(d)["calibration"].message
    assert not [each for each in d.diagnostics if "100.0 %" in each.message]
    assert repr(d.compare(quiet)).count("cannot tell") == 3


def test_each_of_several_outputs_is_judged_on_its_own():
    lif = {"v_threshold": 1.0, "alpha_mem": 0.5, "alpha_syn": [0.5]}
    nodes = {
        "input": Input(shape=(4,)),
        "w": Linear(weight=np.eye(4)),
        "h": Neuron(shape=(4,), **lif),
    }
    edges = [("input", "w"), ("w", "h")]
    for name, weight, limit in (("busy", 0.5, 1), ("quiet", -0.5, 1), ("capped", 9.0, None)):
        neuron = Neuron(shape=(2,), max_spikes=limit, **lif)
        nodes |= {f"w_{name}": Linear(weight=np.full((2, 4), weight)), name: neuron}
        nodes[f"output_{name}"] = Output(label=name)
        edges += [("h", f"w_{name}"), (f"w_{name}", name), (name, f"output_{name}")]
    graph = Graph(nodes, edges, dt=1e-3)
    spikes = np.random.default_rng(0).poisson(0.5, (8, 40, 4))
    with pytest.warns(DeployWarning, match="never drive"):
        d = deploy(graph, "xylo_a2", calibration=spikes)
    found = {f.where: f.message for f in d.diagnostics if f.rule == "calibration"}
    wanted, got = d.reference(spikes).outputs, d.simulate(spikes).outputs
    for name in ("busy", "capped"):
        agreement = count_agreement(wanted[name][:, :-1], got[name][:, 1:])
        assert (name in found) == (agreement < 0.9)
        assert name not in found or f"agree to {100 * agreement:.1f} % (" in found[name]
    assert {"network", "quiet", "capped"} <= set(found)


def test_the_interval_holds_the_true_agreement():
    rng = np.random.default_rng(0)

    def draw(samples):
        wanted = rng.poisson(rng.gamma(2, 0.1, (samples, 1, 4)), (samples, 50, 4))
        return wanted, rng.binomial(wanted, 0.9)

    found = [agreement_of(*draw(samples)).interval for samples in (3, 6, 20) for _ in range(60)]
    inside = np.mean([each is None or each[0] <= 0.9 <= each[1] for each in found])
    assert inside >= 0.94


@pytest.mark.parametrize("shape", [(0, 20, 1, 4, 4), (1, 0, 1, 4, 4)])
def test_nothing_is_neither_compared_nor_estimated(shape):
    d, nothing = deploy(one(), "speck2f"), np.zeros(shape, int)
    calls = [
        lambda: d.compare(nothing),
        lambda: d.estimate(nothing),
        lambda: d.estimate(recording=d.simulate(nothing, record=True)),
        lambda: compare_chips(one(), ["speck2f"], spikes=nothing),
        lambda: deploy(one(), "speck2f", calibration=nothing),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="has no timestep"):
            call()
    with pytest.raises(ValueError, match="steps is 0"):
        d.estimate(rates={"input": 1.0, "spk": 1.0}, steps=0)


def test_faults_of_the_calibration_are_reported_under_its_name():
    graph = sequence(3, 4, 2, rng=np.random.default_rng(0))
    for method in ("auto", "channel"):
        for value, text in ((0.5, "whole numbers"), (-1, "got -1"), (99, "got 99")):
            spikes = np.full((2, 9, 3), value)
            with pytest.raises(ValueError, match=rf"^calibration.*{text}"):
                deploy(graph, "xylo_a2", calibration=spikes, quantizer=method)


@pytest.mark.parametrize("placement", [[4], (4,), np.array([4]), {"spk": 4}])
def test_a_list_of_cores_is_in_the_order_of_the_layers(placement):
    d = deploy(one(), "speck2f", options=SpeckOptions(placement=placement))
    assert d.placement == {"spk": "core 4"}


@pytest.mark.parametrize(
    ("placement", "text"),
    [
        ("auto", "core ids by the name of the layer"),
        (3, "core ids by the name of the layer"),
        ({1: 0}, "core ids by the name of the layer"),
        ([0, 1], r"lists 2 cores for 1 layers: spk; .*\{'spk': 0\}"),
    ],
)
def test_another_placement_is_refused_with_the_form_that_is_taken(placement, text):
    with pytest.raises(ValueError, match=text):
        deploy(one(), "speck2f", options=SpeckOptions(placement=placement))
