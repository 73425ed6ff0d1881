"""One NIR file, five importers, five answers: settings a dialect, ours is that framework's own.

What the frameworks gave is recorded; see tests/oracles/frameworks/nir_importers.py.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.cases import each
from tests.oracles import nir_cases
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir import to_graph
from toolchain.frontends.nir.read import read_several
from toolchain.runs.interpret import interpret

RECORDED = Path(__file__).parents[2] / "oracles" / "data" / "frameworks" / "nir_importers.npz"
IMPORTED = [(f, name) for f, cases in nir_cases.CASES.items() for name in cases]
EXPORTED = [(f, name) for f, cases in nir_cases.EXPORTED.items() for name in cases]


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as data:
        return dict(data)


@pytest.fixture(scope="module")
def exported(recorded, tmp_path_factory):
    """The networks that the frameworks exported, as read."""
    folder = tmp_path_factory.mktemp("exported")
    paths = [folder / f"{framework}-{name}.nir" for framework, name in EXPORTED]
    for path, case in zip(paths, EXPORTED, strict=True):
        path.write_bytes(recorded["/".join([*case, "file"])].tobytes())
    return dict(zip(EXPORTED, read_several(paths), strict=True))


def run(graph, size):
    return interpret(graph, nir_cases.drive(size)[None]).spikes[0]


def test_every_framework_was_run(recorded):
    versions = {f: str(recorded[f"{f}/version"]) for f in nir_cases.CASES}
    assert versions == {
        "sinabs": "3.1.3",
        "norse": "1.1.0",
        "snntorch": "1.0.0",
        "spikingjelly": "2.0.0",
        "rockpool": "3.1.0",
    }


@pytest.mark.parametrize(
    ("framework", "spikes"), [("sinabs", 400), ("norse", 11), ("snntorch", 1), ("spikingjelly", 11)]
)
def test_the_same_layer_spikes_as_often_as_its_framework_says(framework, spikes, recorded):
    layer, settings = nir_cases.CASES[framework]["five"]
    graph = to_graph(nir_cases.as_file(layer), dialect=framework, **settings)
    assert run(graph, 1).sum() == recorded[f"{framework}/five"].sum() == spikes


def test_the_layer_that_rockpool_fails_on_is_refused_by_name(recorded):
    assert "'LIF' object has no attribute 'tau_mem'" in str(recorded["rockpool/five"])
    layer, settings = nir_cases.CASES["rockpool"]["five"]
    with pytest.raises(ModelFileError, match=r"neuron: in dialect 'rockpool': LIF: rockpool"):
        to_graph(nir_cases.as_file(layer), dialect="rockpool", **settings)


@pytest.mark.parametrize(("dt", "spikes"), [(1e-3, 11), (1e-4, 1)])
def test_eulers_rule_depends_on_the_step(dt, spikes):
    graph = to_graph(nir_cases.as_file(nir_cases.FIVE), dialect="euler", dt=dt)
    assert run(graph, 1).sum() == spikes


@pytest.mark.parametrize("dt", [None, 1e-3])
def test_where_no_dialect_is_given_it_is_asked_for(dt):
    with pytest.raises(
        ModelFileError, match="the file does not determine the framework's update rule"
    ):
        to_graph(nir_cases.as_file(nir_cases.FIVE), dt=dt)


@each(("framework", "name"), [c for c in IMPORTED if c[0] != "rockpool"])
def test_our_reading_is_that_of_the_frameworks_own_importer(framework, name, recorded):
    layer, settings = nir_cases.CASES[framework][name]
    graph = to_graph(nir_cases.as_file(layer), dialect=framework, **settings)
    wanted, got = recorded[f"{framework}/{name}"], run(graph, len(layer[1]["r"]))
    if layer[0] == "LI":
        np.testing.assert_allclose(got, wanted, atol=1e-4)  # theirs are float32
        return
    np.testing.assert_array_equal(got, wanted)
    assert wanted.any()


@each(("framework", "name"), EXPORTED)
def test_an_exported_network_spikes_as_it_did_in_its_framework(framework, name, recorded, exported):
    settings, dialect = nir_cases.EXPORTED[framework][name]
    graph = to_graph(exported[framework, name], dialect=dialect, **settings)
    wanted = recorded[f"{framework}/{name}/native"]
    np.testing.assert_array_equal(run(graph, nir_cases.NEURONS), wanted)
    assert wanted.sum() > 200


@pytest.mark.parametrize(
    ("framework", "name", "settings"),
    [
        ("rockpool", "LIFTorch", {}),
        ("snntorch", "Leaky", None),
        ("sinabs", "LIF", {}),
        ("spikingjelly", "IFNode", {"dt": 1e-3}),
    ],
)
def test_what_a_framework_exported_is_known_by_its_constants(
    framework, name, settings, recorded, exported
):
    found = exported[framework, name]
    if settings is None:  # v_reset is 0 in the file, and the network subtracts
        with pytest.raises(ModelFileError, match="matches snntorch and spikingjelly"):
            to_graph(found)
        return
    graph = to_graph(found, **settings)
    assert graph.provenance["nir_dialect"].startswith(f"{framework} (inferred")
    wanted = recorded[f"{framework}/{name}/native"]
    np.testing.assert_array_equal(run(graph, nir_cases.NEURONS), wanted)
