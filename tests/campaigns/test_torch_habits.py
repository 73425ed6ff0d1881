"""Layers and hooks compiled by torch, and checkpoints of every form; each takes seconds."""

import copy

import pytest
import torch
from torch import nn as torch_nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from toolchain import extract, nn
from toolchain.nn import reset_states
from toolchain.synops import register_synops_hooks, total_synops_loss

pytestmark = pytest.mark.campaign


def squeezed():
    return nn.IAFSqueeze(batch_size=1)


NETS = {
    "convolutions": lambda: torch_nn.Sequential(
        torch_nn.Conv2d(2, 4, 3), squeezed(), torch_nn.AvgPool2d(2), torch_nn.Conv2d(4, 4, 3)
    ),
    "activations": lambda: torch_nn.Sequential(
        torch_nn.Conv2d(2, 4, 3), nn.NeuromorphicReLU(), torch_nn.Conv2d(4, 4, 3)
    ),
    "dense": lambda: torch_nn.Sequential(
        torch_nn.Linear(6, 8), nn.LIF(5.0), torch_nn.Linear(8, 4), nn.IAF()
    ),
    "recurrent": lambda: torch_nn.Sequential(
        torch_nn.Linear(6, 8), nn.CubaLIF(8, has_rec=True), torch_nn.Linear(8, 4), nn.CubaLIF(4)
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("skip_zero_weights", [False, True])
def test_compiled_networks_count_and_train_as_plain_ones(name, skip_zero_weights):
    torch.manual_seed(0)
    plain = NETS[name]()
    shape = (4, 2, 8, 8) if isinstance(plain[0], torch_nn.Conv2d) else (2, 4, 6)
    other, x = copy.deepcopy(plain), 3 * torch.rand(shape)
    for net in (plain, other):
        register_synops_hooks(net, skip_zero_weights=skip_zero_weights)
    torch._dynamo.reset()
    compiled = torch.compile(other, backend="eager")
    for _ in range(2):
        for net, call in ((plain, plain), (other, compiled)):
            out = call(x)
            (total_synops_loss(net, target=100.0) + out.sum()).backward()
        key = "total_synops_per_timestep"
        torch.testing.assert_close(other.hook_data[key], plain.hook_data[key])
    for mine, wanted in zip(other.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, wanted.grad)
    print(f"{name}: {plain.hook_data['total_synops_per_timestep'].item():.1f} synops per timestep")


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_network_and_a_compiled_layer_are_extracted():
    net = NETS["recurrent"]()
    x = (torch.rand(2, 12, 6) < 0.3).float()
    wanted = str(extract(net, x))
    assert str(extract(torch.compile(net, backend="eager"), x)) == wanted
    net[0] = torch.compile(net[0], backend="eager")
    assert str(extract(net, x)) == wanted


LAYERS = {
    "IAF": lambda: (nn.IAF(record_states=True), nn.LIF(10.0, tau_syn=5.0, norm_input=False)),
    "ALIF": lambda: (
        nn.ALIF(10.0, 20.0, norm_input=False),
        nn.LIFRecurrent(10.0, rec_connect=torch_nn.Linear(8, 8), norm_input=False),
    ),
    "CubaLIF": lambda: (nn.CubaLIF(8, has_rec=True, record_states=True), nn.CubaLIF(8)),
}


def forms(net):
    """Yield (name, plain call, the same call with checkpoints)."""

    def steps(x):
        return torch.cat([net(x[:, t : t + 1]) for t in range(x.shape[1])], 1)

    def twice(x):
        return net(x) * net(2 * x)

    def fresh(x):
        reset_states(net)
        return net(x)

    for reentrant in (False, True):
        for name, call in {"once": net, "steps": steps, "twice": twice, "fresh": fresh}.items():
            yield name, call, lambda x, c=call, r=reentrant: checkpoint(c, x, use_reentrant=r)
        for inner in (False, True):

            def nested(x, i=inner):
                return checkpoint(net, x, use_reentrant=i)

            yield "nested", net, lambda x, r=reentrant, n=nested: checkpoint(n, x, use_reentrant=r)
        yield "parts", net, lambda x, r=reentrant: checkpoint_sequential(net, 2, x, use_reentrant=r)
    yield "all", net, lambda x: checkpoint(net, x, use_reentrant=False, early_stop=False)


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("retain", [False, True])
def test_checkpoints_of_every_form_have_the_gradient_of_the_plain_call(layers, retain):
    torch.manual_seed(0)
    first, second = LAYERS[layers]()
    net = torch_nn.Sequential(torch_nn.Linear(6, 8), first, torch_nn.Linear(8, 8), second)
    for weight in (net[0].weight, net[2].weight):
        weight.data *= 6
    data = torch.rand(3, 2, 9, 6)

    def gradients(call):
        reset_states(net)
        net.zero_grad()
        loss = sum((call(x) ** 2).sum() for x in data.clone().requires_grad_())
        if retain:
            loss.backward(retain_graph=True)
        loss.backward()
        return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])

    count = 0
    for name, plain, checkpointed in forms(net):
        wanted = gradients(plain)
        assert wanted.any(), name
        torch.testing.assert_close(gradients(checkpointed), wanted)
        count += 1
    print(f"{layers}: {count} forms of checkpoints, gradients equal")
