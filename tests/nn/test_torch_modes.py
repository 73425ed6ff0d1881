"""Layers in inference mode and inside checkpoints."""

import pytest
import torch
from torch import nn as torch_nn
from torch.utils.checkpoint import CheckpointFunction

from toolchain import nn
from toolchain.nn import reset_states
from toolchain.synops import register_synops_hooks, total_synops_loss

NETS = {
    "IAF": lambda: (nn.IAF(record_states=True), nn.LIF(10.0, tau_syn=5.0, norm_input=False)),
    "ALIF": lambda: (
        nn.ALIF(10.0, 20.0, norm_input=False),
        nn.LIFRecurrent(10.0, rec_connect=torch_nn.Linear(8, 8), norm_input=False),
    ),
    "CubaLIF": lambda: (nn.CubaLIF(8, has_rec=True, record_states=True), nn.CubaLIF(8)),
}


def network(name):
    torch.manual_seed(0)
    first, second = NETS[name]()
    net = torch_nn.Sequential(torch_nn.Linear(6, 8), first, torch_nn.Linear(8, 8), second)
    for parameter in (net[0].weight, net[2].weight):
        parameter.data *= 6
    return net


def states(net):
    layers = [module for module in net if isinstance(module, nn.StatefulLayer)]
    return [getattr(layer, name, None) for layer in layers for name in layer.STATES]


def gradients(net, call):
    """Return the gradients of three calls that carry their states over, and the states left."""
    reset_states(net)
    net.zero_grad()
    torch.manual_seed(1)
    chunks = [torch.rand(2, 7, 6, requires_grad=True) for _ in range(3)]
    loss = sum((call(chunk) ** 2).sum() for chunk in chunks)
    left = states(net)
    loss.backward()
    assert all(a is b for a, b in zip(left, states(net), strict=True))
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", NETS)
def test_a_checkpoint_starts_again_where_its_first_run_started(name):
    net = network(name)

    def twice(x):
        reset = net(x)
        return net(2 * x) * reset

    def fresh(x):
        reset_states(net)
        return net(x)

    def checkpointed(function):
        return lambda x: CheckpointFunction.apply(function, True, x)

    for function in (net, twice, fresh, checkpointed(net)):
        wanted, found = gradients(net, function), gradients(net, checkpointed(function))
        assert wanted.any()
        torch.testing.assert_close(found, wanted)


def test_a_recomputation_of_another_kind_is_refused():
    layer = nn.IAF()

    class Recomputed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return layer(x)

        @staticmethod
        def backward(ctx, grad):
            with torch.enable_grad():
                x = ctx.saved_tensors[0].detach().requires_grad_()
                layer(x)
            return grad

    out = Recomputed.apply(torch.rand(1, 3, 2, requires_grad=True))
    with pytest.raises(RuntimeError, match="IAF is called in a backward pass, and the state from"):
        out.sum().backward()


@pytest.mark.parametrize("name", NETS)
def test_training_follows_on_inference_mode(name):
    wanted, net = network(name), network(name)
    x = torch.rand(2, 7, 6)
    with torch.no_grad():
        wanted(x)
    with torch.inference_mode():
        net(x)
    assert not any(value.is_inference() for value in states(net) if value is not None)
    for each in (wanted, net):
        each(x).sum().backward()
    torch.testing.assert_close(net[0].weight.grad, wanted[0].weight.grad)


def test_synops_are_trained_after_inference_mode():
    net = torch_nn.Sequential(
        torch_nn.Conv2d(2, 4, 3), nn.NeuromorphicReLU(), torch_nn.Conv2d(4, 4, 3)
    )
    register_synops_hooks(net)
    x = torch.rand(2, 2, 8, 8)
    with torch.inference_mode():
        net(x)
    net(x)
    total_synops_loss(net, target=100.0).backward()
    assert net[0].weight.grad.any()
