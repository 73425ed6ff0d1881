"""Files that spyx writes: as its networks run, with a latency of one step a layer left out."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.cases import each
from tests.frontends.nir.graphs import chain, cuba, file, lif, node
from tests.oracles.spyx_files import RECORDED, differing
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir import to_graph
from toolchain.frontends.nir.read import read_several

NAMES = [key.removesuffix("/file") for key in np.load(RECORDED).files if key.endswith("/file")]
BETAS = np.array([0.5, 0.8, 0.9], dtype=np.float32)


def spyx_lif(betas=BETAS, dt=1.0, kind="LIF", **rest):
    """The fields as spyx computes them, in float32."""
    betas = np.asarray(betas, dtype=np.float32)
    tau = np.float32(dt) / (1 - betas)
    size = betas.size
    if kind == "LIF":
        return replace(lif(size), fields={**lif(size).fields, "tau": tau, "r": betas, **rest})
    syn = np.float32(dt) / (1 - betas / 2)
    rest |= {"tau_mem": tau, "tau_syn": syn, "r": betas, "w_in": np.ones(size)}
    return replace(cuba(size), fields={**cuba(size).fields, **rest})


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    data = dict(np.load(RECORDED))
    paths = [tmp_path_factory.mktemp("spyx") / f"{name}.nir" for name in NAMES]
    for name, path in zip(NAMES, paths, strict=True):
        path.write_bytes(data[f"{name}/file"].tobytes())
    return data, dict(zip(NAMES, read_several(paths), strict=True))


@each("name", NAMES)
def test_a_network_spikes_as_it_did_in_spyx(name, recorded):
    data, files = recorded
    spikes = data[f"{name}/spikes"]
    assert differing(files[name], data[f"{name}/input"], spikes) == 0
    assert spikes.sum() > 20


def test_the_constants_of_a_recorded_file_say_that_spyx_wrote_it(recorded):
    found = {
        n: to_graph(f).provenance for n, f in recorded[1].items() if n not in ("if", "RIF", "psu")
    }
    assert len(found) == 8
    assert {p["nir_dialect"] for p in found.values()} == {
        "spyx (inferred: r = 1 - dt / tau with dt = 1)"
    }
    assert found["deep"]["nir_spyx"] == (
        "spyx outputs the spikes of each layer one step later, together 2 steps"
    )
    assert "layer_0 -> layer_1.layer_1.lif, as spyx runs" in found["RLIF"]["nir_spyx"]
    assert "weights of layer_4 are reordered" in found["conv"]["nir_spyx"]


@each(
    ("layer", "options", "dt"),
    [
        (spyx_lif(), {}, None),
        (spyx_lif([0.9]), {}, None),
        (spyx_lif(v_reset=np.zeros(3)), {"dt": 5e-3}, 5e-3),  # the length of a step, s
        (spyx_lif(dt=2e-3), {}, 2e-3),  # exported with dt=2e-3
        (spyx_lif(dt=2e-3, kind="CubaLIF"), {}, 2e-3),
        (spyx_lif(kind="CubaLIF"), {}, None),
    ],
)
def test_decays_are_those_of_the_file_and_gains_are_1(layer, options, dt):
    graph = to_graph(chain((layer.fields["r"].size,), n=layer), **options)
    assert graph.dt == dt
    assert np.array_equal(np.ravel(graph["n"].alpha_mem), layer.fields["r"].astype(float))
    assert graph["n"].gain == 1
    assert graph["n"].reset_when == ("same" if layer.type == "CubaLIF" else "next_undecayed")


@each(
    ("layer", "message"),
    [
        (lif(tau=10, r=1), "r is not 1 - dt / tau at dt = 1, as spyx exports it"),
        (spyx_lif(v_leak=np.ones(3)), "v_leak is not 0, which spyx does not support"),
        (cuba(mem=10, syn=2, r=0.9, w_in=0.5), "w_in is not 1; spyx supports only 1"),
        (node("IF", r=np.full(3, 2.0), v_threshold=np.ones(3)), "r is not 1; spyx supports only 1"),
        (node("I", r=np.ones(3)), "spyx does not export it"),
    ],
)
def test_what_spyx_does_not_write_is_refused(layer, message):
    with pytest.raises(ModelFileError, match=f"n: in dialect 'spyx': .*{message}"):
        to_graph(chain(n=layer), dialect="spyx")


def test_a_single_coincidence_is_not_a_pattern_and_spyx_is_among_the_readings():
    for layer, line in (
        (lif(tau=0.01, r=0.9), "decay 0.9 per step, gain 1: 400 spikes"),  # dt of 0.001, once
        (lif(tau=0.02, r=1.0), "not supported: r is not 1 - dt / tau at dt = 1, as spyx exports"),
    ):
        with pytest.raises(ModelFileError, match="it matches no exporter's pattern") as asked:
            to_graph(chain(n=layer))
        assert f"dialect='spyx' (spyx export): {line}" in str(asked.value)
    assert to_graph(chain(n=lif(tau=0.01, r=0.9)), dialect="spyx").dt == 1e-3
    both = node("IF", r=np.ones(3), v_threshold=np.ones(3), v_reset=np.zeros(3))
    with pytest.raises(ModelFileError, match="it matches sinabs and spyx"):
        to_graph(chain(n=both))


def test_a_flatten_of_maps_needs_a_weight_after_it():
    flat = node("Flatten", input_type=[2, 2, 2], start_dim=0, end_dim=-1)
    nodes = chain((2, 2, 2), (8,), flat=flat, n=spyx_lif(np.full(8, 0.9))).graph.nodes
    wrong = file(nodes, pairwise(["input", "flat", "n", "output"]))
    with pytest.raises(ModelFileError, match=r"flat: is followed by 'n' .LIF.; spyx flattens"):
        to_graph(wrong)
