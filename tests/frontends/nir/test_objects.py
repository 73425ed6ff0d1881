"""``nir.NIRGraph`` objects are taken by their attributes; nir itself is not needed.

The classes here have the names and attributes of nir's. That nir's own objects are taken alike is
checked by ``tests/oracles/frameworks/nir_files.py`` with nir 1.0.4 and 1.0.8.
"""

import sys
import types

import numpy as np
import pytest

from tests.oracles.frameworks import nir_files
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir.objects import from_object


class Named:
    """A module whose classes are made when asked for, each with the attributes it is given."""

    def __getattr__(self, name):
        def remember(self, **given):
            vars(self).update(given)

        return type(name, (), {"__init__": remember, "__module__": "nirlike.ir"})


nir = Named()


def chain(node, **more):
    ends = {
        "input": nir.Input(input_type={"input": np.array([3])}),
        "output": nir.Output(output_type={"output": np.array([3])}),
    }
    edges = [("input", "n"), ("n", "output")]
    return nir.NIRGraph(nodes={**ends, "n": node}, edges=edges, **more)


def refusal(model):
    with pytest.raises(ModelFileError) as caught:
        from_object(model)
    return str(caught.value).removeprefix("nirlike.NIRGraph: ")


@pytest.mark.parametrize("name", nir_files.CASES)
def test_objects_say_what_their_files_say(name):
    case = nir_files.CASES[name]("1.0.4")
    found = from_object(nir_files.as_object(case, nir))
    assert nir_files.differences(nir_files.as_graph(case, "1.0.4"), found.graph) == []


def test_the_version_is_that_of_the_package(monkeypatch):
    model = chain(nir.I(r=np.ones(3)))
    assert from_object(model).version is None
    monkeypatch.setitem(sys.modules, "nirlike", types.SimpleNamespace(__version__="1.0.7"))
    assert (from_object(model).version, from_object(model).where) == ("1.0.7", "nirlike.NIRGraph")


def test_single_numbers_lists_and_absent_values_are_taken():
    node = nir.LIF(tau=0.02, r=[1, 1, 1], v_leak=np.float32(0), v_threshold=1, v_reset=None)
    fields = from_object(chain(node)).graph.nodes["n"].fields
    assert {name: value.shape for name, value in fields.items()} == {
        "tau": (), "r": (3,), "v_leak": (), "v_threshold": (),
    }  # fmt: skip


def test_tensors_are_taken_and_nothing_is_shared():
    torch = pytest.importorskip("torch")
    weight, scale = torch.ones(3, 3, requires_grad=True), np.ones(3)
    weights = from_object(chain(nir.Linear(weight=weight))).graph.nodes["n"].fields["weight"]
    kept = from_object(chain(nir.Scale(scale=scale))).graph.nodes["n"].fields["scale"]
    with torch.no_grad():
        weight += 1
    scale += 1
    assert (weights.max(), kept.max()) == (1, 1)
    assert not kept.flags.writeable


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (nir.I(r=np.array([1.0, np.inf])), "r: 1 of 2 values are not finite"),
        (nir.I(r=np.ones(3, complex)), "r: is a ndarray; expected numbers or one string"),
        (nir.I(r=[[1, 2], [3]]), "r: is a list; expected numbers or one string"),
        (nir.I(r=[1, "2"]), "r: is a list; expected numbers or one string"),
        (nir.I(r="loud"), "r: is the string 'loud'; expected numbers"),
        (nir.I(r=1.0, metadata=7), "metadata: is not a dict"),
        (
            nir.I(r=1.0, metadata={"who": object()}),
            "metadata/who: is a object; expected strings, numbers, lists or dicts",
        ),
    ],
)
def test_fields_and_metadata_that_are_no_data_are_named(node, message):
    assert refusal(chain(node)) == f"graph/nodes/n/{message}"


def test_what_is_no_graph_of_known_nodes_is_refused():
    assert "nirlike.I: expected a NIRGraph" in refusal(nir.I(r=1.0))
    assert refusal(chain(nir.Spam())).startswith("graph/nodes/n/type: unknown primitive 'Spam'")
    assert refusal(nir.NIRGraph(nodes=[], edges=[])) == "graph/nodes: is not a dict"
    assert (
        refusal(nir.NIRGraph(nodes={}, edges=[1])) == "graph/edges: is not a list of pairs of names"
    )
    assert refusal(chain(nir.I())) == "graph/nodes/n: I has no r; found no fields"


def test_a_graph_within_itself_is_refused():
    model = chain(None)
    model.nodes["n"] = model
    assert refusal(model) == "graph/nodes/n: the graph contains itself"


def test_graphs_deep_and_many_are_refused():
    model = chain(nir.I(r=1.0))
    for _ in range(7):
        model = chain(model)
    assert from_object(model).graph.nodes["n"]
    assert refusal(chain(model)).endswith("/n: is nested more than 8 graphs deep")
    shared = chain(nir.I(r=1.0))
    for _ in range(6):
        shared = nir.NIRGraph(nodes={f"n{i}": shared for i in range(20)}, edges=[])
    assert "more than 1024 nodes" in refusal(shared)
