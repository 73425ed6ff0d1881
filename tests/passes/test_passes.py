import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import chain
from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    Neuron,
    Output,
    SumPool2d,
)
from toolchain.passes import (
    drop_identities,
    fold_average_pool,
    fold_gain,
    fuse_batch_norm,
    linear_to_conv,
)
from toolchain.passes.weights import weights_of
from toolchain.runs.interpret import interpret


def kinds(graph):
    return {name: type(node).__name__ for name, node in graph.nodes.items()}


def image_net(seed=0, norm=True, pool=AvgPool2d, flatten=True):
    """A small convolutional network with everything that the passes rewrite."""
    rng = np.random.default_rng(seed)
    floats = rng.normal
    nodes = {
        "input": Input(shape=(2, 6, 6)),
        "conv": Conv2d(weight=floats(size=(3, 2, 3, 3)), bias=floats(size=3), padding=1),
        "norm": BatchNorm(
            mean=floats(size=3),
            var=rng.uniform(1e-4, 2, 3),
            gamma=floats(size=3),
            beta=floats(size=3),
            eps=1e-3,
        ),
        "lif1": Neuron(shape=(3, 6, 6), v_threshold=1.0, v_min=-1.0),
        "pool": pool(kernel=2, stride=2),
        "drop": Identity(was="Dropout"),
        "pool2": AvgPool2d(kernel=3, stride=3),
        "flat": Flatten(),
        "fc": Linear(weight=floats(size=(4, 3)), bias=floats(size=4)),
        "lif2": Neuron(shape=(4,), v_threshold=rng.uniform(0.5, 2, 4), alpha_mem=0.9),
        "output": Output(),
    }
    if not norm:
        del nodes["norm"]
    return Graph.chain(nodes)


def spikes(graph, seed=0, steps=12):
    rng = np.random.default_rng(seed)
    return rng.poisson(0.7, (2, steps, *graph.shape(graph.input)))


def same_response(before, after, seed=0):
    """Every neuron layer spikes as it did; membranes agree to rounding."""
    x = spikes(before, seed)
    one = interpret(before, x, record=True)
    other = interpret(after, x.reshape(2, 12, *after.shape(after.input)), record=True)
    np.testing.assert_array_equal(one.spikes.reshape(other.spikes.shape), other.spikes)
    for name, layer in one.layers.items():
        np.testing.assert_allclose(
            layer.v_mem.ravel(), other.layers[name].v_mem.ravel(), rtol=1e-9, atol=1e-9
        )


PASSES = [drop_identities, fuse_batch_norm, fold_average_pool, fold_gain, linear_to_conv]


@pytest.mark.parametrize("change", PASSES, ids=lambda p: p.__name__)
@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_a_pass_keeps_the_response_and_its_input_and_is_idempotent(change, seed):
    graph = image_net(seed)
    before = str(graph)
    changed = change(graph)
    same_response(graph, changed, seed)
    assert str(graph) == before
    assert str(change(changed)) == str(changed)


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_all_passes_together_leave_only_what_a_convolution_core_has(seed):
    graph = image_net(seed)
    walked = graph
    for change in PASSES:
        walked = change(walked)
    same_response(graph, walked, seed)
    assert set(kinds(walked).values()) == {"Input", "Conv2d", "Neuron", "SumPool2d", "Output"}


def test_dropping_identities_takes_out_dropout_and_a_flatten_of_rows():
    graph = chain(
        (2,), flat=Flatten(), drop=Identity(was="Dropout"), lif=Neuron(shape=(2,), v_threshold=1.0)
    )
    assert list(drop_identities(graph).nodes) == ["input", "lif", "output"]


def test_batch_norm_is_fused_with_its_eps():
    graph = chain(
        (1,),
        fc=Linear(weight=[[2.0]]),
        norm=BatchNorm(mean=[1.0], var=[0.75], gamma=[3.0], beta=[0.5], eps=0.25),
        lif=Neuron(shape=(1,), v_threshold=1.0),
    )
    fused = fuse_batch_norm(graph)
    assert "norm" not in fused
    assert fused["fc"].weight.tolist() == [[6.0]]
    assert fused["fc"].bias.tolist() == [-2.5]


def test_batch_norm_without_shift_makes_no_bias():
    graph = chain(
        (1,),
        fc=Linear(weight=[[2.0]]),
        norm=BatchNorm(mean=[0.0], var=[1.0], gamma=[3.0], beta=[0.0], eps=0.0),
    )
    assert fuse_batch_norm(graph)["fc"].bias is None


def test_batch_norm_of_a_shared_weight_is_left_in_place():
    nodes = {
        "input": Input(shape=(1,)),
        "fc": Linear(weight=[[2.0]]),
        "norm": BatchNorm(mean=[0.0], var=[1.0], gamma=[3.0], beta=[0.0], eps=0.0),
        "sum": Add(),
        "output": Output(),
    }
    edges = [("input", "fc"), ("fc", "norm"), ("fc", "sum"), ("norm", "sum"), ("sum", "output")]
    assert "norm" in fuse_batch_norm(Graph(nodes, edges))


def test_an_average_divides_the_next_weights_and_not_their_bias():
    graph = image_net(norm=False)
    folded = fold_average_pool(graph)
    assert kinds(folded)["pool"] == kinds(folded)["pool2"] == "SumPool2d"
    np.testing.assert_allclose(folded["fc"].weight, graph["fc"].weight / 36)
    np.testing.assert_array_equal(folded["fc"].bias, graph["fc"].bias)


def test_an_average_that_no_weight_reads_is_left_in_place():
    graph = chain(
        (1, 4, 4), pool=AvgPool2d(kernel=2, stride=2), lif=Neuron(shape=(1, 2, 2), v_threshold=1.0)
    )
    assert kinds(fold_average_pool(graph))["pool"] == "AvgPool2d"


def test_a_dense_layer_takes_its_columns_in_the_order_of_flatten():
    graph = chain(
        (2, 2, 2),
        flat=Flatten(),
        fc=Linear(weight=np.arange(8.0).reshape(1, 8)),
        lif=Neuron(shape=(1,), v_threshold=[3.0]),
    )
    conv = linear_to_conv(graph)
    assert conv["fc"].weight.tolist() == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]
    assert conv["lif"].v_threshold.shape == (1, 1, 1)
    assert "flat" not in conv


def test_gain_and_late_decay_move_into_the_weights():
    node = Neuron(
        shape=(2,),
        v_threshold=1.0,
        alpha_mem=0.9,
        alpha_syn=[[0.5], [0.8]],
        syn_order="decay_add",
        gain=[2.0, 3.0],
    )
    graph = chain(
        (3,),
        fc=Linear(weight=np.random.default_rng(0).normal(size=(2, 3)), bias=[0.1, 0.2]),
        lif=node,
    )
    folded = fold_gain(graph)
    same_response(graph, folded)
    assert folded["lif"].syn_order == "add_decay"
    assert folded["lif"].gain.tolist() == 1
    np.testing.assert_allclose(folded["fc"].weight, graph["fc"].weight * [[4.0], [3.75]])


def test_gain_stays_where_the_weights_are_shared():
    nodes = {
        "input": Input(shape=(1,)),
        "fc": Linear(weight=[[1.0]]),
        "a": Neuron(shape=(1,), v_threshold=1.0, gain=2.0),
        "b": Neuron(shape=(1,), v_threshold=1.0),
        "sum": Add(),
        "output": Output(),
    }
    edges = [("input", "fc"), ("fc", "a"), ("fc", "b"), ("a", "sum"), ("b", "sum")]
    graph = Graph(nodes, [*edges, ("sum", "output")])
    assert str(fold_gain(graph)) == str(graph)


def recurrent():
    nodes = {
        "input": Input(shape=(1,)),
        "fc": Linear(weight=[[1.0]]),
        "sum": Add(),
        "lif": Neuron(shape=(1,), v_threshold=1.0),
        "rec": Linear(weight=[[0.5]]),
        "output": Output(),
    }
    edges = [("input", "fc"), ("fc", "sum"), ("rec", "sum"), ("sum", "lif")]
    return Graph(nodes, [*edges, Edge("lif", "rec", 1), ("lif", "output")])


def test_the_weights_of_a_recurrent_layer_are_both_found():
    assert weights_of(recurrent(), "lif") == ("fc", "rec")


def test_a_layer_driven_by_spikes_directly_has_no_weights():
    graph = chain((1,), lif=Neuron(shape=(1,), v_threshold=1.0))
    assert weights_of(graph, "lif") is None


def test_pools_that_sum_are_left_alone():
    graph = image_net(norm=False, pool=SumPool2d)
    np.testing.assert_allclose(fold_average_pool(graph)["fc"].weight, graph["fc"].weight / 9)


def two_synapses(order="add_decay"):
    rng = np.random.default_rng(3)
    return chain(
        (3,),
        fc=Linear(weight=rng.normal(size=(8, 3)), bias=rng.normal(size=8) / 10),
        lif=Neuron(
            shape=(4,),
            v_threshold=rng.uniform(0.5, 2, 4),
            alpha_mem=0.8,
            alpha_syn=rng.uniform(0.3, 0.9, (4, 2)),
            syn_order=order,
            gain=rng.uniform(0.5, 2, 4),
        ),
    )


@pytest.mark.parametrize("order", ["add_decay", "decay_add"])
def test_gain_and_late_decay_move_into_the_rows_of_each_synapse(order):
    graph = two_synapses(order)
    folded = fold_gain(graph)
    same_response(graph, folded)
    assert folded["lif"].syn_order == "add_decay"
    assert folded["lif"].gain == 1


def test_a_sum_that_feeds_itself_does_not_trap_the_passes():
    nodes = {
        "input": Input(shape=(1,)),
        "fc": Linear(weight=[[1.0]]),
        "sum": Add(),
        "lif": Neuron(shape=(1,), v_threshold=1.0, gain=2.0),
        "output": Output(),
    }
    edges = [("input", "fc"), ("fc", "sum"), Edge("sum", "sum", 1), ("sum", "lif")]
    graph = Graph(nodes, [*edges, ("lif", "output")])
    assert weights_of(graph, "lif") == ("fc",)
    same_response(graph, fold_gain(graph))


def test_layers_of_two_synapses_stay_dense():
    graph = two_synapses()
    assert str(linear_to_conv(graph)) == str(graph)
