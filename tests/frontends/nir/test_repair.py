"""Graphs with exactly one possible repair are repaired, which the Graph states; others refused."""

import logging
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.cases import each
from tests.frontends.nir.graphs import chain, conv2d, ends, file, lif, node
from tests.frontends.nir.test_flat import graph
from tests.frontends.nir.test_infer import rockpool
from toolchain import deploy
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir import from_object, to_graph
from toolchain.frontends.nir.nodes import NirGraph
from toolchain.frontends.nir.read import read
from toolchain.frontends.nir.repair import repaired
from toolchain.frontends.nir.write import write

FC = node("Linear", weight=np.eye(3))
ONE = node("Input"), node("Output")
CONV = conv2d(np.ones((2, 1, 3, 3)), input_shape=[6, 5])
FLAT = node("Flatten", input_type=[2, 3, 3], start_dim=0, end_dim=-1)
USUAL = {"dialect": "euler", "dt": 1e-3}


def without_nodes(edges, *names, **nodes):
    return {name: each for name, each in {**ends(), **nodes}.items() if name not in names}, edges


def net(edges, *without, **nodes):
    """A file of ``nodes`` between ends, some of them left out, with edges as a text."""
    members, text = without_nodes(edges, *without, **nodes)
    return file(members, [tuple(edge.split("-")) for edge in text.split()])


BARE = {"input": node("Input"), "output": node("Output")}


@each(
    ("given", "note"),
    [
        (net("input-lif lif-output", lif1=lif()), "'lif' in the edges is the node 'lif1', which "
         "has no others"),
        (net("in-lif lif-out", lif=lif()), "'in' in the edges is the node 'input', which has no "
         "others; 'out' in the edges is the node 'output', which has no others"),
        (net("in-lif lif-output", "input", lif=lif()), "'in', which only edges name, is the Input; "
         "the shape of the Input 'in' is [3], as 'lif' takes"),
        (net("input-lif lif-out", "output", lif=lif()), "'out', which only edges name, is the "
         "Output"),
        (net("fc-lif lif-output", "input", fc=FC, lif=lif()), "the Input 'input' is added before "
         "'fc', the only node without one; the shape of the Input 'input' is [3], as 'fc' takes"),
        (net("input-fc fc-lif", "output", fc=FC, lif=lif()), "the Output 'output' is added after "
         "'lif', the only node without one"),
        (net("", "input", "output", lif=lif()), "the Input 'input' is added before 'lif', the only "
         "node without one; the Output 'output' is added after 'lif', the only node without one; "
         "the shape of the Input 'input' is [3], as 'lif' takes"),
        (net("fc-lif lif-output", fc=FC, lif=lif()), "the Input 'input' is connected before 'fc', "
         "the only node without one"),
        (net("input-lif lif-lif2 input-lif lif2-output", lif=lif(), lif2=lif()), "the edge input "
         "-> lif, listed 2 times, counts once"),
        (net("input-lif lif-output", lif=lif(), **BARE), "the shape of the Input 'input' is [3], "
         "as 'lif' takes"),
    ],
)  # fmt: skip
def test_the_one_repair_is_made_and_said(given, note, caplog):
    with caplog.at_level(logging.WARNING, "toolchain.nir"):
        found = to_graph(given, **USUAL)
    assert found.provenance["repairs"] == note
    assert f"a.nir: repaired: {note}" in caplog.text
    assert found.shape(found.input) == (3,)
    names = [name for name in found.nodes if not name.startswith(("in", "out"))]
    assert len(found.of(type(found[names[-1]]))) >= 1
    assert len(found.outputs) == 1


@each(
    ("given", "message"),
    [
        (net("input-lif lif-output", a=lif(), b=lif()), "edges lead to no node: 'lif'; possible "
         "are: 'lif' is 'a'; 'lif' is 'b'; correct the names in the edges"),
        (net("input-x x-y y-output", a=lif(), b=FC), "edges lead to no node: 'x', 'y'; possible "
         "are: 'x' is 'a' and 'y' is 'b'; 'x' is 'b' and 'y' is 'a'; correct the names"),
        (net("a-c b-c c-output", "input", a=FC, b=FC, c=lif()), "the Input is missing; it may "
         "be before 'a' or 'b'; add the edge"),
        (net("input-a a-b a-c", "output", a=lif(), b=FC, c=FC), "the Output is missing; it may "
         "be after 'b' or 'c'; add the edge"),
        (net("input-p p-output", **BARE, p=node("SumPool2d", kernel_size=2, stride=2, padding=0)),
         "the Input 'input' has no shape, and the nodes after it, p, do not determine it; add the "
         "field shape"),
        (net("input-a input-b a-output b-output", **BARE, a=FC, b=node("Linear", weight=np.ones(
         (3, 4)))), "nodes after it, a, b, take [3] and [4]; add the field shape"),
        (net("input-a a-x x-output", a=lif()), "a -> x: no such node: 'x'"),
        (file({**ends(), "a": lif()}, [("input", "a"), ("a", "x\ny"), ("x\ny", "output")]),
         r"a -> x\ny: no such node: 'x\ny'"),
    ],
)  # fmt: skip
def test_several_repairs_are_named_and_none_is_made(given, message):
    with pytest.raises(ModelFileError) as caught:
        to_graph(given, **USUAL)
    assert message in str(caught.value)


def test_a_transposed_weight_is_no_repair():
    with pytest.raises(ModelFileError, match="fc: "):
        to_graph(chain((3,), (4,), fc=node("Linear", weight=np.ones((3, 4)))))


def test_inner_graphs_are_repaired_where_they_are():
    inner = graph({"lif1": lif(), "rec": FC}, "in-lif lif-rec rec-lif lif-out")
    whole, notes = repaired(graph({"l": inner}, "in-l l-out"))
    assert notes == (
        "l: 'lif' in the edges is the node 'lif1', which has no others",
        "the shape of the Input 'in' is [3], as 'l' takes",
    )
    assert ("lif1", "rec") in whole.nodes["l"].edges
    again, notes = repaired(whole)
    assert again.nodes["l"] is whole.nodes["l"]
    assert notes == ()


@each(
    ("edges", "meant"),
    [
        ("in-l.in l-out", "l.in"),
        ("in-l l.out-out", "l.out"),
        ("in-l.lif l.lif-out", "l.lif"),
    ],
)
def test_edges_into_an_inner_graph_mean_it_where_they_lead_to_its_ends(edges, meant):
    inner = graph({"lif": lif(), "rec": FC}, "in-lif lif-rec rec-lif lif-out")
    whole, notes = repaired(graph({"l": inner}, edges))
    assert whole.edges == (("in", "l"), ("l", "out"))
    assert notes[0] == f"{meant!r} in the edges is the inner graph 'l'"


@each("edges", ["in-l.rec l.rec-out", "in-l l.rec-out", "in-l.out l-out", "in-l l.in-out"])
def test_edges_to_other_nodes_of_an_inner_graph_are_refused(edges):
    inner = graph({"lif": lif(), "rec": FC}, "in-lif lif-rec rec-lif lif-out")
    with pytest.raises(ModelFileError, match=r"no such node: 'l\."):
        to_graph(file({"l": inner, **ends()}, _pairs(edges)), **USUAL)


def _pairs(edges):
    named = {"in": "input", "out": "output"}
    return [tuple(named.get(end, end) for end in edge.split("-")) for edge in edges.split()]


def test_the_shape_of_an_input_is_that_of_a_convolution_or_flatten():
    shapes = [("conv", CONV, [1, 6, 5]), ("flat", FLAT, [2, 3, 3])]
    for name, first, shape in shapes:
        members = {**BARE, name: first}
        whole, _ = repaired(
            NirGraph(nodes=members, edges=tuple(pairwise(["input", name, "output"])))
        )
        assert whole.nodes["input"].fields["shape"].tolist() == shape


def test_a_flatten_that_counts_the_batch_axis_flattens_all_before_a_weight():
    flat = node("Flatten", start_dim=1, end_dim=-1)
    fc = node("Linear", weight=np.arange(36.0).reshape(2, 18))
    found = to_graph(chain((2, 3, 3), (2,), flat=flat, fc=fc))
    assert found.shape("flat") == (18,)
    assert found.provenance["repairs"] == (
        "'flat' flattens all axes, since its start_dim of 1 counts batch"
    )
    with pytest.raises(ModelFileError, match="flattens axes 1 to -1"):
        to_graph(chain((2, 3, 3), (18,), flat=flat))


def test_a_name_that_is_lost_is_found_again_in_random_graphs():
    rng = np.random.default_rng(4)
    repairs = 0
    for _ in range(200):
        size = int(rng.integers(2, 7))
        names = [f"n{number}" for number in range(size)]
        members = {**ends(), **dict.fromkeys(names, FC)}
        edges = {*pairwise(["input", *names, "output"])}
        edges |= {tuple(sorted(rng.choice(names, 2, replace=False).tolist())) for _ in range(2)}
        whole = NirGraph(nodes=members, edges=tuple(sorted(edges)))
        lost = str(rng.choice([*names, "input", "output"]))
        broken = replace(whole, nodes={k if k != lost else "new": v for k, v in members.items()})
        again, notes = repaired(broken)
        assert notes == (f"{lost!r} in the edges is the node 'new', which has no others",)
        assert {tuple(lost if n == "new" else n for n in e) for e in again.edges} == edges
        repairs += 1
        assert repaired(whole) == (whole, ())
    assert repairs == 200


def test_values_in_another_form_are_read_as_what_they_must_mean(tmp_path):
    fc = node("Affine", weight=np.eye(3), bias=0.5)
    flat = node("Flatten", input_type=[3.0], start_dim=0, end_dim=-1.0)
    given = chain(fc=fc, flat=flat, n=replace(lif(), type="Lif"))
    path = tmp_path / "a.nir"
    # written in NIR's form first, since the writer refuses the rest
    usual = chain(
        fc=node("Affine", weight=np.eye(3), bias=np.full(3, 0.5)),
        flat=node("Flatten", input_type=[3], start_dim=0, end_dim=-1),
        n=lif(),
    )
    write(path, usual)
    import h5py

    with h5py.File(path, "r+") as root:
        nodes = root["node/nodes"]
        for name, key, value in (
            ("fc", "bias", 0.5),
            ("flat", "input_type", [3.0]),
            ("flat", "end_dim", -1.0),
            ("n", "type", b"Lif"),
        ):
            del nodes[name][key]
            nodes[name][key] = value
        edges = [tuple(map(str.encode, edge)) for edge in given.graph.edges]
        del root["node/edges"]
        root["node/edges"] = np.array(edges, dtype="S8")
    found = read(path)
    assert sorted(found.repairs) == [
        "fc: bias is read as [0.5, 0.5, 0.5]",
        "flat: end_dim is read as -1",
        "flat: input_type is read as [3]",
        "n: the type Lif is LIF",
    ]
    assert str(to_graph(found, **USUAL)) == str(to_graph(usual, **USUAL))


def test_objects_may_name_their_nodes_in_bytes():
    def nir(kind, **fields):
        return type(kind, (), fields)()

    nodes = {
        b"input": nir("Input", input_type={"input": np.array([3])}),
        b"fc": nir("Linear", weight=np.eye(3)),
        b"output": nir("Output", output_type={"output": np.array([3])}),
    }
    found = to_graph(from_object(nir("NIRGraph", nodes=nodes, edges=[*pairwise(nodes)])))
    assert list(found.nodes) == ["input", "fc", "output"]


def test_a_deployment_says_what_was_repaired():
    fc, out = node("Linear", weight=np.eye(3)), node("Linear", weight=np.ones((3, 3)))
    given = net("input-fc fc-a a-out out-b", "output", fc=fc, a=rockpool(), out=out, b=rockpool())
    d = deploy(to_graph(given), "xylo_a2")
    (found,) = (each for each in d.diagnostics if each.rule == "model_file")
    assert found.severity.value == "info"
    assert "the Output 'output' is added after 'b'" in found.message
    assert "the Output 'output' is added after 'b'" in d.ledger.provenance["repairs"]
