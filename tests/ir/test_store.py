import json

import numpy as np
import pytest

from tests.builders import chain
from toolchain.ir import (
    Add,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    Neuron,
    Output,
    Pad,
    Permute,
    Reshape,
    Scale,
    SumPool2d,
)
from toolchain.ir.store import pack_graph, unpack_graph


@pytest.fixture
def graph():
    nodes = {
        "input": Input(shape=(1, 4, 4)),
        "conv": Conv2d(weight=np.ones((2, 1, 3, 3)), bias=np.zeros(2), padding=1),
        "pool": SumPool2d(kernel=2, stride=2),
        "drop": Identity(was="Dropout"),
        "flat": Flatten(),
        "sum": Add(),
        "lif": Neuron(shape=(8,), v_threshold=7, alpha_syn=[0.5], v_min=-1.0, max_spikes=3),
        "rec": Linear(weight=np.eye(8, dtype=np.int8)),
        "output": Output(),
    }
    edges = [
        ("input", "conv"),
        ("conv", "pool"),
        ("pool", "drop"),
        ("drop", "flat"),
        ("flat", "sum"),
        ("rec", "sum"),
        ("sum", "lif"),
        Edge("lif", "rec", 1),
        ("lif", "output"),
    ]
    return Graph(nodes, edges, dt=1e-3, provenance={"framework": "torch"})


def test_a_graph_comes_back_as_it_was(graph):
    arrays, data = pack_graph(graph)
    again = unpack_graph(arrays, json.loads(json.dumps(data)))
    assert str(again) == str(graph)
    assert again.provenance == graph.provenance


def test_layers_of_every_other_type_come_back():
    one_axis = chain(
        (2, 9),
        conv=Conv1d(weight=np.ones((4, 1, 3)), bias=np.arange(4.0), stride=2, groups=2),
        scale=Scale(scale=np.arange(4.0)[:, None]),
        up=ConvTranspose1d(weight=np.ones((4, 2, 2)), stride=2, output_padding=1),
        pad=Pad(before=(0, -1), after=(0, 2)),
        turn=Permute(axes=(1, 0)),
        row=Reshape(shape=(5, 4)),
    )
    arrays, data = pack_graph(one_axis)
    assert str(unpack_graph(arrays, json.loads(json.dumps(data)))) == str(one_axis)


def _fields(data, name):
    return next(item["fields"] for item in data["nodes"] if item["name"] == name)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.update(format="other/1"),
        lambda data: data["nodes"][1].update(kind="Popen"),
        lambda data: data["nodes"][1]["fields"].update(extra=1),
        lambda data: data["nodes"].pop(),
        lambda data: _fields(data, "lif").update(compare="lt"),
        lambda data: _fields(data, "lif").update(reset_when="never"),
        lambda data: data.update(edges=[["input", "nowhere", 0]]),
        lambda data: data.update(edges=[["input"]]),
        lambda data: data.update(dt=-1.0),
        lambda data: data.pop("nodes"),
    ],
)
def test_damaged_data_is_refused(graph, damage):
    arrays, data = pack_graph(graph)
    damage(data)
    with pytest.raises(ValueError, match=r"\w"):
        unpack_graph(arrays, data)
