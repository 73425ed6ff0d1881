"""Published files of the NIR paper, from the file alone plus dt."""

import numpy as np
import pytest

from tests.genuine import genuine
from tests.oracles import nmnist
from toolchain import deploy
from toolchain.frontends.nir import to_graph
from toolchain.frontends.nir.read import read
from toolchain.ir import Neuron
from toolchain.runs.interpret import interpret


@pytest.fixture
def cnn():
    return genuine("cnn_sinabs.nir", "github.com/neuromorphs/NIR, paper/02_cnn")


@pytest.fixture
def braille():
    return genuine(
        "braille_noDelay_noBias_subtract.nir", "github.com/neuromorphs/NIR, paper/03_rnn"
    )


def test_the_nmnist_network_is_known_as_sinabs_with_its_floor(cnn):
    graph = to_graph(read(cnn), dt=1e-3)
    provenance = graph.provenance
    assert provenance["nir_dialect"].startswith("sinabs (inferred: ")
    assert provenance["nir_floor"] == "IF membranes are bounded below by -v_threshold, as in sinabs"
    assert {node.v_min.item() for node in graph.of(Neuron).values()} == {-1.0}
    assert provenance["self_check"].startswith("0 of ")


def test_the_nmnist_network_spikes_as_it_does_in_sinabs(cnn):
    genuine("sample_nmnist.bin", "github.com/neuromorphs/tonic, tests")
    graph = to_graph(read(cnn), dt=1e-3)
    layers = interpret(graph, nmnist.recording(), record=True).layers
    assert tuple(int(layer.spikes.sum()) for layer in layers.values()) == nmnist.FLOAT_COUNTS


def test_the_nmnist_network_walks_onto_the_chip(cnn):
    deployed = deploy(cnn, "speck2f", dt=1e-3)
    assert len(deployed.placement) == 5
    assert deployed.graph.provenance["nir_dialect"].startswith("sinabs")


def test_the_braille_network_is_known_as_snntorch(braille):
    graph = to_graph(read(braille), dt=1e-4)
    provenance = graph.provenance
    assert provenance["nir_dialect"].startswith("snntorch (inferred: ")
    assert provenance["nir_reset"].startswith("subtract (inferred: the file has no v_reset")
    hidden, letters = graph.of(Neuron).values()
    assert (hidden.reset, hidden.compare, hidden.max_spikes) == ("subtract", "gt", 1)
    assert (hidden.gain, letters.gain) == (1, 1)
    np.testing.assert_allclose([hidden.alpha_mem, letters.alpha_mem], [0.85, 0.7], rtol=1e-7)
    np.testing.assert_allclose([hidden.alpha_syn, letters.alpha_syn], [[0.75], [0.45]], rtol=1e-7)
    assert [(e.pre, e.post) for e in graph.edges if e.delay] == [("lif1.lif", "lif1.w_rec")]


def test_the_braille_network_needs_not_even_dt(braille):
    assert str(to_graph(read(braille))) == str(to_graph(read(braille), dt=1e-4))
