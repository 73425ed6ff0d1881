"""A deployment as a torch module: what users of torch do with modules."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tests.oracles.artifacts import DATA
from tests.training.networks import CASES, dense, maps, spikes
from toolchain import Deployment
from toolchain.diagnostics import DeployError, Diagnostic, GradientError, Severity
from toolchain.nn import SingleExponential

X = {"dense": spikes(6), "maps": spikes(2, 6, 6)}


@pytest.fixture(params=CASES)
def case(request):
    network, timing = CASES[request.param]
    d, x = network(), X[network.__name__]
    return d, d.as_module(timing=timing), torch.tensor(x, dtype=torch.float32), timing


def output(module, x):
    return module(x).numpy(force=True)


def gradients(module):
    return {name: p.grad.clone() for name, p in module.named_parameters()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_training_as_users_do_and_what_is_shipped_is_what_was_trained(case):
    d, module, x, timing = case
    assert np.array_equal(output(module.eval(), x), d.simulate(x, timing=timing).spikes)
    assert np.array_equal(output(module.train(), x), d.simulate(x, timing=timing).spikes)
    labels = torch.arange(len(x)) % 4
    steps = {name: latent.parameter.step for name, latent in module.latents().items()}
    groups = [
        {"params": [p], "lr": steps[name], "weight_decay": 0.1 / steps[name]}
        for name, p in module.named_parameters()
    ]
    optimizer = torch.optim.AdamW(groups)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = F.cross_entropy(module(x).sum(1) / 3, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for name, latent in module.latents().items():
        if latent.absent is not None:
            assert not module.get_parameter(name)[torch.from_numpy(latent.absent)].any()
            assert latent.absent.mean() > 0.2
    trained = module.deployment()
    assert np.array_equal(trained.simulate(x, timing=timing).spikes, output(module, x))
    assert not np.array_equal(output(module, x), d.simulate(x, timing=timing).spikes)


def test_the_deployment_of_trained_integers_is_saved_and_goes_on(case, tmp_path):
    d, module, x, timing = case
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape) * (parameter != 0))
    finding = Diagnostic(
        rule="trained", severity=Severity.INFO, where="network", message="accuracy 90 -> 95 %"
    )
    trained = module.deployment(findings=[finding])
    assert finding in trained.diagnostics
    assert not {"calibration", "agreement"} & {f.rule for f in trained.diagnostics}
    assert {"calibration"} <= {f.rule for f in d.diagnostics}
    assert set(trained.graph.provenance["trained_on_chip"].split(", ")) <= {*module.integers()}
    again = Deployment.load(trained.save(tmp_path / "trained"))
    assert str(again.ledger) == str(trained.ledger)
    assert "trained on the chip's integers" in str(again.ledger)
    assert all(entry.effect is None for entry in again.ledger.entries)
    module.project()
    more = again.as_module(timing=timing)
    assert equal(more.state_dict(), module.state_dict())
    assert np.array_equal(output(more, x), output(module, x))
    assert again.compare(x).layers


def test_an_untrained_module_gives_the_same_deployment(case):
    d, module, _, _ = case
    same = module.deployment()
    assert (same.ledger, same.diagnostics) == (d.ledger, d.diagnostics)
    assert all(np.array_equal(same.latent[name], d.latent[name]) for name in d.latent)


def test_names_of_the_user_are_names_of_parameters_whatever_they_are():
    module = dense().as_module()
    names = {"encoder.fc.weight", "training.weight", "forward.v_threshold"}
    assert names | {"encoder.fc.weight.v_threshold"} <= {*module.state_dict()}
    assert module.training is True
    assert module(X["dense"]).shape == (6, 20, 4)
    with torch.no_grad():
        module.get_parameter("training.weight").mul_(0.9)
    fresh = dense().as_module()
    fresh.load_state_dict(module.state_dict())
    assert np.array_equal(output(fresh, X["dense"]), output(module, X["dense"]))


def test_copies_and_files_of_the_module(case):
    d, module, x, timing = case
    with torch.no_grad():
        next(module.parameters()).mul_(0.8)
    whole, state = io.BytesIO(), io.BytesIO()
    torch.save(module, whole)
    torch.save(module.state_dict(), state)
    fresh = d.as_module(timing=timing)
    fresh.load_state_dict(torch.load(io.BytesIO(state.getvalue())))
    copies = copy.deepcopy(module), pickle.loads(pickle.dumps(module)), fresh
    for other in (*copies, torch.load(io.BytesIO(whole.getvalue()), weights_only=False)):
        assert np.array_equal(output(other, x), output(module, x))
        assert str(other.deployment().program) == str(module.deployment().program)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of the compiler itself
def test_gradients_of_every_way_to_get_them_are_equal(case):
    _, module, x, timing = case

    def after(loss):
        module.zero_grad()
        loss().backward()
        return gradients(module)

    def twice():
        first, second = module(x[:3]), module(x[3:])  # two passes before a backward pass
        return first.square().sum() + second.square().sum()

    plain = after(lambda: module(x).square().sum())
    assert any(found.any() for found in plain.values())
    with torch.autograd.graph.save_on_cpu():
        assert equal(after(lambda: module(x).square().sum()), plain)
    for reentrant in (True, False):
        given = x.clone().requires_grad_()
        way = lambda: checkpoint(module, given, use_reentrant=reentrant).square().sum()  # noqa: B023, E731
        assert equal(after(way), plain)
        assert given.grad.shape == x.shape
    if timing == "event":  # once is enough
        compiled = torch.compile(lambda given: module(given).square().sum(), backend="eager")
        assert equal(after(lambda: compiled(x)), plain)
    for name, found in after(twice).items():
        most = plain[name].abs().max()
        torch.testing.assert_close(found, plain[name], rtol=0, atol=1e-4 * float(most) + 1e-9)


def test_two_modules_in_one_loss_and_accumulation(case):
    d, module, x, timing = case
    other = d.as_module(timing=timing)
    (module(x).sum() + 2 * other(x).sum()).backward()
    one, two = gradients(module), gradients(other)
    assert all(torch.allclose(2 * one[name], two[name], rtol=1e-4) for name in one)
    module(x).sum().backward()
    assert all(torch.equal(2 * one[name], found) for name, found in gradients(module).items())


def test_without_gradients_and_with_other_types(case):
    _, module, x, _ = case
    wanted = output(module, x)
    with torch.no_grad():
        assert not module(x).requires_grad
    with torch.inference_mode():
        assert np.array_equal(module(x).numpy(), wanted)
    for dtype in (torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float64):
        assert np.array_equal(output(module, x.to(dtype)), wanted)
    assert np.array_equal(output(module, x.numpy()), wanted)
    module.double()(x).sum().backward()
    assert next(module.parameters()).grad.dtype == torch.float64
    with pytest.raises(ValueError, match=r"weight is float16, .* call module.float\(\)"):
        module.half()(x)
    with pytest.raises(ValueError, match="weight is on the device 'meta'"):
        module.float().to("meta")(x)


def test_layers_input_gradient_and_surrogate(case):
    d, module, x, timing = case
    hidden = next(iter(d.placement))
    given = x.clone().requires_grad_()
    run = module.run(given, layers=(hidden,))
    whole = d.simulate(x, record=True, timing=timing)
    assert np.array_equal(run.layers[hidden].numpy(force=True), whole.layers[hidden].spikes)
    run.layers[hidden].sum().backward()
    assert given.grad.shape == x.shape
    assert given.grad.any()
    outputs = [name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()]
    assert all(name.startswith(("encoder.fc.w", "forward", "conv", "if1")) for name in outputs)
    other = d.as_module(timing=timing, surrogate=SingleExponential(), train="weight")
    other(x).sum().backward()
    module.zero_grad()
    module(x).sum().backward()
    weight = next(iter(module.integers()))
    assert not torch.equal(other.get_parameter(weight).grad, module.get_parameter(weight).grad)
    frozen = {n for n, p in other.named_parameters() if not p.requires_grad}
    assert frozen == {n for n in other.integers() if not n.endswith("weight")}


def test_what_is_refused_and_why(case):
    d, module, x, _ = case
    with pytest.raises(GradientError, match=r"with respect to layer .* is not finite"):
        (module(x).sum() * float("inf")).backward()
    with pytest.raises(NotImplementedError, match="no second derivative"):
        torch.autograd.grad(
            torch.autograd.grad(module(x).sum(), [*module.parameters()], create_graph=True)[
                0
            ].sum(),
            [*module.parameters()],
        )
    with pytest.raises(NotImplementedError, match=r"torch\.func"):
        torch.func.vmap(module)(x[None])
    with pytest.raises(ValueError, match="not whole"):
        module(x + 0.5)
    with pytest.raises(ValueError, match="layers must be of"):
        module.run(x, layers=("nothing",))
    with pytest.raises(ValueError, match="train must be of weight, threshold, bias"):
        d.as_module(train="weights")
    loss = module(x).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()
    next(module.parameters()).data.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"weight contains values that are not finite"):
        module(x)


def test_latents_stay_in_range_and_return():
    module = maps().as_module()
    weight, latent = module.get_parameter("conv.weight"), module.latents()["conv.weight"]
    with torch.no_grad():
        weight[weight > 0] = 1000.0
    assert module.integers()["conv.weight"].max() == latent.parameter.high
    x = torch.tensor(X["maps"])
    (-module(x).sum()).backward()
    assert not (weight.grad[weight > 200] < 0).any()
    module.zero_grad()
    module(x).sum().backward()
    assert (weight.grad[weight > 200] > 0).any()
    before = output(module, x)
    module.project()
    assert float(weight.detach().max()) < latent.parameter.high + 0.5
    assert np.array_equal(output(module, x), before)


def test_integers_that_the_chip_refuses_are_refused_with_its_findings():
    module = maps().as_module()
    with torch.no_grad():
        module.get_parameter("fc.weight").zero_()
    with pytest.raises(DeployError, match=r"fc: all 160 weights"):
        module.deployment()


def test_events_are_input_too():
    d = maps()
    events = np.zeros(30, [("x", "u2"), ("y", "u2"), ("t", "i8"), ("p", "u1")])
    rng = np.random.default_rng(0)
    events["x"], events["y"] = rng.integers(0, 6, (2, 30))
    events["t"] = np.sort(rng.integers(0, 20000, 30))
    module = d.as_module(timing="event")
    wanted = d.simulate(events, timing="event", steps=25).spikes
    found = module([events], steps=25)
    assert np.array_equal(found.numpy(force=True), wanted)
    found.sum().backward()


@pytest.mark.parametrize("folder", sorted(DATA.glob("format3-*")), ids=lambda path: path.name)
def test_artifacts_of_earlier_versions_start_from_their_integers(folder):
    d = Deployment.load(folder)
    assert d.latent is None
    module = d.as_module()
    shape = d.graph.shape(d.graph.input)
    x = np.random.default_rng(0).poisson(0.5, (2, 10, *shape))
    assert np.array_equal(output(module, x), d.simulate(x).spikes)
    assert str(module.deployment().program) == str(d.program)
