"""What is written is read back the same, in nir's own layout, whole or not at all.

That nir 1.0.4 and 1.0.8 read it is checked by ``tests/oracles/frameworks/nir_files.py``.
"""

import io
import os

import h5py
import numpy as np
import pytest

from tests.oracles.frameworks import nir_files
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode
from toolchain.frontends.nir.read import read, read_several
from toolchain.frontends.nir.schema import PRIMITIVES
from toolchain.frontends.nir.write import as_bytes, write


def as_file(graph, version=None):
    return NirFile(graph=graph, version=version, where="case")


def layout(file):
    """Path, shape and type of everything in a file, however it is packed."""
    found = {}

    def note(path, item):
        found[path] = (item.shape, str(item.dtype)) if isinstance(item, h5py.Dataset) else None

    file.visititems(note)
    return found


def test_the_layout_is_that_of_nirs_own_file(tmp_path):
    keys = [(version, name) for version in nir_files.VERSIONS for name in nir_files.CASES]
    paths = [nir_files.unpacked(*key, tmp_path) for key in keys]
    for path, found in zip(paths, read_several(paths), strict=True):
        with h5py.File(path) as want, h5py.File(io.BytesIO(as_bytes(found))) as got:
            assert layout(got) == layout(want), path.name
            assert got["version"][()] == want["version"][()], path.name


def random_value(rng, field):
    rank = int(rng.integers(field.ranks[0], field.ranks[1] + 1))
    shape = tuple(int(size) for size in rng.integers(1, 4, rank))
    if field.kind == "real":
        return rng.standard_normal(shape).astype(rng.choice(["f4", "f8"]))
    if field.kind == "padding" and rng.random() < 0.3:
        return "same"
    return rng.integers(1, 5, shape)


def random_graph(rng, depth=0):
    nodes = {}
    for kind in rng.choice(list(PRIMITIVES), 5):
        table = {k: f for k, f in PRIMITIVES[kind].items() if f.required or rng.random() < 0.5}
        fields = {name: random_value(rng, field) for name, field in table.items()}
        metadata = {"steps": int(rng.integers(9)), "on": True, "in": {"t": ["a", "b"]}}
        nodes[f"{kind}.{len(nodes)}"] = NirNode(
            type=str(kind), fields=fields, metadata=metadata if rng.random() < 0.3 else {}
        )
    if depth < 3 and rng.random() < 0.6:
        nodes["größer"] = random_graph(rng, depth + 1)
    edges = {(str(a), str(b)) for a, b in rng.choice(list(nodes), (int(rng.integers(0, 9)), 2))}
    return NirGraph(nodes=nodes, edges=tuple(sorted(edges)), metadata={"depth": depth, "x": 0.1})


def test_random_graphs_come_back_the_same(tmp_path):
    rng = np.random.default_rng(3)
    graphs = [random_graph(rng) for _ in range(60)]
    paths = [
        write(tmp_path / f"{number}.nir", as_file(graph)) for number, graph in enumerate(graphs)
    ]
    for graph, found in zip(graphs, read_several(paths), strict=True):
        assert nir_files.differences(graph, found.graph) == []


def lif(**fields):
    return NirNode(
        type="LIF", fields={**dict.fromkeys(("tau", "r", "v_leak"), np.ones(3)), **fields}
    )


def one(node):
    return NirGraph(nodes={"n": node}, edges=())


def test_the_version_is_the_oldest_that_reads_the_file(tmp_path):
    plain = lif(v_threshold=np.ones(3))
    old = NirNode(type="Linear", fields={"weight": np.ones((2, 2))})
    noted = NirNode(type="Linear", fields=old.fields, metadata={"a": 1})
    reset = lif(v_threshold=np.ones(3), v_reset=np.zeros(3))
    cuba = {name: np.ones(3) for name in ("tau_syn", "tau_mem", "r", "v_leak")}
    wanted = {plain: "1.0.4", old: "1.0.4", noted: "1.0.8", reset: "1.0.8"}
    wanted[NirNode(type="CubaLI", fields=cuba)] = "1.0.8"
    paths = [write(tmp_path / f"{i}.nir", as_file(one(node))) for i, node in enumerate(wanted)]
    assert [found.version for found in read_several(paths)] == list(wanted.values())
    assert read(write(tmp_path / "own.nir", as_file(one(reset), "0.2.0"))).version == "0.2.0"


def test_the_same_graph_gives_the_same_bytes(tmp_path):
    graph = nir_files.as_graph(nir_files.CASES["nested"]("1.0.4"), "1.0.4")
    path = write(tmp_path / "a.nir", as_file(graph))
    assert path.read_bytes() == as_bytes(as_file(graph))


def test_a_file_is_replaced_whole_or_left_alone(tmp_path):
    path = tmp_path / "net.nir"
    write(path, as_file(one(lif(v_threshold=np.ones(3)))))
    before = path.read_bytes()
    with pytest.raises(ModelFileError):
        write(path, as_file(one(lif())))
    assert path.read_bytes() == before
    write(path, as_file(one(lif(v_threshold=np.ones(3), v_reset=np.ones(3)))))
    assert path.read_bytes() != before
    assert os.listdir(tmp_path) == ["net.nir"]  # noqa: PTH208
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "none" / "net.nir", as_file(one(lif(v_threshold=np.ones(3)))))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (one(lif()), "/node/nodes/n: LIF has no v_threshold; found r, tau, v_leak"),
        (
            one(lif(v_threshold=np.array(np.nan))),
            "/node/nodes/n/v_threshold: 1 of 1 values are not finite",
        ),
        (
            NirGraph(nodes={"a/b": one(lif(v_threshold=np.ones(3)))}, edges=()),
            "/node/nodes: 'a/b' is not a valid name; names are printable and contain no slash",
        ),
        (
            NirGraph(nodes={}, edges=(), metadata={"who": object()}),
            "/node/metadata/who: is a object; expected strings, numbers, bools or lists of them",
        ),
        (
            NirGraph(nodes={}, edges=(), metadata={"n": [[1], [1, 2]]}),
            "/node/metadata/n: is a list; expected strings, numbers, bools or lists of them",
        ),
        (
            NirGraph(nodes={}, edges=(), metadata={"n": 2**63}),
            "/node/metadata/n: is a int; expected strings, numbers, bools or lists of them",
        ),
        (
            NirGraph(nodes={}, edges=(), metadata={"a\n": 1}),
            r"/node/metadata: 'a\n' is not a valid name; names are printable and contain no slash",
        ),
    ],
)
def test_what_nir_cannot_hold_is_not_written(graph, message):
    with pytest.raises(ModelFileError) as caught:
        as_bytes(as_file(graph))
    assert str(caught.value) == f"case: {message}"
