"""Outputs that never fire: their membranes or currents are read, in the chip's integers."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.chips.xylo.graphs import lif, sequence
from tests.chips.xylo.programs import as_program
from tests.chips.xylo.surfaces import classes, plain
from tests.oracles.xylo_readout_vectors import DATA
from tests.oracles.xylo_vectors import unpack
from toolchain import DeployError, deploy
from toolchain.chips.load import load_chip
from toolchain.chips.synsense.vendor import build_configuration
from toolchain.chips.xylo import XyloOptions, XyloProgram, simulate
from toolchain.chips.xylo.emit.tree import configuration
from toolchain.chips.xylo.emit.vendor_json import dumps
from toolchain.chips.xylo.graphs import shape
from toolchain.chips.xylo.live.boards import BOARDS
from toolchain.chips.xylo.live.session import _fields
from toolchain.chips.xylo.simulate import session as running
from toolchain.chips.xylo.simulate.twin import simulate_slow
from toolchain.chips.xylo.store import from_arrays, to_arrays
from toolchain.deployment import Deployment
from toolchain.diagnostics import VendorError
from toolchain.ir import MembraneReadout
from toolchain.runs import aligned
from toolchain.runs.interpret import interpret

RNG = np.random.default_rng(0)
SPIKES, UNSEEN = RNG.poisson(0.2, (2, 8, 60, 6))
RECORDS = unpack(DATA)


def membrane(size, **changes):
    """An output layer that Xylo computes as it is."""
    fields = {"alpha_mem": 1 - 2.0**-3, "alpha_syn": [1 - 2.0**-2]}
    return MembraneReadout(shape=(size,), **fields | changes)


def network(output=membrane, **changes):
    return sequence(6, 12, 3, output=partial(output, **changes))


# ---- the chip ----


@pytest.mark.parametrize("number", range(len(RECORDS)))
@pytest.mark.parametrize("state", ["v_mem", "i_syn"])
def test_the_states_of_outputs_are_those_of_xylosim(number, state, monkeypatch):
    found = RECORDS[number]
    net = {
        k: v for k, v in found.items() if k not in ("core", "raster", "calls") and k[:5] != "want_"
    }
    program = as_program(net, found["core"], readout=state)
    monkeypatch.setattr(running, "MOST_STATES", 7 * (program.hidden + program.outputs))
    got = simulate(program, found["raster"])
    np.testing.assert_array_equal(got.readout[0], found[f"want_{state}_out"])
    np.testing.assert_array_equal(got.spikes[0], found["want_spikes"])
    whole = simulate(program, found["raster"], record=True)
    np.testing.assert_array_equal(whole.readout, got.readout)
    assert (got.v_mem, got.state.v_mem.tolist()) == (None, whole.state.v_mem.tolist())


# ---- from network to states ----


@pytest.mark.parametrize("quantizer", ["auto", "channel", "global"])
def test_states_use_the_word_do_not_saturate_and_come_in_the_networks_unit(quantizer):
    d = deploy(network(), "xylo", quantizer=quantizer, calibration=SPIKES)
    assert set(d.program.threshold_out.tolist()) == {32767}
    run = d.simulate(UNSEEN, record=True)
    assert (run.readout.dtype, run.readout.shape) == (np.int16, (8, 60, 3))
    np.testing.assert_array_equal(run.readout, d.simulate(UNSEEN).readout)
    np.testing.assert_array_equal(run.readout, simulate_slow(d.program, UNSEEN).readout)
    assert not run.spikes.any()
    assert not run.saturations["l1"]
    assert 32767 / 4 < np.abs(run.readout.astype(int)).max() < 32767
    wanted, got = aligned(d.reference(UNSEEN).output_values, run.output_values, d.lag)
    found = d.compare(UNSEEN).states["clocked"]
    assert found.error == pytest.approx(
        np.sqrt(np.square(got - wanted).sum() / np.square(wanted).sum())
    )
    assert found.error < 0.15
    assert found.largest == pytest.approx(np.abs(got - wanted).max())
    assert found.correlation > 0.98
    assert min(found.decisions.values()) >= 0.7
    assert np.abs(d.program.weights_out).max() == 127


def test_with_the_same_spikes_the_states_are_those_of_the_network():
    # decays that the chip has: what is left is rounding of weights and the leak of at least 1
    d = deploy(network(), "xylo", calibration=SPIKES)
    run = d.simulate(UNSEEN, record=True)
    drive = run.layers["l0"].spikes[:, :-1] @ d.graph["l0_l1"].weight.T
    v, i = np.zeros((8, 3)), np.zeros((8, 3))
    wanted = []
    for t in range(59):
        i = 0.75 * (i + drive[:, t])
        v = 0.875 * v + i
        wanted.append(v)
    apart = run.output_values[:, 1:] - np.stack(wanted, axis=1)
    assert np.abs(apart).max() < 0.005 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("changes", "read", "dash_mem"),
    [
        ({}, "v_mem", 3),
        ({"alpha_mem": 0.0}, "i_syn", 0),
        ({"alpha_mem": 0.0, "bias": 0.1}, "v_mem", 0),
        ({"alpha_syn": None}, "i_syn", 0),
        ({"syn_order": "decay_add"}, "v_mem", 3),
    ],
    ids=["membrane", "current", "current with a bias", "no synapse", "decay first"],
)
def test_a_network_that_ends_in_membranes_is_read_so(changes, read, dash_mem):
    graph = network(**changes)
    np.testing.assert_allclose(
        interpret(shape(graph), SPIKES).spikes, interpret(graph, SPIKES).spikes, atol=1e-9
    )
    d = deploy(graph, "xylo_a3", calibration=SPIKES, quantizer="channel")
    assert (d.program.readout, set(d.program.dash_mem_out.tolist())) == (read, {dash_mem})
    assert d.compare(UNSEEN).agreement["clocked"] > 0.8
    if dash_mem == 0 and read == "i_syn":
        layer = d.simulate(UNSEEN, record=True).layers["l1"]
        np.testing.assert_array_equal(layer.v_mem, layer.i_syn)


def test_decays_between_those_of_the_chip_are_fitted():
    graph = network(alpha_mem=np.exp(-1 / np.array([5.0, 11.0, 30.0])), alpha_syn=[np.exp(-0.2)])
    d = deploy(graph, "xylo", calibration=SPIKES, quantizer="channel")
    states = d.compare(UNSEEN).states["quantized"]
    assert states.correlation > 0.9
    assert {f.rule for f in d.diagnostics if f.where == "l1"} >= {"time_constants", "readout"}


def test_spiking_outputs_are_read_as_asked():
    graph = sequence(6, 12, 3)
    plain_ = deploy(graph, "xylo", calibration=SPIKES, options=XyloOptions(readout="spikes"))
    assert (plain_.program.readout, plain_.simulate(UNSEEN).readout) == ("spikes", None)
    for state in ("v_mem", "i_syn"):
        d = deploy(graph, "xylo", calibration=SPIKES, options=XyloOptions(readout=state))
        assert d.program.readout == state
        (asked, _) = (f for f in d.diagnostics if f.rule == "readout")
        assert "is read: no neuron fires or is reset, unlike in the network" in str(asked)
        assert d.reference(UNSEEN).readout.any()
        assert d.compare(UNSEEN).agreement["clocked"] > 0.8


def test_what_cannot_be_read_is_refused():
    with pytest.raises(
        ValueError, match="readout must be one of 'spikes', 'v_mem', 'i_syn' or None"
    ):
        XyloOptions(readout="vmem")
    with pytest.raises(ValueError, match="readout='spikes': 'l1' is a membrane that never spikes"):
        deploy(network(), "xylo", options=XyloOptions(readout="spikes"))
    no_synapse = sequence(6, 12, 3, output=partial(lif, max_spikes=1, alpha_syn=None))
    with pytest.raises(ValueError, match="readout='i_syn': 'l1' has no synaptic current"):
        deploy(no_synapse, "xylo", options=XyloOptions(readout="i_syn"))
    inside = sequence(6, 12, 3, hidden=membrane)
    with pytest.raises(DeployError, match=r"node_kinds\] l0: MembraneReadout does not exist"):
        deploy(inside, "xylo")


def test_an_output_that_is_never_reset_is_pointed_to_its_membrane():
    graph = sequence(6, 12, 3, output=partial(lif, max_spikes=1, reset="none"))
    with pytest.raises(DeployError) as refused:
        deploy(graph, "xylo")
    assert 'options=XyloOptions(readout="v_mem")' in refused.value.diagnostics[0].hint
    assert deploy(graph, "xylo", options=XyloOptions(readout="v_mem")).program.readout == "v_mem"


@pytest.mark.parametrize(("spikes", "severity"), [(SPIKES, "info"), (SPIKES * 0, "warning")])
def test_silence_is_not_agreement(spikes, severity):
    d = deploy(network(), "xylo", calibration=spikes, quantizer="channel")
    (found,) = (f for f in d.diagnostics if f.rule == "calibration")
    assert found.severity.value == severity
    states = d.compare(spikes).states["clocked"]
    assert bool(states.decisions) == spikes.any()
    assert ("nothing to compare" in str(states)) == (not spikes.any())


def test_a_membrane_without_leak_needs_allow():
    graph = network(alpha_mem=1.0, alpha_syn=None)
    with pytest.raises(DeployError, match="tau_syn is infinite"):
        deploy(graph, "xylo", calibration=SPIKES, quantizer="channel")
    d = deploy(graph, "xylo", calibration=SPIKES, allow=("no_leak->slowest_leak",))
    assert d.compare(UNSEEN).states["clocked"].correlation > 0.9


def test_saturated_states_are_reported():
    # hardly any input at first, and then more than the scale allows
    quiet = np.zeros((1, 60, 6), int)
    quiet[0, ::30, 0] = 1
    d = deploy(network(), "xylo", calibration=quiet, quantizer="channel")
    run = d.simulate(np.full((1, 60, 6), 15), record=True)
    assert run.saturations["l1"] or run.spikes.any()


# ---- artifacts and configurations ----


def test_a_saved_deployment_reads_the_same_states(tmp_path):
    d = deploy(network(), "xylo_imu", calibration=SPIKES, quantizer="channel")
    again = Deployment.load(d.save(tmp_path / "kept"))
    for one, other in zip(
        (d.simulate(UNSEEN).output_values, d.reference(UNSEEN).output_values),
        (again.simulate(UNSEEN).output_values, again.reference(UNSEEN).output_values),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    assert str(again.compare(UNSEEN)) == str(d.compare(UNSEEN))
    assert str(again.estimate(UNSEEN)) == str(d.estimate(UNSEEN))
    assert not d.estimate(UNSEEN).warnings  # a state never spikes


def test_a_program_of_an_earlier_version_reads_spikes():
    program = deploy(sequence(3, 4, 2), "xylo", quantizer="channel").program
    arrays, data = to_arrays(program)
    del data["readout"]
    assert str(from_arrays(arrays, data)) == str(program)


@pytest.mark.parametrize("chip", ["xylo_a2", "xylo_imu", "xylo_a3", "xylo_1"])
def test_the_configuration_monitors_what_is_read(chip):
    spec = load_chip(chip)
    for changes, names in (({}, {"v_mem"}), ({"alpha_mem": 0.0}, {"v_mem", "i_syn"})):
        program = deploy(network(**changes), chip, quantizer="channel").program
        tree = configuration(program, spec)
        assert [neuron["threshold"] for neuron in tree["readout"]["neurons"]] == [32767] * 3
        found = {k[15:]: v for k, v in tree["debug"].items() if k.startswith("monitor_neuron_")}
        ids = [12, 13, 14] if chip == "xylo_a3" else {"start": 12, "end": 15}
        assert found == ({} if chip == "xylo_1" else dict.fromkeys(names, ids))
        if chip == "xylo_1":
            continue
        live = build_configuration(classes(spec.vendor_module), tree, spec, BOARDS.classes)
        debug = plain(live)["debug"]
        assert {name: debug[f"monitor_neuron_{name}"] for name in names} == found


def test_currents_are_read_through_membranes_without_memory_alone():
    program = deploy(network(alpha_mem=0.0), "xylo_a3", quantizer="channel").program
    assert _fields(program) == ("output_spikes", "output_v_mems")
    with pytest.raises(VendorError, match="with dash_mem_out 0"):
        _fields(replace(program, dash_mem_out=np.ones(3, int)))
    with pytest.raises(ValueError, match="the form of monitored neurons in this file is not known"):
        dumps(deploy(network(), "xylo_a2", quantizer="channel").program)


def test_a_specification_may_name_what_is_read():
    spec = {
        "weights_in": [[100, 100]],
        "weights_out": [[1], [1]],
        **dict.fromkeys(("dash_mem", "dash_syn", "dash_mem_out", "dash_syn_out"), 2),
        **{"threshold": 50, "threshold_out": 32767},
    }
    program = XyloProgram.from_specification("xylo_a2", **spec, readout="v_mem")
    assert simulate(program, np.ones((4, 1), int)).readout.shape == (1, 4, 1)
    assert "readout: v_mem" in str(program)
    with pytest.raises(ValueError, match="readout: must be one of 'spikes', 'v_mem', 'i_syn'"):
        XyloProgram.from_specification("xylo_a2", **spec, readout="vmem")
