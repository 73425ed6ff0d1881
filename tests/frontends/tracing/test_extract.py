"""What the tracer makes of models, as golden graph texts and as spikes that agree."""

import copy
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn as torch_nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from tests.frontends.tracing.step_layers import wiring
from toolchain import nn
from toolchain.frontends import extract
from toolchain.ir import Neuron


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def spikes(*shape):
    return torch.randint(0, 3, shape).float()


def net(*layers):
    return torch_nn.Sequential(*layers)


def test_a_sequential_of_dense_layers():
    model = net(torch_nn.Linear(4, 6, bias=False), nn.IAF(), torch_nn.Linear(6, 3), nn.LIF(5.0))
    graph = extract(model, spikes(2, 20, 4), dt=1e-3)
    assert wiring(graph) == [
        "input = Input",
        "0 = Linear <- input",
        "1 = Neuron <- 0",
        "2 = Linear <- 1",
        "3 = Neuron <- 2",
        "output = Output <- 3",
    ]
    assert graph.dt == 1e-3
    np.testing.assert_array_equal(graph["0"].weight, model[0].weight.detach().double().numpy())
    assert graph["3"].alpha_mem == np.exp(-1 / 5)
    assert dict(graph.provenance) == {
        "framework": f"torch {torch.__version__}",
        "model": "Sequential",
        "self_check": "0 of 720 spikes differ on sample, random spikes and strong random input",
    }


def conv_net(batch):
    return net(
        nn.FlattenTime(),
        torch_nn.Conv2d(2, 4, 3, padding="same", bias=False),
        torch_nn.BatchNorm2d(4),
        nn.IAFSqueeze(batch_size=batch, min_v_mem=-1.0),
        nn.SumPool2d(2),
        torch_nn.Dropout2d(),
        torch_nn.Conv2d(4, 4, (3, 1), stride=(2, 1), padding=(1, 0), groups=2),
        nn.IAFSqueeze(batch_size=batch),
        torch_nn.AvgPool2d(2, 1),
        torch_nn.Flatten(),
        torch_nn.Linear(12, 5),
        torch_nn.BatchNorm1d(5, affine=False),
        nn.LIFSqueeze(batch, tau_mem=5.0, tau_syn=2.0, spike_fn=nn.MaxSpike(3)),
        nn.UnflattenTime(batch),
    )


def test_an_image_network_drops_the_layers_that_move_time():
    graph = extract(conv_net(2), spikes(2, 12, 2, 8, 8))
    assert wiring(graph) == [
        "input = Input",
        "1 = Conv2d <- input",
        "2 = BatchNorm <- 1",
        "3 = Neuron <- 2",
        "4 = SumPool2d <- 3",
        "5 = Identity <- 4",
        "6 = Conv2d <- 5",
        "7 = Neuron <- 6",
        "8 = AvgPool2d <- 7",
        "9 = Flatten <- 8",
        "10 = Linear <- 9",
        "11 = BatchNorm <- 10",
        "12 = Neuron <- 11",
        "output = Output <- 12",
    ]
    assert graph["1"].padding == (1, 1)
    assert graph["3"].v_min == -1
    assert graph["5"].was == "Dropout2d"
    assert graph["12"].max_spikes == 3
    assert graph.dt is None
    assert graph.provenance["left_out"] == "0 (FlattenTime), 13 (UnflattenTime)"


def test_a_sample_in_rows_is_cut_by_the_squeeze_layers():
    model = net(torch_nn.Conv2d(1, 2, 3), nn.IAFSqueeze(num_timesteps=5), torch_nn.Flatten())
    graph = extract(model, spikes(15, 1, 4, 4))
    assert graph.shape("input") == (1, 4, 4)
    assert graph.shape("2") == (8,)


def test_neuron_fields_follow_the_layer():
    cases = {
        nn.IAF(1.5): {"alpha_mem": 1, "gain": 1, "v_threshold": 1.5, "max_spikes": None},
        nn.IAF(spike_fn=nn.SingleSpike): {"max_spikes": 1, "compare": "ge"},
        nn.IAF(reset_fn=nn.MembraneReset()): {"reset": "value", "v_reset": 0},
        nn.IAF(reset_fn=nn.MembraneReset(-0.5)): {"reset": "additive", "v_reset": -0.5},
        nn.IAF(reset_fn=nn.MembraneSubtract(0.5)): {"reset": "subtract", "reset_amount": 0.5},
        nn.LIF(4.0): {"alpha_mem": np.exp(-0.25), "gain": 1 - np.exp(-0.25)},
        nn.LIF(4.0, tau_syn=2.0, norm_input=False): {"alpha_syn": np.exp(-0.5), "gain": 1},
        nn.CubaLIF(3, bias=0.25): {"bias": 0.25, "max_spikes": 65536, "syn_order": "add_decay"},
    }
    for layer, wanted in cases.items():
        graph = extract(net(torch_nn.Linear(4, 3), layer), spikes(2, 20, 4))
        found = {key: getattr(graph["1"], key) for key in wanted}
        assert found == wanted, layer


def test_per_neuron_constants_come_over_in_double():
    tau = torch.tensor([2.0, 3.0, 5.0])
    graph = extract(net(torch_nn.Linear(4, 3), nn.LIF(tau, spike_threshold=tau)), spikes(1, 9, 4))
    np.testing.assert_array_equal(graph["1"].alpha_mem, np.exp(-1 / np.array([2.0, 3, 5])))
    assert graph["1"].v_threshold.tolist() == [2, 3, 5]


def test_cuba_knows_its_timestep_and_its_synapses():
    model = net(torch_nn.Linear(4, 6), nn.CubaLIF((6, 3), tau_mem=10e-3, tau_syn=5e-3, dt=2e-3))
    graph = extract(model, spikes(2, 20, 4))
    assert graph.dt == 2e-3
    assert graph["1"].synapses == 2
    np.testing.assert_allclose(graph["1"].alpha_mem, np.exp(-0.2), rtol=1e-7)


def test_recurrence_becomes_a_delayed_edge_behind_the_weight():
    model = net(
        nn.CubaLIF((6, 3), has_rec=True),
        torch_nn.Linear(3, 3),
        nn.LIFRecurrent(5.0, torch_nn.Linear(3, 3)),
        nn.IAFRecurrent(torch_nn.Linear(3, 3, bias=False), min_v_mem=-1.0),
    )
    graph = extract(model, spikes(2, 20, 6))
    assert wiring(graph) == [
        "input = Input",
        "0.add = Add <- 0.w_rec@-1, input",
        "0 = Neuron <- 0.add",
        "0.w_rec = Linear <- 0",
        "1 = Linear <- 0",
        "2.add = Add <- 1, 2.rec_connect@-1",
        "2 = Neuron <- 2.add",
        "2.rec_connect = Linear <- 2",
        "3.add = Add <- 2, 3.rec_connect@-1",
        "3 = Neuron <- 3.add",
        "3.rec_connect = Linear <- 3",
        "output = Output <- 3",
    ]


def test_a_readout_does_not_spike():
    graph = extract(net(torch_nn.Linear(4, 3), nn.ExpLeak(10.0, tau_syn=3.0)), spikes(2, 20, 4))
    assert type(graph["1"]).__name__ == "MembraneReadout"
    assert graph.provenance["self_check"].startswith("0 of 0 spikes")


class Residual(torch_nn.Module):
    """A block with a skip connection; registration order is not execution order."""

    def __init__(self, join):
        super().__init__()
        self.spike2 = nn.IAF()
        self.fc = torch_nn.Linear(4, 4)
        self.spike1 = nn.IAF()
        self.unused = torch_nn.Linear(7, 7)
        self.merge = nn.Merge()
        self.join = join

    def forward(self, x):
        z = self.spike1(self.fc(x))
        return self.spike2(self.join(self, z, x))


def iadd(block, z, x):
    z += x
    return z


@pytest.mark.parametrize(
    ("join", "name"),
    [
        (lambda block, z, x: z + x, "block.add"),
        (lambda block, z, x: torch.add(z, x), "block.add"),
        (lambda block, z, x: sum([z, x]), "block.add"),
        (iadd, "block.add"),
        (lambda block, z, x: block.merge(z, x), "block.merge"),
    ],
)
def test_skip_connections(join, name):
    model = net(nn.IAF())
    model.add_module("block", Residual(join))
    graph = extract(model, spikes(2, 15, 4))
    assert wiring(graph) == [
        "input = Input",
        "0 = Neuron <- input",
        "block.fc = Linear <- 0",
        "block.spike1 = Neuron <- block.fc",
        f"{name} = Add <- 0, block.spike1",
        f"block.spike2 = Neuron <- {name}",
        "output = Output <- block.spike2",
    ]
    unused = graph.provenance["unused_layers"].split(", ")
    assert unused == ["block.unused"] + ["block.merge"] * (name == "block.add")


class Follows(torch_nn.Module):
    """Any forward over a few layers."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def test_functional_reshapes_are_followed():
    def forward(self, x):
        batch, time = x.shape[:2]
        y = self.spike(self.conv(x.flatten(0, 1)))
        y = y.view(batch, time, -1)
        return self.out(self.fc(y)).contiguous()

    model = Follows(
        forward,
        conv=torch_nn.Conv2d(1, 2, 3),
        spike=nn.IAFSqueeze(num_timesteps=10),
        fc=torch_nn.Linear(8, 3),
        out=nn.IAF(),
    )
    assert wiring(extract(model, spikes(2, 10, 1, 4, 4))) == [
        "input = Input",
        "conv = Conv2d <- input",
        "spike = Neuron <- conv",
        "flatten = Flatten <- spike",
        "fc = Linear <- flatten",
        "out = Neuron <- fc",
        "output = Output <- out",
    ]


def test_flatten_of_timed_tensors_keeps_batch_and_time():
    model = net(torch_nn.Flatten(2), torch_nn.Linear(6, 2), nn.IAF())
    assert wiring(extract(model, spikes(2, 5, 3, 2)))[1] == "0 = Flatten <- input"


def test_layers_that_hand_their_input_on():
    def forward(self, x):
        y = self.drop(x)
        y = F.dropout(self.same(y), training=self.training)
        return self.spike(self.fc(y.float()) + x)

    model = Follows(
        forward,
        drop=torch_nn.Dropout(),
        same=torch_nn.Identity(),
        fc=torch_nn.Linear(4, 4),
        spike=nn.IAF(),
    )
    assert wiring(extract(model, spikes(2, 9, 4))) == [
        "input = Input",
        "drop = Identity <- input",
        "same = Identity <- drop",
        "fc = Linear <- same",
        "add = Add <- fc, input",
        "spike = Neuron <- add",
        "output = Output <- spike",
    ]


def test_a_reused_layer_without_state_becomes_two_nodes():
    model = Follows(
        lambda self, x: self.b(self.fc(self.a(self.fc(x)))),
        fc=torch_nn.Linear(4, 4),
        a=nn.IAF(),
        b=nn.IAF(),
    )
    assert wiring(extract(model, spikes(2, 9, 4)))[1:5] == [
        "fc = Linear <- input",
        "a = Neuron <- fc",
        "fc#2 = Linear <- a",
        "b = Neuron <- fc#2",
    ]


def test_layers_may_be_called_input_output_and_add():
    model = Follows(
        lambda self, x: self.output(self.add(self.input(x) + x)),
        input=torch_nn.Linear(4, 4),
        add=torch_nn.Linear(4, 4),
        output=nn.IAF(),
    )
    assert wiring(extract(model, spikes(2, 9, 4))) == [
        "input#2 = Input",
        "input = Linear <- input#2",
        "add#2 = Add <- input, input#2",
        "add = Linear <- add#2",
        "output = Neuron <- add",
        "output#2 = Output <- output",
    ]


def test_a_lone_layer_is_a_model():
    assert wiring(extract(nn.IAF(), spikes(2, 9, 4)))[1] == "IAF = Neuron <- input"


def test_side_branches_and_questions_of_shape_leave_no_node():
    def forward(self, x):
        assert x.size(0) == 2
        assert x.dim() == 3
        self.aux(x).sum()
        return self.spike(self.fc(x))

    model = Follows(forward, aux=torch_nn.ReLU(), fc=torch_nn.Linear(4, 4), spike=nn.IAF())
    graph = extract(model, spikes(2, 9, 4))
    assert len(graph) == 4
    assert graph.provenance["unused_layers"] == "aux"


def test_parametrized_weights_are_read_as_they_act():
    layer = parametrizations.weight_norm(torch_nn.Linear(4, 3))
    graph = extract(net(layer, nn.IAF()), spikes(2, 9, 4))
    assert type(graph["0"]).__name__ == "Linear"


def test_a_subclass_that_changes_nothing_is_its_base():
    class Named(nn.IAF):
        """Only a name and another default."""

        def __init__(self):
            super().__init__(spike_threshold=0.5)

        def extra_repr(self):
            return "named"

    assert extract(net(Named()), spikes(2, 9, 4))["0"].v_threshold == 0.5


def test_the_model_is_left_as_it_was():
    seen = []
    model = conv_net(2).train()
    model[3].register_forward_hook(lambda *_: seen.append(1))
    x = spikes(2, 12, 2, 8, 8)
    model(x).sum().backward()
    before, mode = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    v_mem, sample, random = model[3].v_mem.clone(), x.clone(), torch.random.get_rng_state()
    extract(model, x)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert [m.training for m in model.modules()] == mode
    assert hooks == [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    assert torch.equal(model[3].v_mem, v_mem)
    assert torch.equal(x, sample)
    assert torch.equal(torch.random.get_rng_state(), random)


def test_extraction_starts_from_a_fresh_state():
    model = net(torch_nn.Linear(4, 4), nn.IAF())
    x = spikes(2, 9, 4)
    fresh = str(extract(model, x))
    model(x)
    assert str(extract(model, x)) == fresh


def test_the_sample_may_be_an_array_and_the_check_left_out():
    graph = extract(net(nn.IAF()), np.ones((2, 3, 4), dtype=np.uint8), check=False)
    assert graph.provenance["self_check"] == "not run"


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    data=st.data(),
)
def test_random_dense_networks_give_the_same_spikes(seed, sizes, data):
    torch.manual_seed(seed)
    layers = []
    for before, after in pairwise(sizes):
        layers += [torch_nn.Linear(before, after), data.draw(neurons(after))]
    graph = extract(net(*layers), spikes(2, 15, sizes[0]), seed=seed)
    assert len(graph.of(Neuron)) == len(sizes) - 1


@st.composite
def neurons(draw, size):
    """A spiking layer of ``size`` neurons with drawn settings."""
    common = {
        "spike_threshold": draw(st.floats(0.2, 2)),
        "spike_fn": draw(st.sampled_from([nn.MultiSpike, nn.SingleSpike, nn.MaxSpike(2)])),
        "reset_fn": draw(st.sampled_from([nn.MembraneSubtract(), nn.MembraneReset()])),
        "min_v_mem": draw(st.sampled_from([None, -1.0])),
    }
    tau_syn = draw(st.sampled_from([None, 3.0]))
    choices = [
        lambda: nn.IAF(**common),
        lambda: nn.LIF(6.0, tau_syn, norm_input=draw(st.booleans()), **common),
        lambda: nn.LIFRecurrent(6.0, torch_nn.Linear(size, size), tau_syn=tau_syn, **common),
        lambda: nn.CubaLIF(size, bias=0.1, has_rec=draw(st.booleans()), max_spikes_per_dt=4),
    ]
    return draw(st.sampled_from(choices))()


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
)
def test_random_convolutions_give_the_same_spikes(seed, kernel, stride, padding, dilation, groups):
    torch.manual_seed(seed)
    conv = torch_nn.Conv2d(2, 4, kernel, stride, padding, dilation, groups)
    model = net(conv, nn.IAFSqueeze(batch_size=2), nn.SumPool2d(2))
    graph = extract(
        model, spikes(8, 2, 9, 7), seed=seed
    )  # compares with the model on spikes of its own
    assert len(graph.of(Neuron)) == 1


def test_importing_the_frontends_does_not_import_torch():
    code = "import sys, toolchain.frontends; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rockpools_names_are_read_as_their_equations():
    model = nn.TorchSequential(
        nn.LinearTorch((4, 6), has_bias=True),
        nn.TimeStepDropout(6, p=0.5),
        nn.LIFTorch((6, 3), leak_mode="bitshifts", dash_mem=3.0, has_rec=True, dt=2e-3),
    )
    graph = extract(model, spikes(2, 20, 4))
    assert wiring(graph) == [
        "input = Input",
        "0_LinearTorch = Linear <- input",
        "1_TimeStepDropout = Identity <- 0_LinearTorch",
        "2_LIFTorch.add = Add <- 1_TimeStepDropout, 2_LIFTorch.w_rec@-1",
        "2_LIFTorch = Neuron <- 2_LIFTorch.add",
        "2_LIFTorch.w_rec = Linear <- 2_LIFTorch",
        "output = Output <- 2_LIFTorch",
    ]
    assert graph.dt == 2e-3
    assert graph["2_LIFTorch"].alpha_mem == 1 - 1 / 8
    assert graph["2_LIFTorch"].synapses == 2
    np.testing.assert_array_equal(
        graph["0_LinearTorch"].weight, model[0].weight.detach().double().numpy().T
    )


@pytest.mark.parametrize("layer", [nn.LinearTorch((4, 4)), nn.LIFTorch((4, 4))])
def test_one_layer_with_a_state_and_a_record_is_a_network(layer):
    assert len(extract(layer, spikes(2, 20, 4), dt=1e-3).nodes) == 3


def test_a_synnet_is_read_with_either_output():
    net = nn.SynNet(n_channels=4, n_classes=2, size_hidden_layers=[6], p_dropout=0.1)
    graph = extract(net, spikes(2, 20, 4))
    assert wiring(graph) == [
        "input = Input",
        "seq.0_linear = Linear <- input",
        "seq.0_neurons = Neuron <- seq.0_linear",
        "seq.0_dropout = Identity <- seq.0_neurons",
        "seq.out_linear = Linear <- seq.0_dropout",
        "seq.out_neurons = Neuron <- seq.out_linear",
        "output = Output <- seq.out_neurons",
    ]
    assert [node.max_spikes for node in graph.of(Neuron).values()] == [31, 1]
    net.output = "vmem"
    readout = extract(net, spikes(2, 20, 4))["seq.out_neurons"]
    assert type(readout).__name__ == "MembraneReadout"


def test_a_user_network_may_unpack_what_these_layers_give():
    class Net(torch_nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.LinearTorch((4, 3)), nn.LIFTorch((3, 3))

        def forward(self, x):
            x, _, _ = self.fc(x)
            out, _, _ = self.lif(x)
            return out

    assert [*extract(Net(), spikes(2, 20, 4)).nodes] == ["input", "fc", "lif", "output"]
