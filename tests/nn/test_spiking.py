"""The dynamics of the spiking layers against worked numbers and an obvious loop."""

import copy

import numpy as np
import pytest
import torch
from torch import nn as torch_nn

from toolchain import nn


def steps(*values):
    """One sample, one neuron: (1, time, 1)."""
    return torch.tensor(values)[None, :, None]


def flat(tensor):
    return tensor.detach().flatten().numpy()


def test_iaf_gives_the_worked_numbers_of_sinabs():
    layer = nn.IAF(spike_threshold=1.0, min_v_mem=-1.0, record_states=True)
    out = layer(steps(0.5, 0.5, 2.7, -5.0, 0.9, 0.2, 1.0))
    np.testing.assert_array_equal(flat(out), [0, 1, 2, 0, 0, 0, 1])
    v = [0.5, 0, 0.7, -1, -0.1, 0.1, 0.1]
    np.testing.assert_allclose(flat(layer.recordings["v_mem"]), v, atol=1e-6)


@pytest.mark.parametrize(
    ("norm_input", "spikes", "v"),
    [
        (False, [0, 1, 0], [0.6, 0.1429, 0.7293]),
        (True, [0, 0, 0], [0.0571, 0.1088, 0.1555]),
    ],
)
def test_lif_gives_the_worked_numbers_of_sinabs(norm_input, spikes, v):
    layer = nn.LIF(10.0, norm_input=norm_input, record_states=True)
    np.testing.assert_array_equal(flat(layer(steps(0.6, 0.6, 0.6))), spikes)
    np.testing.assert_allclose(flat(layer.recordings["v_mem"]), v, atol=5e-5)


def test_the_synapse_adds_then_decays():
    layer = nn.LIF(10.0, tau_syn=5.0, record_states=True)
    layer(steps(1.0, 0.0, 0.0))
    i = [0.8187, 0.6703, 0.5488]
    np.testing.assert_allclose(flat(layer.recordings["i_syn"]), i, atol=5e-5)


def test_exp_leak_is_the_membrane_without_spikes():
    out = nn.ExpLeak(10.0)(steps(1.0, 0.0, 0.0))
    np.testing.assert_allclose(flat(out), [1, 0.9048, 0.8187], atol=5e-5)


def test_train_alphas_keeps_the_decay_factor_itself():
    layer = nn.LIF(10.0, train_alphas=True)
    assert set(layer.state_dict()) == {"spike_threshold", "alpha_mem", "v_mem"}
    torch.testing.assert_close(layer.decays().alpha_mem, torch.exp(torch.tensor(-0.1)))
    x = torch.rand(2, 20, 3) * 5
    torch.testing.assert_close(layer(x), nn.LIF(10.0)(x))


def test_spike_functions_limit_the_count():
    x = steps(3.5)
    assert flat(nn.IAF(spike_fn=nn.MultiSpike)(x)) == [3]
    assert flat(nn.IAF(spike_fn=nn.MaxSpike(2))(x)) == [2]
    assert flat(nn.IAF(spike_fn=nn.SingleSpike)(x)) == [1]


def test_resets():
    x = steps(1.5, 0.25)

    def v(reset):
        layer = nn.IAF(reset_fn=reset, record_states=True)
        layer(x)
        return flat(layer.recordings["v_mem"]).tolist()

    assert v(nn.MembraneSubtract()) == [0.5, 0.75]
    assert v(nn.MembraneSubtract(0.25)) == [1.25, 1.25]
    assert v(nn.MembraneReset()) == [0, 0.25]
    assert v(nn.MembraneReset(0.5)) == [0.5, 0.75 + 0.5]  # added to every neuron, every step


def test_a_tie_at_the_threshold_fires():
    for spike_fn in (nn.MultiSpike, nn.SingleSpike, nn.MaxSpike(3)):
        assert flat(nn.IAF(spike_fn=spike_fn)(steps(1.0))) == [1]


def test_the_recurrent_connection_is_silent_in_the_first_step():
    back = torch_nn.Linear(1, 1)
    with torch.no_grad():
        back.weight.fill_(2.0)
        back.bias.fill_(0.25)
    layer = nn.IAFRecurrent(back, record_states=True)
    np.testing.assert_array_equal(flat(layer(steps(1.0, 0.0, 0.0))), [1, 2, 4])
    v = [0, 0.25, 0.5]
    np.testing.assert_array_equal(flat(layer.recordings["v_mem"]), v)


def test_lif_recurrent_equals_an_obvious_loop():
    torch.manual_seed(0)
    back = torch_nn.Linear(4, 4)
    layer = nn.LIFRecurrent(8.0, back, tau_syn=3.0, min_v_mem=-0.5).double()
    x = torch.rand(2, 30, 4, dtype=torch.double) * 4
    w, b = back.weight.detach().numpy(), back.bias.detach().numpy()
    a, s = np.exp(-1 / 8), np.exp(-1 / 3)
    v, i, z, out = np.zeros((2, 4)), np.zeros((2, 4)), None, []
    for t in range(30):
        i = s * (i + x[:, t].numpy() + (0 if z is None else z @ w.T + b))
        v = a * v + (1 - a) * i
        z = np.where(v > 0, np.trunc(v), 0)
        v = np.maximum(v - z, -0.5)
        out.append(z)
    assert np.stack(out, 1).sum() > 20
    np.testing.assert_array_equal(layer(x).detach().numpy(), np.stack(out, 1))


def test_squeeze_layers_are_batch_major():
    x = torch.rand(3, 5, 2, 4, 4) * 2
    want = nn.IAF()(x)
    rows = x.flatten(0, 1)
    for squeeze in (nn.IAFSqueeze(batch_size=3), nn.IAFSqueeze(num_timesteps=5)):
        torch.testing.assert_close(squeeze(rows), want.flatten(0, 1))
    lif = nn.LIFSqueeze(3, 5, tau_mem=4.0)
    torch.testing.assert_close(lif(rows), nn.LIF(4.0)(x).flatten(0, 1))


def test_squeeze_refuses_rows_that_do_not_divide():
    with pytest.raises(TypeError, match="needs batch_size or num_timesteps"):
        nn.IAFSqueeze(batch_size=-1)
    with pytest.raises(ValueError, match="cannot split 7 rows"):
        nn.IAFSqueeze(batch_size=2)(torch.ones(7, 1))
    with pytest.raises(ValueError, match="cannot split 6 rows"):
        nn.IAFSqueeze(batch_size=2, num_timesteps=2)(torch.ones(6, 1))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="tau_mem must be > 0 timesteps, got 0"):
        nn.LIF(0.0)
    with pytest.raises(ValueError, match="max_num_spikes_per_bin must be >= 1, got 0"):
        nn.MaxSpike(0)
    with pytest.raises(ValueError, match=r"takes \(batch, time, ...\), got shape \(3,\)"):
        nn.IAF()(torch.ones(3))


# ---- state ----


def test_state_goes_on_from_call_to_call_until_reset():
    layer = nn.IAF()
    x = torch.rand(2, 12, 3)
    whole = layer(x)
    layer.reset_states()
    parts = torch.cat([layer(x[:, :5]), layer(x[:, 5:])], dim=1)
    torch.testing.assert_close(parts, whole)
    model = torch_nn.Sequential(layer)
    nn.reset_states(model)
    assert not layer.v_mem.any()


def test_another_batch_size_starts_at_zero():
    layer = nn.IAF()
    layer(torch.full((2, 3, 1), 0.3))
    assert flat(layer(torch.full((3, 1, 1), 0.5))).tolist() == [0, 0, 0]
    assert layer.v_mem.flatten().tolist() == [0.5, 0.5, 0.5]


def test_copies_work_after_training():
    layer = nn.LIF(5.0, record_states=True)
    layer(torch.rand(2, 4, 3)).sum().backward()
    assert layer.recordings["v_mem"].requires_grad
    twin = copy.deepcopy(layer)
    torch.testing.assert_close(twin.v_mem, layer.v_mem)
    nn.detach_states(layer)
    assert not layer.recordings["v_mem"].requires_grad


def test_backward_works_call_after_call():
    model = torch_nn.Sequential(torch_nn.Linear(3, 4), nn.LIF(5.0, tau_syn=2.0))
    for _ in range(3):
        model.zero_grad()
        model(torch.rand(2, 10, 3) * 10).sum().backward()
        assert model[0].weight.grad.abs().sum() > 0
        assert model[1].tau_mem.grad.abs() > 0


def test_two_layers_never_share_a_threshold_tensor():
    threshold = torch.tensor(2.0)
    one, other = nn.IAF(threshold), nn.IAF(threshold)
    one.spike_threshold += 1
    assert (threshold, other.spike_threshold) == (2.0, 2.0)


def test_a_threshold_given_as_parameter_trains():
    threshold = torch_nn.Parameter(torch.tensor([1.0, 2.0]))
    layer = nn.IAF(threshold)
    layer(torch.rand(2, 20, 2) * 2).sum().backward()
    assert layer.spike_threshold is threshold
    assert (threshold.grad < 0).all()  # a higher threshold means fewer spikes


def test_constants_of_a_layer_are_set_as_numbers():
    layer = nn.IAF().double()
    layer.min_v_mem, layer.spike_threshold = -0.1, 2
    assert layer(torch.full((1, 4, 1), 1.0).double()).sum() == 2
    assert layer.spike_threshold.dtype == torch.float64
    layer(torch.full((1, 4, 1), -1.0).double())
    assert layer.v_mem.item() == pytest.approx(-0.1)
    layer.min_v_mem = None
    layer(torch.full((1, 4, 1), -1.0).double())
    assert layer.v_mem.item() == pytest.approx(-4.1)
    again = type(layer)(**layer.arg_dict)
    assert (float(again.spike_threshold), again.min_v_mem) == (2, None)


def test_double_precision_and_zero_steps():
    layer = nn.LIF(5.0).double()
    assert layer(torch.rand(2, 3, 4, dtype=torch.double)).dtype == torch.double
    assert layer(torch.rand(2, 0, 4, dtype=torch.double)).shape == (2, 0, 4)
