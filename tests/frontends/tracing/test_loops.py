"""Networks that loop over time: in every spelling the same Graph."""

import numpy as np
import pytest
import torch
from torch import nn as torch_nn

from tests.frontends.tracing.step_layers import Leaky, Net, RLeaky, Synaptic, spikes, wiring
from toolchain import nn
from toolchain.frontends import extract
from toolchain.runs.interpret import interpret

PLAIN = ["input = Input", "fc = Linear <- input", "lif = Neuron <- fc", "output = Output <- lif"]


def by_index(net, x):
    mem, out = torch.zeros(x.size(1), 4), []
    for t in range(x.size(0)):
        spk, mem = net.lif(net.fc(x[t]), mem)
        out.append(spk)
    return torch.stack(out)


def by_iteration(net, x):
    mem, out = None, []
    for step in x:
        spk, mem = net.lif(net.fc(step), mem)
        out.append(spk)
    return torch.stack(out, dim=0)


def by_unbind(net, x):
    mem, out = torch.zeros(0), []
    for step in x.unbind():
        spk, mem = net.lif(net.fc(step), mem=mem)
        out.append(spk.unsqueeze(0))
    return torch.cat(out)


def by_select(net, x):
    mem, out = torch.zeros_like(x[0]), []
    for t in range(len(x)):
        spk, mem = net.lif(net.fc(x.select(0, t)), mem.detach())
        out.append(spk.clone()[None])
    return torch.cat(out, dim=0).transpose(0, 1)


def by_slices(net, x):
    mem, out = None, []
    for t in range(len(x)):
        spk, mem = net.lif(net.fc(x[t : t + 1]).squeeze(0), mem)
        out.append(spk)
    return torch.stack(out, dim=1)


def by_pieces(net, x):
    mem, out = None, []
    for piece in x.split(1):
        spk, mem = net.lif(net.fc(piece.view(piece.shape[1], -1)), mem)
        out.append(spk.unsqueeze(1))
    return torch.cat(out, dim=1)


def by_swapped_axes(net, x):
    steps = [net.lif(step) for step in net.fc(x.transpose(0, 1)).transpose(0, 1)]
    return torch.stack([spk for spk, _ in steps], dim=1)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    "forward",
    [by_index, by_iteration, by_unbind, by_select, by_slices, by_pieces, by_swapped_axes],
)
def test_every_spelling_of_a_loop_is_the_same_graph(forward, batch):
    graph = extract(Net(forward), spikes(12, batch, 4))
    assert wiring(graph) == PLAIN
    assert graph["lif"].reset_when == "next_undecayed"
    text = graph.provenance["self_check"]
    assert text == f"0 of {2 * 12 * batch * 4} spikes differ on sample and random spikes"


def batch_first(net, x):
    mem, out = None, []
    for t in range(x.size(1)):
        spk, mem = net.lif(net.fc(x[:, t]), mem)
        out.append(spk)
    return torch.stack(out, 1)


def batch_first_features(net, x):
    return torch.stack([net.cell(net.fc(x[:, t, :])) for t in range(x.shape[1])], dim=1)


def test_a_loop_over_the_second_axis():
    assert wiring(extract(Net(batch_first), spikes(2, 12, 4))) == PLAIN
    assert "cell" in extract(Net(batch_first_features), spikes(2, 12, 4))


@pytest.mark.parametrize("forward", [by_index, batch_first])
def test_as_many_samples_as_timesteps(forward):
    x = spikes(6, 6, 4)
    graph = extract(Net(forward), x)
    model = Net(forward)
    with torch.no_grad():
        wanted = model(x).numpy()
    given = x.numpy() if forward is batch_first else x.numpy().swapaxes(0, 1)
    wanted = wanted if forward is batch_first else wanted.swapaxes(0, 1)
    np.testing.assert_array_equal(interpret(graph, given).spikes, wanted)


def loops_in_a_row(net, x):
    mem, out = None, []
    for step in net.fc(x):
        spk, mem = net.lif(step, mem)
        out.append(spk)
    y, mem, out = net.fc2(torch.stack(out)), None, []
    for step in y:
        spk, mem = net.lif2(step, mem)
        out.append(spk)
    return torch.stack(out)


def test_layers_on_whole_sequences_between_loops():
    assert wiring(extract(Net(loops_in_a_row), spikes(9, 2, 4)))[1:5] == [
        "fc = Linear <- input",
        "lif = Neuron <- fc",
        "fc2 = Linear <- lif",
        "lif2 = Neuron <- fc2",
    ]


def then_a_sequence_layer(net, x):
    steps = [net.cell(net.fc(step)) for step in x]
    return net.out(torch.stack(steps, dim=1))


def test_a_loop_may_end_in_a_layer_that_takes_the_sequence():
    graph = extract(Net(then_a_sequence_layer, out=nn.IAF()), spikes(9, 2, 4))
    assert wiring(graph)[-2:] == ["out = Neuron <- cell", "output = Output <- out"]


# ---- within a step ----


def residual(net, x):
    mem, out = None, []
    for step in x:
        spk, mem = net.lif(net.fc(step), mem)
        out.append(net.cell(net.fc(spk) + step))
    return torch.stack(out)


def test_skips_and_reused_layers_in_a_step():
    graph = extract(Net(residual, unused=torch_nn.Linear(3, 3)), spikes(9, 2, 4))
    assert wiring(graph) == [
        "input = Input",
        "fc = Linear <- input",
        "lif = Neuron <- fc",
        "fc#2 = Linear <- lif",
        "add = Add <- fc#2, input",
        "cell = Neuron <- add",
        "output = Output <- cell",
    ]
    assert graph.provenance["unused_layers"] == "fc2, rec, lif2, unused"


def images(net, x):
    steps = [net.cell(net.head(net.pool(net.drop(net.conv(step))).flatten(1))) for step in x]
    return torch.stack(steps)


def test_image_layers_take_a_step():
    model = Net(
        images,
        conv=torch_nn.Conv2d(1, 2, 3),
        drop=torch_nn.Dropout2d(),
        pool=torch_nn.AvgPool2d(2),
        head=torch_nn.Linear(8, 3),
    )
    assert wiring(extract(model, spikes(9, 2, 1, 6, 6)))[1:7] == [
        "conv = Conv2d <- input",
        "drop = Identity <- conv",
        "pool = AvgPool2d <- drop",
        "flatten = Flatten <- pool",
        "head = Linear <- flatten",
        "cell = Neuron <- head",
    ]


# ---- from step to step ----


def fed_back(net, x):
    spk, out = torch.zeros(x.size(1), 4), []
    for step in x:
        spk = net.cell(net.fc(step) + net.rec(spk))
        out.append(spk)
    return torch.stack(out)


def fed_back_in_place(net, x):
    spk, out = torch.zeros(x.size(1), 4), []
    for step in x:
        current = net.fc(step)
        current += net.rec(spk)
        spk = net.cell(current)
        out.append(spk)
    return torch.stack(out)


def fed_back_later(net, x):
    spk, out = None, []
    for step in x:
        current = net.fc(step)
        if spk is not None:
            current = current + net.rec(spk)
        spk = net.cell(current)
        out.append(spk)
    return torch.stack(out)


def fed_back_at_the_end(net, x):
    back, out = torch.zeros(x.size(1), 4), []
    for step in x:
        spk = net.cell(net.fc(step) + back)
        back = net.rec(spk)
        out.append(spk)
    return torch.stack(out)


BEFORE = [
    "input = Input",
    "fc = Linear <- input",
    "rec = Linear <- cell@-1",
    "add = Add <- fc, rec",
    "cell = Neuron <- add",
    "output = Output <- cell",
]
BEHIND = [
    "input = Input",
    "fc = Linear <- input",
    "add = Add <- fc, rec@-1",
    "cell = Neuron <- add",
    "output = Output <- cell",
    "rec = Linear <- cell",
]


@pytest.mark.parametrize(
    ("forward", "wanted"),
    [
        (fed_back, BEFORE),
        (fed_back_in_place, BEFORE),
        (fed_back_later, BEHIND),
        (fed_back_at_the_end, BEHIND),
    ],
)
def test_a_bias_acts_in_the_first_step_where_the_weight_is_given_zeros_then(forward, wanted):
    graph = extract(Net(forward), spikes(9, 2, 4))
    assert wiring(graph) == wanted


def twice_delayed(net, x):
    last, out = [torch.zeros(x.size(1), 4)] * 2, []
    for step in x:
        spk = net.cell(net.fc(step) + net.rec(last.pop(0)))
        last.append(spk)
        out.append(spk)
    return torch.stack(out)


def added_unweighted(net, x):
    spk, out = 0, []
    for step in x:
        spk = net.cell(net.fc(step) + spk)
        out.append(spk)
    return torch.stack(out)


def last_input(net, x):
    last, out = torch.zeros_like(x[0]), []
    for step in x:
        out.append(net.cell(net.fc(step) + net.rec(last)))
        last = step
    return torch.stack(out)


def staggered(net, x):
    spk, mem, mem2, out = torch.zeros_like(x[0]), None, None, []
    for step in x:
        late, mem2 = net.lif2(net.fc2(spk), mem2)
        spk, mem = net.lif(net.fc(step), mem)
        out.append(late)
    return torch.stack(out)


def zeros_through_layers(net, x):
    spk, out = torch.zeros(x.size(1), 4), []
    for step in x:
        spk = net.cell(net.fc(step) + net.rec(net.flat(net.drop(spk))))
        out.append(spk)
    return torch.stack(out)


def test_zeros_may_pass_through_layers_before_anything_fired():
    model = Net(zeros_through_layers, flat=torch_nn.Flatten(), drop=torch_nn.Dropout())
    assert wiring(extract(model, spikes(9, 2, 4))) == [
        "input = Input",
        "fc = Linear <- input",
        "rec = Linear <- drop@-1",
        "add = Add <- fc, rec",
        "cell = Neuron <- add",
        "drop = Identity <- cell",
        "output = Output <- cell",
    ]


@pytest.mark.parametrize(
    ("forward", "wanted"),
    [
        (twice_delayed, "rec = Linear <- cell@-2"),
        (added_unweighted, "add = Add <- cell@-1, fc"),
        (last_input, "rec = Linear <- input@-1"),
        (staggered, "fc2 = Linear <- lif@-1"),
    ],
)
def test_what_an_earlier_step_gave_is_a_delayed_edge(forward, wanted):
    assert wanted in wiring(extract(Net(forward), spikes(9, 2, 4)))


# ---- states ----


def several_states(net, x):
    syn, mem, out = torch.zeros(0), None, []
    spk, last = torch.zeros_like(x[0]), torch.zeros(0)
    for step in x:
        first, syn, mem = net.syn(net.fc(step), syn, mem)
        spk, last = net.back(net.fc2(first), spk, last)
        out.append(spk)
    return torch.stack(out)


def test_states_are_handed_on_in_any_number():
    model = Net(several_states, syn=Synaptic(0.5, 0.9), back=RLeaky(0.8, 4))
    graph = extract(model, spikes(12, 2, 4))
    assert wiring(graph) == [
        "back.recurrent = Linear <- back@-1",
        "input = Input",
        "fc = Linear <- input",
        "syn = Neuron <- fc",
        "fc2 = Linear <- syn",
        "back.add = Add <- back.recurrent, fc2",
        "back = Neuron <- back.add",
        "output = Output <- back",
    ]
    assert graph["syn"].syn_order == "decay_add"


def test_layers_that_keep_their_state_forget_it_before_a_run():
    model = Net(lambda net, x: torch.stack([net.cell(net.fc(step)) for step in x]))
    fresh = str(extract(model, spikes(9, 2, 4)))
    model(spikes(5, 7, 4))  # another batch, and a state that is part of a graph
    assert model.cell.mem.grad_fn is not None
    kept = model.cell.mem.clone()
    assert str(extract(model, spikes(9, 2, 4))) == fresh
    assert torch.equal(model.cell.mem, kept)


# ---- one frame, shown in each step ----


def shown(net, x):
    mem, out = None, []
    for _ in range(10):
        spk, mem = net.lif(net.fc(x), mem)
        out.append(net.cell(net.fc2(spk) + x))
    return torch.stack(out)


def shown_once(net, x):
    current = net.fc(x)
    return torch.stack([net.cell(current) for _ in range(10)], dim=1)


def test_a_frame_that_every_step_is_given():
    graph = extract(Net(shown), torch.rand(3, 4))
    assert wiring(graph)[-3:] == [
        "add = Add <- fc2, input",
        "cell = Neuron <- add",
        "output = Output <- cell",
    ]
    assert graph.provenance["input"] == "one frame, shown in each of 10 timesteps"
    assert graph.shape("input") == (4,)
    once = extract(Net(shown_once), torch.rand(3, 4))
    assert wiring(once)[1:3] == ["fc = Linear <- input", "cell = Neuron <- fc"]


def test_a_frame_may_be_an_image():
    def forward(net, x):
        return torch.stack([net.cell(net.fc3(x.view(x.size(0), -1))) for _ in range(5)])

    model = Net(forward, fc3=torch_nn.Linear(12, 4))
    graph = extract(model, torch.rand(2, 1, 3, 4))
    assert wiring(graph)[1:3] == ["flatten = Flatten <- input", "fc3 = Linear <- flatten"]


# ---- what leaves ----


def tutorial(returns):
    def forward(net, x):
        mem, mem2, spikes_out, membranes = None, None, [], []
        for step in x:
            spk, mem = net.lif(net.fc(step), mem)
            spk, mem2 = net.out(net.fc2(spk), mem2)
            spikes_out.append(spk)
            membranes.append(mem2)
        return returns(torch.stack(spikes_out), torch.stack(membranes))

    return forward


def test_membranes_returned_beside_spikes_are_left_out_and_told():
    model = Net(tutorial(lambda spk, mem: (spk, mem)), out=Leaky(0.9))
    graph = extract(model, spikes(12, 2, 4))
    assert graph.outputs == ("out",)
    assert graph.provenance["outputs_left_out"] == "membrane of 'out' (returned[1])"
    other = Net(tutorial(lambda spk, mem: (mem, spk)), out=Leaky(0.9))
    assert "(returned[0])" in extract(other, spikes(12, 2, 4)).provenance["outputs_left_out"]


def test_the_membrane_of_a_layer_without_reset_is_a_readout():
    model = Net(tutorial(lambda spk, mem: mem), out=Leaky(0.9, reset_mechanism="none"))
    graph = extract(model, spikes(12, 2, 4))
    assert type(graph["out"]).__name__ == "MembraneReadout"
    assert graph.provenance["self_check"] == "0 of 192 spikes differ on sample and random spikes"
    with torch.no_grad():
        wanted = model(spikes(12, 2, 4)).numpy().swapaxes(0, 1)
    found = interpret(graph, spikes(12, 2, 4).numpy().swapaxes(0, 1)).spikes
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_frameworks_of_a_model_are_named():
    text = extract(Net(by_index), spikes(12, 2, 4)).provenance["framework"]
    assert text.startswith(f"torch {torch.__version__}, snntorch ")


# ---- models of a single timestep ----


def test_a_sequential_of_one_step_is_driven_over_time():
    model = torch_nn.Sequential(
        torch_nn.Linear(4, 5), Leaky(0.9, init_hidden=True), torch_nn.Linear(5, 3), Leaky(0.8)
    )
    graph = extract(model, spikes(2, 4), dt=1e-3)
    assert wiring(graph) == [
        "input = Input",
        "0 = Linear <- input",
        "1 = Neuron <- 0",
        "2 = Linear <- 1",
        "3 = Neuron <- 2",
        "output = Output <- 3",
    ]
    assert graph.dt == 1e-3
    assert graph.provenance["loop"] == "its forward is one timestep, which was run 20 times"
    assert graph.provenance["outputs_left_out"] == "membrane of '3' (returned[1])"


class Threads(torch_nn.Module):
    """A model of one step that takes and returns its states."""

    def __init__(self):
        super().__init__()
        self.fc, self.lif, self.syn = torch_nn.Linear(4, 4), Leaky(0.9), Synaptic(0.5, 0.8)

    def forward(self, x, mem=None, states=(None, None)):
        spk, mem = self.lif(self.fc(x), mem)
        out, *states = self.syn(spk, *states)
        return out, mem, tuple(states)


def test_states_that_a_model_of_one_step_returns_are_handed_on():
    graph = extract(Threads(), spikes(2, 4))
    assert wiring(graph)[1:4] == [
        "fc = Linear <- input",
        "lif = Neuron <- fc",
        "syn = Neuron <- lif",
    ]
    assert "outputs_left_out" not in graph.provenance
