import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import chain
from toolchain.ir import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    Edge,
    Flatten,
    Graph,
    Identity,
    Input,
    Linear,
    MembraneReadout,
    Neuron,
    Output,
    Scale,
    SumPool2d,
)
from toolchain.runs.evaluate import evaluate
from toolchain.runs.interpret import interpret


def run(node, inputs):
    x = np.asarray(inputs, dtype=float).reshape(1, -1, 1)
    record = interpret(chain((1,), n=node), x, record=True).layers["n"]
    return record.spikes[0, :, 0].tolist(), record.v_mem[0, :, 0].round(6).tolist()


def neuron(**rest):
    return Neuron(**{"shape": (1,), "v_threshold": 1.0, **rest})


@pytest.mark.parametrize(
    ("node", "inputs", "spikes", "membranes"),
    [
        # sinabs, documented: integrate and fire with a floor
        (
            neuron(v_min=-1.0),
            [0.5, 0.5, 2.7, -5, 0.9, 0.2, 1],
            [0, 1, 2, 0, 0, 0, 1],
            [0.5, 0, 0.7, -1, -0.1, 0.1, 0.1],
        ),
        # sinabs LIF, tau of 10 steps, without and with normalised input
        (neuron(alpha_mem=np.exp(-0.1)), [0.6] * 3, [0, 1, 0], [0.6, 0.142902, 0.729303]),
        (
            neuron(alpha_mem=np.exp(-0.1), gain=1 - np.exp(-0.1)),
            [0.6] * 3,
            [0, 0, 0],
            [0.057098, 0.108762, 0.155509],
        ),
        # sinabs: a reset to c adds c to every neuron in every step
        (neuron(reset="additive", v_reset=0.25), [0.5, 0.5], [0, 1], [0.75, 0.25]),
        (neuron(reset="value"), [0.5, 2.0], [0, 2], [0.5, 0]),
        (neuron(max_spikes=1), [2.5, 0], [1, 1], [1.5, 0.5]),
        (neuron(max_spikes=2), [3.5], [2], [1.5]),
        (neuron(compare="gt"), [1.0, 0.5], [0, 1], [1.0, 0.5]),
        (neuron(reset="none"), [1.5, 0], [1, 1], [1.5, 1.5]),
        (neuron(bias=0.25), [0.0] * 4, [0, 0, 0, 1], [0.25, 0.5, 0.75, 0]),
        (neuron(v_leak=0.5, v_init=0.5, alpha_mem=0.5), [0.25, 0], [0, 0], [0.75, 0.625]),
        # snnTorch: the spike of a step is subtracted in the next
        (
            neuron(compare="gt", max_spikes=1, alpha_mem=0.5, reset_when="next_undecayed"),
            [1.5, 0.75, 0],
            [1, 0, 0],
            [1.5, 0.5, 0.25],
        ),
        # snnTorch "zero": of the membrane only, or of the whole next value
        (
            neuron(max_spikes=1, alpha_mem=0.5, reset="value", reset_when="next_undecayed"),
            [1.5, 0.75],
            [1, 0],
            [1.5, 0.75],
        ),
        (
            neuron(max_spikes=1, alpha_mem=0.5, reset="value", reset_when="next_erase_all"),
            [1.5, 0.75],
            [1, 0],
            [1.5, 0],
        ),
        # snnTorch without delay: what is above the threshold after its reset resets once more
        (
            neuron(compare="gt", max_spikes=1, alpha_mem=0.5, reset_when="next_corrected"),
            [2.5, 0.25, 0],
            [1, 0, 0],
            [1.5, 1.0, 0.5],
        ),
    ],
)
def test_a_neuron_computes_what_its_fields_say(node, inputs, spikes, membranes):
    assert run(node, inputs) == (spikes, membranes)


@pytest.mark.parametrize(
    ("order", "currents"),
    [("add_decay", [0.5, 0.25, 0.125]), ("decay_add", [1.0, 0.5, 0.25])],
)
def test_a_synapse_adds_and_decays_in_its_order(order, currents):
    node = MembraneReadout(shape=(1,), alpha_mem=0.0, alpha_syn=[0.5], syn_order=order)
    out = interpret(chain((1,), n=node), np.array([1.0, 0, 0]).reshape(1, 3, 1)).spikes
    assert out.ravel().tolist() == currents


def test_two_synapses_take_neighbouring_inputs():
    node = Neuron(shape=(2,), v_threshold=9.0, alpha_syn=[1.0, 0.5])
    x = np.array([[[1.0, 0, 0, 4.0]]])
    record = interpret(chain((4,), n=node), x, record=True).layers["n"]
    assert record.i_syn.tolist() == [[[1.0, 0.0]]]
    assert record.i_syn_2.tolist() == [[[0.0, 2.0]]]
    assert record.v_mem.tolist() == [[[1.0, 2.0]]]


def test_a_recurrent_spike_arrives_one_step_later():
    graph = Graph(
        {
            "input": Input(shape=(1,)),
            "sum": Add(),
            "n": neuron(),
            "rec": Linear(weight=[[1.0]]),
            "output": Output(),
        },
        [("input", "sum"), ("rec", "sum"), ("sum", "n"), Edge("n", "rec", 1), ("n", "output")],
    )
    x = np.array([1.0, 0, 0, 0]).reshape(1, 4, 1)
    assert interpret(graph, x).spikes.ravel().tolist() == [1, 1, 1, 1]


def test_the_place_of_the_delay_decides_on_the_first_bias():
    def fired(*delayed):
        edges = [("input", "sum"), ("rec", "sum"), ("sum", "n"), ("n", "rec"), ("n", "output")]
        nodes = {
            "input": Input(shape=(1,)),
            "sum": Add(),
            "n": neuron(),
            "rec": Linear(weight=[[0.0]], bias=[1.0]),
            "output": Output(),
        }
        graph = Graph(nodes, [Edge(*e, 1) if e in delayed else e for e in edges])
        return interpret(graph, np.zeros((1, 3, 1))).spikes.ravel().tolist()

    assert fired(("n", "rec")) == [1, 1, 1]
    assert fired(("rec", "sum")) == [0, 1, 1]


@settings(deadline=None, max_examples=40)
@given(
    groups=st.sampled_from([1, 2]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    seed=st.integers(0, 99),
)
def test_convolution_is_that_of_torch(groups, stride, padding, dilation, kernel, seed):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-4, 5, (4, 4 // groups, *kernel)).astype(float)
    bias = rng.integers(-4, 5, 4).astype(float)
    x = rng.integers(0, 3, (2, 3, 4, 7, 8)).astype(float)
    node = Conv2d(
        weight=weight, bias=bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    wanted = torch.nn.functional.conv2d(
        torch.as_tensor(x).flatten(0, 1),
        torch.as_tensor(weight),
        torch.as_tensor(bias),
        stride,
        padding,
        dilation,
        groups,
    )
    got = evaluate(node, [x])
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted.numpy())
    assert got.shape[2:] == node.output_shape((4, 7, 8))


@settings(max_examples=30, deadline=None)
@given(
    groups=st.sampled_from([1, 2]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    kernel=st.integers(1, 3),
    seed=st.integers(0, 100),
)
def test_convolution_along_one_axis_is_that_of_torch(
    groups, stride, padding, dilation, kernel, seed
):
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=(4, 4 // groups, kernel)), rng.normal(size=4)
    x = rng.normal(size=(2, 3, 4, 8))
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    wanted = torch.nn.functional.conv1d(
        torch.as_tensor(x).flatten(0, 1), torch.as_tensor(weight), torch.as_tensor(bias), **how
    )
    found = evaluate(Conv1d(weight=weight, bias=bias, **how), [x])
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=1e-12)


def test_a_scale_multiplies_feature_by_feature():
    x = np.ones((1, 1, 2, 3))
    assert evaluate(Scale(scale=2.0), [x])[0, 0].tolist() == [[2, 2, 2], [2, 2, 2]]
    assert evaluate(Scale(scale=[[2], [3]]), [x])[0, 0].tolist() == [[2, 2, 2], [3, 3, 3]]


def test_a_neuron_without_memory_is_a_threshold():
    threshold = neuron(alpha_mem=0.0, compare="gt", max_spikes=1, reset="none")
    spikes, _ = run(threshold, [1.0, 1.5, 0.9, 7.0, 0.0])
    assert spikes == [0, 1, 0, 1, 0]


def test_what_leaves_the_network_may_be_late_too():
    nodes = {"in": Input(shape=(1,)), "id": Identity(was="Delay")}
    nodes |= {"now": Output(), "late": Output()}
    edges = [Edge("in", "id"), Edge("id", "now"), Edge("id", "late", 2)]
    x = np.arange(1.0, 5).reshape(1, 4, 1)
    found = interpret(Graph(nodes, edges), x).spikes[0]
    assert sorted(found.T.tolist()) == [[0, 0, 1, 2], [1, 2, 3, 4]]


def test_pools_leave_out_what_fills_no_window():
    x = np.arange(25.0).reshape(1, 1, 1, 5, 5)
    pooled = evaluate(SumPool2d(kernel=2, stride=2), [x])
    assert pooled[0, 0, 0].tolist() == [[12, 20], [52, 60]]
    assert evaluate(AvgPool2d(kernel=2, stride=2), [x])[0, 0, 0].tolist() == [[3, 5], [13, 15]]


def test_batch_norm_is_that_of_torch_with_its_eps():
    norm = torch.nn.BatchNorm2d(3, eps=0.1).double().eval()
    norm.running_mean[:] = torch.tensor([1.0, 2, 3])
    norm.running_var[:] = torch.tensor([1e-4, 2, 3])
    norm.weight.data[:] = torch.tensor([0.5, 1, 2])
    node = BatchNorm(
        mean=norm.running_mean.numpy(),
        var=norm.running_var.numpy(),
        gamma=norm.weight.detach().numpy(),
        beta=norm.bias.detach().numpy(),
        eps=norm.eps,
    )
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 4, 4))
    wanted = norm(torch.as_tensor(x[0])).detach().numpy()
    np.testing.assert_allclose(evaluate(node, [x])[0], wanted, rtol=1e-12)


def test_flatten_takes_channel_then_row_then_column():
    x = np.arange(12.0).reshape(1, 1, 3, 2, 2)
    assert evaluate(Flatten(), [x]).ravel().tolist() == list(range(12))


@pytest.mark.parametrize("shape", [(0, 5, 1), (2, 0, 1)])
def test_no_samples_or_no_time_gives_an_empty_recording(shape):
    result = interpret(chain((1,), n=neuron(alpha_syn=[0.5])), np.zeros(shape), record=True)
    assert result.spikes.shape == shape
    assert result.layers["n"].v_mem.shape == shape
    assert result.layers["n"].i_syn.shape == shape


@pytest.mark.parametrize("shape", [(5, 1), (1, 5, 2), (1, 5, 1, 1)])
def test_spikes_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"spikes must be \(batch, time, 1\), got shape"):
        interpret(chain((1,), n=neuron()), np.zeros(shape))
