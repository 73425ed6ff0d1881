"""The NIR paper's Braille network: what its file says, and how it goes onto the chip."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from examples import braille
from tests.genuine import genuine
from toolchain import DeployError, deploy, load
from toolchain.fidelity.ledger import Fidelity
from toolchain.frontends.nir import NirFile, NirGraph, NirNode
from toolchain.frontends.nir.write import write
from toolchain.ir import Linear, Neuron
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import count_agreement

FILE = "braille_noDelay_noBias_subtract.nir"


@pytest.fixture
def published():
    return genuine(FILE, "github.com/neuromorphs/NIR, paper/03_rnn")


@pytest.fixture
def path(tmp_path):
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


def file():
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
    graph = NirGraph(nodes=nodes, edges=edges)
    return NirFile(graph=graph, version="0.2.0", where=FILE)


def test_the_constants_are_those_that_were_trained(path):
    graph = load(path, dt=braille.DT)
    hidden, letters = graph.of(Neuron).values()
    np.testing.assert_allclose(hidden.alpha_mem, 0.85)
    np.testing.assert_allclose(hidden.alpha_syn, 0.75)
    np.testing.assert_allclose(letters.alpha_mem, 0.7)
    np.testing.assert_allclose(letters.alpha_syn, 0.45)
    for neuron in (hidden, letters):
        assert (neuron.syn_order, neuron.compare, neuron.max_spikes) == ("decay_add", "gt", 1)
    for name in graph.of(Linear):
        np.testing.assert_array_equal(graph[name].weight, file().graph.nodes[name].fields["weight"])


def test_recurrent_spikes_arrive_one_step_later(path):
    graph = load(path, dt=braille.DT)
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


def test_what_is_accepted_is_all_that_is_needed_and_no_more(path):
    with pytest.raises(DeployError) as refused:
        deploy(path, "xylo_a2", dt=braille.DT)
    found = [(finding.rule, finding.where) for finding in refused.value.diagnostics]
    assert found == [
        ("comparison", "lif1.lif"),
        ("comparison", "lif2"),
        ("spike_caps", "lif1.lif"),
    ]


def test_the_report_has_a_line_for_each_rate(path, capsys):
    d = deploy(path, "xylo_a2", dt=braille.DT, allow=braille.ALLOWED, quantizer="channel")
    braille.report(d, range(1, 2))
    printed = capsys.readouterr().out
    for rate in ("1 %", "2 %", "5 %", "10 %"):
        assert f" {rate}" in printed
    assert "too many: the chip keeps up only on average" in printed


# ---- the published file ----


def test_the_published_network_goes_onto_the_chip(published):
    d = braille.deploy_file(published)
    assert d.lag == 1
    assert d.program.hidden == 40
    assert d.program.outputs == 7
    for rate in braille.RATES:
        found = braille.runs(d, braille.touches(rate, 1))
        firing, chip = (found[name].spikes for name in ("firing", "chip"))
        assert count_agreement(firing[:, :-1], chip[:, 1:]) > 0.5
    for name in ("lif1.lif", "lif2"):
        assert d.ledger[name].fidelity is Fidelity.APPROXIMATED
    assert {change.allowed for change in d.ledger["lif1.lif"].changes} == {"", *braille.ALLOWED}


def test_the_published_network_is_calm_as_trained_and_not_as_the_chip_fires(published):
    # one spike per step was the rule in training; the chip's hidden neurons have no such limit
    found = braille.runs(braille.deploy_file(published), braille.touches(0.02, 1))
    mean = {name: run.layers["lif1.lif"].spikes.mean() for name, run in found.items()}
    assert 0.01 < mean["trained"] < 0.03
    assert mean["firing"] > 10 * mean["trained"]
    assert mean["chip"] > 10 * mean["trained"]


def test_the_page_prints_what_the_example_finds(published, capsys):
    braille.report(braille.deploy_file(published), range(1, 4))
    printed = capsys.readouterr().out
    page = (Path(__file__).parents[3] / "docs" / "xylo.md").read_text(encoding="utf-8")
    rows = [line.strip(" |").split(" | ") for line in page.splitlines() if " to " in line]
    rows = [row for row in rows if row[0].endswith(" %")]
    assert len(rows) == len(braille.RATES)
    for row in rows:
        (line,) = (one for one in printed.splitlines() if one.strip().startswith(row[0]))
        assert line.split() == " ".join(row).split()
