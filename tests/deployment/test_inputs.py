"""Findings of deploy on ``sample=`` and ``calibration=``, and recordings of unequal length."""

import itertools
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.builders import chain
from toolchain import Deployment, deploy, extract
from toolchain.chips.speck import to_events
from toolchain.deployment.values import values_of
from toolchain.diagnostics import Severity
from toolchain.ir import Conv2d, Linear, Neuron
from toolchain.nn import CubaLIF
from toolchain.runs.recording import aligned

RNG = np.random.default_rng(0)
LIF = {"tau_mem": 15.5e-3, "tau_syn": 7.5e-3, "dt": 1e-3}
X = (RNG.random((4, 60, 12)) < 0.2).astype(int)


def graph(bias=0.0):
    """Return a network for Xylo; with a bias it spikes on silence too."""
    lif = {"v_threshold": 1.0, "alpha_mem": 0.9375, "alpha_syn": np.array([0.75])}
    rng = np.random.default_rng(1)
    return chain(
        (12,),
        fc1=Linear(weight=rng.normal(0.1, 0.2, (10, 12))),
        lif1=Neuron(shape=(10,), bias=bias, **lif),
        fc2=Linear(weight=rng.normal(0.1, 0.3, (3, 10))),
        lif2=Neuron(shape=(3,), bias=bias, max_spikes=1, **lif),
        dt=1e-3,
    )


def torch_net():
    torch.manual_seed(0)
    first = nn.Linear(12, 10, bias=False), CubaLIF(10, **LIF)
    return nn.Sequential(*first, nn.Linear(10, 3, bias=False), CubaLIF(3, **LIF))


class TimeFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch_net()

    def forward(self, x):  # (time, batch, 12)
        return self.net(x.transpose(0, 1)).transpose(0, 1)


def plain_deploy(**given):
    return deploy(torch_graph(), "xylo", quantizer="channel", **given)


@cache
def torch_graph():
    return extract(torch_net(), torch.tensor(X))


def found(deployment, rule):
    return [f for f in deployment.diagnostics if f.rule == rule and f.where == "input"]


# ---- values ----


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({(0, 0, 0): 99, (3, 2, 1): 16}, "2 of 2 880 values exceed the 15 spikes a step that"),
        ({(0, 1, 2): 0.5}, "1 of 2 880 values are not whole (analog)"),
        ({(0, 1, 2): -3, (1, 1, 1): -1}, "2 of 2 880 values are negative, the smallest is -3"),
        ({(0, 1, 2): 16.5}, "the largest is 16.5; 1 of 2 880 values are not whole"),
    ],
)
def test_deploy_reports_values_of_the_sample_that_the_chip_does_not_take(change, message):
    sample = X.astype(float)
    for place, value in change.items():
        sample[place] = value
    (finding,) = found(plain_deploy(sample=torch.tensor(sample)), "input")
    assert finding.severity is Severity.WARNING
    assert message in finding.message
    assert finding.hint
    if "exceed" in message:
        assert (finding.need, finding.limit) == (sample.max(), 15)
    # the same values in spikes that the chip has to take are refused, with the first place
    for name, call in {
        "calibration": lambda: plain_deploy(calibration=sample),
        "spikes": lambda: plain_deploy().simulate(sample),
    }.items():
        place = min(change)
        first = f"got {change[place]:g} at sample {place[0]}, step {place[1]}, channel {place[2]}"
        text = f"^{name} must be counts .* 0 to 15, {first}: .*{re.escape(message)}"
        with pytest.raises(ValueError, match=text):
            call()


def test_a_chip_without_limit_takes_any_count_but_no_analog_values():
    weight = RNG.normal(0, 0.3, (2, 2, 3, 3))
    lif = Neuron(shape=(2, 6, 6), v_threshold=1.0, v_min=-1.0)
    net = chain((2, 8, 8), conv=Conv2d(weight=weight), spk=lif, dt=1e-3)
    many = np.full((1, 3, 2, 8, 8), 99)
    assert not found(deploy(net, "speck", sample=many, calibration=many), "input")
    (finding,) = found(deploy(net, "speck", sample=many / 2), "input")
    assert "384 of 384 values are not whole" in finding.message
    assert finding.source == ""


def test_a_sample_of_counts_is_not_mentioned():
    assert not found(plain_deploy(sample=torch.full((2, 9, 12), 15.0)), "input")


def test_values_are_counted_in_parts(monkeypatch):
    monkeypatch.setattr("toolchain.deployment.values.AT_ONCE", 7)
    array = RNG.choice([0, 3, 15, 16, 2.5, -1, np.nan, np.inf], (5, 4, 3))
    values = values_of(array, 15)
    finite = array[np.isfinite(array)]
    assert values.above == (finite > 15).sum()
    assert values.fractional == (finite == 2.5).sum()
    assert values.negative == (finite < 0).sum()
    assert values.not_finite == array.size - finite.size
    assert values.first == np.flatnonzero(~np.isin(array.ravel(), [0, 3, 15]))[0]


# ---- axes ----


@pytest.mark.parametrize(
    ("model", "sample", "calibration", "readings"),
    [
        (TimeFirst, X.swapaxes(0, 1), X.swapaxes(0, 1), ("60 samples of 4", "4 samples of 60")),
        (TimeFirst, X.swapaxes(0, 1), np.ones((60, 7, 12)), ("60 samples of 7", "7 samples of 60")),
        (TimeFirst, X[:, :4], X[:, :4], ("4 samples of 4", "4 samples of 4")),
        (TimeFirst, X.swapaxes(0, 1), X, None),
        (TimeFirst, X.swapaxes(0, 1), np.ones((60, 60, 12)), None),
        (torch_net, X, X.swapaxes(0, 1), ("60 samples of 4", "4 samples of 60")),
        (torch_net, X, X, None),
        (torch_net, X, np.ones((60, 9, 12)), None),
    ],
)
def test_swapped_axes_of_calibration_get_both_readings(model, sample, calibration, readings):
    d = deploy(model(), "xylo", sample=sample, calibration=calibration, quantizer="channel")
    messages = [f"{f.severity}: {f.message}" for f in found(d, "axes")]
    assert len(messages) == (readings is not None)
    if readings:
        text = "warning: .*is read as .*{} timesteps.* If it is .*{} timesteps".format(*readings)
        assert re.match(text, messages[0])


def test_each_batch_of_a_loader_is_looked_at():
    turned = TensorDataset(torch.tensor(X.swapaxes(0, 1)))
    loader = DataLoader(turned, batch_size=60)  # one batch, (60, 4, 12)
    sample = torch.tensor(X.swapaxes(0, 1))
    assert found(deploy(TimeFirst(), "xylo", sample=sample, calibration=loader), "axes")


# ---- recordings of different length ----


@pytest.mark.parametrize("chip", ["xylo_a2", "xylo_a3"])
def test_figures_of_unequal_recordings_are_those_of_each_alone(chip, tmp_path):
    lengths = (60, 25, 60, 40)
    recordings = [x[:n] for x, n in zip(X, lengths, strict=True)]
    d = deploy(graph(0.0 if chip == "xylo_a2" else 0.05), chip, calibration=recordings)
    runs = [d.trace(recording[None]) for recording in recordings]
    for name in ("input", "lif1", "lif2"):
        effect, alone = d.ledger[name].effect, [run.effects[name] for run in runs]
        assert effect.trained == sum(each.trained for each in alone)
        assert effect.chip == sum(each.chip for each in alone)
        assert effect.saturations == sum(each.saturations for each in alone)
        assert effect.peak == max(each.peak for each in alone)
    # agreement: of the counts in the steps that chip and network have in common
    pairs = [aligned(run.reference.spikes, run.chip.spikes, d.lag) for run in runs]
    n, m = (np.concatenate([pair[k].sum(axis=1) for pair in pairs]) for k in (0, 1))
    wanted = 1 - np.abs(n - m).sum() / np.maximum(n, m).sum()
    assert d.ledger["lif2"].effect.agreement == pytest.approx(wanted)
    (measured,) = [f for f in d.diagnostics if f.rule == "calibration" and f.where == "network"]
    assert f"{n.sum():.0f} times as trained and {m.sum():.0f} times" in measured.message
    assert f"counts agree to {100 * wanted:.1f} %" in measured.message
    # rates: spikes over the steps that there were
    steps = sum(lengths)
    assert d.calibration_activity["input"].spikes_per_step == pytest.approx(
        sum(map(np.sum, recordings)) / steps
    )
    assert d.calibration_activity.steps == round(steps / 4)
    (note,) = found(d, "calibration")
    assert "4 samples of 25 to 60 timesteps" in note.message
    again = Deployment.load(d.save(tmp_path / "artifact"))
    assert str(again.ledger).startswith(f"fidelity on {chip}, 4 samples of 25 to 60 steps")


def test_forms_of_calibration_give_the_same_integers():
    wanted = deploy(graph(), "xylo", calibration=X)
    for form in (list(X), memoryview(X), iter(X), DataLoader(TensorDataset(torch.tensor(X)), 3)):
        d = deploy(graph(), "xylo", calibration=form)
        assert str(d.quantized) == str(wanted.quantized)
        assert d.ledger.as_dict() == wanted.ledger.as_dict()


def test_a_refusal_tries_its_acceptance_on_a_generator_that_is_spent():
    net = graph().map(Neuron, lambda _, node: replace(node, v_min=np.array(-1.0)))
    with pytest.raises(
        ValueError, match=r'allow=\("v_min->none",\); .* % on the calibration spikes'
    ):
        deploy(net, "xylo", calibration=iter(X))


def test_other_verbs_refuse_unequal_recordings_with_a_remedy():
    d = deploy(graph(), "xylo")
    for verb in (d.simulate, d.compare, d.estimate, d.reference):
        with pytest.raises(
            ValueError, match=r"^spikes must be recordings of one length, got 2 sam"
        ):
            verb([X[0], X[1, :7]])
    assert d.simulate(X[0][None]).spikes.shape == (1, 60, 3)
    np.testing.assert_array_equal(d.simulate(iter(X)).spikes, d.simulate(X).spikes)
    for verb in (d.compare, d.estimate):
        assert str(verb(iter(X))) == str(verb(X))


def test_a_generator_of_events_is_read_within_the_bound(monkeypatch):
    lif = Neuron(shape=(2, 6, 6), v_threshold=1.0, v_min=-1.0)
    conv = Conv2d(weight=RNG.normal(0, 0.3, (2, 2, 3, 3)))
    net = chain((2, 8, 8), conv=conv, spk=lif, dt=1e-3)
    raster = (RNG.random((2, 9, 2, 8, 8)) < 0.2).astype(int)
    raster[:, -1, 0, 0, 0] = 1
    quick, events = "common", to_events(raster, (2, 8, 8), dt=1e-3)
    wanted = deploy(net, "speck", calibration=events, quantizer=quick).ledger.as_dict()
    for form in (iter(events), ((each, 0) for each in events), [(each, 0) for each in events]):
        assert deploy(net, "speck", calibration=form, quantizer=quick).ledger.as_dict() == wanted
    monkeypatch.setattr("toolchain.deployment.inputs.MOST_BYTES", 4 * raster[0].size * 2)
    d = deploy(net, "speck", calibration=itertools.cycle(events), quantizer=quick)
    assert "the first 2 recordings of calibration were read" in found(d, "calibration")[0].message
    assert d.ledger.samples == 2
