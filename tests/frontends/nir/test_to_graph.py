"""Every primitive, every way nodes can be joined, and what has no place in a Graph."""

from itertools import pairwise

import numpy as np
import pytest

from tests.cases import each
from tests.frontends.nir.graphs import chain, conv2d, cuba, ends, file, lif, node, pool
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir import NirGraph, to_graph
from toolchain.ir import Edge
from toolchain.runs.interpret import interpret

DT = 1e-3
EULER = {"dialect": "euler", "dt": DT}
RNG = np.random.default_rng(0)


def lines(graph):
    return {line.split(" = ")[0]: line.split(" = ")[1] for line in str(graph).splitlines()[1:]}


# ---- layers ----


@each(
    ("layer", "before", "after", "text"),
    [
        (node("Linear", weight=np.ones((2, 3))), (3,), (2,), "Linear(weight=f64[2, 3]#"),
        (
            node("Affine", weight=np.ones((2, 3), np.float32), bias=[1, 2]),
            (3,),
            (2,),
            "bias=f64[2]#",
        ),
        (
            node("Affine", weight=np.ones((2, 3)), bias=[0, 0]),
            (3,),
            (2,),
            "Linear(weight=f64[2, 3]",
        ),
        (node("Scale", scale=[1, 2, 3]), (3,), (3,), "Scale(scale=f64[3]#"),
        (conv2d(np.ones((4, 2, 3, 3))), (2, 6, 5), (4, 4, 3), "Conv2d(weight=f64[4, 2, 3, 3]"),
        (
            conv2d(np.ones((4, 1, 3, 5)), padding=[1, 2], stride=[2, 1], groups=2),
            (2, 6, 6),
            (4, 3, 6),
            "stride=[2, 1], padding=[1, 2], groups=2)",
        ),
        (conv2d(np.ones((4, 2, 3, 5)), padding="same"), (2, 6, 6), (4, 6, 6), "padding=[1, 2])"),
        (
            conv2d(np.ones((4, 2, 3, 3)), padding="same", dilation=[2, 1]),
            (2, 6, 6),
            (4, 6, 6),
            "padding=[2, 1], dilation=[2, 1])",
        ),
        (conv2d(np.ones((4, 2, 3, 3)), padding="valid"), (2, 6, 6), (4, 4, 4), "3, 3]#"),
        (conv2d(np.ones((4, 2, 2, 2)), stride=2), (2, 6, 6), (4, 3, 3), "stride=[2, 2])"),
        (
            node(
                "Conv1d",
                weight=np.ones((4, 2, 3)),
                bias=np.ones(4),
                stride=2,
                padding=1,
                dilation=1,
                groups=1,
            ),
            (2, 9),
            (4, 5),
            "stride=2, padding=1)",
        ),
        (pool(), (2, 7, 6), (2, 3, 3), "SumPool2d(kernel=[2, 2], stride=[2, 2])"),
        (pool("AvgPool2d", kernel=3, stride=1), (2, 7, 6), (2, 5, 4), "AvgPool2d(kernel=[3, 3]"),
        (node("Flatten", start_dim=0, end_dim=-1), (2, 3, 4), (24,), "Flatten()"),
        (
            node("Flatten", start_dim=1, end_dim=-1, input_type=[1, 2, 3, 4]),
            (2, 3, 4),
            (24,),
            "Flatten()",
        ),
        (node("Flatten", start_dim=0, end_dim=2), (2, 3, 4), (24,), "Flatten()"),
    ],
)
def test_a_layer_without_state_is_read_whatever_the_dialect(layer, before, after, text):
    graph = to_graph(chain(before, after, n=layer))
    assert text in lines(graph)["n"]
    assert graph.shape("n") == after


@pytest.mark.parametrize(
    ("layer", "before", "words"),
    [
        (node("Linear", weight=np.ones((2, 4))), (3,), r"takes shape \(4,\), got \(3,\)"),
        (node("Affine", weight=np.ones((2, 3)), bias=[0, 0, 0]), (3,), "the weight has 2 outputs"),
        (node("Scale", scale=np.ones(4)), (3,), "does not broadcast"),
        (
            pool(padding=(1, 0)),
            (2, 6, 6),
            r"padding \(1, 0\): pooling with padding is not supported",
        ),
        (pool(stride=(0, 1)), (2, 6, 6), "must be >= 1"),
        (pool(kernel=(7, 2)), (2, 6, 6), "is larger than the input"),
        (pool(kernel=(1, 2, 3)), (2, 6, 6), r"kernel_size must be \(y, x\), got \[1, 2, 3\]"),
        (conv2d(np.ones((4, 3, 3, 3))), (2, 6, 6), r"takes shape \(3, height, width\)"),
        (conv2d(np.ones((4, 2, 3, 3)), padding="same", stride=2), (2, 6, 6), "a stride of 1"),
        (conv2d(np.ones((4, 2, 2, 3)), padding="same"), (2, 6, 6), "use an odd kernel size"),
        (conv2d(np.ones((4, 2, 3, 3)), groups=[1, 1]), (2, 6, 6), "groups must be one integer"),
        (conv2d(np.ones((4, 2, 3, 3)), groups=0), (2, 6, 6), "cannot be divided"),
        (
            conv2d(np.ones((4, 2, 3, 3)), padding=[1, 1, 1]),
            (2, 6, 6),
            "padding has 3 values for 2 axes",
        ),
        (node("Flatten", start_dim=1, end_dim=-1), (2, 3, 4), r"axes 1 to -1 of \(2, 3, 4\)"),
        (node("Flatten", start_dim=0, end_dim=1), (2, 3, 4), "only flattening all features"),
    ],
)
def test_a_layer_that_does_not_fit_is_refused_by_name(layer, before, words):
    with pytest.raises(ModelFileError, match=f"a.nir: n: .*{words}"):
        to_graph(chain(before, (2,), n=layer))


def test_all_that_is_wrong_is_told_at_once():
    layers = {"a": pool(padding=1), "b": node("Linear", weight=np.ones((2, 4)))}
    nodes = {**ends((2, 6, 6), (2,)), **layers}
    edges = [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")]
    with pytest.raises(ModelFileError) as refused:
        to_graph(file(nodes, edges))
    assert "2 errors" in str(refused.value)
    assert "a: padding" in str(refused.value)
    assert "b: Linear takes shape (4,)" in str(refused.value)


@pytest.mark.parametrize(
    ("scale", "fits"), [(np.float64(2), True), ([2.0], True), (np.full((2, 1, 1), 2.0), True)]
)
def test_one_constant_stands_for_all_neurons(scale, fits):
    layer = node("IF", r=np.asarray(scale) * 500, v_threshold=scale)
    graph = to_graph(chain((2, 3, 3), (2, 3, 3), n=layer), **EULER)
    assert graph["n"].v_threshold == 2
    assert graph["n"].shape == (2, 3, 3)


def test_constants_of_another_shape_are_refused():
    # three numbers for a map three wide would broadcast, but to its columns
    layer = node("IF", r=np.ones(3), v_threshold=np.ones(3))
    with pytest.raises(ModelFileError, match=r"n: r has shape \(3,\), the layer has \(2, 3, 3\)"):
        to_graph(chain((2, 6, 6), (2, 3, 3), p=pool(), n=layer), **EULER)


def test_constants_for_another_number_of_neurons_are_refused():
    layer = node("IF", r=np.ones(3), v_threshold=np.ones(3))
    with pytest.raises(ModelFileError, match=r"n: r has shape \(3,\), the layer has \(4,\)"):
        to_graph(chain((4,), (4,), n=layer), **EULER)


def test_whole_numbers_become_floats():
    graph = to_graph(chain(n=node("Linear", weight=np.eye(3, dtype=np.int64))))
    assert graph["n"].weight.dtype == np.float64


# ---- shapes ----


@pytest.mark.parametrize("declared", [(3,), (1, 3), (1, 100, 3)])
def test_batch_and_time_of_a_declared_shape_are_left_out_and_told(declared):
    graph = to_graph(chain(declared, declared, fc=node("Linear", weight=np.eye(3))))
    assert graph.shape("input") == (3,)
    note = graph.provenance.get("nir_shapes", "")
    assert (f"input declares {list(declared)}, read as batch and time before [3]" in note) == (
        len(declared) > 1
    )


def test_a_shape_that_fits_nothing_is_refused():
    with pytest.raises(ModelFileError, match=r"fc: Linear takes shape \(3,\), got \(1, 1, 1, 3\)"):
        to_graph(chain((1, 1, 1, 3), (3,), fc=node("Linear", weight=np.eye(3))))


def test_shapes_that_others_worked_out_wrongly_are_told():
    # nir takes the kernel's height for both axes
    layer = conv2d(np.ones((4, 2, 3, 5)), input_shape=[6, 6])
    graph = to_graph(chain((2, 8, 8), (4, 6, 6), conv=layer))
    assert graph.shape("conv") == (4, 6, 4)
    assert graph.provenance["nir_shapes"] == (
        "conv declares [6, 6], has [8, 8]; output declares [4, 6, 6], has [4, 6, 4]"
    )


@pytest.mark.parametrize(("width", "fits"), [(2**20, True), (2**20 + 1, False)])
def test_a_layer_has_an_upper_size(width, fits):
    layer = node("Scale", scale=np.ones(()))
    if fits:
        assert len(to_graph(chain((width,), (width,), n=layer))) == 3
        return
    with pytest.raises(ModelFileError, match="input: 1048577 values per step, the limit is"):
        to_graph(chain((width,), (width,), n=layer))


# ---- joins ----


def test_edges_that_meet_are_summed():
    weights = {name: node("Linear", weight=RNG.normal(size=(3, 3))) for name in "ab"}
    nodes = {**ends(), **weights, "n": lif(), "n.add": node("Scale", scale=[1, 1, 1])}
    edges = [("input", "a"), ("input", "b"), ("a", "n"), ("b", "n"), ("n", "n.add")]
    edges += [("n.add", "output"), ("input", "output")]
    graph = to_graph(file(nodes, edges), **EULER)
    assert {e.pre for e in graph.pre("n.add#2")} == {"a", "b"}
    assert {e.pre for e in graph.pre("output.add")} == {"n.add", "input"}


def loop(weight, bias=None, kind=None, layer=None):
    linear = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    w_rec = node(kind or ("Linear" if bias is None else "Affine"), **linear)
    nodes = {**ends(), "fc": node("Linear", weight=np.eye(3)), "n": layer or lif(), "w_rec": w_rec}
    edges = [*pairwise(["input", "fc", "n", "output"]), ("n", "w_rec"), ("w_rec", "n")]
    return nodes, edges


def test_a_recurrent_connection_takes_one_step_and_its_bias_none():
    nodes, edges = loop(np.eye(3), bias=[1.0, 0, 0])
    graph = to_graph(file(nodes, edges), **EULER)
    assert Edge("n", "w_rec", 1) in graph.edges
    assert Edge("w_rec", "n.add", 0) in graph.edges
    x = np.zeros((1, 3, 3))
    v = interpret(graph, x, record=True).layers["n"].v_mem
    assert v[0, 0, 0] > 0


def test_a_neuron_may_feed_itself_at_once():
    nodes = {**ends(), "n": lif(r=20)}
    graph = to_graph(file(nodes, [("input", "n"), ("n", "n"), ("n", "output")]), **EULER)
    assert Edge("n", "n.add", 1) in graph.edges
    x = np.zeros((1, 3, 3))
    x[0, 0, 0] = 0.6
    assert interpret(graph, x).spikes[0, :, 0].tolist() == [1, 1, 1]


def test_feedback_over_two_layers_takes_one_step_in_all():
    nodes = {**ends(), "a": lif(r=20), "b": lif(r=20), "back": node("Linear", weight=np.eye(3))}
    edges = [*pairwise(["input", "a", "b", "output"]), ("b", "back"), ("back", "a")]
    graph = to_graph(file(nodes, edges), **EULER)
    assert [e for e in graph.edges if e.delay] == [Edge("b", "back", 1)]


def test_a_weight_that_is_shared_keeps_the_step_behind_it():
    nodes, edges = loop(np.eye(3))
    graph = to_graph(file(nodes, [*edges, ("w_rec", "output")]), **EULER)
    assert [e for e in graph.edges if e.delay] == [Edge("w_rec", "n.add", 1)]


def test_a_loop_with_two_ways_in_is_asked_about():
    nodes = {**ends(), "a": lif(), "b": lif()}
    edges = [("input", "a"), ("input", "b"), ("a", "b"), ("b", "a"), ("b", "output")]
    with pytest.raises(ModelFileError, match=r"the loop .* is entered at more than one node"):
        to_graph(file(nodes, edges), **EULER)
    delayed = {**nodes, "d": node("Delay", delay=[DT])}
    opened = [edge for edge in edges if edge != ("b", "a")] + [("b", "d"), ("d", "a")]
    graph = to_graph(file(delayed, opened), **EULER)
    assert [e for e in graph.edges if e.delay] == [Edge("b", "d", 1)]


def test_a_graph_within_a_graph_is_dissolved():
    nodes, edges = loop(np.eye(3))
    inner = {k: v for k, v in nodes.items() if k != "fc"}
    inside = [e for e in edges if "fc" not in e] + [("input", "n")]
    outer = {
        **ends(),
        "fc": nodes["fc"],
        "rec": NirGraph(nodes=inner, edges=tuple(inside)),
    }
    graph = to_graph(file(outer, pairwise(["input", "fc", "rec", "output"])), **EULER)
    assert Edge("rec.n", "rec.w_rec", 1) in graph.edges
    assert set(graph.nodes) >= {"fc", "rec.n", "rec.w_rec", "rec.n.add"}


def test_a_spike_that_clears_late_erases_the_input_of_recurrent_layers_too():
    layer = lif(r=200)
    options = {"dialect": "snntorch", "reset": "value-late"}
    nodes, edges = loop(np.eye(3), layer=layer)
    assert to_graph(file(nodes, edges), **options)["n"].reset_when == "next_erase_all"
    assert to_graph(chain(n=layer), **options)["n"].reset_when == "next_undecayed"


# ---- delays ----


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_delay_is_whole_steps_of_an_edge(steps):
    layers = {"d": node("Delay", delay=np.float32([steps * DT] * 3)), "n": lif(r=20)}
    graph = to_graph(chain(**layers), **EULER)
    assert Edge("input", "d", steps) in graph.edges
    x = np.zeros((1, 6, 3))
    x[0, 1] = 0.6
    assert interpret(graph, x).spikes[0, :, 0].tolist() == [float(t == 1 + steps) for t in range(6)]


def test_a_delay_may_be_the_last_layer():
    graph = to_graph(chain(n=lif(r=20), d=node("Delay", delay=[DT])), **EULER)
    x = np.zeros((1, 3, 3))
    x[0, 0] = 0.6
    assert interpret(graph, x).spikes[0, :, 0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("delay", "words"),
    [
        ([DT, DT, 2 * DT], "delays of 0.001 to 0.002 s; all neurons must have the same delay"),
        ([1.5 * DT], "a delay of 0.0015 s is 1.5 steps of 0.001 s; expected an integer"),
        ([-DT], "a delay of -0.001 s is -1 steps"),
        (
            [DT * (2**16 + 1)],
            "a delay of 65.537 s is 65537 steps of 0.001 s; expected an integer from 0 to 65536",
        ),
    ],
)
def test_a_delay_that_is_no_whole_steps_is_refused_by_name(delay, words):
    with pytest.raises(ModelFileError, match=f"a.nir: d: {words}"):
        to_graph(chain(d=node("Delay", delay=delay), n=lif()), **EULER)


# ---- numbers that are none ----


def test_fields_of_different_shape_are_refused_by_name():
    layer = lif()
    layer.fields["r"] = np.ones(4)
    with pytest.raises(
        ModelFileError, match=r"a.nir: n: fields have different shapes: .*'r': \(4,\)"
    ):
        to_graph(chain(n=layer))


@pytest.mark.parametrize(
    "layers",
    [
        {"fc": node("Linear", weight=np.full((3, 3), 1e300)), "n": cuba(r=1e300, w_in=1e300)},
        {"n": lif(r=1e308, tau=1e-300)},
    ],
)
def test_numbers_beyond_all_bounds_end_in_an_error(layers):
    with pytest.raises(ModelFileError):
        to_graph(chain(**layers), dialect="exact", dt=DT)
