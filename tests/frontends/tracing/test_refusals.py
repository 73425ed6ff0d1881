"""What cannot be extracted is refused by name and line, and never skipped."""

import re

import numpy as np
import pytest
import torch
from torch import nn as torch_nn

from toolchain import nn
from toolchain.diagnostics import ExtractError
from toolchain.frontends import extract
from toolchain.frontends.tracing import selfcheck


def spikes(*shape):
    torch.manual_seed(0)
    return torch.randint(0, 3, shape).float()


def net(*layers):
    return torch_nn.Sequential(*layers)


class Follows(torch_nn.Module):
    """Any forward over a few layers of four neurons."""

    def __init__(self, forward):
        super().__init__()
        torch.manual_seed(0)
        self.fc = torch_nn.Linear(4, 4)
        self.spike = nn.IAF()
        self.out = nn.IAF()
        self.scale = torch_nn.Parameter(torch.ones(4))
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def message(model, sample=None, **rest):
    with pytest.raises(ExtractError) as caught:
        extract(model, spikes(2, 9, 4) if sample is None else sample, **rest)
    return str(caught.value)


LAYERS = [
    (torch_nn.ReLU(), "layer '1' (ReLU): not spiking; replace it by toolchain.nn.IAF"),
    (nn.NeuromorphicReLU(), "layer '1' (NeuromorphicReLU): not spiking; convert the network with"),
    (nn.ALIF(5.0, 9.0), "layer '1' (ALIF): its threshold adapts to its spikes"),
    (nn.CubaLIF(4, noise_std=0.1), "layer '1' (CubaLIF): noise_std is 0.1; a chip draws no noise"),
    (torch_nn.Softmax(-1), "layer '1' (Softmax): apply it outside"),
    (torch_nn.LayerNorm(4), "layer '1' (LayerNorm): has no counterpart on a spiking chip"),
    (torch_nn.Flatten(1), "layer '1' (Flatten): turns (2, 9, 4) into (2, 36), which mixes batch 2"),
]


@pytest.mark.parametrize(("layer", "wanted"), LAYERS, ids=lambda x: type(x).__name__)
def test_layers_are_refused_by_name(layer, wanted):
    assert wanted in message(net(nn.IAF(), layer))


@pytest.mark.parametrize(
    ("mode", "name", "value", "wanted"),
    [
        ("decays", "alpha", 1.06494, "alpha is 1.06494, need 0..1"),
        ("decays", "beta", -0.01, "beta is -0.01, need 0..1"),
        ("taus", "tau_mem", -0.01, "tau_mem is -0.01, need > 0"),
        ("bitshifts", "dash_syn", -0.5, "dash_syn is -0.5, need > 0"),
    ],
)
def test_decays_that_training_moved_out_of_range_are_refused_with_the_remedy(
    mode, name, value, wanted
):
    layer = nn.CubaLIF(4, leak_mode=mode)
    with torch.no_grad():
        getattr(layer, name).fill_(value)
    found = message(net(torch_nn.Linear(4, 4, bias=False), layer))
    assert f"layer '1' (CubaLIF): {wanted}" in found
    assert f"layer.{name}.data.clamp_(" in found


IMAGE_LAYERS = [
    (
        torch_nn.MaxPool2d(2),
        "(MaxPool2d): a maximum is not a sum of spikes; use toolchain.nn.SumPool",
    ),
    (
        torch_nn.AvgPool2d(3, ceil_mode=True),
        "(AvgPool2d): ceil_mode=True ends in windows of less than 3 x 3 on a map of 4 x 4; crop or",
    ),
    (
        torch_nn.AvgPool2d(2, padding=1, count_include_pad=False),
        "(AvgPool2d): count_include_pad=False divides by fewer entries at the border than inside",
    ),
    (
        torch_nn.AdaptiveAvgPool2d(3),
        "divides a map of 4 x 4 into 3 x 3 windows of different size; crop or pad the map",
    ),
    (torch_nn.LPPool2d(2, 2), "norm_type 2 is not linear; use norm_type 1, which is a sum"),
    (torch_nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), "only zero padding"),
    (torch_nn.BatchNorm2d(2, track_running_stats=False), "no running statistics"),
    (torch_nn.Linear(4, 4), "(Linear): takes one axis of features, got (batch * time, ...)"),
]


@pytest.mark.parametrize(("layer", "wanted"), IMAGE_LAYERS, ids=lambda x: str(x)[:40])
def test_image_layers_are_refused_by_name(layer, wanted):
    found = message(net(nn.IAFSqueeze(batch_size=2), layer), spikes(6, 2, 4, 4))
    assert found.startswith("layer '1'")
    assert wanted in found


def squares(self, x):
    return self.out(2 * torch.relu(self.fc(x)) ** 2)


def multiplies_two_signals(self, x):
    return self.out(self.fc(x) * x)


def adds_a_constant_of_each_step(self, x):
    return self.out(self.fc(x) + torch.arange(9.0)[:, None])


def divides_by_its_sum(self, x):
    return self.out(self.fc(x) / float(x.sum()))


def sums_over_time(self, x):
    return self.out(x).sum(1)


def sums_over_the_batch(self, x):
    return self.out(x - x.mean(0, keepdim=True))


def takes_a_maximum(self, x):
    return self.out(x.amax(2, keepdim=True))


def takes_a_step(self, x):
    return self.out(x)[:, -1]


def takes_two_steps(self, x):
    return self.out(x)[:, -2:]


def takes_sums_away(self, x):
    return self.out(self.fc(x).sum(2))


def stacks_and_indexes(self, x):
    return self.out(torch.stack([x, self.fc(x)])[0])


def transposes(self, x):
    return self.out(x.transpose(1, 2))


def convolves_over_time(self, x):
    return self.out(torch.nn.functional.conv1d(x, torch.ones(9, 9, 1)))


def compares(self, x):
    return self.out((self.fc(x) > 0.5).float())


def rounds(self, x):
    return self.out(self.fc(x).int().float())


def draws(self, x):
    return self.out(torch.bernoulli(x / 2))


def draws_by_comparison(self, x):
    return self.out((torch.rand_like(x) < x).float())


def adds_noise(self, x):
    return self.out(x + 0.1 * torch.randn(x.shape))


def takes_statistics(self, x):
    norm = torch.nn.functional.batch_norm
    return self.out(norm(x.flatten(0, 1), None, None, training=True).view(2, 9, 4))


def writes_into(self, x):
    y = self.fc(x)
    y[:, 0] = 0
    return self.out(y)


def changes_a_view(self, x):
    y = self.fc(x)
    z = y.view(2, 9, 4)
    z += x
    return self.out(y)


ENCODE = "draws random numbers; encode outside the network and give the spikes as the sample"
FUNCTIONS = [
    (squares, 0, r"torch.relu at .*not spiking(.|\n)*torch.Tensor.__pow__ at .*not linear"),
    (multiplies_two_signals, 0, "Tensor.mul at .*combines two tensors that depend on the input"),
    (adds_a_constant_of_each_step, 0, "Tensor.add at .*differs between timesteps or samples"),
    (sums_over_time, 0, "torch.Tensor.sum at .*sum them over time outside"),
    (sums_over_the_batch, 0, "torch.Tensor.mean at .*sums over the samples of the batch"),
    (takes_a_maximum, 0, "torch.Tensor.amax at .*a maximum is not a sum of spikes; over a map"),
    (takes_a_step, 0, "torch.Tensor.__getitem__ at .*whole sequence"),
    (takes_two_steps, 0, r"__getitem__ at .*turns \(2, 9, 4\) into \(2, 2, 4\), which mixes"),
    (takes_sums_away, 0, "torch.Tensor.sum at .*leaves no axis of features; pass keepdim=True"),
    (stacks_and_indexes, 0, "__getitem__ at .*only their sum or mean over that axis"),
    (transposes, 0, "torch.Tensor.transpose at .*reorder axes outside"),
    (convolves_over_time, 0, r"conv1d at .*takes \(batch \* time, channels, length\), got"),
    (compares, 0, "Tensor.gt at .*a threshold in forward is a neuron of your own.*'Coming from"),
    (rounds, 0, "torch.Tensor.int at .*it rounds; keep floating point"),
    (draws, 0, f"torch.bernoulli at .*{ENCODE}"),
    (draws_by_comparison, 0, f"torch.Tensor.lt at .*{ENCODE}"),
    (adds_noise, 0, f"torch.Tensor.add at .*{ENCODE}, and leave noise out"),
    (takes_statistics, 1, "batch_norm at .*takes its statistics from the batch; pass training="),
    (writes_into, 1, "torch.Tensor.__setitem__ at .*not supported"),
]


@pytest.mark.parametrize(("forward", "offset", "wanted"), FUNCTIONS)
def test_functions_are_refused_by_line(forward, offset, wanted):
    found = message(Follows(forward))
    assert re.search(wanted, found), found
    line = forward.__code__.co_firstlineno + 1 + offset
    assert f"{__file__}:{line} (" in found


def test_a_number_that_depends_on_the_data_is_noticed():
    assert message(Follows(divides_by_its_sum)) == (
        "'div': its numbers on random spikes and strong random input differ from those on the "
        "sample; a chip has constant weights, so no number in forward may depend on the data or be "
        "drawn at random"
    )


def test_a_run_that_ends_inside_a_layer_leaves_torch_as_it_was():
    assert "fails on the sample" in message(net(nn.IAF(min_v_mem=torch.zeros(3))))
    graph = extract(net(torch_nn.Linear(4, 4), nn.IAF()), spikes(2, 9, 4))
    assert [*graph.nodes] == ["input", "0", "1", "output"]


def test_a_change_through_a_view_is_noticed():
    assert "its input was changed in place through a view" in message(Follows(changes_a_view))


def test_every_problem_is_told_at_once():
    model = net(torch_nn.Linear(4, 4), torch_nn.ReLU(), torch_nn.Tanh(), nn.IAF())
    model.add_module("last", nn.IAF(reset_fn=lambda n, v, _: v - n))
    found = message(model)
    assert found.startswith("3 problems:")
    assert all(name in found for name in ("'1' (ReLU)", "'2' (Tanh)", "'last' (IAF): reset_fn"))


def test_what_changes_shapes_is_told_before_what_follows_from_it():
    model = net(nn.IAF(), torch_nn.MaxPool2d(2), nn.IAF())
    found = message(model, spikes(2, 8, 4, 4))
    assert found.startswith("layer '1' (MaxPool2d)")


def test_a_stateful_layer_called_twice_is_refused():
    found = message(Follows(lambda self, x: self.spike(self.spike(x))))
    assert "layer 'spike' (IAF): is called twice in one forward" in found


def test_a_layer_fed_from_elsewhere_is_refused():
    found = message(Follows(lambda self, x: self.out(x + self.spike(torch.ones(2, 9, 4)))))
    assert found == "layer 'spike' (IAF): its input does not depend on the sample"


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        (
            lambda x: (x, x.sum(2)),
            "Follows: returned[1] (the result of torch.Tensor.sum at",
        ),
        (
            lambda x: {"spikes": x, "rate": x.mean(1)},
            "returned['rate'] (the result of torch.Tensor.mean at",
        ),
        (
            lambda x: (x.sum(2), x.mean(2)),
            "returns a tuple of (2, 9), (2, 9); return the one output tensor of the network, or",
        ),
        (lambda x: None, "returns NoneType"),
        (lambda x: torch.ones(1), "the output of Follows does not depend on the sample"),
    ],
)
def test_a_model_returns_spikes_of_layers(result, wanted):
    assert wanted in message(Follows(lambda self, x: result(self.out(x))))


def test_a_crash_in_the_model_names_the_layer_it_reached():
    found = message(net(nn.IAF(), torch_nn.Linear(5, 2)))
    assert "Sequential fails on the sample of shape (2, 9, 4) in '1': RuntimeError" in found


@pytest.mark.parametrize(
    ("sample", "wanted"),
    [
        ([[1, 2]], "must be one tensor or array, as the model's forward takes it, got list"),
        (torch.ones(3), r"must have axes (batch, time, *features), got shape (3,)"),
        (torch.ones(0, 3, 4), "got shape (0, 3, 4)"),
    ],
)
def test_samples_of_the_wrong_kind_are_refused(sample, wanted):
    assert wanted in message(net(nn.IAF()), sample)


def test_something_else_than_a_module_is_refused():
    assert message(3) == (
        "the model must be a torch module, a Graph, a NIR graph or the path of a file, got 3"
    )


def test_time_taken_for_channels_is_refused():
    model = net(torch_nn.Conv2d(9, 4, 1), nn.IAFSqueeze(batch_size=2))
    found = message(net(nn.IAF(), torch_nn.Conv2d(9, 9, 1)), spikes(2, 9, 4, 4))
    assert "takes (batch * time, channels, height, width), got (batch, time, ...)" in found
    assert extract(model, spikes(2, 9, 4, 4)).shape("input") == (9, 4, 4)


def test_rows_taken_for_batch_and_time_are_refused():
    model = net(torch_nn.Conv2d(1, 3, 3), nn.IAF(), nn.IAFSqueeze(batch_size=2))
    found = message(model, spikes(10, 1, 4, 4))
    assert "the layers disagree about batch and time" in found
    assert "layer '1' (IAF): batch 10, time 3; layer '2' (IAFSqueeze): batch 2, time 5" in found
    alone = message(net(torch_nn.Conv2d(1, 3, 3), nn.IAF()), spikes(10, 1, 4, 4))
    assert "the spiking layers have batch 10 and time 3" in alone


def test_timesteps_that_disagree_are_refused_with_both_names():
    model = net(nn.CubaLIF(4, dt=1e-3), nn.CubaLIF(4, dt=2e-3))
    assert message(model) == (
        "dt of layer '0' is 0.001 s, dt of layer '1' is 0.002 s; they must be equal"
    )
    found = message(net(nn.CubaLIF(4, dt=1e-3)), dt=5e-3)
    assert found == "dt of the argument is 0.005 s, dt of layer '0' is 0.001 s; they must be equal"
    assert "dt must be > 0 s" in message(net(nn.IAF()), dt=-1.0)


def test_a_branch_on_the_data_is_noticed():
    def forward(self, x):
        return self.out(self.fc(x) if x.sum() > 0 else x)

    found = message(Follows(forward), torch.zeros(2, 9, 4))
    assert "a branch in its forward depends on the data" in found
    assert "fc = Linear" in found


def test_a_subclass_with_dynamics_of_its_own_is_refused():
    class Leaky(nn.IAF):
        def forward(self, data):
            return super().forward(0.5 * data)

    assert message(net(Leaky())) == (
        "layer '0' (Leaky): overrides IAF.forward, so its parameters no longer describe it"
    )
    patched = nn.IAF()
    patched.forward = lambda data: data
    assert "overrides IAF.forward, so its parameters no longer describe it" in message(net(patched))


def secretly(change):
    """Return a hook that changes an output where torch counts no change."""

    def hook(module, args, out):
        out.data.copy_(change(out.data))

    return hook


def test_a_change_of_spikes_is_found_by_the_self_check():
    model = net(torch_nn.Linear(4, 4), nn.IAF(), nn.IAF())
    model[1].register_forward_hook(secretly(lambda out: out + 1))
    assert message(model) == (
        "the Graph differs from the model on the sample: layer '1' differs first "
        "in sample 0, step 0, neuron (0,): 2 in the model, 1 in the Graph (72 of 72 values differ)"
    )


def test_a_readout_is_compared_too():
    model = net(torch_nn.Linear(4, 4), nn.ExpLeak(5.0))
    model[1].register_forward_hook(secretly(lambda out: out * (1 + 1e-6)))
    assert "layer '1' differs first" in message(model)
    assert selfcheck.TOLERANCE == 1e-9


def test_a_tie_of_rounding_is_explained():
    model = net(torch_nn.Linear(1000, 50, bias=False), nn.IAF()).double()
    with torch.no_grad():
        model[0].weight.copy_((model[0].weight * 30).round() * 0.1)
    sample = spikes(4, 50, 1000)
    assert "the order of summation decides" in message(model, sample)
    assert "0 of" in extract(model.float(), sample).provenance["self_check"]


def test_layers_of_other_frameworks_are_known_by_name():
    foreign = type("NewNeuron", (torch_nn.Module,), {"forward": lambda self, x: x})
    foreign.__module__ = "sinabs.layers.iaf"
    assert "layer '0' (NewNeuron): an unknown layer of sinabs" in message(net(foreign()))


def test_what_cannot_be_copied_or_has_no_shape_yet_is_refused():
    assert "run the model once" in message(net(torch_nn.LazyLinear(3), nn.IAF()))
    model = net(nn.IAF())
    model.batches = (batch for batch in ())
    assert "Sequential cannot be copied" in message(model)


def test_recurrent_weights_that_are_not_linear_are_refused():
    back = net(torch_nn.Linear(4, 4), net(torch_nn.ReLU(), torch_nn.Dropout()))
    found = message(net(nn.IAFRecurrent(back)))
    assert "layer '0' (IAFRecurrent): rec_connect is or contains ReLU; supported are" in found


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.ALIFRecurrent(9.0, 5.0, torch_nn.Linear(4, 4)), "its threshold adapts to its spikes"),
        (nn.QuantizeLayer(), "it rounds numbers down, and spikes are whole numbers; leave it out"),
        (nn.Img2SpikeLayer((4, 4), tw=6), "it encodes numbers as spikes; encode outside"),
        (nn.Sig2SpikeLayer(4), "it encodes numbers as spikes; encode outside"),
    ],
)
def test_layers_for_training_and_encoders_are_refused(layer, reason):
    sample = torch.rand(4, 4) if "Spike" in type(layer).__name__ else torch.rand(1, 5, 4)
    found = message(net(layer, torch_nn.Linear(4, 4), nn.IAFSqueeze(1)), sample)
    assert f"layer '0' ({type(layer).__name__}): {reason}" in found


def test_merged_maps_of_other_shapes_are_refused_with_a_cure_that_helps():
    class Merged(torch_nn.Module):
        def __init__(self, grow):
            super().__init__()
            self.large, self.small = torch_nn.Conv2d(1, 2, 3, padding=1), torch_nn.Conv2d(1, 1, 3)
            self.merge, self.iaf, self.grow = nn.Merge(), nn.IAFSqueeze(1), grow

        def forward(self, x):
            return self.iaf(self.merge(self.large(x), self.grow(self.small(x))))

    rows = torch.rand(6, 1, 5, 5)
    found = message(Merged(torch_nn.Identity()), rows)
    assert "layer 'merge' (Merge): adds shapes (6, 2, 5, 5) and (6, 1, 3, 3); give the" in found
    extract(Merged(lambda x: torch_nn.functional.pad(x, (0, 2, 0, 2, 0, 1))), rows)


def test_a_state_or_record_used_as_a_signal_is_refused():
    class Net(torch_nn.Module):
        def __init__(self):
            super().__init__()
            self.lif, self.out = nn.LIFTorch((4, 4)), nn.LIFTorch((4, 4))

        def forward(self, x):
            out, _, record = self.lif(x, record=True)
            return self.out(out + record["vmem"])[0]

    assert "a tensor that differs between timesteps or samples, and that is no" in message(Net())


# ---- layers that stay silent ----


def test_zeros_that_come_from_no_layer_are_refused():
    zeros = torch_nn.Parameter(torch.zeros(4))
    found = message(Follows(lambda self, x: self.out(self.spike(x) + zeros)))
    assert "adds zeros in all of it that are no layer's output" in found


def test_a_layer_that_is_silent_on_spikes_is_driven_harder():
    model = net(torch_nn.Linear(4, 4), nn.IAF(spike_threshold=500.0))
    graph = extract(model, spikes(2, 9, 4))
    assert graph.provenance["self_check"].endswith(
        "on sample, random spikes and strong random input"
    )
    assert "silent_in_self_check" not in graph.provenance
    model[1].register_forward_hook(secretly(lambda out: 2 * out))
    assert "on strong random input: layer '1' differs first in" in message(model)


def test_a_layer_that_never_fires_is_told():
    model = net(torch_nn.Linear(4, 4), nn.IAF(), nn.IAF(spike_threshold=1e9))
    assert extract(model, spikes(2, 9, 4)).provenance["silent_in_self_check"] == "2"
    assert "silent_in_self_check" not in extract(model[:2], spikes(2, 9, 4)).provenance


@pytest.mark.parametrize(
    ("sample", "wanted"),
    [
        (
            np.array([[None] * 4]),
            "got ndarray of object, which is not real",
        ),
        (np.ones((2, 9, 4), complex), "got ndarray of complex128"),
        (torch.ones(2, 9, 4, dtype=torch.complex64), "got Tensor of torch.complex64"),
        (np.full((2, 9, 4), np.nan), "the sample contains NaN or infinity"),
    ],
)
def test_a_sample_that_holds_no_numbers_is_refused(sample, wanted):
    assert wanted in message(net(nn.IAF()), sample)
