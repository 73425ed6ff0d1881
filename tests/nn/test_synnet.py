"""SynNet: what the tutorial does with it works, and what it refuses."""

import copy

import pytest
import torch

from toolchain import nn
from toolchain.nn.synnet import quantized_time_constant, time_constants

TUTORIAL = {
    "n_channels": 16,
    "n_classes": 1,
    "size_hidden_layers": [24, 24, 24],
    "time_constants_per_layer": [2, 4, 8],
}


def spikes(*shape):
    torch.manual_seed(0)
    return torch.poisson(torch.full(shape, 0.5))


def test_a_network_prints_as_in_the_tutorial():
    assert str(nn.SynNet(**TUTORIAL)).splitlines() == [
        "SynNet with shape (16, 1) {",
        "    TorchSequential 'seq' with shape (16, 1) {",
        "        LinearTorch '0_linear' with shape (16, 24)",
        "        LIFTorch '0_neurons' with shape (24, 24)",
        "        LinearTorch '1_linear' with shape (24, 24)",
        "        LIFTorch '1_neurons' with shape (24, 24)",
        "        LinearTorch '2_linear' with shape (24, 24)",
        "        LIFTorch '2_neurons' with shape (24, 24)",
        "        LinearTorch 'out_linear' with shape (24, 1)",
        "        LIFTorch 'out_neurons' with shape (1, 1)",
        "    }",
        "}",
    ]


def test_layers_are_found_by_name_and_by_place():
    net = nn.SynNet(**TUTORIAL)
    assert net.lif_names == ["0_neurons", "1_neurons", "2_neurons", "out_neurons"]
    assert repr(net.seq[net.lif_names[0]]) == "LIFTorch '0_neurons' with shape (24, 24)"
    assert repr(net.seq[-1]) == "LIFTorch 'out_neurons' with shape (1, 1)"
    assert [name for name, _ in net.seq.modules().items() if "linear" in name] == [
        "0_linear",
        "1_linear",
        "2_linear",
        "out_linear",
    ]
    assert net.seq[0] is net.seq["0_linear"]
    assert len(net.seq) == len(list(net.seq)) == 8
    assert {*net.modules()} >= {net, net.seq, *net.seq}


def test_only_the_weights_train_unless_more_is_asked_for():
    plain = dict(nn.SynNet(**TUTORIAL).named_parameters())
    assert {name.rsplit(".", 1)[1] for name in plain} == {"weight"}
    net = nn.SynNet(**TUTORIAL, train_time_constants=True, train_threshold=True)
    found = net.seq["0_neurons"].parameters()
    assert [*found.keys()] == ["tau_mem", "tau_syn", "threshold"]
    assert found["tau_mem"].shape == ()
    assert found["tau_syn"].shape == (24, 1)
    assert [*net.seq["out_neurons"].parameters()] == []
    assert found["tau_mem"].item() == pytest.approx(1e-3 / torch.log(torch.tensor(2.0)).item())


def test_time_constants_are_a_geometric_series_cut_short():
    got = time_constants(5, 3, 3e-3, 1e-3)
    assert got == pytest.approx([3e-3, 9e-3, 27e-3, 3e-3, 9e-3])


def test_quantized_time_constants_are_those_of_bit_shifts():
    series = [quantized_time_constant(1e-3 * 2**j, 1e-3) for j in range(1, 11)]
    expected = [1.4427, 3.4761, 7.4889, 15.495, 31.497, 63.499, 127.5, 255.5, 511.5, 1023.5]
    assert [1e3 * tau for tau in series] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match=r"too short for dt = 0\.001 s: .* at least 0\.000814 s"):
        quantized_time_constant(0.5e-3, 1e-3)


def test_weights_start_within_their_bounds():
    torch.manual_seed(0)
    net = nn.SynNet(n_classes=2, n_channels=500, size_hidden_layers=[4],
                    time_constants_per_layer=[4])  # fmt: skip
    bound = (6 / 500) ** 0.5 * 1e-3 / net.seq["0_neurons"].tau_syn.squeeze(1)
    largest = net.seq["0_linear"].weight.detach().abs().max(0).values
    assert bool((largest <= bound).all())
    assert bool((largest > 0.97 * bound).all())


def test_dropout_layers_follow_the_hidden_neurons():
    net = nn.SynNet(**TUTORIAL, p_dropout=0.1)
    assert [name for name, _ in net.seq.modules().items() if "dropout" in name] == [
        "0_dropout",
        "1_dropout",
        "2_dropout",
    ]
    assert repr(net.seq["1_dropout"]) == "TimeStepDropout '1_dropout' with shape (24,)"


def test_output_can_be_switched_at_any_time():
    net = nn.SynNet(n_channels=4, n_classes=2, output="vmem", threshold=0.5)
    torch.nn.init.constant_(net.seq["0_linear"].weight, 0.1)
    torch.nn.init.constant_(net.seq["out_linear"].weight, 0.01)
    x = spikes(1, 50, 4)
    vmem, _, _ = net(x)
    assert vmem.max() > 0.5  # and none of it was reset
    net.reset_state()
    net.output = "spike"
    fired, _, _ = net(x)
    assert net.output == "spike"
    assert set(fired.unique().tolist()) == {0, 1}
    fresh = nn.SynNet(n_channels=4, n_classes=2, threshold=0.5)
    fresh.load_state_dict(net.state_dict())
    torch.testing.assert_close(fresh(x)[0], fired)
    with pytest.raises(
        ValueError, match="unknown output 'voltage'; choose from 'spike', 'spikes', 'vmem'"
    ):
        net.output = "voltage"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"size_hidden_layers": [3, 3]},
            "2 entries, time_constants_per_layer 1; both need one entry",
        ),
        ({"tau_syn_base": 1e-3}, "tau_syn_base must be longer than dt = 0.001 s, got 0.001 s"),
        ({"output": "current"}, "unknown output 'current'; choose from"),
        ({"output": "vmem", "threshold_out": 1.0}, "threshold_out has no effect"),
        ({"time_constants_per_layer": [0]}, "at least one neuron and one time constant"),
        ({"neuron_model": nn.CubaLIF}, "must be LIFTorch or a subclass, got CubaLIF"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        nn.SynNet(n_classes=2, n_channels=4, **options)


def test_the_training_loop_of_the_tutorial_runs_and_learns():
    torch.manual_seed(0)
    net = nn.SynNet(n_channels=4, n_classes=1, size_hidden_layers=[4], output="vmem")
    before = copy.deepcopy(net.state_dict())
    optimizer = torch.optim.Adam(net.parameters().astorch(), lr=1e-2)
    inputs, target = spikes(1, 100, 4), torch.ones(1, 100, 1)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        net.reset_state()
        output, _, _ = net(inputs)
        loss = torch.nn.functional.mse_loss(output, target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert not torch.equal(before["seq.0_linear.weight"], net.seq["0_linear"].weight)


def test_state_and_record_come_by_name():
    net = nn.SynNet(n_channels=4, n_classes=2, size_hidden_layers=[3], p_dropout=0.5)
    x = spikes(2, 10, 4)
    _, state, record = net(x)
    assert record == {}
    assert [*state] == ["seq"]
    assert state["seq"]["0_neurons"]["isyn"].shape == (2, 3, 1)
    out, _, record = net(x, record=True)
    assert record["0_neurons"]["vmem"].shape == (2, 10, 3)
    assert record["0_linear_output"].shape == (2, 10, 3)
    assert record["out_neurons_output"] is out


def test_neuron_arguments_reach_every_layer():
    net = nn.SynNet(n_channels=4, n_classes=2, neuron_kwargs={"noise_std": 0.5})
    assert all(net.seq[name].noise_std == 0.5 for name in net.lif_names)
