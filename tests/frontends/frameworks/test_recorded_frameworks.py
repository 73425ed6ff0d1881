"""Networks of other frameworks, as recorded from the frameworks themselves.

The adapters are run on stand-ins with the recorded class names and attributes, and the recorded
Graphs on the recorded inputs; no framework is needed.
"""

from tests.cases import each
from tests.oracles.frameworks import archive
from tests.oracles.frameworks.harness import FORMAT, leaf_faults, output_faults, reason
from toolchain.ir.store import unpack_graph

RECORDED = {name: archive.read(name) for name in archive.names(FORMAT)}
CASES = [(framework, case) for framework, data in RECORDED.items() for case in data["cases"]]
PASSING = [(f, c) for f, c in CASES if "refused" not in RECORDED[f]["cases"][c]]
REFUSED = [(f, c) for f, c in CASES if "refused" in RECORDED[f]["cases"][c]]


def graph_of(entry):
    return unpack_graph(entry["graph"]["arrays"], entry["graph"]["data"])


@each(("framework", "case"), PASSING)
def test_the_graph_gives_the_spikes_that_the_framework_gave(framework, case):
    entry = RECORDED[framework]["cases"][case]
    given = archive.unpack(RECORDED[framework]["inputs"][entry["input"]])
    out = archive.unpack(entry["output"])
    assert out.shape[:2] == (2, 200)
    assert list(output_faults(graph_of(entry), given, out, entry["spiking"])) == []


@each(("framework", "case"), PASSING)
def test_each_layer_becomes_the_nodes_that_it_was_recorded_to_become(framework, case):
    entry = RECORDED[framework]["cases"][case]
    graph = graph_of(entry)
    assert str(graph).splitlines() == entry["text"]
    assert list(leaf_faults(graph, entry["leaves"])) == []


@each(("framework", "case"), REFUSED)
def test_a_refused_layer_is_refused_with_its_name_and_reason(framework, case):
    entry = RECORDED[framework]["cases"][case]
    assert entry["refused"]
    for leaf in entry["leaves"]:
        kind = leaf["classes"][0].rpartition(":")[2]
        assert reason(leaf) == leaf["reason"]
        assert f"layer {leaf['name'] or kind!r} ({kind}): {leaf['reason']}" in entry["refused"]


def test_every_framework_is_there_and_the_matrix_is_as_large_as_it_is_told_to_be():
    assert {"norse", "rockpool", "sinabs", "snntorch", "spikingjelly"} <= set(RECORDED)
    assert len(PASSING) >= 70
    assert len(REFUSED) >= 25
