"""Batch first, time first, rows of either order: read as what they are, or refused."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn as torch_nn

from tests.cases import each
from tests.frontends.tracing.step_layers import Leaky, Net, at, spikes, wiring
from toolchain import nn
from toolchain.diagnostics import ExtractError
from toolchain.frontends import extract
from toolchain.frontends.frameworks.adapter import Axes, UnsupportedError
from toolchain.frontends.tracing.axes import AxisLayout, check_axes
from toolchain.runs.interpret import interpret


class IAFCell(torch_nn.Module):
    """One step of ``v = v + x`` with a reset to zero; Norse's by name, without state of its own."""

    def __init__(self):
        super().__init__()
        self.p = SimpleNamespace(v_th=torch.tensor(1.0), v_reset=torch.tensor(0.0))

    def forward(self, x, v=None):
        v = x if v is None else v + x
        z = (v > self.p.v_th).to(x.dtype)
        return z, v * (1 - z)


class IAF(IAFCell):
    """The same over (time, batch, ...)."""

    def forward(self, x, v=None):
        out = []
        for step in x:
            z, v = super().forward(step, v)
            out.append(z)
        return torch.stack(out), v


for cls in (IAFCell, IAF):
    cls.__module__ = "norse.torch.module.iaf"


class TimeFirst(torch_nn.Module):
    """A layer over (time, batch, ...) whose state is of no interest."""

    def __init__(self):
        super().__init__()
        self.iaf = IAF()

    def forward(self, x):
        out, _ = self.iaf(x)
        return out


def message(model, sample):
    with pytest.raises(ExtractError) as caught:
        extract(model, sample)
    return str(caught.value)


SWAPS = {
    "transpose": lambda x: x.transpose(0, 1),
    "permute": lambda x: x.permute(1, 0, 2),
    "torch.permute": lambda x: torch.permute(x, (1, 0, 2)).contiguous(),
    "movedim": lambda x: x.movedim(0, 1),
    "moveaxis": lambda x: torch.moveaxis(x, 1, 0),
    "swapaxes": lambda x: x.swapaxes(1, 0),
    "swapdims": lambda x: torch.swapdims(x, -3, -2),
}


@each("batch", [1, 2, 9])
@each("way", SWAPS)
def test_batch_and_time_may_be_swapped(way, batch):
    swap = SWAPS[way]
    model = Net(lambda net, x: net.first(swap(net.out(swap(net.fc(x))))), first=TimeFirst())
    model.add_module("out", nn.IAF())
    x = spikes(9, batch, 4)
    graph = extract(model, x)
    assert wiring(graph) == [
        "input = Input",
        "fc = Linear <- input",
        "out = Neuron <- fc",
        "first.iaf = Neuron <- out",
        "output = Output <- first.iaf",
    ]
    with torch.no_grad():
        wanted = model(x).numpy().swapaxes(0, 1)
    np.testing.assert_array_equal(interpret(graph, x.numpy().swapaxes(0, 1)).spikes, wanted)


def test_rows_may_be_time_major():
    def forward(net, x):
        rows = net.conv(x.flatten(0, 1))
        return net.first(rows.view(x.shape[0], x.shape[1], -1))

    model = Net(forward, conv=torch_nn.Conv2d(1, 2, 3), first=TimeFirst())
    for x in (spikes(9, 2, 1, 4, 4), spikes(4, 4, 1, 4, 4)):
        assert wiring(extract(model, x))[1:4] == [
            "conv = Conv2d <- input",
            "flatten = Flatten <- conv",
            "first.iaf = Neuron <- flatten",
        ]


def features_swapped(net, x):
    return net.out(x.transpose(1, 2))


def features_permuted(net, x):
    return net.out(x.permute(0, 2, 1))


def features_of_a_step(net, x):
    return torch.stack([net.cell(net.fc(step.t())) for step in x])


@pytest.mark.parametrize(
    ("forward", "op", "text"),
    [
        (features_swapped, "torch.Tensor.transpose", "transpose("),
        (features_permuted, "torch.Tensor.permute", "permute("),
        (features_of_a_step, "torch.Tensor.t", "torch.stack"),
    ],
)
def test_other_axes_may_not(forward, op, text):
    shape = "(4, 4)" if forward is features_of_a_step else "(4, 4, 4)"
    assert message(Net(forward, out=nn.IAF()), spikes(4, 4, 4)) == (
        f"{op} at {at(forward, text)}: turns {shape} into {shape}, which mixes batch 4 or time 4 "
        "with the features; arrays are (batch, time, *features) or (time, batch, *features) "
        "throughout, so reorder axes outside the network"
    )


def test_a_layer_is_not_given_the_other_order():
    model = torch_nn.Sequential(TimeFirst(), nn.IAF())
    assert message(model, spikes(9, 2, 4)) == (
        "the layers disagree about batch and time: layer '0.iaf' (IAF): batch 2, time 9; layer "
        "'1' (IAF): batch 9, time 2. put transpose(0, 1) between layers on (time, batch, ...) and "
        "on (batch, time, ...)"
    )
    assert message(model, spikes(6, 6, 4)) == (
        "layer '0.iaf' (IAF): takes (time, batch, ...), got (batch, time, ...) of shape (6, 6, 4); "
        "put transpose(0, 1) before it"
    )


def adds_both_orders(net, x):
    return net.out(x + x.transpose(0, 1))


def test_both_orders_are_not_added():
    found = message(Net(adds_both_orders, out=nn.IAF()), spikes(6, 6, 4))
    line = at(adds_both_orders, "x +")
    assert found == f"torch.Tensor.add at {line}: adds (batch, time, ...) to (time, batch, ...)"


FLATTEN = "put toolchain.nn.FlattenTime before it"
REMEDIES = [
    (Axes.TIME, AxisLayout.TIME_BATCH, "put transpose(0, 1) before it"),
    (Axes.TIME, AxisLayout.ROWS, "put UnflattenTime before it or use Squeeze"),
    (Axes.TIME, AxisLayout.ROWS_TIME_MAJOR, "unflatten its rows to (time, batch, ...) first"),
    (Axes.TIME, AxisLayout.STEP, "call it once, on the whole sequence"),
    (Axes.TIME_FIRST, AxisLayout.BATCH_TIME, "put transpose(0, 1) before it"),
    (Axes.IMAGE, AxisLayout.BATCH_TIME, FLATTEN),
    (Axes.IMAGE, AxisLayout.TIME_BATCH, "put flatten(0, 1) before it"),
    (Axes.ROWS, AxisLayout.TIME_BATCH, "put flatten(0, 1) before it"),
    (Axes.SQUEEZED, AxisLayout.BATCH_TIME, FLATTEN),
    (
        Axes.SQUEEZED,
        AxisLayout.ROWS_TIME_MAJOR,
        "it splits rows sample by sample; pass (batch, time, ...) flattened",
    ),
    (Axes.STEP, AxisLayout.TIME_BATCH, "call it once in each step of a loop over time"),
]


@pytest.mark.parametrize(("axes", "layout", "remedy"), REMEDIES, ids=str)
def test_what_helps_is_said(axes, layout, remedy):
    with pytest.raises(UnsupportedError, match=r"^takes .*, got ") as caught:
        check_axes(axes, (6, 6, 4), layout)
    assert str(caught.value).endswith(f", got {layout.value} of shape (6, 6, 4); {remedy}")


# ---- states of layers that keep none ----


def without_state(net, x):
    return torch.stack([net.iaf(net.fc(step))[0] for step in x])


def test_a_layer_that_keeps_no_state_is_handed_it():
    assert message(Net(without_state, iaf=IAFCell()), spikes(9, 2, 4)) == (
        "layer 'iaf' (IAFCell): is called without its state of the previous step; pass the state "
        "that it returned there"
    )


class Charged(TimeFirst):
    """Starts from a membrane that is not at rest."""

    def forward(self, x):
        return self.iaf(x, torch.full((2, 4), 0.5))[0]


def test_a_layer_on_sequences_starts_at_rest():
    assert message(Charged(), spikes(9, 2, 4)) == (
        "layer 'iaf' (IAF): receives an initial state that is not zero; a chip starts at rest, so "
        "pass no state in the first step"
    )


class Listed(IAF):
    """Gives its steps as a list; SpikingJelly's by name."""

    decode = None

    def forward(self, x):
        v, out = 0.0, []
        for step in x:
            v = v + step
            out.append(v)
        return out


Listed.__module__, Listed.__qualname__ = "spikingjelly.activation_based.neuron", "NonSpikingIFNode"


def test_a_layer_may_give_its_steps_as_a_list():
    model = Net(lambda net, x: torch.stack(net.listed(net.fc(x)), dim=1), listed=Listed())
    graph = extract(model, spikes(9, 2, 4))
    assert type(graph["listed"]).__name__ == "MembraneReadout"
    assert wiring(graph)[1:3] == ["fc = Linear <- input", "listed = MembraneReadout <- fc"]


# ---- the copy that is run ----


class Holds(torch_nn.Module):
    """A layer whose plain attributes take part."""

    def __init__(self):
        super().__init__()
        self.fc, self.iaf = torch_nn.Linear(4, 4), nn.IAF()
        self.scale = torch.full((4, 4), 0.1)
        self.kept = {"last": [torch.ones(2, requires_grad=True) * 2]}

    def forward(self, x):
        assert torch.mm(self.scale, self.fc.weight).dtype == self.scale.dtype
        return self.iaf(self.fc(x))


def test_plain_tensors_and_graphs_of_the_past_do_not_matter():
    model = Holds()
    assert len(extract(model, spikes(2, 9, 4))) == 4
    assert model.scale.dtype == torch.float32
    assert model.kept["last"][0].grad_fn is not None


def test_what_cannot_be_copied_is_refused():
    model = Net(lambda net, x: torch.stack([net.cell(step) for step in x]))
    model.lock = threading.Lock()
    assert message(model, spikes(9, 2, 4)) == (
        "Net cannot be copied: TypeError: cannot pickle '_thread.lock' object"
    )


class CopiesBadly(Leaky):
    """As sinabs' recurrent layers, whose own way of copying fails."""

    def __deepcopy__(self, memo):
        raise AttributeError("no such attribute")


def test_a_layer_whose_own_way_of_copying_fails_is_copied_all_the_same():
    model = torch_nn.Sequential(torch_nn.Linear(4, 4), CopiesBadly(0.9))
    assert len(extract(model, spikes(2, 4))) == 4
