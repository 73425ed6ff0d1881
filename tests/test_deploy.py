import json
import re
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.builders import chain
from toolchain import (
    DeployError,
    Deployment,
    compare_chips,
    deploy,
    extract,
    ir,
    list_chips,
    load_chip,
)
from toolchain.chips.contract import Options
from toolchain.chips.speck import SpeckOptions, to_events
from toolchain.diagnostics import ModelFileError
from toolchain.estimate import Measurement, calibrate
from toolchain.ir import AvgPool2d, Conv2d, Flatten, Graph, Input, Linear, Neuron, Output, decay
from toolchain.nn import IAF, CubaLIF, FlattenTime, IAFSqueeze, SumPool2d, SynNet
from toolchain.runs import Activity

DT = 1e-3


def leaky(sizes=(8, 30, 20, 5), seed=0, inputs_per_weight=1.0, **neuron):
    """A chain of dense layers and CuBa-LIF neurons, as a Graph."""
    rng = np.random.default_rng(seed)
    nodes = {"input": Input(shape=sizes[:1])}
    for k, (pre, post) in enumerate(pairwise(sizes)):
        weight = rng.normal(0.05, 0.6 * inputs_per_weight / np.sqrt(pre), (post, pre))
        nodes[f"fc{k}"] = Linear(weight=weight)
        fields = {"alpha_mem": decay(20e-3, DT), "alpha_syn": decay(np.array([5e-3]), DT)}
        nodes[f"lif{k}"] = Neuron(shape=(post,), **{"v_threshold": 1.0, **fields, **neuron})
    nodes["output"] = Output()
    return Graph.chain(nodes, dt=DT)


def image_net(dt=DT):
    """The shape of the N-MNIST network of the NIR paper."""
    rng = np.random.default_rng(0)

    def conv(outputs, inputs, kernel, **rest):
        scale = 1.5 / np.sqrt(inputs * kernel**2)
        return Conv2d(weight=rng.normal(0, scale, (outputs, inputs, kernel, kernel)), **rest)

    def neurons(*shape):
        return Neuron(shape=shape, v_threshold=1.0, v_min=-1.0)

    return chain(
        (2, 34, 34),
        conv1=conv(16, 2, 5, stride=2, padding=1),
        if1=neurons(16, 16, 16),
        conv2=conv(16, 16, 3, padding=1),
        if2=neurons(16, 16, 16),
        pool2=AvgPool2d(kernel=2, stride=2),
        conv3=conv(8, 16, 3, padding=1),
        if3=neurons(8, 8, 8),
        pool3=AvgPool2d(kernel=2, stride=2),
        flatten=Flatten(),
        fc1=Linear(weight=rng.normal(0, 0.3, (256, 128))),
        if4=neurons(256),
        fc2=Linear(weight=rng.normal(0, 0.15, (10, 256))),
        if5=neurons(10),
        dt=dt,
    )


def spikes(shape, rate=0.1, seed=1):
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.int64)


@pytest.fixture(scope="module")
def xylo():
    graph = leaky()
    return deploy(graph, chip="xylo", calibration=spikes((4, 50, 8)))


@pytest.fixture(scope="module")
def speck():
    return deploy(image_net(), chip="speck", calibration=spikes((2, 20, 2, 34, 34), 0.02))


# ---- the road ----


def test_a_torch_module_walks_to_speck():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        FlattenTime(),
        torch.nn.Conv2d(2, 4, 3, bias=False),
        torch.nn.BatchNorm2d(4),
        IAFSqueeze(num_timesteps=10, min_v_mem=-1.0),
        torch.nn.Dropout(0.5),
        SumPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 4 * 4, 3, bias=False),
        IAFSqueeze(num_timesteps=10, min_v_mem=-1.0),
    )
    x = spikes((3, 10, 2, 10, 10), 0.3)
    d = deploy(model, chip="speck2f", sample=torch.as_tensor(x).float(), dt=DT, calibration=x)
    assert d.chip.name == "speck2f"
    assert d.placement == {"3": "core 0", "8": "core 7"}
    assert d.simulate(x).spikes.shape == (3, 10, 3)


def test_a_torch_module_walks_to_xylo():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 6, bias=False),
        CubaLIF(6, tau_mem=10e-3, tau_syn=5e-3, dt=DT, has_rec=True, max_spikes_per_dt=31),
        torch.nn.Linear(6, 2, bias=False),
        CubaLIF(2, tau_mem=10e-3, tau_syn=5e-3, dt=DT, max_spikes_per_dt=1),
    )
    x = spikes((3, 30, 4), 0.3)
    d = deploy(model, chip="xylo", sample=torch.as_tensor(x).float(), calibration=x)
    assert d.placement == {"1": "hidden 0..5", "3": "output 0..1"}
    assert d.program.weights_rec.any()
    assert d.simulate(x).spikes.shape == (3, 30, 2)


def test_a_synnet_walks_to_xylo():
    torch.manual_seed(0)
    net = SynNet(
        n_channels=16,
        n_classes=2,
        size_hidden_layers=[24, 24, 24],
        time_constants_per_layer=[2, 4, 8],
        p_dropout=0.1,
    )
    for name, layer in net.seq.modules().items():
        if name.endswith("linear"):
            torch.nn.init.uniform_(layer.weight, -0.3, 0.5)
    x = spikes((3, 60, 16), 0.2)
    d = deploy(net, chip="xylo", sample=torch.as_tensor(x).float(), calibration=x)
    assert d.placement == {
        "seq.0_neurons": "hidden 0..23",
        "seq.1_neurons": "hidden 24..47",
        "seq.2_neurons": "hidden 48..71",
        "seq.out_neurons": "output 0..1",
    }
    assert set(d.program.dash_syn[48:56].tolist()) == {*range(1, 9)}
    counts = d.simulate(x).spikes.sum()
    trained = net.eval()(torch.as_tensor(x).float())[0].sum().item()
    assert counts == pytest.approx(trained, rel=0.2)


def test_a_synnet_that_gives_its_membrane_is_read_so():
    net = SynNet(n_channels=16, n_classes=2, output="vmem")
    x = spikes((2, 30, 16), 0.2)
    d = deploy(net, chip="xylo", sample=torch.as_tensor(x).float(), calibration=x)
    assert d.program.readout == "v_mem"
    assert d.compare(x).states["clocked"].correlation > 0.9


def test_a_torch_module_needs_a_sample():
    net = SynNet(n_channels=16, n_classes=2)
    with pytest.raises(ValueError, match="needs sample=") as refused:
        deploy(net, chip="xylo")
    assert str(refused.value) == (
        "a torch module needs sample=, an input as its own forward takes it, such as "
        "torch.rand(2, 100, 16) where that is (batch, time, features)"
    )
    assert deploy(net, chip="xylo", sample=torch.rand(2, 100, 16)).program.outputs == 2


def test_weights_without_their_network_are_told_how_they_come_here(tmp_path):
    torch.save(SynNet(n_channels=16, n_classes=2).state_dict(), tmp_path / "w.pt")
    for sample in (None, torch.rand(2, 100, 16)):
        with pytest.raises(ModelFileError) as refused:
            deploy(tmp_path / "w.pt", chip="xylo", sample=sample)
        assert str(refused.value) == (
            f"{tmp_path / 'w.pt'}: contains weights without a network definition; "
            "toolchain.load(path, factory='module:function', sample=...) calls that function to "
            "build the network, and returns a Graph for deploy"
        )


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="the path of a file, got 3"):
        deploy(3, chip="xylo")


def test_an_unknown_chip_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="xylo_a2"):
        deploy(leaky(), chip="xylo_b7")


def test_calibration_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"calibration must be \(batch, time, 8\), got shape"):
        deploy(leaky(), chip="xylo", calibration=np.zeros((4, 50, 9)))


def test_public_names_are_where_users_look():
    assert load_chip("speck").name == "speck2f"
    assert "xylo_a2" in list_chips()
    assert callable(extract)
    assert issubclass(DeployError, ValueError)


# ---- what comes out ----


def test_speck_computes_what_its_quantized_graph_means(speck):
    x = spikes((2, 30, 2, 34, 34), 0.03, seed=5)
    chip, graph = speck.simulate(x, record=True), speck.reference_quantized(x, record=True)
    assert sum(chip.saturations.values()) == 0
    for name, layer in chip.layers.items():
        np.testing.assert_array_equal(layer.spikes, graph.layers[name].spikes)
        np.testing.assert_array_equal(layer.v_mem, graph.layers[name].v_mem)
        assert layer.spikes.any()


def test_the_nmnist_network_of_the_nir_paper_fits_with_the_memories_of_the_formula():
    torch.manual_seed(0)
    steps = 5
    model = torch.nn.Sequential(
        FlattenTime(),
        torch.nn.Conv2d(2, 16, 5, stride=2, padding=1),
        IAFSqueeze(num_timesteps=steps, min_v_mem=-1.0),
        torch.nn.Conv2d(16, 16, 3, padding=1),
        IAFSqueeze(num_timesteps=steps, min_v_mem=-1.0),
        SumPool2d(2),
        torch.nn.Conv2d(16, 8, 3, padding=1),
        IAFSqueeze(num_timesteps=steps, min_v_mem=-1.0),
        SumPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(128, 256),
        IAFSqueeze(num_timesteps=steps, min_v_mem=-1.0),
        torch.nn.Linear(256, 10),
        IAFSqueeze(num_timesteps=steps, min_v_mem=-1.0),
    )
    x = spikes((2, steps, 2, 34, 34), 0.1)
    d = deploy(model, chip="speck2f", sample=torch.as_tensor(x).float(), dt=DT, calibration=x)
    used = {(r.layer, r.resource): r.used for r in d.resources()}
    layers = ["2", "4", "7", "11", "13"]
    # c * 2^(ceil(log2 k^2) + ceil(log2 f)); f * 2^(ceil(log2 H) + ceil(log2 W)); f
    assert [used[n, "kernel memory"] for n in layers] == [1024, 4096, 2048, 32768, 4096]
    assert [used[n, "neuron memory"] for n in layers] == [4096, 4096, 512, 256, 10]
    assert [used[n, "bias memory"] for n in layers] == [16, 16, 8, 256, 10]
    assert all(row.used <= row.limit for row in d.resources())
    assert len(set(d.placement.values())) == 5


def test_xylo_follows_its_reference_one_step_later_for_each_hop(xylo):
    assert xylo.lag == 2
    x = np.zeros((1, 40, 8), dtype=int)
    x[0, 5] = 15
    first_chip = xylo.simulate(x, record=True).layers["lif1"].spikes[0].any(axis=1).argmax()
    first = xylo.reference(x, record=True).layers["lif1"].spikes[0].any(axis=1).argmax()
    assert first_chip == first + 1


def test_the_reference_is_the_float_network_in_the_users_names(xylo):
    x = spikes((2, 20, 8))
    reference = xylo.reference(x, record=True)
    assert list(reference.layers) == ["lif0", "lif1", "lif2"]
    assert reference.spikes.shape == (2, 20, 5)


def test_the_configuration_holds_the_integers_that_are_simulated(xylo):
    tree = xylo.config()
    np.testing.assert_array_equal(tree["reservoir"]["weights"], xylo.program.weights_rec[..., 0])
    assert tree["readout"]["neurons"][0]["threshold"] == xylo.program.threshold_out[0]


def test_an_estimate_from_spikes_has_power_energy_and_synops(xylo):
    estimate = xylo.estimate(spikes((2, 50, 8)))
    assert estimate.power.low <= estimate.power.nominal <= estimate.power.high
    assert estimate.energy_per_inference.unit == "µJ/inference"
    assert estimate.activity.steps == 50
    assert estimate.as_dict()["power"]["unit"] == "µW"


def test_an_estimate_wants_spikes_or_rates(xylo):
    with pytest.raises(
        ValueError, match=r"^give only one of spikes, rates, input_rate, recording and activity$"
    ):
        xylo.estimate(spikes((1, 5, 8)), rates={})
    with pytest.raises(ValueError, match="rates need steps"):
        xylo.estimate(rates={})
    with pytest.raises(ValueError, match=r"rates need input, lif0, lif1, lif2; missing or unknown"):
        xylo.estimate(rates={"input": 1.0}, steps=10)


def test_an_estimate_from_a_recording_is_that_from_its_spikes(xylo, speck):
    for d, x in ((xylo, spikes((3, 40, 8))), (speck, spikes((2, 6, 2, 34, 34), 0.02))):
        recording = d.simulate(x, record=True)
        assert recording.activity == d.estimate(x).activity
        assert d.estimate(recording=recording).power == d.estimate(x).power


def test_an_estimate_of_events_counts_the_recorded_events(speck):
    events = to_events(spikes((1, 6, 2, 34, 34), 0.02), (2, 34, 34), DT)
    recording = speck.simulate(events, record=True, timing="event")
    found = speck.estimate(recording=recording)
    assert found.activity.layers[0].spikes_per_step * found.activity.steps == pytest.approx(
        sum(map(len, events))
    )
    assert found.activity.synops_per_step > 0


def test_a_recording_without_counts_is_refused(xylo):
    message = r"^the recording has no counts: simulate with record=True and a dt$"
    for recording in (xylo.simulate(spikes((1, 5, 8))), xylo.reference(spikes((1, 5, 8)))):
        with pytest.raises(ValueError, match=message):
            xylo.estimate(recording=recording)


def test_a_recording_of_another_network_is_refused(xylo, speck):
    recording = speck.simulate(spikes((1, 5, 2, 34, 34), 0.02), record=True)
    with pytest.raises(ValueError, match=r"^the counts are of .*, the program is input, lif0"):
        xylo.estimate(recording=recording)


def test_nothing_given_the_calibration_spikes_are_what_it_runs_on(xylo):
    assert xylo.calibration_activity is not None
    again = Activity.from_dict(json.loads(json.dumps(xylo.calibration_activity.as_dict())))
    assert xylo.estimate().power == xylo.estimate(activity=again).power
    without = replace(xylo, calibration_activity=None)
    with pytest.raises(
        ValueError,
        match=r"^give spikes, input_rate or rates: there are no counts of calibration spikes$",
    ):
        without.estimate()


def test_modes_and_constants_of_ones_own_reach_the_estimate(tmp_path):
    d = deploy(leaky(), chip="xylo_a3", calibration=spikes((2, 30, 8)))
    said = {"configuration": "ram_open", "microphone": "off"}
    usual, opened = d.estimate(), d.estimate(modes=said)
    assert opened.modes == said
    assert opened.power.nominal > usual.power.nominal
    readings = [
        Measurement.of(d.estimate(modes=said, clock_hz=clock), {"digital": watts}, running=False)
        for clock, watts in ((6.25e6, 500.0), (12.5e6, 860.0), (25e6, 1580.0))
    ]
    path = calibrate(d.chip, readings).write(tmp_path / "mine.yaml")
    own = d.estimate(modes=said, overlay=path)
    assert own.idle["digital"].nominal == pytest.approx(140 + 57.6 * 6.25)
    assert own.idle["digital"].basis == "measured"
    assert own.idle["io"] == opened.idle["io"]


def test_an_estimate_on_speck_has_a_nominal_value_with_a_range(speck):
    estimate = speck.estimate(spikes((1, 10, 2, 34, 34), 0.02))
    found = estimate.dynamic_power
    assert found.low < found.nominal < found.high < 4 * found.low
    assert estimate.basis == "derived"


def test_it_prints_as_tables(xylo, speck):
    for d, x in ((xylo, (1, 10, 8)), (speck, (1, 10, 2, 34, 34))):
        assert f"{d.chip.title}: fits" in str(d)
        assert "not priced" in str(d.estimate(spikes(x)))


def test_what_limits_each_scale_is_told(speck, xylo):
    told = {f.where: f.message for f in speck.diagnostics if f.rule == "levels"}
    assert {*told} == {"conv1", "conv2", "conv3", "fc1", "fc2"}
    most = int(abs(speck.quantized["fc2"].weight).max())
    assert f"weights use {most} of 127 levels" in told["fc2"]
    assert {f.where for f in xylo.diagnostics if f.rule == "levels"} == {"fc0", "fc1", "fc2"}


# ---- what is refused ----


def test_a_network_that_is_too_large_is_refused_with_every_finding_at_once():
    with pytest.raises(DeployError) as refusal:
        deploy(leaky((20, 900, 300, 12)), chip="xylo")
    found = refusal.value.diagnostics
    assert [d.rule for d in found] == [
        "input_channels",
        "hidden_neurons",
        "output_neurons",
        "fan_out",
        "fan_out_memory",
    ]
    assert all(d.need > d.limit for d in found)
    assert "lif0, lif1: needs 1 200 hidden neurons, xylo_a2 has 1 000" in str(refusal.value)


def test_neurons_and_sizes_are_judged_together():
    with pytest.raises(DeployError) as refusal:
        deploy(leaky((20, 10, 5), reset="value", alpha_mem=1.0), chip="xylo")
    rules = [d.rule for d in refusal.value.diagnostics]
    assert rules == ["reset", "reset", "time_constants", "time_constants", "input_channels"]


def test_a_network_too_large_for_any_core_says_which_layer_and_by_how_much():
    graph = image_net()
    nodes = dict(graph.nodes)
    nodes["fc1"] = Linear(weight=np.ones((2000, 128)))
    nodes["if4"] = Neuron(shape=(2000,), v_threshold=1.0, v_min=-1.0)
    nodes["fc2"] = Linear(weight=np.ones((10, 2000)))
    with pytest.raises(DeployError) as refusal:
        deploy(Graph(nodes, graph.edges, dt=DT), chip="speck")
    assert str(refusal.value) == (
        "the network does not fit speck2f: 3 errors\n"
        "error[kernel_memory] fc1: needs 262 144 words, the largest core of speck2f has 65 536\n"
        "  source: speck2f.yaml, Speck Dev Kit Datasheet tab. 1 (published)\n"
        "  hint: 2000 -> 512 output channels fits core 5 or 6; or sum pooling of 4 before fc1 "
        "fits\n"
        "error[channels] fc1: 2 000 output channels, speck2f supports at most 1 024\n"
        "  source: speck2f.yaml, sinabs documentation, Speck overview (published)\n"
        "  hint: 2000 -> 1024 output channels of fc1 are supported\n"
        "error[channels] fc2: 2 000 input channels, speck2f supports at most 1 024\n"
        "  source: speck2f.yaml, sinabs documentation, Speck overview (published)\n"
        "  hint: 2000 -> 1024 output channels of fc1 are supported\n"
        'toolchain.repair(model, "speck2f", data, labels) makes it fit, trains it and measures the '
        "loss; what fits: 'if4' 2 000 -> 512 channels"
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((50, 8)), r"spikes must be \(batch, time, 8\), got shape \(50, 8\)"),
        (np.zeros((1, 50, 9)), r"got shape \(1, 50, 9\)"),
        (np.full((1, 5, 8), -1), "got -1 at"),
        (np.full((1, 5, 8), 0.5), "got 0.5 at"),
        (np.full((1, 5, 8), np.nan), "got nan at"),
        (
            np.full((1, 5, 8), 16),
            "got 16 at sample 0.*40 of 40 values exceed the 15 spikes a step that xylo_a2 takes",
        ),
        (
            np.full((1, 5, 8), "1"),
            "spikes must be an array of spike counts, got ndarray of dtype <U1",
        ),
        (np.zeros((1, 5, 8), complex), "spikes must be an array of spike counts"),
    ],
)
def test_input_that_is_no_spike_counts_is_refused_by_xylo(xylo, bad, message):
    with pytest.raises(ValueError, match=message):
        xylo.simulate(bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((5, 2, 34, 34)), r"spikes must be \(batch, time, 2, 34, 34\), got shape"),
        (np.zeros((1, 5, 2, 34, 35)), r"got shape \(1, 5, 2, 34, 35\)"),
        (np.full((1, 1, 2, 34, 34), -1), "-1"),
        (np.full((1, 1, 2, 34, 34), 0.5), "0.5"),
        (np.full((1, 1, 2, 34, 34), np.nan), "nan"),
        (np.full((1, 1, 2, 34, 34), 10**6), "1000000"),
        (np.full((1, 1, 2, 34, 34), "1"), "type|dtype"),
    ],
)
def test_input_that_is_no_spike_counts_is_refused_by_speck(speck, bad, message):
    with pytest.raises(ValueError, match=message):
        speck.simulate(bad)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_no_samples_or_no_time_gives_a_correct_empty_result(xylo, speck, shape):
    assert xylo.simulate(np.zeros((*shape, 8)), record=True).spikes.shape == (*shape, 5)
    assert speck.simulate(np.zeros((*shape, 2, 34, 34)), record=True).spikes.shape == (*shape, 10)
    assert xylo.reference(np.zeros((*shape, 8))).spikes.shape == (*shape, 5)


def test_a_clocked_chip_has_no_event_timing(xylo):
    with pytest.raises(ValueError, match="timing for xylo_a2 must be clocked, got 'event'"):
        xylo.simulate(spikes((1, 5, 8)), timing="event")


def test_the_result_is_the_same_each_time():
    x = spikes((2, 40, 8))
    one, other = (deploy(leaky(), chip="xylo", calibration=x) for _ in range(2))
    assert str(one.program) == str(other.program)
    np.testing.assert_array_equal(one.simulate(x).spikes, other.simulate(x).spikes)


def test_a_deployment_is_what_its_loaded_copy_is(xylo, tmp_path):
    again = Deployment.load(xylo.save(tmp_path / "net"))
    assert str(again.program) == str(xylo.program)


def test_two_synapses_a_neuron_walk_to_xylo():
    rng = np.random.default_rng(0)
    two = {"alpha_mem": 0.75, "alpha_syn": decay(np.array([3e-3, 12e-3]), DT)}
    nodes = {
        "input": Input(shape=(4,)),
        "fc1": Linear(weight=rng.normal(0, 0.4, (12, 4))),
        "lif1": Neuron(shape=(6,), v_threshold=1.0, **two),
        "fc2": Linear(weight=rng.normal(0.2, 0.4, (2, 6))),
        "lif2": Neuron(shape=(2,), v_threshold=1.0, alpha_mem=0.75, alpha_syn=[0.5]),
        "output": Output(),
    }
    x = spikes((4, 60, 4), 0.4)
    d = deploy(Graph.chain(nodes, dt=DT), chip="xylo", calibration=x)
    assert d.program.synapses == 2
    assert d.program.dash_syn_2.any()
    chip, reference = d.simulate(x, record=True), d.reference(x, record=True)
    assert chip.layers["lif1"].i_syn_2 is not None
    wanted = reference.layers["lif1"].spikes.sum()
    assert abs(chip.layers["lif1"].spikes.sum() - wanted) < 0.1 * wanted


def test_a_bias_that_acts_before_the_input_arrives_is_a_warning():
    d = deploy(leaky(bias=0.01), chip="xylo")
    found = {f.where: f.message for f in d.diagnostics if f.rule == "early_bias"}
    assert list(found) == ["lif1", "lif2"]
    assert found["lif2"].startswith("its bias acts 2 timesteps before its input arrives")
    assert not [f for f in deploy(leaky(), chip="xylo").diagnostics if f.rule == "early_bias"]


# ---- placement by hand ----


def small_images(dt=DT):
    """Two cores: 2 x 8 x 8 -> 4 x 4 x 4 (pooled) -> 3, with weights below the threshold."""
    rng = np.random.default_rng(2)
    return chain(
        (2, 8, 8),
        conv=Conv2d(weight=rng.normal(0.1, 0.3, (4, 2, 3, 3)), padding=1),
        if1=Neuron(shape=(4, 8, 8), v_threshold=1.0, v_min=-1.0),
        pool=ir.SumPool2d(kernel=2, stride=2),
        flatten=Flatten(),
        fc=Linear(weight=rng.normal(0.05, 0.2, (3, 64))),
        if2=Neuron(shape=(3,), v_threshold=1.0, v_min=-1.0),
        dt=dt,
    )


def test_layers_go_where_they_are_put_and_the_others_around_them():
    d = deploy(small_images(), chip="speck", options=SpeckOptions(placement={"if1": 5}))
    assert d.placement["if1"] == "core 5"
    assert d.placement["if2"] not in ("core 5", "core 0", "core 1")
    everywhere = deploy(
        small_images(), chip="speck", options=SpeckOptions(placement={"if1": 2, "if2": 8})
    )
    assert everywhere.placement == {"if1": "core 2", "if2": "core 8"}
    x = spikes((2, 10, 2, 8, 8), 0.2)
    np.testing.assert_array_equal(d.simulate(x).spikes, everywhere.simulate(x).spikes)
    assert set(everywhere.config()["cnn_layers"]) == {"2", "8"}


def test_an_empty_placement_leaves_all_to_the_placer():
    placed = deploy(small_images(), chip="speck", options=SpeckOptions(placement={})).placement
    assert placed == deploy(small_images(), chip="speck").placement


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        ({"if1": 9}, "if1: placed on core 9, but speck2f has cores 0, 1, 2, 3, 4, 5, 6, 7 and 8"),
        ({"if1": -1}, "if1: placed on core -1"),
        ({"if1": "core 3"}, "if1: placed on core core 3"),
        ({"conv9": 3}, "conv9: placed on core 3, but is not a layer; the layers are if1, if2"),
        ({"if1": 3, "if2": 3}, "if1: placed on core 3 together with if2"),
    ],
)
def test_a_placement_that_cannot_be_is_refused_like_any_other_finding(placement, message):
    with pytest.raises(DeployError, match=message) as refusal:
        deploy(small_images(), chip="speck", options=SpeckOptions(placement=placement))
    assert {finding.rule for finding in refusal.value.diagnostics} == {"placement"}


def test_a_layer_put_where_it_has_no_room_is_told_where_it_has():
    with pytest.raises(DeployError) as refusal:
        deploy(image_net(), chip="speck", options=SpeckOptions(placement={"if4": 0}))
    assert "placed on core 0, needs 32 768 kernel words, that core has 16 384" in str(refusal.value)
    assert "hint: core 3, 4, 5 or 6 is free and large enough" in str(refusal.value)


def test_options_of_another_family_are_refused():
    with pytest.raises(
        ValueError, match="xylo_a2 takes options of type XyloOptions, got SpeckOptions"
    ):
        deploy(leaky(), chip="xylo", options=SpeckOptions(placement={"lif0": 3}))
    with pytest.raises(ValueError, match="speck2f takes options of type SpeckOptions, got Options"):
        deploy(small_images(), chip="speck", options=Options())


def test_keywords_that_became_options_still_work_and_say_what_to_write():
    with pytest.warns(DeprecationWarning, match=r"^placement= is deprecated; give options=Speck"):
        d = deploy(small_images(), chip="speck", placement={"if1": 5})
    assert d.placement["if1"] == "core 5"
    with pytest.warns(DeprecationWarning, match=r"^readout= is deprecated") as caught:
        d = deploy(small_images(), chip="speck", readout={})
    assert d.program.readout is not None
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"^permutations= is deprecated") as caught:
        found = d.compare(spikes((1, 5, 2, 8, 8)), permutations=2)
    assert found.orders.orders == 3
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match=r"^xylo_a2 takes no placement=: chips of Xylo have no"):
        deploy(leaky(), chip="xylo", placement={})


# ---- events ----


def events_of(raster, dt=DT):
    """The spikes of one sample (time, channels, y, x) as an event array."""
    (stream,) = to_events(raster[None], raster.shape[1:], dt)
    return stream


def test_events_and_the_raster_of_them_give_the_same_everywhere():
    d = deploy(small_images(), chip="speck")
    x = spikes((2, 10, 2, 8, 8), 0.2)
    x[:, -1, 0, 0, 0] = 1
    streams = [events_of(sample) for sample in x]
    for timing in ("clocked", "event"):
        one, other = (d.simulate(given, timing=timing, record=True) for given in (x, streams))
        np.testing.assert_array_equal(one.spikes, other.spikes)
        np.testing.assert_array_equal(one.layers["if1"].spikes, other.layers["if1"].spikes)
    for run in (d.reference, d.reference_quantized):
        np.testing.assert_array_equal(run(x).spikes, run(streams).spikes)
    assert d.estimate(x) == d.estimate(streams)
    assert d.compare(x) == d.compare(streams)
    single = d.simulate(streams[0])
    np.testing.assert_array_equal(single.spikes, d.simulate(x[:1]).spikes)
    assert single.spikes.any()


def test_events_calibrate_as_their_raster_does():
    x = spikes((1, 30, 2, 8, 8), 0.2)
    x[:, -1, 0, 0, 0] = 1
    one = deploy(small_images(), chip="speck", calibration=x)
    other = deploy(small_images(), chip="speck", calibration=[events_of(x[0])])
    assert str(one.program) == str(other.program)
    assert one.diagnostics == other.diagnostics


def test_events_need_a_timestep():
    x = events_of(spikes((5, 2, 8, 8), 0.2))
    d = deploy(small_images(dt=None), chip="speck")
    for verb in (d.simulate, d.reference, d.compare):
        with pytest.raises(ValueError, match=r"dt=... in s"):
            verb(x)


def test_bad_events_are_refused_by_every_verb():
    d = deploy(small_images(), chip="speck")
    beyond = events_of(spikes((5, 2, 8, 8), 0.2))
    beyond["x"][3] = 8
    for verb in (d.simulate, d.reference, d.compare, d.estimate):
        with pytest.raises(ValueError, match="event 3 of sample 0 is x = 8"):
            verb(beyond)


def test_xylo_takes_no_event_arrays(xylo):
    x = events_of(spikes((5, 2, 8, 8), 0.2))
    for verb in (xylo.simulate, xylo.reference, xylo.compare, xylo.estimate):
        with pytest.raises(ValueError, match=r"spikes must be counts .* accepts no event arrays"):
            verb(x)
    with pytest.raises(ValueError, match="calibration must be counts"):
        deploy(leaky(), chip="xylo", calibration=[x])


# ---- readout ----


def test_the_chip_reads_out_what_the_network_puts_out(speck):
    heard = spikes((2, 20, 2, 34, 34), 0.02)
    read = deploy(
        image_net(),
        "speck",
        calibration=heard,
        options=SpeckOptions(readout={"window": 16, "threshold": 0}),
    )
    assert read.program.readout.window == 16
    x = spikes((2, 20, 2, 34, 34), 0.02, seed=5)
    np.testing.assert_array_equal(read.simulate(x).spikes, speck.simulate(x).spikes)
    table = read.config()["notes"]["outputs"]
    assert table["readout_class"] == [*range(1, 11)]


def test_a_chip_without_a_readout_block_refuses_one():
    with pytest.raises(
        ValueError, match="xylo_a2 takes options of type XyloOptions, got SpeckOptions"
    ):
        deploy(leaky(), "xylo", options=SpeckOptions(readout={}))


def test_more_classes_than_the_readout_block_has_are_refused():
    nodes = dict(image_net().nodes)
    rng = np.random.default_rng(0)
    nodes["fc2"] = Linear(weight=rng.normal(0, 0.1, (16, 256)))
    nodes["if5"] = Neuron(shape=(16,), v_threshold=1.0, v_min=-1.0)
    with pytest.raises(DeployError) as caught:
        deploy(Graph.chain(nodes, dt=DT), "speck", options=SpeckOptions(readout={}))
    assert "if5" in {f.where for f in caught.value.diagnostics}


def test_a_layer_that_stayed_silent_in_the_self_check_is_told():
    torch.manual_seed(0)
    firing, silent = IAF(), IAF(spike_threshold=1e9)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), firing, torch.nn.Linear(6, 3), silent)
    d = deploy(model, "speck", sample=torch.ones(2, 10, 4), dt=1e-3)
    (told,) = (f for f in d.diagnostics if f.rule == "self_check")
    assert (told.where, told.severity.value) == ("3", "info")
    assert "did not spike when the Graph was compared with the model" in told.message


def test_a_layer_name_is_printed_as_it_is():
    nodes = {name.replace("lif1", "[red]:x:"): node for name, node in leaky().nodes.items()}
    assert "\n [red]:x:  hidden" in str(deploy(Graph.chain(nodes, dt=DT), "xylo"))


# ---- arguments of another kind ----


@pytest.mark.parametrize(
    ("chip", "got"),
    [
        (None, "None"),
        (["xylo"], "['xylo']"),
        (
            load_chip("xylo"),
            "XyloChip(name='xylo_a2', title='Xylo Audio 2'): give its name",
        ),
    ],
)
def test_a_chip_is_given_by_name_or_path(chip, got):
    message = f"^chip must be a name or the path of a chip file, got {re.escape(got)}$"
    for call in (load_chip, partial(deploy, leaky()), lambda given: compare_chips(None, [given])):
        with pytest.raises(ValueError, match=message):
            call(chip)
    with pytest.raises(ValueError, match=r"^chip must be a name or the path of .*, got 3$"):
        compare_chips(None, 3)


def test_weights_alone_are_no_model():
    with pytest.raises(ValueError, match="got OrderedDict; a state_dict holds weights only: load"):
        deploy(torch.nn.Linear(2, 2).state_dict(), "xylo")


def test_spikes_may_be_a_tensor_with_gradients():
    d, raster = deploy(leaky(), "xylo"), torch.ones(1, 20, 8)
    wanted = d.simulate(raster).spikes
    np.testing.assert_array_equal(d.simulate(raster.requires_grad_()).spikes, wanted)


def test_rates_and_steps_may_be_numbers_of_numpy():
    d = deploy(leaky(), "xylo")
    rates = dict.fromkeys(["input", *d.placement], 8)
    plain = d.estimate(rates=rates, steps=100)
    numpy = {name: np.float32(rate) for name, rate in rates.items()}
    assert d.estimate(rates=numpy, steps=np.int64(100)).as_dict() == plain.as_dict()
    assert json.dumps(plain.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rates": 8, "steps": 1}, "rates must be spike/s by layer name, got 8"),
        ({"recording": np.ones(3)}, "recording must be of Recording, got ndarray"),
        ({"activity": np.ones(3)}, "activity must be of Activity, got ndarray"),
        ({"modes": "open"}, "modes must be a setting by switch, got 'open'"),
    ],
)
def test_an_estimate_names_an_argument_of_another_kind(arguments, message):
    d = deploy(leaky(), "xylo")
    if "modes" in arguments:
        arguments["spikes"] = np.ones((1, 20, 8), int)
    with pytest.raises(ValueError, match=f"^{message}$"):
        d.estimate(**arguments)
