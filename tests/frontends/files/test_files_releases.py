"""rockpool's JSON as earlier releases and other modules of it write it."""

import json

import numpy as np
import pytest

from tests.cases import each
from tests.frontends.files.damaged_files import ROCKPOOL
from tests.oracles.frameworks import archive
from toolchain import load
from toolchain.diagnostics import ModelFileError
from toolchain.ir import MembraneReadout
from toolchain.runs.interpret import interpret

INPUT = archive.unpack(archive.read("rockpool_json")["input"])
RELEASES = {
    release: archive.read(f"rockpool_{release}")["cases"]
    for release in ("2.5", "2.6", "2.8", "2.9")
}
# every file of the first release, of later ones those in which they differ from it;
# `make rockpool-releases` compares all of them with the live networks
FORMS = {
    "2.5": [*RELEASES["2.5"]],
    "2.6": ["scalars", "bitshifts", "recurrent", "dropout", "SynNet", "SynNet_membrane"],
    "2.8": ["scalars", "recurrent", "LIFNeuronTorch", "SynNet_membrane"],
    "2.9": ["SynNet", "SynNet_membrane"],
}
CASES = {
    f"{release} {name}": RELEASES[release][name]
    for release, names in FORMS.items()
    for name in names
}
LINEAR, LIF = ROCKPOOL


def read(tree, tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(tree))
    return load(path)


def refusal(tree, tmp_path):
    with pytest.raises(ModelFileError) as caught:
        read(tree, tmp_path)
    return str(caught.value).removeprefix(f"{tmp_path / 'net.json'}: ")


@each("name", CASES)
def test_a_file_of_any_release_gives_what_its_network_gave(name, tmp_path):
    case = CASES[name]
    if "refused" in case:
        assert refusal(case["file"], tmp_path) == case["refused"]
        return
    graph = read(case["file"], tmp_path)
    noted = {key: text for key, text in graph.provenance.items() if key != "file"}
    assert noted == case["provenance"]
    # networks without spikes at the output were recorded in single precision
    wanted = archive.unpack(case["output"])[:1, :120]
    gave = interpret(graph, INPUT[:1, :120]).spikes
    if graph.of(MembraneReadout) or wanted.min() < 0:
        np.testing.assert_allclose(gave, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
    else:
        np.testing.assert_array_equal(gave, wanted)


def test_provenance_says_how_old_a_file_is_and_what_was_read_into_it():
    notes = {
        release: [
            RELEASES[release]["scalars"]["provenance"].get(key) for key in ("file_age", "readings")
        ]
        for release in ("2.5", "2.6", "2.8")
    }
    not_recurrent = "not recurrent in 1_LIFTorch, 3_LIFTorch"
    assert notes == {
        "2.5": [
            "rockpool before 2.6, by its fields: no leak_mode (new in 2.6) and no _has_rec "
            "(new in 2.8)",
            f"leak_mode taus in 1_LIFTorch, 3_LIFTorch; {not_recurrent}",
        ],
        "2.6": ["rockpool before 2.8, by its fields: no _has_rec (new in 2.8)", not_recurrent],
        "2.8": [None, None],
    }
    assert RELEASES["2.5"]["recurrent"]["provenance"]["readings"].endswith(
        "; recurrent in 1_LIFTorch; not recurrent in 3_LIFTorch"
    )
    assert RELEASES["2.6"]["SynNet_membrane"]["provenance"]["membranes"] == (
        "equal below 100, where outputs of these releases spike"
    )


def as_jax(tree):
    """The layers as the Jax modules of the same name, which have no surrogate gradient."""
    gone = ("leak_mode", "learning_window", "spike_generation_fn")
    return {
        name.replace("Torch", "Jax"): {k: v for k, v in layer.items() if k not in gone}
        for name, layer in tree.items()
    }


def test_jax_modules_are_read_as_the_torch_modules_of_their_name(tmp_path):
    torch, jax = read(ROCKPOOL, tmp_path), read(as_jax(ROCKPOOL), tmp_path)
    np.testing.assert_array_equal(
        interpret(jax, np.ones((1, 20, 3))).spikes, interpret(torch, np.ones((1, 20, 3))).spikes
    )
    assert jax.provenance["modules"] == (
        "LinearJax as LinearTorch, LIFJax as LIFTorch, which computes the same"
    )
    rate = {**as_jax(ROCKPOOL), "2_RateJax": {"tau": "0.1"}}
    assert refusal(rate, tmp_path) == "2_RateJax: its output is a rate, not spikes; use LIFTorch"


def lif(**fields):
    result = {**ROCKPOOL[LIF], **fields}
    return {name: value for name, value in result.items() if value != "gone"}


OLD = {"leak_mode": "gone", "_has_rec": "gone", "w_rec": "gone"}
SCALARS = {"tau_mem": "0.02", "tau_syn": "0.01", "threshold": "1", "bias": "0"}


def test_sizes_that_no_field_states_follow_from_the_layers_around(tmp_path):
    six = {"weight": json.dumps(np.eye(3, 6).tolist())}
    after = {"weight": json.dumps(np.ones((3, 2)).tolist())}
    two = lif(**OLD, **SCALARS)
    tree = {LINEAR: six, LIF: two, "2_LinearTorch": after, "3_LIFTorch": two}
    graph = read(tree, tmp_path)
    # six columns for three rows of the next weights: two synapses a neuron
    assert (graph.shape(LIF), graph[LIF].synapses, graph.shape("3_LIFTorch")) == ((3,), 2, (2,))
    null = {LINEAR: {**ROCKPOOL[LINEAR], "bias": None}, LIF: lif(w_rec=None)}
    assert str(read(null, tmp_path)) == str(read(ROCKPOOL, tmp_path))


NO_SYNNET = (
    "which are not the layers of a SynNet; their connections are not stored in the file; pass "
    "factory='module:function', which builds a network whose load() reads the file, and sample="
)
REFUSED = {
    "two releases": (
        {
            LINEAR: ROCKPOOL[LINEAR],
            LIF: ROCKPOOL[LIF],
            "2_LinearTorch": {"weight": "[[1, 2, 3], [1, 2, 3]]"},
            "3_LIFTorch": lif(_has_rec="gone"),
        },
        "3_LIFTorch: is missing _has_rec, which 1_LIFTorch has; no release of rockpool saves both "
        "in one file",
    ),
    "leak_mode alone": (
        {LINEAR: ROCKPOOL[LINEAR], LIF: lif(**OLD, tau_mem="gone", alpha="0.5")},
        "1_LIFTorch: leak_mode is None; supported are taus, decays, bitshifts, unlike a LIFTorch "
        "of rockpool 3.1.0",
    ),
    "some network in seq": (
        {"seq": ROCKPOOL},
        f"seq: contains 0_LinearTorch, 1_LIFTorch, {NO_SYNNET}",
    ),
    "seq of another form": (
        {"seq": {**ROCKPOOL, "2_LIFTorch": ROCKPOOL[LIF]}},
        f"seq: contains 0_LinearTorch, 1_LIFTorch, 2_LIFTorch, {NO_SYNNET}",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_release_saves_is_refused(name, tmp_path):
    tree, message = REFUSED[name]
    assert refusal(tree, tmp_path) == message
