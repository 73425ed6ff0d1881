"""rockpool's JSON: recorded files give what their networks gave, and bad ones say what is wrong."""

import json

import numpy as np
import pytest

from tests.frontends.files.damaged_files import ROCKPOOL
from tests.oracles.frameworks import archive
from toolchain import load
from toolchain.diagnostics import ModelFileError
from toolchain.ir import Readout
from toolchain.ir.interpret import interpret

FILES = archive.DATA / "rockpool_json"
RECORDED = archive.read("rockpool_json")
CASES = RECORDED["cases"]
PASSING = [name for name, entry in CASES.items() if "refused" not in entry]
REFUSED = [name for name in CASES if name not in PASSING]


def read(path_or_tree, tmp_path, **given):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(path_or_tree))
    return load(path, **given)


def refusal(tree, tmp_path, **given):
    with pytest.raises(ModelFileError) as caught:
        read(tree, tmp_path, **given)
    return str(caught.value).removeprefix(f"{tmp_path / 'net.json'}: ")


@pytest.mark.parametrize("name", PASSING)
def test_a_recorded_file_gives_the_spikes_of_its_network(name):
    graph = load(FILES / f"{name}.json")
    gave = interpret(graph, archive.unpack(RECORDED["input"])).spikes
    wanted = archive.unpack(CASES[name]["output"])
    if graph.of(Readout):  # gives numbers, which were recorded in single precision
        np.testing.assert_allclose(gave, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
    else:
        np.testing.assert_array_equal(gave, wanted)


@pytest.mark.parametrize("name", REFUSED)
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
        "self_check": "not run: a file holds no network to compare with",
    }


def test_dt_is_that_of_the_layers(tmp_path):
    assert read(ROCKPOOL, tmp_path).dt == 1e-3
    assert read(ROCKPOOL, tmp_path, dt=1e-3).dt == 1e-3
    told = "the argument dt says dt = 0.002 s, 1_LIFTorch says 0.001 s"
    assert refusal(ROCKPOOL, tmp_path, dt=2e-3) == told
    other = {"0_LinearTorch": ROCKPOOL["0_LinearTorch"]}
    assert read(other, tmp_path).dt is None
    assert read(other, tmp_path, dt=2e-3).dt == 2e-3


def changed(layer, **fields):
    """The small network with other fields in one layer; None takes one out."""
    made = {**ROCKPOOL[layer], **fields}
    return {**ROCKPOOL, layer: {k: v for k, v in made.items() if v != "gone"}}


LINEAR, LIF = ROCKPOOL
UNLIKE = "unlike a LIFTorch of rockpool 3.1.0"
FAULTS = {
    "weight": (changed(LINEAR, weight="[1.0]"), "0_LinearTorch: weight is no array of 2 axes"),
    "weight missing": (
        changed(LINEAR, weight="gone", bias="1"),
        "0_LinearTorch: comes first, and how many inputs it takes is not in the file",
    ),
    "field missing": (changed(LIF, bias="gone"), f"1_LIFTorch: lacks bias, {UNLIKE}"),
    "field unknown": (changed(LIF, b="1"), f"1_LIFTorch: has an unknown b, {UNLIKE}"),
    "leak mode": (
        changed(LIF, leak_mode='"own"'),
        f"1_LIFTorch: leak_mode is 'own'; known are taus, decays, bitshifts, {UNLIKE}",
    ),
    "other leaks": (
        changed(LIF, leak_mode='"decays"'),
        f"1_LIFTorch: lacks alpha, beta, {UNLIKE}",
    ),
    "recurrent weights": (
        changed(LIF, w_rec="[[1, 2, 3], [1, 2, 3]]"),
        "1_LIFTorch: w_rec of shape (2, 3)",
    ),
    "threshold": (
        changed(LIF, threshold="[1, 0]"),
        "1_LIFTorch: Neuron.v_threshold must be > 0, got a minimum of 0",
    ),
    "time constant": (
        changed(LIF, tau_mem="[1, -1]"),
        "1_LIFTorch: Neuron.alpha_mem lies outside 0..1",
    ),
    "shapes": (
        changed(LINEAR, weight="[[1, 2, 3]]"),
        "1_LIFTorch: Neuron takes shape (2,), got (3,)",
    ),
    "dt": (changed(LIF, dt="0"), "its layers do not fit each other: dt must be > 0 s, got 0.0"),
    "truth": (changed(LIF, dt="true"), "1_LIFTorch: dt is no array of 0 axes"),
    "limit": (
        changed(LIF, max_spikes_per_dt="0.5"),
        "1_LIFTorch: Neuron.max_spikes starts at 1, got 0",
    ),
    "number": (changed(LIF, _has_rec="1"), "1_LIFTorch: _has_rec holds numbers"),
    "layer unknown": (
        {LINEAR: ROCKPOOL[LINEAR], "1_Conv": {"weight": "1"}},
        "1_Conv: is no layer that is read from a file",
    ),
    "group": (
        {LINEAR: {"0_LinearTorch": ROCKPOOL[LINEAR]}, LIF: ROCKPOOL[LIF]},
        "0_LinearTorch: is a LinearTorch; what it does with its layers is not in the file; give "
        "factory='module:function', which builds the network and whose load() then reads the "
        "file, and sample=",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_layer_that_does_not_hold_together_is_told_by_its_name(name, tmp_path):
    tree, told = FAULTS[name]
    assert refusal(tree, tmp_path) == told


UNSOUND = {
    "not finite": ("[1e999, 1]", "0_LinearTorch.weight: holds numbers that are not finite"),
    "NaN": ("NaN", "0_LinearTorch.weight: is neither numbers nor a name"),
    "ragged": ("[[1], [1, 2]]", "0_LinearTorch.weight: setting an array element with a sequence"),
    "huge": (f"[{'9' * 400}]", "0_LinearTorch.weight: holds numbers without end"),
    "deep": ("[" * 9999, "0_LinearTorch.weight: holds numbers without end"),
    "list": ([[1.0]], "0_LinearTorch.weight is list, and not the text that rockpool writes"),
    "null": ("null", "0_LinearTorch.weight: is neither numbers nor a name"),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_a_value_that_is_no_number_is_told_by_its_place(name, tmp_path):
    value, told = UNSOUND[name]
    found = refusal({"0_LinearTorch": {"weight": value}}, tmp_path)
    assert found.startswith(f"is no sound file of rockpool's module.save(): {told}")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_json_that_is_none_is_refused(number, tmp_path):
    (tmp_path / "net.json").write_text(f'{{"a": {number}}}')
    with pytest.raises(ModelFileError, match=f"holds {number}, which is no number"):
        load(tmp_path / "net.json")
    (tmp_path / "net.json").write_text('{"a": {"dt": "1", "dt": "2"}}')
    with pytest.raises(ModelFileError, match="says 'dt' twice"):
        load(tmp_path / "net.json")
