"""What a file decides, what it leaves open, and how the question reads."""

import logging

import numpy as np
import pytest

from tests.frontends.nir.graphs import chain, cuba, lif, node
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir import to_graph

ALPHAS = np.array([0.5, 0.8, 0.9])


def scaled(dt, kind="LIF", **rest):
    """Constants as snnTorch and SpikingJelly write them, in float32."""
    tau = np.float32(dt / (1 - ALPHAS))
    fields = {"v_leak": np.zeros(3), "v_threshold": np.ones(3), **rest}
    gain = np.float32(tau / np.float32(dt))
    if kind == "LIF":
        return node("LIF", tau=tau, r=gain, **fields)
    syn = np.float32(dt / (1 - ALPHAS / 2))
    whole = np.float32(syn / np.float32(dt))
    return node("CubaLIF", tau_mem=tau, tau_syn=syn, r=gain, w_in=whole, **fields)


def rockpool(dt=1e-3, taus=(0.01, 0.02, 0.03)):
    taus = np.array(taus)
    return node(
        "CubaLIF",
        tau_mem=taus,
        tau_syn=taus,
        r=np.float32(taus * np.exp(-dt / taus) / dt),
        w_in=np.ones(len(taus)),
        v_leak=np.zeros(len(taus)),
        v_threshold=np.ones(len(taus)),
    )


ZERO = {"v_reset": np.zeros(3)}
IF_SINABS = node("IF", r=np.ones(3), v_threshold=np.ones(3))


@pytest.mark.parametrize(
    ("layer", "dialect", "dt", "reset"),
    [
        (scaled(1e-4), "snntorch", 1e-4, "subtract"),
        (scaled(1e-4, "CubaLIF"), "snntorch", 1e-4, "subtract"),
        (scaled(2e-3, **ZERO), "spikingjelly", 2e-3, "value"),
        (scaled(1e-3, "CubaLIF", **ZERO), "spikingjelly", 1e-3, "value"),
        (rockpool(), "rockpool", 1e-3, "subtract"),
        (rockpool(taus=(0.02, 0.02, 0.02)), "rockpool", 1e-3, "subtract"),
        (IF_SINABS, "sinabs", None, "subtract"),
        (lif(tau=10), "sinabs", None, "subtract"),
    ],
)
def test_the_pattern_of_an_exporter_decides(layer, dialect, dt, reset, caplog):
    with caplog.at_level(logging.WARNING, "toolchain.nir"):
        graph = to_graph(chain(n=layer))
    assert graph.dt == dt
    provenance = graph.provenance
    assert provenance["nir_dialect"].startswith(f"{dialect} (inferred: ")
    assert provenance["nir_reset"].startswith(reset)
    assert graph["n"].reset == reset
    messages = [record.getMessage() for record in caplog.records]
    assert sum(f"inferred nir_dialect = {dialect}" in text for text in messages) == 1
    assert len(messages) == sum("(inferred" in text for text in provenance.values())
    assert {record.name for record in caplog.records} == {"toolchain.nir"}


def test_what_is_told_is_not_logged(caplog):
    graph = to_graph(chain(n=lif()), dt=1e-3, dialect="euler", reset="value")
    assert not caplog.records
    assert graph.provenance["nir_dialect"] == "euler (given)"
    assert graph.provenance["nir_dt"] == "0.001 s (given)"
    assert graph.provenance["nir_reset"] == "value (given)"


@pytest.mark.parametrize(
    ("layer", "dt"),
    [
        (lif(), None),
        (lif(), 1e-3),
        (lif(tau=0.02, r=2, **{"v_reset": 0.0}), None),  # one constant says nothing
        (cuba(), None),
        (node("IF", r=1.0, v_threshold=np.ones(3)), None),  # norse writes r without a shape
        (node("IF", r=np.full(3, 1e3), v_threshold=np.ones(3)), None),
        (node("Threshold", threshold=np.ones(3)), None),
        (node("Delay", delay=np.full(3, 1e-3)), 1e-3),
        (rockpool(dt=1.2345e-3, taus=(0.02, 0.02, 0.02)), None),
        (scaled(1e-4, v_leak=np.full(3, 0.1)), None),
    ],
)
def test_a_file_that_decides_nothing_is_asked_about(layer, dt):
    with pytest.raises(ModelFileError, match="it matches no exporter's pattern"):
        to_graph(chain(n=layer), dt=dt)


def test_two_patterns_at_once_are_asked_about():
    with pytest.raises(ModelFileError, match=r"\(it matches snntorch and spikingjelly\)"):
        to_graph(chain(n=scaled(1e-4, **ZERO)))


def test_a_told_dt_can_make_one_constant_a_pattern():
    layer = lif(tau=0.02, r=10.0, v_reset=0.0)
    with pytest.raises(ModelFileError, match="matches no exporter's pattern"):
        to_graph(chain(n=layer))
    assert "spikingjelly" in to_graph(chain(n=layer), dt=2e-3).provenance["nir_dialect"]


def test_the_question_says_what_each_answer_would_mean():
    with pytest.raises(ModelFileError) as asked:
        to_graph(chain(n=lif(tau=0.02, r=1.0, threshold=0.5)))
    lines = str(asked.value).splitlines()
    assert lines[0] == (
        "a.nir: the file does not determine the framework's update rule "
        "(it matches no exporter's pattern); pass dialect=, and dt= if the dialect needs it"
    )
    assert lines[1].strip() == (
        "layer 'n' (LIF: tau 0.02, r 1, v_leak 0, v_threshold 0.5) with an input of 0.6 "
        "for 400 steps:"
    )
    text = "\n".join(lines[2:])
    for wanted in (
        "dialect='euler', dt=0.001 (Euler's rule): decay 0.95 per step, gain 0.05: 11 spikes",
        "dialect='euler', dt=0.0001 (Euler's rule): decay 0.995 per step, gain 0.005: 1 spike",
        "time constants in steps): decay 1.92875e-22 per step, gain 1: 400 spikes",
        "dialect='rockpool' (rockpool export): not supported: LIF: rockpool",
        "dialect='snntorch', dt=0.0001 (snnTorch export and import): decay 0.995 per step",
        "dialect='spikingjelly', dt=0.001 (SpikingJelly export and import): decay 0.95",
    ):
        assert wanted in text


def test_the_length_of_a_step_is_asked_for_with_what_it_would_do():
    with pytest.raises(ModelFileError) as asked:
        to_graph(chain(n=lif()), dialect="euler")
    lines = str(asked.value).splitlines()
    assert lines[0] == "a.nir: NIR does not store the length of a timestep; pass dt=, in s"
    assert lines[2].endswith("decay 0.95 per step, gain 0.05: 11 spikes")
    assert len(lines) == 4


@pytest.mark.parametrize("dialect", ["euler", "snntorch"])
def test_a_v_reset_of_zero_is_asked_about(dialect):
    layer = scaled(1e-4, **ZERO)
    with pytest.raises(ModelFileError) as asked:
        to_graph(chain(n=layer), dialect=dialect, dt=None if dialect != "euler" else 1e-4)
    text = str(asked.value)
    assert "v_reset is 0, which snnTorch and sinabs also write for reset by subtraction" in text
    assert "reset='subtract': a spike subtracts the threshold; decay" in text
    assert "reset='value': a spike sets v to v_reset; decay" in text
    assert ("reset='subtract-late'" in text) == (dialect == "snntorch")


def test_a_dialect_that_is_told_says_its_reset_whatever_v_reset_is():
    layer = lif(tau=10, v_reset=0.0)
    assert to_graph(chain(n=layer), dialect="sinabs")["n"].reset == "subtract"


def test_a_v_reset_of_one_layer_only_is_asked_about():
    layers = {"a": lif(v_reset=0.25), "b": lif()}
    with pytest.raises(ModelFileError, match="pass reset="):
        to_graph(chain(**layers), dialect="euler", dt=1e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dialect": "snn"}, "unknown dialect 'snn'; choose from euler, exact, sinabs"),
        ({"reset": "zero"}, "unknown reset 'zero'; choose from subtract, subtract-corrected"),
        ({"dt": 0.0}, "dt must be > 0 s, got 0.0"),
        ({"dt": float("nan")}, "dt must be > 0 s, got nan"),
        (
            {"dialect": "snntorch", "dt": 1e-3},
            "read as dialect 'snntorch' the file implies 0.0001 s",
        ),
    ],
)
def test_words_and_numbers_that_cannot_be_are_refused(options, words):
    with pytest.raises(ModelFileError, match=words):
        to_graph(chain(n=scaled(1e-4)), **options)


def test_a_told_dt_that_the_file_contradicts_is_refused():
    with pytest.raises(ModelFileError, match=r"dt=0.002 s was given, .* the file implies 0.001 s"):
        to_graph(chain(n=rockpool()), dt=2e-3)
    assert to_graph(chain(n=rockpool()), dt=1e-3).dt == 1e-3


def test_a_network_without_neurons_needs_to_be_told_nothing():
    graph = to_graph(chain(n=node("Linear", weight=np.eye(3))))
    assert graph.dt is None
    assert "nir_dialect" not in graph.provenance
