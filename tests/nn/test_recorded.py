"""The layers repeat what the originals of their names were recorded to do."""

import numpy as np
import pytest
import torch

from tests.cases import each
from tests.oracles import nn_cases
from toolchain import nn

NAMES = vars(nn)
SINABS, SHARED, GAVE = nn_cases.read("nn_sinabs.npz")
CLOSE = {"rtol": 2e-4, "atol": 2e-5}


def assert_gradients(layer, out, x, recorded):
    mine = nn_cases.gradients(layer, out, x, 3)
    theirs = {name: value for name, value in recorded.items() if name.startswith("grad.")}
    assert set(theirs) <= set(mine)
    for name, value in theirs.items():
        # sums of many terms of either sign: to the precision of the largest
        close = {"rtol": 2e-4, "atol": 2e-4 * np.abs(value).max(initial=0.1)}
        np.testing.assert_allclose(mine[name], value, **close, err_msg=name)


@each("case", SINABS)
def test_a_layer_gives_the_spikes_and_gradients_of_sinabs(case):
    layer, recorded = nn_cases.build(SINABS[case], SHARED, NAMES), GAVE[case]
    x = torch.from_numpy(SHARED["input"]).clone()
    x = (x.flatten(0, 1) if isinstance(layer, nn.Squeeze) else x).requires_grad_(True)
    out = layer(x)
    same = np.testing.assert_array_equal if layer.does_spike else np.testing.assert_allclose
    tolerance = {} if layer.does_spike else CLOSE
    same(out.detach().numpy(), recorded["out"], **tolerance)
    assert_gradients(layer, out, x, recorded)
    if case.startswith("ALIF_syn4"):
        return  # the original forgets the synaptic current, and only that, between calls
    same(layer(x.detach().flip(0)).detach().numpy(), recorded["again"], **tolerance)
    np.testing.assert_allclose(layer.v_mem, recorded["v_mem"], **CLOSE)


def test_surrogate_gradients_are_those_of_sinabs():
    v = torch.from_numpy(SHARED["surrogate.v"])
    compared = 0
    for key, value in SHARED.items():
        if not key.startswith("surrogate.") or key == "surrogate.v":
            continue
        name, threshold = key.removeprefix("surrogate.").split("_")
        # at a multiple of the threshold the nearest one is a matter of rounding
        np.testing.assert_allclose(
            NAMES[name]()(v, torch.tensor(float(threshold))), value, atol=2e-6, err_msg=key
        )
        compared += 1
    assert compared == 15


@each("name", nn_cases.STATELESS)
def test_a_layer_without_state_gives_the_numbers_and_gradients_of_sinabs(name):
    build, data = nn_cases.STATELESS[name]
    mine = nn_cases.outcome(build(NAMES), data())
    assert mine["out"].any()
    for key in ("out", "grad"):
        recorded = SHARED.get(f"stateless.{name}.{key}")
        assert (recorded is None) is (key not in mine), key
        if recorded is not None:
            np.testing.assert_allclose(mine[key], recorded, rtol=2e-6, atol=1e-6, err_msg=key)


@pytest.mark.parametrize(
    ("mode", "options", "training"),
    [
        ("floor", {"fanout": 7}, True),
        ("nearest", {"stochastic_rounding": True, "fanout": 2}, False),
        ("plain", {"quantize": False}, True),
    ],
)
def test_a_neuromorphic_relu_gives_the_counts_activity_and_gradient_of_sinabs(
    mode, options, training
):
    layer = nn.NeuromorphicReLU(**options).train(training)
    x = torch.from_numpy(SHARED["relu.x"]).clone().requires_grad_(True)
    out = layer(x)
    (out.sum() + 2 * layer.activity).backward()
    np.testing.assert_array_equal(out.detach(), SHARED[f"relu.{mode}"])
    np.testing.assert_allclose(layer.activity.detach(), SHARED[f"relu.{mode}_activity"])
    if training:  # the original has no gradient in evaluation
        np.testing.assert_allclose(x.grad, SHARED[f"relu.{mode}_grad"])


ROCKPOOL, THEIRS, GAVE_THERE = nn_cases.read("nn_rockpool.npz")
SYNNETS = ROCKPOOL.pop("synnets")["arguments"]


@each("case", ROCKPOOL)
def test_a_neuron_layer_gives_the_spikes_states_and_gradients_of_rockpool(case):
    layer, recorded = nn_cases.build(ROCKPOOL[case], THEIRS, NAMES), GAVE_THERE[case]
    x = torch.from_numpy(THEIRS["input"][..., : layer.size_in].copy()).requires_grad_(True)
    out, _, record = layer(x, record=True)
    np.testing.assert_array_equal(out.detach(), recorded["out"])
    for name in ("vmem", "isyn", "irec"):
        last = record[name].detach()[:, -1]
        np.testing.assert_allclose(last, recorded[name], **CLOSE, err_msg=name)
    assert_gradients(layer, out, x, recorded)
    layer.reset_state()
    halves = [layer(half)[0].detach() for half in (x.detach()[1:, :11], x.detach()[1:, 11:])]
    np.testing.assert_array_equal(torch.cat(halves, 1), recorded["halves"])


@each("number", range(len(SYNNETS)))
def test_a_synnet_has_the_constants_of_rockpool(number):
    net = nn.SynNet(**SYNNETS[number])
    for name in net.lif_names:
        layer = net.seq[name]
        for constant in ("tau_mem", "tau_syn", "threshold", "bias"):
            mine, theirs = getattr(layer, constant), THEIRS[f"synnet.{number}.{name}.{constant}"]
            mine = np.broadcast_to(mine.detach().numpy(), theirs.shape)
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)
        assert layer.spike_fn.max_num_spikes_per_bin == THEIRS[f"synnet.{number}.{name}.max_spikes"]


def recorded_net(number, **rest):
    net = nn.SynNet(**SYNNETS[number], **rest).eval()
    with torch.no_grad():
        for name, layer in net.seq.modules().items():
            if name.endswith("linear"):
                layer.weight.copy_(torch.from_numpy(THEIRS[f"synnet.{number}.{name}.weight"]))
    return net


@each("number", [n for n in range(len(SYNNETS)) if f"synnet.{n}.out" in THEIRS])
def test_a_synnet_gives_the_spikes_of_rockpool(number):
    x = torch.from_numpy(THEIRS["synnet.input"]).float()
    theirs = THEIRS[f"synnet.{number}.out"]
    assert theirs.sum() > 20
    np.testing.assert_array_equal(recorded_net(number)(x)[0].detach(), theirs)


def test_a_synnet_gives_the_membranes_of_rockpool():
    x = torch.from_numpy(THEIRS["synnet.input"]).float()
    out, _, _ = recorded_net(3, output="vmem")(x)
    np.testing.assert_allclose(out.detach(), THEIRS["synnet.vmem"], **CLOSE)


def test_a_synnet_prints_as_in_rockpool():
    printed = THEIRS["dense.printed"].tobytes().decode().replace("SynNet  with", "SynNet with")
    assert str(nn.SynNet(**SYNNETS[0], p_dropout=0.1)) == printed


def test_dense_weights_give_the_numbers_of_rockpool():
    x = torch.from_numpy(THEIRS["input"][..., :4])
    weight, bias = (torch.from_numpy(THEIRS[name]) for name in ("weight", "offset"))
    plain = nn.LinearTorch((4, 3), weight=weight)
    biased = nn.LinearTorch((4, 3), weight=weight, bias=bias, has_bias=True)
    np.testing.assert_allclose(plain(x)[0].detach(), THEIRS["dense.plain"], **CLOSE)
    np.testing.assert_allclose(biased(x)[0].detach(), THEIRS["dense.biased"], **CLOSE)
