"""The NIR paper's Braille network: its file is read with care, and it goes onto the chip."""

import h5py
import numpy as np
import pytest

from examples import braille
from tests.genuine import genuine
from toolchain import deploy
from toolchain.ir import Linear, Neuron
from toolchain.ir.interpret import interpret

FILE = "braille_noDelay_noBias_subtract.nir"


@pytest.fixture
def published():
    return braille.read(genuine(FILE, "github.com/neuromorphs/NIR, paper/03_rnn"))


@pytest.fixture
def made(tmp_path):
    """A file of the same form with random weights."""
    rng = np.random.default_rng(0)
    path = tmp_path / FILE
    with h5py.File(path, "w") as file:
        for name, shape in (("fc1", (40, 12)), ("lif1.w_rec", (40, 40)), ("fc2", (7, 40))):
            weight = rng.normal(-0.02, 0.2, shape).astype(np.float32)
            file[f"node/nodes/{name}/weight"] = weight
        for name, size, mem, syn in (("lif1.lif", 40, 0.85, 0.75), ("lif2", 7, 0.7, 0.45)):
            tau_mem, tau_syn = 1e-4 / (1 - mem), 1e-4 / (1 - syn)
            for field, value in (
                ("tau_mem", tau_mem),
                ("tau_syn", tau_syn),
                ("r", tau_mem / 1e-4),
                ("w_in", tau_syn / 1e-4),
                ("v_leak", 0.0),
                ("v_threshold", 1.0),
            ):
                file[f"node/nodes/{name}/{field}"] = np.full(size, value)
    return path


def test_the_constants_are_those_that_were_trained(made):
    graph = braille.read(made)
    hidden, letters = graph.of(Neuron).values()
    np.testing.assert_allclose(hidden.alpha_mem, 0.85)
    np.testing.assert_allclose(hidden.alpha_syn, 0.75)
    np.testing.assert_allclose(letters.alpha_mem, 0.7)
    np.testing.assert_allclose(letters.alpha_syn, 0.45)
    assert {n.syn_order for n in (hidden, letters)} == {"decay_add"}
    with h5py.File(made) as file:
        for name in graph.of(Linear):
            np.testing.assert_array_equal(graph[name].weight, file[f"node/nodes/{name}/weight"])


def test_recurrent_spikes_arrive_one_step_later(made):
    graph = braille.read(made)
    spikes = braille.touches(0.3, 0, samples=2)
    layer = interpret(graph, spikes, record=True).layers["lif1"]
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


def _linked(file):
    del file["node/nodes/fc1/weight"]
    file["node/nodes/fc1/weight"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft(file):
    del file["node/nodes/fc1/weight"]
    file["node/nodes/fc1/weight"] = h5py.SoftLink("/node/nodes/fc2/weight")


def _outside(file):
    del file["node/nodes/fc1/weight"]
    file["node/nodes/fc1"].create_dataset(
        "weight", (40, 12), "f4", external=[("elsewhere", 0, 40 * 12 * 4)]
    )


def _missing(file):
    del file["node/nodes/lif2/r"]


def _small(file):
    del file["node/nodes/fc1/weight"]
    file["node/nodes/fc1/weight"] = np.zeros((40, 11), np.float32)


def _text(file):
    del file["node/nodes/fc1/weight"]
    file["node/nodes/fc1/weight"] = "hello"


def _group(file):
    del file["node/nodes/fc1/weight"]
    file.create_group("node/nodes/fc1/weight")


def _infinite(file):
    file["node/nodes/fc1/weight"][0, 0] = np.inf


def _short(file):
    file["node/nodes/lif2/tau_mem"][0] = 0.99e-4


def _gain(file):
    file["node/nodes/lif2/r"][0] = 1.0


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_linked, "is a link"),
        (_soft, "is a link"),
        (_outside, "is no plain array"),
        (_missing, "no node/nodes/lif2/r"),
        (_small, r"must be numbers of shape \(40, 12\), got float32 of shape \(40, 11\)"),
        (_text, "must be numbers"),
        (_group, "is no plain array"),
        (_infinite, "NaN or infinite"),
        (_short, "lif2: a time constant is shorter than a step"),
        (_gain, "lif2: gains are not 1"),
    ],
)
def test_another_file_is_refused(made, damage, words):
    with h5py.File(made, "a") as file:
        damage(file)
    with pytest.raises(ValueError, match=words):
        braille.read(made)


def test_a_large_file_is_not_opened(tmp_path):
    path = tmp_path / "large.nir"
    path.write_bytes(b"\0" * (braille.LARGEST + 1))
    with pytest.raises(ValueError, match="larger than"):
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
    trained = interpret(braille.as_trained(published), spikes, record=True).layers["lif1"].spikes
    free = interpret(published, spikes, record=True).layers["lif1"].spikes
    assert 0.01 < trained.mean() < 0.03
    assert free.mean() > 10 * trained.mean()
