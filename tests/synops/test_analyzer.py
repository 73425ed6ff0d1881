import copy

import pytest
import torch
from torch import nn

from tests.cases import each
from toolchain.nn import (
    IAF,
    CubaLIF,
    FlattenTime,
    IAFRecurrent,
    IAFSqueeze,
    LinearTorch,
    NeuromorphicReLU,
    SynNet,
    UnflattenTime,
)
from toolchain.synops import SNNAnalyzer, register_synops_hooks


def eye_model():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), IAF())
    model[0].requires_grad_(False).weight.copy_(torch.eye(4))
    return model


def spikes_of(rate):
    """(1, 8, 4) with a mean of ``rate``, two neurons of four firing at most."""
    x = torch.zeros(1, 8, 4)
    x.view(-1)[: int(rate * 32)] = 1
    return x


def test_without_time_every_sample_is_one_step():
    x = torch.zeros(2, 8)
    x[0, :3] = 1
    x[1, :5] = 1
    model = nn.Sequential(nn.Linear(8, 5))
    analyzer = SNNAnalyzer(model, dt=2.0)
    model(x)
    found = analyzer.get_layer_statistics()["parameter"]["0"]
    assert found["synops"].item() == 20
    assert (found["num_timesteps"], found["time_window"]) == (1, 2.0)
    assert found["synops/s"].item() == found["SynOps/s"].item() == 10_000


@each(
    "layer, x, synops, rate",
    [
        (nn.Linear(3, 5), torch.tensor([[3.0, 0, 0], [0, 0, 5]]), 20, None),
        (nn.LazyLinear(5), torch.tensor([[3.0, 0, 0], [0, 0, 5]]), 20, None),
        (nn.Conv2d(1, 5, 2), torch.eye(3)[None, None], 30, None),
        (nn.Conv1d(1, 2, 3), torch.ones(1, 9), 42, None),
        (LinearTorch((3, 5)), torch.ones(1, 2, 3), 30, None),
        (IAF(), torch.eye(4)[None, None], 0, 0.25),
        (IAFSqueeze(batch_size=1), torch.eye(4), 0, 0.25),
        (IAFRecurrent(nn.Linear(4, 4)), torch.eye(4)[None, [0, 0, 0]], 8, None),
        (CubaLIF((4, 4), has_rec=True), torch.zeros(1, 3, 4), 0, 0.0),
    ],
)
def test_a_single_layer_is_counted_under_an_empty_path(layer, x, synops, rate):
    analyzer = SNNAnalyzer(layer)
    for rec in layer.children():
        rec.weight.data.zero_()
        rec.bias.data.zero_()
    for _ in range(2):  # the second pass is not traced
        getattr(layer, "reset_states", lambda: None)()
        layer(x)
        model, layers = analyzer.get_model_statistics(), analyzer.get_layer_statistics()
        assert model["synops"].item() == synops
        if rate is not None:
            assert list(layers["spiking"]) == [""]
            assert model["firing_rate"].item() == layers["spiking"][""]["firing_rate"] == rate
        elif not isinstance(layer, IAFRecurrent):
            assert list(layers["parameter"]) == [""]


@each("model", [nn.ReLU(), NeuromorphicReLU(), nn.Sequential(nn.Flatten())])
def test_a_model_with_nothing_to_count_is_refused(model):
    with pytest.raises(ValueError, match="contains neither layers with weights nor spiking layers"):
        SNNAnalyzer(model)


def test_counts_past_the_integers_of_float32_are_exact():
    model = nn.Sequential(nn.Linear(5, 1), nn.Linear(1, 3))
    model[0].requires_grad_(False).weight.zero_()
    model[0].bias.zero_()
    x = torch.zeros(1, 5)
    x[0] = torch.tensor([2.0**24, 1, 1, 1, 1])  # 16 777 220, which float32 holds
    with register_synops_hooks(model), SNNAnalyzer(model) as analyzer:
        model(x)
    assert model.hook_data["total_synops_per_timestep"].item() == 2**24 + 4
    assert analyzer.get_model_statistics()["synops"].item() == 2**24 + 4
    with register_synops_hooks(model) as hooks:
        model(x[:, [0, 1, 2, 3, 0]])
    assert hooks.average()["total_synops_per_timestep"].item() == 2**25 + 3


def test_passes_are_the_last_one_or_their_mean():
    model = nn.Sequential(nn.Linear(9, 5))
    analyzer = SNNAnalyzer(model)
    model(torch.zeros(1, 9))
    model(torch.ones(1, 9))
    assert analyzer.get_model_statistics()["synops"].item() == 45
    assert analyzer.get_model_statistics(average=True)["synops"].item() == 22.5
    analyzer.reset()
    assert analyzer.get_layer_statistics() == {"spiking": {}, "parameter": {}}


def test_firing_rates_of_two_passes_are_averaged():
    model = eye_model()
    analyzer = SNNAnalyzer(model)
    model(spikes_of(0.25))
    assert analyzer.get_model_statistics()["firing_rate"].item() == 0.25
    model(spikes_of(0.5))
    layer = analyzer.get_layer_statistics()["spiking"]["1"]
    assert layer["firing_rate"].item() == 0.5
    assert layer["input"].shape == layer["output"].shape == (1, 8, 4)
    average = analyzer.get_layer_statistics(average=True)["spiking"]["1"]
    assert average["firing_rate"].item() == 0.375
    assert average["firing_rate_per_neuron"].mean().item() == 0.375
    assert analyzer.get_model_statistics(average=True)["firing_rate"].item() == 0.375


def test_synops_are_those_of_a_whole_sample():
    model = eye_model()
    analyzer = SNNAnalyzer(model, dt=0.5)
    model(torch.ones(2, 8, 4))
    found = analyzer.get_layer_statistics()["parameter"]["0"]
    assert (found["synops"].item(), found["num_timesteps"]) == (128, 8)
    assert (found["time_window"], found["synops/s"].item()) == (4.0, 32_000)


def test_convolutions_take_the_time_of_the_layers_around_them():
    model = nn.Sequential(FlattenTime(), nn.Conv2d(1, 1, 1), UnflattenTime(2), IAF())
    analyzer = SNNAnalyzer(model)
    model(torch.ones(2, 5, 1, 3, 3))
    found = analyzer.get_layer_statistics()["parameter"]["1"]
    assert (found["synops"].item(), found["num_timesteps"]) == (45, 5)


def test_layers_that_disagree_about_time_are_refused_by_path():
    model = nn.Sequential(IAFSqueeze(batch_size=2), IAFSqueeze(batch_size=3), nn.Conv1d(1, 1, 1))
    SNNAnalyzer(model)
    with pytest.raises(
        ValueError, match=r"2: layers split 6 rows into \[2, 3\] timesteps per sample"
    ):
        model(torch.ones(6, 1, 2))


@pytest.mark.parametrize(
    ("layer", "path"),
    [
        (IAFRecurrent(nn.Linear(3, 3)), "0.rec_connect"),
        (CubaLIF(3, has_rec=True, threshold=0.1), "0"),
    ],
)
def test_recurrent_weights_are_parameter_layers(layer, path):
    model = nn.Sequential(layer)
    analyzer = SNNAnalyzer(model)
    out = model(torch.rand(2, 6, 3).mul(5))
    found = analyzer.get_layer_statistics()["parameter"][path]
    assert found["num_timesteps"] == 6
    assert found["synops"].item() == pytest.approx(out[:, :-1].sum().item() * 3 / 2)
    model(torch.zeros(2, 1, 3))
    fed_back = 3 * out[:, -1].sum().item() / 2 if path == "0" else 0
    assert analyzer.get_model_statistics()["synops"].item() == pytest.approx(fed_back)
    average = analyzer.get_model_statistics(average=True)["synops"].item()
    assert average == pytest.approx((found["synops"].item() + fed_back) / 2)


def test_averages_can_be_differentiated_pass_after_pass():
    model = nn.Sequential(nn.Linear(4, 4), IAF(), nn.Linear(4, 2))
    analyzer = SNNAnalyzer(model)
    for _ in range(3):
        model(torch.rand(2, 5, 4).mul(9))
        figures = analyzer.get_model_statistics(average=True)
        (figures["synops"] + figures["firing_rate"]).backward()
    assert model[0].weight.grad.abs().sum() > 0


def test_a_model_that_is_analyzed_can_be_copied():
    model = nn.Sequential(nn.Linear(4, 4), IAF())
    analyzer = SNNAnalyzer(model)
    model(torch.ones(1, 8, 4))
    copy.deepcopy(model)(torch.zeros(1, 8, 4))
    assert analyzer.get_model_statistics()["synops"].item() == 128


def test_layers_that_give_state_and_record_too_are_analyzed():
    model = SynNet(2, 3, size_hidden_layers=[4], time_constants_per_layer=[2])
    with SNNAnalyzer(model) as analyzer, register_synops_hooks(model) as hooks:
        model(torch.ones(2, 5, 3))
    layers = analyzer.get_layer_statistics()
    synops = {path: layer["synops"].item() / 5 for path, layer in layers["parameter"].items()}
    found = hooks.average()["synops_per_timestep"]
    assert synops == pytest.approx({path: one.item() for path, one in found.items()})
    assert next(iter(synops.values())) == 12
    assert [layer["output"].shape for layer in layers["spiking"].values()] == [(2, 5, 4), (2, 5, 2)]


def test_a_removed_analyzer_keeps_what_it_has():
    model = eye_model()
    with SNNAnalyzer(model) as analyzer:
        model(torch.ones(1, 8, 4))
    model(torch.zeros(1, 8, 4))
    assert analyzer.get_model_statistics()["synops"].item() == 128
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_time_steps_are_positive_milliseconds():
    with pytest.raises(ValueError, match="dt must be > 0 ms"):
        SNNAnalyzer(eye_model(), dt=0)
