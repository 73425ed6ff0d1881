"""CubaLIF against an independent loop, written from the equations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolchain import nn


def obvious(x, layer, dt, w_rec=None):
    """Spikes of the equations, in numpy."""
    batch, time, _ = x.shape
    n, s = layer.neurons, layer.synapses
    values = {k: v.detach().numpy() for k, v in layer.named_parameters()}
    tau_syn = values["tau_syn"]
    if tau_syn.ndim == 1:
        tau_syn = tau_syn[:, None]
    v, i, z = np.zeros((batch, n)), np.zeros((batch, n, s)), np.zeros((batch, n))
    out = []
    for t in range(time):
        drive = x[:, t] + (0 if w_rec is None else z @ w_rec)
        i = (i + drive.reshape(batch, n, s)) * np.exp(-dt / tau_syn)
        v = v * np.exp(-dt / values["tau_mem"]) + (i.sum(2) + values["bias"])
        z = np.where(v >= values["threshold"], np.floor(v / values["threshold"]), 0)
        z = np.minimum(z, layer.spike_fn.max_num_spikes_per_bin)
        v = v - z * values["threshold"]
        out.append(z)
    return np.stack(out, 1)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    neurons=st.integers(1, 5),
    synapses=st.integers(1, 3),
    recurrent=st.booleans(),
    limit=st.integers(1, 40),
)
def test_spikes_equal_the_equations(seed, neurons, synapses, recurrent, limit):
    rng = np.random.default_rng(seed)
    w_rec = rng.normal(0, 0.4, (neurons, neurons * synapses)) if recurrent else None
    layer = nn.CubaLIF(
        (neurons * synapses, neurons),
        tau_mem=torch.from_numpy(rng.uniform(2e-3, 50e-3, neurons)),
        tau_syn=torch.from_numpy(rng.uniform(2e-3, 50e-3, (neurons, synapses))),
        threshold=torch.from_numpy(rng.uniform(0.3, 2, neurons)),
        bias=torch.from_numpy(rng.normal(0, 0.1, neurons)),
        dt=2e-3,
        has_rec=recurrent,
        w_rec=None if w_rec is None else torch.from_numpy(w_rec),
        max_spikes_per_dt=limit,
    )
    x = rng.normal(0.1, 0.5, (2, 25, neurons * synapses))
    want = obvious(x, layer, 2e-3, w_rec)
    np.testing.assert_array_equal(layer(torch.from_numpy(x)).detach().numpy(), want)


def test_defaults_are_those_of_the_field():
    layer = nn.CubaLIF(3)
    assert (layer.neurons, layer.synapses, layer.dt) == (3, 1, 1e-3)
    assert layer.spike_fn.max_num_spikes_per_bin == 2**16
    assert {k for k, _ in layer.named_parameters()} == {"tau_mem", "tau_syn", "threshold", "bias"}
    assert layer.alpha.item() == pytest.approx(np.exp(-1 / 20))


def test_only_what_is_asked_for_trains():
    layer = nn.CubaLIF(3, has_rec=True, trained=("bias",))
    assert {k for k, _ in layer.named_parameters()} == {"bias", "w_rec"}
    assert {k for k, _ in layer.named_buffers()} == {"tau_mem", "tau_syn", "threshold"}


def test_gradients_flow_through_recurrence_call_after_call():
    torch.manual_seed(0)
    layer = nn.CubaLIF((4, 2), has_rec=True, record_states=True)
    for _ in range(2):
        layer.zero_grad()
        layer(torch.rand(2, 20, 4)).sum().backward()
        assert all(p.grad.abs().sum() > 0 for p in layer.parameters())
    assert layer.recordings["v_mem"].shape == (2, 20, 2)
    assert layer.recordings["i_syn"].shape == (2, 20, 2, 2)


def test_recurrent_state_goes_on_from_call_to_call():
    torch.manual_seed(0)
    layer = nn.CubaLIF(3, has_rec=True)
    x = torch.rand(2, 20, 3)
    whole = layer(x)
    nn.reset_states(layer)
    torch.testing.assert_close(torch.cat([layer(x[:, :7]), layer(x[:, 7:])], 1), whole)
    assert layer(torch.ones(2, 0, 3)).shape == (2, 0, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (5, 3)}, "5 inputs are not a multiple of 3 neurons"),
        ({"shape": (2, 2, 2)}, r"shape must be N or \(inputs, N\)"),
        ({"shape": 3, "dt": 0.0}, "dt must be > 0 s, got 0.0"),
        ({"shape": 3, "tau_mem": -1.0}, "tau_mem must be > 0"),
        ({"shape": 3, "threshold": 0.0}, "threshold must be > 0"),
        ({"shape": 3, "w_rec": torch.ones(3, 3)}, "w_rec is given, but has_rec is False"),
        ({"shape": 3, "has_rec": True, "w_rec": torch.ones(3, 4)}, r"must be of shape \(3, 3\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        nn.CubaLIF(**arguments)


def test_inputs_of_another_width_are_refused():
    with pytest.raises(
        ValueError, match=r"CubaLIF takes \(batch, time, 6\), got shape \(1, 2, 3\)"
    ):
        nn.CubaLIF((6, 3))(torch.ones(1, 2, 3))
