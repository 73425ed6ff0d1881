"""Everything linear between two layers of neurons is extracted, however it is written."""

import pytest
import torch
from torch import nn as torch_nn
from torch.nn import functional as F

from tests.frontends.tracing.step_layers import Leaky, Net
from toolchain import nn
from toolchain.frontends import extract

torch.manual_seed(0)
NORM = torch_nn.BatchNorm2d(4).double()
CONV, UP, LINE, DENSE = (
    torch_nn.Conv2d(4, 2, 3, groups=2),
    torch_nn.ConvTranspose2d(4, 2, 3),
    torch_nn.Conv1d(4, 2, 3),
    torch_nn.Linear(144, 5),
)
FACTORS = torch.linspace(0.6, 1.4, 4, dtype=torch.float64).view(4, 1, 1)
for layer in (CONV, UP, LINE, DENSE):
    layer.double()


class Branch(torch_nn.Module):
    """A function or a layer, and a layer of neurons."""

    def __init__(self, step):
        super().__init__()
        self.step = step
        self.out = nn.IAFSqueeze(spike_threshold=0.7310585, batch_size=2)  # no tie by rounding

    def forward(self, y):
        return self.out(self.step(y))


class Branches(torch_nn.Module):
    """Any number of branches from one layer of neurons on maps of 4 x 6 x 6."""

    def __init__(self, steps):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch_nn.Conv2d(2, 4, 1)
        self.fires = nn.IAFSqueeze(spike_threshold=0.3, batch_size=2)
        self.branch = torch_nn.ModuleList(Branch(step) for step in steps)
        self.double()

    def forward(self, x):
        y = self.fires(self.conv(x))
        return torch.cat([branch(y).flatten(1) for branch in self.branch], 1)


def nodes(steps):
    """Types of the nodes of each branch before its neurons, in alphabetic order."""
    torch.manual_seed(1)
    graph = extract(Branches(steps), torch.randint(0, 3, (6, 2, 6, 6)).double())
    assert graph.provenance["self_check"].startswith("0 of")
    assert "silent_in_self_check" not in graph.provenance
    found = [[] for _ in steps]
    for name, node in graph.nodes.items():
        if name.startswith("branch."):
            found[int(name.split(".")[1])] += [type(node).__name__] * (not node.STATEFUL)
    return [" ".join(sorted(types)) for types in found]


LAYERS = [
    (torch_nn.AdaptiveAvgPool2d(3), "AvgPool2d"),
    (torch_nn.AdaptiveAvgPool2d((None, 1)), "AvgPool2d"),
    (torch_nn.AvgPool2d(3, ceil_mode=True), "AvgPool2d"),
    (torch_nn.AvgPool2d(2, padding=1), "Pad AvgPool2d"),
    (torch_nn.AvgPool2d(2, divisor_override=3), "SumPool2d Scale"),
    (torch_nn.AvgPool2d(2, divisor_override=1), "SumPool2d"),
    (torch_nn.AvgPool2d(1), "Identity"),
    (nn.SumPool2d((1, 1)), "Identity"),
    (torch_nn.LPPool2d(1, 2), "SumPool2d"),
    (torch_nn.ZeroPad2d((1, 2, 0, -1)), "Pad Pad"),
    (torch_nn.ConstantPad2d(1, 0.0), "Pad"),
    (torch_nn.ConstantPad2d(1, 1.0), "Flatten Linear Reshape"),
    (torch_nn.ReflectionPad2d(1), "Flatten Linear Reshape"),
    (torch_nn.Upsample(scale_factor=2), "ConvTranspose2d"),
    (torch_nn.UpsamplingBilinear2d(scale_factor=2), "Flatten Linear Reshape"),
    (torch_nn.PixelShuffle(2), "Flatten Linear Reshape"),
    (torch_nn.ChannelShuffle(2), "Conv2d"),
    (UP, "ConvTranspose2d"),
    (nn.Crop2d(((1, 5), (0, 3))), "Pad"),
    (nn.FlipDims(flip_x=True, swap_xy=True), "Flatten Linear Reshape"),
    (torch_nn.utils.parametrizations.weight_norm(torch_nn.Conv2d(4, 2, 3)), "Conv2d"),
    (torch_nn.AlphaDropout(), "Identity"),
    (torch_nn.Sequential(torch_nn.Flatten(2), LINE), "Reshape Conv1d"),
    (torch_nn.Sequential(torch_nn.Flatten(2), torch_nn.BatchNorm1d(4)), "Reshape BatchNorm"),
    (torch_nn.Sequential(torch_nn.Flatten(2), torch_nn.AdaptiveAvgPool1d(9)),
     "Reshape Reshape AvgPool2d Reshape"),
    (torch_nn.Sequential(torch_nn.Flatten(2), torch_nn.ConvTranspose1d(4, 2, 3)),
     "Reshape ConvTranspose1d"),
    (torch_nn.Sequential(torch_nn.Flatten(), torch_nn.Unflatten(1, (4, 6, 6)), NORM),
     "BatchNorm"),
]  # fmt: skip


def check(cases):
    """Compare the nodes of all cases, one branch each, with those that are wanted."""
    found = nodes([step for step, _ in cases])
    wanted = [" ".join(sorted(types.split())) for _, types in cases]
    assert dict(enumerate(found)) == dict(enumerate(wanted))


def test_layers():
    check(LAYERS)


FUNCTIONS = {
    "AvgPool2d": [
        lambda y: F.avg_pool2d(y, 2),
        lambda y: F.adaptive_avg_pool2d(y, 2),
        lambda y: y.mean((2, 3), keepdim=True),
    ],
    "AvgPool2d Flatten": [lambda y: y.mean([-1, -2]), lambda y: F.avg_pool2d(y, 6).squeeze()],
    "AvgPool2d Reshape": [lambda y: torch.mean(y, dim=2)],
    "SumPool2d Conv2d": [lambda y: y.sum((1, 2, 3), keepdim=True)],
    "Conv2d": [
        lambda y: F.conv2d(y, CONV.weight, CONV.bias, 2, groups=2),
        lambda y: y.sum(1, keepdim=True),
        lambda y: y[:, [3, 1]],
        lambda y: y[:, torch.tensor([0, 2])],
        lambda y: y[:, ::2, ::2, ::5],
    ],
    "Pad Conv2d": [lambda y: F.conv2d(y, CONV.weight[..., :2], padding="same", groups=2)],
    "ConvTranspose2d": [
        lambda y: F.conv_transpose2d(y, UP.weight, UP.bias, stride=2),
        lambda y: F.interpolate(y, scale_factor=2),
    ],
    "Reshape Conv1d": [lambda y: F.conv1d(y.flatten(2), LINE.weight, padding=1)],
    "Flatten Linear": [
        lambda y: F.linear(y.flatten(1), DENSE.weight, DENSE.bias),
        lambda y: y.flatten(1) @ DENSE.weight.T,
        lambda y: torch.einsum("bchw,ochw->bo", y, DENSE.weight.view(5, 4, 6, 6)),
    ],
    "BatchNorm": [
        lambda y: F.batch_norm(y, NORM.running_mean, NORM.running_var, NORM.weight, NORM.bias),
        lambda y: y + FACTORS,
        lambda y: y - 0.25,
    ],
    "Scale": [
        lambda y: 0.5 * y,
        lambda y: y / 5,
        lambda y: y * FACTORS,
        lambda y: y.mul(torch.linspace(0, 1, 6)),
        lambda y: y + y,
        lambda y: torch.where(FACTORS > 1, y, torch.zeros_like(y)),
    ],
    "Scale Scale": [lambda y: (-2 * y).neg()],
    "Scale BatchNorm": [lambda y: 1 - y],
    "Pad": [
        lambda y: F.pad(y, (1, 0, 2, 2, 1, 1)),
        lambda y: y[:, 1:3],
        lambda y: y.narrow(3, 1, 4),
        lambda y: y.split(3, 1)[1],
        lambda y: torch.cat([y, torch.zeros_like(y)], 1),
    ],
    "Pad Flatten": [lambda y: y[:, :, 0, 0]],
    "Pad Reshape": [lambda y: y.select(2, 1), lambda y: y[:, :, [2], [3]]],
    "Pad Pad Add": [lambda y: sum(y.chunk(2, 1)), lambda y: torch.cat([y, y], dim=2)],
    "Reshape Pad Reshape Pad Add Reshape": [lambda y: torch.stack([y, y], 2).flatten(1, 2)],
    "Permute": [lambda y: y.permute(0, 2, 3, 1), lambda y: y.mT],
    "Permute Flatten": [lambda y: y.movedim(1, -1).flatten(1)],
    "Flatten": [lambda y: y.view(len(y), -1), lambda y: y.unflatten(1, (2, 2)).flatten(1)],
    "Reshape": [lambda y: y.flatten(1).reshape(-1, 9, 4, 4), lambda y: y.unsqueeze(1)],
    "": [lambda y: y.unsqueeze(2).squeeze(2), lambda y: y.reshape(-1, 144).view(-1, 4, 6, 6)],
    "Flatten Linear Reshape": [lambda y: y.flip(3), lambda y: y.roll(1, 2)],
}
SPELLINGS = [(function, wanted) for wanted, some in FUNCTIONS.items() for function in some]


BRANCHES = [
    (lambda y: CONV(F.pad(y, (1, 1, 1, 1))) + y[:, :2], "Pad Conv2d Pad Add"),
    (lambda y: y[:, :1] - y[:, 1:2], "Pad Pad Scale Add"),
    (lambda y: torch.add(y, y.flatten(1).view_as(y), alpha=0.5), "Scale"),
    (lambda y: torch.stack([y, 2 * y]).sum(0), "Scale Add"),
    (lambda y: torch.stack([y, 2 * y, y / 4]).mean(dim=0), "Scale Scale Add Scale"),
    (lambda y: y + y.mean((2, 3), keepdim=True), "AvgPool2d ConvTranspose2d Add"),
    (lambda y: sum([y, 2 * y, y / 4]), "Scale Add Scale Add"),
    (lambda y: torch.cat([y, y + 1], 1), "Pad BatchNorm Pad Add"),
]


# torch warns that an even kernel with padding='same' is slow
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_functions():
    check(SPELLINGS + BRANCHES)


# ---- loops and frames ----


def halves(net, x):
    """Input and feedback of the last spikes, joined along the features in every step."""
    spk, mem, out = torch.zeros(2, 4), None, []
    for step in x:
        spk, mem = net.lif(net.fc8(torch.cat([step / 2, spk], 1)), mem)
        out.append(spk)
    return torch.stack(out)


def parts_of_a_step(net, x):
    mem, out = None, []
    for t in range(len(x)):
        low, high = x[t].split(2, dim=1)
        spk, mem = net.lif(
            net.fc(torch.cat([high, low], dim=-1)) + 0.5 * x[t, :, [0, 0, 1, 1]], mem
        )
        out.append(spk)
    return torch.stack(out)


def a_frame_expanded(net, x):
    return torch.stack([net.cell(net.fc(step)) for step in x.unsqueeze(0).repeat(9, 1, 1)])


def a_frame_expanded_batch_first(net, x):
    frames = x.unsqueeze(1).expand(-1, 9, -1) / 2
    return torch.stack([net.cell(net.fc(frames[:, t])) for t in range(9)], dim=1)


def a_stack_of_one_frame(net, x):
    return torch.stack([net.cell(net.fc(step)) for step in torch.stack([x] * 9)])


@pytest.mark.parametrize("forward", [halves, parts_of_a_step])
def test_features_are_joined_in_a_loop(forward):
    graph = extract(Net(forward, fc8=torch_nn.Linear(8, 4)), torch.randint(0, 3, (9, 2, 4)).float())
    assert "silent_in_self_check" not in graph.provenance
    delayed = {edge.pre for edge in graph.edges if edge.delay}
    assert bool(delayed) is (forward is halves)


@pytest.mark.parametrize(
    "forward", [a_frame_expanded, a_frame_expanded_batch_first, a_stack_of_one_frame]
)
def test_a_frame_is_expanded_over_time(forward):
    graph = extract(Net(forward), torch.randint(0, 3, (2, 4)).float())
    assert graph.provenance["input"] == "one frame, shown in each of 9 timesteps"
    assert [*graph.nodes][1:-2] in (["fc"], ["div", "fc"])


def test_a_frame_is_expanded_before_layers_on_sequences():
    class Image(torch_nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fires = torch_nn.Conv2d(1, 2, 3), nn.IAFSqueeze(batch_size=2)

        def forward(self, x):
            return self.fires(self.conv(x.unsqueeze(1).repeat(1, 5, 1, 1, 1).flatten(0, 1)))

    graph = extract(Image(), torch.rand(2, 1, 5, 5))
    assert graph.shape("input") == (1, 5, 5)
    assert [*graph.nodes] == ["input", "conv", "fires", "output"]


def test_a_channel_axis_of_length_one_is_no_time():
    def forward(net, x):
        return torch.stack([net.cell(net.conv(step.unsqueeze(1)).flatten(1)) for step in x])

    model = Net(forward, conv=torch_nn.Conv2d(1, 2, 3), cell=Leaky(0.9, init_hidden=True))
    graph = extract(model, torch.rand(7, 2, 4, 4))
    assert graph.shape("conv") == (2, 2, 2)


def test_a_model_of_one_step_may_slice_and_join_features():
    def forward(net, x):
        return net.cell(net.fc(torch.cat([x[:, 2:], x[:, :2]], 1)))

    assert "loop" in extract(Net(forward), torch.randint(0, 3, (2, 4)).float()).provenance
