"""What the adapters of sinabs do beside reading constants; stand-ins take the layers' place."""

import copy

import pytest
import torch
from torch import nn as torch_nn

from tests.oracles.frameworks import archive
from tests.oracles.frameworks.snapshot import rebuilt
from toolchain import extract, nn
from toolchain.frontends.frameworks.kinds import kind

CASES = archive.read("sinabs")["cases"]


def layer_of(case):
    return rebuilt(CASES[case]["leaves"][-1])


def test_a_state_of_another_batch_size_is_forgotten():
    lif = layer_of("LIF used before")
    lif.register_buffer("v_mem", torch.rand(5, 16))
    lif.register_buffer("i_syn", torch.rand(5, 16))
    kind(lif).reset(lif)
    assert lif.v_mem.numel() == lif.i_syn.numel() == 0


@pytest.mark.parametrize(("batch", "time"), [(2, -1), (-1, 200), (2, 200)])
def test_rows_are_cut_by_what_the_layer_knows(batch, time):
    iaf = layer_of("IAFSqueeze")
    iaf.batch_size, iaf.num_timesteps = batch, time
    assert kind(iaf).grid(iaf, (400, 16), (400, 16)) == (2, 200)


def test_layers_that_cannot_copy_themselves_are_copied():
    class Alone(nn.IAF):
        def __deepcopy__(self, memo):
            raise AttributeError("rec_connect.weight")

    model = torch_nn.Sequential(torch_nn.Linear(3, 3), Alone())
    with pytest.raises(AttributeError):
        copy.deepcopy(model)
    model[1].register_buffer("kept", model(torch.ones(1, 2, 3)))
    assert model[1].kept.grad_fn is not None
    assert list(extract(model, torch.ones(2, 4, 3)).nodes) == ["input", "0", "1", "output"]
