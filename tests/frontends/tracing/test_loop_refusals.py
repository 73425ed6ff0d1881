"""Loops over time that the Graph cannot say are refused, by layer or by line."""

import pytest
import torch
from torch import nn as torch_nn

from tests.frontends.tracing.step_layers import Leaky, Net, Synaptic, at, spikes
from toolchain import nn
from toolchain.diagnostics import ExtractError
from toolchain.frontends import extract

LIF = "layer 'lif' (Leaky): "
CELL = "layer 'cell' (Leaky): "


def message(model, sample=None):
    with pytest.raises(ExtractError) as caught:
        extract(model, spikes(10, 2, 4) if sample is None else sample)
    return str(caught.value)


# ---- the same in each step, each step once and in order ----


def other_layer_in_one_step(net, x):
    return torch.stack([net.cell((net.fc2 if t == 3 else net.fc)(x[t])) for t in range(10)])


def other_layer_where_the_data_say(net, x):
    return torch.stack([net.cell((net.fc2 if step.sum() > 8 else net.fc)(step)) for step in x])


def feedback_in_some_steps(net, x):
    spk, out = None, []
    for t in range(10):
        current = net.fc(x[t])
        if t > 5:
            current = current + net.rec(spk)
        spk = net.cell(current)
        out.append(spk)
    return torch.stack(out)


def forgets_in_one_step(net, x):
    spk, out = torch.zeros(2, 4), []
    for t in range(10):
        last = torch.zeros(2, 4) if t == 5 else spk
        spk = net.cell(last + net.fc(x[t]) if t == 5 else net.fc(x[t]) + last)
        out.append(spk)
    return torch.stack(out)


def every_other_step(net, x):
    return torch.stack([net.cell(net.fc(x[t])) for t in range(0, 10, 2)])


def only_the_first_half(net, x):
    return torch.stack([net.cell(net.fc(x[t])) for t in range(5)])


def backwards(net, x):
    return torch.stack([net.cell(net.fc(x[t])) for t in reversed(range(10))])


def looks_ahead(net, x):
    return torch.stack([net.cell(net.fc(x[min(t + 1, 9)])) for t in range(10)])


def sums_with_the_next_step(net, x):
    return torch.stack([net.cell(net.fc(x[t]) + x[min(t + 1, 9)]) for t in range(10)])


def called_twice(net, x):
    return torch.stack([net.cell(net.cell(net.fc(step))) for step in x])


def zeros_in_the_end(net, x):
    steps = [*x[:9].unbind(), torch.zeros(2, 4)]
    return torch.stack([net.cell(net.fc(step)) for step in steps])


FED = "takes its input from {} in step {}, but from {} in step 9; a loop over time must do the "
FED += "same in each step"
ORDER = "a loop over time must process the steps in order"
STEPS = [
    (other_layer_in_one_step, CELL + FED.format("'fc2'", 3, "'fc'")),
    (feedback_in_some_steps, CELL + FED.format("'fc'", 1, "'add'")),
    (every_other_step, CELL + "is called 5 times in 10 timesteps; a loop over time must call it "
    "once in each"),
    (only_the_first_half, CELL + "is called 5 times in 10 timesteps; a loop over time must call it "
    "once in each"),
    (backwards, CELL + f"receives timestep 9 in its call for timestep 0; {ORDER}"),
    (looks_ahead, CELL + f"receives timestep 1 in its call for timestep 0; {ORDER}"),
    (sums_with_the_next_step, CELL + f"receives timestep 1 in its call for timestep 0; {ORDER}"),
    (called_twice, CELL + "is called 20 times in 10 timesteps; it has state, so each call within a "
    "step needs its own layer"),
]  # fmt: skip


@pytest.mark.parametrize(("forward", "wanted"), STEPS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_loop_does_the_same_in_each_step(forward, wanted):
    assert message(Net(forward)) == wanted


def test_a_branch_on_the_data_in_a_step_is_noticed():
    assert "a loop over time must do the same in each step" in message(
        Net(other_layer_where_the_data_say)
    )


def test_a_connection_that_is_missing_in_one_step_is_noticed():
    assert message(Net(forgets_in_one_step)) == CELL + FED.format("'fc'", 5, "'add'")


def test_a_loop_needs_two_steps():
    one = Net(lambda net, x: torch.stack([net.cell(net.fc(step)) for step in x]))
    assert message(one, spikes(1, 2, 4)) == (
        "Net loops over time but ran a single step on a sample of shape (1, 2, 4); give it at "
        "least 2 timesteps, so that the connections between steps are recorded"
    )
    assert "cell" in extract(one, spikes(2, 2, 4))


def test_a_loop_over_something_else_than_batch_and_time():
    forward = Net(lambda net, x: torch.stack([net.cell(net.fc(step)) for step in x]))
    assert message(forward, spikes(10, 4)) == (
        "the sample has shape (10, 4), but the loop runs 10 times over a batch of 4; it should be "
        "(time, batch, ...), (batch, time, ...), or one frame (batch, ...) for every step"
    )


# ---- states ----


def starts_elsewhere(net, x):
    mem, out = torch.ones(2, 4), []
    for step in x:
        spk, mem = net.lif(net.fc(step), mem)
        out.append(spk)
    return torch.stack(out)


def starts_from_the_sample(net, x):
    mem, out = x[0], []
    for step in x:
        spk, mem = net.lif(net.fc(step), mem)
        out.append(spk)
    return torch.stack(out)


def forgets_its_state(net, x):
    mem, out = torch.zeros(2, 4), []
    for t in range(10):
        spk, mem = net.lif(net.fc(x[t]), torch.zeros(2, 4) if t == 5 else mem)
        out.append(spk)
    return torch.stack(out)


def fixed_state(net, x):
    mem, out = torch.zeros(2, 4), []
    for t in range(10):
        spk, mem = net.lif(net.fc(x[t]), torch.ones(2, 4) if t else mem)
        out.append(spk)
    return torch.stack(out)


def state_of_another(net, x):
    mem, out = None, []
    for step in x:
        spk, mem = net.lif(net.fc(step), mem)
        spk, _ = net.lif2(spk, mem)
        out.append(spk)
    return torch.stack(out)


def old_state(net, x):
    mems, out = [None, None], []
    for step in x:
        spk, mem = net.lif(net.fc(step), mems.pop(0))
        mems.append(mem)
        out.append(spk)
    return torch.stack(out)


def states_crossed(net, x):
    syn, mem, out = None, None, []
    for step in x:
        spk, syn, mem = net.syn(net.fc(step), mem, syn)
        out.append(spk)
    return torch.stack(out)


STATES = [
    (starts_elsewhere, LIF + "receives an initial state that is not zero; a chip starts at rest, "
    "so pass no state in the first step"),
    (starts_from_the_sample, LIF + f"receives the output of torch.Tensor.__getitem__ at "
     f"{at(starts_from_the_sample, 'x[0]')} as its state"),
    (forgets_its_state, LIF + "receives zeros as its state after the first step"),
    (fixed_state, LIF + "receives a tensor that is no layer's output as its state after the first "
    "step"),
    (state_of_another, "layer 'lif2' (Leaky): receives the output of layer 'lif' (Leaky) as its "
    "state"),
    (states_crossed, "layer 'syn' (Synaptic): receives its states in a different order than it "
    "returned them"),
]  # fmt: skip


@pytest.mark.parametrize(("forward", "wanted"), STATES, ids=lambda x: getattr(x, "__name__", ""))
def test_a_state_is_the_layers_own_of_the_step_before(forward, wanted):
    assert message(Net(forward, syn=Synaptic(0.5, 0.9))) == wanted


def test_a_state_of_two_steps_before_is_refused():
    assert message(Net(old_state)) == (LIF + "receives its state of a step before the previous one")


def hands_on_a_membrane(net, x):
    mem, out = None, []
    for step in x:
        spk, mem = net.lif(net.fc(step), mem)
        out.append(net.cell(net.fc2(mem) + spk))
    return torch.stack(out)


def scales_its_state(net, x):
    mem, out = torch.zeros(2, 4), []
    for step in x:
        spk, mem = net.lif(net.fc(step), mem)
        mem = mem * 0.5
        out.append(spk)
    return torch.stack(out)


def test_a_state_is_no_signal():
    assert message(Net(hands_on_a_membrane)) == (
        "layer 'fc2' (Linear): takes a state of layer 'lif'; only a layer's output can be used: "
        "its spikes, or the membrane of a layer without reset whose spikes are not used"
    )
    line = f"torch.Tensor.mul at {at(scales_its_state, '0.5')}"
    assert message(Net(scales_its_state)) == (
        f"2 problems:\n  {line}: takes a state of layer 'lif'; only a layer's output can be used: "
        "its spikes, or the membrane of a layer without reset whose spikes are not used\n"
        f"  {LIF}receives the output of {line} as its state"
    )


# ---- what leaves ----


def membranes(net, x):
    mem, out = None, []
    for step in x:
        _, mem = net.lif(net.fc(step), mem)
        out.append(mem)
    return torch.stack(out)


def membranes_of_fed_back_spikes(net, x):
    spk, mem, out = torch.zeros(2, 4), None, []
    for step in x:
        spk, mem = net.lif(net.fc(step) + net.rec(spk), mem)
        out.append(mem)
    return torch.stack(out)


def the_last_step(net, x):
    mem = None
    for step in x:
        spk, mem = net.lif(net.fc(step), mem)
    return spk


def two_outputs(net, x):
    out, both = [], []
    for step in x:
        out.append(net.cell(net.fc(step)))
        both.append(net.fc2(out[-1]))
    return torch.stack(out), torch.stack(both)


def a_list(net, x):
    return [net.cell(net.fc(step)) for step in x]


def the_sum(net, x):
    return torch.stack([net.cell(net.fc(step)) for step in x]).sum(0)


def a_running_sum(net, x):
    total = 0
    for step in x:
        total = total + net.cell(net.fc(step))
    return total


def written_into_place(net, x):
    out = torch.zeros(10, 2, 4)
    for t in range(10):
        out[t] = net.cell(net.fc(x[t]))
    return out


OUTPUTS = [
    (membranes, LIF + "the network uses its membrane, on which its spikes act; build it without "
    "reset and recurrence, or use its spikes"),
    (membranes_of_fed_back_spikes, "torch.stack at "
     f"{at(membranes_of_fed_back_spikes, 'torch.stack')}: the network returns the membrane of "
     "layer 'lif' and uses its spikes as well; return the spikes"),
    (the_last_step, LIF + "the network returns timestep 9 alone; return the whole sequence; in a "
    "loop over time, torch.stack of every step's output"),
    (two_outputs, "Net: returned[1] (the result of torch.stack at "
     f"{at(two_outputs, 'torch.stack')}) is not the spikes of a layer; of several outputs each "
     "must be: return the spikes alone and compute the rest from them outside the network"),
    (a_list, "Net returns a list of (2, 4), (2, 4), (2, 4), (2, 4), ...; the timesteps of layer "
    "'cell' (Leaky) are 10 tensors, join them with torch.stack"),
    (the_sum, f"torch.Tensor.sum at {at(the_sum, 'sum(0)')}: not supported; return the spikes "
     "(batch, time, ...) and sum them over time outside the network"),
    (a_running_sum, f"torch.Tensor.add at {at(a_running_sum, 'total +')}: adds the outputs of one "
     "layer in different timesteps; return every step, joined with torch.stack, and sum outside "
     "the network"),
    (written_into_place, f"torch.Tensor.__setitem__ at {at(written_into_place, 'out[t]')}: not "
     "supported; collect the steps of a loop in a list and join them with torch.stack"),
]  # fmt: skip


@pytest.mark.parametrize(("forward", "wanted"), OUTPUTS, ids=lambda x: getattr(x, "__name__", ""))
def test_spikes_of_every_step_leave(forward, wanted):
    assert message(Net(forward)) == wanted


# ---- joining and cutting ----


def reversed_stack(net, x):
    return torch.stack([net.cell(net.fc(step)) for step in x][::-1])


def left_out_of_the_stack(net, x):
    return torch.stack([net.cell(net.fc(step)) for step in x][1:])


def stacked_last(net, x):
    return torch.stack([net.cell(net.fc(step)) for step in x], dim=-1)


def with_the_first_zeros(net, x):
    return torch.stack([torch.zeros(2, 4), *[net.cell(net.fc(step)) for step in x]])


def two_steps_at_once(net, x):
    return torch.stack([net.cell(net.fc(x[t : t + 2].flatten(0, 1))) for t in range(10)])


def repeated(net, x):
    return torch.stack([net.cell(step) for step in net.fc(x.expand(10, 2, 4))])


def doubles(net, x):
    return torch.stack([net.cell(2 * torch.relu(net.fc(step))) for step in x])


JOINED = "the outputs of all steps must be joined, in order"
PARTS = [
    (reversed_stack, "torch.stack", f"joins 10 of 10 timesteps, 9, 8, 7, 6, ...; {JOINED}"),
    (left_out_of_the_stack, "torch.stack", f"joins 9 of 10 timesteps, 1, 2, 3, 4, ...; {JOINED}"),
    (stacked_last, "torch.stack", "joins timesteps along axis 2 of (2, 4, 10); join them along "
     "axis 0 for (time, batch, ...) or 1 for (batch, time, ...), with torch.stack"),
    (with_the_first_zeros, "torch.stack", "joins tensors that are not the steps of a loop over "
    "time along batch or time; features are joined along their own axis"),
]  # fmt: skip


@pytest.mark.parametrize(("forward", "op", "wanted"), PARTS, ids=lambda x: str(x)[:20])
def test_steps_are_cut_and_joined_whole(forward, op, wanted):
    assert message(Net(forward)) == f"{op} at {at(forward, 'torch.stack')}: {wanted}"


def test_an_operation_in_a_loop_is_told_once():
    line = at(doubles, "torch.stack")
    assert message(Net(doubles)) == (
        f"torch.relu at {line}: not supported; not spiking; use toolchain.nn.IAF, or convert the "
        "network first"
    )


# ---- layers that do not go with loops ----


def sequence_layer_in_a_step(net, x):
    return torch.stack([net.cell(net.out(x[t : t + 1])[0]) for t in range(10)])


def test_a_layer_on_sequences_is_called_once():
    assert message(Net(sequence_layer_in_a_step, out=nn.IAF())) == (
        "layer 'out' (IAF): is called 10 times in one forward; it has state, so each call needs "
        "its own layer"
    )


def test_a_layer_of_steps_is_not_given_a_sequence():
    found = message(Net(lambda net, x: net.cell(net.fc(net.out(x))), out=nn.IAF()))
    assert (
        "layer 'cell' (Leaky): takes (batch, ...) of one timestep, got (batch, time, ...) of "
        in (found)
    )


def test_a_model_of_one_step_that_calls_a_layer_twice():
    cell = Leaky(0.9, init_hidden=True)
    model = torch_nn.Sequential(cell, torch_nn.Linear(4, 4), cell, Leaky(0.8, init_hidden=True))
    assert message(model, spikes(2, 4)) == (
        "layer '0' (Leaky): is called 40 times in 20 timesteps; it has state, so each call within "
        "a step needs its own layer"
    )


# ---- what no timestep of the sample shows ----


def feedback_of_two_steps_before(net, x):
    out = []
    for t, step in enumerate(x):
        last = out[t - 2] if t > 1 else torch.zeros(3, 4)
        out.append(net.cell(net.fc(step) + last))
    return torch.stack(out)


def test_feedback_that_is_later_than_the_sample_is_long_is_refused():
    model = Net(feedback_of_two_steps_before)
    found = message(model, spikes(2, 3, 4))
    assert "adds zeros in each of 2 timesteps that are no layer's output" in found
    assert any(edge.delay == 2 for edge in extract(model, spikes(5, 3, 4)).edges)


def test_what_a_silent_layer_gives_by_way_of_numpy_is_refused():
    def past_torch(net, x):
        return torch.stack([net.cell(net.fc(s) + torch.from_numpy(0 * s.numpy())) for s in x])

    assert "adds zeros in each of 10 timesteps that are no layer's output" in message(
        Net(past_torch)
    )
