"""Several heads share the output neurons of Xylo, each with the lag of its own depth."""

import numpy as np
import pytest
import torch
from torch import nn as torch_nn

from toolchain import DeployError, deploy, nn
from toolchain.deployment.deployment import Deployment
from toolchain.runs.recording import count_agreement

TAUS = {"tau_mem": 16e-3, "tau_syn": 8e-3, "dt": 1e-3}


class Net(torch_nn.Module):
    """Two hidden layers and a head at each; ``form`` is what the model returns."""

    def __init__(self, form, late=5):
        super().__init__()
        torch.manual_seed(3)
        self.fc1, self.l1 = torch_nn.Linear(8, 20, bias=False), nn.CubaLIF(20, **TAUS)
        self.fc2, self.l2 = torch_nn.Linear(20, 12, bias=False), nn.CubaLIF(12, **TAUS)
        self.early, self.rate = torch_nn.Linear(20, 3, bias=False), self.head(3)
        self.late, self.cls = torch_nn.Linear(12, late, bias=False), self.head(late)
        for layer in (self.fc1, self.fc2, self.early, self.late):
            layer.weight.data *= 3
        self.form = form

    def head(self, size):
        return nn.CubaLIF(size, max_spikes_per_dt=1, **TAUS)

    def forward(self, x):
        first = self.l1(self.fc1(x))
        second = self.l2(self.fc2(first))
        return self.form(self.cls(self.late(second)), self.rate(self.early(first)), second)


def spikes():
    return (torch.rand(2, 40, 8, generator=torch.Generator().manual_seed(0)) < 0.6).float()


def test_heads_at_different_depths_have_lags_of_their_own(tmp_path):
    x = spikes()
    d = deploy(
        Net(lambda late, early, _: {"class": late, "rate": early}),
        "xylo_a2",
        sample=x,
        calibration=x,
        quantizer="channel",
    )
    assert d.placement["cls"] == "output 0..4"
    assert d.placement["rate"] == "output 5..7"
    assert (d.lag, d.lags) == (2, {"class": 2, "rate": 1})
    assert d.lag_of_neurons.tolist() == [2] * 5 + [1] * 3
    run = d.simulate(x.numpy())
    np.testing.assert_array_equal(run.outputs["class"], run.spikes[:, :, :5])
    np.testing.assert_array_equal(run.outputs["rate"], run.spikes[:, :, 5:])
    for form in (lambda late, early, _: {"class": late}, lambda late, early, _: {"rate": early}):
        alone = deploy(Net(form), "xylo_a2", sample=x, calibration=x, quantizer="channel")
        for name, wanted in alone.simulate(x.numpy()).outputs.items():
            assert wanted.any()
            np.testing.assert_array_equal(run.outputs[name], wanted)
            assert d.lags[name] == alone.lag
    assert "outputs are delayed by 2 timesteps, one per hop at most (class by 2, rate by 1)" in str(
        d
    )
    loaded = Deployment.load(d.save(tmp_path / "heads"))
    np.testing.assert_array_equal(loaded.simulate(x.numpy()).outputs["rate"], run.outputs["rate"])
    reference = d.reference(x.numpy()).outputs
    wanted = np.concatenate([reference[name][:, :38] for name in d.lags], axis=2)
    got = np.concatenate([run.outputs[name][:, n : n + 38] for name, n in d.lags.items()], axis=2)
    assert d.compare(x.numpy()).agreement["clocked"] == count_agreement(wanted, got)


REFUSED = {
    "a head that feeds on": (
        lambda late, early, second: (late, second),
        5,
        "l2: feeds other layers; output neurons of xylo_a2 cannot",
    ),
    "more than the chip has": (
        lambda late, early, second: (late, early),
        6,
        "cls, rate: needs 9 output neurons, xylo_a2 has 8",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_heads_that_the_chip_lacks_are_refused(name):
    form, size, wanted = REFUSED[name]
    with pytest.raises(DeployError, match=wanted):
        deploy(Net(form, size), "xylo_a2", sample=spikes())
