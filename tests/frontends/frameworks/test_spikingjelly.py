"""What the adapters of SpikingJelly do at the edges of the recorded cases, on bare stand-ins."""

import numpy as np
import pytest

from tests.oracles.frameworks.snapshot import rebuilt
from toolchain.frontends.frameworks.adapter import Axes, UnsupportedError
from toolchain.frontends.frameworks.kinds import kind
from toolchain.frontends.frameworks.spikingjelly import LAYERS, REFUSED
from toolchain.ir import Flatten

HERE = "spikingjelly.activation_based"


def module(path, **attributes):
    return rebuilt({"classes": [f"{HERE}.{path}"], "attributes": attributes})


def surrogate(name, **attributes):
    return {"object": [f"{HERE}.surrogate:{name}", "torch.nn:Module"], "attributes": attributes}


def node(name, **attributes):
    given = {
        "v_threshold": 1.0,
        "v_reset": 0.0,
        "_memories_rv": {"dict": {"v": 0.0}},
        "surrogate_function": surrogate("Sigmoid", spiking=True),
        "step_mode": "m",
    }
    return module(f"neuron.lif:{name}", **{**given, **attributes})


def node_of(layer, features=(4,)):
    return kind(layer).adapter("n", layer, features).nodes["n"]


def test_no_class_is_both_supported_and_refused():
    assert set(LAYERS).isdisjoint(REFUSED)


@pytest.mark.parametrize(("mode", "axes"), [("s", Axes.STEP), ("m", Axes.TIME_FIRST)])
def test_the_step_mode_decides_what_a_neuron_takes(mode, axes):
    layer = node("IFNode", step_mode=mode)
    assert kind(layer).axes_of(layer) is axes


@pytest.mark.parametrize(("mode", "axes"), [("s", Axes.RESHAPE), ("m", Axes.TIME_FIRST)])
def test_the_step_mode_decides_what_flatten_takes(mode, axes):
    layer = module("layer.stateless_wrapper:Flatten", step_mode=mode)
    assert kind(layer).axes_of(layer) is axes


def test_flatten_of_some_axes_is_refused_in_mode_m():
    whole = module("layer.stateless_wrapper:Flatten", start_dim=1, end_dim=3, step_mode="m")
    assert isinstance(node_of(whole, (2, 3, 4)), Flatten)
    part = module("layer.stateless_wrapper:Flatten", start_dim=1, end_dim=2, step_mode="m")
    with pytest.raises(UnsupportedError, match=r"flattens from 1 to 2; .* end_dim=-1"):
        node_of(part, (2, 3, 4))


def test_the_membrane_starts_where_the_memory_is_reset_to():
    # v_reset may have been changed since the node was built, its memory then was not
    memories = {"dict": {"v": 0.35}}
    neuron = node_of(node("IFNode", v_reset=None, _memories_rv=memories))
    assert neuron.v_init == 0.35
    assert neuron.reset == "subtract"


def test_a_synapse_of_cuba_does_not_scale_the_input():
    neuron = node_of(node("CUBALIFNode", c_decay=0.6, v_decay=0.8, v_reset=0.2))
    assert (neuron.alpha_syn, neuron.alpha_mem, neuron.gain) == (0.6, 0.8, 1.0)
    assert neuron.syn_order == "decay_add"
    assert neuron.v_leak == 0


@pytest.mark.parametrize(
    ("name", "why"), [("PoissonPass", "random"), ("MultiLevelSpikeCount", "more")]
)
def test_a_surrogate_that_gives_no_plain_spikes_is_refused(name, why):
    layer = node("IFNode", surrogate_function=surrogate(name, spiking=True))
    with pytest.raises(UnsupportedError, match=rf"surrogate_function is {name}, which .*{why}"):
        node_of(layer)


def test_votes_that_fill_no_group_are_left_out():
    layer = module("layer.misc:VotingLayer", voting_size=3, step_mode="m")
    third = 1 / 3
    wanted = [[third] * 3 + [0] * 5, [0] * 3 + [third] * 3 + [0] * 2]
    np.testing.assert_allclose(node_of(layer, (8,)).weight, wanted)


def test_a_recurrent_container_of_several_layers_is_refused():
    inner = {"object": ["torch.nn:Sequential"], "attributes": {}}
    layer = module(
        "layer.container:ElementWiseRecurrentContainer",
        sub_module=inner,
        element_wise_function={"function": "_operator:add"},
        step_mode="m",
    )
    with pytest.raises(UnsupportedError, match="sub_module is Sequential; supported is a single"):
        node_of(layer)
