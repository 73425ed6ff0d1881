"""Models and samples as torch users have them: taken as they run, or refused by name."""

import copy

import numpy as np
import pytest
import torch
from torch import nn as torch_nn
from torch.ao import quantization
from torch.nn.utils import parametrizations, parametrize, prune

from toolchain import deploy, nn
from toolchain.diagnostics import ExtractError
from toolchain.frontends import extract

TAUS = {"dt": 1e-3, "tau_mem": 20e-3, "tau_syn": 10e-3}


def net():
    torch.manual_seed(0)
    return torch_nn.Sequential(
        torch_nn.Linear(12, 20, bias=False),
        nn.CubaLIF(20, **TAUS),
        torch_nn.Dropout(0.5),
        torch_nn.Linear(20, 4, bias=False),
        nn.CubaLIF(4, **TAUS),
    )


def sample():
    return (torch.rand(2, 40, 12, generator=torch.Generator().manual_seed(1)) < 0.2).float()


def first_layer(change):
    """Return a network whose first layer is changed."""
    model = net()
    changed = change(model[0])
    model[0] = model[0] if changed is None else changed
    return model


class Inside(torch_nn.Module):
    """Calls a network in another way."""

    def __init__(self, call):
        super().__init__()
        self.net, self.call = net(), call

    def forward(self, x):
        return self.call(self.net, x)


def rounded():
    model = net().train()
    model.qconfig = quantization.QConfig(
        activation=torch_nn.Identity,
        weight=quantization.default_per_channel_weight_fake_quant,
    )
    model = quantization.prepare_qat(model)
    model(sample())
    return model


class Drawn(torch_nn.Module):
    def forward(self, weight):
        return weight + 0.1 * torch.randn_like(weight)


def doubled(model, x):
    parameters = {name: 2 * p for name, p in model.named_parameters() if p.dim() > 1}
    return torch.func.functional_call(model, parameters, (x,))


TAKEN = {
    "DataParallel": lambda: torch_nn.DataParallel(net()),
    "AveragedModel": lambda: torch.optim.swa_utils.AveragedModel(net()),
    "float64": lambda: net().double(),
    "bfloat16": lambda: net().bfloat16(),
    "half": lambda: net().half(),
    "weight_norm": lambda: first_layer(parametrizations.weight_norm),
    "spectral_norm": lambda: first_layer(parametrizations.spectral_norm),
    "pruned": lambda: first_layer(lambda fc: prune.l1_unstructured(fc, "weight", amount=0.5)),
    "a hook that looks": lambda: first_layer(
        lambda fc: fc.register_forward_hook(lambda *_: None) and None
    ),
    "weights rounded in training": rounded,
    "after training": lambda: trained(net()),
}


def trained(model):
    model(sample()).sum().backward()
    return model


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", TAKEN)
def test_taken_as_it_runs_and_left_unchanged(name):
    model, x = TAKEN[name](), sample()
    before = copy.deepcopy(model.state_dict())
    modes, rng = [module.training for module in model.modules()], torch.get_rng_state()
    graph = extract(model, x)
    assert torch.equal(rng, torch.get_rng_state())
    assert modes == [module.training for module in model.modules()]
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    inner = getattr(model, "module", getattr(model, "net", model))
    weight = inner.eval()[0].weight
    if name == "weights rounded in training":
        weight = inner[0].weight_fake_quant.disable_observer() or inner[0].weight_fake_quant(weight)
    name = next(name for name in graph.nodes if name.endswith("0"))
    np.testing.assert_allclose(graph[name].weight, weight.detach().double().numpy(), rtol=1e-6)


REFUSED = {
    "meta": (lambda: net().to("meta"), "0.weight is on the meta device and has no values"),
    "values rounded": (
        lambda: first_layer(lambda fc: torch_nn.Sequential(fc, quantization.FakeQuantize())),
        r"layer '0.1' \(FakeQuantize\): rounds values between layers",
    ),
    "integers of torch": (
        lambda: quantization.quantize_dynamic(net(), {torch_nn.Linear}),
        r"layer '0' \(Linear\): computes in integers of its own",
    ),
    "random weights": (
        lambda: first_layer(lambda fc: parametrize.register_parametrization(fc, "weight", Drawn())),
        r"'0': its numbers on .* differ from those on the sample",
    ),
    "vmap": (
        lambda: Inside(lambda model, x: torch.vmap(lambda one: model(one[None])[0])(x)),
        r"layer 'net.0' \(Linear\): is called inside a transform of torch.func",
    ),
    "functional_call": (
        lambda: Inside(doubled),
        r"layer 'net.0' \(Linear\): its weight is replaced while the model runs",
    ),
    "a hook on the output": (
        lambda: first_layer(lambda fc: fc.register_forward_hook(lambda m, a, o: o * 2) and None),
        r"layer '0' \(Linear\): a forward hook changes its output",
    ),
    "a hook on the input": (
        lambda: first_layer(
            lambda fc: fc.register_forward_pre_hook(lambda m, args: (args[0] * 2,)) and None
        ),
        r"layer '0' \(Linear\): a forward hook changes its input",
    ),
}


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    model, wanted = REFUSED[name]
    with pytest.raises(ExtractError, match=wanted):
        extract(model(), sample())


SAMPLES = {
    "sparse": lambda x: x.to_sparse(),
    "requires grad": lambda x: x.clone().requires_grad_(),
    "bfloat16": lambda x: x.bfloat16(),
    "integers": lambda x: x.to(torch.int16),
    "array": lambda x: x.numpy(),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_of_every_kind_give_one_graph(name):
    assert str(extract(net(), SAMPLES[name](sample()))) == str(extract(net(), sample()))


INVALID = {
    "meta": (lambda: sample().to("meta"), {}, "the sample is on the meta device"),
    "nested": (
        lambda: torch.nested.nested_tensor([torch.ones(3, 2), torch.ones(4, 2)]),
        {},
        "the sample is a nested tensor",
    ),
    "dt": (sample, {"dt": "1ms"}, "dt must be > 0 s, a number such as 1e-3, got '1ms'"),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("name", INVALID)
def test_samples_without_values_are_refused(name):
    given, rest, wanted = INVALID[name]
    with pytest.raises(ExtractError, match=wanted):
        extract(net(), given(), **rest)


MODES = {
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("name", MODES)
def test_the_mode_around_the_call_changes_nothing(name):
    model, x = net(), sample()
    wanted = deploy(model, "xylo_a2", sample=x, quantizer="channel")
    with MODES[name]():
        found = deploy(model, "xylo_a2", sample=x, quantizer="channel")
    assert str(found.program) == str(wanted.program)
