"""From ReLU networks to spiking ones: rates, refusals, and weights on a common scale."""

import numpy as np
import pytest
import torch
from torch import nn as torch_nn

from toolchain import deploy, nn


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def dense(bias=True):
    return torch_nn.Sequential(
        torch_nn.Linear(6, 8, bias=bias),
        torch_nn.ReLU(),
        torch_nn.Linear(8, 5, bias=bias),
        torch_nn.ReLU(),
    )


def image():
    return torch_nn.Sequential(
        torch_nn.Conv2d(2, 4, 3, bias=False),
        nn.NeuromorphicReLU(),
        torch_nn.AvgPool2d(2),
        torch_nn.Dropout(0.2),
        torch_nn.Flatten(),
        torch_nn.Linear(4 * 4 * 4, 3, bias=False),
    )


def test_one_layer_fires_at_the_rate_of_its_activation():
    ann = torch_nn.Sequential(torch_nn.Linear(6, 50), torch_nn.ReLU())
    net = nn.from_model(ann, num_timesteps=200, min_v_mem=None)
    x = torch.rand(3, 6)
    rates = net(x.repeat_interleave(200, 0)).reshape(3, 200, 50).mean(1)
    assert (rates - ann(x)).abs().max() <= 1 / 200 + 1e-5


def test_deeper_rates_approach_the_activations():
    ann = dense()
    x = torch.rand(4, 6) * 3
    errors = []
    for steps in (20, 500):
        net = nn.from_model(ann, num_timesteps=steps)
        rates = net(x.repeat_interleave(steps, 0)).reshape(4, steps, 5).mean(1)
        errors.append((rates - ann(x)).abs().max().item())
    assert errors[1] < 0.02 < errors[0]


def test_the_original_stays_and_stands_beside_the_copy():
    ann = dense()
    net = nn.from_model(ann, batch_size=1)
    assert net.analog_model is ann
    assert [type(layer) for layer in ann] == [torch_nn.Linear, torch_nn.ReLU] * 2
    assert [type(layer) for layer in net.spiking_model] == [torch_nn.Linear, nn.IAFSqueeze] * 2
    assert net.spiking_model[1].min_v_mem.item() == -1
    net(torch.rand(9, 6))
    net.reset_states()
    assert not net.spiking_model[1].v_mem.any()


def test_a_spiking_output_is_added_where_there_is_none():
    assert [*dict(nn.from_model(dense(), batch_size=1, add_spiking_output=True)
                  .spiking_model.named_children())] == ["0", "1", "2", "3"]  # fmt: skip
    net = nn.from_model(image(), batch_size=1, add_spiking_output=True).spiking_model
    assert isinstance(net.spike_output, nn.IAFSqueeze)


def test_layers_on_time_may_stand_in_for_relus():
    ann = dense()
    timed = nn.from_model(ann, spike_layer_class=nn.IAF).spiking_model
    rows = nn.from_model(ann, batch_size=2).spiking_model
    x = torch.rand(2, 30, 6)
    torch.testing.assert_close(timed(x).flatten(0, 1), rows(x.flatten(0, 1)))


def test_biases_are_divided_batch_norm_included():
    ann = torch_nn.Sequential(torch_nn.Linear(4, 3), torch_nn.BatchNorm1d(3), torch_nn.ReLU())
    torch_nn.init.uniform_(ann[1].running_mean)
    torch_nn.init.uniform_(ann[1].bias)
    net = nn.from_model(ann.eval(), batch_size=1, bias_rescaling=8.0).spiking_model
    x = torch.rand(5, 4)
    torch.testing.assert_close(8 * net[:2](x / 8), ann[:2](x))


class Twice(torch_nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.relu = (
            torch_nn.Linear(4, 4),
            torch_nn.Linear(4, 4),
            torch_nn.ReLU(),
        )

    def forward(self, x):
        return self.relu(self.two(self.relu(self.one(x))))


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            torch_nn.Sequential(torch_nn.Sigmoid(), torch_nn.ReLU(), torch_nn.LSTM(3, 3)),
            {},
            r"no spiking counterpart for layer '0' \(Sigmoid\), layer '2' \(LSTM\); supported are",
        ),
        (torch_nn.Linear(3, 3), {}, "Linear contains no nn.ReLU or NeuromorphicReLU to convert"),
        (dense(), {"bias_rescaling": 0.0}, "bias_rescaling must be > 0"),
        (
            Twice(),
            {"input_shape": (4,)},
            r"called more than once in a forward pass: 'relu' \(2 times\)",
        ),
        (Twice(), {"add_spiking_output": True}, "add_spiking_output needs an nn.Sequential"),
    ],
)
def test_what_cannot_be_converted_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        nn.from_model(model, **{"batch_size": 1, **options})


def test_the_split_of_the_rows_must_be_given():
    with pytest.raises(TypeError, match="IAFSqueeze needs batch_size or num_timesteps"):
        nn.from_model(dense())


def test_one_relu_in_two_places_becomes_two_layers():
    relu = torch_nn.ReLU()
    ann = torch_nn.Sequential(torch_nn.Linear(4, 4), relu, torch_nn.Linear(4, 4), relu)
    net = nn.from_model(ann, input_shape=(4,), batch_size=1).spiking_model
    assert net[1] is not net[3]


def test_a_converted_network_walks_to_speck():
    net = nn.from_model(image(), (2, 10, 10), num_timesteps=10, add_spiking_output=True)
    x = torch.poisson(torch.full((30, 2, 10, 10), 0.5))
    d = deploy(net.spiking_model, chip="speck", sample=x, dt=1e-3)
    assert d.placement == {"1": "core 0", "spike_output": "core 7"}
    assert d.simulate(x.numpy().astype(int).reshape(3, 10, 2, 10, 10)).spikes.shape == (3, 10, 3)


def activations(model, x):
    found = []
    handles = [
        layer.register_forward_hook(lambda *given: found.append(given[-1].detach().clone()))
        for layer in model.modules()
        if isinstance(layer, torch_nn.ReLU)
    ]
    out = model(x)
    for handle in handles:
        handle.remove()
    return [*found, out.detach()]


@pytest.mark.parametrize("norm", [False, True])
def test_normalized_activations_are_the_originals_on_a_scale_of_one(norm):
    middle = [torch_nn.BatchNorm2d(4)] if norm else []
    ann = torch_nn.Sequential(
        *(torch_nn.Conv2d(2, 4, 3), *middle, torch_nn.ReLU(), torch_nn.AvgPool2d(2)),
        *(torch_nn.Flatten(), torch_nn.Linear(64, 20), torch_nn.ReLU(), torch_nn.Linear(20, 5)),
    )
    if norm:
        torch_nn.init.uniform_(ann[1].running_mean)
        torch_nn.init.uniform_(ann[1].weight)
    ann.eval()
    x = torch.rand(30, 2, 10, 10) * 5
    scaled = nn.normalize_weights(ann, x, percentile=95)
    for mine, theirs in zip(activations(scaled, x), activations(ann, x), strict=True):
        factor = np.percentile(theirs[theirs > 0], 95)
        torch.testing.assert_close(mine * factor, theirs, rtol=1e-4, atol=1e-4)
        assert np.percentile(mine[mine > 0], 95) == pytest.approx(1, rel=1e-4)


def test_normalized_networks_fire_about_once_a_step():
    ann = dense()
    x = torch.rand(50, 6) * 40
    net = nn.from_model(nn.normalize_weights(ann, x), num_timesteps=100)
    rates = net(x.repeat_interleave(100, 0)).reshape(50, 100, 5).mean(1)
    assert 0.5 < rates.max() <= 1.05
    assert not nn.normalize_weights(ann.eval(), x).training


class Branched(Twice):
    def forward(self, x):
        return self.two(self.relu(self.one(x)) + x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Branched(), "must form a chain of modules, but 'two' does not take the output of 'relu'"),
        (Twice(), "one of them is called twice"),
        (torch_nn.Sequential(torch_nn.ReLU()), r"'0' \(ReLU\) has no weights before it"),
        (
            torch_nn.Sequential(torch_nn.Linear(4, 4), nn.NeuromorphicReLU()),
            "'1' outputs integers; only nn.ReLU can be scaled",
        ),
        (torch_nn.Sequential(torch_nn.Linear(4, 4), torch_nn.Tanh()), "no spiking counterpart for"),
        (
            torch_nn.Sequential(torch_nn.BatchNorm1d(4), torch_nn.ReLU()),
            "batch norm directly after",
        ),
        (
            torch_nn.Sequential(
                torch_nn.Linear(4, 4), torch_nn.BatchNorm1d(4, affine=False), torch_nn.ReLU()
            ),
            "cannot take a scale; use affine=True",
        ),
    ],
)
def test_what_cannot_be_normalized_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        nn.normalize_weights(model, torch.rand(9, 4))


def test_layers_without_output_and_odd_percentiles_are_refused():
    ann = torch_nn.Sequential(torch_nn.Linear(4, 4), torch_nn.ReLU())
    torch_nn.init.constant_(ann[0].weight, -1)
    torch_nn.init.zeros_(ann[0].bias)
    with pytest.raises(ValueError, match="'1' has no positive output on the data to normalize by"):
        nn.normalize_weights(ann, torch.rand(9, 4))
    with pytest.raises(ValueError, match=r"percentile must be in 0..100, got 0"):
        nn.normalize_weights(ann, torch.rand(9, 4), percentile=0)


def test_modes_of_every_layer_stay_as_they_were():
    ann = image()
    ann[3].eval()
    net = nn.from_model(ann, (2, 10, 10), batch_size=1).spiking_model
    assert [layer.training for layer in net] == [layer.training for layer in ann]
    ann[1] = torch_nn.ReLU()
    scaled = nn.normalize_weights(ann, torch.rand(9, 2, 10, 10) * 9)
    assert [layer.training for layer in scaled] == [layer.training for layer in ann]
    assert nn.from_model(ann.double(), (2, 10, 10), batch_size=1)
