"""Runs within bounds of work and memory."""

from functools import partial

import numpy as np
import pytest

from tests.builders import chain
from tests.chips.speck.graphs import branching
from toolchain.ir import (
    Add,
    AvgPool2d,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Output,
)
from toolchain.runs import bounded, convolution
from toolchain.runs.interpret import interpret


def states(graph, spikes):
    run = interpret(graph, spikes, record=True)
    fields = ("spikes", "v_mem", "i_syn", "i_syn_2")
    layers = [getattr(layer, field) for layer in run.layers.values() for field in fields]
    return [run.spikes, *(array for array in layers if array is not None)]


def neuron(shape, **rest):
    return Neuron(shape=shape, v_threshold=1.0, alpha_mem=0.9, **rest)


def maps(rng):
    """Floats of 53 bits, whose sums are rounded; maps of sizes that are no multiples of 16."""
    return chain(
        (2, 9, 7),
        conv1=Conv2d(weight=rng.normal(0.1, 0.4, (3, 2, 3, 3)), stride=(2, 1), padding=(1, 1)),
        lif1=neuron((3, 5, 7), reset="value", reset_when="next_erase_all"),
        pool=AvgPool2d(kernel=(2, 2), stride=(1, 2)),
        conv2=Conv2d(weight=rng.normal(0.1, 0.3, (6, 1, 2, 3)), groups=3, bias=rng.normal(size=6)),
        lif2=neuron((6, 3, 1), alpha_syn=[0.5], spike_scale=0.7),
        flat=Flatten(),
        fc=Linear(weight=rng.normal(0, 0.3, (10, 18))),
        lif3=neuron((5,), alpha_syn=[0.5, 0.8], v_min=-1.0, reset_when="next_corrected"),
    )


def recurrent(rng):
    nodes = {
        "input": Input(shape=(4,)),
        "fc": Linear(weight=rng.normal(0.2, 0.5, (7, 4))),
        "rec": Linear(weight=rng.normal(0, 0.5, (7, 7))),
        "add": Add(),
        "lif": neuron((7,), reset_when="next_undecayed"),
        "output": Output(),
    }
    edges = [("input", "fc"), Edge("fc", "add"), Edge("rec", "add", 2), ("lif", "rec")]
    return Graph(nodes, [*edges, ("add", "lif"), ("lif", "output")])


@pytest.mark.parametrize("network", [maps, partial(branching, biases=True), recurrent])
@pytest.mark.parametrize("size", [1, 3000])
def test_parts_of_any_size_give_the_bits_of_one_run(monkeypatch, network, size):
    rng = np.random.default_rng(0)
    graph = network(rng)
    spikes = rng.poisson(0.5, (5, 50, *graph.shape(graph.input)))
    wanted = states(graph, spikes)
    assert any(array.any() for array in wanted)
    for module in (bounded, convolution):
        monkeypatch.setattr(module, "MOST_VALUES", size)
    monkeypatch.setattr(bounded, "MOST_A_STEP", size // 3)
    for array, got in zip(wanted, states(graph, spikes), strict=True):
        assert array.tobytes() == got.tobytes()


@pytest.mark.parametrize(
    ("shape", "units", "kept"),
    [((5, 8), 10, (5, 8)), ((6, 8), 10, (5, 8)), ((1, 50), 10, (1, 40)), ((3, 3), 10**9, (1, 1))],
)
def test_the_first_steps_and_evenly_spaced_samples_are_used(shape, units, kept):
    spikes = np.arange(np.prod(shape)).reshape(*shape, 1)
    part = bounded.part_within(spikes, units, 400)
    assert part.shape[:2] == kept
    assert part[0, 0, 0] == 0
    if kept[0] > 1:
        np.testing.assert_array_equal(part[-1], spikes[-1, : kept[1]])
