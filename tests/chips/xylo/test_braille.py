"""The NIR paper's Braille network: what its file says, and how it goes onto the chip."""

from itertools import pairwise

import numpy as np
import pytest

from examples import braille
from tests.genuine import genuine
from toolchain import deploy
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir import NirFile, NirGraph, NirNode
from toolchain.frontends.nir.write import write
from toolchain.ir import Linear, Neuron
from toolchain.ir.interpret import interpret

FILE = "braille_noDelay_noBias_subtract.nir"


@pytest.fixture
def published():
    return braille.read(genuine(FILE, "github.com/neuromorphs/NIR, paper/03_rnn"))


@pytest.fixture
def made(tmp_path):
    """A file of the same form with random weights."""
    return write(tmp_path / FILE, file())


def layer(size, mem, syn):
    tau_mem, tau_syn = 1e-4 / (1 - mem), 1e-4 / (1 - syn)
    values = {
        "tau_mem": tau_mem,
        "tau_syn": tau_syn,
        "r": tau_mem / 1e-4,
        "w_in": tau_syn / 1e-4,
        "v_leak": 0.0,
        "v_threshold": 1.0,
    }
    return NirNode(type="CubaLIF", fields={k: np.full(size, v) for k, v in values.items()})


def file(**changes):
    rng = np.random.default_rng(0)
    nodes = {
        "input": NirNode(type="Input", fields={"shape": np.array([12])}),
        "lif1.lif": layer(40, 0.85, 0.75),
        "lif2": layer(7, 0.7, 0.45),
        "output": NirNode(type="Output", fields={"shape": np.array([7])}),
    }
    for name, shape in (("fc1", (40, 12)), ("lif1.w_rec", (40, 40)), ("fc2", (7, 40))):
        weight = rng.normal(-0.02, 0.2, shape).astype(np.float32)
        nodes[name] = NirNode(type="Linear", fields={"weight": weight})
    chain = ("input", "fc1", "lif1.lif", "fc2", "lif2", "output")
    edges = (*pairwise(chain), ("lif1.lif", "lif1.w_rec"), ("lif1.w_rec", "lif1.lif"))
    graph = NirGraph(nodes={**nodes, **changes}, edges=edges)
    return NirFile(graph=graph, version="0.2.0", where=FILE)


def test_the_constants_are_those_that_were_trained(made):
    graph = braille.read(made)
    hidden, letters = graph.of(Neuron).values()
    np.testing.assert_allclose(hidden.alpha_mem, 0.85)
    np.testing.assert_allclose(hidden.alpha_syn, 0.75)
    np.testing.assert_allclose(letters.alpha_mem, 0.7)
    np.testing.assert_allclose(letters.alpha_syn, 0.45)
    assert {n.syn_order for n in (hidden, letters)} == {"decay_add"}
    assert [n.max_spikes for n in (hidden, letters)] == [31, 1]
    for name in graph.of(Linear):
        np.testing.assert_array_equal(graph[name].weight, file().graph.nodes[name].fields["weight"])


def test_recurrent_spikes_arrive_one_step_later(made):
    graph = braille.read(made)
    spikes = braille.touches(0.3, 0, samples=2)
    layer = interpret(graph, spikes, record=True).layers["lif1.lif"]
    drive = spikes @ graph["fc1"].weight.T
    drive[:, 1:] += layer.spikes[:, :-1] @ graph["lif1.w_rec"].weight.T
    current = np.zeros_like(drive[:, 0])
    for t in range(spikes.shape[1]):
        current = 0.75 * current + drive[:, t]
        np.testing.assert_allclose(layer.i_syn[:, t], current, atol=1e-9)
    assert layer.spikes.sum() > 100


@pytest.mark.parametrize("rate", braille.RATES)
def test_touches_have_the_rate_they_are_asked_for(rate):
    spikes = braille.touches(rate, 0, samples=64)
    assert spikes.mean() == pytest.approx(rate, rel=0.05)
    assert spikes.max() == 1


@pytest.mark.parametrize(
    ("mem", "words"),
    [(0.85, "v_leak is not 0"), (-0.01, "a time constant is shorter than dt = 0.0001 s")],
)
def test_another_network_is_refused(tmp_path, mem, words):
    other = layer(7, mem, 0.45)
    if mem > 0:
        other.fields["v_leak"][0] = 0.1
    path = write(tmp_path / FILE, file(lif2=other))
    with pytest.raises(ModelFileError, match=f"lif2: .*{words}"):
        braille.read(path)


def test_the_report_has_a_line_for_each_rate(made, capsys):
    graph = braille.read(made)
    d = deploy(graph, "xylo_a2", calibration=braille.touches(0.05, 0, samples=4))
    braille.report(d, graph, range(1, 2))
    printed = capsys.readouterr().out
    for rate in ("1 %", "2 %", "5 %", "10 %"):
        assert f" {rate}" in printed
    assert "which does not fit: it keeps up on average only" in printed


# ---- the published file ----


def test_the_published_network_goes_onto_the_chip(published):
    calibration = np.concatenate([braille.touches(rate, 0) for rate in braille.RATES])
    d = deploy(published, "xylo_a2", calibration=calibration)
    assert d.lag == 1
    assert d.program.hidden == 40
    assert d.program.outputs == 7
    found = [braille.agreement(d, published, braille.touches(rate, 1)) for rate in braille.RATES]
    assert min(found) > 0.5


def test_the_published_network_is_calm_as_trained_and_not_as_the_chip_fires(published):
    # one spike a step was the rule in training; the chip's hidden neurons have no such limit
    spikes = braille.touches(0.02, 1)
    trained = (
        interpret(braille.as_trained(published), spikes, record=True).layers["lif1.lif"].spikes
    )
    free = interpret(published, spikes, record=True).layers["lif1.lif"].spikes
    assert 0.01 < trained.mean() < 0.03
    assert free.mean() > 10 * trained.mean()
