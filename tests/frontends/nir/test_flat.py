"""Graphs within graphs become one graph with the same connections, or an error says why not."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir.flat import flatten
from toolchain.frontends.nir.nodes import NirGraph, NirNode

SHARED = (
    "duplicate edge; NIR does not define whether it counts twice: remove it or route it "
    "through a Scale"
)


def node(kind):
    return NirNode(type=kind, fields={})


def graph(nodes, edges, metadata=None):
    """``nodes`` as a text of names beside Input ``in`` and Output ``out``, or a dict."""
    named = {name: node("I") for name in nodes.split()} if isinstance(nodes, str) else nodes
    members = {"in": node("Input"), "out": node("Output"), **named}
    pairs = tuple(tuple(edge.split("-")) for edge in edges.split())
    return NirGraph(nodes=members, edges=pairs, metadata=metadata or {})


def shown(flat):
    return " ".join(sorted("-".join(edge) for edge in flat.edges))


def refusal(nested):
    with pytest.raises(ModelFileError) as caught:
        flatten(nested, "net.nir")
    assert str(caught.value).startswith("net.nir: ")
    return str(caught.value).removeprefix("net.nir: ")


PASS = graph("", "in-out")
LOOP = graph("lif rec", "in-lif lif-rec rec-lif lif-out")


def test_a_flat_graph_stays_as_it_is():
    nested = graph("a b", "in-a a-b b-a b-out", {"dt": 1e-3})
    flat = flatten(nested)
    assert flat.nodes == nested.nodes
    assert flat.edges == nested.edges
    assert flat.metadata == {"dt": 1e-3}


def test_an_inner_graph_is_joined_to_what_is_around_it():
    flat = flatten(
        graph({"a": node("I"), "b": node("I"), "l": LOOP}, "in-a a-l b-l in-b l-out l-b")
    )
    assert shown(flat) == ("a-l.lif b-l.lif in-a in-b l.lif-b l.lif-l.rec l.lif-out l.rec-l.lif")
    assert list(flat.nodes) == ["in", "out", "a", "b", "l.lif", "l.rec"]
    assert flat.nodes["l.lif"] is LOOP.nodes["lif"]


def test_graphs_may_lie_in_graphs_and_follow_each_other():
    inner = graph({"x": LOOP, "y": LOOP}, "in-x x-y y-out")
    flat = flatten(graph({"p": inner, "q": LOOP}, "in-p p-q q-p q-out"))
    assert {name for name in flat.nodes if "." in name} == {
        *("p.x.lif", "p.x.rec", "p.y.lif", "p.y.rec", "q.lif", "q.rec")
    }
    assert {("in", "p.x.lif"), ("p.x.lif", "p.y.lif"), ("p.y.lif", "q.lif")} <= set(flat.edges)
    assert {("q.lif", "p.x.lif"), ("q.lif", "out")} <= set(flat.edges)


def test_an_inner_graph_may_only_pass_on():
    assert shown(flatten(graph({"a": node("I"), "p": PASS}, "in-p p-a a-out"))) == ("a-out in-a")


def test_the_graph_given_is_not_changed():
    nested = graph({"l": LOOP}, "in-l l-out")
    before = dict(nested.nodes), nested.edges, dict(LOOP.nodes), LOOP.edges
    flatten(nested)
    assert (dict(nested.nodes), nested.edges, dict(LOOP.nodes), LOOP.edges) == before


@pytest.mark.parametrize(
    ("nested", "message"),
    [
        (graph("a", "in-a a-out a-b"), "a -> b: no such node: 'b'"),
        (graph("a", "in-a a-out c-b"), "c -> b: no such node: 'c', 'b'"),
        (graph("a", "in-a in-a a-out"), f"in -> a: {SHARED}"),
        (graph({"p": PASS, "a": node("I")}, "in-p p-a in-a a-out"), f"in -> a: {SHARED}"),
        (graph("a b", "in-a a-out b-a"), "b: not reachable from the Input 'in'"),
        (graph("a b", "in-a a-out a-b"), "b: does not reach the Output 'out'"),
        (graph("a", "in-a a-out a-in"), "a -> in: edge into the Input"),
        (graph("a", "in-a a-out out-a"), "out -> a: edge out of the Output"),
        (
            graph({"p": PASS, "a": node("I")}, "in-p p-p p-a a-out"),
            "p.out: is connected to itself without a node in between",
        ),
        (graph({"l": LOOP, "l.lif": node("I")}, "in-l l-l.lif l.lif-out"), "l.lif: two nodes have "
         "this name after flattening"),
        (graph({"in2": node("Input")}, "in-out in2-out"), "the graph has 2 Input nodes (in, in2), "
         "expected exactly one"),
        (NirGraph(nodes={"out": node("Output")}, edges=()), "the graph has 0 Input nodes, "
         "expected exactly one"),
        (graph({"l": graph({"o": node("Output")}, "in-out in-o")}, "in-l l-out"),
         "l: the inner graph has 2 Output nodes (out, o), expected exactly one"),
        (graph({"a": node("I"), "o": node("Output")}, "in-a a-out a-o o-a"), "o -> a: edge out of "
         "the Output"),
        (graph({"a": node("I"), "o": node("Output")}, "in-out in-o in-a"), "a: does not reach the "
         "Output 'out' or 'o'"),
        (graph({"l": NirGraph(nodes={"in": node("Input")}, edges=())}, "in-l l-out"),
         "l: the inner graph has 0 Output nodes, expected exactly one"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_named(nested, message):
    assert refusal(nested) == message


def test_all_findings_come_at_once():
    lines = refusal(graph("a b c", "in-a a-out b-x y-c in-a")).splitlines()
    assert lines[0] == "3 errors"
    lines = refusal(graph("a b c", "in-a a-out")).splitlines()
    assert [line.strip().split(":")[0] for line in lines[1:]] == ["b", "c"]


def test_a_graph_within_itself_is_refused():
    members = {"in": node("Input"), "out": node("Output")}
    nested = NirGraph(nodes=members, edges=(("in", "me"), ("me", "out")))
    members["me"] = nested
    assert refusal(nested) == "me: the graph contains itself"


@pytest.mark.parametrize(
    ("depth", "message"), [(8, None), (9, "is nested more than 8 graphs deep")]
)
def test_depth_is_bounded(depth, message):
    nested = LOOP
    for _ in range(depth - 1):
        nested = graph({"g": nested}, "in-g g-out")
    if message:
        assert refusal(nested).endswith(message)
    else:
        assert len(flatten(nested).nodes) == 4


def test_sharing_does_not_grow_without_bound():
    nested = LOOP
    for _ in range(7):  # 12 to the power of 7 nodes of one graph
        names = [f"g{number}" for number in range(12)]
        nested = graph(dict.fromkeys(names, nested), " ".join(f"in-{n} {n}-out" for n in names))
    assert "more than 1024 nodes" in refusal(nested)


# ---- a law: the connections are those found by walking ----


def random_graph(rng, depth=0):
    """Nodes and inner graphs one after the other, and some more edges."""
    nodes = {f"n{number}": node("I") for number in range(int(rng.integers(0, 3)))}
    if depth < 2 and rng.random() < 0.7:
        nodes |= {f"g{number}": random_graph(rng, depth + 1) for number in range(2)}
    names = ["in", *nodes, "out"]
    more = rng.choice(names, (int(rng.integers(0, 3)), 2)).tolist()
    edges = {*pairwise(names), *((a, b) for a, b in more if a != "out" and b != "in")}
    return NirGraph(nodes={**graph("", "").nodes, **nodes}, edges=tuple(sorted(edges)))


def leaves_and_edges(nested, prefix=""):
    """All primitives by long name, and edges between them with inner ends still there."""
    found, edges = {}, []
    for name, member in nested.nodes.items():
        if isinstance(member, NirGraph):
            inner, more = leaves_and_edges(member, f"{prefix}{name}.")
            found |= inner
            edges += more
        else:
            found[prefix + name] = member

    def end(name, port):
        return f"{prefix}{name}" + (port if isinstance(nested.nodes[name], NirGraph) else "")

    return found, edges + [(end(pre, ".out"), end(post, ".in")) for pre, post in nested.edges]


def walks(start, edges, inner):
    """How many ways lead from ``start`` to each node with only inner ends on the way.

    None where such a way may go in a circle.
    """
    here, found = {start: 1}, {}
    for _ in range(len(inner) + 1):
        there = {}
        for pre, post in edges:
            if pre in here:
                table = there if post in inner else found
                table[post] = table.get(post, 0) + here[pre]
        here = there
    return None if here else found


def test_every_connection_is_one_that_can_be_walked():
    rng = np.random.default_rng(5)
    seen = Counter()
    for _ in range(1000):
        nested = random_graph(rng)
        found, edges = leaves_and_edges(nested)
        inner = {n for n, leaf in found.items() if "." in n and leaf.type in ("Input", "Output")}
        want = {name: walks(name, edges, inner) for name in found if name not in inner}
        if any(ways is None or max(ways.values(), default=1) > 1 for ways in want.values()):
            seen["refused"] += 1
            with pytest.raises(ModelFileError, match=r"duplicate edge|is connected to itself"):
                flatten(nested)
            continue
        seen["joined"] += bool(inner)
        flat = flatten(nested)
        assert flat.nodes.keys() == want.keys()
        assert sorted(flat.edges) == sorted((a, b) for a in want for b in want[a])
    assert min(seen["joined"], seen["refused"]) > 100
