"""Weights, neurons and channels removed from a float network."""

from itertools import pairwise

import numpy as np
import pytest

from tests.builders import chain
from toolchain.ir import Add, Conv2d, Edge, Flatten, Graph, Input, Linear, Neuron, Output, SumPool2d
from toolchain.passes import keep_features, prune_weights
from toolchain.passes.prune import largest_of_all, largest_of_columns, number_of_weights, strengths
from toolchain.passes.prune_neurons import feature_strengths, strongest
from toolchain.runs.interpret import interpret

RNG = np.random.default_rng(0)


def recurrent(neurons=7, synapses=1):
    """A layer with a threshold, time constants and a bias of each neuron, that feeds itself."""
    lif = Neuron(
        shape=(neurons,),
        v_threshold=RNG.uniform(0.5, 1, neurons),
        alpha_mem=RNG.uniform(0.5, 0.9, neurons),
        alpha_syn=RNG.uniform(0.2, 0.9, (neurons, synapses)),
        bias=RNG.uniform(0, 0.2, neurons),
    )
    nodes = {
        "input": Input(shape=(3,)),
        "fc": Linear(weight=RNG.normal(0.2, 0.5, (neurons * synapses, 3))),
        "rec": Linear(weight=RNG.normal(0, 0.3, (neurons * synapses, neurons))),
        "sum": Add(),
        "lif": lif,
        "fc2": Linear(weight=RNG.normal(0.1, 0.5, (2, neurons))),
        "out": Neuron(shape=(2,), v_threshold=1.0),
        "output": Output(),
    }
    names = ["input", "fc", "sum", "lif", "fc2", "out", "output"]
    edges = [*pairwise(names), Edge("lif", "rec", 1), ("rec", "sum")]
    return Graph(nodes, edges, dt=1e-3)


def convolutional():
    return chain(
        (2, 6, 6),
        conv=Conv2d(weight=RNG.normal(0.1, 0.4, (5, 2, 3, 3)), padding=(1, 1)),
        spk=Neuron(shape=(5, 6, 6), v_threshold=RNG.uniform(0.5, 1, (5, 1, 1))),
        pool=SumPool2d(kernel=2, stride=2),
        flat=Flatten(),
        fc=Linear(weight=RNG.normal(0, 0.3, (3, 45))),
        out=Neuron(shape=(3,), v_threshold=1.0),
    )


NETWORKS = [(recurrent(), "lif"), (recurrent(synapses=2), "lif"), (convolutional(), "spk")]


def outputs(graph):
    x = np.random.default_rng(1).poisson(0.4, (3, 12, *graph.shape(graph.input)))
    return interpret(graph, x).spikes


@pytest.mark.parametrize(("graph", "layer"), NETWORKS)
def test_features_in_another_order_compute_the_same(graph, layer):
    before = str(graph)
    order = RNG.permutation(graph.shape(layer)[0])
    moved = keep_features(graph, layer, order)
    assert str(moved) != before == str(graph)
    assert outputs(graph).any()
    np.testing.assert_array_equal(outputs(moved), outputs(graph))
    np.testing.assert_allclose(
        feature_strengths(moved, layer), feature_strengths(graph, layer)[order]
    )


@pytest.mark.parametrize(("graph", "layer"), NETWORKS)
def test_a_removed_feature_is_one_whose_weights_are_not_read(graph, layer):
    size = graph.shape(layer)[0]
    kept = strongest(feature_strengths(graph, layer), size - 3)
    gone = np.setdiff1d(np.arange(size), kept)
    silent = {}
    for name, node in graph.of(Linear).items():
        columns = node.weight.shape[1] // size
        if (columns and name in ("rec", "fc2")) or (layer == "spk" and name == "fc"):
            mask = np.ones(node.weight.shape, bool)
            mask[:, np.isin(np.arange(node.weight.shape[1]) // columns, gone)] = False
            silent[name] = mask
    smaller = keep_features(graph, layer, kept)
    assert smaller.shape(layer)[0] == size - 3
    np.testing.assert_array_equal(outputs(smaller), outputs(prune_weights(graph, silent)))


def test_input_channels_are_removed_and_outputs_are_not():
    graph = recurrent()
    assert keep_features(graph, "input", [2, 0])["fc"].weight.shape == (7, 2)
    assert keep_features(graph, "out", [0]) is None
    spiking = Neuron(shape=(2, 6, 6), v_threshold=1.0)
    depthwise = Conv2d(weight=np.ones((2, 1, 3, 3)), groups=2, padding=(1, 1))
    first = Conv2d(weight=np.ones((2, 2, 1, 1)))
    assert keep_features(chain((2, 6, 6), a=first, spk=spiking, b=depthwise), "spk", [0]) is None


def test_the_strongest_weights_stay_as_they_are():
    graph = recurrent(9, synapses=2)
    sizes = strengths(graph, "rec")
    assert sizes.shape == (9, 9)
    wanted = np.abs(graph["rec"].weight).reshape(9, 2, 9).max(axis=1)
    np.testing.assert_allclose(sizes, wanted / graph["lif"].v_threshold[:, None])
    by_source, of_all = largest_of_columns(sizes, 4), largest_of_all(sizes, 10)
    assert (by_source.sum(axis=0) == 4).all()
    assert of_all.sum() == 10
    assert sizes[of_all].min() >= sizes[~of_all].max()
    assert all(sizes[m, k].min() > sizes[~m, k].max() for k, m in enumerate(by_source.T))
    pruned = prune_weights(graph, {"rec": np.repeat(of_all, 2, axis=0)})
    left = pruned["rec"].weight
    assert number_of_weights(graph) - number_of_weights(pruned) == 2 * (81 - 10)
    np.testing.assert_array_equal(left[left != 0], graph["rec"].weight[left != 0])


def test_weights_of_zero_are_never_among_the_strongest():
    sizes = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert largest_of_all(sizes, 3).sum() == largest_of_columns(sizes, 2).sum() == 1
