"""A remedy replaces the message about its consequence, and only if it was tried."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.frontends.tracing.step_layers import Leaky, spikes
from toolchain.diagnostics import ExtractError
from toolchain.frontends import extract


def message(model, sample):
    with pytest.raises(ExtractError) as caught:
        extract(model, sample)
    return str(caught.value)


def cell():
    return Leaky(0.9, init_hidden=True)


def dense(*between):
    return nn.Sequential(nn.Linear(4, 5), cell(), *between, nn.Linear(5, 3), cell())


def image():
    return nn.Sequential(nn.Conv2d(2, 3, 3), cell(), nn.Flatten(), nn.Linear(12, 3), cell())


# ---- one timestep ----


@pytest.mark.parametrize(
    ("model", "shape", "frame"),
    [
        (dense, (2, 10, 4), "(2, 4)"),
        (dense, (10, 2, 4), "(10, 4)"),
        (dense, (20, 2, 4), "(20, 4)"),  # as long as the loop that is driven here
        (dense, (1, 1, 4), "(1, 4)"),
        (image, (2, 10, 2, 4, 4), "(2, 2, 4, 4)"),
    ],
)
def test_a_model_of_one_timestep_is_given_no_time_axis(model, shape, frame):
    sample = spikes(*shape)
    assert message(model(), sample) == (
        "Sequential: its forward is one timestep; give a sample (batch, *features), such as "
        f"sample[:, 0] of shape {frame}, got {shape}"
    )
    assert "loop" in extract(model(), sample[:, 0]).provenance


def test_what_a_shorter_sample_does_not_help_is_told_itself():
    found = message(dense(nn.LayerNorm(5)), spikes(2, 10, 4))
    assert "layer '2' (LayerNorm): has no counterpart" in found
    assert "its forward is one timestep" not in found


def test_a_loop_that_shows_one_frame_is_no_model_of_one_timestep():
    class Shows(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.cell = nn.Linear(4, 3), cell()

        def forward(self, x):
            return torch.stack([self.cell(self.fc(x)) for _ in range(10)])

    assert "input" in extract(Shows(), spikes(2, 4)).provenance
    assert "its forward is one timestep" not in message(Shows(), spikes(2, 5, 4))


# ---- SpikingJelly's step modes ----


class _IFNode(nn.Module):
    """As SpikingJelly's for its users: ``v = v + x``, to 0 where it fires."""

    v_threshold, v_reset, _memories_rv = 1.0, 0.0, {"v": 0.0}
    modes = ("s", "m")

    def __init__(self, mode="m"):
        super().__init__()
        self.surrogate_function = nn.Identity()
        self.step_mode, self.v = mode, 0.0

    @property
    def step_mode(self):
        return self._step_mode

    @step_mode.setter
    def step_mode(self, mode):
        if mode not in self.modes:
            raise ValueError(f"step_mode can only be {self.modes}")
        self._step_mode = mode

    def reset(self):
        self.v = 0.0

    def once(self, x):
        v = self.v + x
        z = (v >= 1).to(x)
        self.v = v * (1 - z)
        return z

    def forward(self, x):
        return self.once(x) if self.step_mode == "s" else torch.stack([*map(self.once, x)])


IFNode = type("IFNode", (_IFNode,), {"__module__": "spikingjelly.activation_based.neuron"})
SingleStep = type("IFNode", (IFNode,), {"__module__": IFNode.__module__, "modes": ("s",)})


def jelly(*modes, node=IFNode):
    torch.manual_seed(0)
    return nn.Sequential(*(f(m) for m in modes for f in (lambda _: nn.Linear(4, 4), node)))


MODE_M = ", step mode 's', and whole sequences in others, mode 'm'; "
MODE_M += "functional.set_step_mode(net, 'm') sets them all"


@pytest.mark.parametrize(
    ("modes", "layers"),
    [
        ("ms", "layer '3'"),
        ("sm", "layer '1'"),
        ("ssm", "layers '1', '3'"),
        ("sssssm", "layers '1', '3', '5', '7', ..."),
    ],
)
def test_one_step_mode_for_all_layers(modes, layers):
    sample = spikes(10, 2, 4)
    assert message(jelly(*modes), sample) == (f"Sequential: takes one timestep in {layers}{MODE_M}")
    assert len(extract(jelly(*"m" * len(modes)), sample).nodes) == 2 + 2 * len(modes)


def test_the_users_own_modes_stay():
    model = jelly("m", "s")
    message(model, spikes(10, 2, 4))
    assert [model[1].step_mode, model[3].step_mode] == ["m", "s"]


def test_a_mode_that_a_layer_does_not_know_is_not_advised():
    model = jelly("s", "m")
    model[1] = SingleStep("s")
    assert message(model, spikes(10, 2, 4)) == (
        "layer '1' (IFNode): takes (batch, ...) of one timestep, got (time, batch, ...) of shape "
        "(10, 2, 4); call it once in each step of a loop over time"
    )


def test_layers_of_one_timestep_alone_are_a_model_of_one():
    assert "its forward is one timestep" in message(jelly("s", "s"), spikes(10, 2, 4))
    assert "loop" in extract(jelly("s", "s"), np.ones((2, 4))).provenance


# ---- states that the model itself keeps ----


class Keeps(nn.Module):
    """A loop whose state is an attribute, None before the first call."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.lif, self.mem = nn.Linear(4, 4), Leaky(0.9, threshold=0.5), None

    def forward(self, x):
        out = []
        for step in x:
            spk, self.mem = self.lif(self.fc(step), self.mem)
            out.append(spk)
        return torch.stack(out)


@pytest.mark.parametrize("batch", [2, 3])
def test_a_model_that_keeps_its_state_is_new_in_each_run(batch):
    model, sample = Keeps(), spikes(9, 2, 4)
    for net in (model, nn.Sequential(model)):
        assert extract(net, sample).provenance["self_check"].startswith("0 of")
    assert model.mem is None
    model(spikes(9, batch, 4))
    assert message(model, sample) == (
        "Keeps: keeps a state of an earlier run in mem, and a chip starts at rest; reset the model "
        "before, here by mem = None"
    )
    assert "in 0.mem, and" in message(nn.Sequential(model), sample)
