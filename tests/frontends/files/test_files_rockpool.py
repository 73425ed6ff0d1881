"""rockpool's JSON: recorded files give what their networks gave, and bad ones say what is wrong."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.cases import each
from tests.frontends.files.damaged_files import ROCKPOOL
from tests.oracles.frameworks import archive
from toolchain import load
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.files import rockpool_json
from toolchain.frontends.files.rockpool_check import check_layers
from toolchain.frontends.files.rockpool_fields import SavedLayer
from toolchain.ir import MembraneReadout
from toolchain.runs.interpret import interpret

FILES = archive.DATA / "rockpool_json"
RECORDED = archive.read("rockpool_json")
CASES = RECORDED["cases"]
PASSING = [name for name, entry in CASES.items() if "refused" not in entry]
REFUSED = [name for name in CASES if name not in PASSING]
LINEAR, LIF = ROCKPOOL
NEURON = {
    "threshold": "1",
    "bias": "0",
    "tau_mem": "0.01",
    "n_neurons": "1",
    "max_spikes_per_dt": "31",
    "noise_std": "0",
    "dt": "0.001",
    "spike_generation_fn": None,
    "learning_window": "0.5",
}


def read(path_or_tree, tmp_path, **given):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(path_or_tree))
    return load(path, **given)


def refusal(tree, tmp_path, **given):
    with pytest.raises(ModelFileError) as caught:
        read(tree, tmp_path, **given)
    return str(caught.value).removeprefix(f"{tmp_path / 'net.json'}: ")


@each("name", PASSING)
def test_a_recorded_file_gives_the_spikes_of_its_network(name):
    graph = load(FILES / f"{name}.json")
    gave = interpret(graph, archive.unpack(RECORDED["input"])).spikes
    wanted = archive.unpack(CASES[name]["output"])
    if graph.of(MembraneReadout):  # gives numbers, which were recorded in single precision
        np.testing.assert_allclose(gave, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
    else:
        np.testing.assert_array_equal(gave, wanted)


@each("name", REFUSED)
def test_a_recorded_file_that_leaves_something_open_is_refused(name):
    with pytest.raises(ModelFileError) as caught:
        load(FILES / f"{name}.json")
    assert str(caught.value) == f"{FILES / name}.json: {CASES[name]['refused']}"


def test_the_order_of_the_file_says_nothing(tmp_path):
    turned = {name: dict(reversed(layer.items())) for name, layer in reversed(ROCKPOOL.items())}
    assert str(read(turned, tmp_path)) == str(read(ROCKPOOL, tmp_path))


def test_provenance_says_what_the_file_does_not(tmp_path):
    assert dict(read(ROCKPOOL, tmp_path).provenance) == {
        "framework": "rockpool",
        "file": "net.json",
        "topology": "in the order of the layers' names",
        "self_check": "0 of 400 spike counts differ from the file's equations; 355 are not 0",
    }


# ---- the check against rockpool's equations ----


@each("name", PASSING)
def test_every_load_of_a_recorded_file_is_checked(name):
    self_check = load(FILES / f"{name}.json").provenance["self_check"]
    compared, _, fired = self_check.removeprefix("0 of ").partition(
        " spike counts differ from the file's equations; "
    )
    assert 0 < int(fired.removesuffix(" are not 0")) < int(compared)


def slipped(monkeypatch, layer, change):
    """The reader makes another node of one layer than its numbers say."""
    right = rockpool_json.fragment_of

    def wrong(saved, features):
        fragment, shape = right(saved, features)
        if saved.name == layer:
            fragment = replace(fragment, nodes={**fragment.nodes, layer: change(fragment)})
        return fragment, shape

    monkeypatch.setattr(rockpool_json, "fragment_of", wrong)


def test_a_graph_that_is_not_what_the_file_says_is_refused(monkeypatch, tmp_path):
    slipped(
        monkeypatch, LIF, lambda fragment: replace(fragment.nodes[LIF], alpha_mem=np.array(0.9))
    )
    assert refusal(ROCKPOOL, tmp_path) == (
        "layer '1_LIFTorch' first differs in step 13, neuron (1,): a spike count of 4 from the "
        "file's equations, 3 from the Graph (87 of 400 differ); if float64 rounding decides a "
        "spike, store the weights in float32"
    )


def saved_layers(path):
    tree = rockpool_json.read_tree(path.read_bytes())
    return [SavedLayer(name, name.partition("_")[2], tree[name].values) for name in sorted(tree)]


SLIPS = {
    "taus": {"alpha_mem": 0.9, "v_threshold": 1.0, "bias": 0.0, "gain": 1.001},
    "decays": {"alpha_syn": np.full((1, 1), 0.7001), "syn_order": "decay_add"},
    "bitshifts": {"alpha_mem": 0.75, "alpha_syn": np.full((1, 1), 0.75), "v_leak": 0.01},
    "two_synapses": {"alpha_syn": np.array([[0.9, 0.8]])},
    "recurrent": {"reset": "none", "reset_when": "next_undecayed"},
    "most_spikes": {"max_spikes": 3},
    "LIFNeuronTorch": {"alpha_mem": 0.9, "max_spikes": 1},
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_in_any_constant_is_found_in_its_layer(name):
    path = FILES / f"{name}.json"
    layers = saved_layers(path)
    graph, hidden = load(path), layers[1].name
    assert check_layers(graph, layers).provenance == graph.provenance
    for field, value in SLIPS[name].items():
        wrong = graph.replace({hidden: replace(graph[hidden], **{field: value})})
        with pytest.raises(ModelFileError, match=rf"^layer '{hidden}' first differs in step \d+, "):
            check_layers(wrong, layers)


def test_a_slip_in_what_has_no_state_shows_behind_it(tmp_path):
    path = FILES / "ExpSynTorch.json"
    layers = saved_layers(path)
    graph = load(path)
    for at, field, seen in (
        ("0_LinearTorch", "weight", "layer '1_LIFTorch'"),
        ("2_ExpSynTorch", "alpha_syn", "layer '2_ExpSynTorch'"),
    ):
        node = graph[at]
        wrong = graph.replace({at: replace(node, **{field: 0.999 * getattr(node, field)})})
        with pytest.raises(ModelFileError, match=rf"^{seen} first differs in step \d+, "):
            check_layers(wrong, layers)
    path = tmp_path / "net.json"
    path.write_text(json.dumps({"0_LinearTorch": ROCKPOOL["0_LinearTorch"]}))
    self_check = load(path).provenance["self_check"]
    assert self_check == "0 of 400 values differ from the file's equations; 264 are not 0"


def test_a_neuron_meets_its_threshold_exactly(monkeypatch, tmp_path):
    """What tells >= from >."""
    decays = {"leak_mode": '"decays"', "alpha": "0.5", "beta": "1"}
    small = changed(LIF, **decays, tau_mem="gone", tau_syn="gone")
    small[LINEAR] = {"weight": "[[1, 2], [1, 2], [1, 2]]"}
    assert read(small, tmp_path)[LIF].compare == "ge"
    slipped(monkeypatch, LIF, lambda fragment: replace(fragment.nodes[LIF], compare="gt"))
    message = refusal(small, tmp_path)
    assert (
        "layer '1_LIFTorch' first differs in step 1, neuron (0,): a spike count of 1 from"
        in message
    )


def test_numbers_without_bounds_are_told_by_their_layer(tmp_path):
    message = "0_LinearTorch: its values are so large that its output is not finite"
    large = changed(LINEAR, weight="[[1e308, 1e308], [1e308, 1e308], [1e308, 1e308]]")
    assert refusal(large, tmp_path) == message


def test_a_part_of_a_spike_is_not_what_a_graph_can_give(tmp_path):
    """rockpool would give 1.5 spikes."""
    message = refusal(changed(LIF, max_spikes_per_dt="1.5"), tmp_path)
    assert "a spike count of 1.5 from the file's equations, 1 from the Graph" in message


def test_a_long_chain_is_checked_in_few_steps(tmp_path):
    layers = {f"{n}_LIFNeuronTorch": NEURON for n in range(1, 300)}
    graph = read({"0_LinearTorch": {"weight": "[[2], [2]]"}, **layers}, tmp_path)
    # 54 steps, 2 samples
    assert graph.provenance["self_check"].startswith("0 of 32292 spike counts differ")


def test_dt_is_that_of_the_layers(tmp_path):
    assert read(ROCKPOOL, tmp_path).dt == 1e-3
    assert read(ROCKPOOL, tmp_path, dt=1e-3).dt == 1e-3
    message = "conflicting dt: 0.002 s in the argument dt, 0.001 s in 1_LIFTorch"
    assert refusal(ROCKPOOL, tmp_path, dt=2e-3) == message
    other = {"0_LinearTorch": ROCKPOOL["0_LinearTorch"]}
    assert read(other, tmp_path).dt is None
    assert read(other, tmp_path, dt=2e-3).dt == 2e-3


def changed(layer, **fields):
    """The small network with other fields in one layer; None takes one out."""
    result = {**ROCKPOOL[layer], **fields}
    return {**ROCKPOOL, layer: {k: v for k, v in result.items() if v != "gone"}}


UNLIKE = "unlike a LIFTorch of rockpool 3.1.0"
FAULTS = {
    "weight": (changed(LINEAR, weight="[1.0]"), "0_LinearTorch: weight is not an array of 2 axes"),
    "weight missing": (
        changed(LINEAR, weight="gone", bias="1"),
        "0_LinearTorch: is the first layer, and its number of inputs is not stored in the file",
    ),
    "field missing": (changed(LIF, bias="gone"), f"1_LIFTorch: is missing bias, {UNLIKE}"),
    "field unknown": (changed(LIF, b="1"), f"1_LIFTorch: has unknown fields b, {UNLIKE}"),
    "leak mode": (
        changed(LIF, leak_mode='"own"'),
        f"1_LIFTorch: leak_mode is 'own'; supported are taus, decays, bitshifts, {UNLIKE}",
    ),
    "other leaks": (
        changed(LIF, leak_mode='"decays"'),
        f"1_LIFTorch: is missing alpha, beta, {UNLIKE}",
    ),
    "recurrent weights": (
        changed(LIF, w_rec="[[1, 2, 3], [1, 2, 3]]"),
        "1_LIFTorch: w_rec has invalid shape (2, 3)",
    ),
    "threshold": (
        changed(LIF, threshold="[1, 0]"),
        "1_LIFTorch: Neuron.v_threshold must be > 0, got 0 at neuron 1",
    ),
    "time constant": (
        changed(LIF, tau_mem="[1, -1]"),
        "1_LIFTorch: Neuron.alpha_mem must be in 0..1, got 1.001 at neuron 1",
    ),
    "shapes": (
        changed(LINEAR, weight="[[1, 2, 3]]"),
        "1_LIFTorch: Neuron takes shape (2,), got (3,)",
    ),
    "dt": (changed(LIF, dt="0"), "the layers do not fit together: dt must be > 0 s, got 0.0"),
    "truth": (changed(LIF, dt="true"), "1_LIFTorch: dt is not an array of 0 axes"),
    "limit": (
        changed(LIF, max_spikes_per_dt="0.5"),
        "1_LIFTorch: Neuron.max_spikes must be a whole number >= 1 or None, got 0",
    ),
    "number": (changed(LIF, _has_rec="1"), "1_LIFTorch: _has_rec contains numbers"),
    "layer unknown": (
        {LINEAR: ROCKPOOL[LINEAR], "1_Conv": {"weight": "1"}},
        "1_Conv: this layer type cannot be read from a file",
    ),
    "group": (
        {LINEAR: {"0_LinearTorch": ROCKPOOL[LINEAR]}, LIF: ROCKPOOL[LIF]},
        "0_LinearTorch: is a LinearTorch; how it connects its layers is not stored in the file; "
        "pass factory='module:function', which builds a network whose load() reads the file, "
        "and sample=",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_layer_that_does_not_hold_together_is_told_by_its_name(name, tmp_path):
    tree, message = FAULTS[name]
    assert refusal(tree, tmp_path) == message


UNSOUND = {
    "not finite": ("[1e999, 1]", "0_LinearTorch.weight: contains values that are not finite"),
    "NaN": ("NaN", "0_LinearTorch.weight: is neither numbers nor a name"),
    "ragged": ("[[1], [1, 2]]", "0_LinearTorch.weight: setting an array element with a sequence"),
    "huge": (
        f"[{'9' * 400}]",
        "0_LinearTorch.weight: contains numbers too large or nested too deeply",
    ),
    "deep": ("[" * 9999, "0_LinearTorch.weight: contains numbers too large or nested too deeply"),
    "list": ([[1.0]], "0_LinearTorch.weight is list, expected a string as rockpool writes it"),
    "null": ("null", "0_LinearTorch.weight: is neither numbers nor a name"),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_a_value_that_is_no_number_is_told_by_its_place(name, tmp_path):
    value, message = UNSOUND[name]
    found = refusal({"0_LinearTorch": {"weight": value}}, tmp_path)
    assert found.startswith(f"is not a valid file of rockpool's module.save(): {message}")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_json_that_is_none_is_refused(number, tmp_path):
    (tmp_path / "net.json").write_text(f'{{"a": {number}}}')
    with pytest.raises(ModelFileError, match=f"contains {number}, which is not a number of JSON"):
        load(tmp_path / "net.json")
    (tmp_path / "net.json").write_text('{"a": {"dt": "1", "dt": "2"}}')
    with pytest.raises(ModelFileError, match="duplicate key 'dt'"):
        load(tmp_path / "net.json")
