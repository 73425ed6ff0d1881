"""What a step of each primitive is in each dialect, number by number."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cases import each
from tests.frontends.nir.graphs import chain, cuba, lif, node
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir import to_graph
from toolchain.frontends.nir.check import check
from toolchain.frontends.nir.dialects import DIALECTS
from toolchain.frontends.nir.neurons import Reading
from toolchain.frontends.nir.steps import snap_to_one, step_of_gain

DT = 1e-3


def read(layer, dialect, dt=DT, **options):
    size = max(np.size(value) for value in layer.fields.values())
    ir_node = to_graph(chain((size,), (size,), n=layer), dialect=dialect, dt=dt, **options)
    return ir_node["n"]


@each(
    ("dialect", "layer", "wanted"),
    [
        ("euler", lif(), {"alpha_mem": 0.95, "gain": 0.05, "compare": "gt", "max_spikes": 1}),
        ("euler", lif(leak=0.2), {"v_leak": 0.2, "v_init": 0.0}),
        ("euler", cuba(r=2, w_in=3), {"alpha_syn": 0.9, "gain": 0.03, "syn_order": "decay_add"}),
        ("euler", node("IF", r=[500.0], v_threshold=[1.0]), {"alpha_mem": 1, "gain": 0.5}),
        ("euler", node("I", r=[500.0]), {"alpha_mem": 1, "gain": 0.5}),
        ("euler", node("LI", tau=[0.02], r=[2.0], v_leak=[0.1]), {"gain": 0.1, "v_leak": 0.1}),
        ("euler", node("Threshold", threshold=[2.0]), {"alpha_mem": 0, "reset": "none"}),
        ("exact", lif(r=2), {"alpha_mem": np.exp(-0.05), "gain": 2 * (1 - np.exp(-0.05))}),
        ("exact", cuba(), {"gain": (1 - np.exp(-0.05)) * (1 - np.exp(-0.1))}),
        ("exact", node("IF", r=[500.0], v_threshold=[1.0]), {"gain": 0.5}),
        ("sinabs", lif(tau=10), {"alpha_mem": np.exp(-0.1), "gain": 1, "v_min": None}),
        ("sinabs", lif(tau=10), {"compare": "ge", "max_spikes": None, "reset": "subtract"}),
        ("sinabs", node("IF", r=[1.0], v_threshold=[2.0]), {"v_min": -2, "gain": 1}),
        ("sinabs", node("LI", tau=[10.0], r=[1.0], v_leak=[0.0]), {"gain": 1}),
        ("norse", lif(leak=0.2), {"v_init": 0.2, "reset": "value", "compare": "gt"}),
        ("norse", node("IF", r=[1.0], v_threshold=[1.0]), {"gain": 1, "v_reset": 0}),
        ("norse", cuba(r=1, w_in=1), {"gain": 0.05 * 0.1, "alpha_syn": 0.9}),
        ("norse-export", lif(tau=2e-5), {"alpha_mem": 0.95, "gain": 0.05}),
        ("spikingjelly", lif(leak=0.1, v_reset=0.1), {"v_init": 0.1, "v_reset": 0.1}),
        ("spikingjelly", lif(r=20), {"gain": 1, "compare": "ge", "reset": "value"}),
        ("spikingjelly", node("IF", r=[1e3], v_threshold=[1.0]), {"gain": 1, "max_spikes": 1}),
        ("spikingjelly", cuba(r=20, w_in=10), {"gain": 1, "alpha_syn": 0.9}),
    ],
)
def test_a_step_is_what_the_table_says(dialect, layer, wanted):
    ir_node = read(layer, dialect)
    for name, value in wanted.items():
        found = getattr(ir_node, name)
        if isinstance(value, float | int):
            np.testing.assert_allclose(found, value, rtol=1e-12)
        else:
            assert found == value


def test_rockpool_says_dt_in_r_and_adds_before_it_decays():
    taus = np.array([0.01, 0.02, 0.03])
    gain = taus * np.exp(-DT / taus) / DT
    layer = node(
        "CubaLIF",
        tau_mem=taus,
        tau_syn=np.full(3, 0.015),
        r=gain.astype(np.float32),
        w_in=np.ones(3),
        v_leak=np.zeros(3),
        v_threshold=np.ones(3),
    )
    graph = to_graph(chain(n=layer), dialect="rockpool")
    assert graph.dt == DT
    ir_node = graph["n"]
    np.testing.assert_allclose(ir_node.alpha_mem, np.exp(-DT / taus))
    np.testing.assert_allclose(ir_node.alpha_syn, [np.exp(-DT / 0.015)])
    assert (ir_node.gain, ir_node.syn_order, ir_node.compare) == (1, "add_decay", "ge")
    assert ir_node.max_spikes == 65536


def test_a_leaky_readout_of_rockpool_decays_what_it_adds():
    layer = node("LI", tau=[0.02], r=[0.02 * np.exp(-0.05) / DT], v_leak=[0.0])
    ir_node = read(layer, "rockpool", dt=None)
    np.testing.assert_allclose([ir_node.alpha_mem, ir_node.gain], np.exp(-0.05))


@pytest.mark.parametrize("u", [1e-4, 1e-2, 0.3, 0.9])
def test_the_step_is_solved_from_rockpools_gain(u):
    tau = np.array([0.02])
    np.testing.assert_allclose(step_of_gain(tau, np.exp(-u) / u), u * tau, rtol=1e-12)


@pytest.mark.parametrize(
    ("gain", "kept"), [(9.999997 / 10, 1), (1 + 0.99e-5, 1), (1 + 1.01e-5, 1 + 1.01e-5), (2, 2)]
)
def test_a_gain_within_what_float32_leaves_is_one(gain, kept):
    assert snap_to_one(np.asarray(gain)) == kept


def test_what_was_snapped_is_told():
    taus = np.float32(1e-4) / (1 - np.float32([0.9, 0.8, 0.7]))
    gains = np.float32(taus / np.float32(1e-4)) * np.float32(1 - 3e-7)
    layer = node("LIF", tau=taus, r=gains, v_leak=np.zeros(3), v_threshold=np.ones(3))
    graph = to_graph(chain(n=layer), dialect="snntorch")
    assert graph["n"].gain == 1
    assert "of 1 are rounded to 1" in graph.provenance["nir_gains"]


# ---- resets ----


@pytest.mark.parametrize(
    ("word", "layer", "wanted"),
    [
        ("subtract", lif(r=200), ("subtract", "same")),
        ("value", lif(r=200), ("value", "same")),
        ("subtract-late", lif(r=200), ("subtract", "next_undecayed")),
        ("subtract-corrected", lif(r=200), ("subtract", "next_corrected")),
        ("value-late", lif(r=200), ("value", "next_undecayed")),
        ("value-late", cuba(r=200, w_in=100), ("value", "next_erase_all")),
    ],
)
def test_the_reset_is_the_word_that_is_told(word, layer, wanted):
    ir_node = read(layer, "snntorch", dt=None, reset=word)
    assert (ir_node.reset, ir_node.reset_when) == wanted


def test_v_reset_is_where_a_spike_leads():
    assert read(lif(v_reset=-0.25), "euler").v_reset == -0.25


@pytest.mark.parametrize(
    ("dialect", "reset", "words"),
    [
        ("rockpool", "value", "dialect 'rockpool' supports subtract"),
        ("spikingjelly", "subtract", "dialect 'spikingjelly' supports value"),
        ("euler", "value-late", "dialect 'euler' supports subtract, value"),
    ],
)
def test_a_reset_that_a_framework_has_not_is_refused(dialect, reset, words):
    layer = cuba(r=20, w_in=10) if dialect != "rockpool" else cuba(r=20 * np.exp(-0.05))
    with pytest.raises(ModelFileError, match=words):
        read(layer, dialect, reset=reset)


def test_a_v_reset_that_is_not_used_is_refused():
    with pytest.raises(ModelFileError, match=r"v_reset is 0.25, but reset='subtract' does not use"):
        read(lif(v_reset=0.25), "euler", reset="subtract")


# ---- what a framework does not have ----


@pytest.mark.parametrize(
    ("dialect", "layer", "words"),
    [
        ("rockpool", lif(), "LIF: rockpool exports it but cannot import it"),
        ("rockpool", node("IF", r=[1.0], v_threshold=[1.0]), "IF: rockpool cannot import it"),
        ("sinabs", cuba(), "CubaLIF: sinabs skips it without a warning when it imports NIR"),
        ("sinabs", node("Delay", delay=[DT]), "Delay: sinabs skips it"),
        ("sinabs", lif(tau=10, r=2), "r is not 1; sinabs supports only 1"),
        ("sinabs", lif(tau=10, leak=0.1), "v_leak is not 0, which sinabs does not support"),
        ("snntorch", node("IF", r=[1.0], v_threshold=[1.0]), "a leaky neuron with a decay of 0.9"),
        ("snntorch", node("LI", tau=[0.02], r=[1.0], v_leak=[0.0]), "snnTorch cannot import it"),
        ("snntorch", lif(r=200, leak=0.1), "v_leak is not 0, which snnTorch"),
        ("norse", node("Threshold", threshold=[1.0]), "Threshold: Norse skips it"),
        ("norse", lif(r=2), "r is not 1; Norse supports only 1"),
        ("norse", cuba(leak=0.1), "its synaptic current would decay to v_leak as well"),
        ("spikingjelly", lif(leak=0.1, v_reset=0), "v_leak differs from v_reset"),
        ("spikingjelly", node("I", r=[1.0]), "I: SpikingJelly cannot import it"),
        ("euler", lif(tau=0.0), "tau must be > 0, got 0"),
        ("exact", lif(tau=-1.0), "tau must be > 0, got -1"),
        ("exact", lif(threshold=0.0), "v_threshold must be > 0"),
    ],
)
def test_what_a_framework_cannot_mean_is_refused_by_name(dialect, layer, words):
    dt = None if dialect == "snntorch" else DT
    with pytest.raises(ModelFileError, match=f"a.nir: n: .*{words}"):
        read(layer, dialect, dt=dt, reset="subtract" if dialect == "snntorch" else None)


def test_each_layer_of_spikingjelly_has_one_of_two_gains():
    layers = {"a": lif(r=20, v_reset=0), "b": lif(r=3, v_reset=0)}
    with pytest.raises(ModelFileError, match=r"a.nir: b: .*r is neither 1 nor tau / dt at dt ="):
        to_graph(chain(**layers), dialect="spikingjelly", dt=DT)


@pytest.mark.parametrize(("tau", "fits"), [(DT, True), (0.999 * DT, False)])
def test_eulers_rule_has_a_step_down_to_a_time_constant_of_dt(tau, fits):
    if fits:
        assert read(lif(tau=tau), "euler").alpha_mem == 0
        return
    with pytest.raises(ModelFileError, match=r"shorter than dt = 0.001 s, but Euler's rule"):
        read(lif(tau=tau), "euler")


def test_norses_own_files_are_told_from_their_time_constants():
    exported = lif(tau=1e-5)  # 10 ms, multiplied by a dt of 1 ms
    with pytest.raises(
        ModelFileError, match="use dialect='norse-export', which divides them by dt"
    ):
        read(exported, "norse")
    np.testing.assert_allclose(read(exported, "norse-export").alpha_mem, 0.9)
    with pytest.raises(ModelFileError, match="the file was not exported by Norse with this dt"):
        read(lif(tau=1e-7), "norse-export")


def test_a_hint_of_the_norse_dialect_holds():
    with pytest.raises(ModelFileError) as short:
        read(lif(tau=1e-7), "norse")
    assert "norse-export" not in str(short.value)


# ---- the check ----


@pytest.mark.parametrize(
    "slip",
    [{"compare": "ge"}, {"alpha_mem": 0.51}, {"gain": 1.001}, {"v_leak": 0.01}, {"v_init": 0.1}],
)
def test_a_graph_that_is_not_what_the_file_says_is_found(slip):
    layer = lif(tau=2e-3, r=2.0, threshold=1.0)
    given = chain(n=layer)
    graph = to_graph(given, dialect="euler", dt=DT)
    reading = Reading(dialect=DIALECTS["euler"], dt=DT, reset="subtract")
    wrong = graph.replace({"n": replace(graph["n"], **slip)})
    with pytest.raises(ModelFileError, match=r"a.nir: layer 'n' first differs in step \d+, neuron"):
        check(wrong, given.graph.nodes, {}, reading, "a.nir")
    assert "self_check" in check(graph, given.graph.nodes, {}, reading, "a.nir").provenance


def test_the_check_says_how_much_it_compared():
    self_check = to_graph(chain(n=lif()), dialect="euler", dt=DT).provenance["self_check"]
    assert self_check.startswith("0 of ")
    assert int(self_check.split("; ")[1].split()[0]) > 0
