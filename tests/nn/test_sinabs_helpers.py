"""Helpers of sinabs: rows of a batch, replaced modules, compared activations, names at the top."""

import copy
import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import toolchain
from tests.cases import each
from toolchain.nn import (
    ALIF,
    IAF,
    LIF,
    CubaLIF,
    ExpLeak,
    IAFRecurrent,
    IAFSqueeze,
    LIFSqueeze,
    MaxSpike,
    MembraneReset,
    MembraneSubtract,
    MultiSpike,
    SingleExponential,
    SingleSpike,
    UnflattenTime,
    from_model,
    get_batch_size,
    get_num_timesteps,
    get_smallest_compatible_time_dimension,
    replace_module,
    replace_module_,
    set_batch_size,
)

# layers -> batch size, timesteps and rows, as sinabs 3.1.3 returns them
ROWS = [
    ([IAF()], -1, -1, 1),
    ([IAFSqueeze(batch_size=7)], 7, -1, 7),
    ([IAFSqueeze(num_timesteps=3)], -1, 3, 3),
    ([IAFSqueeze(batch_size=2), LIFSqueeze(tau_mem=2.0, num_timesteps=3)], 2, 3, 6),
    ([IAFSqueeze(batch_size=2, num_timesteps=4), IAF()], 2, 4, 8),
    ([IAFSqueeze(batch_size=2), nn.Sequential(IAFSqueeze(batch_size=2))], 2, -1, 2),
]


@each("layers, batch, steps, rows", ROWS)
def test_the_rows_of_a_model_are_those_of_its_layers(layers, batch, steps, rows):
    for model in [nn.Sequential(*layers), *(layers if len(layers) == 1 else [])]:
        assert get_batch_size(model) == batch
        assert get_num_timesteps(model) == steps
        assert get_smallest_compatible_time_dimension(model) == rows


def test_layers_with_other_rows_are_named():
    model = nn.Sequential(IAFSqueeze(batch_size=2), nn.Sequential(IAFSqueeze(batch_size=3)))
    with pytest.raises(ValueError, match=r"^layers have different batch_size: 0 2, 1\.0 3$"):
        get_batch_size(model)
    with pytest.raises(ValueError, match="different batch_size"):
        get_smallest_compatible_time_dimension(model)
    # torch raises a RuntimeError for a shape that does not fit
    with pytest.raises(RuntimeError, match="cannot split 3 rows"):
        model(torch.ones(3, 1))
    with pytest.raises(ValueError, match=r"batch_size must be >= 1, got 0"):
        set_batch_size(model, 0)
    assert get_batch_size(model[0]) == 2


def test_another_batch_size_reaches_every_layer():
    model = nn.Sequential(
        nn.Linear(3, 4), IAFSqueeze(batch_size=2), nn.Sequential(IAFSqueeze(batch_size=3)),
        UnflattenTime(batch_size=2),
    )  # fmt: skip
    x = torch.rand(5 * 4, 3)
    set_batch_size(model, 5)
    out = model(x)
    assert out.shape == (5, 4, 4)
    alone = nn.Sequential(model[0], IAF(), IAF())
    assert torch.equal(out, alone(x.reshape(5, 4, 3)))


def test_replaced_modules_are_those_of_the_class_alone():
    class Own(nn.ReLU):
        pass

    relu = nn.ReLU()
    model = nn.Sequential(relu, nn.Sequential(nn.Linear(2, 2), nn.ReLU()), relu, Own())
    replaced = replace_module(model, nn.ReLU, lambda found: IAF())
    assert isinstance(model[0], nn.ReLU)
    assert isinstance(model[1][1], nn.ReLU)
    assert isinstance(replaced[0], IAF)
    assert isinstance(replaced[1][1], IAF)
    # one activation in two places would be one membrane for both
    assert isinstance(replaced[2], IAF)
    assert replaced[2] is not replaced[0]
    assert type(replaced[3]) is Own
    assert type(replace_module(relu, nn.ReLU, lambda found: IAF())) is IAF
    assert replace_module_(model, nn.ReLU, lambda found: IAF()) is None
    assert isinstance(model[1][1], IAF)
    with pytest.warns(UserWarning, match="the model itself is a ReLU"):
        replace_module_(relu, nn.ReLU, lambda found: IAF())


def converted():
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(1, 2, 2, bias=False),
        nn.ReLU(),
        nn.Sequential(nn.Flatten(), nn.Linear(18, 4, bias=False), nn.ReLU()),
    )
    return from_model(ann, batch_size=1, min_v_mem=None)


def test_spikes_approach_the_activations_that_they_are_compared_with():
    net, data = converted(), torch.rand(1, 1, 4, 4).repeat(400, 1, 1, 1)
    net.spiking_model(data[:7])  # neither the states of a run nor the networks take part
    before = net.spiking_model[1].v_mem.clone()
    analog, spikes, names = net.compare_activations(data)
    assert names == ["Input", "1", "2.2"]
    assert np.array_equal(analog[0], data.sum(0, keepdim=True))
    assert np.array_equal(spikes[0], data.sum(0))
    assert np.allclose(analog[1], net.analog_model[:2](data.sum(0, keepdim=True)).detach())
    for one, many in zip(analog[1:], spikes[1:], strict=True):
        assert one[0].shape == many.shape
        assert np.abs(one[0] - many).max() <= 5
        assert one.max() > 30
    assert torch.equal(net.spiking_model[1].v_mem, before)
    assert not net.spiking_model[1]._forward_hooks
    rates = net.compare_activations(data, ["2.2", "0"], compute_rate=True)
    assert np.allclose(rates[1][0], spikes[2] / 400)
    assert rates[0][1].shape == (1, 2, 3, 3)
    with pytest.raises(ValueError, match=r"^1\.9, x: no such layer in both networks$"):
        net.compare_activations(data, ["x", "0", "1.9"])


def test_compared_activations_are_plotted():
    net, axes = converted(), Figure().subplots()
    analog, spikes = net.plot_comparison(torch.rand(9, 1, 4, 4), compute_rate=True, axes=axes)
    assert [len(points.get_offsets()) for points in axes.collections] == [16, 18, 4]
    for points, out, count in zip(axes.collections, analog, spikes, strict=True):
        assert np.allclose(points.get_offsets().data, np.stack([count.ravel(), out.ravel()], 1))
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "spikes per timestep",
        "activation of the original",
    )


@each(
    "spike_fn, reset_fn, count, membrane",
    [
        (SingleSpike, MembraneSubtract(), 1, 1.5),
        (MultiSpike, MembraneSubtract(0.5), 2, 1.5),
        (MultiSpike, MembraneReset(), 2, 0.0),
        (MaxSpike(1), MembraneSubtract(), 1, 1.5),
    ],
)
def test_spikes_and_resets_take_the_states_by_name(spike_fn, reset_fn, count, membrane):
    """sinabs' interface: the threshold a number, the states a dictionary."""
    states = {"v_mem": torch.tensor([2.5, 0.25], requires_grad=True), "i_syn": torch.ones(2)}
    spikes = spike_fn.apply(
        *(states[n] for n in spike_fn.required_states), 1.0, SingleExponential()
    )
    after = reset_fn(spikes, states, 1.0)
    assert spikes.tolist() == [count, 0]
    assert after["v_mem"].tolist() == [membrane, 0.25]
    assert after["i_syn"] is states["i_syn"]
    assert torch.equal(after["v_mem"], reset_fn(spikes, states["v_mem"], 1.0))


@each(
    "layer, spikes",
    [
        (IAF(), 25),
        (IAFSqueeze(batch_size=5), 25),
        (LIF(20.0, norm_input=False), 25),
        (ALIF(20.0, 20.0, norm_input=False), 25),
        (IAFRecurrent(nn.Linear(5, 5)), None),
        (CubaLIF(5), None),
    ],
)
def test_a_layer_keeps_the_rate_of_its_spikes(layer, spikes):
    assert layer.firing_rate is None
    x = torch.zeros(5, 10, 5)
    x[:, 0] = 1
    weight = torch.ones((), requires_grad=True)
    out = layer(weight * x.flatten(0, 1) if isinstance(layer, IAFSqueeze) else weight * x)
    assert layer.firing_rate == out.mean()
    if spikes is not None:
        assert layer.firing_rate.item() == pytest.approx(spikes / 250)
    layer.firing_rate.backward()
    assert weight.grad != 0
    assert copy.deepcopy(layer).firing_rate.item() == layer.firing_rate.item()
    layer.detach_states()
    assert not layer.firing_rate.requires_grad
    if isinstance(layer, IAF):
        layer(x[:, :0])
        assert layer.firing_rate == 0


def test_a_layer_without_spikes_has_no_rate():
    layer = ExpLeak(5.0)
    layer(torch.ones(1, 3, 2))
    assert layer.firing_rate is None


@each("train_alphas", [False, True])
def test_time_constants_and_factors_follow_from_each_other(train_alphas):
    tau_mem = torch.tensor([[30.0, 40.0], [35.0, 45.0]])
    layer = LIF(tau_mem, tau_syn=20.0, train_alphas=train_alphas)
    torch.testing.assert_close(layer.tau_mem_calculated.detach(), tau_mem)
    torch.testing.assert_close(layer.alpha_mem_calculated.detach(), torch.exp(-1 / tau_mem))
    assert layer.tau_syn_calculated.item() == pytest.approx(20, rel=1e-5)
    assert layer.alpha_syn_calculated.item() == pytest.approx(math.exp(-1 / 20))
    # what trains is reached from either
    layer.tau_mem_calculated.sum().backward()
    layer.alpha_mem_calculated.sum().backward()
    without = ExpLeak(5.0, train_alphas=train_alphas)
    assert without.tau_syn_calculated is without.alpha_syn_calculated is None


def test_states_of_a_network_are_drawn_within_the_given_ranges():
    net = converted()
    net(torch.rand(3, 1, 4, 4))
    first, last = (m for m in net.spiking_model.modules() if isinstance(m, IAFSqueeze))
    net.reset_states(randomize=True, value_ranges=[{"v_mem": (2.0, 3.0)}, {"v_mem": (-1.0, 0.0)}])
    assert (first.v_mem >= 2).all()
    assert (last.v_mem <= 0).all()
    assert (last.v_mem != 0).any()
    with pytest.raises(ValueError, match="1 value_ranges for 2 spiking layers"):
        net.reset_states(randomize=True, value_ranges=[{}])
    net.reset_states()
    assert not first.v_mem.any()


def test_names_that_sinabs_has_at_its_top_come_on_first_use():
    assert toolchain.reset_states is toolchain.nn.reset_states
    assert toolchain.SNNAnalyzer is toolchain.synops.SNNAnalyzer
    for name in ("Network", "SynOpCounter", "from_model", "set_batch_size", "zero_grad"):
        assert name in dir(toolchain)
        assert getattr(toolchain, name).__module__.startswith(("toolchain.nn", "toolchain.synops"))
    with pytest.raises(AttributeError, match="module 'toolchain' has no attribute 'nothing'"):
        toolchain.nothing  # noqa: B018
