"""Files of every version are read as they were meant, and everything else is refused by name."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.cases import each
from tests.frontends.nir import samples
from tests.frontends.nir.damage import damaged
from tests.genuine import genuine
from tests.oracles.frameworks import nir_files
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir import sandbox
from toolchain.frontends.nir.limits import DEFAULT, Limits
from toolchain.frontends.nir.nodes import NirGraph
from toolchain.frontends.nir.read import read, read_several
from toolchain.frontends.nir.schema import PRIMITIVES

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.nir"


def read_bytes(path, data, **limits):
    path.write_bytes(data)
    return read(path, limits=Limits(**limits))


def refusal(path, data, **limits):
    """What the error says after the file's name."""
    with pytest.raises(ModelFileError) as caught:
        read_bytes(path, data, **limits)
    start = f"{path}: "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


def faults(folder, files):
    """Return what is said of each file after its name, or ``read``; one process reads them all."""
    paths = [folder / f"{number}.nir" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    found = []
    for path, got in zip(paths, read_several(paths), strict=True):
        start = f"{path}: "
        assert not isinstance(got, ModelFileError) or str(got).startswith(start)
        message = str(got).removeprefix(start) if isinstance(got, ModelFileError) else "read"
        found.append(message)
    return found


def bent(bend, nodes=samples.feed_forward):
    return samples.make(*nodes(), bend=bend)


# ---- what is taken ----


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Read the files that nir itself wrote, and return the graphs by version and name."""
    folder = tmp_path_factory.mktemp("recorded")
    keys = [(version, name) for version in nir_files.VERSIONS for name in nir_files.CASES]
    paths = [nir_files.unpacked(*key, folder) for key in keys]
    return dict(zip(keys, read_several(paths), strict=True))


@each("version", nir_files.VERSIONS)
@each("name", nir_files.CASES)
def test_what_nir_wrote_is_read_as_it_was_meant(version, name, recorded):
    found = recorded[version, name]
    want = nir_files.as_graph(nir_files.CASES[name](version), version)
    assert nir_files.differences(want, found.graph) == []
    assert found.version == version


def test_the_recorded_files_have_every_primitive(recorded):
    nodes = [node for found in recorded.values() for node in found.graph.nodes.values()]
    assert {n.type for n in nodes if not isinstance(n, NirGraph)} == set(PRIMITIVES)


@pytest.mark.parametrize(
    ("name", "count", "edges"),
    [("cnn_sinabs.nir", 15, 14), ("braille_noDelay_noBias_subtract.nir", 7, 7)],
)
def test_the_published_files_are_read(name, count, edges):
    found = read(genuine(name, "NIR paper"))
    assert (found.version, len(found.graph.nodes), len(found.graph.edges)) == (
        "0.2.0",
        count,
        edges,
    )


def test_every_layout_of_hdf5_is_read(tmp_path):
    paths = [tmp_path / f"{number}.nir" for number in range(len(samples.whole()))]
    for path, data in zip(paths, samples.whole(), strict=True):
        path.write_bytes(data)
    for found in read_several(paths):
        assert found.graph.nodes.keys() >= {"input", "output"}


def test_arrays_come_back_bit_by_bit_and_cannot_be_changed(path):
    weight = np.random.default_rng(0).standard_normal((4, 3))
    nodes = {**samples.ends(3, 4), "fc": ("Linear", {"weight": weight.astype(">f8")})}
    got = read_bytes(path, samples.make(nodes, [], shuffle=True, fletcher32=True)).graph.nodes["fc"]
    np.testing.assert_array_equal(got.fields["weight"], weight)
    assert not got.fields["weight"].flags.writeable


def test_types_may_be_texts_of_fixed_length_and_shapes_single_numbers(path):
    def bend(file):
        for name in ("input", "output"):
            del file[f"node/nodes/{name}/shape"], file[f"node/nodes/{name}/type"]
            file[f"node/nodes/{name}/shape"] = np.int64(3)
            file[f"node/nodes/{name}/type"] = np.bytes_(name.capitalize())
        del file["version"]

    found = read_bytes(path, bent(bend))
    assert found.version is None
    assert found.graph.nodes["input"].type == "Input"
    assert found.graph.nodes["output"].fields["shape"].shape == ()


def test_metadata_comes_back_as_plain_data(path):
    about = {**samples.METADATA, "on": True, "times": [1.0, 2.0], "count": np.int32(7)}
    got = read_bytes(path, samples.make(*samples.feed_forward(), metadata=about)).graph.metadata
    assert got == {**about, "count": 7}
    assert type(got["on"]) is bool
    assert type(got["count"]) is int


def test_an_absent_v_reset_stays_absent(path):
    nodes = read_bytes(path, samples.make(*samples.recurrent())).graph.nodes["layer"].nodes
    assert "v_reset" in nodes["lif"].fields
    nodes = read_bytes(path, samples.make(*samples.feed_forward())).graph.nodes
    assert "v_reset" not in nodes["lif"].fields


# ---- what is refused before it is opened ----


def test_what_is_no_hdf5_file_is_not_opened(path, tmp_path):
    assert refusal(path, b"PK\x03\x04") == "is not an HDF5 file: wrong signature"
    with pytest.raises(ModelFileError, match=r"gone\.nir: does not exist$"):
        read(tmp_path / "gone.nir")
    with pytest.raises(ModelFileError, match=r": is not a file$"):
        read(tmp_path)


def test_the_size_of_a_file_is_bounded(path):
    data = samples.make(*samples.feed_forward())
    assert read_bytes(path, data, file_bytes=len(data))
    size = len(data)
    assert refusal(path, data, file_bytes=size - 1) == f"has {size} bytes, the limit is {size - 1}"


# ---- what is refused before it is read ----


def link(target):
    return lambda file: file.__setitem__("node/nodes/more", target)


def hard(target):
    return lambda file: file.__setitem__("node/nodes/more", file[target])


SECOND = "/node/nodes/more: is a second link to the same object; each object needs one name"
MORE = "/node/nodes/more"


LINKS = [
    (
        link(h5py.SoftLink("/node/nodes/fc")),
        f"{MORE}: is a soft link; only hard links are supported",
    ),
    (link(h5py.SoftLink("/nowhere")), f"{MORE}: is a soft link; only hard links are supported"),
    (
        link(h5py.ExternalLink("/etc/passwd", "/")),
        f"{MORE}: is an external link; only hard links are supported",
    ),
    (hard("/node/nodes/lif"), SECOND),
    (hard("/node/nodes"), SECOND),
    (hard("/"), SECOND),
    (
        link(np.dtype("f4")),
        f"{MORE}: is a named data type; only groups and data sets are supported",
    ),
]


def test_links_and_types_are_refused(tmp_path):
    assert faults(tmp_path, [bent(bend) for bend, _ in LINKS]) == [message for _, message in LINKS]


def weight(*args, **kwargs):
    """A file whose weight is made by ``create_dataset`` with these arguments."""

    def bend(file):
        del file["node/nodes/fc/weight"]
        file["node/nodes/fc"].create_dataset("weight", *args, **kwargs)

    return bent(bend)


TAKES = "supported are integers and floats of up to 64 bits, bools and strings"


ELSEWHERE = [
    (weight((4, 3), [("a", "f4"), ("b", "f4")]), f"contains compound values; {TAKES}"),
    (weight((4, 3), "c8"), f"contains compound values; {TAKES}"),
    (weight((4, 3), np.longdouble), f"contains non-standard floats of 16 bytes; {TAKES}"),
    (weight((4, 3), "V3"), f"contains opaque bytes; {TAKES}"),
    (weight((4, 3), h5py.ref_dtype), f"contains references; {TAKES}"),
    (weight((4,), h5py.vlen_dtype("f4")), f"contains variable-length lists; {TAKES}"),
    (weight((4, 3), h5py.enum_dtype({"A": 1}, "i4")), f"contains enumerated values; {TAKES}"),
    (weight(data=h5py.Empty("f4")), "has no value"),
    (weight((4, 3), "f4"), "declares values but has none"),
    (weight((4, 3), "f4", chunks=(2, 3)), "declares 2 chunks but has 0"),
    (
        weight((4, 3), "f4", external=[("/etc/passwd", 0, 48)]),
        "has its values in another file; they must be stored in this file",
    ),
    (
        weight(data=samples.each(4, 3), compression="lzf"),
        "uses filters [32000]; supported are gzip, shuffle and fletcher32, each once",
    ),
    (
        weight(data=samples.each(4, 3), chunks=(4, 3), scaleoffset=2),
        "uses filters [6]; supported are gzip, shuffle and fletcher32, each once",
    ),
    (
        weight((2**40, 2**10), "f4"),
        "[1099511627776, 1024] values of 4 bytes exceed the limit of 134217728 bytes per file",
    ),
    (
        weight((2**40, 2), "f4", chunks=(64, 2)),
        "17179869184 chunks exceed the limit of 16384 per file",
    ),
]


def test_values_that_are_elsewhere_or_of_another_kind_are_refused(tmp_path):
    longer = np.dtype(np.longdouble).itemsize > 8  # else this machine has no non-standard floats
    cases = [
        (data, message) for data, message in ELSEWHERE if longer or "non-standard" not in message
    ]
    wanted = [f"/node/nodes/fc/weight: {message}" for _, message in cases]
    assert faults(tmp_path, [data for data, _ in cases]) == wanted


def test_a_virtual_data_set_is_refused(path):
    def bend(file):
        del file["node/nodes/fc/weight"]
        layout = h5py.VirtualLayout((4, 3), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
        file["node/nodes/fc"].create_virtual_dataset("weight", layout)

    message = "is a virtual data set; its values must be stored in the file"
    assert refusal(path, bent(bend)) == f"/node/nodes/fc/weight: {message}"


@pytest.mark.parametrize(
    ("field", "holds", "message"),
    [
        # a weight, four fields, two shapes, and 16 bytes for each of 12 texts
        (
            "data_bytes",
            4 * 12 + 4 * 4 * 4 + 2 * 8 + 16 * 12,
            "exceed the limit of 319 bytes per file",
        ),
        ("objects", 20, "more than 19 groups and data sets in the file"),
        ("texts", 12, "more than 11 strings in the file"),
        ("text_bytes", 54, "more than 53 bytes of strings in the file"),
        ("chunks", 7, "1 chunks exceed the limit of 6 per file"),
    ],
)
def test_what_a_file_holds_is_bounded(path, field, holds, message):
    data = samples.make(*samples.feed_forward(), compression="gzip", chunks=True)
    assert read_bytes(path, data, **{field: holds})
    assert refusal(path, data, **{field: holds - 1}).endswith(message)


def test_chunks_are_bounded_by_what_they_unpack_to(path):
    data = weight(data=samples.each(4, 3), chunks=(16, 16), maxshape=(None, None))
    assert read_bytes(path, data, chunk_bytes=1024)
    message = "/node/nodes/fc/weight: has chunks of 1024 bytes, the limit is 1023"
    assert refusal(path, data, chunk_bytes=1023) == message


def test_dimensions_are_bounded(path):
    about = {"many": np.ones((1,) * 8)}
    data = samples.make(*samples.feed_forward(), metadata=about)
    assert read_bytes(path, data).graph.metadata
    message = "/node/metadata/many: has 8 dimensions, the limit is 7"
    assert refusal(path, data, rank=7) == message


def test_names_are_short_and_printable(path):
    def named(name):
        return bent(lambda file: samples.put(file["node/nodes"], name, {"type": "I", "r": 1.0}))

    assert read_bytes(path, named("n" * 128))
    message = "name longer than 128 bytes: '" + "n" * 40 + "'..."
    assert refusal(path, named("n" * 129)) == f"/node/nodes/{'n' * 40}...: {message}"
    message = r"'a\x1b[2J' is not a valid name; names are printable and contain no slash"
    assert refusal(path, named("a\x1b[2J")) == rf"/node/nodes/'a\x1b[2J': {message}"


def test_groups_within_groups_are_bounded(path):
    about = {"deep": {"deeper": {"deepest": 1}}}  # at /node/metadata/deep/deeper
    data = samples.make(*samples.feed_forward(), metadata=about)
    assert read_bytes(path, data, group_depth=4)
    message = "/node/metadata/deep/deeper: is nested more than 3 groups deep"
    assert refusal(path, data, group_depth=3) == message


# ---- what is refused once it is read ----


def nested(depth):
    nodes, edges = samples.feed_forward()
    for _ in range(depth - 1):
        nodes, edges = (
            {**samples.ends(3, 4), "in": (nodes, edges)},
            samples.chain("input", "in", "output"),
        )
    return samples.make(nodes, edges)


def test_nodes_edges_and_graphs_within_graphs_are_bounded(path):
    data = nested(3)
    assert read_bytes(path, data, nodes=10, edges=7, graph_depth=3)
    assert refusal(path, data, nodes=9) == "/node: 10 nodes, the limit is 9"
    assert refusal(path, data, edges=6) == "/node: 7 edges, the limit is 6"
    message = "/node/nodes/in/nodes/in: is nested more than 2 graphs deep"
    assert refusal(path, data, graph_depth=2) == message
    assert read_bytes(path, nested(8))
    assert "/in: is nested more than 8 graphs deep" in refusal(path, nested(9))


KNOWN = ", ".join([*PRIMITIVES, "NIRGraph"])


def with_field(kind, fields):
    nodes = {**samples.ends(3, 3), "x": (kind, fields)}
    return samples.make(nodes, [])


def good(kind):
    """Fields of a primitive, each with as few dimensions as may be."""
    table = PRIMITIVES[kind]
    return {name: np.ones((1,) * field.ranks[0], int) for name, field in table.items()}


def answers(folder, cases):
    """For files with one node each, (kind, fields): ``read``, or what is said of the node."""
    found = faults(folder, [with_field(*case) for case in cases.values()])
    messages = [text.removeprefix("/node/nodes/x") for text in found]
    return dict(zip(cases, messages, strict=True))


def test_fields_that_lack_or_are_too_many_are_named(tmp_path):
    cases, messages = {}, {}
    for kind, table in PRIMITIVES.items():
        fields = good(kind)
        takes = ", ".join(sorted(fields))
        cases[kind, ""] = kind, fields
        cases[kind, "beta"] = kind, {**fields, "beta": 0.9}
        messages[kind, "beta"] = f"/beta: {kind} has no such field; known are {takes}"
        for name, field in table.items():
            rest = {key: value for key, value in fields.items() if key != name}
            cases[kind, name] = kind, rest
            if field.required:
                has = ", ".join(sorted(rest)) or "no fields"
                messages[kind, name] = f": {kind} has no {name}; found {has}"
    assert answers(tmp_path, cases) == {name: messages.get(name, "read") for name in cases}


def test_fields_have_dimensions_within_their_bounds(tmp_path):
    cases, messages = {}, {}
    for kind in ("Affine", "Conv2d", "CubaLIF", "Flatten", "Input"):
        for name, field in PRIMITIVES[kind].items():
            low, high = field.ranks
            shape = (1,) * (high + 1)
            cases[kind, name] = kind, {**good(kind), name: np.ones(shape[1:], int)}
            cases[kind, f"{name}+"] = kind, {**good(kind), name: np.ones(shape, int)}
            wanted = str(low) if low == high else f"{low} to {high}"
            messages[kind, f"{name}+"] = (
                f"/{name}: has {high + 1} dimensions, shape {shape}; expected {wanted}"
            )
    assert answers(tmp_path, cases) == {name: messages.get(name, "read") for name in cases}


MEANINGLESS = [
    ("I", {"r": [1.0, np.nan, np.inf]}, "r: 2 of 3 values are not finite"),
    ("I", {"r": [True]}, "r: contains bool values; expected numbers"),
    ("I", {"r": "one"}, "r: is the string 'one'; expected numbers"),
    ("I", {"r": np.zeros(0)}, "r: is empty, shape (0,)"),
    ("Input", {"shape": [1.5]}, "shape: contains float64 values; expected integers"),
    ("Input", {"shape": [4, 0]}, "shape: shape [4, 0]; every size must be at least 1"),
    (
        "Input",
        {"shape": [2**12, 2**13]},
        "shape: a shape of 33554432 values, the limit is 16777216",
    ),
    (
        "SumPool2d",
        {"kernel_size": 2**24 + 1, "stride": -(2**24), "padding": 0},
        "kernel_size: contains 16777217, the largest supported integer is 16777216",
    ),
    (
        "Conv1d",
        {**good("Conv1d"), "padding": "full"},
        "padding: is 'full'; expected numbers, 'same' or 'valid'",
    ),
    ("Spam", {}, f"type: unknown primitive 'Spam'; known are {KNOWN}"),
]


def test_values_that_mean_nothing_are_refused(tmp_path):
    files = [with_field(kind, fields) for kind, fields, _ in MEANINGLESS]
    assert faults(tmp_path, files) == [f"/node/nodes/x/{message}" for *_, message in MEANINGLESS]


def test_shapes_may_reach_their_bound(path):
    assert read_bytes(path, with_field("Input", {"shape": [2**12, 2**12]}))


def replaced(where, value):
    def bend(file):
        del file[where]
        if value is not None:
            samples.put(file[where].parent if where in file else file, where, value)

    return bent(bend)


TABLE = np.array([["input", "fc", "lif"]], dtype=object)


LAYOUTS = [
    (replaced("node", None), "/node: missing group; the file has version"),
    (replaced("node/type", None), "/node/type: missing string"),
    (replaced("node/type", "LIF"), "/node/type: 'LIF'; the outermost node must be a NIRGraph"),
    (replaced("node/type", 7), "/node/type: is not a string"),
    (replaced("version", 1), "/version: is not a string"),
    (replaced("node/nodes", None), "/node/nodes: missing group; found edges, type"),
    (replaced("node/edges", None), "/node/edges: missing data set of strings (edges, 2)"),
    (replaced("node/edges", TABLE), "/node/edges: object (1, 3); expected strings (edges, 2)"),
    (replaced("node/edges", [[1, 2]]), "/node/edges: int64 (1, 2); expected strings (edges, 2)"),
    (replaced("node/nodes/fc", 1), "/node/nodes/fc: is a value; each node must be a group"),
    (
        replaced("node/nodes/fc/weight", {"deep": 1}),
        "/node/nodes/fc/weight: expected numbers or one string",
    ),
    (replaced("node/nodes/lif/type", None), "/node/nodes/lif/type: missing string"),
    (
        bent(lambda file: samples.put(file, "extra", 1)),
        "/extra: unknown entry; expected node, version",
    ),
    (
        bent(lambda file: samples.put(file["node"], "extra", 1)),
        "/node/extra: unknown entry; expected edges, metadata, nodes, type",
    ),
    (
        bent(lambda file: samples.put(file["node"], "metadata", 1)),
        "/node/metadata: is a value; expected a group",
    ),
]


def test_a_layout_that_is_not_nirs_is_refused(tmp_path):
    assert faults(tmp_path, [data for data, _ in LAYOUTS]) == [message for _, message in LAYOUTS]


def test_all_faults_are_told_at_once(path):
    nodes = {**samples.ends(3, 3), "a": ("I", {}), "b": ("I", {"r": np.nan}), "c": ("X", {})}
    lines = refusal(path, samples.make(nodes, [])).splitlines()
    assert lines[0] == "3 errors"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "/node/nodes/a",
        "/node/nodes/b/r",
        "/node/nodes/c/type",
    ]


def test_a_file_full_of_faults_is_not_read_to_its_end(path):
    def bend(file):
        for number in range(300):
            file[f"node/nodes/n{number:03}"] = h5py.SoftLink("/")

    lines = refusal(path, bent(bend)).splitlines()
    assert len(lines) == 22
    assert lines[-1].strip() == "and possibly more; reading stopped here"


# ---- the process that reads ----


def test_a_file_that_takes_too_long_is_given_up(path):
    nodes = {f"n{number}": ("I", {"r": 1.0}) for number in range(1000)}
    message = "is damaged: reading takes more than 0.01 s of processor time"
    assert refusal(path, samples.make(nodes, []), seconds=0.01) == message


def test_a_file_that_needs_too_much_memory_is_given_up(path):
    data = samples.make({**samples.ends(3, 3), "x": ("I", {"r": np.ones((2**22, 8))})}, [])
    message = refusal(path, data, memory_bytes=220 * 2**20, file_bytes=2**29, data_bytes=2**29)
    assert "is damaged: " in message
    assert DEFAULT.memory_bytes < 500e6


def test_after_a_crash_the_rest_is_read(tmp_path):
    # this one makes HDF5 2.0.0 turn in a circle; another version may find the damage
    paths = [tmp_path / f"{number}.nir" for number in range(3)]
    for path, data in zip(
        paths, [samples.whole()[0], damaged(211)[1], samples.whole()[2]], strict=True
    ):
        path.write_bytes(data)
    kinds = [type(found).__name__ for found in read_several(paths)]
    assert kinds == ["NirFile", "ModelFileError", "NirFile"]


def test_the_process_loads_neither_this_package_nor_anything_heavy():
    task = {
        "paths": [],
        "limits": asdict(DEFAULT),
        "folders": sandbox._folders(),
        "packages": sandbox._packages(),
        "processor_seconds": 60,
        "answer_bytes": 2**20,
    }
    command = [sys.executable, "-X", "importtime", "-I", "-S", str(sandbox.HERE / "child.py")]
    done = subprocess.run(
        command, input=json.dumps(task), capture_output=True, text=True, check=True, cwd="/"
    )
    loaded = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
    ours = {name for name in loaded if name.startswith("toolchain")}
    assert ours == {f"toolchain.frontends.nir.{name}" for name in ("hdf5", "limits", "names")}
    top = {name.split(".")[0] for name in loaded}
    assert top.isdisjoint({"torch", "numba", "networkx", "pydantic", "safetensors", "site"})


def test_nothing_beside_the_caller_is_run(tmp_path, path, monkeypatch):
    for name in ("numpy", "h5py", "json", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "json.py"))
    assert read_bytes(path, samples.whole()[0])
    assert not (tmp_path / "ran").exists()


def test_an_installed_package_reads_without_its_source_tree(tmp_path, path):
    site = tmp_path / "site"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "toolchain", site / "toolchain", ignore=ignore)
    path.write_bytes(samples.whole()[2])
    code = (
        "import toolchain; from toolchain.frontends.nir.read import read; "
        f"print(toolchain.__file__, read({str(path)!r}).version)"
    )
    # numpy and h5py are here found by PYTHONPATH alone
    folders = [str(site), *sandbox._folders()]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    where, version = done.stdout.split()
    assert Path(where).is_relative_to(site)
    assert version == "1.0.8"
