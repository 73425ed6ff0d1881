"""The layers with rockpool's names: arguments, constants, dropout, noise and manners."""

import copy
import math

import pytest
import torch

from toolchain import nn


def test_every_decay_can_be_asked_for_in_three_ways():
    layer = nn.LIFTorch((4, 4), tau_mem=1e-3 / math.log(2), tau_syn=20e-3)
    assert layer.alpha.item() == pytest.approx(0.5)
    assert layer.dash_mem.item() == pytest.approx(1.0)
    assert layer.beta.item() == pytest.approx(math.exp(-1 / 20))
    shifts = nn.LIFTorch((4, 4), leak_mode="bitshifts", dash_mem=3.0)
    assert shifts.alpha.item() == pytest.approx(1 - 1 / 8)
    assert shifts.tau_mem.item() == pytest.approx(-1e-3 / math.log(1 - 1 / 8))
    assert {name for name, _ in shifts.named_parameters()} == {
        "dash_mem",
        "dash_syn",
        "threshold",
        "bias",
    }
    assert copy.deepcopy(shifts).alpha.item() == shifts.alpha.item()
    with pytest.raises(AttributeError):
        _ = layer.gamma


def test_a_decay_given_trains_and_a_constant_does_not():
    layer = nn.LIFTorch(
        (4, 4),
        leak_mode="decays",
        alpha=nn.Constant(0.9),
        beta=torch.full((4, 1), 0.8),
        bias=nn.Constant(0.1),
        has_rec=True,
        w_rec=nn.Constant(torch.zeros(4, 4)),
    )
    trains = {name for name, p in layer.named_parameters() if p.requires_grad}
    assert trains == {"beta", "threshold"}
    assert layer.alpha.item() == pytest.approx(0.9)


@pytest.mark.parametrize("make", [nn.LIFTorch, nn.CubaLIF])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"leak_mode": "leaks"}, "unknown leak_mode 'leaks'; choose from taus, decays, bitshifts"),
        ({"alpha": 0.5}, "alpha is given, but leak_mode is 'taus'"),
        ({"leak_mode": "decays", "alpha": 1.5}, r"alpha must be in 0..1, got 1.5 to 1.5"),
        ({"leak_mode": "bitshifts", "dash_syn": -1.0}, "dash_syn must be >= 0"),
        ({"noise_std": -1.0}, "noise_std must be >= 0"),
        ({"tau_syn": 0.0}, "tau_syn must be > 0"),
    ],
)
def test_bad_constants_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make((4, 4), **arguments)


def test_names_that_do_not_train_are_checked():
    with pytest.raises(
        ValueError, match="trained contains 'alpha'; the layer's constants are tau_mem, tau_syn"
    ):
        nn.CubaLIF(4, trained=("alpha",))


def test_leak_modes_give_the_same_spikes():
    x = torch.randn(2, 40, 8) + 0.3
    alpha, beta = torch.rand(4) * 0.5 + 0.4, torch.rand(4, 2) * 0.5 + 0.4
    decays = nn.CubaLIF((8, 4), leak_mode="decays", alpha=alpha, beta=beta)
    taus = nn.CubaLIF((8, 4), tau_mem=decays.tau_mem, tau_syn=decays.tau_syn)
    dashes = {"dash_mem": decays.dash_mem, "dash_syn": decays.dash_syn}
    shifts = nn.CubaLIF((8, 4), leak_mode="bitshifts", **dashes)
    double = [layer.double()(x.double()) for layer in (decays, taus, shifts)]
    # the constants were turned into each other in single precision
    assert max((double[0] != other).double().mean() for other in double[1:]) < 0.01
    assert double[0].sum() > 50


def test_noise_has_the_deviation_asked_for():
    torch.manual_seed(0)
    layer = nn.LIFTorch((1, 1), tau_mem=1e-6, threshold=1e9, noise_std=2.0, dt=0.25)
    _, _, record = layer(torch.zeros(4, 8_000, 1), record=True)
    assert record["vmem"].std().item() == pytest.approx(2.0 * math.sqrt(0.25), rel=0.02)
    assert nn.LIFTorch((1, 1))(torch.zeros(1, 9, 1), record=True)[2]["vmem"].abs().sum() == 0


def test_one_sample_needs_no_batch_axis():
    layer = nn.LIFTorch((2, 2))
    assert layer(torch.ones(5, 2))[0].shape == (1, 5, 2)
    assert nn.LinearTorch((2, 3))(torch.ones(5, 2))[0].shape == (1, 5, 3)
    assert layer(torch.ones(1, 0, 2), record=True)[2]["isyn"].shape == (1, 0, 2, 1)
    with pytest.raises(ValueError, match=r"LIFTorch takes \(batch, time, 2\), got shape \(1, 5, 3"):
        layer(torch.ones(1, 5, 3))


def test_states_belong_to_each_sample_and_go_on():
    torch.manual_seed(0)
    layer = nn.LIFTorch((3, 3), has_rec=True)
    x = torch.rand(2, 20, 3)
    whole, state, _ = layer(x)
    assert state["vmem"].shape == (2, 3)
    layer.reset_state()
    halves = torch.cat([layer(x[:, :7])[0], layer(x[:, 7:])[0]], 1)
    torch.testing.assert_close(halves, whole)


def test_linear_weights_and_bias_start_within_their_bounds():
    torch.manual_seed(0)
    layer = nn.LinearTorch((50, 40), has_bias=True)
    assert 0.95 < layer.weight.abs().max().item() / math.sqrt(6 / 50) <= 1
    assert 0.8 < layer.bias.abs().max().item() * math.sqrt(50) <= 1
    assert nn.LinearTorch((50, 40)).bias is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (3,)}, r"shape must be \(inputs, outputs\)"),
        ({"shape": (3, 2), "bias": torch.ones(2)}, "bias is given, but has_bias is False"),
        ({"shape": (3, 2), "weight": torch.ones(2, 3)}, r"weight must be of shape \(3, 2\)"),
    ],
)
def test_bad_weights_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        nn.LinearTorch(**arguments)


def test_dropout_drops_single_spikes_in_training_and_scales_nothing():
    torch.manual_seed(0)
    layer = nn.TimeStepDropout((10,), p=0.25)
    x = torch.full((4, 100, 10), 3.0)
    out, state, record = layer(x)
    assert set(out.unique().tolist()) == {0.0, 3.0}
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert (state, record) == ({}, {})
    assert layer.eval()(x)[0] is x
    with pytest.raises(ValueError, match=r"p must be in 0..1, got 1\.5"):
        nn.TimeStepDropout(3, p=1.5)


def test_parameters_serve_torch_and_answer_by_name():
    seq = nn.TorchSequential(nn.LinearTorch((2, 3)), nn.LIFTorch((3, 3)))
    found = seq.parameters()
    assert len(list(found)) == len(list(found)) == len(list(found.astorch())) == 5
    assert next(found).shape == (2, 3)
    assert found["0_LinearTorch"]["weight"] is seq[0].weight
    assert [*found["1_LIFTorch"]] == ["tau_mem", "tau_syn", "threshold", "bias"]
    assert repr(nn.TimeStepDropout(3).parameters()) == "{}"
    assert torch.nn.utils.clip_grad_norm_(seq.parameters(), 1.0) == 0
    with pytest.raises(TypeError, match="have no families, got 'weights'; select them by name"):
        seq.parameters("weights")


def test_layers_with_one_output_stand_in_a_sequence_too():
    seq = nn.TorchSequential({"dense": torch.nn.Linear(2, 3), "iaf": nn.IAF()})
    out, state, record = seq(torch.rand(1, 5, 2), record=True)
    assert out.shape == (1, 5, 3)
    assert state == {"dense": {}, "iaf": {}}
    assert [*record] == ["dense", "dense_output", "iaf", "iaf_output"]
    with pytest.raises(ValueError, match="at least one module"):
        nn.TorchSequential()


def test_gradients_and_recordings_go_with_one_call():
    layer = nn.CubaLIF(3, record_states=True)
    layer(torch.ones(1, 9, 3)).sum().backward()
    nn.zero_grad(layer)
    assert all(p.grad is None for p in layer.parameters())
    assert not layer.recordings["v_mem"].requires_grad
