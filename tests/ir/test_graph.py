import numpy as np
import pytest

from toolchain.diagnostics import GraphError
from toolchain.ir import Add, Edge, Flatten, Graph, Input, Linear, Neuron, Output


def neurons(n=2, **rest):
    return Neuron(shape=(n,), v_threshold=1.0, **rest)


def small(**rest):
    return Graph.chain(
        {
            "input": Input(shape=(3,)),
            "fc": Linear(weight=np.arange(6.0).reshape(2, 3)),
            "lif": neurons(alpha_mem=0.5),
            "output": Output(),
        },
        **rest,
    )


def recurrent():
    return Graph(
        {
            "input": Input(shape=(3,)),
            "fc": Linear(weight=np.ones((2, 3))),
            "sum": Add(),
            "lif": neurons(),
            "rec": Linear(weight=np.eye(2)),
            "output": Output(),
        },
        [
            ("input", "fc"),
            ("fc", "sum"),
            ("rec", "sum"),
            ("sum", "lif"),
            Edge("lif", "rec", 1),
            ("lif", "output"),
        ],
        dt=1e-3,
    )


def test_the_canonical_text_names_every_node_with_its_sources():
    assert str(small(dt=1e-3)) == (
        "graph dt=0.001 s\n"
        "input = Input(shape=[3])\n"
        "fc = Linear(weight=f64[2, 3]#84a6e8b7) <- input\n"
        "lif = Neuron(shape=[2], alpha_mem=f64:0.5, v_threshold=f64:1) <- fc\n"
        "output = Output() <- lif"
    )


def test_the_text_shows_delays():
    assert "rec = Linear(weight=f64[2, 2]#" in str(recurrent())
    assert " <- lif@-1\n" in str(recurrent())


def test_the_text_tells_permuted_weights_apart():
    one = Linear(weight=[[1.0, 2.0]])
    other = Linear(weight=[[2.0, 1.0]])
    nodes = {"input": Input(shape=(2,)), "fc": one, "output": Output()}
    assert str(Graph.chain(nodes)) != str(Graph.chain({**nodes, "fc": other}))


def test_the_text_does_not_depend_on_the_order_of_building():
    graph = recurrent()
    again = Graph(dict(reversed(graph.nodes.items())), reversed(graph.edges), dt=graph.dt)
    assert str(again) == str(graph)


def test_a_verb_leaves_the_graph_as_it_was():
    graph = small()
    before = str(graph)
    graph.replace({"fc": Linear(weight=np.zeros((2, 3)))})
    graph.with_dt(2e-3)
    assert str(graph) == before


def test_dropping_a_node_joins_its_neighbours():
    graph = Graph.chain(
        {"input": Input(shape=(3,)), "flat": Flatten(), "lif": neurons(3), "output": Output()}
    )
    assert graph.drop("flat").edges == (Edge("input", "lif"), Edge("lif", "output"))


def test_shapes_are_known_around_a_loop():
    graph = recurrent()
    assert graph.shape("rec") == (2,)
    assert graph.input_shape_of("rec") == (2,)
    assert graph.recurrent


def test_asking_for_a_node_that_is_not_there_lists_those_that_are():
    with pytest.raises(KeyError, match="there are input, fc, lif, output"):
        small()["fc2"]


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ({"output": Output()}, [], "needs an Input|has 0"),
        ({"input": Input(shape=(2,))}, [], "needs an Output"),
        (
            {"input": Input(shape=(2,)), "a": Input(shape=(2,)), "output": Output()},
            [("input", "output")],
            "more than one Input: a, input",
        ),
        (
            {"input": Input(shape=(2,)), "output": Output()},
            [("input", "output"), ("input", "output")],
            "two edges input -> output",
        ),
        ({"input": Input(shape=(2,))}, [("input", "nowhere")], "there is no node 'nowhere'"),
        (
            {"input": Input(shape=(2,)), "lif": neurons(), "output": Output()},
            [("input", "lif"), ("input", "output"), ("lif", "output")],
            "output: Output takes 1 inputs, has 2",
        ),
        (
            {"input": Input(shape=(2,)), "sum": Add(), "output": Output()},
            [("input", "sum"), ("sum", "output")],
            "sum: Add takes at least 2 inputs, has 1",
        ),
        (
            {"input": Input(shape=(3,)), "fc": Linear(weight=np.ones((2, 4))), "output": Output()},
            [("input", "fc"), ("fc", "output")],
            r"fc: Linear takes shape \(4,\), got \(3,\)",
        ),
        (
            {"input": Input(shape=(2,)), "lif": neurons(), "a": neurons(), "output": Output()},
            [("input", "lif"), ("lif", "output"), Edge("a", "a", 1)],
            "not reached from the input: a",
        ),
    ],
)
def test_a_graph_that_does_not_hold_is_refused(nodes, edges, message):
    with pytest.raises(GraphError, match=message):
        Graph(nodes, edges)


def test_a_loop_without_delay_is_refused_with_its_nodes():
    nodes = dict(recurrent().nodes)
    edges = [Edge(e.pre, e.post) for e in recurrent().edges]
    with pytest.raises(GraphError, match=r"a loop without delay: .*lif"):
        Graph(nodes, edges)


def test_sums_of_different_shapes_are_refused():
    nodes = {
        "input": Input(shape=(2,)),
        "fc": Linear(weight=np.ones((3, 2))),
        "sum": Add(),
        "output": Output(),
    }
    with pytest.raises(GraphError, match="sum: inputs of different shape"):
        Graph(nodes, [("input", "fc"), ("fc", "sum"), ("input", "sum"), ("sum", "output")])


def test_the_canonical_text_has_one_line_a_node_whatever_the_names():
    name = "fc\n\x1b[2Joutput"
    nodes = {"input": Input(shape=(2,)), name: Linear(weight=np.eye(2)), "output": Output()}
    lines = str(Graph.chain(nodes)).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith(r"fc\n\x1b[2Joutput = Linear(")
    assert lines[3] == r"output = Output() <- fc\n\x1b[2Joutput"


@pytest.mark.parametrize("dt", [0.0, -1e-3, float("nan"), float("inf"), "1 ms"])
def test_a_timestep_is_positive(dt):
    with pytest.raises(GraphError, match="dt must be > 0 s"):
        small(dt=dt)
